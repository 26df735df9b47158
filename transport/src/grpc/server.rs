//! Calls that come as gRPC: from the head of a request to its handler, and back to an answer.
//!
//! A call whose request is whole when it is seen, and whose handler answers at once, is done on the
//! spot: no task, no lock of its own, and its head, message and trailers leave in one write. Any
//! other becomes a task, which ends with its handler, its time, its caller or its server.
//!
//! - `exchange`: a request and its answer, whatever carries them.
//! - `answer`: heads, messages and trailers.
//! - `stream`: a call that lasts.
//! - `held`: what of answers is still to be sent.
//! - `running`: the calls that last, so that they can be ended together.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use dreammesh_core::call::{Deadline, Metadata, Peer, Status, Timeout};
use dreammesh_core::port::{
    HandlerFuture, Outcome, Received, ServerCall, ServerStream, StreamKey, StreamPort, WireMode,
};
use dreammesh_core::wire::Limits;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Request;
use http::request::Parts;

use super::encoding::Encoding;
use super::head::{self, RequestHead};
use super::timeout;
use crate::driver::route::{LONG_POLL, Pace, Route, Routes};
use crate::driver::timer;
use answer::{Form, send_whole};
use exchange::{Exchange, Http2};
use held::Held;
use running::Running;
use stream::{Incoming, Stream, refuse};

mod answer;
mod exchange;
mod held;
mod running;
mod stream;

pub(crate) use running::Running as RunningCalls;

/// The calls of one connection.
#[derive(Debug)]
pub(crate) struct Calls {
    routes: Arc<Routes>,
    limits: Limits,
    /// What answers are compressed with whose callers take that.
    encoding: Option<Encoding>,
    peer: Peer,
    /// The routes that were called here, the latest first; at most [`KNOWN_ROUTES`].
    known: Vec<Arc<Route>>,
    /// Calls that are not begun while too much of earlier answers is held; no more than there may
    /// be streams.
    waiting: VecDeque<Waiting>,
    answers: Arc<Held>,
    running: Arc<Running>,
}

/// A call that is not begun.
#[derive(Debug)]
struct Waiting {
    parts: Parts,
    exchange: Http2,
    arrived: Instant,
    deadline: Option<Deadline>,
}

impl Calls {
    pub(crate) fn new(
        routes: Arc<Routes>,
        limits: Limits,
        encoding: Option<Encoding>,
        peer: Peer,
    ) -> Self {
        Self {
            routes,
            limits,
            encoding,
            peer,
            known: Vec::new(),
            waiting: VecDeque::new(),
            answers: Arc::default(),
            running: Arc::default(),
        }
    }

    /// The calls that last.
    pub(crate) fn running(&self) -> &Arc<Running> {
        &self.running
    }

    /// Whether any has not ended; if so, the waker is told when that changes.
    pub(crate) fn is_busy(&self, waker: &Waker) -> bool {
        !self.waiting.is_empty() || !self.running.is_empty(waker)
    }

    /// Whether there is a method of that path.
    pub(crate) fn knows(&self, path: &str) -> bool {
        self.routes.find(path).is_ok()
    }

    /// Takes in a request that came then, and answers it at once if that can be done.
    pub(crate) fn accept(
        &mut self,
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        now: Instant,
    ) {
        let (parts, receive) = request.into_parts();
        let exchange = Http2::new(receive, respond);
        if self.waiting.is_empty() && self.has_room() {
            self.begin(&parts, exchange, now);
        } else {
            // What is wrong with it is said when it begins.
            let timeout = parts.headers.get(head::TIMEOUT);
            let timeout = timeout.and_then(|value| timeout::read(value).ok());
            self.waiting.push_back(Waiting {
                parts,
                exchange,
                arrived: now,
                deadline: deadline(timeout, now),
            });
        }
    }

    /// Lets go of calls that wait and were given up, ends those whose time is over, and says when
    /// the next one's is.
    pub(crate) fn poll_waiting(&mut self, now: Instant, cx: &mut Context<'_>) -> Option<Instant> {
        let mut next: Option<Deadline> = None;
        self.waiting.retain_mut(|waiting| {
            if waiting.exchange.poll_gone(cx).is_ready() {
                return false;
            }
            if waiting
                .deadline
                .is_some_and(|deadline| deadline.is_past(now))
            {
                refuse(&mut waiting.exchange, &overdue());
                return false;
            }
            next = Deadline::earlier(next, waiting.deadline);
            true
        });
        next.map(Deadline::instant)
    }

    /// Begins calls that waited, as far as there is room; says whether there were any.
    pub(crate) fn resume(&mut self) -> bool {
        let mut any = false;
        while self.has_room() {
            let Some(waiting) = self.waiting.pop_front() else {
                break;
            };
            self.begin(&waiting.parts, waiting.exchange, waiting.arrived);
            any = true;
        }
        any
    }

    fn has_room(&self) -> bool {
        self.answers.bytes() < ANSWERS_BYTES
    }

    fn begin<E: Exchange>(&mut self, parts: &Parts, mut exchange: E, arrived: Instant) {
        match self.prepare(parts, arrived) {
            Ok((route, head)) => {
                let form = self.form(&route, &head);
                self.call(&route, head, form, exchange, arrived);
            }
            Err(status) => refuse(&mut exchange, &status),
        }
    }

    fn prepare(
        &mut self,
        parts: &Parts,
        arrived: Instant,
    ) -> Result<(Arc<Route>, RequestHead), Status> {
        let route = self.route(parts.uri.path())?;
        let head = RequestHead::read(&parts.headers, Metadata::DEFAULT_LIMIT_BYTES)?;
        // A time that is over already, or was while the call waited, leaves nothing to begin.
        match deadline(head.timeout, arrived) {
            Some(deadline) if deadline.is_past(timer::now()) => Err(overdue()),
            _ => Ok((route, head)),
        }
    }

    /// Finds a route, among the latest ones first.
    fn route(&mut self, path: &str) -> Result<Arc<Route>, Status> {
        let is_it = |route: &Arc<Route>| route.method().path() == path;
        let at = match self.known.iter().position(is_it) {
            Some(at) => at,
            None => {
                let route = self.routes.find(path)?;
                self.known.truncate(KNOWN_ROUTES - 1);
                self.known.insert(0, route);
                0
            }
        };
        Ok(Arc::clone(&self.known[at]))
    }

    /// A request that was compressed is answered in kind, whatever is configured.
    fn form(&self, route: &Route, head: &RequestHead) -> Form {
        let encoding = self.encoding.filter(|it| head.accepts.takes(*it));
        Form {
            layout: route.method().response(),
            encoding: encoding
                .or(head.encoding)
                .filter(|it| head.accepts.takes(*it)),
        }
    }

    fn call<E: Exchange>(
        &self,
        route: &Arc<Route>,
        head: RequestHead,
        form: Form,
        mut exchange: E,
        arrived: Instant,
    ) {
        let method = route.method();
        let mut call = ServerCall::new(method, self.peer.clone());
        call.deadline = deadline(head.timeout, arrived);
        call.arrived = Some(arrived);
        call.limits = self.limits;
        call.trace = head.trace;
        call.priority = head.priority;
        call.attempt = head.attempt;
        call.idempotency_key = head.idempotency_key;
        call.metadata = head.metadata;
        let mut incoming = Incoming::new(self.limits.max_bytes, head.encoding);
        if !method.kind().streams_requests() {
            match first(&mut incoming, &mut exchange) {
                Ok((first, whole)) => {
                    call.first = first;
                    call.half_closed = whole;
                }
                Err(status) => return refuse(&mut exchange, &status),
            }
        }
        if call.half_closed && !method.kind().streams_responses() {
            self.call_whole(route, call, incoming, form, exchange);
        } else {
            self.call_stream(route, call, incoming, form, exchange);
        }
    }

    /// Runs a call that has nothing more to read and one answer.
    fn call_whole<E: Exchange>(
        &self,
        route: &Arc<Route>,
        call: ServerCall,
        incoming: Incoming,
        form: Form,
        mut exchange: E,
    ) {
        let deadline = call.deadline;
        match poll_first(route, route.handler().call(call)) {
            Ok(outcome) => {
                // Whoever is gone needs no answer.
                let _ = send_whole(&mut exchange, outcome, &form, &self.answers);
            }
            Err(future) => {
                let answers = Arc::clone(&self.answers);
                let stream = Arc::new(Stream::new(exchange, incoming, form, answers));
                self.spawn(stream, future, deadline);
            }
        }
    }

    /// Runs a call that reads or writes as it goes.
    fn call_stream<E: Exchange>(
        &self,
        route: &Arc<Route>,
        mut call: ServerCall,
        incoming: Incoming,
        form: Form,
        exchange: E,
    ) {
        let deadline = call.deadline;
        let answers = Arc::clone(&self.answers);
        let stream = Arc::new(Stream::new(exchange, incoming, form, answers));
        let port: Arc<dyn StreamPort> = Arc::clone(&stream) as _;
        let key = StreamKey::from_bits(0);
        call.stream = Some(ServerStream { port, key });
        match poll_first(route, route.handler().call(call)) {
            Ok(outcome) => stream.finish(outcome),
            Err(future) => self.spawn(stream, future, deadline),
        }
    }

    fn spawn<E: Exchange>(
        &self,
        stream: Arc<Stream<E>>,
        future: HandlerFuture,
        deadline: Option<Deadline>,
    ) {
        let place = self.running.add(&stream);
        tokio::spawn(stream.run(future, deadline, place));
    }
}

/// By when a call has to have ended.
fn deadline(timeout: Option<Timeout>, arrived: Instant) -> Option<Deadline> {
    timeout.and_then(|timeout| Deadline::after(arrived, timeout.as_duration()))
}

fn overdue() -> Status {
    Status::deadline_exceeded("deadline exceeded")
}

/// What has come of the request of a method that takes one, and whether that is all of it.
fn first<E: Exchange>(
    incoming: &mut Incoming,
    exchange: &mut E,
) -> Result<(Option<Received>, bool), Status> {
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(message) = incoming.poll_message(exchange, &mut cx) else {
        return Ok((None, false));
    };
    // Without one, the handler finds the end itself, and says what it thinks of that.
    let mode = WireMode::Protobuf;
    let message = message?.map(|bytes| Received { bytes, mode });
    let mut whole = message.is_some() && incoming.is_between();
    while whole && !exchange.is_end() {
        match exchange.poll_data(&mut cx) {
            // Many clients say that it is the end in a frame of its own.
            Poll::Ready(Some(Ok(data))) if data.is_empty() => {}
            Poll::Ready(Some(Ok(data))) => {
                incoming.handle_data(data, exchange);
                whole = false;
            }
            Poll::Ready(Some(Err(status))) => return Err(status),
            Poll::Ready(None) => break,
            Poll::Pending => whole = false,
        }
    }
    Ok((message, whole))
}

/// Polls a handler for the first time, unless its method is known to be slow.
fn poll_first(route: &Route, mut future: HandlerFuture) -> Result<Outcome, HandlerFuture> {
    let pace = route.pace();
    if matches!(pace, Pace::Spawned | Pace::Tried) {
        return Err(future);
    }
    let begin = timer::now();
    let polled = Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()));
    let elapsed = timer::now().saturating_duration_since(begin);
    if pace != Pace::Inline || elapsed >= LONG_POLL {
        route.observe(elapsed);
    }
    match polled {
        Poll::Ready(outcome) => Ok(outcome),
        Poll::Pending => Err(future),
    }
}

/// More than most services have; so many are compared in less time than one is looked up.
const KNOWN_ROUTES: usize = 16;
/// What may be held of the answers of a connection before further calls are not begun: four of the
/// largest that clients take by default.
const ANSWERS_BYTES: usize = 16 * 1024 * 1024;
