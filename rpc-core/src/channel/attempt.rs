//! An attempt of a call: get a connection, open, and take the answer of a unary method; and
//! another one where nobody needs to be asked about it.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::Core;
use super::call::{ClientCall, ClientReply, ClientStream, Reply};
use super::retry::{self, Failed, Verdict};
use crate::call::{Begun, CallError, Code, MethodKind, Status, WireOption};
use crate::clock;
use crate::port::{
    Answer, Connection, ConnectionAsk, Ended, Keep, OpenTicket, Opened, Opening, StreamKey,
};

/// An attempt of a call and what the library repeats of it by itself, polled in place; dropping it
/// cancels the call.
///
/// It is not generic, so that a program with many methods has its code once.
#[derive(Debug)]
pub struct Attempt {
    core: Arc<Core>,
    call: ClientCall,
    state: State,
    /// How many connections refused it before it began, bounded by [`REPICKS_MAX`].
    repicks: u8,
    /// Whether it is made on behalf of a repetition, or is one of somebody else's.
    nested: bool,
    /// Whether the request stays at hand until the answer is there.
    keeps: bool,
    /// What the clock showed just before the first poll, if somebody looked.
    now: Option<Instant>,
}

#[derive(Debug)]
enum State {
    Connecting(OpenTicket),
    Opening(Arc<dyn Connection>, OpenTicket),
    Answering(Arc<dyn Connection>, StreamKey),
    Done,
}

/// A connection may close between the pick and the opening, or refuse a layout, which provably
/// begins nothing; a source that keeps handing out closed ones is broken and must not hold the call
/// for ever.
const REPICKS_MAX: u8 = 3;

impl Attempt {
    pub(crate) fn new(core: Arc<Core>, call: ClientCall) -> Self {
        let repeatable = retry::is_repeatable(call.method.options().idempotency);
        let budget = core.retries.as_ref().filter(|_| repeatable);
        // A call that cannot be repeated, being on behalf of a repetition, pays for none: else each
        // hop of a chain would multiply what the one before it added.
        if let Some(budget) = budget.filter(|_| call.attempt == 0) {
            budget.pay();
        }
        Self {
            keeps: budget.is_some(),
            core,
            nested: call.attempt > 0,
            call,
            state: State::Connecting(OpenTicket::NONE),
            repicks: 0,
            now: None,
        }
    }

    /// Takes over a look at the clock, for a poll that follows at once.
    pub(crate) const fn at(mut self, now: Option<Instant>) -> Self {
        self.now = now;
        self
    }

    fn poll_connecting(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        let State::Connecting(ticket) = &mut self.state else {
            return Poll::Ready(Ok(()));
        };
        let mut balanced = None;
        let ask = ConnectionAsk {
            method: self.call.method,
            deadline: self.call.deadline,
            wait_for_ready: self.call.wait_for_ready,
            attempt: self.call.attempt,
            message_bytes: self.call.request_bytes().unwrap_or(0),
            early: self.keeps && retry::is_harmless(self.call.method),
            ticket,
            balanced: &mut balanced,
            tried: self.call.endpoints.tried(),
        };
        match ready!(self.core.source.poll_connection(cx, ask)) {
            Ok(connection) => self.state = State::Opening(connection, OpenTicket::NONE),
            Err(ended) => return Poll::Ready(Err(self.fail(ended))),
        }
        if let Some(balanced) = balanced {
            let kind = self.call.method.kind();
            self.call.endpoints.begin(kind, balanced);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_opening(
        &mut self,
        cx: &mut Context<'_>,
        now: Option<Instant>,
    ) -> Poll<Result<Option<ClientStream>, CallError>> {
        let State::Opening(connection, ticket) = &mut self.state else {
            return Poll::Ready(Ok(None));
        };
        let call = &mut *self.call;
        let opening = Opening {
            method: call.method,
            metadata: &call.metadata,
            deadline: call.deadline,
            now,
            trace: call.trace.as_ref(),
            priority: call.priority,
            attempt: call.attempt,
            idempotency_key: call.idempotency_key.as_deref(),
            wire: call.wire,
            compression: call.compression,
            half_close: !call.method.kind().streams_requests(),
            keep: match call.method.kind() {
                MethodKind::Unary if self.keeps => Keep::Yes,
                MethodKind::Unary => Keep::IfUnsure,
                _ => Keep::No,
            },
            message: &mut call.message,
            ticket,
        };
        match connection.poll_open(cx, opening) {
            Poll::Ready(Ok(opened)) => self.opened(opened),
            Poll::Pending if *ticket == OpenTicket::SENT_BACK => {
                // The source hands the same connection out again only when that has room.
                drop(self.call.endpoints.take());
                self.state = State::Connecting(OpenTicket::SENT_BACK);
                Poll::Ready(Ok(None))
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(ended)) if self.may_repick(&ended) => {
                self.repicks += 1;
                self.call.endpoints.leave(&ended);
                self.state = State::Connecting(OpenTicket::NONE);
                Poll::Ready(Ok(None))
            }
            Poll::Ready(Err(ended)) => Poll::Ready(Err(self.fail(ended))),
        }
    }

    /// Pending when there is nothing to do until the answer wakes the caller.
    fn opened(&mut self, opened: Opened) -> Poll<Result<Option<ClientStream>, CallError>> {
        let State::Opening(connection, _) = mem::replace(&mut self.state, State::Done) else {
            return Poll::Ready(Ok(None));
        };
        if self.call.method.kind() != MethodKind::Unary {
            let in_flight = self.call.endpoints.take();
            let stream = ClientStream::new(connection, opened.key, in_flight);
            return Poll::Ready(Ok(Some(stream)));
        }
        self.state = State::Answering(connection, opened.key);
        if opened.waiting {
            Poll::Pending
        } else {
            Poll::Ready(Ok(None))
        }
    }

    fn may_repick(&self, ended: &Ended) -> bool {
        let State::Opening(connection, _) = &self.state else {
            return false;
        };
        let has_message = self.call.message.is_some() || self.call.method.kind().streams_requests();
        let has_others = self.call.endpoints.has_others();
        let is_elsewhere = has_others && ended.status.code() == Code::Unavailable;
        ended.begun == Begun::No
            && has_message
            && (is_elsewhere || !connection.is_open())
            && self.repicks < REPICKS_MAX
    }

    fn fail(&mut self, mut ended: Ended) -> CallError {
        self.call.endpoints.leave(&ended);
        if self.is_repetition() {
            // Whatever became of this attempt, an earlier one may have begun.
            ended.begun = Begun::Maybe;
        }
        let error = CallError::from(ended);
        match mem::replace(&mut self.state, State::Done) {
            State::Opening(connection, _) | State::Answering(connection, _) => {
                error.with_endpoint(connection.peer().endpoint().clone())
            }
            State::Connecting(_) | State::Done => error,
        }
    }

    /// The answer, or none when the call is to be opened again.
    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<ClientReply>, CallError>> {
        let State::Answering(connection, key) = &self.state else {
            let status = Status::internal("an attempt was polled after its end");
            return Poll::Ready(Err(CallError::not_sent(status)));
        };
        match connection.poll_unary(*key, cx) {
            Poll::Pending if self.keeps && connection.is_forsaken() => self.poll_forsaken(),
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(answer)) => Poll::Ready(Ok(Some(self.answered(answer)))),
            Poll::Ready(Err(ended)) => {
                let refused = ended.begun == Begun::No && connection.was_unsure(*key);
                if refused {
                    self.call.wire = WireOption::Protobuf;
                }
                if self.begins_again(&ended, !connection.is_open(), refused) {
                    self.state = State::Connecting(OpenTicket::NONE);
                    return Poll::Ready(Ok(None));
                }
                Poll::Ready(Err(self.fail(ended)))
            }
        }
    }

    /// Makes the call again elsewhere if that is allowed, and waits on if not.
    #[cold]
    fn poll_forsaken(&mut self) -> Poll<Result<Option<ClientReply>, CallError>> {
        let status = Status::unavailable("nothing comes back over the connection");
        if !self.begins_again(&Ended::by_library(status, Begun::Maybe), true, false) {
            return Poll::Pending;
        }
        let state = mem::replace(&mut self.state, State::Connecting(OpenTicket::NONE));
        if let State::Answering(connection, key) = state {
            connection.release(key);
        }
        Poll::Ready(Ok(None))
    }

    /// Whether an attempt before this one may have begun.
    fn is_repetition(&self) -> bool {
        !self.nested && self.call.attempt > 0
    }

    /// Whether the call is made again after this end, and counts that.
    #[cold]
    fn begins_again(&mut self, ended: &Ended, connection_over: bool, refused: bool) -> bool {
        let failed = Failed {
            ended,
            connection_over,
            elsewhere: self.call.endpoints.has_others(),
            idempotency: self.call.method.options().idempotency,
            attempt: self.call.attempt,
            nested: self.nested,
        };
        let verdict = match &self.core.retries {
            _ if self.call.message.is_none() => Verdict::Fail,
            _ if refused => Verdict::Anew,
            Some(budget) => failed.verdict(budget, clock::now),
            None => Verdict::Fail,
        };
        match verdict {
            Verdict::Anew if self.repicks < REPICKS_MAX => self.repicks += 1,
            Verdict::Repeat => self.call.attempt += 1,
            Verdict::Fail | Verdict::Anew => return false,
        }
        self.call.endpoints.leave(ended);
        if !refused {
            let tried = self.call.endpoints.tried();
            self.core.source.repeated(tried.last());
        }
        true
    }

    fn answered(&mut self, answer: Answer) -> ClientReply {
        if let Some(in_flight) = self.call.endpoints.take() {
            in_flight.answered();
        }
        match mem::replace(&mut self.state, State::Done) {
            State::Answering(connection, _) => ClientReply(Reply::Answer(answer, connection)),
            _ => unreachable!("only an attempt that waits for its answer is answered"),
        }
    }
}

impl Future for Attempt {
    type Output = Result<ClientReply, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let now = this.now.take();
        loop {
            if matches!(this.state, State::Connecting(_)) {
                ready!(this.poll_connecting(cx))?;
            }
            if matches!(this.state, State::Opening(..)) {
                if let Some(stream) = ready!(this.poll_opening(cx, now))? {
                    return Poll::Ready(Ok(ClientReply(Reply::Stream(stream))));
                }
                if matches!(this.state, State::Connecting(_)) {
                    continue;
                }
            }
            if let Some(reply) = ready!(this.poll_answer(cx))? {
                return Poll::Ready(Ok(reply));
            }
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        match &self.state {
            State::Connecting(ticket) if ticket.bits().is_some() => {
                self.core.source.abandon(*ticket);
            }
            State::Opening(connection, ticket) if ticket.bits().is_some() => {
                connection.abandon_open(*ticket);
            }
            State::Answering(connection, key) => connection.release(*key),
            _ => {}
        }
    }
}
