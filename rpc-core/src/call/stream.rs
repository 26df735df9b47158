//! The two halves of a streaming call, as handlers and callers hold them.

mod receiver;
mod sender;
mod turn;

pub use receiver::Receiver;
pub(crate) use sender::SenderState;
pub use sender::{Sender, Sending};

use super::{CallError, Endpoint, Status};
use crate::port::Ended;

/// The error of a stream: a [`Status`] in a handler, a [`CallError`] at a caller.
pub trait StreamError: sealed::Sealed + Sized {
    /// What the receiving half keeps of its call.
    #[doc(hidden)]
    type Side: sealed::Side;

    /// The error of a stream that ended.
    #[doc(hidden)]
    fn ended(ended: Ended, endpoint: Option<&Endpoint>) -> Self;
}

impl StreamError for Status {
    type Side = receiver::HandlerSide;

    fn ended(ended: Ended, _: Option<&Endpoint>) -> Self {
        ended.status
    }
}

impl StreamError for CallError {
    type Side = receiver::CallerSide;

    fn ended(ended: Ended, endpoint: Option<&Endpoint>) -> Self {
        let error = Self::from(ended);
        match endpoint {
            Some(endpoint) => error.with_endpoint(endpoint.clone()),
            None => error,
        }
    }
}

/// Keeps the traits above closed: nobody outside can name what is in here.
mod sealed {
    use std::task::{Context, Poll};

    use crate::call::{CallError, Endpoint, Status};
    use crate::port::{Ended, Received};

    #[expect(
        unnameable_types,
        reason = "nobody outside names it, which keeps the trait closed"
    )]
    pub trait Sealed {}
    impl Sealed for Status {}
    impl Sealed for CallError {}

    #[expect(
        unnameable_types,
        reason = "nobody outside names it, which keeps the trait closed"
    )]
    pub trait Side {
        fn poll_received(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Received>, Ended>>;
        /// Takes what only the stream knows, then lets go of it.
        fn end(&mut self, failure: Option<&Status>);
        fn endpoint(&self) -> Option<&Endpoint>;
    }
}
