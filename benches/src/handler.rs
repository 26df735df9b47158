//! What a handler does beside reading its request and answering.
//!
//! The client asks for it by the `id` of the message, so one and the same method has calls of
//! different cost, as a cache has hits and misses.

use std::time::Duration;

use crate::machine;
use crate::message::small;

/// What the handler of one call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handler {
    /// Answers at once.
    Immediate,
    /// Gives way to other tasks once, as a handler does that waits for something.
    Yields,
    /// Sleeps for [`SLEEP`].
    Sleeps,
    /// Computes for [`COMPUTE`] of CPU time without giving way.
    Computes,
}

/// How long a sleeping handler sleeps.
pub const SLEEP: Duration = Duration::from_millis(5);

/// How much CPU time a computing handler spends.
pub const COMPUTE: Duration = Duration::from_millis(1);

impl Handler {
    /// Every handler; each stands at the place of its number.
    pub const ALL: [Self; 4] = [Self::Immediate, Self::Yields, Self::Sleeps, Self::Computes];

    /// The `id` of the message that asks for it.
    #[must_use]
    pub const fn id(self) -> u64 {
        small::ID + self as u64
    }

    /// The handler that a message asks for; a number that nobody sends asks for nothing special.
    #[inline]
    #[must_use]
    pub fn asked_by(id: u64) -> Self {
        let place = usize::try_from(id.wrapping_sub(small::ID)).unwrap_or(usize::MAX);
        Self::ALL.get(place).copied().unwrap_or(Self::Immediate)
    }

    /// Does it; every system's handler awaits this between reading and answering.
    #[inline]
    pub async fn play(self) {
        match self {
            Self::Immediate => {}
            Self::Yields => tokio::task::yield_now().await,
            // Boxed, so that the rare call does not make every call's future larger.
            Self::Sleeps => Box::pin(tokio::time::sleep(SLEEP)).await,
            Self::Computes => compute(),
        }
    }
}

fn compute() {
    let begun = machine::thread_cpu_spent();
    while machine::thread_cpu_spent().saturating_sub(begun) < COMPUTE {
        std::hint::spin_loop();
    }
}

/// Which handlers a workload's calls ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mix {
    /// What the calls that are counted ask for.
    pub usual: Handler,
    /// What one call in [`EXCEPTION_EVERY`] asks for instead; its latency is not counted.
    pub exception: Option<Handler>,
}

/// One call in so many is the exception of a mix: 1 %.
pub const EXCEPTION_EVERY: u64 = 100;

impl Mix {
    /// Every call asks for the same.
    #[must_use]
    pub const fn all(usual: Handler) -> Self {
        Self {
            usual,
            exception: None,
        }
    }

    /// One call in a hundred asks for something else.
    #[must_use]
    pub const fn one_percent(exception: Handler) -> Self {
        Self {
            usual: Handler::Immediate,
            exception: Some(exception),
        }
    }

    /// The handler of the call with this number, and whether its latency counts.
    #[inline]
    #[must_use]
    pub const fn of(self, number: u64) -> (Handler, bool) {
        match self.exception {
            // The middle of each hundred, so that no run begins with the exception.
            Some(exception) if number % EXCEPTION_EVERY == EXCEPTION_EVERY / 2 => {
                (exception, false)
            }
            _ => (self.usual, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_handler_is_found_by_the_message_that_asks_for_it() {
        for handler in Handler::ALL {
            assert_eq!(Handler::asked_by(handler.id()), handler);
        }
        assert_eq!(Handler::asked_by(small::ID + 4), Handler::Immediate);
        assert_eq!(Handler::asked_by(0), Handler::Immediate);
    }

    #[test]
    fn one_call_in_a_hundred_is_the_exception() {
        let mix = Mix::one_percent(Handler::Sleeps);
        let exceptions = (0..1_000).filter(|&number| mix.of(number) == (Handler::Sleeps, false));
        assert_eq!(exceptions.count(), 10);
        assert!((0..1_000).all(|number| Mix::all(Handler::Yields).of(number).1));
    }
}
