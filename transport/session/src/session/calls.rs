//! What both sides do with a stream besides moving messages: find, notify, end and release it.

use dreammesh_core::call::{Begun, Status};
use dreammesh_core::port::{Ended, StreamKey};

use super::server::NO_ENTRY;
use super::slots::{End, State, key_of};
use super::{Role, Session};
use crate::event::Event;
use crate::flow;
use crate::frame::{CloseCode, Header, Violation, credit};

impl<U: Default> Session<U> {
    /// The live stream a frame is about; none if it is over, which makes the frame late.
    ///
    /// Ids are never used again, so a late frame cannot hit another call (PROTOCOL.md §3.2).
    #[inline]
    pub(crate) fn locate(&mut self, header: &Header) -> Result<Option<u32>, Violation> {
        let (slot, generation) = (header.slot, header.generation);
        let found = match self.role {
            Role::Client => self.slots.peek(slot).and_then(|known| {
                let live = known.generation == generation && known.state.has(State::LIVE);
                (generation <= known.generation).then_some(live.then_some(slot))
            }),
            Role::Server => self.wire.get(slot as usize).and_then(|known| {
                let live = known.generation == generation && known.entry != NO_ENTRY;
                (generation <= known.generation).then_some(live.then_some(known.entry))
            }),
        };
        match found {
            Some(Some(index)) => Ok(Some(index)),
            Some(None) if generation > 0 => {
                self.stats.frames_late += 1;
                Ok(None)
            }
            _ => Err(Violation::new(
                CloseCode::SLOT,
                "a frame for a call that never was",
            )),
        }
    }

    /// Says once that something can be taken.
    #[inline]
    pub(crate) fn notify(&mut self, index: u32) {
        let slot = self.slots.at(index);
        if slot.state.has(State::HELD) && slot.state.newly(State::NOTIFIED) {
            let key = key_of(index, slot.generation);
            self.events.push_back(Event::Readable(key));
        }
    }

    /// Says so unless the caller waits for the whole answer.
    #[inline]
    pub(crate) fn notify_unless_unary(&mut self, index: u32) {
        if !self.slots.at(index).state.has(State::UNARY) {
            self.notify(index);
        }
    }

    /// Gives connection credit back to the peer.
    pub(crate) fn return_pool(&mut self, amount: u64) {
        let restored = self.receive_pool.restore(amount);
        debug_assert!(
            restored.is_ok(),
            "only what an announcement reserved comes back"
        );
        if !self.closed {
            credit::write(self.output.buffer(), credit::CONNECTION_SLOT, 0, amount);
        }
    }

    /// Drops the messages that wait to be taken, and returns the credit of the large ones.
    pub(crate) fn drop_queue(&mut self, index: u32) {
        while let Some(message) = self.slots.at(index).unqueue() {
            if flow::is_large(message.bytes.len()) {
                self.return_pool(message.bytes.len() as u64);
            }
        }
    }

    /// Takes a stream off the wire: a terminal frame was sent or received.
    ///
    /// Large messages under way are dropped on both halves, and the credit of the arriving one
    /// goes back (PROTOCOL.md §5.4).
    #[inline]
    pub(crate) fn leave_wire(&mut self, index: u32) {
        let slot = self.slots.at(index);
        debug_assert!(slot.state.has(State::LIVE), "a stream leaves the wire once");
        slot.state.clear(State::LIVE);
        self.live -= 1;
        if self.role == Role::Server {
            self.wire[slot.wire.0 as usize].entry = NO_ENTRY;
        }
        if self.slots.at(index).rare.is_some() {
            self.drop_bulk(index);
        }
        self.finish_drain();
    }

    fn drop_bulk(&mut self, index: u32) {
        let slot = self.slots.at(index);
        let key = key_of(index, slot.generation);
        let rare = slot.rare();
        rare.closing = None;
        let outgoing = rare.outgoing.take();
        if let Some(incoming) = rare.incoming.take() {
            self.return_pool(incoming.total() as u64);
        }
        if let Some(outgoing) = outgoing {
            self.bulk.remove(key);
            if outgoing.admitted && !outgoing.started {
                // The peer never hears of it, so nobody else can give its credit back.
                let restored = self.send_pool.restore(u64::from(outgoing.total));
                debug_assert!(restored.is_ok(), "only what was reserved comes back");
            }
            if !self.closed {
                self.admit_large();
            }
            self.notify_writable(index);
        }
    }

    /// Says that a blocked sender may try again.
    #[inline]
    pub(crate) fn notify_writable(&mut self, index: u32) {
        let slot = self.slots.at(index);
        if slot.state.has(State::WANTS_CREDIT | State::HELD) {
            slot.state.clear(State::WANTS_CREDIT);
            let key = key_of(index, slot.generation);
            self.events.push_back(Event::Writable(key));
        }
    }

    /// Frees a stream that is off the wire and not held, with what its queue still has.
    #[inline]
    pub(crate) fn drop_stream(&mut self, index: u32) {
        if self.slots.at(index).first.is_some() {
            self.drop_queue(index);
        }
        self.slots.free(index);
        if self.role == Role::Server {
            return;
        }
        if self.slots.retired() > 0 {
            self.check_retired();
        }
        // Only now: a call that has ended keeps its slot until its answer is taken.
        if self.room_wanted && self.has_room() {
            self.events.push_back(Event::Room);
        }
    }

    /// Forgets a stream; one that is live on the wire is cancelled, or ended as cancelled by a
    /// server, unless all that is left of it is being sent.
    pub fn release(&mut self, key: StreamKey) {
        let Some((index, slot)) = self.slots.find(key) else {
            return;
        };
        if !slot.state.has(State::LIVE) {
            self.drop_stream(index);
            return;
        }
        match self.role {
            Role::Client => {
                let ordinal = slot.ordinal;
                let begun = self.begun(ordinal);
                let status = Status::cancelled("the caller gave the call up");
                self.abandon(index, Ended::by_caller(status, begun));
                self.drop_stream(index);
            }
            Role::Server if slot.state.has(State::SENT_ALL) => slot.state.clear(State::HELD),
            Role::Server => self.abandon_handler(index),
        }
    }

    /// Throws away what the peer sent and still sends on a stream, and returns its credit.
    pub fn discard(&mut self, key: StreamKey) {
        let Some((index, slot)) = self.slots.find(key) else {
            return;
        };
        slot.state.set(State::DISCARDS);
        while let Some(message) = self.slots.at(index).unqueue() {
            self.return_credit(index, message.bytes.len());
        }
    }

    /// How a stream that no longer sends has ended.
    pub(crate) fn ended(&mut self, index: u32) -> Ended {
        match &self.slots.at(index).end {
            End::Failed(ended) => (**ended).clone(),
            End::Open | End::Clean => {
                Ended::by_library(Status::cancelled("the stream has ended"), Begun::Maybe)
            }
        }
    }
}
