//! Buffers of large messages, kept for the next ones.
//!
//! An allocator gives memory of this size back to the system when it is freed, and the system
//! hands it out again page by page, each cleared at its first touch: that costs more than
//! receiving the message does. So the buffers of messages that were dropped are kept, by the
//! process and not by a connection, since a message outlives its connection and is dropped
//! anywhere.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// What all connections together keep at most.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// Larger buffers go back to the allocator, lest a few of them be all that is kept.
const BUFFER_BYTES_MAX: usize = 4 << 20;

static SHELF: Mutex<Shelf> = Mutex::new(Shelf::new());

/// A buffer for a message of so many bytes, empty or with what an earlier message left in it.
///
/// What is left need not be cleared before a link reads over it. A buffer in which no message came
/// to be is lost to the shelf.
#[must_use]
pub fn take(bytes: usize) -> Vec<u8> {
    let kept = lock().take(bytes);
    kept.unwrap_or_else(|| Vec::with_capacity(bytes))
}

/// A whole message of the buffer's first bytes; the buffer is kept when its last part is dropped.
///
/// # Panics
/// If the buffer has fewer.
#[must_use]
pub fn message(buffer: Vec<u8>, bytes: usize) -> Bytes {
    assert!(bytes <= buffer.len(), "all of a message has arrived");
    Bytes::from_owner(Lent { buffer, bytes })
}

fn lock() -> MutexGuard<'static, Shelf> {
    SHELF.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer that returns to the shelf.
struct Lent {
    buffer: Vec<u8>,
    /// How much of it is the message; `bytes <= buffer.len()`.
    bytes: usize,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.bytes]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // What the shelf has no place for is freed outside the lock.
        let left_out = lock().put(std::mem::take(&mut self.buffer));
        drop(left_out);
    }
}

/// Buffers without owner, the one returned last at the end.
#[derive(Debug)]
struct Shelf {
    buffers: Vec<Vec<u8>>,
    kept_bytes: usize,
}

impl Shelf {
    const fn new() -> Self {
        Self {
            buffers: Vec::new(),
            kept_bytes: 0,
        }
    }

    /// The buffer returned last among those that the message fills at least half.
    fn take(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let fits = |buffer: &Vec<u8>| (bytes..=2 * bytes).contains(&buffer.capacity());
        let at = self.buffers.iter().rposition(fits)?;
        let buffer = self.buffers.remove(at);
        self.kept_bytes -= buffer.capacity();
        Some(buffer)
    }

    /// Keeps a buffer if it is not too large, and gives up the oldest for it: messages may have
    /// another size by now. What is left out is returned.
    fn put(&mut self, buffer: Vec<u8>) -> Vec<Vec<u8>> {
        let bytes = buffer.capacity();
        if bytes > BUFFER_BYTES_MAX {
            return vec![buffer];
        }
        self.kept_bytes += bytes;
        self.buffers.push(buffer);
        let mut given_up = 0;
        while self.kept_bytes > KEPT_BYTES_MAX {
            self.kept_bytes -= self.buffers[given_up].capacity();
            given_up += 1;
        }
        self.buffers.drain(..given_up).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 100_000;

    #[test]
    fn a_buffer_serves_messages_that_fill_at_least_half_of_it() {
        let mut shelf = Shelf::new();
        for (bytes, fits) in [
            (SIZE, true),
            (SIZE / 2, true),
            (SIZE / 2 - 1, false),
            (SIZE + 1, false),
        ] {
            shelf = Shelf::new();
            assert!(shelf.put(vec![7; SIZE]).is_empty());
            let taken = shelf.take(bytes);
            assert_eq!(taken.is_some(), fits, "{bytes}");
            assert!(taken.is_none_or(|buffer| buffer == [7; SIZE] && buffer.capacity() == SIZE));
        }
        assert_eq!(shelf.kept_bytes, SIZE);
    }

    #[test]
    fn it_keeps_the_newest_up_to_both_bounds_and_none_past_them() {
        let left_out = |shelf: &mut Shelf, bytes| -> Vec<usize> {
            let left_out = shelf.put(Vec::with_capacity(bytes));
            left_out.iter().map(Vec::capacity).collect()
        };
        let mut shelf = Shelf::new();
        let past = BUFFER_BYTES_MAX + 1;
        assert_eq!(left_out(&mut shelf, past), [past]);
        for _ in 0..KEPT_BYTES_MAX / BUFFER_BYTES_MAX - 1 {
            assert_eq!(left_out(&mut shelf, BUFFER_BYTES_MAX), []);
        }
        assert_eq!(left_out(&mut shelf, BUFFER_BYTES_MAX - SIZE), []);
        assert_eq!(left_out(&mut shelf, SIZE), []);
        assert_eq!(shelf.kept_bytes, KEPT_BYTES_MAX);
        // The oldest goes, and no more than have to.
        assert_eq!(left_out(&mut shelf, SIZE), [BUFFER_BYTES_MAX]);
        assert_eq!(left_out(&mut shelf, SIZE), []);
    }

    #[test]
    fn the_buffer_of_a_message_returns_with_its_last_part() {
        // Odd, so that no other test of this process takes it.
        let size = SIZE + 77;
        let mut buffer = take(size);
        buffer.extend((0..size).map(|at| at as u8));
        let message = message(buffer, size - 1);
        assert_eq!(message.len(), size - 1);
        let part = message.slice(10..20);
        let kept = || {
            let shelf = lock();
            shelf.buffers.iter().any(|buffer| buffer.capacity() == size)
        };
        drop(message);
        assert!(!kept());
        assert_eq!(part, (10..20).collect::<Vec<u8>>());
        drop(part);
        assert!(kept());
        assert_eq!(take(size).capacity(), size);
        assert!(!kept());
    }
}
