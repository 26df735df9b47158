//! Whether a connection takes calls, and what follows where calls wait elsewhere for its room.
//!
//! A client's connections to one endpoint can form a pool: a call that finds its connection full
//! does not wait there but at the pool, for whichever connection has room first. Each says when it
//! has some, as long as somebody may wait.

use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Poll;

use super::shared::Shared;

/// Where calls wait that found their connection full.
pub(crate) trait Pool: Send + Sync {
    /// A connection has room for so many more calls: as many are woken. If none waits, it is open
    /// to all again, before one can begin to wait.
    fn has_room(&self, calls: usize, standing: &Standing);

    /// A connection takes no more calls.
    fn is_less(&self);
}

/// Whether a connection takes calls.
///
/// All changes but the one from eased to open are made under the session's lock.
#[derive(Debug)]
pub(crate) struct Standing(AtomicU8);

/// It takes calls.
const OPEN: u8 = 0;
/// It was full and has room again, which is first of all for the calls that wait.
const EASED: u8 = 1;
/// As many calls run as the server serves.
const FULL: u8 = 2;
/// It is closed or draining; this is the last.
const CLOSED: u8 = 3;

impl Standing {
    pub(crate) const fn new() -> Self {
        Self(AtomicU8::new(OPEN))
    }

    /// Whether any call may go there.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire) == OPEN
    }

    /// Whether a call may go there that waits for no other.
    pub(crate) fn has_room(&self) -> bool {
        self.0.load(Ordering::Acquire) <= EASED
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Ordering::Acquire) == CLOSED
    }

    pub(super) fn close(&self) {
        self.0.store(CLOSED, Ordering::Release);
    }

    /// A call found no room.
    pub(crate) fn fill(&self) {
        let is_closed = |was| (was != CLOSED).then_some(FULL);
        let order = (Ordering::AcqRel, Ordering::Acquire);
        let _ = self.0.fetch_update(order.0, order.1, is_closed);
    }

    /// There is room again; true if somebody may wait for it elsewhere.
    pub(crate) fn ease(&self) -> bool {
        let eased = |was| matches!(was, FULL | EASED).then_some(EASED);
        let order = (Ordering::AcqRel, Ordering::Acquire);
        self.0.fetch_update(order.0, order.1, eased).is_ok()
    }

    #[inline]
    fn is_eased(&self) -> bool {
        self.0.load(Ordering::Relaxed) == EASED
    }

    /// Nobody waits for the room that there is.
    pub(crate) fn open_again(&self) {
        let order = (Ordering::AcqRel, Ordering::Relaxed);
        let _ = self.0.compare_exchange(EASED, OPEN, order.0, order.1);
    }
}

impl Shared {
    /// Tells those who wait elsewhere of room here.
    pub(super) fn tell_room(&self, calls: usize) {
        let pool = self.pool.as_ref().and_then(|pool| pool.upgrade());
        match pool {
            Some(pool) => pool.has_room(calls, &self.standing),
            None => self.standing.open_again(),
        }
    }

    /// Tells those who wait elsewhere that there will be no room here.
    pub(super) fn tell_over(&self) {
        let pool = self.pool.as_ref().and_then(|pool| pool.upgrade());
        pool.inspect(|pool| pool.is_less());
    }

    /// A call was opened, or failed, or waits for something else: if it was woken for room here and
    /// has left some, or taken none, that is the next one's.
    #[inline]
    pub(super) fn attempted<R>(&self, result: Poll<R>) -> Poll<R> {
        if self.standing.is_eased() {
            self.hand_on();
        }
        result
    }

    #[cold]
    fn hand_on(&self) {
        let has_room = self.step(|state| {
            let has_room = state.session.has_room();
            if !has_room {
                state.session.start_waiting();
                self.standing.fill();
            }
            has_room
        });
        if has_room {
            self.tell_room(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_full_is_open_again_only_when_nobody_waits_for_its_room() {
        let standing = Standing::new();
        assert!(standing.is_open() && standing.has_room());
        assert!(!standing.ease(), "nobody waits for an open one");
        standing.fill();
        assert!(!standing.is_open() && !standing.has_room());
        standing.open_again();
        assert!(!standing.has_room(), "it has not been eased");
        assert!(standing.ease());
        assert!(!standing.is_open() && standing.has_room());
        assert!(standing.ease());
        standing.fill();
        standing.open_again();
        assert!(!standing.has_room(), "a call came between");
        assert!(standing.ease());
        standing.open_again();
        assert!(standing.is_open());
    }

    #[test]
    fn what_is_closed_stays_so() {
        let standing = Standing::new();
        standing.fill();
        standing.close();
        standing.fill();
        assert!(!standing.ease());
        standing.open_again();
        assert!(standing.is_closed() && !standing.has_room());
    }
}
