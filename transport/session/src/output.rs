//! Bytes on their way to the link: small frames in one buffer, large parts by reference.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem;

use bytes::{Buf, Bytes};

/// Bytes to write, in order; read them as a [`Buf`], with a vectored write if there are parts.
///
/// Small frames share one growing buffer. A large part is kept by reference count and spliced in
/// at its position, so that bulk is never copied into the buffer.
#[derive(Debug, Default)]
pub struct Output {
    /// Frames, and the headers and padding around the shared parts.
    buffer: Vec<u8>,
    /// How much of the buffer has been consumed; `consumed <= buffer.len()`.
    consumed: usize,
    /// Parts, each before the buffer's byte of its position; positions ascend.
    shared: VecDeque<(usize, Bytes)>,
    /// The bytes left in `shared`.
    shared_bytes: usize,
    /// How much room the buffer keeps when all of it is written.
    retained_bytes_max: usize,
}

impl Output {
    /// Nothing to write.
    pub const fn new() -> Self {
        Self::retaining(RETAINED_BYTES_MAX)
    }

    /// Nothing to write; so much room is kept when what comes has been written.
    pub(crate) const fn retaining(bytes: usize) -> Self {
        Self {
            buffer: Vec::new(),
            consumed: 0,
            shared: VecDeque::new(),
            shared_bytes: 0,
            retained_bytes_max: bytes,
        }
    }

    /// The bytes left to write.
    #[inline]
    pub fn len(&self) -> usize {
        self.buffer.len() - self.consumed + self.shared_bytes
    }

    /// Whether nothing is left to write.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything, and gives back memory that a burst left behind.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.consumed = 0;
        self.shared.clear();
        self.shared_bytes = 0;
        if self.buffer.capacity() > self.retained_bytes_max {
            self.buffer.shrink_to(self.retained_bytes_max);
        }
    }

    /// The part at the front, if it is one that is kept by reference count.
    pub fn shared_front(&self) -> Option<&Bytes> {
        let (position, part) = self.shared.front()?;
        (*position == self.consumed).then_some(part)
    }

    /// Where frames are appended.
    #[inline]
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Appends a part of a payload: by reference if it is worth it.
    pub(crate) fn put_shared(&mut self, part: Bytes) {
        if part.len() < SHARED_BYTES_MIN {
            self.buffer.extend_from_slice(&part);
            return;
        }
        self.shared_bytes += part.len();
        self.shared.push_back((self.buffer.len(), part));
    }

    /// Moves everything to `other`, which is empty, and takes over its buffer.
    pub(crate) fn swap_into(&mut self, other: &mut Self) {
        debug_assert!(other.is_empty(), "the driver writes one output at a time");
        mem::swap(self, other);
        self.retained_bytes_max = other.retained_bytes_max;
        self.clear();
    }

    /// The part at the front: of the buffer up to the next shared part, or that part.
    fn front(&self) -> &[u8] {
        match self.shared.front() {
            Some((position, part)) if *position == self.consumed => part,
            Some((position, _)) => &self.buffer[self.consumed..*position],
            None => &self.buffer[self.consumed..],
        }
    }
}

impl Buf for Output {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self.front()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut at = self.consumed;
        let mut filled = 0;
        let mut push = |bytes: &'a [u8]| {
            if bytes.is_empty() {
                return true;
            }
            let Some(slot) = slices.get_mut(filled) else {
                return false;
            };
            *slot = IoSlice::new(bytes);
            filled += 1;
            true
        };
        for (position, part) in &self.shared {
            if !push(&self.buffer[at..*position]) || !push(part) {
                return filled;
            }
            at = *position;
        }
        push(&self.buffer[at..]);
        filled
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.len(), "more consumed than there was");
        while count > 0 {
            let step = count.min(self.front().len());
            count -= step;
            match self.shared.front_mut() {
                Some((position, part)) if *position == self.consumed => {
                    part.advance(step);
                    self.shared_bytes -= step;
                    if part.is_empty() {
                        self.shared.pop_front();
                    }
                }
                _ => self.consumed += step,
            }
        }
        if self.is_empty() {
            self.clear();
        }
    }
}

/// Below this a copy is cheaper than an entry in a vectored write and a reference count.
pub(crate) const SHARED_BYTES_MIN: usize = 8 * 1024;

/// What a buffer keeps after a burst, if nothing else is said: a batch of output, so that steady
/// load never reallocates.
pub(crate) const RETAINED_BYTES_MAX: usize = 512 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Output, Vec<u8>) {
        let mut output = Output::new();
        let big = |byte| Bytes::from(vec![byte; SHARED_BYTES_MIN]);
        output.put_shared(big(1));
        output.buffer().extend_from_slice(b"abc");
        output.put_shared(big(2));
        output.put_shared(big(3));
        output.put_shared(Bytes::from_static(b"small"));
        output.buffer().extend_from_slice(b"tail");
        let mut flat = vec![1; SHARED_BYTES_MIN];
        flat.extend_from_slice(b"abc");
        flat.extend_from_slice(&[2; SHARED_BYTES_MIN]);
        flat.extend_from_slice(&[3; SHARED_BYTES_MIN]);
        flat.extend_from_slice(b"smalltail");
        (output, flat)
    }

    #[test]
    fn whatever_the_steps_the_bytes_come_in_order() {
        for step in [97, 4096, SHARED_BYTES_MIN, 1 << 20] {
            let (mut output, flat) = sample();
            assert_eq!(output.len(), flat.len());
            let mut read = Vec::new();
            while output.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 8];
                let filled = output.chunks_vectored(&mut slices);
                let joined: Vec<u8> = slices[..filled]
                    .iter()
                    .flat_map(|slice| slice.iter().copied())
                    .collect();
                assert_eq!(joined, &flat[read.len()..]);
                assert!(joined.starts_with(output.chunk()));
                let step = step.min(output.remaining());
                read.extend_from_slice(&joined[..step]);
                output.advance(step);
            }
            assert_eq!(read, flat);
            assert_eq!(output.chunks_vectored(&mut [IoSlice::new(&[])]), 0);
        }
    }

    #[test]
    fn a_part_is_offered_by_reference_when_its_turn_has_come() {
        let (mut output, flat) = sample();
        let mut read = Vec::new();
        let mut shared = 0;
        while output.has_remaining() {
            let step = match output.shared_front() {
                Some(part) => {
                    assert_eq!(part, output.chunk());
                    shared += part.len();
                    // In two steps, as a link takes it that has little room.
                    part.len().div_ceil(2)
                }
                None => output.chunk().len(),
            };
            read.extend_from_slice(&output.chunk()[..step]);
            output.advance(step);
        }
        assert_eq!(read, flat);
        assert!(shared >= 3 * SHARED_BYTES_MIN, "{shared}");
        assert_eq!(output.shared_front(), None);
    }

    #[test]
    fn room_within_the_bound_is_kept_and_room_beyond_is_given_back() {
        let capacity_after = |bytes: usize| {
            let mut output = Output::retaining(4096);
            output.buffer().reserve_exact(bytes);
            output.buffer().resize(bytes, 7);
            output.advance(bytes);
            output.buffer().capacity()
        };
        assert_eq!(capacity_after(4096), 4096);
        assert_eq!(capacity_after(4097), 4096);
        assert_eq!(capacity_after(1 << 20), 4096);
    }

    #[test]
    fn both_buffers_of_a_connection_keep_what_its_session_says() {
        let (mut session, mut driver) = (Output::retaining(100), Output::new());
        for _ in 0..4 {
            session.buffer().resize(10_000, 7);
            session.swap_into(&mut driver);
            driver.advance(10_000);
            assert!(driver.buffer().capacity() <= 100);
            assert!(session.buffer().capacity() <= 100);
        }
    }

    #[test]
    fn fewer_slices_than_parts_are_filled_in_order() {
        let (output, flat) = sample();
        let mut slices = [IoSlice::new(&[]); 2];
        assert_eq!(output.chunks_vectored(&mut slices), 2);
        assert_eq!(&*slices[0], &flat[..SHARED_BYTES_MIN]);
        assert_eq!(&*slices[1], b"abc");
    }
}
