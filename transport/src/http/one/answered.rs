//! The body of an answer, which is due for as long as `hyper` has it.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};

use super::transfer::Answer;
use super::turns::Turn;

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Answered {
    body: Answer,
    _turn: Turn,
}

impl Answered {
    pub(super) const fn new(body: Answer, turn: Turn) -> Self {
        Self { body, _turn: turn }
    }
}

impl Body for Answered {
    type Data = <Answer as Body>::Data;
    type Error = <Answer as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
