//! Messages that arrive, until the application takes them.

use dreammesh_core::call::{Begun, Status};
use dreammesh_core::port::{Ended, Received, StreamKey, WireMode};

use super::bulk::Incoming;
use super::input::Payload;
use super::slots::{End, State, key_of};
use super::{Role, Session};
use crate::event::Event;
use crate::flow;
use crate::frame::end::EndReason;
use crate::frame::{CloseCode, Frame, Violation, chunk, credit, flag, wire_mode};

impl<U: Default> Session<U> {
    #[inline]
    pub(crate) fn handle_message(
        &mut self,
        frame: &Frame<'_>,
        payload: Payload<'_>,
    ) -> Result<(), Violation> {
        Self::only_ignorable_sections(frame)?;
        let Some(index) = self.locate(&frame.header)? else {
            return Ok(());
        };
        self.check_half(index)?;
        if frame.header.flags & flag::MESSAGE == 0 {
            return self.handle_bare_end(index, frame);
        }
        let window = self.local.stream_credit;
        self.slots
            .at(index)
            .receiving
            .arrive(window, payload.len())?;
        let message = Received {
            bytes: payload.detach(),
            mode: wire_mode(frame.header.flags),
            compressed: false,
        };
        self.arrived(index, message, frame.header.flags & flag::END != 0);
        Ok(())
    }

    /// The client's half ends without another message (PROTOCOL.md §4.6).
    fn handle_bare_end(&mut self, index: u32, frame: &Frame<'_>) -> Result<(), Violation> {
        let bare = frame.payload.is_empty() && frame.header.flags & flag::END != 0;
        if !bare || self.role == Role::Client {
            return Err(Violation::protocol("a MESSAGE without a message"));
        }
        self.slots.at(index).state.set(State::RECEIVED_ALL);
        self.request_arrived(index, false, true);
        Ok(())
    }

    /// Nothing may follow the end of a half, or come amid a large message.
    #[inline]
    fn check_half(&mut self, index: u32) -> Result<(), Violation> {
        let slot = self.slots.at(index);
        if slot.state.has(State::RECEIVED_ALL) {
            return Err(Violation::protocol("a message behind the end of its half"));
        }
        if slot
            .rare
            .as_ref()
            .is_some_and(|rare| rare.incoming.is_some())
        {
            return Err(Violation::protocol("a message amid the chunks of another"));
        }
        Ok(())
    }

    /// A whole message is there: it is queued, and what its END flag says is done.
    #[inline]
    pub(crate) fn arrived(&mut self, index: u32, message: Received, end: bool) {
        let length = message.bytes.len();
        let archive = message.mode == WireMode::Archive;
        let slot = self.slots.at(index);
        if end {
            slot.state.set(State::RECEIVED_ALL);
        }
        if slot.state.has(State::DISCARDS) || !slot.state.has(State::HELD) {
            self.return_credit(index, length);
        } else {
            slot.queue(message);
        }
        match self.role {
            Role::Client => {
                let slot = self.slots.at(index);
                slot.state.set(State::HEADED);
                if end {
                    slot.end = End::Clean;
                    self.leave_wire(index);
                    self.notify(index);
                } else {
                    self.notify_unless_unary(index);
                }
            }
            Role::Server => self.request_arrived(index, archive, end),
        }
    }

    pub(crate) fn handle_chunk(&mut self, frame: &Frame<'_>) -> Result<(), Violation> {
        if let Some(index) = self.begin_chunk(frame)? {
            self.add_to_large(index, frame.payload);
            self.large_arrived(index, frame.header.flags);
        }
        Ok(())
    }

    /// Judges a chunk by its header and head, and makes room for the message that it announces;
    /// none if the chunk is to be passed over.
    pub(crate) fn begin_chunk(&mut self, frame: &Frame<'_>) -> Result<Option<u32>, Violation> {
        let announced = chunk::announced(frame)?;
        let Some(index) = self.locate(&frame.header)? else {
            if let Some(total) = announced {
                self.pass_over(total)?;
            }
            return Ok(None);
        };
        if let Some(total) = announced {
            self.check_half(index)?;
            if !self.receive_pool.reserve(u64::from(total)) {
                let what = "a large message beyond the connection's credit";
                return Err(Violation::new(CloseCode::CREDIT, what));
            }
            let window = self.local.stream_credit;
            self.slots
                .at(index)
                .receiving
                .arrive(window, total as usize)?;
            if total > self.local.message_bytes_max {
                self.return_pool(u64::from(total));
                self.refuse_size(index, total);
                return Ok(None);
            }
            let incoming = Incoming::new(total, wire_mode(frame.header.flags));
            self.slots.at(index).rare().incoming = Some(incoming);
        }
        let incoming = self.slots.at(index).incoming();
        let Some(missing) = incoming.and_then(|incoming| incoming.missing()) else {
            return Err(Violation::protocol("a chunk of nothing that was announced"));
        };
        let length = chunk::payload_len(&frame.header);
        if length > missing {
            return Err(Violation::protocol("chunks exceed the announced size"));
        }
        if length < missing && frame.header.flags & flag::END != 0 {
            return Err(Violation::protocol("the end amid a message"));
        }
        Ok(Some(index))
    }

    /// Adds a part of a chunk that was begun.
    pub(crate) fn add_to_large(&mut self, index: u32, bytes: &[u8]) {
        if let Some(incoming) = self.slots.at(index).incoming() {
            incoming.add(bytes);
        }
    }

    /// A chunk with these flags is there; if it was the last of a message, so is that.
    pub(crate) fn large_arrived(&mut self, index: u32, flags: u8) {
        let slot = self.slots.at(index);
        if slot.incoming().and_then(|incoming| incoming.missing()) != Some(0) {
            return;
        }
        if let Some(message) = slot.rare().incoming.take().and_then(Incoming::finish) {
            self.arrived(index, message, flags & flag::END != 0);
        }
    }

    /// A large message announced to a call that is over: whoever drops an announcement returns
    /// its credit (PROTOCOL.md §5.4).
    fn pass_over(&mut self, total: u32) -> Result<(), Violation> {
        if !self.receive_pool.reserve(u64::from(total)) {
            let what = "a large message beyond the connection's credit";
            return Err(Violation::new(CloseCode::CREDIT, what));
        }
        self.return_pool(u64::from(total));
        Ok(())
    }

    #[cold]
    fn refuse_size(&mut self, index: u32, total: u32) {
        let limit = self.local.message_bytes_max;
        let text = format!("message of {total} bytes exceeds the limit of {limit}");
        let status = Status::resource_exhausted(text);
        match self.role {
            Role::Client => {
                self.abandon(index, Ended::by_library(status, Begun::Maybe));
                self.notify(index);
            }
            Role::Server => self.refuse_call(index, &status, EndReason::MESSAGE_SIZE),
        }
    }

    /// The next message of a stream, or none at the clean end of the peer's half; the outer none
    /// while neither is there.
    #[inline]
    pub fn take_message(&mut self, key: StreamKey) -> Option<Result<Option<Received>, Ended>> {
        let Some((index, slot)) = self.slots.find(key) else {
            return Some(Err(Ended::no_stream()));
        };
        if let Some(message) = slot.unqueue() {
            self.return_credit(index, message.bytes.len());
            return Some(Ok(Some(message)));
        }
        match &slot.end {
            End::Failed(ended) => Some(Err((**ended).clone())),
            End::Clean => Some(Ok(None)),
            End::Open if slot.state.has(State::RECEIVED_ALL) => Some(Ok(None)),
            End::Open => {
                slot.state.clear(State::NOTIFIED);
                None
            }
        }
    }

    /// Returns the credit of a message that left the queue.
    #[inline]
    pub(crate) fn return_credit(&mut self, index: u32, length: usize) {
        if flow::is_large(length) {
            self.return_pool(length as u64);
        }
        let window = self.local.stream_credit;
        let slot = self.slots.at(index);
        // Nobody sends on a half that has ended, so its credit has no taker.
        if slot.state.has(State::RECEIVED_ALL) || !slot.state.has(State::LIVE) {
            return;
        }
        if let Some(amount) = slot.receiving.taken(window, length) {
            let wire = slot.wire;
            credit::write(self.output.buffer(), wire.0, wire.1, amount);
        }
    }

    /// Ends a stream because the session ended, and tells whoever waits for it.
    pub(crate) fn lose(&mut self, index: u32, ended: Ended) {
        let slot = self.slots.at(index);
        slot.end = End::Failed(Box::new(ended));
        let key = key_of(index, slot.generation);
        let (held, accepted) = (slot.state.has(State::HELD), slot.state.has(State::ACCEPTED));
        self.leave_wire(index);
        match self.role {
            Role::Client => self.notify(index),
            Role::Server if held && accepted => self.events.push_back(Event::Cancelled(key)),
            Role::Server => self.drop_stream(index),
        }
    }
}
