//! Calls to servers that speak plain gRPC: a stream of HTTP/2 a call.
//!
//! The one task of a connection moves bytes; everything about a call happens in its caller's,
//! which takes what has come of its stream from `h2` when it is woken. So a call needs no task and
//! no queue of its own.
//!
//! - `call`: one call on its stream; `slots`: all of them by key.
//! - `ending`: how a call ended, from what HTTP/2 says.
//! - `methods`: the URIs; `driver`: the task; `hearing`: what it knows of the link.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use dreammesh_core::call::{
    Begun, Compression, Metadata, MethodInfo, Peer, Status, Timeout, WireOption,
};
use dreammesh_core::port::{
    Answer, Connection, Ended, Keep, OpenTicket, Opened, Opening, Received, StreamKey, StreamPort,
};
use dreammesh_core::wire::Segment;
use h2::client::SendRequest;
use http::header::HeaderMap;
use http::{Method, Request, Uri};

use super::encoding::{self, Encoding};
use super::form::{Codec, Form};
use super::head::RequestSaid;
use crate::driver::timer;
use crate::waiting::Waiting;
use call::{Call, CallLimits};
use methods::Methods;
use slots::Slots;

pub(crate) use driver::{Driver, Opened as OpenedLink, Pings, Settings, begin, open, open_as};

mod call;
mod driver;
mod ending;
mod hearing;
mod methods;
mod slots;

/// What calls hold of a connection; dropping the last one lets those that run finish.
#[derive(Debug)]
pub(crate) struct Client(pub(super) Arc<Shared>);

/// What the callers and the task of a connection share.
pub(super) struct Shared {
    state: Mutex<State>,
    peer: Peer,
    limits: CallLimits,
    /// What every request says.
    common: HeaderMap,
    encoding: Option<Encoding>,
    /// Neither closed nor going away; a copy outside the lock.
    open: AtomicBool,
    greeted: AtomicBool,
}

struct State {
    slots: Slots,
    methods: Methods,
    /// None when the connection takes no more calls.
    requests: Option<SendRequest<Bytes>>,
    /// How many calls the server may count as running.
    live: usize,
    waiting: Waiting,
    /// The deadline for which the task has set its timer.
    armed: Option<std::time::Instant>,
    /// The task, if it has to look at the timer or at what is to be thrown away.
    task: Option<Waker>,
    /// The calls of which nobody wants what comes.
    discarding: Vec<StreamKey>,
    /// How many calls were opened since the task looked.
    sent: usize,
    /// The server has begun to answer a call that is over.
    answered: bool,
}

/// A message with its prefix: a first part, and often nothing behind it.
type Framed = (Bytes, Vec<Bytes>);

/// What a call needs from the lock before it is made.
struct Entry {
    uri: Uri,
    now: Option<std::time::Instant>,
}

impl Client {
    /// Whether the server has proved to speak HTTP/2.
    pub(crate) fn was_greeted(&self) -> bool {
        self.0.greeted.load(Ordering::Acquire)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.close_to_calls();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes no more calls; the connection ends after the last of those that run.
    fn close_to_calls(&self) {
        self.open.store(false, Ordering::Release);
        let mut wakers = Vec::new();
        let requests = {
            let mut state = self.lock();
            state.waiting.wake_all(&mut wakers);
            wakers.extend(state.task.take());
            state.requests.take()
        };
        drop(requests);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Has a call wait for its turn, or takes a place for it.
    fn poll_place(
        &self,
        cx: &Context<'_>,
        opening: &mut Opening<'_>,
    ) -> Poll<Result<Entry, Ended>> {
        let now = match opening.deadline {
            Some(_) => Some(opening.now.unwrap_or_else(timer::now)),
            None => None,
        };
        let mut state = self.lock();
        let late = opening
            .deadline
            .zip(now)
            .is_some_and(|(deadline, now)| deadline.is_past(now));
        let refused = if late {
            Some(Ended::deadline_exceeded(Begun::No))
        } else if state.requests.is_none() {
            Some(ending::lost("it takes no more calls", Begun::No))
        } else {
            None
        };
        if let Some(ended) = refused {
            let next = state.waiting.leave(opening.ticket);
            drop(state);
            next.into_iter().for_each(Waker::wake);
            return Poll::Ready(Err(ended));
        }
        if state.waiting.goes_before(*opening.ticket) || !state.has_room() {
            let former = state
                .waiting
                .enter(opening.ticket, cx.waker(), opening.deadline);
            let task = state.watch_deadline(opening.deadline.map(|it| it.instant()));
            drop(state);
            drop(former);
            task.into_iter().for_each(Waker::wake);
            return Poll::Pending;
        }
        let uri = match state.methods.uri(opening.method) {
            Ok(uri) => uri,
            Err(status) => return Poll::Ready(Err(Ended::by_library(status, Begun::No))),
        };
        state.live += 1;
        let next = match state.has_room() {
            true => state.waiting.leave(opening.ticket),
            false => {
                state.waiting.leave_full(opening.ticket);
                None
            }
        };
        drop(state);
        next.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(Entry { uri, now }))
    }

    /// Gives back a place that no call took.
    fn leave_place(&self) {
        let next = {
            let mut state = self.lock();
            state.live -= 1;
            state.waiting.wake_next()
        };
        next.into_iter().for_each(Waker::wake);
    }

    fn request(&self, opening: &Opening<'_>, entry: Entry) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = entry.uri;
        let mut headers = self.common.clone();
        let left = opening.deadline.zip(entry.now);
        let said = RequestSaid {
            metadata: opening.metadata,
            timeout: left.map(|(deadline, now)| Timeout::from(deadline.remaining(now))),
            trace: opening.trace,
            priority: opening.priority,
            attempt: opening.attempt,
            idempotency_key: opening.idempotency_key,
        };
        said.write(&mut headers);
        if let (None, Some(encoding)) = (self.encoding, self.sends_with(opening.compression)) {
            headers.insert(encoding::ENCODING, encoding.value());
        }
        *request.headers_mut() = headers;
        request
    }

    /// Sends the head of a call and its first message, for which it has a place.
    fn begin(
        &self,
        cx: &mut Context<'_>,
        opening: &Opening<'_>,
        request: Request<()>,
        message: Option<Framed>,
    ) -> Result<Opened, Ended> {
        let last = opening.half_close;
        let mut state = self.lock();
        let state_ref = &mut *state;
        let Some(requests) = &state_ref.requests else {
            return Err(ending::lost("it takes no more calls", Begun::No));
        };
        // A handle remembers the last call that waits inside of `h2` and refuses another one until
        // that is open; a copy of it remembers none, and this side counts for itself.
        let ends_at_once = last && message.is_none();
        let sent = requests.clone().send_request(request, ends_at_once);
        let (answer, send) = match sent {
            Ok(sent) => sent,
            Err(error) => {
                self.open.store(false, Ordering::Release);
                return Err(Ended {
                    begun: Begun::No,
                    ..ending::of_error(&error)
                });
            }
        };
        let mut call = Box::new(Call::new(
            opening.method,
            answer,
            send,
            ends_at_once,
            opening.deadline,
            self.limits,
        ));
        call.compression = opening.compression;
        if let Some(message) = message {
            // A stream that has just been opened takes what it is given.
            let _ = call.send(message, last);
        }
        let waiting = last && call.poll_ahead(cx).is_pending();
        if opening.deadline.is_some() && waiting {
            call.reads = Some(cx.waker().clone());
        }
        let key = state_ref.slots.insert(call);
        state_ref.sent += 1;
        let task = state_ref.watch_deadline(opening.deadline.map(|it| it.instant()));
        drop(state);
        task.into_iter().for_each(Waker::wake);
        Ok(Opened { key, waiting })
    }

    /// Takes a call out, with its place, and has the next one that waits begin.
    fn take(&self, state: &mut State, key: StreamKey) -> (Option<Box<Call>>, Option<Waker>) {
        let call = state.slots.remove(key);
        state.answered |= call.as_ref().is_some_and(|call| call.answered);
        let next = call.as_ref().and_then(|_| {
            state.live -= 1;
            state.waiting.wake_next()
        });
        (call, next)
    }

    /// What messages of such a call can be compressed with, which its head has to say.
    fn sends_with(&self, compression: Compression) -> Option<Encoding> {
        match compression {
            Compression::On => Some(self.encoding.unwrap_or(Encoding::Gzip)),
            Compression::Auto | Compression::Off => self.encoding,
        }
    }

    /// A message of a call, which says of itself whether it is compressed, or leaves it to the call.
    fn framed(
        &self,
        message: Segment,
        method: &'static MethodInfo,
        [call, own]: [Compression; 2],
    ) -> Result<Framed, Status> {
        let form = Form {
            layout: method.request(),
            codec: Codec::Protobuf,
            usual: self.encoding,
            asked: self.sends_with(call),
        };
        let compression = match own {
            Compression::Auto => call,
            Compression::On | Compression::Off => own,
        };
        form.message(message, compression)
    }
}

impl State {
    fn has_room(&self) -> bool {
        self.room() > 0
    }

    /// How many more calls the server takes.
    fn room(&self) -> usize {
        let most = self
            .requests
            .as_ref()
            .map(SendRequest::current_max_send_streams);
        most.unwrap_or(0).saturating_sub(self.live)
    }

    /// The task, if it has to set its timer for a deadline that is earlier than what it knows.
    fn watch_deadline(&mut self, deadline: Option<std::time::Instant>) -> Option<Waker> {
        let deadline = deadline?;
        if self.armed.is_some_and(|armed| armed <= deadline) {
            return None;
        }
        self.armed = Some(deadline);
        self.task.clone()
    }
}

/// A message and what stays of it with its owner, who gets it back unless it is sent.
fn taken(message: &mut Option<Segment>) -> Option<(Segment, Bytes)> {
    let bytes = message.take()?.into_bytes();
    Some((Segment::from_bytes(bytes.clone()), bytes))
}

impl Connection for Client {
    fn poll_open(
        &self,
        cx: &mut Context<'_>,
        mut opening: Opening<'_>,
    ) -> Poll<Result<Opened, Ended>> {
        if opening.wire == WireOption::Archive {
            return Poll::Ready(Err(Ended::archives_refused(opening.method)));
        }
        let entry = ready!(self.0.poll_place(cx, &mut opening))?;
        let mut kept = None;
        let mut framed = Ok(None);
        if let Some((segment, bytes)) = taken(opening.message) {
            kept = Some(bytes);
            let compression = [opening.compression, Compression::Auto];
            framed = self
                .0
                .framed(segment, opening.method, compression)
                .map(Some);
        }
        let request = self.0.request(&opening, entry);
        let opened = framed
            .map_err(|status| Ended::by_library(status, Begun::No))
            .and_then(|framed| self.0.begin(cx, &opening, request, framed));
        if opened.is_err() {
            self.0.leave_place();
        }
        if opened.is_err() || opening.keep == Keep::Yes {
            *opening.message = kept.map(Segment::from_bytes);
        }
        Poll::Ready(opened)
    }

    fn abandon_open(&self, mut ticket: OpenTicket) {
        let next = self.0.lock().waiting.leave(&mut ticket);
        next.into_iter().for_each(Waker::wake);
    }

    fn is_open(&self) -> bool {
        self.0.open.load(Ordering::Acquire)
    }

    fn peer(&self) -> &Peer {
        &self.0.peer
    }
}

impl StreamPort for Client {
    fn poll_send(
        &self,
        key: StreamKey,
        cx: &mut Context<'_>,
        message: &mut Option<Segment>,
        last: bool,
        compression: Compression,
    ) -> Poll<Result<(), Ended>> {
        let (method, of_call) = {
            let mut state = self.0.lock();
            let Some(call) = state.slots.find(key) else {
                return Poll::Ready(Err(Ended::no_stream()));
            };
            match call.poll_room(cx) {
                Poll::Ready(room) => room?,
                Poll::Pending => {
                    call.note_writer(cx);
                    return Poll::Pending;
                }
            }
            (call.method, call.compression)
        };
        let Some(segment) = message.take() else {
            return Poll::Ready(Ok(()));
        };
        let compression = [of_call, compression];
        let framed = self.0.framed(segment, method, compression);
        let framed = framed.map_err(|status| Ended::by_library(status, Begun::Maybe))?;
        let mut state = self.0.lock();
        let call = state.slots.find(key).ok_or_else(Ended::no_stream)?;
        Poll::Ready(call.send(framed, last))
    }

    fn close_send(&self, key: StreamKey) {
        if let Some(call) = self.0.lock().slots.find(key) {
            call.close_send();
        }
    }

    fn poll_message(
        &self,
        key: StreamKey,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Received>, Ended>> {
        let coded = {
            let mut state = self.0.lock();
            let Some(call) = state.slots.find(key) else {
                return Poll::Ready(Err(Ended::no_stream()));
            };
            match call.poll_message(cx) {
                Poll::Ready(coded) => coded?,
                Poll::Pending => {
                    call.note_reader(cx);
                    return Poll::Pending;
                }
            }
        };
        Poll::Ready(coded.map(call::Coded::open).transpose())
    }

    fn poll_headers(&self, key: StreamKey, cx: &mut Context<'_>) -> Poll<Result<Metadata, Ended>> {
        let mut state = self.0.lock();
        let Some(call) = state.slots.find(key) else {
            return Poll::Ready(Err(Ended::no_stream()));
        };
        let headers = call.poll_headers(cx);
        if headers.is_pending() {
            call.note_reader(cx);
        }
        headers
    }

    fn poll_unary(&self, key: StreamKey, cx: &mut Context<'_>) -> Poll<Result<Answer, Ended>> {
        let mut state = self.0.lock();
        let Some(call) = state.slots.find(key) else {
            return Poll::Ready(Err(Ended::no_stream()));
        };
        let Poll::Ready(answer) = call.poll_unary(cx) else {
            call.note_reader(cx);
            return Poll::Pending;
        };
        call.let_go();
        let (call, next) = self.0.take(&mut state, key);
        drop(state);
        next.into_iter().for_each(Waker::wake);
        // The stream goes outside of the lock.
        drop(call);
        Poll::Ready(answer.and_then(call::CodedAnswer::open))
    }

    fn take_trailers(&self, key: StreamKey) -> Metadata {
        let mut state = self.0.lock();
        state
            .slots
            .find(key)
            .map(Call::take_trailers)
            .unwrap_or_default()
    }

    /// A client has no headers to send but those of its request.
    fn send_headers(&self, _: StreamKey, _: Metadata) {}

    fn discard(&self, key: StreamKey) {
        let task = {
            let mut state = self.0.lock();
            let Some(call) = state.slots.find(key) else {
                return;
            };
            call.discards = true;
            state.discarding.push(key);
            state.task.clone()
        };
        task.into_iter().for_each(Waker::wake);
    }

    fn release(&self, key: StreamKey) {
        let mut state = self.0.lock();
        if let Some(call) = state.slots.find(key) {
            call.let_go();
        }
        let (call, next) = self.0.take(&mut state, key);
        drop(state);
        next.into_iter().for_each(Waker::wake);
        drop(call);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcConnection")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
