//! How far a run has come, and how long it has yet to go.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crate::machine;

/// A line on standard error that is kept up to date, or a line a step where nobody watches.
#[derive(Debug)]
pub struct Progress {
    steps: usize,
    done: usize,
    begun: Instant,
    expected: Duration,
    watched: bool,
}

impl Progress {
    /// A run of so many steps, each expected to take so long until the first ones have shown it.
    #[must_use]
    pub fn new(steps: usize, expected: Duration) -> Self {
        Self {
            steps,
            done: 0,
            begun: machine::now(),
            expected,
            watched: std::io::stderr().is_terminal(),
        }
    }

    /// Says what is measured next.
    pub fn step(&mut self, what: &str) {
        let line = self.line(what, self.begun.elapsed());
        self.done += 1;
        let mut out = std::io::stderr().lock();
        // Nobody to show it to is no reason to stop.
        let _ = if self.watched {
            write!(out, "\r\x1b[K{line}").and_then(|()| out.flush())
        } else {
            writeln!(out, "{line}")
        };
    }

    /// Leaves the line behind.
    pub fn end(&self) {
        if self.watched {
            eprintln!();
        }
    }

    fn line(&self, what: &str, elapsed: Duration) -> String {
        let left = remaining(self.steps, self.done, elapsed, self.expected);
        let width = self.steps.to_string().len();
        let number = self.done + 1;
        format!(
            "[{number:>width$}/{}] {} left  {what}",
            self.steps,
            clock(left)
        )
    }
}

/// The time that the steps still take if they take as long as those before.
fn remaining(steps: usize, done: usize, elapsed: Duration, expected: Duration) -> Duration {
    let left = u32::try_from(steps.saturating_sub(done)).unwrap_or(u32::MAX);
    match u32::try_from(done) {
        Ok(done) if done > 0 => elapsed / done * left,
        _ => expected * left,
    }
}

/// Minutes and seconds.
#[must_use]
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_from_the_steps_that_were_made() {
        let second = Duration::from_secs(1);
        assert_eq!(remaining(10, 0, Duration::ZERO, 2 * second), 20 * second);
        assert_eq!(remaining(10, 4, 12 * second, 2 * second), 18 * second);
        assert_eq!(remaining(10, 10, 30 * second, second), Duration::ZERO);
        assert_eq!(clock(125 * second), "2:05");
    }
}
