//! What a handler's own calls inherit, without the user passing it on.
//!
//! The context of the call being handled is a thread-local value that is swapped in around each
//! poll of the handler's future and swapped out again after it. A call made inside reads it once,
//! when it is built.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;

use crate::call::{Deadline, Priority, TraceContext};

/// What a call inherits from the call in whose handler it is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallContext {
    /// By when the outer call must have ended.
    pub deadline: Option<Deadline>,
    /// The trace it belongs to.
    pub trace: Option<TraceContext>,
    /// How urgent it is; none outside of any call.
    pub priority: Option<Priority>,
    /// Whether it is a repetition, so that what is called for its sake is not repeated as well.
    pub repeated: bool,
}

thread_local! {
    static CURRENT: RefCell<CallContext> = const { RefCell::new(CallContext::none()) };
}

impl CallContext {
    /// Outside of any call.
    pub const fn none() -> Self {
        Self {
            deadline: None,
            trace: None,
            priority: None,
            repeated: false,
        }
    }

    /// The context of the call being handled on this thread, empty outside of any.
    pub fn current() -> Self {
        CURRENT.with_borrow(Self::clone)
    }

    /// Runs a future in this context, for work that a handler moves to a task of its own.
    pub async fn scope<F: Future>(mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| self.enter(|| future.as_mut().poll(cx))).await
    }

    /// Runs `body` with this context in place; afterwards the former one is back, even when
    /// `body` panics.
    pub(crate) fn enter<R>(&mut self, body: impl FnOnce() -> R) -> R {
        let _guard = Swapped::new(self);
        body()
    }
}

/// Holds a context in the thread's place and puts the former one back when dropped.
struct Swapped<'a>(&'a mut CallContext);

impl<'a> Swapped<'a> {
    fn new(context: &'a mut CallContext) -> Self {
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, context));
        Self(context)
    }
}

impl Drop for Swapped<'_> {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Deadline;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::task::{Context, Poll, Waker};

    fn context() -> CallContext {
        let deadline = Some(Deadline::at(crate::clock::now()));
        CallContext {
            deadline,
            trace: None,
            priority: Some(Priority::HIGH),
            repeated: false,
        }
    }

    #[test]
    fn a_scoped_future_sees_its_context_in_every_poll_and_nobody_else_does() {
        let mut polls = 0;
        let mut inner = pin!(context().scope(poll_fn(move |_| {
            assert_eq!(CallContext::current().priority, Some(Priority::HIGH));
            polls += 1;
            if polls == 2 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(inner.as_mut().poll(&mut cx).is_pending());
        assert_eq!(CallContext::current(), CallContext::none());
        assert!(inner.as_mut().poll(&mut cx).is_ready());
        assert_eq!(CallContext::current(), CallContext::none());
    }

    #[test]
    fn a_panic_inside_leaves_the_former_context() {
        let mut outer = context();
        outer.enter(|| {
            let mut inner = CallContext::none();
            let panic = catch_unwind(AssertUnwindSafe(|| inner.enter(|| panic!("inside"))));
            assert!(panic.is_err());
            assert_eq!(CallContext::current().priority, Some(Priority::HIGH));
        });
        assert_eq!(CallContext::current(), CallContext::none());
    }
}
