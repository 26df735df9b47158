//! Lets the sends of one stream go one after another.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

/// One sender at a time: the port keeps one waker for sending, so a second task must wait here.
#[derive(Debug, Default)]
pub(super) struct Turn {
    taken: AtomicBool,
    /// Those that found it taken since it was last given back; bounded by the tasks that send.
    waiting: Mutex<Vec<Waker>>,
}

impl Turn {
    /// Takes the turn, or waits until it is given back.
    pub(super) fn poll_take(&self, cx: &Context<'_>) -> Poll<()> {
        if self.try_take() {
            return Poll::Ready(());
        }
        self.waiting().push(cx.waker().clone());
        // It may have been given back before the waker was there to be found.
        if self.try_take() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Gives the turn back and wakes all that wait, of whom one takes it.
    pub(super) fn give_back(&self) {
        self.taken.store(false, Ordering::Release);
        let waiting = std::mem::take(&mut *self.waiting());
        waiting.into_iter().for_each(Waker::wake);
    }

    fn try_take(&self) -> bool {
        !self.taken.swap(true, Ordering::Acquire)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.waiting
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_waits_until_the_first_gives_back() {
        let turn = Turn::default();
        let cx = Context::from_waker(Waker::noop());
        assert!(turn.poll_take(&cx).is_ready());
        assert!(turn.poll_take(&cx).is_pending());
        turn.give_back();
        assert!(turn.poll_take(&cx).is_ready());
    }
}
