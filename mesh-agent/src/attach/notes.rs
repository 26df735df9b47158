//! How many lines of the log the programs of a user can cause.
//!
//! A program can ask for what is refused as often as it likes, and come and go. What it does is
//! logged, and not so often that the disk fills with it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use dreammesh_core::call::Process;

/// How many lines a user has in each tick: more than whoever starts all programs of a host at once
/// needs, and at a second a tick some ten megabytes a day at the most.
pub(super) const LINES_MAX: u32 = 50;

#[derive(Debug, Default)]
pub(super) struct Notes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    tick: u64,
    /// In this tick.
    lines: BTreeMap<Option<u32>, u32>,
    withheld: u64,
}

impl Notes {
    /// Whether one more line may be written because of a process.
    pub(super) fn take(&self, process: Option<Process>, tick: u64) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.tick != tick {
            state.tick = tick;
            state.lines.clear();
            let withheld = std::mem::take(&mut state.withheld);
            if withheld > 0 {
                tracing::warn!(withheld, "lines of the log that programs caused");
            }
        }
        let user = process.map(|process| process.user);
        let lines = state.lines.entry(user).or_default();
        let left = *lines < LINES_MAX;
        *lines += u32::from(left);
        state.withheld += u64::from(!left);
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_so_many_lines_a_tick_and_leaves_the_others_theirs() {
        let notes = Notes::default();
        let taken = |user, tick| {
            let process = Some(Process::new(user, 0, None));
            (0..1_000).filter(|_| notes.take(process, tick)).count() as u32
        };
        assert_eq!(taken(7, 1), LINES_MAX);
        assert_eq!(taken(7, 1), 0);
        assert_eq!(taken(8, 1), LINES_MAX);
        assert_eq!(taken(7, 2), LINES_MAX);
    }
}
