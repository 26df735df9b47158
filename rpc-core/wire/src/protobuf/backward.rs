//! Writes protobuf from its last byte to its first.
//!
//! A length prefix stands before what it measures, so a forward writer either walks every message
//! twice or moves bytes after the fact. Written backwards, the length is known when its turn comes:
//! one pass, no table of lengths, linear at any depth.

use bytes::{Buf, Bytes};

use super::source::Source;

/// Bytes that grow towards the front, at the end of a caller's buffer.
///
/// The written bytes are `buffer[head..]`; everything before `base` is the caller's and untouched.
#[derive(Debug)]
pub(crate) struct Backward<'a> {
    buffer: &'a mut Vec<u8>,
    /// Where the caller's own bytes end.
    base: usize,
    /// The first written byte; `base <= head <= buffer.len()`.
    head: usize,
    /// What long values are shared with instead of being copied, if they are.
    shared: Option<Shared<'a>>,
}

/// Values that are not copied.
#[derive(Debug)]
struct Shared<'a> {
    /// Where they lie.
    source: &'a Source,
    /// The last one first, each with how much of the buffer is behind it.
    parts: Vec<(usize, Bytes)>,
    /// What they come to.
    len: usize,
}

impl<'a> Backward<'a> {
    /// Prepares to write after what is in `buffer`, with room for about `expected` bytes.
    pub(crate) fn new(buffer: &'a mut Vec<u8>, expected: usize) -> Self {
        let base = buffer.len();
        buffer.resize(base + expected, 0);
        let head = buffer.len();
        Self {
            buffer,
            base,
            head,
            shared: None,
        }
    }

    /// Has long values that lie in `source` shared with it.
    pub(crate) fn sharing(mut self, source: &'a Source) -> Self {
        self.shared = Some(Shared {
            source,
            parts: Vec::new(),
            len: 0,
        });
        self
    }

    /// How many bytes have been written; differences of it measure what lies between.
    #[inline]
    pub(crate) fn written(&self) -> usize {
        let shared = self.shared.as_ref().map_or(0, |shared| shared.len);
        self.in_buffer() + shared
    }

    #[inline]
    fn in_buffer(&self) -> usize {
        self.buffer.len() - self.head
    }

    /// Puts `bytes` in front of everything written so far.
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
    }

    /// Puts a value in front of everything written so far, by reference if that is worth it.
    #[inline]
    pub(crate) fn put_value(&mut self, bytes: &[u8]) {
        if bytes.len() >= SHARED_BYTES_MIN {
            let behind = self.in_buffer();
            if let Some(shared) = &mut self.shared {
                shared.parts.push((behind, shared.source.share(bytes)));
                shared.len += bytes.len();
                return;
            }
        }
        self.put(bytes);
    }

    #[inline(always)]
    pub(crate) fn put_varint(&mut self, value: u64) {
        if value < 0x80 {
            self.room(1)[0] = value as u8;
        } else {
            self.put_long_varint(value);
        }
    }

    /// Kept apart so that tags and short lengths, which are one byte, cost no call.
    #[inline(never)]
    fn put_long_varint(&mut self, mut value: u64) {
        let room = self.room(varint_len(value));
        let (last, leading) = room
            .split_last_mut()
            .expect("a varint has at least one byte");
        for byte in leading {
            *byte = value as u8 | 0x80;
            value >>= 7;
        }
        *last = value as u8;
    }

    /// Moves what was written directly behind the caller's bytes.
    pub(crate) fn finish(self) {
        let written = self.in_buffer();
        self.buffer.copy_within(self.head.., self.base);
        self.buffer.truncate(self.base + written);
    }

    /// What was written, in order; the shared values are parts of their own.
    ///
    /// The buffer must have been empty.
    pub(crate) fn into_parts(self) -> (Bytes, Vec<Bytes>) {
        let shared = self.shared.map(|shared| shared.parts).unwrap_or_default();
        let mut written = Bytes::from(core::mem::take(self.buffer));
        written.advance(self.head);
        let end = written.len();
        let mut rest = Vec::with_capacity(2 * shared.len());
        // From the back to the front, as they were written.
        for (behind, value) in shared {
            let after = written.split_off(end - behind);
            if !after.is_empty() {
                rest.push(after);
            }
            rest.push(value);
        }
        rest.reverse();
        (written, rest)
    }

    /// The `count` bytes in front of what has been written, now counted as written.
    #[inline(always)]
    fn room(&mut self, count: usize) -> &mut [u8] {
        if self.head - self.base < count {
            self.grow(count);
        }
        self.head -= count;
        &mut self.buffer[self.head..self.head + count]
    }

    #[cold]
    fn grow(&mut self, count: usize) {
        let written = self.in_buffer();
        let added = count.max(written).max(GROWTH_MIN);
        self.buffer.resize(self.buffer.len() + added, 0);
        self.buffer
            .copy_within(self.head..self.head + written, self.head + added);
        self.head += added;
    }
}

/// To send one buffer more costs about as much as to copy this much. No less than this lies outside
/// of what an archive's builder wrote, see `EXTERNAL_MIN`.
const SHARED_BYTES_MIN: usize = 4096;
/// Small enough to waste nothing that matters, large enough to make growth rare.
const GROWTH_MIN: usize = 64;

/// How many bytes `value` takes as a varint.
#[inline]
pub(crate) fn varint_len(value: u64) -> usize {
    // Seven bits a byte: (bits * 9 + 64) / 64 is bits / 7 rounded up for 1 to 64 bits.
    let bits = 64 - (value | 1).leading_zeros() as usize;
    (bits * 9 + 64) / 64
}

/// Zigzag maps small negative numbers to small varints.
#[inline]
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_match_their_length() {
        for bits in 0..64 {
            for value in [
                1_u64 << bits,
                (1_u64 << bits) - 1,
                (1_u64 << bits) + 1,
                u64::MAX,
            ] {
                let mut buffer = vec![9, 9];
                let mut writer = Backward::new(&mut buffer, 0);
                writer.put_varint(value);
                writer.finish();
                assert_eq!(buffer[..2], [9, 9]);
                assert_eq!(buffer.len() - 2, varint_len(value), "{value}");
                let mut reader = crate::protobuf::reader::Reader::new(&buffer, 2);
                assert_eq!(reader.varint().unwrap(), value);
            }
        }
    }

    #[test]
    fn grows_towards_the_front() {
        let mut buffer = b"kept".to_vec();
        let mut writer = Backward::new(&mut buffer, 3);
        for index in (0..200_u8).rev() {
            writer.put(&[index, index]);
        }
        assert_eq!(writer.written(), 400);
        writer.finish();
        assert_eq!(&buffer[..4], b"kept");
        assert!(
            buffer[4..]
                .chunks(2)
                .enumerate()
                .all(|(i, pair)| pair == [i as u8, i as u8])
        );
    }

    #[test]
    fn zigzag_inverts() {
        for value in [0, 1, -1, i64::MAX, i64::MIN, 123, -456] {
            assert_eq!(crate::protobuf::reader::unzigzag(zigzag(value)), value);
        }
    }
}
