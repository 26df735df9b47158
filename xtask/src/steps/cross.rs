//! The crates must check on the other desktop systems, where the toolchain has their standard
//! library.

use std::path::Path;

use crate::console::say;
use crate::plan::{Note, Notes};
use crate::shell::Tool;

const TARGETS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-pc-windows-gnu"];

pub(crate) fn run(root: &Path) -> Result<Notes, String> {
    let sysroot = Tool::new("rustc", root)
        .args(["--print", "sysroot"])
        .read()?;
    let installed = Path::new(sysroot.trim()).join("lib/rustlib");
    let mut notes = Notes::new();
    for target in TARGETS {
        if installed.join(target).join("lib").is_dir() {
            // Checking needs no linker, so no foreign C toolchain either.
            Tool::cargo(root)
                .args(["check", "--locked", "--target", target])
                .run()?;
        } else {
            let note = format!(
                "this toolchain has no {target}, so no compiler has seen the code for it; what stands in for that is \
                 tidy's rule that everything particular to one system is behind a cfg"
            );
            say(format!("NOT CHECKED: {note}"));
            notes.push(Note::NotChecked(note));
        }
    }
    Ok(notes)
}
