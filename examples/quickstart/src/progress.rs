//! Saying how far it is: a bar that is redrawn in a terminal, plain lines elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

/// Where progress is shown.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
}

/// How many characters the bar has.
const WIDTH: usize = 30;

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Shows what happens now.
    pub(crate) fn begin(&self, what: &str) {
        if !self.terminal {
            let _ = writeln!(std::io::stderr(), "  {what}");
        }
    }

    /// Shows that so much of it has passed.
    pub(crate) fn show(&self, what: &str, passed: Duration, whole: Duration) {
        if self.terminal {
            let share = (passed.as_secs_f64() / whole.as_secs_f64()).min(1.0);
            let filled = (share * WIDTH as f64) as usize;
            let bar = format!("{}{}", "█".repeat(filled), "░".repeat(WIDTH - filled));
            let mut out = std::io::stderr().lock();
            let _ = write!(out, "\r\x1b[2K  {bar} {what}").and_then(|()| out.flush());
        }
    }

    /// Shows that everything was done.
    pub(crate) fn done(&self) {
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}
