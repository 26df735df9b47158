//! The large buffer that a connection reads into.
//!
//! A connection has one as long as there is something in it: between reads it lends it to the
//! next connection of its thread. So an idle connection holds none, and a thread with many of them
//! reads into memory that is still in its cache.

use std::cell::Cell;
use std::io;
use std::mem;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::BytesMut;
use dreammesh_session::{Landing, Session};
use tokio::io::AsyncReadExt;

use crate::link::BoxLink;

/// Bytes that were read and not yet parsed.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// Holds at most one incomplete frame between batches.
    pub(super) buffer: BytesMut,
    /// The place of the rest of a large message's chunk, which comes before the buffer; the
    /// buffer is empty then.
    pub(super) landing: Option<Landing>,
    /// The capacity of the buffer when it was made; 0 without one.
    size_bytes: usize,
    /// How much room to offer the next read.
    room_bytes: usize,
    /// Whether the buffer holds what is to be parsed without another read: somebody else read it,
    /// or the session left it because too much output was pending.
    left: bool,
}

impl Input {
    /// Begins with bytes that were read already.
    pub(super) fn of(first: &[u8]) -> Self {
        Self {
            buffer: first.into(),
            left: !first.is_empty(),
            ..Self::default()
        }
    }

    /// Whether there is something to parse that no read will tell of.
    pub(super) const fn is_left(&self) -> bool {
        self.left
    }

    /// Reads what has arrived, up to a buffer full, unless there is something `left` and the
    /// session is `ready` for it; 0 is the end of the peer's half.
    pub(super) fn poll_read(
        &mut self,
        link: &mut BoxLink,
        ready: bool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if ready && mem::take(&mut self.left) {
            return Poll::Ready(Ok(self.buffer.len()));
        }
        self.make_room();
        if let Some(landing) = &mut self.landing {
            return poll_land(&mut self.buffer, landing, link, cx);
        }
        let spare = self.buffer.capacity() - self.buffer.len();
        let result = pin!(link.read_buf(&mut self.buffer)).poll(cx);
        if result.is_pending() {
            self.rest();
        } else if let Poll::Ready(Ok(count)) = result {
            // A buffer that was filled says that more waits; one that stayed nearly empty says
            // that the connection would do with less.
            if count == spare {
                self.room_bytes = (self.room_bytes * 2).clamp(READ_BYTES_MIN, READ_BYTES_MAX);
            } else if count < READ_BYTES_MIN / 4 {
                self.room_bytes = READ_BYTES_MIN;
            }
        }
        result
    }

    /// Hands what was read to the session, and asks it where the rest of a large message goes.
    pub(super) fn hand_to<U: Default>(&mut self, session: &mut Session<U>, now: Instant) {
        if let Some(landing) = self.landing.take() {
            session.handle_landed(now, landing, &mut self.buffer);
        }
        session.handle_input(now, &mut self.buffer);
        self.left = !self.buffer.is_empty() && !session.wants_input();
        if self.buffer.is_empty() {
            self.landing = session.poll_landing();
        }
    }

    fn make_room(&mut self) {
        if self.size_bytes == 0 && self.room_bytes <= READ_BYTES_MIN && self.buffer.is_empty() {
            self.buffer = SPARE.take();
            self.size_bytes = self.buffer.capacity();
        }
        if self.buffer.is_empty() && self.buffer.capacity() < self.size_bytes {
            // Back to the front, which is still in the cache, instead of through all of it: this
            // also leaves the pages behind it untouched as long as reads are small.
            let _ = self.buffer.try_reclaim(self.size_bytes);
        }
        let spare = self.buffer.capacity() - self.buffer.len();
        // Half of it will do, so that an incomplete frame left at the end of a batch does not make
        // the buffer grow.
        if spare < READ_BYTES_MIN / 2 {
            self.buffer.reserve(self.room_bytes.max(READ_BYTES_MIN));
            self.size_bytes = self.buffer.capacity();
        }
    }

    /// Leaves the buffer to the connections of this thread while there is nothing to read, unless
    /// it is in use or larger than most need.
    fn rest(&mut self) {
        let is_usual = self.size_bytes <= SPARE_BYTES_MAX;
        if self.buffer.is_empty() && is_usual && self.buffer.try_reclaim(self.size_bytes) {
            SPARE.set(mem::take(&mut self.buffer));
            self.size_bytes = 0;
        }
    }
}

thread_local! {
    /// An empty buffer that nobody uses; of no capacity if there is none.
    static SPARE: Cell<BytesMut> = Cell::default();
}

/// Reads the rest of a chunk to where it stays, and a little of what follows into the buffer:
/// enough to learn where that goes.
fn poll_land(
    buffer: &mut BytesMut,
    landing: &mut Landing,
    link: &mut BoxLink,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    buffer.resize(BEHIND_BYTES, 0);
    let result = Pin::new(&mut **link).poll_read_vectored(cx, &mut landing.places(buffer));
    let behind = match &result {
        Poll::Ready(Ok(count)) => landing.fill(*count),
        _ => 0,
    };
    buffer.truncate(behind);
    result
}

/// Holds a batch of some hundred small calls.
const READ_BYTES_MIN: usize = 64 * 1024;
/// The batch budget: what one read may bring before the driver turns to its other duties.
pub(super) const READ_BYTES_MAX: usize = 256 * 1024;

/// What a spare buffer may hold: the least that is made, and what the allocator or a beginning in
/// hand adds to that.
const SPARE_BYTES_MAX: usize = READ_BYTES_MIN + READ_BYTES_MIN / 2;

/// What is read behind the rest of a chunk: the head of the next one and little of its payload,
/// which is copied.
const BEHIND_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::link::memory;

    #[tokio::test]
    async fn who_has_nothing_to_read_leaves_the_buffer_to_the_next() {
        let mut cx = Context::from_waker(Waker::noop());
        let (mut far, link) = memory::pair();
        let mut link: BoxLink = Box::new(link);
        let (mut one, mut other) = (Input::default(), Input::default());
        SPARE.take();

        assert!(one.poll_read(&mut link, true, &mut cx).is_pending());
        assert_eq!(one.buffer.capacity(), 0);
        far.write_all(b"ab").await.unwrap();
        assert!(one.poll_read(&mut link, true, &mut cx).is_ready());
        assert_eq!(SPARE.take().capacity(), 0, "it is in use");

        // What is incomplete stays where it is.
        assert!(one.poll_read(&mut link, true, &mut cx).is_pending());
        assert_eq!(one.buffer, b"ab"[..]);

        // What was read from the buffer and is still held keeps the buffer where it is, too.
        let held = one.buffer.split();
        assert!(one.poll_read(&mut link, true, &mut cx).is_pending());
        assert_eq!(SPARE.take().capacity(), 0);
        drop(held);

        assert!(one.poll_read(&mut link, true, &mut cx).is_pending());
        assert_eq!(one.buffer.capacity(), 0);
        far.write_all(b"c").await.unwrap();
        assert!(other.poll_read(&mut link, true, &mut cx).is_ready());
        assert_eq!(SPARE.take().capacity(), 0, "the other has it");
        assert_eq!(other.buffer, b"c"[..]);
        assert!(other.buffer.capacity() >= READ_BYTES_MIN);
    }

    #[tokio::test]
    async fn a_buffer_that_grew_is_not_left_to_others() {
        let mut cx = Context::from_waker(Waker::noop());
        let (_far, link) = memory::pair();
        let mut link: BoxLink = Box::new(link);
        for (size, is_left) in [(SPARE_BYTES_MAX, true), (SPARE_BYTES_MAX + 1, false)] {
            SPARE.take();
            let mut input = Input {
                buffer: BytesMut::with_capacity(size),
                size_bytes: size,
                ..Input::default()
            };
            assert!(input.poll_read(&mut link, true, &mut cx).is_pending());
            assert_eq!(SPARE.take().capacity() == size, is_left, "{size}");
        }
    }
}
