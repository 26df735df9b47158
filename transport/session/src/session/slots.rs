//! The slab of streams: slots that are used again, each time under a new generation.

use std::collections::VecDeque;

use bytes::Bytes;
use dreammesh_core::call::{Begun, Metadata, Priority, Status};
use dreammesh_core::port::{Ended, Received, StreamKey};

use super::bulk::{Incoming, Outgoing};
use super::server::Sections;
use crate::flow::Receiving;
use crate::frame::end::EndReason;

/// A point in time as microseconds since the session began.
pub(crate) type Micros = u64;

/// No deadline.
pub(crate) const NEVER: Micros = Micros::MAX;

/// One stream.
#[derive(Debug)]
pub(crate) struct Slot<U> {
    /// Part of the key; counts the uses of this slot.
    pub(crate) generation: u32,
    /// Slot and generation on the wire.
    pub(crate) wire: (u32, u32),
    /// Index of the method.
    pub(crate) method: u32,
    pub(crate) state: State,
    pub(crate) priority: Priority,
    pub(crate) attempt: u32,
    /// When the call fails with DEADLINE_EXCEEDED.
    pub(crate) deadline: Micros,
    /// When it was opened.
    pub(crate) opened: Micros,
    /// Its place among the OPEN frames of the connection, from 1.
    pub(crate) ordinal: u64,
    /// What may still be sent on the stream; below zero after a large message.
    pub(crate) send_credit: i64,
    pub(crate) receiving: Receiving,
    /// The oldest message that was not taken; none implies that `rare.queue` is empty.
    pub(crate) first: Option<Received>,
    /// How it ended, once it has; taken by the application at most once.
    pub(crate) end: End,
    /// What most calls never have.
    pub(crate) rare: Option<Box<Rare>>,
    /// What the driver keeps with the stream.
    pub(crate) user: U,
}

/// How a stream ended, as far as is known.
#[derive(Debug, Default)]
pub(crate) enum End {
    /// It has not.
    #[default]
    Open,
    /// With success; trailers are among what is rare.
    Clean,
    /// Otherwise.
    Failed(Box<Ended>),
}

/// What most calls never have; boxed so that slots stay small.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    /// Messages behind `first`.
    pub(crate) queue: VecDeque<Received>,
    /// Response metadata that was not taken.
    pub(crate) headers: Metadata,
    /// Trailing metadata of a clean end.
    pub(crate) trailers: Metadata,
    /// What OPEN said in its sections, until the call is accepted.
    pub(crate) sections: Option<Box<Sections>>,
    /// A large message being received.
    pub(crate) incoming: Option<Incoming>,
    /// A large message being sent.
    pub(crate) outgoing: Option<Outgoing>,
    /// What follows the large message being sent.
    pub(crate) closing: Option<Closing>,
}

/// An END that waits for the large message before it.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) status: Status,
    pub(crate) reason: EndReason,
    pub(crate) begun: Begun,
    pub(crate) trailers: Metadata,
}

/// The yes-or-no facts of a stream, one bit each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State(u16);

impl State {
    /// Somebody may use the key: it was not released.
    pub(crate) const HELD: u16 = 1;
    /// The stream exists on the wire: no terminal frame was sent or received.
    pub(crate) const LIVE: u16 = 1 << 1;
    /// Our half has ended, if only behind a large message that is still being sent.
    pub(crate) const SENT_ALL: u16 = 1 << 2;
    /// The peer's half has ended.
    pub(crate) const RECEIVED_ALL: u16 = 1 << 3;
    /// Response metadata or a response was sent (server) or received (client).
    pub(crate) const HEADED: u16 = 1 << 4;
    /// Server: the driver accepted the call.
    pub(crate) const ACCEPTED: u16 = 1 << 5;
    /// Server: acceptance waits until the request is complete.
    pub(crate) const DEFERRED: u16 = 1 << 6;
    /// Server: an archive came before the method's layouts were settled.
    pub(crate) const ARCHIVED: u16 = 1 << 7;
    /// A message could not be sent and its sender waits for [`crate::Event::Writable`].
    pub(crate) const WANTS_CREDIT: u16 = 1 << 8;
    /// [`crate::Event::Readable`] is out and nothing was taken since.
    pub(crate) const NOTIFIED: u16 = 1 << 9;
    /// The application throws away whatever comes.
    pub(crate) const DISCARDS: u16 = 1 << 10;
    /// Client: the method has one response, so the caller is woken only at the end.
    pub(crate) const UNARY: u16 = 1 << 11;

    #[inline]
    pub(crate) const fn of(bits: u16) -> Self {
        Self(bits)
    }

    #[inline]
    pub(crate) const fn has(self, bits: u16) -> bool {
        self.0 & bits == bits
    }

    #[inline]
    pub(crate) fn set(&mut self, bits: u16) {
        self.0 |= bits;
    }

    #[inline]
    pub(crate) fn clear(&mut self, bits: u16) {
        self.0 &= !bits;
    }

    /// Sets bits and says whether any of them was clear.
    #[inline]
    pub(crate) fn newly(&mut self, bits: u16) -> bool {
        let before = self.0;
        self.0 |= bits;
        self.0 != before
    }
}

impl<U> Slot<U> {
    pub(crate) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Appends an arrived message to those that wait.
    #[inline]
    pub(crate) fn queue(&mut self, message: Received) {
        match self.first {
            None => self.first = Some(message),
            Some(_) => self.rare().queue.push_back(message),
        }
    }

    /// The oldest message that waits.
    #[inline]
    pub(crate) fn unqueue(&mut self) -> Option<Received> {
        let taken = self.first.take();
        if let (Some(_), Some(rare)) = (&taken, &mut self.rare) {
            self.first = rare.queue.pop_front();
        }
        taken
    }

    /// The large message that is being received.
    pub(crate) fn incoming(&mut self) -> Option<&mut Incoming> {
        self.rare.as_mut()?.incoming.as_mut()
    }

    pub(crate) fn outgoing(&self) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| rare.outgoing.is_some())
    }

    /// The bytes of a message just received that the queue keeps, for tests of the bound.
    pub(crate) fn queued_bytes(&self) -> usize {
        let rest = self.rare.iter().flat_map(|rare| &rare.queue);
        self.first
            .iter()
            .chain(rest)
            .map(|message| Bytes::len(&message.bytes))
            .sum()
    }
}

/// The slab.
#[derive(Debug)]
pub(crate) struct Slots<U> {
    list: Vec<Slot<U>>,
    /// Slots not held, the latest freed last: it is the likeliest to be in cache.
    free: Vec<u32>,
    /// Slots that have had all their generations.
    retired: u32,
    generations_max: u32,
}

impl<U: Default> Slots<U> {
    pub(crate) fn new(generations_max: u32) -> Self {
        Self {
            list: Vec::new(),
            free: Vec::new(),
            retired: 0,
            generations_max,
        }
    }

    /// A slot under a generation that no call had before, reset and held.
    #[inline]
    pub(crate) fn claim(&mut self) -> (u32, &mut Slot<U>) {
        let index = match self.free.pop() {
            Some(index) => index,
            None => self.grow(),
        };
        let slot = &mut self.list[index as usize];
        slot.generation += 1;
        slot.state = State::of(State::HELD | State::LIVE);
        slot.wire = (index, slot.generation);
        (index, slot)
    }

    /// How many slots there are, free and retired ones included.
    pub(crate) fn len(&self) -> u32 {
        self.list.len() as u32
    }

    pub(crate) fn retired(&self) -> u32 {
        self.retired
    }

    /// How many are neither free nor retired.
    #[inline]
    pub(crate) fn in_use(&self) -> u32 {
        self.list.len() as u32 - self.free.len() as u32 - self.retired
    }

    /// Whether a slot below `limit` can be claimed.
    #[inline]
    pub(crate) fn has_room(&self, limit: u32) -> bool {
        !self.free.is_empty() || self.len() < limit
    }

    #[cold]
    fn grow(&mut self) -> u32 {
        let index = self.list.len() as u32;
        if self.list.is_empty() {
            // Many sessions never have two calls at once, and a list begins with four otherwise.
            self.list.reserve_exact(1);
        }
        self.list.push(Slot {
            generation: 0,
            wire: (0, 0),
            method: 0,
            state: State::default(),
            priority: Priority::NORMAL,
            attempt: 0,
            deadline: NEVER,
            opened: 0,
            ordinal: 0,
            send_credit: 0,
            receiving: Receiving::default(),
            first: None,
            end: End::Open,
            rare: None,
            user: U::default(),
        });
        index
    }

    /// Puts a slot back, with all it held; it retires after its last generation.
    #[inline]
    pub(crate) fn free(&mut self, index: u32) {
        let slot = &mut self.list[index as usize];
        slot.state = State::default();
        slot.deadline = NEVER;
        slot.first = None;
        if slot.rare.is_some() {
            slot.rare = None;
        }
        if !matches!(slot.end, End::Open) {
            slot.end = End::Open;
        }
        slot.user = U::default();
        if slot.generation >= self.generations_max {
            self.retired += 1;
        } else {
            self.free.push(index);
        }
    }

    /// The slot a key names, while it is held.
    #[inline]
    pub(crate) fn find(&mut self, key: StreamKey) -> Option<(u32, &mut Slot<U>)> {
        let (index, generation) = (key.bits() as u32, (key.bits() >> 32) as u32);
        let slot = self.list.get_mut(index as usize)?;
        (slot.generation == generation && slot.state.has(State::HELD)).then_some((index, slot))
    }

    /// The slot a key names, while its stream exists on the wire.
    pub(crate) fn live(&mut self, key: StreamKey) -> Option<(u32, &mut Slot<U>)> {
        let (index, generation) = (key.bits() as u32, (key.bits() >> 32) as u32);
        let slot = self.list.get_mut(index as usize)?;
        (slot.generation == generation && slot.state.has(State::LIVE)).then_some((index, slot))
    }

    #[inline]
    pub(crate) fn at(&mut self, index: u32) -> &mut Slot<U> {
        &mut self.list[index as usize]
    }

    #[inline]
    pub(crate) fn peek(&self, index: u32) -> Option<&Slot<U>> {
        self.list.get(index as usize)
    }

    /// The indexes of all slots, for the rare scans over them.
    pub(crate) fn indexes(&self) -> std::ops::Range<u32> {
        0..self.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot<U>> {
        self.list.iter()
    }
}

/// The key of a slot under its present generation.
#[inline]
pub(crate) const fn key_of(index: u32, generation: u32) -> StreamKey {
    StreamKey::from_bits((generation as u64) << 32 | index as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_retires_after_its_last_generation_and_no_key_comes_twice() {
        let mut slots = Slots::<()>::new(3);
        let mut seen = Vec::new();
        for _ in 0..9 {
            let (index, slot) = slots.claim();
            let key = key_of(index, slot.generation);
            assert!(!seen.contains(&key));
            seen.push(key);
            assert!(slots.find(key).is_some());
            slots.free(index);
            assert!(slots.find(key).is_none());
        }
        assert_eq!((slots.len(), slots.retired(), slots.in_use()), (3, 3, 0));
        assert!(!slots.has_room(3) && slots.has_room(4));
    }
}
