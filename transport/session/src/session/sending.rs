//! Messages that leave: small ones at once, large ones chunk by chunk when there is credit.

use bytes::Bytes;
use dreammesh_core::call::Metadata;
use dreammesh_core::port::{Ended, StreamKey, WireMode};
use dreammesh_core::wire::{Part, Segment};

use super::bulk::Outgoing;
use super::slots::{State, key_of};
use super::{Role, Session};
use crate::flow;
use crate::frame::header::padded;
use crate::frame::{chunk, headers, message};
use crate::output::Output;

impl<U: Default> Session<U> {
    /// Sends a message on a stream and says whether it was taken; if not, it is left in place and
    /// [`crate::Event::Writable`] says when to try again.
    ///
    /// With `last`, our half ends with it; from a server that is the successful end of the call.
    ///
    /// # Errors
    /// How the stream ended, or that the message exceeds the peer's limit, which sends nothing.
    #[inline]
    pub fn send(
        &mut self,
        key: StreamKey,
        message: &mut Option<Segment>,
        mode: WireMode,
        last: bool,
    ) -> Result<bool, Ended> {
        let Some((index, slot)) = self.slots.find(key) else {
            return Err(Ended::no_stream());
        };
        if !slot.state.has(State::LIVE) || slot.state.has(State::SENT_ALL) {
            return Err(self.ended(index));
        }
        let Some(length) = message.as_ref().map(Segment::len) else {
            return Ok(true);
        };
        if !self.may_send(index, length)? {
            self.slots.at(index).state.set(State::WANTS_CREDIT);
            return Ok(false);
        }
        if let Some(message) = message.take() {
            self.send_now(index, message, mode, last);
        }
        Ok(true)
    }

    fn may_send(&mut self, index: u32, length: usize) -> Result<bool, Ended> {
        if length > self.peer.message_bytes_max as usize {
            // Before the HELLO the limit is not known, only its minimum.
            return if self.connected {
                Err(too_large(length))
            } else {
                Ok(false)
            };
        }
        let window = i64::from(self.peer.stream_credit);
        let slot = self.slots.at(index);
        let free = !slot.outgoing() && flow::admits(slot.send_credit, window, length);
        Ok(free && self.output.len() <= self.config.output_bytes_max)
    }

    /// Sends a message for which there is room, and ends our half with `last`.
    #[inline]
    pub(crate) fn send_now(&mut self, index: u32, message: Segment, mode: WireMode, last: bool) {
        let slot = self.slots.at(index);
        if self.role == Role::Server {
            slot.state.set(State::HEADED);
        }
        if last {
            slot.state.set(State::SENT_ALL);
        }
        if flow::is_large(message.len()) {
            self.queue_large(index, message.into_parts(), mode);
            return;
        }
        slot.send_credit -= flow::charge(message.len());
        let (wire, buffer) = (slot.wire, self.output.buffer());
        message::write_header(buffer, wire.0, wire.1, message.len(), mode, last);
        self.put_payload(&message);
        if last {
            self.sent_all(index);
        }
    }

    /// Appends a payload behind its frame's head, and pads it.
    #[inline]
    pub(crate) fn put_payload(&mut self, message: &Segment) {
        let length = message.len();
        if let Some(whole) = message.as_slice()
            && whole.len() < crate::output::SHARED_BYTES_MIN
        {
            self.output.buffer().extend_from_slice(whole);
        } else {
            for part in message.parts() {
                match part {
                    Part::Head(bytes) => self.output.buffer().extend_from_slice(bytes),
                    Part::Shared(bytes) => self.output.put_shared(bytes.clone()),
                }
            }
        }
        pad_payload(&mut self.output, length);
    }

    /// Keeps a large message until there is credit for all of it (PROTOCOL.md §5.3).
    pub(crate) fn queue_large(&mut self, index: u32, parts: Vec<Bytes>, mode: WireMode) {
        let outgoing = Outgoing::new(parts, mode);
        let slot = self.slots.at(index);
        slot.rare().outgoing = Some(outgoing);
        let key = key_of(index, slot.generation);
        self.bulk.waiting.push_back(key);
        self.admit_large();
    }

    /// Admits large messages in their order while connection credit lasts.
    pub(crate) fn admit_large(&mut self) {
        while let Some(key) = self.bulk.waiting.front().copied() {
            let slot = self.slots.at(key.bits() as u32);
            let priority = slot.priority;
            let rare = slot.rare.as_mut();
            let Some(outgoing) = rare.and_then(|rare| rare.outgoing.as_mut()) else {
                self.bulk.waiting.pop_front();
                continue;
            };
            if !self.send_pool.reserve(u64::from(outgoing.total)) {
                return;
            }
            outgoing.admitted = true;
            let total = outgoing.total as usize;
            slot.send_credit -= flow::charge(total);
            self.bulk.waiting.pop_front();
            self.bulk.admit(key, priority);
        }
    }

    /// A stream's credit grew: a blocked sender may try again.
    pub(crate) fn stream_credit_grew(&mut self, index: u32) {
        if !self.slots.at(index).outgoing() {
            self.notify_writable(index);
        }
    }

    /// Ends our half without a message; from a server that is the successful end of the call.
    pub fn close_send(&mut self, key: StreamKey) {
        let Some((index, slot)) = self.slots.find(key) else {
            return;
        };
        if !slot.state.has(State::LIVE) || !slot.state.newly(State::SENT_ALL) {
            return;
        }
        if slot.outgoing() {
            return;
        }
        self.write_bare_end(index);
        self.sent_all(index);
    }

    /// The end of our half, nothing else: from a client a frame without payload, from a server an
    /// END of success (PROTOCOL.md §4.6).
    pub(crate) fn write_bare_end(&mut self, index: u32) {
        let (slot, generation) = self.slots.at(index).wire;
        match self.role {
            Role::Client => message::write_bare_end(self.output.buffer(), slot, generation),
            Role::Server => self.write_success(index),
        }
    }

    /// Our half is all on its way: for a server the call is over.
    #[inline]
    pub(crate) fn sent_all(&mut self, index: u32) {
        if self.role == Role::Server {
            self.budget.earn();
            self.leave_wire(index);
            if !self.slots.at(index).state.has(State::HELD) {
                self.drop_stream(index);
            }
        }
    }

    /// Server: sends the metadata before the first message; without effect after one.
    pub fn send_headers(&mut self, key: StreamKey, entries: &Metadata) {
        let fits = entries.check_size(self.metadata_limit()).is_ok();
        let Some((_, slot)) = self.slots.find(key) else {
            return;
        };
        if !slot.state.has(State::LIVE) || !fits || !slot.state.newly(State::HEADED) {
            return;
        }
        let wire = slot.wire;
        headers::write(self.output.buffer(), wire.0, wire.1, entries);
    }

    /// The most metadata that both the peer and a frame's head take.
    pub(crate) fn metadata_limit(&self) -> usize {
        self.peer
            .metadata_bytes_max
            .min(crate::METADATA_BYTES_CEILING) as usize
    }

    /// Whether [`Session::poll_output`] would give anything.
    #[inline]
    pub fn has_output(&self) -> bool {
        !self.output.is_empty() || self.bulk.has_admitted()
    }

    /// Hands out bytes to write: all small frames, then chunks of large messages until `budget`
    /// bytes are together. `into` must be empty; gives how many bytes it holds now.
    #[inline]
    pub fn poll_output(&mut self, into: &mut Output, budget: usize) -> usize {
        if !into.is_empty() {
            return 0;
        }
        let crowded = self.output.len() > self.config.output_bytes_max;
        self.output.swap_into(into);
        self.ordinal_handed_out = self.ordinal;
        if self.bulk.has_admitted() && !self.closed {
            self.pump(into, budget);
        }
        if crowded {
            self.wake_senders();
        }
        into.len()
    }

    /// Appends chunks, each message in its turn (PROTOCOL.md §5.6).
    fn pump(&mut self, into: &mut Output, budget: usize) {
        while into.len() < budget {
            let Some(key) = self.bulk.next() else { return };
            let index = key.bits() as u32;
            let slot = self.slots.at(index);
            let (wire, priority) = (slot.wire, slot.priority);
            let all = slot.state.has(State::SENT_ALL);
            let rare = slot.rare();
            let all = all && rare.closing.is_none();
            let Some(outgoing) = &mut rare.outgoing else {
                continue;
            };
            let (length, last) = outgoing.next_len();
            let announced = (!outgoing.started).then_some((outgoing.total, outgoing.mode));
            outgoing.started = true;
            chunk::write_header(into.buffer(), wire, announced, length, last && all);
            outgoing.take(length, |part| into.put_shared(part));
            pad_payload(into, length);
            let turn_over = outgoing.turn_over();
            if last {
                rare.outgoing = None;
                self.sent_large(index);
            } else {
                self.bulk.went(key, priority, turn_over);
            }
        }
    }

    /// The last chunk went out; what waited behind it follows.
    fn sent_large(&mut self, index: u32) {
        let slot = self.slots.at(index);
        if let Some(closing) = slot.rare().closing.take() {
            self.write_closing(index, &closing);
        }
        if self.slots.at(index).state.has(State::SENT_ALL) {
            self.sent_all(index);
        } else {
            self.notify_writable(index);
        }
    }

    /// Output has room again: everybody who was blocked may try.
    fn wake_senders(&mut self) {
        for index in self.slots.indexes() {
            if !self.slots.at(index).outgoing() {
                self.notify_writable(index);
            }
        }
    }
}

/// Pads a frame's payload of `length` bytes, of which parts may be shared.
#[inline]
fn pad_payload(output: &mut Output, length: usize) {
    output
        .buffer()
        .extend_from_slice(&[0; 8][..padded(length) - length]);
}

#[cold]
fn too_large(length: usize) -> Ended {
    use dreammesh_core::call::{Begun, Status};
    let text = format!("message of {length} bytes exceeds the peer's limit");
    Ended::by_library(Status::resource_exhausted(text), Begun::Maybe)
}
