//! One streaming call in process: two bounded queues and the handler between them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Wake, Waker};

use dreammesh_wire::Segment;

use super::{check, formed};
use crate::call::{Begun, Compression, Deadline, Metadata, MethodInfo, Status};
use crate::port::{
    Answer, Ended, HandlerFuture, Outcome, Received, StreamKey, StreamPort, WireMode,
};

/// How many messages wait in each direction of a stream before its sender does.
pub const STREAM_MESSAGES_MAX: usize = 16;

/// One streaming call; as a port it is the handler's end, its other methods are the caller's.
///
/// It is also the waker of the handler: what wakes the handler wakes the callers that poll it.
#[derive(Debug)]
pub(super) struct Pipe {
    method: &'static MethodInfo,
    mode: WireMode,
    deadline: Option<Deadline>,
    state: Mutex<State>,
    handler: Mutex<Slot>,
}

/// The handler, unless it has ended or is not there yet.
#[derive(Default)]
struct Slot(Option<HandlerFuture>);

#[derive(Debug, Default)]
struct State {
    requests: Queue,
    responses: Queue,
    headers: Option<Metadata>,
    /// How the handler ended; none while it runs.
    outcome: Option<Outcome>,
    /// The caller let go of the call.
    cancelled: bool,
    /// The handler wants no more requests.
    discarding: bool,
    caller: Wakers,
    handler: Wakers,
}

#[derive(Debug, Default)]
struct Queue {
    /// At most [`STREAM_MESSAGES_MAX`].
    messages: VecDeque<Received>,
    /// Nothing follows.
    closed: bool,
}

/// The latest waker of each kind of poll of one side.
#[derive(Debug, Default)]
struct Wakers {
    sending: Option<Waker>,
    receiving: Option<Waker>,
}

/// What a poll found, and whom to wake once the lock is given back.
type Step<T> = (Result<T, Ended>, Option<Waker>);

impl Pipe {
    pub(super) fn new(
        method: &'static MethodInfo,
        mode: WireMode,
        deadline: Option<Deadline>,
        half_closed: bool,
    ) -> Self {
        let requests = Queue {
            closed: half_closed,
            ..Queue::default()
        };
        let state = Mutex::new(State {
            requests,
            ..State::default()
        });
        Self {
            method,
            mode,
            deadline,
            state,
            handler: Mutex::default(),
        }
    }

    pub(super) fn start(&self, future: HandlerFuture) {
        self.handler
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0 = Some(future);
    }

    pub(super) fn poll_send_request(
        self: &Arc<Self>,
        cx: &Context<'_>,
        message: &mut Option<Segment>,
        last: bool,
    ) -> Poll<Result<(), Ended>> {
        let push = |state: &mut State| state.push_request(message, last, self.mode, self.method);
        self.poll_with(cx, push, |wakers, waker| wakers.sending = Some(waker))
    }

    pub(super) fn close_requests(&self) {
        let waker = {
            let mut state = self.state();
            state.requests.closed = true;
            state.handler.receiving.take()
        };
        wake(waker);
    }

    pub(super) fn poll_response(
        self: &Arc<Self>,
        cx: &Context<'_>,
    ) -> Poll<Result<Option<Received>, Ended>> {
        self.poll_with(cx, State::pop_response, |wakers, waker| {
            wakers.receiving = Some(waker)
        })
    }

    pub(super) fn poll_response_headers(
        self: &Arc<Self>,
        cx: &Context<'_>,
    ) -> Poll<Result<Metadata, Ended>> {
        self.poll_with(cx, State::headers, |wakers, waker| {
            wakers.receiving = Some(waker)
        })
    }

    pub(super) fn poll_answer(self: &Arc<Self>, cx: &Context<'_>) -> Poll<Result<Answer, Ended>> {
        let take = |state: &mut State| {
            let outcome = state.outcome.take()?;
            Some((answer_of(outcome, self.method, self.mode), None))
        };
        self.poll_with(cx, take, |wakers, waker| wakers.receiving = Some(waker))
    }

    pub(super) fn take_trailers(&self) -> Metadata {
        let mut state = self.state();
        state
            .outcome
            .as_mut()
            .map(|outcome| std::mem::take(&mut outcome.trailers))
            .unwrap_or_default()
    }

    /// Ends the call for the caller: the handler is dropped, at once or after its present poll.
    pub(super) fn cancel(&self) {
        self.state().cancelled = true;
        if let Ok(mut slot) = self.handler.try_lock() {
            let handler = slot.0.take();
            drop(slot);
            drop(handler);
        }
    }

    /// Tries, and if that gives nothing lets the handler run and tries again.
    fn poll_with<T>(
        self: &Arc<Self>,
        cx: &Context<'_>,
        mut attempt: impl FnMut(&mut State) -> Option<Step<T>>,
        register: impl FnOnce(&mut Wakers, Waker),
    ) -> Poll<Result<T, Ended>> {
        {
            let mut state = self.state();
            if let Some((result, waker)) = attempt(&mut state) {
                drop(state);
                wake(waker);
                return Poll::Ready(result);
            }
            register(&mut state.caller, cx.waker().clone());
        }
        self.drive();
        let found = attempt(&mut self.state());
        if let Some((result, waker)) = found {
            wake(waker);
            return Poll::Ready(result);
        }
        match check(self.deadline, Begun::Maybe) {
            Ok(()) => Poll::Pending,
            Err(ended) => {
                self.cancel();
                Poll::Ready(Err(ended))
            }
        }
    }

    /// Polls the handler, unless somebody else does so now; that one sees what we changed.
    fn drive(self: &Arc<Self>) {
        let mut slot = match self.handler.try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(slot)) => slot.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let Some(future) = &mut slot.0 else { return };
        let waker = Waker::from(Arc::clone(self));
        let polled = Pin::new(future).poll(&mut Context::from_waker(&waker));
        if polled.is_ready() || self.state().cancelled {
            let handler = slot.0.take();
            drop(slot);
            drop(handler);
        }
        if let Poll::Ready(outcome) = polled {
            self.state().outcome = Some(outcome);
            self.wake_by_ref_callers();
        }
    }

    fn wake_by_ref_callers(&self) {
        let (sending, receiving) = {
            let mut state = self.state();
            (state.caller.sending.take(), state.caller.receiving.take())
        };
        wake(sending);
        wake(receiving);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Pipe {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref_callers();
    }
}

impl State {
    /// Queues a request; the waker is the handler's.
    fn push_request(
        &mut self,
        message: &mut Option<Segment>,
        last: bool,
        mode: WireMode,
        method: &'static MethodInfo,
    ) -> Option<Step<()>> {
        if let Some(outcome) = &self.outcome {
            return Some((Err(ended_of(outcome)), None));
        }
        if self.requests.closed {
            return Some((Err(Ended::no_stream()), None));
        }
        if self.requests.messages.len() >= STREAM_MESSAGES_MAX && !self.discarding {
            return None;
        }
        self.requests.closed = last;
        let result = match message
            .take()
            .map(|message| formed(message, mode, || method.request()))
        {
            Some(Err(ended)) => Err(ended),
            Some(Ok(received)) => {
                if !self.discarding {
                    self.requests.messages.push_back(received);
                }
                Ok(())
            }
            None => Ok(()),
        };
        Some((result, self.handler.receiving.take()))
    }

    /// Takes a response; the waker is the handler's.
    fn pop_response(&mut self) -> Option<Step<Option<Received>>> {
        if let Some(response) = self.responses.messages.pop_front() {
            return Some((Ok(Some(response)), self.handler.sending.take()));
        }
        let outcome = self.outcome.as_ref()?;
        if outcome.status.is_ok() {
            return Some((Ok(None), None));
        }
        Some((Err(ended_of(outcome)), None))
    }

    fn headers(&mut self) -> Option<Step<Metadata>> {
        if let Some(headers) = self.headers.take() {
            return Some((Ok(headers), None));
        }
        if !self.responses.messages.is_empty() {
            return Some((Ok(Metadata::new()), None));
        }
        let outcome = self.outcome.as_ref()?;
        let result = match outcome.status.is_ok() {
            true => Ok(Metadata::new()),
            false => Err(ended_of(outcome)),
        };
        Some((result, None))
    }
}

/// The handler's end; its keys say nothing, since a pipe is one stream.
impl StreamPort for Pipe {
    fn poll_send(
        &self,
        _: StreamKey,
        cx: &mut Context<'_>,
        message: &mut Option<Segment>,
        _: bool,
        _: Compression,
    ) -> Poll<Result<(), Ended>> {
        let mut state = self.state();
        if state.cancelled || state.outcome.is_some() {
            return Poll::Ready(Err(cancelled()));
        }
        if state.responses.messages.len() >= STREAM_MESSAGES_MAX {
            state.handler.sending = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if let Some(segment) = message.take() {
            let received = formed(segment, self.mode, || self.method.response())?;
            state.responses.messages.push_back(received);
        }
        let waker = state.caller.receiving.take();
        drop(state);
        wake(waker);
        Poll::Ready(Ok(()))
    }

    fn close_send(&self, _: StreamKey) {}

    fn poll_message(
        &self,
        _: StreamKey,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Received>, Ended>> {
        let mut state = self.state();
        if state.cancelled || state.outcome.is_some() {
            return Poll::Ready(Err(cancelled()));
        }
        match state.requests.messages.pop_front() {
            Some(request) => {
                let waker = state.caller.sending.take();
                drop(state);
                wake(waker);
                Poll::Ready(Ok(Some(request)))
            }
            None if state.requests.closed => Poll::Ready(Ok(None)),
            None => {
                state.handler.receiving = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_headers(&self, _: StreamKey, _: &mut Context<'_>) -> Poll<Result<Metadata, Ended>> {
        Poll::Ready(Err(Ended::no_stream()))
    }

    fn poll_unary(&self, _: StreamKey, _: &mut Context<'_>) -> Poll<Result<Answer, Ended>> {
        Poll::Ready(Err(Ended::no_stream()))
    }

    fn take_trailers(&self, _: StreamKey) -> Metadata {
        Metadata::new()
    }

    fn send_headers(&self, _: StreamKey, headers: Metadata) {
        let mut state = self.state();
        state.headers.get_or_insert(headers);
        let waker = state.caller.receiving.take();
        drop(state);
        wake(waker);
    }

    fn discard(&self, _: StreamKey) {
        let mut state = self.state();
        state.discarding = true;
        state.requests.messages.clear();
        let waker = state.caller.sending.take();
        drop(state);
        wake(waker);
    }

    fn release(&self, _: StreamKey) {}
}

/// A handler's outcome as the answer of a call with one response.
pub(super) fn answer_of(
    outcome: Outcome,
    method: &'static MethodInfo,
    mode: WireMode,
) -> Result<Answer, Ended> {
    if !outcome.status.is_ok() {
        return Err(Ended::by_peer(
            outcome.status,
            Begun::Maybe,
            outcome.trailers,
        ));
    }
    let message = outcome.message.ok_or_else(Ended::no_message)?;
    let message = formed(message, mode, || method.response())?;
    Ok(Answer {
        headers: outcome.headers,
        message,
        trailers: outcome.trailers,
    })
}

fn ended_of(outcome: &Outcome) -> Ended {
    let status = match outcome.status.is_ok() {
        true => return Ended::no_stream(),
        false => outcome.status.clone(),
    };
    Ended::by_peer(status, Begun::Maybe, outcome.trailers.clone())
}

fn cancelled() -> Ended {
    Ended::by_peer(
        Status::cancelled("the caller cancelled"),
        Begun::Maybe,
        Metadata::new(),
    )
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "running" } else { "ended" })
    }
}
