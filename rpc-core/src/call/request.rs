//! What a handler receives and returns.

use std::fmt;
use std::sync::OnceLock;

use dreammesh_wire::{Encoded, IntoMessage, Limits, Message, Msg, WireError};

use super::method::EMPTY_LAYOUT;
use super::{Compression, MethodKind, TraceContext};
use super::{Deadline, Endpoint, Extensions, Metadata, MethodInfo, Peer, Priority, Status};
use crate::message;
use crate::port::{Answer, Outcome, ServerCall};

/// One request as a handler receives it: the validated message and the facts of the call.
pub struct Request<T> {
    message: Msg<T>,
    compressed: bool,
    call: ServerCall,
}

impl<T: Message> Request<T> {
    /// A request made here rather than received, to call a handler directly in a test.
    ///
    /// # Errors
    /// When the message exceeds the limits of a message.
    pub fn new(message: impl IntoMessage<T>) -> Result<Self, WireError> {
        let message = message::reread(message.into_message(&message::send_limits())?)?;
        let call = ServerCall::new(&DIRECT, Peer::new(Endpoint::new("direct")));
        Ok(Self {
            message,
            compressed: false,
            call,
        })
    }

    pub(crate) const fn received(message: Msg<T>, compressed: bool, call: ServerCall) -> Self {
        Self {
            message,
            compressed,
            call,
        }
    }

    /// Reads the message in place.
    pub fn view(&self) -> T::View<'_> {
        self.message.view()
    }

    /// The message.
    pub const fn message(&self) -> &Msg<T> {
        &self.message
    }

    /// The message, without the facts of the call.
    pub fn into_message(self) -> Msg<T> {
        self.message
    }

    /// The message as an owned struct.
    pub fn into_owned(self) -> T {
        self.message.into_owned()
    }
}

/// The facts of the call.
impl<T> Request<T> {
    /// The caller's metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.call.metadata
    }

    /// The caller's metadata, to add to a request made in a test.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.call.metadata
    }

    /// By when the call must have ended.
    ///
    /// Calls made inside the handler inherit it without being told.
    pub fn deadline(&self) -> Option<Deadline> {
        self.call.deadline
    }

    /// The trace the call belongs to.
    pub fn trace(&self) -> Option<&TraceContext> {
        self.call.trace.as_ref()
    }

    /// How urgent the call is.
    pub fn priority(&self) -> Priority {
        self.call.priority
    }

    /// Which try of the call this is, from 0.
    pub fn attempt(&self) -> u32 {
        self.call.attempt
    }

    /// A key by which repetitions of one call can be told.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.call.idempotency_key.as_deref()
    }

    /// Whether the message was compressed on its way.
    pub const fn was_compressed(&self) -> bool {
        self.compressed
    }

    /// Who calls.
    pub fn peer(&self) -> &Peer {
        &self.call.peer
    }

    /// Typed values of the layers.
    pub fn extensions(&self) -> &Extensions {
        &self.call.extensions
    }

    /// Typed values of the layers, to add to a request made in a test.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.call.extensions
    }
}

/// One response: what a handler returns, and what a caller receives.
///
/// A handler may return a response that it received from a call of its own. Its message is sent
/// on unchanged; its metadata and trailers are not, since they were meant for the handler.
pub struct Response<T> {
    body: Body<T>,
    headers: Metadata,
    trailers: Metadata,
    compression: Compression,
}

enum Body<T> {
    /// Made here; read back only by a test that calls the handler directly.
    Made(Result<Encoded<T>, WireError>, OnceLock<Box<Msg<T>>>),
    Received {
        message: Msg<T>,
        compressed: bool,
    },
}

impl<T: Message> Response<T> {
    /// Archives the message at once, so that what it borrows need not outlive this line.
    ///
    /// A message beyond the absolute size or depth of an archive becomes the failure of the call
    /// when the handler returns it.
    pub fn new(message: impl IntoMessage<T>) -> Self {
        let body = Body::Made(
            message.into_message(&message::send_limits()),
            OnceLock::new(),
        );
        Self {
            body,
            headers: Metadata::new(),
            trailers: Metadata::new(),
            compression: Compression::Auto,
        }
    }

    pub(crate) fn received(answer: Answer, limits: &Limits) -> Result<Self, WireError> {
        let body = Body::Received {
            compressed: answer.message.compressed,
            message: message::receive(answer.message, limits)?,
        };
        Ok(Self {
            body,
            headers: answer.headers,
            trailers: answer.trailers,
            compression: Compression::Auto,
        })
    }

    /// Reads the message in place.
    ///
    /// # Panics
    /// When it was made here and exceeds what an archive can hold; see [`Self::new`].
    pub fn view(&self) -> T::View<'_> {
        match &self.body {
            Body::Received { message, .. } => message.view(),
            Body::Made(made, reread) => {
                let read = || Box::new(reread_made(made));
                reread.get_or_init(read).view()
            }
        }
    }

    /// The message, without the metadata.
    ///
    /// # Panics
    /// When it was made here and exceeds what an archive can hold; see [`Self::new`].
    pub fn into_message(self) -> Msg<T> {
        match self.body {
            Body::Received { message, .. } => message,
            Body::Made(made, _) => reread_made(&made),
        }
    }

    /// The message as an owned struct.
    ///
    /// # Panics
    /// When it was made here and exceeds what an archive can hold; see [`Self::new`].
    pub fn into_owned(self) -> T {
        self.into_message().into_owned()
    }

    pub(crate) fn into_outcome(self) -> Outcome {
        let (encoded, headers, trailers) = match self.body {
            Body::Made(made, _) => (made, self.headers, self.trailers),
            Body::Received { message, .. } => {
                let message = message.into_message(&message::send_limits());
                (message, Metadata::new(), Metadata::new())
            }
        };
        match encoded {
            Ok(encoded) => Outcome {
                status: Status::ok(),
                headers,
                message: Some(encoded.into_segment()),
                compression: self.compression,
                trailers,
            },
            Err(error) => Outcome::of(message::unsendable(&error)),
        }
    }
}

impl<T> Response<T> {
    /// The metadata before the message.
    pub const fn metadata(&self) -> &Metadata {
        &self.headers
    }

    /// The metadata before the message, to be filled by a handler that made the response.
    pub const fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.headers
    }

    /// Whether a message that was received was compressed on its way.
    pub const fn was_compressed(&self) -> bool {
        matches!(
            self.body,
            Body::Received {
                compressed: true,
                ..
            }
        )
    }

    /// Has the message travel compressed or not, where its medium compresses messages.
    pub const fn set_compression(&mut self, compression: Compression) {
        self.compression = compression;
    }

    /// The metadata after the message.
    pub const fn trailers(&self) -> &Metadata {
        &self.trailers
    }

    /// The metadata after the message, to be filled by a handler that made the response.
    pub const fn trailers_mut(&mut self) -> &mut Metadata {
        &mut self.trailers
    }
}

impl<T: Message> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("message", &self.message)
            .field("call", &self.call)
            .finish()
    }
}

impl<T> fmt::Debug for Response<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("metadata", &self.headers)
            .field("trailers", &self.trailers)
            .finish_non_exhaustive()
    }
}

fn reread_made<T: Message>(made: &Result<Encoded<T>, WireError>) -> Msg<T> {
    let read = match made {
        Ok(encoded) => message::reread_segment(encoded.segment()),
        Err(error) => Err(error.clone()),
    };
    read.expect("a message made here fits an archive, as the documentation demands")
}

/// The method of requests that reached their handler by no connection.
static DIRECT: MethodInfo = MethodInfo::new(
    "/direct/call",
    MethodKind::Unary,
    &EMPTY_LAYOUT,
    &EMPTY_LAYOUT,
);
