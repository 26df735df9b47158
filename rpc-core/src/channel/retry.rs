//! Attempt: whether one that failed is made again by the library itself.
//!
//! Only what cannot change the outcome of a call is done unasked. An attempt whose connection came
//! to its end is made on another one if the server provably did not begin it, or if the method is
//! declared to be idempotent. Repetitions of the second kind load servers that may be in trouble,
//! so they come out of a [`Budget`], a handler that itself serves a repetition makes none, and what
//! a service further behind answered is repeated by the hop before that service alone.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::call::{self, Begun, Code, Idempotency, Initiator, MethodInfo, MethodKind};
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
        // Nor does an endpoint that passes on what a service behind it answered say anything of
        // itself: another one would ask that service once more.
        if *stated && call::is_of_downstream(status) {
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

/// Bounds the repetitions of a channel's calls to a fifth of them, or to a floor for channels that
/// make few, whichever is more.
#[derive(Debug)]
pub(crate) struct Budget {
    /// What calls have paid in and repetitions not used up; a repetition costs [`PRICE`]. Those of
    /// the floor are taken on credit, so that it adds nothing to what a busy channel may repeat.
    balance: AtomicI32,
    floor: Mutex<Floor>,
}

/// Repetitions on credit.
#[derive(Debug)]
struct Floor {
    left: u32,
    /// When it was filled; none while it never was used.
    filled: Option<Instant>,
}

impl Budget {
    pub(crate) const fn new() -> Self {
        let floor = Floor {
            left: FLOOR_MAX,
            filled: None,
        };
        Self {
            balance: AtomicI32::new(0),
            floor: Mutex::new(floor),
        }
    }

    /// A call was made that could be repeated.
    #[inline]
    pub(crate) fn pay(&self) {
        // Two threads that pass the bound together exceed it by one, which harms nobody.
        if self.balance.load(Ordering::Relaxed) < PAID_MAX {
            self.balance.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a repetition, if there is one left.
    fn take(&self, now: Instant) -> bool {
        let bought = self
            .balance
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |balance| {
                (balance >= PRICE).then(|| balance - PRICE)
            });
        bought.is_ok() || self.borrow(now)
    }

    #[cold]
    fn borrow(&self, now: Instant) -> bool {
        let mut floor = self.floor.lock().unwrap_or_else(PoisonError::into_inner);
        if floor.fill(now) {
            // What few calls have not paid back by now is forgiven.
            self.balance.fetch_max(0, Ordering::Relaxed);
        }
        let left = floor.left.checked_sub(1);
        floor.left = left.unwrap_or(0);
        if left.is_some() {
            self.balance.fetch_sub(PRICE, Ordering::Relaxed);
        }
        left.is_some()
    }
}

impl Floor {
    /// Whether it is full again.
    fn fill(&mut self, now: Instant) -> bool {
        let filled = *self.filled.get_or_insert(now);
        let is_due = now.saturating_duration_since(filled) >= FLOOR_PERIOD;
        if is_due {
            self.left = FLOOR_MAX;
            self.filled = Some(now);
        }
        is_due
    }
}

/// How often a call is made again that may have begun: a service that loses a connection three
/// times in a row under the same call is in more trouble than a fourth could mend.
const REPETITIONS_MAX: u32 = 2;
/// Calls for each repetition: a fifth more load is what a service must bear anyway.
const PRICE: i32 = 5;
/// What can be saved up: enough for all calls that are outstanding when a busy connection is cut.
const PAID_MAX: i32 = 2_000 * PRICE;
/// A channel that makes few calls may repeat them all when its connection is cut.
const FLOOR_MAX: u32 = 100;
/// After how long as many may be taken on credit again: ten in a second over time.
const FLOOR_PERIOD: Duration = Duration::from_secs(10);

#[cfg(test)]
mod amplification;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{CallError, Metadata, Status};
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
        let downstream = CallError::new(said.status.clone(), Initiator::Peer, Begun::Maybe);
        let passed_on = Ended {
            status: downstream.into(),
            ..said.clone()
        };
        let of_another = Failed {
            ended: &passed_on,
            ..failed(Idempotency::Idempotent, true)
        };
        assert_eq!(verdict(&of_another), Verdict::Fail);
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

    fn taken(budget: &Budget, at: Instant) -> u32 {
        (0..1_000).filter(|_| budget.take(at)).count() as u32
    }

    #[test]
    fn the_floor_is_used_up_and_fills_again_with_time() {
        let (budget, now) = (Budget::new(), clock::now());
        assert_eq!(taken(&budget, now), FLOOR_MAX);
        let before = now + FLOOR_PERIOD - Duration::from_nanos(1);
        assert_eq!(taken(&budget, before), 0);
        assert_eq!(taken(&budget, now + FLOOR_PERIOD), FLOOR_MAX);
        assert_eq!(taken(&budget, now + 1_000_000 * FLOOR_PERIOD), FLOOR_MAX);
    }

    #[test]
    fn what_was_taken_on_credit_is_paid_back_first() {
        let (budget, now) = (Budget::new(), clock::now());
        assert_eq!(taken(&budget, now), FLOOR_MAX);
        let credit = FLOOR_MAX as i32 * PRICE;
        (1..credit + PRICE).for_each(|_| budget.pay());
        assert_eq!(taken(&budget, now), 0);
        budget.pay();
        assert_eq!(taken(&budget, now), 1);
    }

    #[test]
    fn credit_is_forgiven_when_the_floor_is_full_again() {
        let (budget, now) = (Budget::new(), clock::now());
        assert_eq!(taken(&budget, now), FLOOR_MAX);
        assert_eq!(taken(&budget, now + FLOOR_PERIOD), FLOOR_MAX);
        let credit = FLOOR_MAX as i32 * PRICE;
        // Of the second credit alone.
        (0..credit + PRICE).for_each(|_| budget.pay());
        assert_eq!(taken(&budget, now + FLOOR_PERIOD), 1);
    }

    #[test]
    fn five_calls_pay_for_one_repetition_and_no_more_than_the_most_is_saved() {
        let (budget, now) = (Budget::new(), clock::now());
        assert_eq!(taken(&budget, now), FLOOR_MAX);
        let credit = FLOOR_MAX as i32 * PRICE;
        (0..credit + 2 * PAID_MAX).for_each(|_| budget.pay());
        let taken = (0..2 * PAID_MAX).filter(|_| budget.take(now)).count() as i32;
        assert_eq!(taken, PAID_MAX / PRICE);
    }
}
