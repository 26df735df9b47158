//! What a server does: it takes calls and answers them.

use std::time::Duration;

use dreammesh_core::call::{Begun, Deadline, Metadata, Priority, Status, TraceContext};
use dreammesh_core::port::{Ended, Received, StreamKey, WireMode};
use dreammesh_core::wire::Segment;

use super::input::Payload;
use super::slots::{Closing, End, NEVER, State, key_of};
use super::{Drain, Session};
use crate::event::Event;
use crate::flow;
use crate::frame::end::{self, EndReason};
use crate::frame::open::{Open, Rare};
use crate::frame::{CloseCode, Frame, Violation, flag, metadata, wire_mode};

/// The latest call of a slot on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireSlot {
    /// The generation it was opened with; 0 if none was.
    pub(crate) generation: u32,
    /// Its stream, or [`NO_ENTRY`] once it is over on the wire.
    pub(crate) entry: u32,
}

/// The call of a slot is over.
pub(crate) const NO_ENTRY: u32 = u32::MAX;

/// A call the server takes.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted {
    /// Index of its method.
    pub method: u32,
    /// The first message, if it is there.
    pub message: Option<Received>,
    /// Whether a message follows the first already; a method with one request then has too many.
    pub more: bool,
    /// Whether the client sends nothing after what is there.
    pub half_closed: bool,
    /// When it must have ended.
    pub deadline: Option<Deadline>,
    /// Its urgency.
    pub priority: Priority,
    /// Which attempt of the call it is, from 0.
    pub attempt: u32,
    /// What most calls do not say of themselves.
    pub sections: Option<Box<Sections>>,
}

/// What an OPEN said in its optional sections; apart, so that other calls are small to move.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Sections {
    /// Request metadata.
    pub metadata: Metadata,
    /// The trace the call belongs to.
    pub trace: Option<TraceContext>,
    /// The caller's key for telling repetitions.
    pub idempotency_key: Option<Box<str>>,
}

impl<U: Default> Session<U> {
    #[inline]
    pub(crate) fn handle_open(
        &mut self,
        frame: &Frame<'_>,
        payload: Payload<'_>,
    ) -> Result<(), Violation> {
        let open = Open::parse(frame)?;
        let header = &frame.header;
        let has_message = header.flags & flag::MESSAGE != 0;
        let end = header.flags & flag::END != 0;
        if !has_message && payload.len() > 0 {
            return Err(Violation::protocol(
                "an OPEN with a payload that is no message",
            ));
        }
        if open.method >= self.methods.len() {
            return Err(Violation::protocol("a call of a method that was not named"));
        }
        self.enter_slot(header.slot, header.generation)?;
        self.ordinal += 1;
        let wire = (header.slot, header.generation);
        if let Some((status, reason)) = self.refusal() {
            self.refuse_opening(wire, &status, reason);
            return Ok(());
        }

        let (index, slot) = self.slots.claim();
        self.wire[wire.0 as usize].entry = index;
        self.live += 1;
        self.stats.calls += 1;
        slot.wire = wire;
        slot.ordinal = self.ordinal;
        slot.method = open.method;
        slot.priority = open.priority;
        slot.attempt = open.attempt;
        slot.opened = self.now;
        slot.send_credit = i64::from(self.peer.stream_credit);
        slot.receiving = flow::Receiving::new(self.local.stream_credit);
        if let Some(remaining_us) = open.remaining_us {
            let deadline = self.now.saturating_add(remaining_us).min(NEVER - 1);
            slot.deadline = deadline;
            self.deadline_next = self.deadline_next.min(deadline);
        }
        if let Some(rare) = open.rare
            && !self.keep_rare(index, rare)?
        {
            return Ok(());
        }
        self.first_arrived(index, header.flags, has_message.then_some(payload), end)
    }

    /// Checks the id of a new call: a slot in range, a generation never used (PROTOCOL.md §3.2).
    #[inline]
    fn enter_slot(&mut self, slot: u32, generation: u32) -> Result<(), Violation> {
        if slot >= self.wire.len() as u32 {
            if slot >= self.slots_max() {
                return Err(Violation::new(
                    CloseCode::SLOT,
                    "a slot beyond the announced calls",
                ));
            }
            self.wire.resize(
                slot as usize + 1,
                WireSlot {
                    generation: 0,
                    entry: NO_ENTRY,
                },
            );
        }
        let known = &mut self.wire[slot as usize];
        if generation <= known.generation {
            return Err(Violation::new(CloseCode::SLOT, "a call id is used again"));
        }
        if known.entry != NO_ENTRY {
            return Err(Violation::new(
                CloseCode::SLOT,
                "a slot is used by two calls",
            ));
        }
        known.generation = generation;
        Ok(())
    }

    /// Why a new call is not taken, if it is not. After the final GOAWAY nothing is even answered:
    /// the client knows already that it did not begin (PROTOCOL.md §7).
    #[inline]
    fn refusal(&self) -> Option<(Status, EndReason)> {
        // A handler that outlives its cancelled call still counts, up to as many again, so that
        // opening and cancelling in a loop does not pile up work.
        let calls_max = self.local.calls_max;
        if self.live < calls_max && self.slots.in_use() < 2 * calls_max && !self.drain.is_final() {
            return None;
        }
        Some(match self.drain {
            Drain::Final => (
                Status::unavailable("the server is draining"),
                EndReason::DRAINING,
            ),
            _ => {
                let text = "more calls than the server serves at once";
                (Status::resource_exhausted(text), EndReason::REFUSED)
            }
        })
    }

    #[cold]
    fn refuse_opening(&mut self, wire: (u32, u32), status: &Status, reason: EndReason) {
        self.stats.calls_refused += 1;
        end::write(
            self.output.buffer(),
            wire,
            status,
            reason,
            Begun::No,
            &Metadata::new(),
        );
    }

    /// Keeps the rare sections until the call is accepted; false if they end it.
    #[cold]
    fn keep_rare(&mut self, index: u32, open: Rare<'_>) -> Result<bool, Violation> {
        let limit = self.local.metadata_bytes_max as usize;
        let entries = match metadata::parse(open.metadata.unwrap_or_default(), limit)? {
            Ok(entries) => entries,
            Err(refused) => {
                let status = match refused {
                    metadata::Refused::TooLarge => {
                        Status::resource_exhausted("request metadata exceeds the limit")
                    }
                    metadata::Refused::Invalid(error) => {
                        Status::invalid_argument(error.to_string())
                    }
                };
                self.refuse_call(index, &status, EndReason::METADATA);
                return Ok(false);
            }
        };
        self.slots.at(index).rare().sections = Some(Box::new(Sections {
            metadata: entries,
            trace: open.trace,
            idempotency_key: open.idempotency_key.map(Into::into),
        }));
        Ok(true)
    }

    #[inline]
    fn first_arrived(
        &mut self,
        index: u32,
        flags: u8,
        payload: Option<Payload<'_>>,
        end: bool,
    ) -> Result<(), Violation> {
        let window = self.local.stream_credit;
        let slot = self.slots.at(index);
        if end {
            slot.state.set(State::RECEIVED_ALL);
        }
        let mut archive = false;
        if let Some(payload) = payload {
            slot.receiving.arrive(window, payload.len())?;
            let mode = wire_mode(flags);
            archive = mode == WireMode::Archive;
            slot.queue(Received {
                bytes: payload.detach(),
                mode,
                compressed: false,
            });
        }
        let method = self.methods.at(slot.method);
        if archive && !method.verdict.request {
            if method.settled {
                self.refuse_layout(index);
                return Ok(());
            }
            slot.state.set(State::ARCHIVED);
        }
        if !end && method.settled && !method.streams_requests {
            slot.state.set(State::DEFERRED);
            return Ok(());
        }
        let key = key_of(index, slot.generation);
        self.events.push_back(Event::Opened(key));
        Ok(())
    }

    /// A further request, or the end of the client's half, is there.
    #[inline]
    pub(crate) fn request_arrived(&mut self, index: u32, archive: bool, end: bool) {
        let slot = self.slots.at(index);
        let method = self.methods.at(slot.method);
        if archive && !method.verdict.request {
            if method.settled {
                self.refuse_layout(index);
                return;
            }
            slot.state.set(State::ARCHIVED);
        }
        if slot.state.has(State::ACCEPTED) {
            self.notify(index);
        } else if slot.state.has(State::DEFERRED) && end {
            slot.state.clear(State::DEFERRED);
            let key = key_of(index, slot.generation);
            self.events.push_back(Event::Opened(key));
        }
    }

    /// Takes the call of [`Event::Opened`].
    ///
    /// None if it is over meanwhile, was refused for its layout, or is not complete and comes
    /// again: then there is nothing to do.
    #[inline]
    pub fn accept(&mut self, key: StreamKey) -> Option<Accepted> {
        let (index, slot) = self.slots.find(key)?;
        if !slot.state.has(State::LIVE) || slot.state.has(State::ACCEPTED) {
            return None;
        }
        let method = self.methods.at(slot.method);
        if slot.state.has(State::ARCHIVED) && !method.verdict.request {
            self.refuse_layout(index);
            return None;
        }
        let half_closed = slot.state.has(State::RECEIVED_ALL);
        if !method.streams_requests && !half_closed {
            slot.state.set(State::DEFERRED);
            return None;
        }
        slot.state.set(State::ACCEPTED);
        let deadline = (slot.deadline != NEVER)
            .then(|| Deadline::after(self.epoch, Duration::from_micros(slot.deadline)))
            .flatten();
        let accepted = Accepted {
            method: slot.method,
            message: slot.unqueue(),
            more: slot.first.is_some(),
            half_closed,
            deadline,
            priority: slot.priority,
            attempt: slot.attempt,
            sections: slot.rare.as_mut().and_then(|rare| rare.sections.take()),
        };
        if let Some(length) = accepted.message.as_ref().map(|message| message.bytes.len()) {
            self.return_credit(index, length);
        }
        Some(accepted)
    }

    /// The form in which responses of a call must be sent; none if it is over.
    #[inline]
    pub fn response_mode(&mut self, key: StreamKey) -> Option<WireMode> {
        let (_, slot) = self.slots.find(key)?;
        let archive = self.methods.at(slot.method).verdict.response;
        Some(if archive {
            WireMode::Archive
        } else {
            WireMode::Protobuf
        })
    }

    /// Ends a call in success with its one response, and releases it.
    ///
    /// Nothing was sent on the stream before, so that there is credit for it. A response beyond
    /// the client's limit ends the call as RESOURCE_EXHAUSTED. If the call is over meanwhile, the
    /// response is dropped.
    #[inline]
    pub fn answer(&mut self, key: StreamKey, message: Segment, mode: WireMode) {
        if let Some(index) = self.answerable(key, message.len()) {
            self.slots.at(index).state.clear(State::HELD);
            self.send_now(index, message, mode, true);
        }
    }

    /// Ends a call in success, with metadata before its response and after it, and releases it.
    ///
    /// What holds for [`Session::answer`] holds for the message, if there is one.
    pub fn respond(
        &mut self,
        key: StreamKey,
        headers: &Metadata,
        message: Option<(Segment, WireMode)>,
        trailers: &Metadata,
    ) {
        if !headers.is_empty() {
            self.send_headers(key, headers);
        }
        if let Some((message, mode)) = message {
            if trailers.is_empty() {
                self.answer(key, message, mode);
                return;
            }
            let Some(index) = self.answerable(key, message.len()) else {
                return;
            };
            self.send_now(index, message, mode, false);
        }
        let (ok, reason) = (Status::ok(), EndReason::APPLICATION);
        self.end(key, &ok, reason, Begun::Maybe, trailers);
    }

    /// The stream that takes a response of this length; otherwise it is released here.
    #[inline]
    fn answerable(&mut self, key: StreamKey, length: usize) -> Option<u32> {
        let (index, slot) = self.slots.find(key)?;
        if !slot.state.has(State::LIVE) || slot.state.has(State::SENT_ALL) {
            self.release(key);
            return None;
        }
        if length > self.peer.message_bytes_max as usize {
            let status = Status::resource_exhausted("the response exceeds the client's limit");
            let reason = EndReason::MESSAGE_SIZE;
            self.end(key, &status, reason, Begun::Maybe, &Metadata::new());
            return None;
        }
        Some(index)
    }

    /// Ends a call with a status, behind what was sent before, and releases it.
    ///
    /// Trailing metadata beyond the client's limit stays behind.
    pub fn end(
        &mut self,
        key: StreamKey,
        status: &Status,
        reason: EndReason,
        begun: Begun,
        trailers: &Metadata,
    ) {
        let none = Metadata::new();
        let fits = trailers.check_size(self.metadata_limit()).is_ok();
        let trailers = if fits { trailers } else { &none };
        let Some((index, slot)) = self.slots.find(key) else {
            return;
        };
        if !slot.state.has(State::LIVE) || slot.state.has(State::SENT_ALL) {
            self.release(key);
            return;
        }
        slot.state.set(State::SENT_ALL);
        slot.state.clear(State::HELD);
        if slot.outgoing() {
            let (status, trailers) = (status.clone(), trailers.clone());
            slot.rare().closing = Some(Closing {
                status,
                reason,
                begun,
                trailers,
            });
            return;
        }
        let wire = slot.wire;
        end::write(self.output.buffer(), wire, status, reason, begun, trailers);
        self.sent_all(index);
    }

    pub(crate) fn write_closing(&mut self, index: u32, closing: &Closing) {
        let wire = self.slots.at(index).wire;
        let Closing {
            status,
            reason,
            begun,
            trailers,
        } = closing;
        end::write(
            self.output.buffer(),
            wire,
            status,
            *reason,
            *begun,
            trailers,
        );
    }

    pub(crate) fn write_success(&mut self, index: u32) {
        let wire = self.slots.at(index).wire;
        let (status, none) = (Status::ok(), Metadata::new());
        let reason = EndReason::APPLICATION;
        end::write(
            self.output.buffer(),
            wire,
            &status,
            reason,
            Begun::Maybe,
            &none,
        );
    }

    fn refuse_layout(&mut self, index: u32) {
        self.stats.calls_refused += 1;
        let status = Status::failed_precondition("the server does not read this layout");
        self.refuse_call(index, &status, EndReason::LAYOUT);
    }

    /// Ends a call from the library's side; a handler that runs is told to stop.
    pub(crate) fn refuse_call(&mut self, index: u32, status: &Status, reason: EndReason) {
        let slot = self.slots.at(index);
        let accepted = slot.state.has(State::ACCEPTED);
        let begun = if accepted { Begun::Maybe } else { Begun::No };
        let wire = slot.wire;
        end::write(
            self.output.buffer(),
            wire,
            status,
            reason,
            begun,
            &Metadata::new(),
        );
        self.stop_handler(index, Ended::by_library(status.clone(), begun));
    }

    /// The call is over on the wire; what is left of it here stops.
    fn stop_handler(&mut self, index: u32, ended: Ended) {
        let slot = self.slots.at(index);
        slot.end = End::Failed(Box::new(ended));
        let key = key_of(index, slot.generation);
        let running = slot.state.has(State::ACCEPTED | State::HELD);
        self.drop_queue(index);
        self.leave_wire(index);
        if running {
            self.events.push_back(Event::Cancelled(key));
        } else {
            self.drop_stream(index);
        }
    }

    /// Server: the driver let go of a call that it did not end.
    pub(crate) fn abandon_handler(&mut self, index: u32) {
        let slot = self.slots.at(index);
        slot.state.clear(State::HELD);
        let wire = slot.wire;
        let status = Status::cancelled("the server gave the call up");
        let reason = EndReason::APPLICATION;
        end::write(
            self.output.buffer(),
            wire,
            &status,
            reason,
            Begun::Maybe,
            &Metadata::new(),
        );
        self.leave_wire(index);
        self.drop_stream(index);
    }

    pub(crate) fn handle_cancel(&mut self, frame: &Frame<'_>) -> Result<(), Violation> {
        Self::only_ignorable_sections(frame)?;
        let Some(index) = self.locate(&frame.header)? else {
            return Ok(());
        };
        if self.now - self.slots.at(index).opened < RAPID_CANCEL_US {
            // Opening and cancelling at once is the cheapest way to make a server work in vain.
            self.budget.spend(self.now)?;
        }
        let status = Status::cancelled("the caller gave the call up");
        let ended = Ended::by_peer(status, Begun::Maybe, Metadata::new());
        self.stop_handler(index, ended);
        Ok(())
    }

    /// Server: the deadline of a call passed.
    pub(crate) fn expire_server(&mut self, index: u32) {
        let status = Status::deadline_exceeded("deadline exceeded");
        self.refuse_call(index, &status, EndReason::DEADLINE);
    }
}

/// A caller that changes its mind within a tenth of a second, thousands of times, is no caller.
const RAPID_CANCEL_US: u64 = 100_000;
