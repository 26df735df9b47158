//! A call on its way out, as the channel and its layers see it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use dreammesh_wire::Segment;

use super::in_flight::{Endpoints, InFlight};
use crate::call::{
    Compression, Deadline, Endpoint, Extensions, Metadata, MethodInfo, Priority, TraceContext,
    WireOption,
};
use crate::layer::Observation;
use crate::port::{Answer, Connection, Ended, StreamKey, StreamPort};

/// A call on its way out; also what client layers see and may change.
///
/// It is one pointer to its parts, since it is moved from hand to hand several times before it is
/// sent.
#[derive(Debug)]
pub struct ClientCall(Box<ClientCallParts>);

/// The parts of a [`ClientCall`], which it dereferences to.
#[derive(Debug)]
#[non_exhaustive]
pub struct ClientCallParts {
    /// The method.
    pub method: &'static MethodInfo,
    /// The caller's metadata.
    pub metadata: Metadata,
    /// By when it must have ended: the earlier of its own and what it inherits.
    pub deadline: Option<Deadline>,
    /// The trace it belongs to.
    pub trace: Option<TraceContext>,
    /// How urgent it is.
    pub priority: Priority,
    /// Which try of the call this is, from 0, or from 1 where the call is made on behalf of one
    /// that is a repetition itself.
    pub attempt: u32,
    /// A key by which the server may tell repetitions of one call.
    pub idempotency_key: Option<Box<str>>,
    /// Whether it waits through failures to connect instead of failing with the first.
    pub wait_for_ready: bool,
    /// The form that its messages may take.
    pub wire: WireOption,
    /// Whether its messages travel compressed, those that say nothing else of themselves.
    pub compression: Compression,
    /// Typed values of the layers.
    pub extensions: Extensions,
    pub(crate) message: Option<Segment>,
    /// Where its attempts went. It is here since the attempt is moved about, and this box is not.
    pub(crate) endpoints: Endpoints,
}

impl ClientCall {
    pub(crate) fn new(parts: ClientCallParts) -> Self {
        Self(Box::new(parts))
    }
}

impl Deref for ClientCall {
    type Target = ClientCallParts;

    fn deref(&self) -> &ClientCallParts {
        &self.0
    }
}

impl DerefMut for ClientCall {
    fn deref_mut(&mut self) -> &mut ClientCallParts {
        &mut self.0
    }
}

impl ClientCallParts {
    /// The bytes of the request as an archive; none for a method whose requests stream.
    pub fn request_bytes(&self) -> Option<usize> {
        self.message.as_ref().map(Segment::len)
    }
}

/// What a call gave: the whole answer, or the stream that the answers come through.
#[derive(Debug)]
pub struct ClientReply(pub(crate) Reply);

#[derive(Debug)]
pub(crate) enum Reply {
    /// An answer and the connection it came over.
    Answer(Answer, Arc<dyn Connection>),
    Stream(ClientStream),
}

impl ClientReply {
    /// The metadata before the message, of a call with one request and one response.
    pub const fn metadata(&self) -> Option<&Metadata> {
        match &self.0 {
            Reply::Answer(answer, _) => Some(&answer.headers),
            Reply::Stream(_) => None,
        }
    }

    /// The metadata after the message, of a call with one request and one response.
    pub const fn trailers(&self) -> Option<&Metadata> {
        match &self.0 {
            Reply::Answer(answer, _) => Some(&answer.trailers),
            Reply::Stream(_) => None,
        }
    }

    /// The endpoint that the call went to.
    pub fn endpoint(&self) -> &Endpoint {
        match &self.0 {
            Reply::Answer(_, connection) => connection.peer().endpoint(),
            Reply::Stream(stream) => stream.endpoint(),
        }
    }
}

/// An open stream of a caller; dropping it before its end cancels the call.
#[derive(Debug)]
pub(crate) struct ClientStream {
    connection: Arc<dyn Connection>,
    /// The connection, or what counts the bytes in front of it.
    port: Arc<dyn StreamPort>,
    key: StreamKey,
    released: bool,
    pub(crate) observation: Option<Observation>,
    /// That it is outstanding at its endpoint, where there are several.
    in_flight: Option<InFlight>,
}

impl ClientStream {
    pub(crate) fn new(
        connection: Arc<dyn Connection>,
        key: StreamKey,
        in_flight: Option<InFlight>,
    ) -> Self {
        let port = Arc::clone(&connection) as Arc<dyn StreamPort>;
        Self {
            connection,
            port,
            key,
            released: false,
            observation: None,
            in_flight,
        }
    }

    /// Takes the watch over this call along to the end of the stream.
    pub(crate) fn observe(&mut self, observation: Option<Observation>) {
        if let Some(port) = observation.as_ref().and_then(|it| it.port_of(self)) {
            self.port = port;
        }
        self.observation = observation;
    }

    pub(crate) const fn connection(&self) -> &Arc<dyn Connection> {
        &self.connection
    }

    pub(crate) const fn port(&self) -> &Arc<dyn StreamPort> {
        &self.port
    }

    pub(crate) const fn key(&self) -> StreamKey {
        self.key
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.connection.peer().endpoint()
    }

    /// Lets go of the stream; cancels the call unless it has ended.
    pub(crate) fn release(&mut self) {
        if !std::mem::replace(&mut self.released, true) {
            self.port.release(self.key);
        }
    }

    /// Notes with what failure it ended at its endpoint, where there are several.
    pub(crate) fn failed(&mut self, ended: &Ended) {
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.ended(ended);
        }
    }

    /// Says that the port let go of the stream itself.
    pub(crate) const fn forget(&mut self) {
        self.released = true;
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        self.release();
    }
}
