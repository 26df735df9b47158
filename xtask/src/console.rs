//! What xtask says to the person who runs it.

use std::io::Write;

/// Writes one line to standard output.
///
/// A closed pipe (`cargo xtask test | head`) is no reason to end a run in a panic, as `println!`
/// would.
pub(crate) fn say(line: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    // The run's outcome is its exit status, so a reader that has gone away loses nothing else.
    let _ = writeln!(out, "{}", line.as_ref()).and_then(|()| out.flush());
}

/// Writes a heading that stands out from the output of the tools around it.
pub(crate) fn heading(text: &str) {
    say(format!(
        "\n==== {text} {}",
        "=".repeat(74_usize.saturating_sub(text.len()))
    ));
}
