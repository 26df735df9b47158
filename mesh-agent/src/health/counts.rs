//! The figures of the checks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::subject::Kind;
use super::verdict::Answer;
use crate::metrics::{head, line};

/// How many checks there were, how they ended, how long they took.
#[derive(Debug, Default)]
pub(super) struct Counts {
    ended: [[AtomicU64; Answer::ALL.len()]; Kind::ALL.len()],
    /// By the first bound of [`BOUNDS_MS`] that they did not exceed, the last beyond all.
    took: [AtomicU64; BOUNDS_MS.len() + 1],
    took_us: AtomicU64,
    /// Reports of failures, by whether they brought a check forward, and what not.
    hints: [AtomicU64; HINTS.len()],
}

/// What became of a report that an instance fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    Taken,
    /// The program had used up what it may ask for.
    TooMany,
    /// The instance is not checked here, was just checked, or is about to be.
    NotNeeded,
}

impl Counts {
    pub(super) fn ended(&self, kind: Kind, answer: Answer, took: Duration) {
        add(&self.ended[kind as usize][answer as usize], 1);
        let bound = BOUNDS_MS
            .iter()
            .position(|bound| took <= Duration::from_millis(*bound));
        add(&self.took[bound.unwrap_or(BOUNDS_MS.len())], 1);
        add(
            &self.took_us,
            u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        );
    }

    pub(super) fn hinted(&self, hint: Hint) {
        add(&self.hints[hint as usize], 1);
    }

    pub(super) fn of(&self, kind: Kind, answer: Answer) -> u64 {
        read(&self.ended[kind as usize][answer as usize])
    }

    #[cfg(test)]
    pub(super) fn hinted_so(&self, hint: Hint) -> u64 {
        read(&self.hints[hint as usize])
    }

    pub(super) fn write(&self, text: &mut String) {
        let name = "dreammesh_agent_checks_total";
        head(
            text,
            name,
            "counter",
            "Checks of instances, by kind and result.",
        );
        for kind in Kind::ALL {
            for answer in Answer::ALL {
                let count = self.of(kind, answer);
                let labels = [("kind", kind.as_str()), ("result", answer.as_str())];
                line(text, name, &labels, count);
            }
        }
        self.write_durations(text);
        let name = "dreammesh_agent_reported_failures_total";
        let help = "Reports that an instance fails, by whether they brought its check forward.";
        head(text, name, "counter", help);
        for (count, effect) in self.hints.iter().zip(HINTS) {
            line(text, name, &[("effect", effect)], read(count));
        }
    }

    fn write_durations(&self, text: &mut String) {
        let name = "dreammesh_agent_check_duration_seconds";
        head(text, name, "histogram", "How long checks took.");
        let (bucket, mut count) = (format!("{name}_bucket"), 0);
        for (index, took) in self.took.iter().enumerate() {
            count += read(took);
            let bound = BOUNDS_MS.get(index).map(|ms| *ms as f64 / 1e3);
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
            line(text, &bucket, &[("le", &bound)], count);
        }
        let sum = read(&self.took_us) as f64 / 1e6;
        line(text, &format!("{name}_sum"), &[], sum);
        line(text, &format!("{name}_count"), &[], count);
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// From one on the same host to the timeout.
const BOUNDS_MS: [u64; 7] = [1, 5, 20, 100, 250, 500, 1_000];
/// In the order of [`Hint`].
const HINTS: [&str; 3] = ["brought forward", "too many", "not needed"];
