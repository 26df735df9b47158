//! The one place of this crate that reads a clock.

use std::time::{Duration, Instant, SystemTime};

/// The present; that of tokio, which a test may stop.
#[expect(clippy::disallowed_methods, reason = "the clock's home in this crate")]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The present as files have it, since 1970.
#[expect(clippy::disallowed_methods, reason = "the clock's home in this crate")]
pub(crate) fn since_1970() -> Duration {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default()
}
