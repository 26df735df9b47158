//! One coarse timer for everything that a connection waits for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::Sleep;

/// The present on the runtime's clock, which tests can pause.
#[expect(clippy::disallowed_methods, reason = "the clock's home in this crate")]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Fires at or before the time it was last armed for, so that it is reset rarely.
///
/// While calls come and go, the earliest deadline moves on all the time. The timer stays where it
/// is as long as that is early enough, and costs nothing per call.
#[derive(Debug)]
pub(super) struct Timer {
    sleep: Pin<Box<Sleep>>,
    armed: Option<Instant>,
}

impl Timer {
    pub(super) fn new() -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep(std::time::Duration::ZERO)),
            armed: None,
        }
    }

    /// Sees to it that the task is woken at that time at the latest; true if it is due.
    pub(super) fn poll_until(&mut self, next: Option<Instant>, cx: &mut Context<'_>) -> bool {
        let Some(next) = next else { return false };
        if self.armed.is_none_or(|armed| next < armed) {
            self.sleep.as_mut().reset(next.into());
            self.armed = Some(next);
        }
        if self.sleep.as_mut().poll(cx) == Poll::Ready(()) {
            self.armed = None;
            return true;
        }
        false
    }
}
