//! The one place of this crate that reads clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The present; in tests whose time stands still, theirs.
#[expect(clippy::disallowed_methods, reason = "the clock's home in this crate")]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// What the clock on the wall shows, in milliseconds since 1970. It may jump, so nothing is decided
/// by it: it is shown to people alone.
#[expect(clippy::disallowed_methods, reason = "the clock's home in this crate")]
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
