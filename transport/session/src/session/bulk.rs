//! Messages larger than a frame: their reassembly, and the turns their chunks take.

use std::collections::VecDeque;

use bytes::Bytes;
use dreammesh_core::call::Priority;
use dreammesh_core::port::{Received, StreamKey, WireMode};
use dreammesh_core::shelf;

use crate::frame::CHUNK_BYTES_MAX;

/// A large message being received.
///
/// Capacity for all of it is reserved when it is announced, which its credit admits. The pages of
/// a new buffer become resident only as chunks arrive (PROTOCOL.md §5.5); one from the shelf has
/// them, and up to twice the capacity.
#[derive(Debug)]
pub(crate) struct Incoming {
    total: usize,
    mode: WireMode,
    /// None while a link reads into it.
    buffer: Option<Buffer>,
}

/// Where a large message is put together.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// What has arrived, and behind that what an earlier message left, or zeros.
    bytes: Vec<u8>,
    /// How much has arrived; `filled <= bytes.len()`.
    filled: usize,
}

impl Incoming {
    pub(crate) fn new(total: u32, mode: WireMode) -> Self {
        let total = total as usize;
        let bytes = shelf::take(total);
        Self {
            total,
            mode,
            buffer: Some(Buffer { bytes, filled: 0 }),
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// How many bytes have arrived; none as long as the buffer is lent.
    pub(crate) fn received(&self) -> Option<usize> {
        Some(self.buffer.as_ref()?.filled)
    }

    /// How many bytes are missing; none as long as the buffer is lent.
    pub(crate) fn missing(&self) -> Option<usize> {
        Some(self.total - self.buffer.as_ref()?.filled)
    }

    /// Adds what has arrived, of which the caller knows that it fits and that nothing is lent.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        if let Some(buffer) = &mut self.buffer {
            buffer.add(bytes);
        }
    }

    /// Lends the buffer out.
    pub(crate) fn lend(&mut self) -> Option<Buffer> {
        self.buffer.take()
    }

    /// Takes the buffer back.
    pub(crate) fn take_back(&mut self, buffer: Buffer) {
        self.buffer = Some(buffer);
    }

    /// The whole message.
    pub(crate) fn finish(self) -> Option<Received> {
        let buffer = self.buffer.filter(|buffer| buffer.filled == self.total)?;
        Some(Received {
            bytes: shelf::message(buffer.bytes, self.total),
            mode: self.mode,
            compressed: false,
        })
    }
}

impl Buffer {
    fn add(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        match self.bytes.get_mut(self.filled..end) {
            Some(place) => place.copy_from_slice(bytes),
            None => {
                self.bytes.truncate(self.filled);
                self.bytes.extend_from_slice(bytes);
            }
        }
        self.filled = end;
    }

    /// Room for the next bytes, which only a new buffer has to be cleared for.
    pub(crate) fn room(&mut self, bytes: usize) -> &mut [u8] {
        let end = self.filled + bytes;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        &mut self.bytes[self.filled..end]
    }

    pub(crate) fn filled(&self) -> usize {
        self.filled
    }

    /// What is behind the bytes that have arrived, without any room made for more.
    pub(crate) fn behind(&self) -> &[u8] {
        &self.bytes[self.filled..]
    }

    /// Notes that so much of the room was filled.
    pub(crate) fn fill(&mut self, bytes: usize) {
        self.filled += bytes;
        debug_assert!(self.filled <= self.bytes.len(), "more than there was room");
    }
}

/// A large message being sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// The parts not sent yet, in order.
    parts: VecDeque<Bytes>,
    pub(crate) total: u32,
    pub(crate) mode: WireMode,
    /// Whether connection credit is reserved for it.
    pub(crate) admitted: bool,
    /// Whether its first chunk went out; implies `admitted`.
    pub(crate) started: bool,
    /// The bytes not sent yet; the sum over `parts`.
    left: usize,
}

impl Outgoing {
    pub(crate) fn new(parts: Vec<Bytes>, mode: WireMode) -> Self {
        let parts = VecDeque::from(parts);
        let left = parts.iter().map(Bytes::len).sum();
        Self {
            parts,
            total: left as u32,
            mode,
            admitted: false,
            started: false,
            left,
        }
    }

    /// The length of the next chunk, and whether it is the last.
    pub(crate) fn next_len(&self) -> (usize, bool) {
        let length = self.left.min(CHUNK_BYTES_MAX);
        (length, length == self.left)
    }

    /// Whether the message has come to the end of a turn.
    pub(crate) fn turn_over(&self) -> bool {
        (self.total as usize - self.left).is_multiple_of(TURN_BYTES)
    }

    /// Hands out the next chunk of `length` bytes part by part.
    pub(crate) fn take(&mut self, mut length: usize, mut put: impl FnMut(Bytes)) {
        self.left -= length;
        while length > 0 {
            let Some(part) = self.parts.front_mut() else {
                return;
            };
            if part.len() <= length {
                length -= part.len();
                let whole = std::mem::take(part);
                self.parts.pop_front();
                put(whole);
            } else {
                put(part.split_to(length));
                length = 0;
            }
        }
    }
}

/// The large messages that wait for connection credit or take turns on the link.
#[derive(Debug, Default)]
pub(crate) struct Bulk {
    /// In the order of their requests; the first waits for connection credit, the others for it,
    /// so that a stream of smaller ones never starves a larger.
    pub(crate) waiting: VecDeque<StreamKey>,
    /// Admitted ones by priority; each gives a chunk and goes to the back of its queue.
    admitted: [VecDeque<StreamKey>; CLASSES],
    /// Counts chunks, so that every fourth turn goes to the lowest class that has any.
    turn: u32,
}

impl Bulk {
    pub(crate) fn admit(&mut self, key: StreamKey, priority: Priority) {
        self.admitted[class(priority)].push_back(key);
    }

    /// After a chunk: a message goes on with its turn, or to the back of its queue.
    pub(crate) fn went(&mut self, key: StreamKey, priority: Priority, turn_over: bool) {
        let queue = &mut self.admitted[class(priority)];
        if turn_over {
            queue.push_back(key);
        } else {
            queue.push_front(key);
        }
    }

    /// Whose turn it is (PROTOCOL.md §5.6).
    pub(crate) fn next(&mut self) -> Option<StreamKey> {
        self.turn = self.turn.wrapping_add(1);
        let mut queues = self.admitted.iter_mut();
        match self.turn.is_multiple_of(LOWEST_TURN) {
            true => queues.find_map(VecDeque::pop_front),
            false => queues.rev().find_map(VecDeque::pop_front),
        }
    }

    pub(crate) fn has_admitted(&self) -> bool {
        self.admitted.iter().any(|queue| !queue.is_empty())
    }

    pub(crate) fn remove(&mut self, key: StreamKey) {
        self.waiting.retain(|other| *other != key);
        for queue in &mut self.admitted {
            queue.retain(|other| *other != key);
        }
    }
}

fn class(priority: Priority) -> usize {
    usize::from(priority.number()).min(CLASSES - 1)
}

/// What a large message sends before it is another's turn.
///
/// The receiver can read so much at once to where it stays: a batch. Counted from the beginning
/// of the message, so that the receiver knows where a turn ends.
pub(crate) const TURN_BYTES: usize = 4 * CHUNK_BYTES_MAX;

/// One queue for each priority there is.
const CLASSES: usize = 4;

/// A quarter of the chunks is the least that keeps background work moving under steady load.
const LOWEST_TURN: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> StreamKey {
        StreamKey::from_bits(number)
    }

    #[test]
    fn equal_priorities_take_turns_and_the_lowest_is_not_starved() {
        let mut bulk = Bulk::default();
        bulk.admit(key(1), Priority::HIGH);
        bulk.admit(key(2), Priority::HIGH);
        bulk.admit(key(3), Priority::BACKGROUND);
        let mut order = Vec::new();
        for _ in 0..8 {
            let turn = bulk.next().unwrap();
            order.push(turn.bits());
            let priority = if turn.bits() == 3 {
                Priority::BACKGROUND
            } else {
                Priority::HIGH
            };
            bulk.admit(turn, priority);
        }
        assert_eq!(order, [1, 2, 1, 3, 2, 1, 2, 3]);
        for number in 1..4 {
            bulk.remove(key(number));
        }
        assert!(!bulk.has_admitted() && bulk.next().is_none());
    }

    #[test]
    fn parts_of_any_size_come_out_as_chunks() {
        let parts = [1, CHUNK_BYTES_MAX, 0, 3, 2 * CHUNK_BYTES_MAX];
        let flat: Vec<u8> = (0..parts.iter().sum()).map(|at: usize| at as u8).collect();
        let mut rest = Bytes::from(flat.clone());
        let parts: Vec<Bytes> = parts.iter().map(|length| rest.split_to(*length)).collect();
        let mut outgoing = Outgoing::new(parts.to_vec(), WireMode::Archive);
        let mut incoming = Incoming::new(outgoing.total, WireMode::Archive);
        loop {
            let (length, last) = outgoing.next_len();
            let mut chunk = Vec::new();
            outgoing.take(length, |part| chunk.extend_from_slice(&part));
            assert_eq!(chunk.len(), length);
            incoming.add(&chunk);
            assert_eq!(incoming.missing() == Some(0), last);
            if last {
                break;
            }
        }
        assert_eq!(incoming.finish().unwrap().bytes, flat);
    }

    #[test]
    fn what_was_left_in_a_buffer_is_written_over() {
        for left in [0, 3, 5, 9] {
            let bytes = vec![7; left];
            let mut buffer = Buffer { bytes, filled: 0 };
            buffer.add(b"ab");
            let room = buffer.room(3);
            assert_eq!(room.len(), 3);
            room[..2].copy_from_slice(b"cd");
            buffer.fill(2);
            buffer.add(b"efg");
            assert_eq!(&buffer.bytes[..buffer.filled], b"abcdefg", "{left}");
        }
    }
}
