//! The half of a stream that sends.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use dreammesh_wire::{IntoMessage, Message, Segment};

use super::StreamError;
use super::turn::Turn;
use crate::call::{Begun, Compression, Endpoint, Metadata, Status};
use crate::message;
use crate::port::{Ended, ServerStream, StreamKey, StreamPort};

/// The half of a streaming call that sends messages.
///
/// Sending waits for the receiver's credit, so a slow receiver slows its sender down and nobody
/// else. Dropping a caller's sender ends its half as [`Sender::finish`] does, unless the thread is
/// panicking; dropping a handler's does nothing, since the handler's return ends the call.
pub struct Sender<T, E = Status> {
    port: Arc<dyn StreamPort>,
    key: StreamKey,
    endpoint: Option<Endpoint>,
    shared: Arc<SenderState>,
    /// Whether this is the caller's half, which ends with the sender.
    closes: bool,
    types: PhantomData<fn(T) -> E>,
}

/// What a handler's sender and the adapter around the handler share.
#[derive(Debug, Default)]
pub(crate) struct SenderState {
    turn: Turn,
    trailers: Mutex<Metadata>,
}

impl SenderState {
    pub(crate) fn take_trailers(&self) -> Metadata {
        std::mem::take(&mut *self.trailers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T: Message, E: StreamError> Sender<T, E> {
    pub(crate) fn of_handler(stream: ServerStream, shared: Arc<SenderState>) -> Self {
        let ServerStream { port, key } = stream;
        Self {
            port,
            key,
            endpoint: None,
            shared,
            closes: false,
            types: PhantomData,
        }
    }

    /// Sends a message, waiting for credit.
    ///
    /// The message is archived before this returns; the future only waits and hands it over.
    /// Dropping the future before it is ready sends nothing. Sends from several tasks at once go
    /// one after another, in no particular order.
    ///
    /// # Errors
    /// How the call ended, when it did; a caller learns more from its receiver. A message beyond
    /// the absolute size of an archive is `RESOURCE_EXHAUSTED`, and the stream goes on.
    pub fn send(&self, message: impl IntoMessage<T>) -> Sending<'_, T, E> {
        self.sending(message, false)
    }

    /// Sends a message and ends this half with it.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_last(&self, message: impl IntoMessage<T>) -> Sending<'_, T, E> {
        self.sending(message, true)
    }

    fn sending(&self, message: impl IntoMessage<T>, last: bool) -> Sending<'_, T, E> {
        let (message, failed) = match message.into_message(&message::send_limits()) {
            Ok(encoded) => (Some(encoded.into_segment()), None),
            Err(error) => (None, Some(message::unsendable(&error))),
        };
        Sending {
            sender: self,
            message,
            failed,
            last,
            compression: Compression::Auto,
            has_turn: false,
        }
    }
}

impl<T, E: StreamError> Sender<T, E> {
    pub(crate) fn of_caller(port: Arc<dyn StreamPort>, key: StreamKey, endpoint: Endpoint) -> Self {
        let shared = Arc::default();
        Self {
            port,
            key,
            endpoint: Some(endpoint),
            shared,
            closes: true,
            types: PhantomData,
        }
    }

    /// The same half, which dropping it does not end.
    pub(crate) fn left_open(mut self) -> Self {
        self.closes = false;
        self
    }

    /// Sends an archive of the message, which the caller vouches for.
    pub(crate) const fn sending_archive(&self, archive: Segment) -> Sending<'_, T, E> {
        Sending {
            sender: self,
            message: Some(archive),
            failed: None,
            last: false,
            compression: Compression::Auto,
            has_turn: false,
        }
    }

    fn error(&self, ended: Ended) -> E {
        E::ended(ended, self.endpoint.as_ref())
    }
}

impl<T, E> Sender<T, E> {
    /// Ends this half: the receiver sees the end after what was sent. Never waits.
    pub fn finish(self) {
        self.port.close_send(self.key);
    }
}

/// What only a handler's sender does.
impl<T> Sender<T, Status> {
    /// Sends the metadata that precedes the messages; without effect after the first of them.
    pub fn send_metadata(&self, metadata: Metadata) {
        self.port.send_headers(self.key, metadata);
    }

    /// Sets the metadata that follows the messages, sent when the handler returns.
    pub fn set_trailers(&self, trailers: Metadata) {
        *self
            .shared
            .trailers
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = trailers;
    }
}

impl<T, E> Drop for Sender<T, E> {
    fn drop(&mut self) {
        // A sender lost to a panic has not said all it had to say, and the receiver must not
        // take what came for the whole; the caller's receiver, lost with it, cancels the call.
        if self.closes && !std::thread::panicking() {
            self.port.close_send(self.key);
        }
    }
}

impl<T, E> fmt::Debug for Sender<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// A message on its way into a stream; see [`Sender::send`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Sending<'a, T, E> {
    sender: &'a Sender<T, E>,
    message: Option<Segment>,
    failed: Option<Status>,
    last: bool,
    compression: Compression,
    has_turn: bool,
}

impl<T, E: StreamError> Future for Sending<'_, T, E> {
    type Output = Result<(), E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let sender = this.sender;
        if let Some(status) = this.failed.take() {
            return Poll::Ready(Err(sender.error(Ended::by_library(status, Begun::Maybe))));
        }
        if !this.has_turn {
            ready!(sender.shared.turn.poll_take(cx));
            this.has_turn = true;
        }
        let sent = ready!(sender.port.poll_send(
            sender.key,
            cx,
            &mut this.message,
            this.last,
            this.compression
        ));
        this.give_turn_back();
        Poll::Ready(sent.map_err(|ended| sender.error(ended)))
    }
}

impl<T, E> Sending<'_, T, E> {
    /// Says whether the message travels compressed, where its medium compresses messages.
    ///
    /// The peer is told how before the first message. So of a call whose messages are compressed by
    /// no setting, a caller says [`Compression::On`] of the call as well, and a handler says one or
    /// the other of the first message at the latest, or sends its metadata before it; otherwise
    /// messages travel as they are.
    pub const fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    fn give_turn_back(&mut self) {
        if std::mem::take(&mut self.has_turn) {
            self.sender.shared.turn.give_back();
        }
    }
}

impl<T, E> Drop for Sending<'_, T, E> {
    fn drop(&mut self) {
        self.give_turn_back();
    }
}

impl<T, E> fmt::Debug for Sending<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}
