//! The one place of this crate that reads the clock.

use std::time::Instant;

/// The present, for a deadline or a measurement; calls with neither never ask.
#[expect(clippy::disallowed_methods, reason = "the clock's home in this crate")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
