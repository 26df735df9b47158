//! Calls to a service in the same process, with no network and no runtime.
//!
//! [`InProcess`] hands calls straight to the handlers of a [`Router`]. Nothing is spawned: a
//! handler's future is polled by whoever waits for its call, so a handler runs while its caller
//! polls and stands still while it does not. Everything else is as over a network: requests and
//! responses are archives that the other side validates, a stream holds its sender back at
//! [`STREAM_MESSAGES_MAX`] messages, dropping a call drops its handler, and calls made inside a
//! handler inherit its context.
//!
//! A deadline that has passed ends a call when it is opened or polled. There is no timer here, so
//! a handler that waits for ever is not ended by its deadline alone; drop the call, or poll it
//! under a timer of the runtime.

mod pipe;
mod slots;

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dreammesh_wire::{Limits, Segment};

pub use pipe::STREAM_MESSAGES_MAX;
use pipe::{Pipe, answer_of};
use slots::{Running, Slots, Unary};

use crate::by_method::ByMethod;
use crate::call::{
    Begun, Compression, Deadline, Endpoint, Metadata, MethodInfo, MethodKind, Peer, WireOption,
};
use crate::channel::Channel;
use crate::clock;
use crate::message;
use crate::port::{
    Answer, Connection, ConnectionAsk, ConnectionSource, Ended, Handler, Lookup, OpenTicket,
    Opened, Opening, Received, ServerCall, ServerStream, StreamKey, StreamPort, WireMode,
};
use crate::server::Router;

/// A connection to the services of a router in this process.
pub struct InProcess {
    router: Router,
    /// The handlers of the methods called so far.
    known: ByMethod<Arc<dyn Handler>>,
    slots: Mutex<Slots>,
    peer: Peer,
    limits: Limits,
}

impl InProcess {
    /// A connection to the services of a router, each message bounded as by default.
    pub fn new(router: Router) -> Self {
        Self {
            router,
            known: ByMethod::default(),
            slots: Mutex::default(),
            peer: Peer::new(Endpoint::new("in-process")),
            limits: Limits::default(),
        }
    }

    /// Bounds each request message.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What a channel is built over; see [`Channel::builder`].
    pub fn into_source(self) -> Arc<dyn ConnectionSource> {
        Arc::new(Source(Arc::new(self)))
    }

    /// A channel over this connection, everything else as by default.
    pub fn into_channel(self) -> Channel {
        Channel::new(self.into_source())
    }

    fn handler(&self, method: &'static MethodInfo) -> Result<Arc<dyn Handler>, Ended> {
        let refused = |status| Ended::by_peer(status, Begun::No, Metadata::new());
        match self.known.find(method) {
            Some(found) if !self.router.drain().is_draining() => Ok(Arc::clone(found)),
            _ => {
                let handler = self.router.lookup(method.path()).map_err(refused)?;
                Ok(Arc::clone(
                    self.known.find_or_insert(method, || Arc::clone(&handler)),
                ))
            }
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, opening: Opening<'_>) -> Result<StreamKey, Ended> {
        let method = opening.method;
        let deadline = opening.deadline;
        check(deadline, Begun::No)?;
        let handler = self.handler(method)?;
        let mode = mode_of(opening.wire, self.router.wire());
        if opening.wire == WireOption::Archive && mode == WireMode::Protobuf {
            return Err(Ended::archives_refused(method));
        }
        let mut call = ServerCall::new(method, self.peer.clone());
        call.metadata = opening.metadata.clone();
        call.deadline = deadline;
        call.trace = opening.trace.cloned();
        call.priority = opening.priority;
        call.attempt = opening.attempt;
        call.idempotency_key = opening.idempotency_key.map(Box::from);
        call.limits = self.limits;
        call.half_closed = opening.half_close;
        let first = opening.message.take();
        call.first = first
            .map(|first| formed(first, mode, || method.request()))
            .transpose()?;
        if method.kind() == MethodKind::Unary {
            let future = Some(handler.call(call));
            let unary = Unary {
                future,
                method,
                mode,
                deadline,
            };
            return Ok(self.slots().insert(Running::Unary(unary)));
        }
        let pipe = Arc::new(Pipe::new(method, mode, deadline, opening.half_close));
        let port = Arc::clone(&pipe) as Arc<dyn StreamPort>;
        call.stream = Some(ServerStream {
            port,
            key: StreamKey::from_bits(0),
        });
        pipe.start(handler.call(call));
        Ok(self.slots().insert(Running::Stream(pipe)))
    }

    fn pipe(&self, key: StreamKey) -> Result<Arc<Pipe>, Ended> {
        match self.slots().running(key) {
            Some(Running::Stream(pipe)) => Ok(Arc::clone(pipe)),
            _ => Err(Ended::no_stream()),
        }
    }

    /// Polls a unary handler outside of the lock; it is in nobody else's hands meanwhile.
    fn poll_handler(&self, key: StreamKey, cx: &mut Context<'_>) -> Poll<Result<Answer, Ended>> {
        let (mut future, method, mode, deadline) = match self.slots().running(key) {
            Some(Running::Unary(unary)) => match unary.future.take() {
                Some(future) => (future, unary.method, unary.mode, unary.deadline),
                None => return Poll::Ready(Err(Ended::no_stream())),
            },
            _ => return Poll::Ready(Err(Ended::no_stream())),
        };
        if let Poll::Ready(outcome) = Pin::new(&mut future).poll(cx) {
            drop(future);
            self.slots().remove(key);
            return Poll::Ready(answer_of(outcome, method, mode));
        }
        if let Err(ended) = check(deadline, Begun::Maybe) {
            self.slots().remove(key);
            return Poll::Ready(Err(ended));
        }
        if let Some(Running::Unary(unary)) = self.slots().running(key) {
            unary.future = Some(future);
        }
        Poll::Pending
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess")
            .field("router", &self.router)
            .finish_non_exhaustive()
    }
}

impl StreamPort for InProcess {
    fn poll_send(
        &self,
        key: StreamKey,
        cx: &mut Context<'_>,
        message: &mut Option<Segment>,
        last: bool,
        _: Compression,
    ) -> Poll<Result<(), Ended>> {
        self.pipe(key)?.poll_send_request(cx, message, last)
    }

    fn close_send(&self, key: StreamKey) {
        if let Ok(pipe) = self.pipe(key) {
            pipe.close_requests();
        }
    }

    fn poll_message(
        &self,
        key: StreamKey,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Received>, Ended>> {
        self.pipe(key)?.poll_response(cx)
    }

    fn poll_headers(&self, key: StreamKey, cx: &mut Context<'_>) -> Poll<Result<Metadata, Ended>> {
        self.pipe(key)?.poll_response_headers(cx)
    }

    fn poll_unary(&self, key: StreamKey, cx: &mut Context<'_>) -> Poll<Result<Answer, Ended>> {
        let pipe = match self.slots().running(key) {
            Some(Running::Stream(pipe)) => Some(Arc::clone(pipe)),
            _ => None,
        };
        let Some(pipe) = pipe else {
            return self.poll_handler(key, cx);
        };
        let answer = ready!(pipe.poll_answer(cx));
        self.release(key);
        Poll::Ready(answer)
    }

    fn take_trailers(&self, key: StreamKey) -> Metadata {
        self.pipe(key)
            .map(|pipe| pipe.take_trailers())
            .unwrap_or_default()
    }

    fn send_headers(&self, _: StreamKey, _: Metadata) {}

    fn discard(&self, _: StreamKey) {}

    fn release(&self, key: StreamKey) {
        // The handler is dropped after the lock, since its destructors are user code.
        let running = self.slots().remove(key);
        if let Some(Running::Stream(pipe)) = running {
            pipe.cancel();
        }
    }
}

impl Connection for InProcess {
    fn poll_open(&self, _: &mut Context<'_>, opening: Opening<'_>) -> Poll<Result<Opened, Ended>> {
        Poll::Ready(self.open(opening).map(|key| Opened {
            key,
            waiting: false,
        }))
    }

    fn abandon_open(&self, _: OpenTicket) {}

    fn is_open(&self) -> bool {
        !self.router.drain().is_draining()
    }

    fn peer(&self) -> &Peer {
        &self.peer
    }
}

/// The source of the one connection.
#[derive(Debug)]
struct Source(Arc<InProcess>);

impl ConnectionSource for Source {
    fn poll_connection(
        &self,
        _: &mut Context<'_>,
        _: ConnectionAsk<'_>,
    ) -> Poll<Result<Arc<dyn Connection>, Ended>> {
        Poll::Ready(Ok(Arc::clone(&self.0) as Arc<dyn Connection>))
    }

    fn abandon(&self, _: OpenTicket) {}
}

/// Both ends are one build, so archives are read unless one of them asks for protobuf.
const fn mode_of(caller: WireOption, server: WireOption) -> WireMode {
    match (caller, server) {
        (WireOption::Protobuf, _) | (_, WireOption::Protobuf) => WireMode::Protobuf,
        _ => WireMode::Archive,
    }
}

/// A sent message as the other side receives it.
fn formed(
    segment: Segment,
    mode: WireMode,
    layout: impl FnOnce() -> &'static dreammesh_wire::Layout,
) -> Result<Received, Ended> {
    let segment = message::send(mode, segment, layout())
        .map_err(|error| Ended::by_library(message::unsendable(&error), Begun::No))?;
    let bytes = match segment.as_slice() {
        // Copied, so that the pooled buffer goes back and the message owns what it needs.
        Some(small) if small.len() <= COPIED_BYTES_MAX => Bytes::copy_from_slice(small),
        _ => segment.into_bytes(),
    };
    Ok(Received {
        bytes,
        mode,
        compressed: false,
    })
}

/// Up to here copying costs less than letting the next message grow a new buffer.
const COPIED_BYTES_MAX: usize = 4096;

fn check(deadline: Option<Deadline>, begun: Begun) -> Result<(), Ended> {
    match deadline {
        Some(deadline) if deadline.is_past(clock::now()) => Err(Ended::deadline_exceeded(begun)),
        _ => Ok(()),
    }
}
