//! What a client does: it opens calls and takes their answers.

use std::mem;
use std::time::Instant;

use dreammesh_core::call::{Begun, Initiator, Metadata, Status};
use dreammesh_core::port::{Answer, Ended, Keep, Opening, StreamKey, WireMode};
use dreammesh_core::wire::Segment;

use super::slots::{End, NEVER, State, key_of};
use super::{Drain, Role, Session, micros_of};
use crate::flow;
use crate::frame::end::{End as EndFrame, EndReason};
use crate::frame::metadata::Refused;
use crate::frame::open::{IDEMPOTENCY_KEY_BYTES_MAX, OpenHead};
use crate::frame::{Frame, Violation, cancel, headers, metadata};

/// Why a call was not opened; nothing was sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// As many calls run as the server serves; [`crate::Event::Room`] says when to try again.
    Full,
    /// The server is not known to read this archive; it must be offered as protobuf.
    NeedsProtobuf,
    /// It cannot be opened here.
    Failed(Ended),
}

impl<U: Default> Session<U> {
    /// Opens a call of a method that [`Session::method`] gave the index of.
    ///
    /// The message is taken only when the call is opened, and stays even then, or one that shares
    /// its bytes does, where the opening says so. Once this answered
    /// [`OpenError::Full`], every call whose end is taken is told by [`crate::Event::Room`], until
    /// [`Session::stop_waiting`].
    ///
    /// # Errors
    /// See [`OpenError`].
    #[inline]
    pub fn open(
        &mut self,
        now: Instant,
        method: u32,
        mode: WireMode,
        opening: &mut Opening<'_>,
    ) -> Result<StreamKey, OpenError> {
        debug_assert_eq!(self.role, Role::Client, "servers do not open calls");
        let length = opening.message.as_ref().map_or(0, |message| message.len());
        self.check_opening(now, method, mode, opening, length)?;
        let end = opening.half_close;
        let remaining_us = opening.deadline.map(|deadline| {
            // Rounded up, so that a short time remaining does not become none on the way.
            let remaining = deadline.remaining(now);
            micros_of(remaining) + u64::from(!remaining.subsec_nanos().is_multiple_of(1000))
        });
        let deadline = opening
            .deadline
            .map_or(NEVER, |at| self.micros(at.instant()));

        let (index, slot) = self.slots.claim();
        let key = key_of(index, slot.generation);
        let entry = self.methods.at(method);
        self.ordinal += 1;
        slot.ordinal = self.ordinal;
        slot.method = method;
        slot.priority = opening.priority;
        slot.deadline = deadline;
        slot.send_credit = i64::from(self.peer.stream_credit);
        slot.receiving = flow::Receiving::new(self.local.stream_credit);
        if !entry.streams_responses {
            slot.state.set(State::UNARY);
        }
        if end {
            slot.state.set(State::SENT_ALL);
        }
        self.probe.handle_asked(self.now, self.live == 0);
        self.live += 1;
        self.stats.calls += 1;
        self.deadline_next = self.deadline_next.min(deadline);

        let large = flow::is_large(length);
        let head = OpenHead {
            method,
            metadata: opening.metadata,
            remaining_us,
            trace: opening.trace,
            priority: opening.priority,
            attempt: opening.attempt,
            idempotency_key: opening.idempotency_key,
        };
        let small = opening.message.as_ref().filter(|_| !large);
        let payload = small.map(|_| (length, mode));
        head.write(self.output.buffer(), slot.wire, payload, end && !large);
        if let Some(message) = small {
            slot.send_credit -= flow::charge(length);
            self.put_payload(message);
            if opening.keep != Keep::Yes {
                *opening.message = None;
            }
        } else if let Some(message) = opening.message.take() {
            let parts = message.into_parts();
            if opening.keep == Keep::Yes {
                *opening.message = Some(Segment::from_parts(parts.iter().cloned()));
            }
            self.queue_large(index, parts, mode);
        }
        Ok(key)
    }

    #[inline]
    fn check_opening(
        &mut self,
        now: Instant,
        method: u32,
        mode: WireMode,
        opening: &Opening<'_>,
        length: usize,
    ) -> Result<(), OpenError> {
        if !self.is_open() || method >= self.methods.len() {
            return Err(not_begun(Status::unavailable(
                "the connection takes no more calls",
            )));
        }
        if opening
            .deadline
            .is_some_and(|deadline| deadline.is_past(now))
        {
            return Err(OpenError::Failed(Ended::deadline_exceeded(Begun::No)));
        }
        if opening.message.is_some() && mode == WireMode::Archive {
            let readable = self.methods.at(method).verdict.request;
            if !readable {
                return Err(OpenError::NeedsProtobuf);
            }
        }
        let too_long = length > self.peer.message_bytes_max as usize;
        if too_long || !opening.metadata.is_empty() || opening.idempotency_key.is_some() {
            self.check_sizes(opening, length)?;
        }
        if !self.has_room() {
            self.room_wanted = true;
            return Err(OpenError::Full);
        }
        Ok(())
    }

    #[cold]
    fn check_sizes(&mut self, opening: &Opening<'_>, length: usize) -> Result<(), OpenError> {
        let key_len = opening.idempotency_key.map_or(0, str::len);
        if key_len > IDEMPOTENCY_KEY_BYTES_MAX {
            return Err(not_begun(Status::invalid_argument(
                "idempotency key too long",
            )));
        }
        let fits = opening.metadata.check_size(self.metadata_limit());
        let sized = length <= self.peer.message_bytes_max as usize;
        if fits.is_ok() && sized {
            return Ok(());
        }
        if !self.connected {
            // The server may announce more than the minimum; its HELLO is under way.
            self.room_wanted = true;
            return Err(OpenError::Full);
        }
        Err(not_begun(match fits {
            Err(error) => Status::resource_exhausted(error.to_string()),
            Ok(()) => Status::resource_exhausted(format!(
                "message of {length} bytes exceeds the server's limit of {}",
                self.peer.message_bytes_max
            )),
        }))
    }

    /// Client: whether a call fits beside those that run and those whose end was not taken.
    #[inline]
    pub fn has_room(&self) -> bool {
        let calls_max = self.peer.calls_max;
        self.live < calls_max && self.slots.has_room(calls_max)
    }

    /// Client: somebody waits for [`crate::Event::Room`], whatever [`Session::open`] has answered.
    pub fn start_waiting(&mut self) {
        self.room_wanted = true;
    }

    /// Client: nobody waits for [`crate::Event::Room`] any more.
    pub fn stop_waiting(&mut self) {
        self.room_wanted = false;
    }

    /// The whole answer of a method with one response; none while it is not complete.
    ///
    /// An answer releases the stream.
    #[inline]
    pub fn take_unary(&mut self, key: StreamKey) -> Option<Result<Answer, Ended>> {
        let Some((index, slot)) = self.slots.find(key) else {
            return Some(Err(Ended::no_stream()));
        };
        let outcome = match mem::take(&mut slot.end) {
            End::Open => {
                slot.state.clear(State::NOTIFIED);
                return None;
            }
            End::Failed(ended) => Err(*ended),
            End::Clean => match slot.unqueue() {
                None => Err(Ended::no_message()),
                Some(_) if slot.first.is_some() => Err(Ended::second_message()),
                Some(message) => {
                    let rare = slot.rare.as_mut();
                    let (headers, trailers) = rare.map_or_else(Default::default, |rare| {
                        (mem::take(&mut rare.headers), mem::take(&mut rare.trailers))
                    });
                    Ok(Answer {
                        headers,
                        message,
                        trailers,
                    })
                }
            },
        };
        if let Ok(answer) = &outcome
            && flow::is_large(answer.message.bytes.len())
        {
            self.return_pool(answer.message.bytes.len() as u64);
        }
        self.drop_stream(index);
        Some(outcome)
    }

    /// The metadata before the first message; none while it may still come.
    ///
    /// It is given once, and empty afterwards.
    pub fn take_headers(&mut self, key: StreamKey) -> Option<Result<Metadata, Ended>> {
        let Some((_, slot)) = self.slots.find(key) else {
            return Some(Err(Ended::no_stream()));
        };
        if slot.state.has(State::HEADED) {
            let rare = slot.rare.as_mut();
            return Some(Ok(
                rare.map_or_else(Metadata::new, |rare| mem::take(&mut rare.headers))
            ));
        }
        match &slot.end {
            End::Open => {
                slot.state.clear(State::NOTIFIED);
                None
            }
            End::Clean => Some(Ok(Metadata::new())),
            End::Failed(ended) => Some(Err((**ended).clone())),
        }
    }

    /// The metadata after a clean end; given once, empty before and afterwards.
    pub fn take_trailers(&mut self, key: StreamKey) -> Metadata {
        let Some((_, slot)) = self.slots.find(key) else {
            return Metadata::new();
        };
        if !matches!(slot.end, End::Clean) {
            return Metadata::new();
        }
        let rare = slot.rare.as_mut();
        rare.map_or_else(Metadata::new, |rare| mem::take(&mut rare.trailers))
    }

    /// Ends a call from this side: CANCEL goes out, the rest of it is dropped (PROTOCOL.md §4.9).
    pub(crate) fn abandon(&mut self, index: u32, ended: Ended) {
        let slot = self.slots.at(index);
        let wire = slot.wire;
        slot.end = End::Failed(Box::new(ended));
        if !self.closed {
            cancel::write(self.output.buffer(), wire.0, wire.1);
        }
        self.drop_queue(index);
        self.leave_wire(index);
    }

    pub(crate) fn handle_headers(&mut self, frame: &Frame<'_>) -> Result<(), Violation> {
        let value = headers::parse(frame)?;
        let Some(index) = self.locate(&frame.header)? else {
            return Ok(());
        };
        if !self.slots.at(index).state.newly(State::HEADED) {
            return Err(Violation::protocol("HEADERS behind a message or twice"));
        }
        match metadata::parse(value, self.local.metadata_bytes_max as usize)? {
            Ok(entries) => {
                self.slots.at(index).rare().headers = entries;
                self.notify_unless_unary(index);
            }
            Err(refused) => self.refuse_answer(index, &refused),
        }
        Ok(())
    }

    pub(crate) fn handle_end(&mut self, frame: &Frame<'_>) -> Result<(), Violation> {
        let end = EndFrame::parse(frame)?;
        let Some(index) = self.locate(&frame.header)? else {
            return Ok(());
        };
        let trailers = match metadata::parse(end.trailers, self.local.metadata_bytes_max as usize)?
        {
            Ok(entries) => entries,
            Err(refused) if end.status.is_ok() => {
                self.refuse_answer(index, &refused);
                return Ok(());
            }
            // The status says more than that its metadata is not acceptable.
            Err(_) => Metadata::new(),
        };
        let slot = self.slots.at(index);
        let unfinished = slot
            .rare
            .as_ref()
            .is_some_and(|rare| rare.incoming.is_some());
        slot.end = if end.status.is_ok() && !unfinished {
            if !trailers.is_empty() {
                slot.rare().trailers = trailers;
            }
            End::Clean
        } else if end.status.is_ok() {
            return Err(Violation::protocol("success before the end of a message"));
        } else {
            End::Failed(Box::new(Ended {
                drained: end.reason == EndReason::DRAINING,
                ..Ended::by_peer(end.status, end.begun, trailers)
            }))
        };
        self.leave_wire(index);
        self.notify(index);
        Ok(())
    }

    #[cold]
    fn refuse_answer(&mut self, index: u32, refused: &Refused) {
        let status = match refused {
            Refused::TooLarge => Status::resource_exhausted("response metadata exceeds the limit"),
            Refused::Invalid(error) => Status::internal(format!("response metadata: {error}")),
        };
        self.abandon(index, Ended::by_library(status, Begun::Maybe));
        self.notify(index);
    }

    /// Ends every call after the last that may have begun, as not begun (PROTOCOL.md §7).
    pub(crate) fn handle_final_goaway(&mut self, last_begun: u64) {
        for index in self.slots.indexes() {
            let slot = self.slots.at(index);
            if slot.state.has(State::LIVE) && slot.ordinal > last_begun {
                let status = Status::unavailable("the server is draining");
                let ended = Ended {
                    initiator: Initiator::Peer,
                    drained: true,
                    ..Ended::by_library(status, Begun::No)
                };
                slot.end = End::Failed(Box::new(ended));
                self.drop_queue(index);
                self.leave_wire(index);
                self.notify(index);
            }
        }
    }

    /// Whether the server can have seen a call that ends without its word.
    pub(crate) fn begun(&self, ordinal: u64) -> Begun {
        if ordinal > self.ordinal_handed_out {
            Begun::No
        } else {
            Begun::Maybe
        }
    }

    /// Client: the deadline of a call passed.
    pub(crate) fn expire_client(&mut self, index: u32) {
        let ordinal = self.slots.at(index).ordinal;
        let begun = self.begun(ordinal);
        self.abandon(index, Ended::deadline_exceeded(begun));
        self.notify(index);
    }

    /// Shows what is kept with each stream.
    pub fn each_user(&mut self, mut look: impl FnMut(&mut U)) {
        for index in self.slots.indexes() {
            look(&mut self.slots.at(index).user);
        }
    }

    /// Client: too many slots have retired for the connection to be of further use.
    pub(crate) fn check_retired(&mut self) {
        if self.slots.retired() * 2 > self.slots_max() && self.drain == Drain::None {
            self.drain = Drain::Asked;
            self.events.push_back(crate::Event::Draining);
        }
    }
}

fn not_begun(status: Status) -> OpenError {
    OpenError::Failed(Ended::by_library(status, Begun::No))
}
