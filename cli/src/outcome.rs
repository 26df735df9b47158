//! How a command ends: what it wrote, or one line about why it could not, and its exit status.

use std::io::{self, Write as _};

use dreammesh_core::call::CallError;

use crate::terminal::Paint;

/// The exit status of a command, or why it failed.
pub(crate) type Outcome = Result<u8, Failure>;

/// All is well.
pub(crate) const FINE: u8 = 0;
/// The command did its work, and what it looked at is at fault.
pub(crate) const FOUND: u8 = 1;
/// The command line, or what it names, cannot be used.
pub(crate) const USAGE: u8 = 2;

/// The exit status of a call that failed is this and the number of its code.
pub(crate) const STATUS_BASE: u8 = 64;

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    text: String,
}

impl Failure {
    pub(crate) fn new(status: u8, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { status, text }
    }

    /// What the command line names cannot be used.
    pub(crate) fn input(text: impl Into<String>) -> Self {
        Self::new(USAGE, text)
    }

    /// Nobody reads the results any more, which is nobody's fault and ends the command.
    fn unread() -> Self {
        Self::new(FINE, "")
    }

    pub(crate) const fn status(&self) -> u8 {
        self.status
    }

    /// Says on standard error what went wrong.
    pub(crate) fn report(&self, paint: Paint) {
        if self.text.is_empty() {
            return;
        }
        let text = self.text.strip_prefix("error: ").unwrap_or(&self.text);
        note(&format!("{} {text}", paint.bad("error:")));
    }
}

/// One line about a call that failed.
pub(crate) fn call_failed(error: &CallError) -> Failure {
    let mut text = error.code().name().to_owned();
    if !error.message().is_empty() {
        text.push_str(": ");
        text.push_str(&error.message().replace(['\n', '\r'], " "));
    }
    Failure::new(STATUS_BASE + error.code() as u8, text)
}

/// Writes a result to standard output.
///
/// Whoever reads it may have seen enough, as `head` does: that ends the command and is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::unread()),
        Err(error) => Err(Failure::input(format!("cannot write the output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Writes a remark to standard error, which nobody need read.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes a remark over the last one of its kind, on a terminal.
pub(crate) fn rewrite_line(text: &str) {
    let mut out = io::stderr().lock();
    let _ = write!(out, "\r\x1b[K{text}").and_then(|()| out.flush());
}

/// Takes such a remark away.
pub(crate) fn clear_line() {
    rewrite_line("");
}
