//! The seam between the call model and whatever carries calls: the in-process connection here,
//! the session driver in the transport.
//!
//! Every trait is object safe and poll based, so that a call costs no allocation at this seam.
//!
//! # The life of a call on the client
//!
//! 1. [`Connection::poll_open`] until it is ready; the key it gives names the stream from then
//!    on. A caller that stops waiting calls [`Connection::abandon_open`].
//! 2. A method with one response: [`StreamPort::poll_unary`] until it is ready, which ends the
//!    stream. A method with many: [`StreamPort::poll_headers`], then
//!    [`StreamPort::poll_message`] until it gives none or an error, then
//!    [`StreamPort::take_trailers`]. Requests of a streaming method go through
//!    [`StreamPort::poll_send`] and end with [`StreamPort::close_send`].
//! 3. [`StreamPort::release`], unless `poll_unary` was ready. Releasing a stream that has not
//!    ended cancels it on the wire.
//!
//! # The life of a call on the server
//!
//! The carrier looks the path up once a connection and method ([`Lookup::lookup`]), and calls
//! [`Handler::call`] for every call. It polls the future, once inline and then as a task of its
//! own, and sends the [`Outcome`]. Dropping the future cancels the handler; the carrier does so
//! when the caller cancels, when the deadline passes and when the connection is lost. A handler
//! that panics gives an outcome of `INTERNAL`; the carrier need not catch anything.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use dreammesh_wire::{Limits, Segment};

use crate::balance::Load;
use crate::call::{
    Begun, CallError, Compression, Deadline, Extensions, Initiator, Metadata, MethodInfo, Peer,
    Priority, Status, TraceContext, WireOption,
};
use crate::layer::{ConnectionCounts, Observation};
use crate::resolve::Knowledge;

/// Names one stream of one connection; never reused on it, so a stale key harms nobody.
///
/// What the bits mean is up to the connection, usually a slot and its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamKey(u64);

impl StreamKey {
    /// A key of the connection's choice.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits the connection chose.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// Where a call stands in a connection's queue of calls that wait to open.
///
/// [`Connection::poll_open`] sets it when it first answers pending and uses it to find the call
/// again; it is none again once the call is opened or failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenTicket(Option<u64>);

impl OpenTicket {
    /// Not in any queue.
    pub const NONE: Self = Self(None);

    /// Set by a connection that is full and has calls wait at the source they got it from; there
    /// the call goes before those that wait already.
    pub const SENT_BACK: Self = Self(Some(u64::MAX));

    /// A place of the connection's choice.
    pub const fn from_bits(bits: u64) -> Self {
        Self(Some(bits))
    }

    /// The place, unless there is none.
    pub const fn bits(self) -> Option<u64> {
        self.0
    }
}

/// The form in which the bytes of a message are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the protocol names these two payload kinds"
)]
pub enum WireMode {
    /// An archive, read in place.
    Archive,
    /// Protobuf.
    Protobuf,
}

impl WireMode {
    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Protobuf => "protobuf",
        }
    }
}

/// What a call speaks that reaches a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Protocol {
    /// Nothing, as its caller is in the same process.
    InProcess,
    /// A session.
    Session,
    /// gRPC.
    Grpc,
    /// gRPC-Web.
    GrpcWeb,
    /// Connect.
    Connect,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 5] = [
        Self::InProcess,
        Self::Session,
        Self::Grpc,
        Self::GrpcWeb,
        Self::Connect,
    ];

    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InProcess => "in-process",
            Self::Session => "session",
            Self::Grpc => "grpc",
            Self::GrpcWeb => "grpc-web",
            Self::Connect => "connect",
        }
    }

    /// The form of messages where none has come yet: only a session and a process have archives.
    pub(crate) const fn mode(self) -> WireMode {
        match self {
            Self::InProcess | Self::Session => WireMode::Archive,
            Self::Grpc | Self::GrpcWeb | Self::Connect => WireMode::Protobuf,
        }
    }
}

/// All that a connection needs to open a call.
///
/// It borrows, so that a call which has to wait builds it anew for each poll at no cost.
#[derive(Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "only this crate builds it; carriers take it apart"
)]
pub struct Opening<'a> {
    /// The method.
    pub method: &'static MethodInfo,
    /// The caller's metadata.
    pub metadata: &'a Metadata,
    /// By when the call must have ended; the connection enforces it, also while it waits here.
    pub deadline: Option<Deadline>,
    /// The present, when the caller has just looked at the clock.
    pub now: Option<Instant>,
    /// The trace it belongs to.
    pub trace: Option<&'a TraceContext>,
    /// How urgent it is.
    pub priority: Priority,
    /// Which try of the call this is, from 0.
    pub attempt: u32,
    /// A key by which the server may tell repetitions of one call.
    pub idempotency_key: Option<&'a str>,
    /// The form that its messages may take.
    pub wire: WireOption,
    /// Whether its messages travel compressed, those that say nothing else of themselves.
    pub compression: Compression,
    /// The first message as an archive; taken only when the call is opened.
    pub message: &'a mut Option<Segment>,
    /// Whether the message, or one that shares its bytes, stays when the call is opened.
    pub keep: Keep,
    /// Whether the first message is also the last.
    pub half_close: bool,
    /// The place among those that wait.
    pub ticket: &'a mut OpenTicket,
}

/// Whether the message of a call stays with its caller when the call is opened.
///
/// A message that is let go gives its memory to the next one while that is still in the cache: with
/// 64 calls of 1 KiB outstanding, to keep all of them costs a tenth of the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "carriers must decide every case; a fourth would be a break"
)]
pub enum Keep {
    /// It is taken.
    No,
    /// It is taken, unless the connection may refuse it in this form.
    IfUnsure,
    /// It stays, so that the call can be made again.
    Yes,
}

/// A call that was opened.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "built by carriers in the hot path"
)]
pub struct Opened {
    /// Names its stream.
    pub key: StreamKey,
    /// Whether the connection has kept the waker as [`StreamPort::poll_unary`] would, so that the
    /// caller of a method with one request and one response need not ask before it is woken.
    pub waiting: bool,
}

/// A message as it came, not yet validated.
#[derive(Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "built by carriers in the hot path"
)]
pub struct Received {
    /// The bytes, in the form that `mode` says.
    pub bytes: Bytes,
    /// The form of the bytes.
    pub mode: WireMode,
    /// Whether they were compressed on their way.
    pub compressed: bool,
}

/// The whole answer to a call with one response.
#[derive(Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "built by carriers in the hot path"
)]
pub struct Answer {
    /// The metadata before the message.
    pub headers: Metadata,
    /// The message.
    pub message: Received,
    /// The metadata after it.
    pub trailers: Metadata,
}

/// How a stream ended other than by a clean end of the peer's half.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "built by carriers; its facts are all retries read"
)]
pub struct Ended {
    /// The status; never success.
    pub status: Status,
    /// Who ended it.
    pub initiator: Initiator,
    /// Whether the server may have begun to process the call.
    pub begun: Begun,
    /// Whether the server ended this call alone. What brought a connection down says nothing of the
    /// calls on it, while a server that answers one means what it says.
    pub stated: bool,
    /// Whether the server ended it because it drains.
    pub drained: bool,
    /// The metadata that came with the status.
    pub trailers: Metadata,
}

impl Ended {
    /// An end that this side's library brought about.
    pub const fn by_library(status: Status, begun: Begun) -> Self {
        Self {
            status,
            initiator: Initiator::Library,
            begun,
            stated: false,
            drained: false,
            trailers: Metadata::new(),
        }
    }

    /// An end that the caller brought about.
    pub const fn by_caller(status: Status, begun: Begun) -> Self {
        Self {
            status,
            initiator: Initiator::Caller,
            begun,
            stated: false,
            drained: false,
            trailers: Metadata::new(),
        }
    }

    /// An end of this one call that the peer reported.
    pub const fn by_peer(status: Status, begun: Begun, trailers: Metadata) -> Self {
        Self {
            status,
            initiator: Initiator::Peer,
            begun,
            stated: true,
            drained: false,
            trailers,
        }
    }

    /// The deadline passed on this side.
    pub fn deadline_exceeded(begun: Begun) -> Self {
        Self::by_caller(Status::deadline_exceeded("deadline exceeded"), begun)
    }

    /// A method with one response ended well and sent none: `UNIMPLEMENTED`, as gRPC's list of
    /// status codes has it for a wrong number of messages.
    pub fn no_message() -> Self {
        Self::by_library(
            Status::unimplemented("the call ended without a message"),
            Begun::Maybe,
        )
    }

    /// A method with one response sent a second one: `UNIMPLEMENTED`, as for none.
    pub fn second_message() -> Self {
        let status = Status::unimplemented("a second message where exactly one belongs");
        Self::by_library(status, Begun::Maybe)
    }

    /// A call that may travel as archives alone, to a peer that does not read them.
    pub fn archives_refused(method: &MethodInfo) -> Self {
        let status = Status::failed_precondition(format!(
            "the server does not read the archives of {}, and the call may not travel as protobuf \
             (WireOption::Archive): allow it with `auto`, or bring the two schemas together",
            method.path()
        ));
        Self::by_library(status, Begun::No)
    }

    /// A key that names no stream, since it ended before.
    pub fn no_stream() -> Self {
        Self::by_library(Status::cancelled("the stream has ended"), Begun::Maybe)
    }
}

/// An end as the caller's error; the channel adds the endpoint.
impl From<Ended> for CallError {
    fn from(ended: Ended) -> Self {
        let error = Self::new(ended.status, ended.initiator, ended.begun);
        error
            .with_drained(ended.drained)
            .with_trailers(ended.trailers)
    }
}

/// The streams of one connection, on either side.
///
/// A method that answers pending keeps the waker of the latest poll of its kind and stream: one
/// for sending, one for receiving. Validation and user code never run under a lock of the port.
pub trait StreamPort: Send + Sync + fmt::Debug {
    /// Queues a message, waiting for the stream's credit; `message` is taken exactly when ready.
    ///
    /// With `last`, our half ends with this message. Media that compress no messages pass over
    /// `compression`; what is [`Compression::Auto`] is as the call was opened.
    ///
    /// # Errors
    /// How the stream ended, when it did.
    fn poll_send(
        &self,
        key: StreamKey,
        cx: &mut Context<'_>,
        message: &mut Option<Segment>,
        last: bool,
        compression: Compression,
    ) -> Poll<Result<(), Ended>>;

    /// Ends our half without a message; never waits, and does nothing when it has ended.
    fn close_send(&self, key: StreamKey);

    /// The next message of the peer, or none at the clean end of its half.
    ///
    /// On the client a clean end is an end of status OK.
    ///
    /// # Errors
    /// How the stream ended, when not cleanly. Asking again after an end gives
    /// [`Ended::no_stream`] or the same end.
    fn poll_message(
        &self,
        key: StreamKey,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Received>, Ended>>;

    /// Client: the metadata before the first message; given once, empty afterwards.
    ///
    /// # Errors
    /// How the stream ended, when it did before any metadata or message.
    fn poll_headers(&self, key: StreamKey, cx: &mut Context<'_>) -> Poll<Result<Metadata, Ended>>;

    /// Client: the whole answer of a method with one response, in one step.
    ///
    /// Ready releases the stream, so that the common call takes the port's lock once for its
    /// answer.
    ///
    /// # Errors
    /// How the stream ended; [`Ended::no_message`] and [`Ended::second_message`] when it ended
    /// well without exactly one message.
    fn poll_unary(&self, key: StreamKey, cx: &mut Context<'_>) -> Poll<Result<Answer, Ended>>;

    /// Client: the metadata after a clean end; given once, empty before and afterwards.
    fn take_trailers(&self, key: StreamKey) -> Metadata;

    /// Server: sends the metadata before the first message; without effect after it.
    fn send_headers(&self, key: StreamKey, headers: Metadata);

    /// Throws away what the peer sent and still sends on this stream, and returns its credit.
    fn discard(&self, key: StreamKey);

    /// Client: forgets the stream, and cancels it on the wire unless it has ended.
    ///
    /// Called from `Drop`; it must not wait or panic. A server's carrier releases its streams
    /// itself when it has sent the outcome.
    fn release(&self, key: StreamKey);
}

/// One live link to an endpoint on which calls can be opened.
pub trait Connection: StreamPort {
    /// Opens a call, waiting while the peer's maximum of concurrent calls is reached.
    ///
    /// The connection enforces the deadline while the call waits and for its whole life. Where it
    /// answers pending with [`OpenTicket::SENT_BACK`] it has not queued the call, which asks its
    /// source for a connection again, with that ticket.
    ///
    /// # Errors
    /// How it ended before it began; the message stays in the opening when it provably did not
    /// begin, so that it can be opened elsewhere.
    fn poll_open(&self, cx: &mut Context<'_>, opening: Opening<'_>) -> Poll<Result<Opened, Ended>>;

    /// Leaves the queue of those that wait to open.
    fn abandon_open(&self, ticket: OpenTicket);

    /// Says, once, whether a unary call for which [`StreamPort::poll_unary`] failed without its
    /// having begun was sent as an archive before the server had agreed to read it; the caller
    /// opens it again as protobuf.
    fn was_unsure(&self, key: StreamKey) -> bool {
        let _ = key;
        false
    }

    /// Whether it takes new calls: neither closed nor draining.
    fn is_open(&self) -> bool;

    /// Whether nothing comes back any more and there is another connection, so that a call which
    /// may be made again should be; whoever waits for an answer is woken when that begins.
    fn is_forsaken(&self) -> bool {
        false
    }

    /// Who is at the other end.
    fn peer(&self) -> &Peer;
}

/// What a call tells the source of connections that it needs one from.
#[derive(Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "only this crate builds it; sources take it apart"
)]
pub struct ConnectionAsk<'a> {
    /// The method.
    pub method: &'static MethodInfo,
    /// By when the call must have ended; the source enforces it while the call waits here.
    pub deadline: Option<Deadline>,
    /// Whether the call waits through failures to connect instead of failing with the first.
    pub wait_for_ready: bool,
    /// Which try of the call this is, from 0.
    pub attempt: u32,
    /// The bytes of the request as an archive; 0 for a method whose requests stream.
    pub message_bytes: usize,
    /// Whether it does no harm if somebody else sends the call again, and the call is made anew if
    /// the connection turns out never to have been one: it may travel before a handshake is done.
    pub early: bool,
    /// The place among those that wait.
    pub ticket: &'a mut OpenTicket,
    /// To be set by a source that balances calls over several endpoints.
    pub balanced: &'a mut Option<Balanced>,
    /// The endpoints at which the call has failed already; it had better go to another one.
    pub tried: &'a [Arc<Load>],
}

/// What a source that balances calls says of the endpoint whose connection it gives.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "built by sources in the hot path"
)]
pub struct Balanced {
    /// What it is doing; the call notes there that it begins, and how it ends.
    pub load: Arc<Load>,
    /// The present.
    pub now: Instant,
    /// Whether there is another endpoint at which the call has not failed.
    pub has_others: bool,
}

/// Where a channel gets the connection for a call: one kept link, or a balancer's pick of many.
pub trait ConnectionSource: Send + Sync + fmt::Debug {
    /// A connection for one call, waiting until there is one.
    ///
    /// # Errors
    /// Why there is none: `UNAVAILABLE` with the last failure to connect, or the deadline.
    fn poll_connection(
        &self,
        cx: &mut Context<'_>,
        ask: ConnectionAsk<'_>,
    ) -> Poll<Result<Arc<dyn Connection>, Ended>>;

    /// Leaves the queue of those that wait.
    fn abandon(&self, ticket: OpenTicket);

    /// What is counted of its connections, one for each endpoint; nothing by default.
    fn connections(&self) -> Vec<Arc<ConnectionCounts>> {
        Vec::new()
    }

    /// What its endpoints are found by, and how old that is; nothing where they do not change.
    fn knowledge(&self) -> Option<(&str, &Knowledge)> {
        None
    }

    /// Is told that a call is made again because its connection was over, and what the source said
    /// of the endpoint of that.
    fn repeated(&self, load: Option<&Arc<Load>>) {
        let _ = load;
    }
}

/// A call as it reaches a handler; also what server layers see.
///
/// It is one pointer to its parts, since it is moved from hand to hand several times before the
/// handler has it.
#[derive(Debug)]
pub struct ServerCall(Box<ServerCallParts>);

/// The parts of a [`ServerCall`], which it dereferences to.
#[derive(Debug)]
#[non_exhaustive]
pub struct ServerCallParts {
    /// The method.
    pub method: &'static MethodInfo,
    /// What it came by; the carrier says so.
    pub protocol: Protocol,
    /// The caller's metadata.
    pub metadata: Metadata,
    /// By when it must have ended.
    pub deadline: Option<Deadline>,
    /// When it arrived; the carrier may leave it out, which costs metrics a look at the clock.
    pub arrived: Option<Instant>,
    /// The trace it belongs to.
    pub trace: Option<TraceContext>,
    /// How urgent it is.
    pub priority: Priority,
    /// Which try of the call this is, from 0.
    pub attempt: u32,
    /// A key by which repetitions of one call can be told.
    pub idempotency_key: Option<Box<str>>,
    /// Who calls.
    pub peer: Peer,
    /// Typed values of the layers.
    pub extensions: Extensions,
    /// The bounds for each request message.
    pub limits: Limits,
    /// The first request message, when it came with the opening.
    pub first: Option<Received>,
    /// Whether the caller's half had ended with it.
    pub half_closed: bool,
    /// The stream; none only when `half_closed` and the method has one response.
    pub stream: Option<ServerStream>,
}

/// The stream of a call on the server.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "a port and a key are what a stream is here"
)]
pub struct ServerStream {
    /// The connection it is on.
    pub port: Arc<dyn StreamPort>,
    /// Its key there.
    pub key: StreamKey,
}

impl ServerCall {
    /// A call of a method by a peer, everything else empty.
    pub fn new(method: &'static MethodInfo, peer: Peer) -> Self {
        Self(Box::new(ServerCallParts {
            method,
            protocol: Protocol::InProcess,
            metadata: Metadata::new(),
            deadline: None,
            arrived: None,
            trace: None,
            priority: Priority::NORMAL,
            attempt: 0,
            idempotency_key: None,
            peer,
            extensions: Extensions::new(),
            limits: Limits::default(),
            first: None,
            half_closed: false,
            stream: None,
        }))
    }
}

impl Deref for ServerCall {
    type Target = ServerCallParts;

    fn deref(&self) -> &ServerCallParts {
        &self.0
    }
}

impl DerefMut for ServerCall {
    fn deref_mut(&mut self) -> &mut ServerCallParts {
        &mut self.0
    }
}

/// What a handler leaves for the carrier to send.
#[derive(Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "carriers take it apart in the hot path"
)]
pub struct Outcome {
    /// How the call ended.
    pub status: Status,
    /// The metadata before the message; for a method with many responses it was sent before.
    pub headers: Metadata,
    /// The response of a method with one response, as an archive; none unless the status is OK.
    pub message: Option<Segment>,
    /// Whether it is to travel compressed.
    pub compression: Compression,
    /// The metadata after the last message.
    pub trailers: Metadata,
}

impl Outcome {
    /// The end of a call without a message.
    pub const fn of(status: Status) -> Self {
        Self {
            status,
            headers: Metadata::new(),
            message: None,
            compression: Compression::Auto,
            trailers: Metadata::new(),
        }
    }

    /// The end of a call with a failure, and the trailers that were attached to it.
    pub fn failed(mut status: Status) -> Self {
        let trailers = status.take_trailers();
        Self {
            trailers,
            ..Self::of(status)
        }
    }
}

/// The future of one call on the server; dropping it cancels the handler.
///
/// Beside the handler's own future it holds what watches the call, if anything does, so that
/// watching costs no allocation.
pub struct HandlerFuture {
    handling: Pin<Box<dyn Future<Output = Outcome> + Send>>,
    observation: Option<Observation>,
}

impl HandlerFuture {
    /// The future of a call that nobody watches.
    pub fn new(handling: impl Future<Output = Outcome> + Send + 'static) -> Self {
        Self {
            handling: Box::pin(handling),
            observation: None,
        }
    }

    /// The same call, watched; one that is watched already is so twice.
    pub(crate) fn watched(self, observation: Observation) -> Self {
        let inner = match self.observation {
            None => self,
            Some(_) => Self::new(self),
        };
        Self {
            observation: Some(observation),
            ..inner
        }
    }
}

impl Future for HandlerFuture {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = &mut *self;
        let Some(observation) = &this.observation else {
            return this.handling.as_mut().poll(cx);
        };
        let outcome = ready!(observation.enter(|| this.handling.as_mut().poll(cx)));
        if let Some(observation) = this.observation.take() {
            observation.finish_handling(&outcome);
        }
        Poll::Ready(outcome)
    }
}

impl fmt::Debug for HandlerFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerFuture")
    }
}

/// Runs the calls of one method.
pub trait Handler: Send + Sync + fmt::Debug {
    /// The method.
    fn method(&self) -> &'static MethodInfo;

    /// Begins a call. The future sets the call's context around its own polls and contains
    /// panics; dropping it cancels the handler.
    fn call(&self, call: ServerCall) -> HandlerFuture;
}

/// Finds the handler of a path; the router is one.
pub trait Lookup: Send + Sync + fmt::Debug {
    /// The handler of a path `/package.Service/Method`.
    ///
    /// # Errors
    /// The `UNIMPLEMENTED` to answer with when there is none, `UNAVAILABLE` while draining.
    fn lookup(&self, path: &str) -> Result<Arc<dyn Handler>, Status>;

    /// The form that messages may take as far as the server is concerned.
    fn wire(&self) -> WireOption {
        WireOption::Auto
    }
}
