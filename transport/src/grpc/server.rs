//! Calls that come as gRPC: from the head of a request to its handler, and back to an answer.
//!
//! A call whose request is whole when it is seen, and whose handler answers at once, is done on the
//! spot: no task, no lock of its own, and its head, message and trailers leave in one write. Any
//! other becomes a task, which ends with its handler, its time, its caller or its server.
//!
//! - `exchange`: a request and its answer, whatever carries them.
//! - `handling`: how calls are run, whatever they come as.
//! - `answer`: heads, messages and trailers.
//! - `stream`: a call that lasts.
//! - `held`: what of answers is still to be sent.
//! - `sum`: what of requests has come that are not whole.
//! - `running`: the calls that last, so that they can be ended together.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use dreammesh_core::call::{Deadline, Metadata, Status};
use dreammesh_core::port::{Protocol, Received, WireMode};
use h2::RecvStream;
use h2::server::SendResponse;
use http::Request;
use http::request::Parts;

use super::form::Codec;
use super::head::{self, RequestHead};
use super::prefix::Framed;
use super::timeout;
use crate::driver::route::Route;
use crate::driver::timer;
use crate::web::asked::{self, Asked};
use crate::web::calls as web;
use crate::web::dialect::Dialect;
use exchange::{Exchange, Http2, Receive as _};
use handling::{Handling, Prepared, deadline, overdue};
use running::Running;
use stream::Incoming;

mod answer;
pub(crate) mod exchange;
pub(crate) mod handling;
mod held;
mod running;
pub(crate) mod stream;
pub(crate) mod sum;

pub(crate) use running::Running as RunningCalls;

/// The calls of one connection.
#[derive(Debug)]
pub(crate) struct Calls {
    handling: Handling,
    /// Whether they may come as gRPC itself.
    grpc: bool,
    /// How those are taken that come from browsers; none if they may not.
    web: Option<web::Settings>,
    /// The routes that were called here, the latest first; at most [`KNOWN_ROUTES`].
    known: Vec<Arc<Route>>,
    /// Calls that are not begun while too much of earlier answers is held; no more than there may
    /// be streams.
    waiting: VecDeque<Waiting>,
    /// Calls whose one request has not come whole; at most [`GATHERING_CALLS`].
    gathering: VecDeque<Gathering>,
    /// When one of them may be overdue; none only if there is none that can be.
    gathering_due: Option<Instant>,
    /// No call may begin.
    closed: bool,
}

/// A call that is not begun.
#[derive(Debug)]
struct Waiting {
    parts: Parts,
    exchange: Http2,
    /// How it speaks, if not gRPC.
    dialect: Option<Dialect>,
    arrived: Instant,
    deadline: Option<Deadline>,
}

/// A call whose request is gathered.
#[derive(Debug)]
struct Gathering {
    call: Prepared<Http2>,
    /// How often it was looked at in vain.
    looks: u32,
}

/// How far the request of a method that takes one has come.
enum Come {
    /// It is there, and nothing follows it.
    Whole,
    /// Something is still to come.
    Partly,
    /// There is none, or more than one; its handler says what it thinks of that.
    Oddly,
}

impl Calls {
    pub(crate) fn new(handling: Handling, grpc: bool, web: Option<web::Settings>) -> Self {
        Self {
            handling,
            grpc,
            web,
            known: Vec::new(),
            waiting: VecDeque::new(),
            gathering: VecDeque::new(),
            gathering_due: None,
            closed: false,
        }
    }

    /// The calls that last.
    pub(crate) fn running(&self) -> &Arc<Running> {
        self.handling.running()
    }

    /// Whether any has begun and not ended; if so, the waker is told when that changes.
    ///
    /// Those that wait do so for what is held of answers, and their streams are there.
    pub(crate) fn is_busy(&self, waker: &Waker) -> bool {
        !self.gathering.is_empty() || !self.running().is_empty(waker)
    }

    /// Whether there is a method of that path.
    pub(crate) fn knows(&self, path: &str) -> bool {
        self.handling.routes.find(path).is_ok()
    }

    /// Whether they may come as gRPC itself.
    pub(crate) const fn speak_grpc(&self) -> bool {
        self.grpc
    }

    /// What becomes of a request that is no call of gRPC, if it is one of a browser.
    pub(crate) fn asked(&self, head: asked::Head<'_>) -> Option<Asked> {
        let settings = self.web.as_ref()?;
        asked::asked(&self.handling, settings, head, self.grpc)
    }

    /// Takes in a request that came then, and answers it at once if that can be done; one that does
    /// not come as gRPC has a dialect.
    pub(crate) fn accept(
        &mut self,
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        dialect: Option<Dialect>,
        now: Instant,
    ) {
        let (parts, receive) = request.into_parts();
        let exchange = Http2::new(receive, respond);
        if self.closed {
            exchange.turn_away();
        } else if self.waiting.is_empty() && self.has_room() {
            self.begin(&parts, exchange, dialect, now);
        } else {
            // What is wrong with it is said when it begins.
            let deadline = match dialect {
                Some(dialect) => web::due(dialect, &parts, now),
                None => {
                    let timeout = parts.headers.get(head::TIMEOUT);
                    deadline(timeout.and_then(|value| timeout::read(value).ok()), now)
                }
            };
            self.waiting.push_back(Waiting {
                parts,
                exchange,
                dialect,
                arrived: now,
                deadline,
            });
        }
    }

    /// Lets go of calls that are not begun and were given up, ends those whose time is over, and
    /// says when the next one's is.
    pub(crate) fn poll_waiting(&mut self, now: Instant, cx: &mut Context<'_>) -> Option<Instant> {
        let mut next: Option<Deadline> = None;
        let has_room = self.has_room();
        let mut at = 0;
        while let Some(waiting) = self.waiting.get_mut(at) {
            let is_gone = waiting.exchange.poll_gone(cx).is_ready();
            let is_overdue = waiting
                .deadline
                .is_some_and(|deadline| deadline.is_past(now));
            if !is_gone && !is_overdue {
                next = Deadline::earlier(next, waiting.deadline);
                at += 1;
            } else if let Some(waiting) = self.waiting.remove(at).filter(|_| !is_gone) {
                waiting.end_overdue(self.web.as_ref());
            }
        }
        let mut stays = |exchange: &mut Http2, deadline: Option<Deadline>| {
            if exchange.poll_gone(cx).is_ready() {
                return false;
            }
            if deadline.is_some_and(|deadline| deadline.is_past(now)) {
                exchange.refuse(&overdue());
                return false;
            }
            next = Deadline::earlier(next, deadline);
            true
        };
        // Most are whole at the next look, so that they are not looked at here each time.
        if self.gathering_due.is_some_and(|due| due <= now) || !has_room {
            self.gathering
                .retain_mut(|it| stays(&mut it.call.exchange, it.call.call.deadline));
            self.gathering_due = next.map(Deadline::instant);
        }
        let next = next.map(Deadline::instant);
        next.into_iter().chain(self.gathering_due).min()
    }

    /// Begins calls that waited or whose requests have become whole; says whether there were any.
    pub(crate) fn resume(&mut self) -> bool {
        let mut any = false;
        for _ in 0..self.gathering.len() {
            if !self.has_room() {
                break;
            }
            let Some(mut gathering) = self.gathering.pop_front() else {
                break;
            };
            gathering.looks += 1;
            any |= self.gather(gathering);
        }
        if self.gathering.is_empty() {
            self.gathering_due = None;
        }
        while self.has_room() {
            let Some(waiting) = self.waiting.pop_front() else {
                break;
            };
            self.begin(
                &waiting.parts,
                waiting.exchange,
                waiting.dialect,
                waiting.arrived,
            );
            any = true;
        }
        any
    }

    /// Ends the calls that are not begun, as the server ends, and so all that still come.
    ///
    /// Their callers are told that they did not begin, so that they can make them elsewhere.
    pub(crate) fn close(&mut self) {
        let waiting = self.waiting.drain(..).map(|waiting| waiting.exchange);
        let gathering = self.gathering.drain(..).map(|it| it.call.exchange);
        waiting.chain(gathering).for_each(Http2::turn_away);
        self.closed = true;
    }

    fn has_room(&self) -> bool {
        self.handling.answers.bytes() < ANSWERS_BYTES
    }

    fn begin(
        &mut self,
        parts: &Parts,
        mut exchange: Http2,
        dialect: Option<Dialect>,
        arrived: Instant,
    ) {
        if let (Some(dialect), Some(settings)) = (dialect, &self.web) {
            return web::begin(&self.handling, settings, dialect, parts, exchange, arrived);
        }
        let (route, head) = match self.prepare(parts, arrived) {
            Ok(prepared) => prepared,
            Err(status) => return exchange.refuse(&status),
        };
        let handling = &self.handling;
        let call = Prepared {
            form: handling.form(&route, &head, Codec::Protobuf),
            incoming: Incoming::new(handling.limits.max_bytes, head.encoding),
            call: handling.server_call(&route, head, Protocol::Grpc, arrived),
            route,
            exchange,
        };
        // What is compressed is opened in a task: one packet may bring as many such requests as
        // there may be calls, and the others of the connection wait for what is done here.
        if call.route.method().kind().streams_requests() || call.incoming.is_compressed() {
            return handling.call_stream(call);
        }
        self.gather(Gathering { call, looks: 0 });
    }

    /// Begins a call if its request is there, and looks again later if it is not; says whether
    /// there is an end to that.
    ///
    /// Many clients send the head by itself, and what follows it in the next packet. A task that
    /// waits for that would cost more than the call.
    fn gather(&mut self, mut gathering: Gathering) -> bool {
        let call = &mut gathering.call;
        match call.come() {
            Ok(Come::Whole) => {
                call.call.half_closed = true;
                if call.route.method().kind().streams_responses() {
                    self.handling.call_stream(gathering.call);
                } else {
                    self.handling.call_whole(gathering.call);
                }
            }
            Ok(Come::Partly)
                if gathering.looks < LOOKS && self.gathering.len() < GATHERING_CALLS =>
            {
                call.incoming.count_in(&self.handling.gathered);
                let due = call.call.deadline.map(Deadline::instant);
                self.gathering_due = self.gathering_due.into_iter().chain(due).min();
                self.gathering.push_back(gathering);
                return false;
            }
            Ok(Come::Partly | Come::Oddly) => self.handling.call_stream(gathering.call),
            Err(status) => call.exchange.refuse(&status),
        }
        true
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
                let route = self.handling.routes.find(path)?;
                self.known.truncate(KNOWN_ROUTES - 1);
                self.known.insert(0, route);
                0
            }
        };
        Ok(Arc::clone(&self.known[at]))
    }
}

impl Waiting {
    /// Tells its caller that its time is over.
    fn end_overdue(mut self, web: Option<&web::Settings>) {
        match (self.dialect, web) {
            (Some(dialect), Some(settings)) => {
                web::end_overdue(settings, dialect, &self.parts, self.exchange);
            }
            _ => self.exchange.refuse(&overdue()),
        }
    }
}

impl<E: Exchange> Prepared<E> {
    /// Takes what has come of the request of a method that takes one.
    fn come(&mut self) -> Result<Come, Status> {
        let mut cx = Context::from_waker(Waker::noop());
        if self.call.first.is_none() {
            match self.incoming.poll_message(&mut self.exchange, &mut cx)? {
                Poll::Pending => return Ok(Come::Partly),
                Poll::Ready(None) => return Ok(Come::Oddly),
                Poll::Ready(Some(Framed { compressed, bytes })) => {
                    self.call.first = Some(Received {
                        bytes,
                        mode: WireMode::Protobuf,
                        compressed,
                    });
                }
            }
        }
        while self.incoming.is_between() {
            if self.exchange.is_end() {
                return Ok(Come::Whole);
            }
            match self.exchange.poll_data(&mut cx) {
                Poll::Ready(Some(data)) => self.incoming.handle_data(data?, &mut self.exchange),
                Poll::Ready(None) => return Ok(Come::Whole),
                Poll::Pending => return Ok(Come::Partly),
            }
        }
        Ok(Come::Oddly)
    }
}

/// More than most services have; so many are compared in less time than one is looked up.
const KNOWN_ROUTES: usize = 16;
/// As many requests as a client commonly has on their way at once; what is beyond that becomes
/// tasks.
const GATHERING_CALLS: usize = 256;
/// A request that is not whole after so many looks, each of which follows on something having come,
/// becomes a task, so that none is looked at for ever.
const LOOKS: u32 = 8;
/// What may be held of the answers of a connection before further calls are not begun: four of the
/// largest that clients take by default.
const ANSWERS_BYTES: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests;
