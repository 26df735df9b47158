//! One coarse timer for everything that a connection waits for.

use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use tokio::task::coop::unconstrained;
use tokio::time::Sleep;

/// The present on the runtime's clock, which tests can pause.
#[expect(clippy::disallowed_methods, reason = "the clock's home in this crate")]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// What stands for longer than any program runs, and can still be added to the present.
pub(crate) const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// Fires at or before the time it was last armed for, so that it is reset rarely.
///
/// While calls come and go, the earliest deadline moves on all the time. The timer stays where it
/// is as long as that is early enough, and costs nothing per call.
#[derive(Debug)]
pub(crate) struct Timer {
    sleep: Pin<Box<Sleep>>,
    armed: Option<Instant>,
    /// The task that it wakes while it is armed.
    task: Waker,
}

impl Timer {
    pub(crate) fn new() -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            armed: None,
            task: Waker::noop().clone(),
        }
    }

    /// Whether the time it was armed for has come; then it is armed no more.
    #[inline]
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        self.armed.take_if(|armed| *armed <= now).is_some()
    }

    /// Sees to it that the task is woken at that time at the latest; true if it has come.
    #[inline]
    pub(crate) fn arm(&mut self, next: Option<Instant>, cx: &mut Context<'_>) -> bool {
        let Some(next) = next else { return false };
        let early_enough = self.armed.is_some_and(|armed| armed <= next);
        // An armed timer wakes its task without being polled again, which a call would notice.
        if early_enough && self.task.will_wake(cx.waker()) {
            return false;
        }
        if !early_enough {
            self.sleep.as_mut().reset(next.into());
            self.armed = Some(next);
        }
        self.task.clone_from(cx.waker());
        // If it is due it stays armed for the look at the clock that follows. The poll is outside of
        // the task's budget, since one that the budget cut short would leave no waker behind.
        pin!(unconstrained(self.sleep.as_mut())).poll(cx).is_ready()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use tokio::task::consume_budget;
    use tokio::task::coop::has_budget_remaining;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn it_wakes_a_task_that_had_used_up_its_budget_when_it_was_armed() {
        let (mut timer, begin) = (Timer::new(), now());
        let mut is_first = true;
        let woken = poll_fn(move |cx| {
            if std::mem::take(&mut is_first) {
                while has_budget_remaining() {
                    let _ = pin!(consume_budget()).poll(cx);
                }
            }
            if timer.is_due(now()) {
                return Poll::Ready(());
            }
            timer.arm(Some(begin + HOUR), cx);
            Poll::Pending
        });
        let woken = tokio::spawn(tokio::time::timeout(2 * HOUR, woken));
        assert!(woken.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn it_is_due_once_at_the_earliest_time_it_was_armed_for() {
        let (mut timer, begin) = (Timer::new(), now());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(!timer.is_due(begin), "it was not armed");
        assert!(!timer.arm(None, &mut cx));
        for next in [2 * HOUR, 3 * HOUR, HOUR, 2 * HOUR] {
            assert!(!timer.arm(Some(begin + next), &mut cx));
        }
        assert!(!timer.is_due(begin + HOUR - Duration::from_nanos(1)));
        assert!(timer.is_due(begin + HOUR));
        assert!(!timer.is_due(begin + HOUR), "it is armed no more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_that_is_past_is_due_at_the_next_look() {
        let (mut timer, begin) = (Timer::new(), now());
        tokio::time::advance(HOUR).await;
        let mut cx = Context::from_waker(Waker::noop());
        assert!(timer.arm(Some(begin), &mut cx));
        assert!(timer.is_due(now()));
    }

    #[tokio::test(start_paused = true)]
    async fn it_wakes_the_task_that_armed_it_last() {
        let mut timer = Timer::new();
        let next = Some(now() + HOUR);
        // A task that goes away leaves its waker behind.
        let mut first = Box::pin(poll_fn(|cx| {
            assert!(!timer.arm(next, cx));
            Poll::Ready(())
        }));
        assert!(
            first
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        );
        drop(first);
        // Time goes on by itself only for a timer that wakes this task.
        poll_fn(|cx| match timer.is_due(now()) || timer.arm(next, cx) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}
