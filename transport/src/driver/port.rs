//! The port of a connection: each method is one step of the session under the lock.

use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use dreammesh_core::call::{
    Begun, Compression, Metadata, MethodInfo, MethodKind, Peer, Status, WireOption,
};
use dreammesh_core::port::{
    Answer, Connection, Ended, Keep, OpenTicket, Opened, Opening, Received, StreamKey, StreamPort,
    WireMode,
};
use dreammesh_core::wire::Segment;
use dreammesh_session::{MethodStanding, OpenError};

use super::payload::{Transcoded, sent_layout};
use super::shared::{Shared, State};
use super::timer;

impl StreamPort for Shared {
    fn poll_send(
        &self,
        key: StreamKey,
        cx: &mut Context<'_>,
        message: &mut Option<Segment>,
        last: bool,
        _: Compression,
    ) -> Poll<Result<(), Ended>> {
        match self.step(|state| state.send(key, cx.waker(), message, last)) {
            Sent::Done(result) => result,
            Sent::NeedsProtobuf(method) => {
                let layout = sent_layout(method, self.is_client());
                let mut form = match Transcoded::new(message, layout) {
                    Ok(form) => form,
                    Err(status) => {
                        return Poll::Ready(Err(Ended::by_library(status, Begun::Maybe)));
                    }
                };
                self.step(|state| {
                    state.send_as(
                        key,
                        cx.waker(),
                        &mut form.protobuf,
                        WireMode::Protobuf,
                        last,
                    )
                })
            }
        }
    }

    fn close_send(&self, key: StreamKey) {
        self.step(|state| state.session.close_send(key));
    }

    fn poll_message(
        &self,
        key: StreamKey,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Received>, Ended>> {
        self.step(|state| match state.session.take_message(key) {
            Some(result) => Poll::Ready(result),
            None => state.wait_to_read(key, cx.waker()),
        })
    }

    fn poll_headers(&self, key: StreamKey, cx: &mut Context<'_>) -> Poll<Result<Metadata, Ended>> {
        self.step(|state| match state.session.take_headers(key) {
            Some(result) => Poll::Ready(result),
            None => state.wait_to_read(key, cx.waker()),
        })
    }

    fn poll_unary(&self, key: StreamKey, cx: &mut Context<'_>) -> Poll<Result<Answer, Ended>> {
        self.step(|state| match state.session.take_unary(key) {
            Some(result) => {
                state.unsure.answered(key, &result);
                Poll::Ready(result)
            }
            None => state.wait_to_read(key, cx.waker()),
        })
    }

    fn take_trailers(&self, key: StreamKey) -> Metadata {
        self.step(|state| state.session.take_trailers(key))
    }

    fn send_headers(&self, key: StreamKey, headers: Metadata) {
        self.step(|state| state.session.send_headers(key, &headers));
    }

    fn discard(&self, key: StreamKey) {
        self.step(|state| state.session.discard(key));
    }

    fn release(&self, key: StreamKey) {
        // The wakers are dropped outside the lock, since a waker may be the last owner of a task
        // whose destructor calls back into the port.
        let _slot = self.step(|state| {
            let slot = state.session.user(key).map(std::mem::take);
            state.session.release(key);
            state.unsure.forget(key);
            slot
        });
    }
}

impl Connection for Shared {
    fn poll_open(
        &self,
        cx: &mut Context<'_>,
        mut opening: Opening<'_>,
    ) -> Poll<Result<Opened, Ended>> {
        let mode = match opening.wire {
            WireOption::Protobuf => WireMode::Protobuf,
            WireOption::Auto | WireOption::Archive => WireMode::Archive,
        };
        if mode == WireMode::Archive {
            match self.step(|state| state.open(self, cx.waker(), &mut opening, mode)) {
                Attempted::Done(result) => return self.attempted(result),
                Attempted::NeedsProtobuf => {}
            }
        }
        let Opening {
            method,
            metadata,
            deadline,
            now,
            trace,
            priority,
            attempt,
            keep,
            ..
        } = opening;
        let mut form = match Transcoded::new(opening.message, method.request()) {
            Ok(form) => form,
            Err(status) => {
                self.abandon_open(std::mem::take(opening.ticket));
                let ended = Ended::by_library(status, Begun::No);
                return self.attempted(Poll::Ready(Err(ended)));
            }
        };
        let mut opening = Opening {
            method,
            metadata,
            deadline,
            now,
            trace,
            priority,
            attempt,
            idempotency_key: opening.idempotency_key,
            wire: opening.wire,
            compression: opening.compression,
            message: &mut form.protobuf,
            keep,
            half_close: opening.half_close,
            ticket: opening.ticket,
        };
        match self.step(|state| state.open(self, cx.waker(), &mut opening, WireMode::Protobuf)) {
            Attempted::Done(result) => self.attempted(result),
            Attempted::NeedsProtobuf => {
                let status = Status::internal("protobuf was asked for twice");
                Poll::Ready(Err(Ended::by_library(status, Begun::No)))
            }
        }
    }

    fn abandon_open(&self, mut ticket: OpenTicket) {
        let next = self.step(|state| state.waiting.leave(&mut ticket));
        if let Some(next) = next {
            next.wake();
        }
    }

    fn was_unsure(&self, key: StreamKey) -> bool {
        self.step(|state| state.unsure.forget(key))
    }

    fn is_open(&self) -> bool {
        self.is_open_to_calls()
    }

    fn is_forsaken(&self) -> bool {
        self.forsaken.load(Ordering::Acquire)
    }

    fn peer(&self) -> &Peer {
        self.peer_ref()
    }
}

/// What became of an attempt to send.
enum Sent {
    Done(Poll<Result<(), Ended>>),
    NeedsProtobuf(&'static MethodInfo),
}

/// What became of an attempt to open.
enum Attempted {
    Done(Poll<Result<Opened, Ended>>),
    NeedsProtobuf,
}

impl State {
    /// Opens a call or queues it; whatever comes of it, a call that is done leaves the queue.
    #[inline]
    fn open(
        &mut self,
        shared: &Shared,
        waker: &Waker,
        opening: &mut Opening<'_>,
        mode: WireMode,
    ) -> Attempted {
        let opened = self.try_open(shared, waker, opening, mode);
        if let Attempted::Done(Poll::Ready(result)) = &opened
            && *opening.ticket != OpenTicket::NONE
        {
            // The next has its turn if this one took no room, or left some. In a pool it has it in
            // any case, for it must not wait here, where more calls than the server serves came
            // before its HELLO: it finds the connection full and goes where others have room.
            if result.is_err() || shared.pool.is_some() || self.session.has_room() {
                let next = self.waiting.leave(opening.ticket);
                self.wake_after.extend(next);
            } else {
                self.waiting.leave_full(opening.ticket);
            }
        }
        opened
    }

    fn try_open(
        &mut self,
        shared: &Shared,
        waker: &Waker,
        opening: &mut Opening<'_>,
        mode: WireMode,
    ) -> Attempted {
        let failed = |ended| Attempted::Done(Poll::Ready(Err(ended)));
        // Without a deadline the time of the last batch serves; nothing is reckoned from it.
        let now = match (opening.deadline, opening.now) {
            (None, _) => self.now,
            (Some(_), Some(now)) => now,
            (Some(_), None) => timer::now(),
        };
        if opening
            .deadline
            .is_some_and(|deadline| deadline.is_past(now))
        {
            return failed(Ended::deadline_exceeded(Begun::No));
        }
        if self.waiting.goes_before(*opening.ticket) {
            return self.wait_to_open(waker, opening);
        }
        let named = match self.session.method_named(opening.method) {
            Some(index) => Ok(index),
            None => self.name_method(opening.method),
        };
        let index = match named {
            Ok(index) => index,
            Err(ended) => return failed(ended),
        };
        if opening.wire == WireOption::Archive {
            match self.session.method_standing(index) {
                MethodStanding::Open if self.session.is_open() => {
                    return self.wait_for_verdict(waker, opening);
                }
                MethodStanding::Settled(verdict) if !verdict.request => {
                    return failed(Ended::archives_refused(opening.method));
                }
                // Opening finds the connection closed, or the server says that it has no such
                // method.
                _ => {}
            }
        }
        let unsure = self.unsure.holds(index);
        let at_risk = unsure && mode == WireMode::Archive && opening.message.is_some();
        if at_risk {
            match opening.keep {
                Keep::No => return Attempted::NeedsProtobuf,
                Keep::IfUnsure | Keep::Yes => opening.keep = Keep::Yes,
            }
        }
        match self.session.open(now, index, mode, opening) {
            Ok(key) => {
                self.sent += 1;
                let waiting = self.opened(key, waker, index, opening, unsure);
                if at_risk {
                    self.unsure.sent(key);
                }
                Attempted::Done(Poll::Ready(Ok(Opened { key, waiting })))
            }
            Err(OpenError::Full) => self.full(shared, waker, opening),
            Err(OpenError::NeedsProtobuf) => Attempted::NeedsProtobuf,
            Err(OpenError::Failed(ended)) => failed(ended),
            Err(other) => {
                let status = Status::internal(format!("the call cannot be opened: {other:?}"));
                failed(Ended::by_library(status, Begun::No))
            }
        }
    }

    #[cold]
    fn name_method(&mut self, method: &'static MethodInfo) -> Result<u32, Ended> {
        let remembered = self.remembered.as_ref();
        let index = match remembered.and_then(|remembered| remembered.assume(method)) {
            Some((assumed, certain)) => {
                let index = self.session.method_assuming(method, assumed)?;
                if !certain {
                    self.unsure.assume(index);
                }
                index
            }
            None => self.session.method(method)?,
        };
        self.named.push(method);
        Ok(index)
    }

    /// Notes what belongs to the stream; true if that is the waker for its answer too.
    #[inline]
    fn opened(
        &mut self,
        key: StreamKey,
        waker: &Waker,
        index: u32,
        opening: &Opening<'_>,
        unsure: bool,
    ) -> bool {
        let Some(slot) = self.session.user(key) else {
            return false;
        };
        slot.method = Some((opening.method, index));
        slot.always_protobuf = unsure || opening.wire == WireOption::Protobuf;
        let waiting = opening.method.kind() == MethodKind::Unary;
        if waiting {
            slot.reader = Some(waker.clone());
        }
        waiting
    }

    /// The server serves no more calls: this one waits here, or where others have room.
    #[cold]
    fn full(&mut self, shared: &Shared, waker: &Waker, opening: &mut Opening<'_>) -> Attempted {
        // Before its HELLO nobody knows how many calls the server takes.
        if shared.pool.is_none() || !self.session.is_connected() {
            return self.wait_to_open(waker, opening);
        }
        shared.standing.fill();
        let next = self.waiting.leave(opening.ticket);
        self.wake_after.extend(next);
        *opening.ticket = OpenTicket::SENT_BACK;
        Attempted::Done(Poll::Pending)
    }

    fn wait_to_open(&mut self, waker: &Waker, opening: &mut Opening<'_>) -> Attempted {
        // The timer may have to be set for the deadline of one that begins to wait.
        self.summoned |= opening.deadline.is_some() && *opening.ticket == OpenTicket::NONE;
        // Those behind others have not asked the session for room themselves.
        self.session.start_waiting();
        let former = self.waiting.enter(opening.ticket, waker, opening.deadline);
        self.wake_after.extend(former);
        Attempted::Done(Poll::Pending)
    }

    /// Waits until the server has said what it reads; whatever it says wakes all that wait.
    #[cold]
    fn wait_for_verdict(&mut self, waker: &Waker, opening: &mut Opening<'_>) -> Attempted {
        self.awaiting_verdict = true;
        self.wait_to_open(waker, opening)
    }

    fn wait_to_read<R>(&mut self, key: StreamKey, waker: &Waker) -> Poll<R> {
        if let Some(slot) = self.session.user(key) {
            let former = keep(&mut slot.reader, waker);
            self.wake_after.extend(former);
        }
        Poll::Pending
    }

    fn send(
        &mut self,
        key: StreamKey,
        waker: &Waker,
        message: &mut Option<Segment>,
        last: bool,
    ) -> Sent {
        let Some(slot) = self.session.user(key) else {
            return Sent::Done(Poll::Ready(Err(Ended::no_stream())));
        };
        let (method, always_protobuf) = (slot.method, slot.always_protobuf);
        let Some((method, index)) = method else {
            return Sent::Done(Poll::Ready(Err(Ended::no_stream())));
        };
        let verdict = self.session.verdict(index);
        let archive = if self.is_client {
            verdict.request
        } else {
            verdict.response
        };
        if always_protobuf || !archive {
            return Sent::NeedsProtobuf(method);
        }
        Sent::Done(self.send_as(key, waker, message, WireMode::Archive, last))
    }

    fn send_as(
        &mut self,
        key: StreamKey,
        waker: &Waker,
        message: &mut Option<Segment>,
        mode: WireMode,
        last: bool,
    ) -> Poll<Result<(), Ended>> {
        match self.session.send(key, message, mode, last) {
            Ok(true) => {
                self.sent += 1;
                Poll::Ready(Ok(()))
            }
            Ok(false) => {
                if let Some(slot) = self.session.user(key) {
                    let former = keep(&mut slot.writer, waker);
                    self.wake_after.extend(former);
                }
                Poll::Pending
            }
            Err(ended) => Poll::Ready(Err(ended)),
        }
    }
}

/// Stores a waker and returns one it replaced, to be woken outside the lock.
///
/// Waking it is harmless, and dropping it under the lock might not be: it may be the last owner
/// of a task whose destructor calls back into the port.
fn keep(place: &mut Option<Waker>, waker: &Waker) -> Option<Waker> {
    match place {
        Some(kept) if kept.will_wake(waker) => None,
        _ => place.replace(waker.clone()),
    }
}
