//! Saying how far it is: a bar that is redrawn in a terminal, plain lines elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

/// Where progress is shown.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
    seconds_said: u64,
}

/// How many characters the bar has.
const WIDTH: usize = 40;

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            seconds_said: 0,
        }
    }

    /// Shows that so much of the whole has passed.
    pub(crate) fn show(&mut self, passed: Duration, whole: Duration) {
        let mut out = std::io::stderr().lock();
        let share = (passed.as_secs_f64() / whole.as_secs_f64()).min(1.0);
        if self.terminal {
            let filled = (share * WIDTH as f64) as usize;
            let bar = format!("{}{}", "█".repeat(filled), "░".repeat(WIDTH - filled));
            let _ = write!(out, "\r  {bar} {:>3.0} %", share * 100.0).and_then(|()| out.flush());
        } else if passed.as_secs() > self.seconds_said {
            self.seconds_said = passed.as_secs();
            let _ = writeln!(out, "  {} s of {} s", passed.as_secs(), whole.as_secs());
        }
    }

    /// Shows that everything was done.
    pub(crate) fn done(&self, calls: u64) {
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        let _ = writeln!(std::io::stderr(), "{clear}  {calls} calls by customers");
    }
}
