//! What of answers has been handed over and is not on its way yet.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// Counts bytes from when they are handed over until whoever sends them lets go of them.
#[derive(Debug, Default)]
pub(crate) struct Held {
    bytes: AtomicUsize,
    /// Who waits for there to be fewer.
    waiting: Mutex<Option<Waker>>,
}

impl Held {
    /// How many they are.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }

    /// The same bytes, which count until the last share of them is dropped.
    pub(crate) fn count(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        self.bytes.fetch_add(bytes.len(), Ordering::AcqRel);
        let held = Arc::clone(self);
        Bytes::from_owner(Counted { bytes, held })
    }

    /// Waits until they are fewer than that; of several that wait, the last one alone is woken.
    pub(crate) fn poll_below(&self, limit_bytes: usize, cx: &Context<'_>) -> Poll<()> {
        if self.bytes() < limit_bytes {
            return Poll::Ready(());
        }
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        // Some may have gone between the look and the waker.
        match self.bytes() < limit_bytes {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

/// Bytes that count.
struct Counted {
    bytes: Bytes,
    held: Arc<Held>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let held = &self.held;
        held.bytes.fetch_sub(self.bytes.len(), Ordering::AcqRel);
        let waiting = held
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_until_the_last_share_of_them_is_gone() {
        let held = Arc::<Held>::default();
        let counted = held.count(Bytes::from_static(b"abc"));
        let share = counted.slice(1..);
        assert_eq!((held.bytes(), &share[..]), (3, &b"bc"[..]));
        drop(counted);
        assert_eq!(held.bytes(), 3);
        drop(share);
        assert_eq!(held.bytes(), 0);
    }

    #[test]
    fn who_waits_is_woken_when_there_may_be_room() {
        struct Count(AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let held = Arc::<Held>::default();
        let woken = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        let cx = Context::from_waker(&waker);
        let counted = held.count(Bytes::from_static(b"abc"));
        assert!(held.poll_below(4, &cx).is_ready());
        assert!(held.poll_below(3, &cx).is_pending());
        drop(counted);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(held.poll_below(1, &cx).is_ready());
    }
}
