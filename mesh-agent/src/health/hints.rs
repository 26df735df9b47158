//! What applications say of the endpoints that they call, and how little it can do.
//!
//! A report of failures may bring the next check of an instance forward, and that is all: what the
//! check finds counts, and not what was said. So no program can take an endpoint away from others.
//! How many checks it can cause is bounded for each program and for each instance.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How soon after one check another may be brought forward: with a timeout of a second, reports
/// at most double what an instance has to answer.
pub(super) const GAP: Duration = Duration::from_secs(1);
/// How many checks one program may bring forward at once.
pub(super) const HINTS_MAX: u32 = 8;
/// After how long it may bring one more forward.
pub(super) const HINT_STEP: Duration = Duration::from_millis(500);
/// How many programs are told from one another; those beyond share what one has.
pub(super) const PROGRAMS_MAX: usize = 1_024;

/// What each program may still ask for.
#[derive(Debug, Default)]
pub(super) struct Hints {
    by_program: BTreeMap<Box<str>, Bucket>,
    /// Of the programs that there was no room for.
    others: Bucket,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// How many have been used and not grown again, `0 <= used <= HINTS_MAX`.
    used: u32,
    /// Up to when it has grown again; none while it never was used.
    grown: Option<Instant>,
}

impl Hints {
    /// Takes one of a program's, if there is one left.
    pub(super) fn take(&mut self, program: &str, now: Instant) -> bool {
        if let Some(bucket) = self.by_program.get_mut(program) {
            return bucket.take(now);
        }
        if self.by_program.len() >= PROGRAMS_MAX {
            self.by_program.retain(|_, bucket| !bucket.is_full(now));
        }
        if self.by_program.len() >= PROGRAMS_MAX {
            return self.others.take(now);
        }
        let bucket = self.by_program.entry(program.into()).or_default();
        bucket.take(now)
    }
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        self.grow(now);
        let left = self.used < HINTS_MAX;
        self.used += u32::from(left);
        left
    }

    fn is_full(&mut self, now: Instant) -> bool {
        self.grow(now);
        self.used == 0
    }

    fn grow(&mut self, now: Instant) {
        let from = *self.grown.get_or_insert(now);
        let steps = now.saturating_duration_since(from).as_nanos() / HINT_STEP.as_nanos();
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.used = self.used.saturating_sub(steps);
        // What had all grown again does not begin to grow before it is used.
        self.grown = Some(match self.used {
            0 => now,
            _ => from + HINT_STEP * steps,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn taken(hints: &mut Hints, program: &str, now: Instant) -> u32 {
        (0..1_000).filter(|_| hints.take(program, now)).count() as u32
    }

    #[test]
    fn a_program_has_so_many_at_once_and_one_more_a_step() {
        let (mut hints, now) = (Hints::default(), clock::now());
        assert_eq!(taken(&mut hints, "a", now), HINTS_MAX);
        let before = now + HINT_STEP - Duration::from_nanos(1);
        assert_eq!(taken(&mut hints, "a", before), 0);
        assert_eq!(taken(&mut hints, "a", now + HINT_STEP), 1);
        assert_eq!(taken(&mut hints, "a", now + 4 * HINT_STEP), 3);
        assert_eq!(taken(&mut hints, "a", now + 1_000 * HINT_STEP), HINTS_MAX);
        assert_eq!(taken(&mut hints, "b", now), HINTS_MAX, "each has its own");
    }

    #[test]
    fn programs_beyond_the_most_share_what_one_has() {
        let (mut hints, now) = (Hints::default(), clock::now());
        for program in 0..PROGRAMS_MAX {
            assert!(hints.take(&format!("program-{program}"), now));
        }
        assert_eq!(hints.by_program.len(), PROGRAMS_MAX);
        let first = taken(&mut hints, "one past it", now);
        let second = taken(&mut hints, "two past it", now);
        assert_eq!((first, second), (HINTS_MAX, 0));
        assert_eq!(hints.by_program.len(), PROGRAMS_MAX);
        // Who has asked for nothing lately makes room.
        assert!(hints.take("three past it", now + HINT_STEP));
        assert_eq!(hints.by_program.len(), 1);
    }
}
