//! How much each user of the host is answered.
//!
//! An answer that nobody reads is held until its connection ends, and it is not told when that is.
//! So what one user can make the agent hold grows no faster than this.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use dreammesh_core::call::{Process, Status};

/// How many bytes one answer has at most, roughly.
pub(crate) const ANSWER_BYTES_MAX: usize = 8 << 20;
/// How many bytes of answers a user may have at once.
pub(crate) const USER_BYTES_MAX: usize = 32 << 20;
/// How many more a second.
pub(crate) const USER_BYTES_PER_SECOND: usize = 1 << 20;
/// How many users are told from one another; those beyond share what one has.
pub(crate) const USERS_MAX: usize = 1_024;

/// What users have been answered lately.
#[derive(Debug, Default)]
pub(super) struct Allowance(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    users: BTreeMap<Option<u32>, Used>,
    /// Of the users that there was no room for.
    others: Option<Used>,
}

/// What one user has used and not been given again.
#[derive(Clone, Copy, Debug)]
struct Used {
    bytes: usize,
    /// Up to when it was given again.
    at: Instant,
}

impl Allowance {
    /// Takes an answer's bytes.
    ///
    /// # Errors
    /// When the answer, or what its user was answered lately, is too large.
    pub(super) fn take(
        &self,
        process: Option<Process>,
        bytes: usize,
        now: Instant,
    ) -> Result<(), Status> {
        if bytes > ANSWER_BYTES_MAX {
            return Err(Status::resource_exhausted(format!(
                "the answer would have about {bytes} bytes, and one has at most \
                 {ANSWER_BYTES_MAX}: ask for one service, or one namespace"
            )));
        }
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let user = process.map(|process| process.user);
        if !state.users.contains_key(&user) && state.users.len() >= USERS_MAX {
            state.users.retain(|_, used| {
                used.grow(now);
                used.bytes > 0
            });
        }
        let new = Used { bytes: 0, at: now };
        let is_other = !state.users.contains_key(&user) && state.users.len() >= USERS_MAX;
        let used = match is_other {
            true => state.others.get_or_insert(new),
            false => state.users.entry(user).or_insert(new),
        };
        used.grow(now);
        if used.bytes + bytes > USER_BYTES_MAX {
            return Err(Status::resource_exhausted(
                "this user has asked for too much lately: ask again in a few seconds",
            ));
        }
        used.bytes += bytes;
        Ok(())
    }
}

impl Used {
    fn grow(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_millis();
        let given = passed.saturating_mul(USER_BYTES_PER_SECOND as u128) / 1_000;
        let given = usize::try_from(given).unwrap_or(usize::MAX);
        // Time that gave nothing yet is not lost.
        if given > 0 {
            self.bytes = self.bytes.saturating_sub(given);
            self.at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    fn user(user: u32) -> Option<Process> {
        Some(Process::new(user, 0, None))
    }

    #[test]
    fn an_answer_has_so_many_bytes_and_no_more() {
        let (allowance, now) = (Allowance::default(), clock::now());
        allowance.take(user(7), ANSWER_BYTES_MAX, now).unwrap();
        let error = allowance.take(user(7), ANSWER_BYTES_MAX + 1, now);
        assert!(error.unwrap_err().message().contains("ask for one service"));
    }

    #[test]
    fn a_user_is_answered_so_much_and_so_much_more_a_second() {
        let (allowance, now) = (Allowance::default(), clock::now());
        for _ in 0..USER_BYTES_MAX / ANSWER_BYTES_MAX {
            allowance.take(user(7), ANSWER_BYTES_MAX, now).unwrap();
        }
        assert!(allowance.take(user(7), 1, now).is_err());
        allowance.take(user(8), ANSWER_BYTES_MAX, now).unwrap();
        let later = now + Duration::from_secs(1);
        allowance
            .take(user(7), USER_BYTES_PER_SECOND, later)
            .unwrap();
        assert!(allowance.take(user(7), 1, later).is_err());
    }

    #[test]
    fn users_beyond_the_most_share_what_one_has() {
        let (allowance, now) = (Allowance::default(), clock::now());
        let max = USERS_MAX as u32;
        for number in 0..max {
            allowance.take(user(number), 1, now).unwrap();
        }
        for _ in 0..USER_BYTES_MAX / ANSWER_BYTES_MAX {
            allowance.take(user(max), ANSWER_BYTES_MAX, now).unwrap();
        }
        assert!(allowance.take(user(max + 1), 1, now).is_err());
        let users = |allowance: &Allowance| allowance.0.lock().unwrap().users.len();
        assert_eq!(users(&allowance), USERS_MAX);
        // Who has asked for nothing lately makes room.
        let later = now + Duration::from_secs(1);
        allowance.take(user(max + 1), 1, later).unwrap();
        assert_eq!(users(&allowance), 1);
    }
}
