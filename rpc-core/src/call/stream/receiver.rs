//! The half of a stream that receives.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use dreammesh_wire::{Limits, Message, Msg};

use super::StreamError;
use super::sealed::Side;
use crate::call::{
    Begun, CallError, Deadline, Endpoint, Extensions, Metadata, Peer, Priority, Status,
};
use crate::channel::ClientStream;
use crate::message;
use crate::port::{Ended, Received, ServerCall};

/// The half of a streaming call that receives messages.
///
/// Taking a message returns its credit, so whoever does not take slows its sender down. Dropping
/// a caller's receiver before the end cancels the call; dropping a handler's throws away what the
/// caller still sends.
pub struct Receiver<T, E: StreamError = Status> {
    side: E::Side,
    limits: Limits,
    /// Whether the end or an error was given out; nothing follows either.
    ended: bool,
    /// Whether the message that was given out last was compressed.
    compressed: bool,
    types: PhantomData<fn() -> (T, E)>,
}

impl<T: Message, E: StreamError> Receiver<T, E> {
    /// The next message, or none at the end of the stream.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// How the call ended, when it did; a message that is not valid ends it as `INTERNAL`. After
    /// an error there are no more messages.
    pub async fn next(&mut self) -> Result<Option<Msg<T>>, E> {
        poll_fn(|cx| self.poll_next_message(cx)).await
    }

    /// The next message, or none at the end of the stream; see [`Self::next`].
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn poll_next_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Msg<T>>, E>> {
        if self.ended {
            return Poll::Ready(Ok(None));
        }
        let message = match ready!(self.side.poll_received(cx)) {
            Ok(Some(received)) => {
                self.compressed = received.compressed;
                message::receive(received, &self.limits)
                    .map(Some)
                    .map_err(|e| Ended::by_library(message::unreadable(&e), Begun::Maybe))
            }
            Ok(None) => Ok(None),
            Err(ended) => Err(ended),
        };
        match &message {
            Ok(Some(_)) => {}
            Ok(None) => self.end(None),
            Err(ended) => self.end(Some(&ended.status)),
        }
        Poll::Ready(message.map_err(|ended| E::ended(ended, self.side.endpoint())))
    }
}

impl<T, E: StreamError> Receiver<T, E> {
    /// The next message as it came, or none at the end of the stream.
    pub(crate) fn poll_next_received(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Received>, E>> {
        if self.ended {
            return Poll::Ready(Ok(None));
        }
        let received = ready!(self.side.poll_received(cx));
        match &received {
            Ok(Some(received)) => self.compressed = received.compressed,
            Ok(None) => self.end(None),
            Err(ended) => self.end(Some(&ended.status)),
        }
        Poll::Ready(received.map_err(|ended| E::ended(ended, self.side.endpoint())))
    }

    /// Whether the message that came last was compressed on its way; false before the first.
    pub const fn was_compressed(&self) -> bool {
        self.compressed
    }

    fn end(&mut self, failure: Option<&Status>) {
        self.ended = true;
        self.side.end(failure);
    }
}

/// What only a caller's receiver does.
impl<T> Receiver<T, CallError> {
    pub(crate) const fn of_caller(stream: ClientStream, limits: Limits) -> Self {
        let side = CallerSide {
            stream,
            headers: None,
            trailers: Metadata::new(),
        };
        Self {
            side,
            limits,
            ended: false,
            compressed: false,
            types: PhantomData,
        }
    }

    /// The metadata that precedes the messages, waiting for it.
    ///
    /// # Errors
    /// How the call ended, when it did before any metadata.
    pub async fn metadata(&mut self) -> Result<&Metadata, CallError> {
        let CallerSide {
            stream, headers, ..
        } = &mut self.side;
        if headers.is_none() {
            let received = poll_fn(|cx| stream.port().poll_headers(stream.key(), cx)).await;
            let received = received.map_err(|ended| {
                stream.failed(&ended);
                CallError::ended(ended, Some(stream.endpoint()))
            })?;
            *headers = Some(received);
        }
        Ok(headers.get_or_insert_default())
    }

    /// The metadata that follows the messages, empty until the end was received.
    pub const fn trailers(&self) -> &Metadata {
        &self.side.trailers
    }
}

/// What only a handler's receiver knows: the facts of the call.
impl<T> Receiver<T, Status> {
    pub(crate) fn of_handler(call: ServerCall) -> Self {
        let limits = call.limits;
        let side = HandlerSide { call };
        Self {
            side,
            limits,
            ended: false,
            compressed: false,
            types: PhantomData,
        }
    }

    /// The caller's metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.side.call.metadata
    }

    /// By when the call must have ended.
    pub fn deadline(&self) -> Option<Deadline> {
        self.side.call.deadline
    }

    /// How urgent the call is.
    pub fn priority(&self) -> Priority {
        self.side.call.priority
    }

    /// Who calls.
    pub fn peer(&self) -> &Peer {
        &self.side.call.peer
    }

    /// Typed values of the layers.
    pub fn extensions(&self) -> &Extensions {
        &self.side.call.extensions
    }
}

// Nothing in it is ever pinned.
impl<T, E: StreamError> Unpin for Receiver<T, E> {}

impl<T: Message, E: StreamError> futures_core::Stream for Receiver<T, E> {
    type Item = Result<Msg<T>, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_next_message(cx).map(Result::transpose)
    }
}

impl<T, E: StreamError> fmt::Debug for Receiver<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// A handler's side: the call, of which the first message may have come with the opening.
#[derive(Debug)]
#[expect(
    unnameable_types,
    reason = "nobody outside names it, which keeps the trait closed"
)]
pub struct HandlerSide {
    call: ServerCall,
}

impl Side for HandlerSide {
    fn poll_received(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Received>, Ended>> {
        if let Some(first) = self.call.first.take() {
            return Poll::Ready(Ok(Some(first)));
        }
        match &self.call.stream {
            Some(stream) if !self.call.half_closed => stream.port.poll_message(stream.key, cx),
            _ => Poll::Ready(Ok(None)),
        }
    }

    fn end(&mut self, _: Option<&Status>) {
        if let Some(stream) = self.call.stream.take()
            && !self.call.half_closed
        {
            stream.port.discard(stream.key);
        }
    }

    fn endpoint(&self) -> Option<&Endpoint> {
        None
    }
}

impl Drop for HandlerSide {
    fn drop(&mut self) {
        self.end(None);
    }
}

/// A caller's side: the stream, which cancels itself when it is dropped before its end.
#[derive(Debug)]
#[expect(
    unnameable_types,
    reason = "nobody outside names it, which keeps the trait closed"
)]
pub struct CallerSide {
    stream: ClientStream,
    headers: Option<Metadata>,
    trailers: Metadata,
}

impl Side for CallerSide {
    fn poll_received(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Received>, Ended>> {
        let polled = self.stream.port().poll_message(self.stream.key(), cx);
        if let (Poll::Ready(Ok(Some(received))), Some(observation)) =
            (&polled, &mut self.stream.observation)
        {
            observation.received(Some(received.mode));
        }
        if let Poll::Ready(Err(ended)) = &polled {
            self.stream.failed(ended);
        }
        polled
    }

    fn end(&mut self, failure: Option<&Status>) {
        let (port, key) = (self.stream.port(), self.stream.key());
        if self.headers.is_none() {
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(Ok(headers)) = port.poll_headers(key, &mut cx) {
                self.headers = Some(headers);
            }
        }
        self.trailers = port.take_trailers(key);
        if let Some(observation) = self.stream.observation.take() {
            observation.finish(failure);
        }
        self.stream.release();
    }

    fn endpoint(&self) -> Option<&Endpoint> {
        Some(self.stream.endpoint())
    }
}
