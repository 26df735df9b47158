//! The programs that a person meets first, run as that person would.

use std::path::Path;

use crate::plan::Notes;
use crate::shell::Tool;

/// The load driver for a moment: its figures mean nothing then, but every system in it must answer.
pub(crate) fn load(root: &Path) -> Result<Notes, String> {
    Tool::cargo(root)
        .args([
            "run",
            "--release",
            "--locked",
            "--package",
            "dreammesh-benches",
            "--bin",
            "load",
        ])
        .args([
            "--",
            "--rounds",
            "1",
            "--seconds",
            "0.2",
            "--warm-up",
            "0.1",
        ])
        .run()?;
    Ok(Notes::new())
}
