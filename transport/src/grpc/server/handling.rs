//! How calls are run, whatever they come as.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use dreammesh_core::call::{Deadline, Peer, Status, Timeout};
use dreammesh_core::port::{
    HandlerFuture, Outcome, Protocol, ServerCall, ServerStream, StreamKey, StreamPort,
};
use dreammesh_core::wire::Limits;

use super::answer::send_whole;
use super::exchange::Exchange;
use super::held::Held;
use super::running::Running;
use super::stream::{Incoming, Requests, Stream};
use super::sum::Sum;
use crate::driver::route::{LONG_POLL, Pace, Route, Routes};
use crate::driver::timer;
use crate::grpc::encoding::Encoding;
use crate::grpc::form::{Codec, Form};
use crate::grpc::head::RequestHead;

/// What the calls of one connection have in common.
#[derive(Debug)]
pub(crate) struct Handling {
    pub(crate) routes: Arc<Routes>,
    pub(crate) limits: Limits,
    /// What answers are compressed with whose callers take that.
    pub(crate) encoding: Option<Encoding>,
    pub(crate) peer: Peer,
    pub(crate) answers: Arc<Held>,
    pub(crate) running: Arc<Running>,
    /// What has come of requests that are one message and not whole.
    pub(crate) gathered: Arc<Sum>,
}

/// A call that can begin.
#[derive(Debug)]
pub(crate) struct Prepared<E> {
    pub(crate) route: Arc<Route>,
    pub(crate) call: ServerCall,
    pub(crate) incoming: Incoming,
    pub(crate) form: Form,
    pub(crate) exchange: E,
}

impl Handling {
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
            answers: Arc::default(),
            running: Arc::default(),
            gathered: Arc::default(),
        }
    }

    /// The calls that last.
    pub(crate) fn running(&self) -> &Arc<Running> {
        &self.running
    }

    /// How long a message may be.
    pub(crate) fn message_bytes_max(&self) -> usize {
        self.limits.max_bytes
    }

    /// Finds the route of a path.
    pub(crate) fn find(&self, path: &str) -> Result<Arc<Route>, Status> {
        self.routes.find(path)
    }

    /// A request that was compressed is answered in kind, whatever is configured.
    pub(crate) fn form(&self, route: &Route, head: &RequestHead, codec: Codec) -> Form {
        let encoding = self.encoding.filter(|it| head.accepts.takes(*it));
        let usual = encoding.or(head.encoding);
        let usual = usual.filter(|it| head.accepts.takes(*it));
        Form {
            layout: route.method().response(),
            codec,
            usual,
            asked: usual.or_else(|| head.accepts.preferred()),
        }
    }

    pub(crate) fn server_call(
        &self,
        route: &Route,
        head: RequestHead,
        protocol: Protocol,
        arrived: Instant,
    ) -> ServerCall {
        let mut call = ServerCall::new(route.method(), self.peer.clone());
        call.protocol = protocol;
        call.deadline = deadline(head.timeout, arrived);
        call.arrived = Some(arrived);
        call.limits = self.limits;
        call.trace = head.trace;
        call.priority = head.priority;
        call.attempt = head.attempt;
        call.idempotency_key = head.idempotency_key;
        call.metadata = head.metadata;
        call
    }

    /// Runs a call that has nothing more to read and one answer.
    pub(crate) fn call_whole<E: Exchange>(&self, prepared: Prepared<E>) {
        let Prepared {
            route,
            call,
            incoming,
            form,
            mut exchange,
        } = prepared;
        let (deadline, requests) = (call.deadline, self.requests(&route));
        match poll_first(&route, route.handler().call(call)) {
            Ok(outcome) => {
                // Whoever is gone needs no answer.
                let _ = send_whole(&mut exchange, outcome, &form, &self.answers);
            }
            Err(future) => {
                let answers = Arc::clone(&self.answers);
                let stream = Stream::new(exchange, incoming, form, requests, answers);
                let stream = Arc::new(stream);
                self.spawn(stream, future, deadline);
            }
        }
    }

    /// Runs a call that reads or writes as it goes.
    pub(crate) fn call_stream<E: Exchange>(&self, prepared: Prepared<E>) {
        let Prepared {
            route,
            mut call,
            mut incoming,
            form,
            exchange,
        } = prepared;
        incoming.count_in(&self.gathered);
        let (deadline, takes_long) = (call.deadline, incoming.takes_long());
        let requests = self.requests(&route);
        let answers = Arc::clone(&self.answers);
        let stream = Arc::new(Stream::new(exchange, incoming, form, requests, answers));
        let port: Arc<dyn StreamPort> = Arc::clone(&stream) as _;
        let key = StreamKey::from_bits(0);
        call.stream = Some(ServerStream { port, key });
        if takes_long {
            let future = route.handler().call(call);
            return self.spawn(stream, future, deadline);
        }
        match poll_first(&route, route.handler().call(call)) {
            Ok(outcome) => stream.finish(outcome),
            Err(future) => self.spawn(stream, future, deadline),
        }
    }

    fn requests(&self, route: &Route) -> Requests {
        Requests {
            layout: route.method().request(),
            limits: self.limits,
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
pub(crate) fn deadline(timeout: Option<Timeout>, arrived: Instant) -> Option<Deadline> {
    timeout.and_then(|timeout| Deadline::after(arrived, timeout.as_duration()))
}

pub(crate) fn overdue() -> Status {
    Status::deadline_exceeded("deadline exceeded")
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
