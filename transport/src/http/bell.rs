//! A waker that does not wake a task which is at work.
//!
//! What is sent on a stream wakes the task of its connection. While that task sends itself, it would
//! be run once more for nothing after each batch.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Stands between a task and whoever wakes it.
#[derive(Debug)]
pub(super) struct Bell {
    task: Mutex<Waker>,
    /// The task is at work, and looks whether the bell was rung before it rests.
    at_work: AtomicBool,
    rung: AtomicBool,
}

impl Bell {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            task: Mutex::new(Waker::noop().clone()),
            at_work: AtomicBool::new(false),
            rung: AtomicBool::new(false),
        })
    }

    /// Works until nobody has rung meanwhile or it is done.
    pub(super) fn poll<R>(
        self: &Arc<Self>,
        cx: &Context<'_>,
        mut work: impl FnMut(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        self.task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(cx.waker());
        self.at_work.store(true, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(self));
        let mut done = Poll::Pending;
        for _ in 0..ROUNDS {
            self.rung.store(false, Ordering::SeqCst);
            done = work(&mut Context::from_waker(&waker));
            if done.is_ready() || !self.rung.load(Ordering::SeqCst) {
                break;
            }
        }
        self.at_work.store(false, Ordering::SeqCst);
        // Whoever rang until now may have taken the task to be at work.
        if self.rung.swap(false, Ordering::SeqCst) {
            cx.waker().wake_by_ref();
        }
        done
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::SeqCst);
        if !self.at_work.load(Ordering::SeqCst) {
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            task.wake_by_ref();
        }
    }
}

/// After so many the others of the runtime have their turn.
const ROUNDS: usize = 4;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_is_at_work_looks_again_instead_of_being_woken() {
        let (bell, count) = (Bell::new(), Arc::<Count>::default());
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        let mut rounds = 0;
        let polled = bell.poll(&cx, |cx| {
            rounds += 1;
            if rounds == 1 {
                cx.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        assert_eq!((rounds, count.0.load(Ordering::Relaxed)), (2, 0));
    }

    #[test]
    fn who_rests_is_woken() {
        let (bell, count) = (Bell::new(), Arc::<Count>::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut kept = None;
        let _ = bell.poll(&Context::from_waker(&waker), |cx| {
            kept = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        kept.unwrap().wake();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn who_always_rings_lets_others_have_their_turn() {
        let (bell, count) = (Bell::new(), Arc::<Count>::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut rounds = 0;
        let _ = bell.poll(&Context::from_waker(&waker), |cx| {
            rounds += 1;
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!((rounds, count.0.load(Ordering::Relaxed)), (ROUNDS, 1));
    }
}
