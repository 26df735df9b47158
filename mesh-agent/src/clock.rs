//! The one place of this crate that reads clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

/// Waits until this process has run for so long. A stop of it counts for no more than
/// [`STOP_COUNTS`]: what others may do meanwhile they could not do while nobody was there to hear it.
pub(crate) async fn run_for(duration: Duration) {
    let mut left = duration;
    while !left.is_zero() {
        let step = left.min(STOP_COUNTS);
        tokio::time::sleep(step).await;
        left -= step;
    }
}

/// Rare enough to cost nothing.
const STOP_COUNTS: Duration = Duration::from_secs(1);
