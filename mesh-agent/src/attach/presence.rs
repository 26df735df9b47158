//! Whether the agent was away itself, stopped or starved, and for whom that is an excuse.
//!
//! While it was, applications got no answer, and those that waited for long ended their streams to
//! try again. What it hears first when it goes on are these ends, which say nothing of instances.

use std::time::{Duration, Instant};

/// When the agent was seen to run, and when it last came back from not running. Time is an argument.
#[derive(Debug)]
pub(super) struct Presence {
    /// After how long without a look it was away.
    absent_after: Duration,
    seen: Instant,
    returned: Option<Instant>,
}

impl Presence {
    /// Of an agent that is looked at more often than that as long as it runs.
    pub(super) const fn new(absent_after: Duration, now: Instant) -> Self {
        Self {
            absent_after,
            seen: now,
            returned: None,
        }
    }

    /// The agent runs. Says whether it was away until now.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        let was_away = now.saturating_duration_since(self.seen) > self.absent_after;
        if was_away {
            self.returned = Some(now);
        }
        self.seen = now;
        was_away
    }

    /// Whether the end of a stream that began then may be due to an absence: whatever came
    /// meanwhile is heard within moments of the return.
    pub(super) fn excuses(&mut self, began: Instant, now: Instant) -> bool {
        self.look(now);
        self.returned.is_some_and(|returned| {
            let since = now.saturating_duration_since(returned);
            began < returned && since <= self.absent_after
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_streams_from_before_an_absence_are_excused_and_only_shortly_after_it() {
        let began = crate::clock::now();
        let at = |secs| began + Duration::from_secs(secs);
        let mut presence = Presence::new(Duration::from_secs(3), began);
        assert!(!presence.look(at(3)), "as late as it may be");
        assert!(!presence.excuses(began, at(4)));
        // It is found by whoever looks first.
        assert!(presence.excuses(began, at(40)));
        assert!(!presence.look(at(41)));
        assert!(presence.excuses(at(39), at(43)));
        assert!(!presence.excuses(at(40), at(43)), "it began after it");
        assert!(!presence.look(at(44)));
        assert!(!presence.excuses(began, at(44)));
    }
}
