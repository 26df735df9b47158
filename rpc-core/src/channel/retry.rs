//! Attempt: whether one that failed is made again by the library itself.
//!
//! Only what cannot change the outcome of a call is done unasked. An attempt whose connection came
//! to its end is made on another one if the server provably did not begin it, or if the method is
//! declared to be idempotent. Repetitions of the second kind load servers that may be in trouble,
//! so they come out of a [`Budget`], and a handler that itself serves a repetition makes none.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::call::{Begun, Code, Idempotency, Initiator, MethodInfo, MethodKind};
use crate::port::Ended;

/// What is known of an attempt that failed.
#[derive(Debug)]
pub(crate) struct Failed<'a> {
    pub(crate) ended: &'a Ended,
    /// Whether its connection takes no more calls.
    pub(crate) connection_over: bool,
    /// Whether the next attempt goes to another endpoint.
    pub(crate) elsewhere: bool,
    pub(crate) idempotency: Idempotency,
    /// How often the call was begun before this attempt, as far as anybody knows.
    pub(crate) attempt: u32,
    /// Whether the call is made on behalf of one that is a repetition already.
    pub(crate) nested: bool,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the caller's to know.
    Fail,
    /// It did not begin, so this is no repetition.
    Anew,
    /// It may have begun: the next attempt is counted as a repetition.
    Repeat,
}

impl Failed<'_> {
    /// Decides about a failed attempt; a repetition is taken from the budget.
    pub(crate) fn verdict(&self, budget: &Budget, now: impl FnOnce() -> Instant) -> Verdict {
        let Ended {
            status,
            initiator,
            begun,
            stated,
            ..
        } = self.ended;
        let over = self.connection_over || self.elsewhere;
        let lost = over && status.code() == Code::Unavailable;
        if !lost || *initiator == Initiator::Caller {
            return Verdict::Fail;
        }
        if *begun == Begun::No {
            return Verdict::Anew;
        }
        // A handler that answers UNAVAILABLE means what it says, whatever becomes of the
        // connection: during a drain, every connection takes no more calls. It does not speak for
        // other endpoints.
        if *stated && !self.elsewhere {
            return Verdict::Fail;
        }
        let allowed = is_repeatable(self.idempotency) && !self.nested;
        if allowed && self.attempt < REPETITIONS_MAX && budget.take(now()) {
            Verdict::Repeat
        } else {
            Verdict::Fail
        }
    }
}

/// Whether doing it twice does no harm.
pub(crate) const fn is_repeatable(idempotency: Idempotency) -> bool {
    !matches!(idempotency, Idempotency::Unknown)
}

/// Whether it does no harm if somebody else makes the same call again, and it waits for one answer.
pub(crate) fn is_harmless(method: &MethodInfo) -> bool {
    method.options().idempotency == Idempotency::NoSideEffects && method.kind() == MethodKind::Unary
}

/// Bounds the repetitions of a channel's calls to a fifth of them, and a floor for channels that
/// make few.
#[derive(Debug)]
pub(crate) struct Budget {
    /// What calls have paid in and repetitions not used up; a repetition costs [`PRICE`].
    paid: AtomicU32,
    floor: Mutex<Floor>,
}

/// Repetitions that are free.
#[derive(Debug)]
struct Floor {
    left: u32,
    /// Up to when it was filled; none while it never was used.
    filled: Option<Instant>,
}

impl Budget {
    pub(crate) const fn new() -> Self {
        let floor = Floor {
            left: FLOOR_MAX,
            filled: None,
        };
        Self {
            paid: AtomicU32::new(0),
            floor: Mutex::new(floor),
        }
    }

    /// A call was made that could be repeated.
    #[inline]
    pub(crate) fn pay(&self) {
        // Two threads that pass the bound together exceed it by one, which harms nobody.
        if self.paid.load(Ordering::Relaxed) < PAID_MAX {
            self.paid.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a repetition, if there is one left.
    fn take(&self, now: Instant) -> bool {
        let bought = self
            .paid
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |paid| {
                paid.checked_sub(PRICE)
            });
        bought.is_ok()
            || self
                .floor
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(now)
    }
}

impl Floor {
    fn take(&mut self, now: Instant) -> bool {
        let filled = *self.filled.get_or_insert(now);
        let grown = now.saturating_duration_since(filled).as_nanos() / FLOOR_STEP.as_nanos();
        if grown > 0 {
            let grown = u32::try_from(grown).unwrap_or(u32::MAX);
            self.left = self.left.saturating_add(grown).min(FLOOR_MAX);
            self.filled = Some(match self.left {
                FLOOR_MAX => now,
                _ => filled + FLOOR_STEP * grown,
            });
        }
        let left = self.left.checked_sub(1);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

/// How often a call is made again that may have begun: a service that loses a connection three
/// times in a row under the same call is in more trouble than a fourth could mend.
const REPETITIONS_MAX: u32 = 2;
/// Calls for each repetition: a fifth more load is what a service must bear anyway.
const PRICE: u32 = 5;
/// What can be saved up: enough for all calls that are outstanding when a busy connection is cut.
const PAID_MAX: u32 = 2_000 * PRICE;
/// A channel that makes few calls may repeat them all when its connection is cut.
const FLOOR_MAX: u32 = 100;
/// After how long one more is free: ten in a second.
const FLOOR_STEP: Duration = Duration::from_millis(100);

#[cfg(test)]
mod amplification;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Metadata, Status};
    use crate::clock;

    fn lost(begun: Begun) -> Ended {
        Ended::by_library(Status::unavailable("connection lost"), begun)
    }

    fn failed(ended: &Ended) -> Failed<'_> {
        Failed {
            ended,
            connection_over: true,
            elsewhere: false,
            idempotency: Idempotency::Unknown,
            attempt: 0,
            nested: false,
        }
    }

    fn verdict(failed: &Failed<'_>) -> Verdict {
        failed.verdict(&Budget::new(), clock::now)
    }

    #[test]
    fn what_did_not_begin_is_made_anew_whatever_the_method() {
        let ended = lost(Begun::No);
        for idempotency in [Idempotency::Unknown, Idempotency::Idempotent] {
            let failed = Failed {
                idempotency,
                attempt: 9,
                nested: true,
                ..failed(&ended)
            };
            assert_eq!(verdict(&failed), Verdict::Anew);
        }
    }

    #[test]
    fn what_may_have_begun_is_repeated_only_where_that_does_no_harm() {
        let ended = lost(Begun::Maybe);
        assert_eq!(verdict(&failed(&ended)), Verdict::Fail);
        for idempotency in [Idempotency::NoSideEffects, Idempotency::Idempotent] {
            let harmless = |attempt, nested| Failed {
                idempotency,
                attempt,
                nested,
                ..failed(&ended)
            };
            assert_eq!(verdict(&harmless(0, false)), Verdict::Repeat);
            assert_eq!(
                verdict(&harmless(REPETITIONS_MAX - 1, false)),
                Verdict::Repeat
            );
            assert_eq!(verdict(&harmless(REPETITIONS_MAX, false)), Verdict::Fail);
            assert_eq!(verdict(&harmless(0, true)), Verdict::Fail);
        }
    }

    #[test]
    fn only_the_end_of_a_connection_is_a_reason() {
        let said = Ended::by_peer(Status::unavailable("later"), Begun::No, Metadata::new());
        let goes_on = Failed {
            connection_over: false,
            ..failed(&said)
        };
        assert_eq!(verdict(&goes_on), Verdict::Fail);
        let handlers_own = Ended {
            begun: Begun::Maybe,
            ..said.clone()
        };
        let idempotent = Failed {
            idempotency: Idempotency::Idempotent,
            ..failed(&handlers_own)
        };
        assert_eq!(verdict(&idempotent), Verdict::Fail);
        // The server did not begin it, since it drains.
        assert_eq!(verdict(&failed(&said)), Verdict::Anew);
        let other = Ended::by_library(Status::internal("a bug"), Begun::No);
        assert_eq!(verdict(&failed(&other)), Verdict::Fail);
        let caller = Ended::by_caller(Status::unavailable("gave up"), Begun::No);
        assert_eq!(verdict(&failed(&caller)), Verdict::Fail);
    }

    #[test]
    fn one_endpoint_does_not_speak_for_the_others() {
        let said = Ended::by_peer(Status::unavailable("later"), Begun::Maybe, Metadata::new());
        let failed = |idempotency, elsewhere| Failed {
            connection_over: false,
            elsewhere,
            idempotency,
            ..failed(&said)
        };
        assert_eq!(
            verdict(&failed(Idempotency::Idempotent, true)),
            Verdict::Repeat
        );
        assert_eq!(
            verdict(&failed(Idempotency::Idempotent, false)),
            Verdict::Fail
        );
        assert_eq!(verdict(&failed(Idempotency::Unknown, true)), Verdict::Fail);
        let refused = Ended {
            begun: Begun::No,
            ..said.clone()
        };
        let anew = Failed {
            connection_over: false,
            elsewhere: true,
            ..self::failed(&refused)
        };
        assert_eq!(verdict(&anew), Verdict::Anew);
    }

    #[test]
    fn the_floor_is_used_up_and_fills_again_with_time() {
        let (budget, now) = (Budget::new(), clock::now());
        let taken = |at| (0..1_000).filter(|_| budget.take(at)).count() as u32;
        assert_eq!(taken(now), FLOOR_MAX);
        assert_eq!(taken(now + FLOOR_STEP - Duration::from_nanos(1)), 0);
        assert_eq!(taken(now + FLOOR_STEP), 1);
        assert_eq!(taken(now + 11 * FLOOR_STEP), 10);
        assert_eq!(taken(now + 1_000_000 * FLOOR_STEP), FLOOR_MAX);
    }

    #[test]
    fn five_calls_pay_for_one_repetition_and_no_more_than_the_most_is_saved() {
        let (budget, now) = (Budget::new(), clock::now());
        while budget.floor.lock().unwrap().take(now) {}
        (1..PRICE).for_each(|_| budget.pay());
        assert!(!budget.take(now));
        budget.pay();
        assert!(budget.take(now));
        assert!(!budget.take(now));
        (0..2 * PAID_MAX).for_each(|_| budget.pay());
        let taken = (0..2 * PAID_MAX).filter(|_| budget.take(now)).count() as u32;
        assert_eq!(taken, PAID_MAX / PRICE);
    }
}
