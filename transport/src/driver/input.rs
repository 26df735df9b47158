//! The large buffer that a connection reads into.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::AsyncReadExt;

use crate::link::BoxLink;

/// Bytes that were read and not yet parsed.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// Holds at most one incomplete frame between batches.
    pub(super) buffer: BytesMut,
    /// The capacity of the buffer when it was made.
    size_bytes: usize,
    /// How much room to offer the next read.
    room_bytes: usize,
    /// Whether the buffer holds what somebody else has read and nobody has parsed.
    handed_over: bool,
}

impl Input {
    /// Begins with bytes that were read already.
    pub(super) fn of(first: &[u8]) -> Self {
        Self {
            buffer: first.into(),
            handed_over: !first.is_empty(),
            ..Self::default()
        }
    }

    /// Reads what has arrived, up to a buffer full; 0 is the end of the peer's half.
    pub(super) fn poll_read(
        &mut self,
        link: &mut BoxLink,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if std::mem::take(&mut self.handed_over) {
            return Poll::Ready(Ok(self.buffer.len()));
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
        let spare = self.buffer.capacity() - self.buffer.len();
        let result = pin!(link.read_buf(&mut self.buffer)).poll(cx);
        if let Poll::Ready(Ok(count)) = result {
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
}

/// Holds a batch of some hundred small calls; an idle connection keeps it, but only the pages that
/// its largest batch filled are resident.
const READ_BYTES_MIN: usize = 64 * 1024;
/// The batch budget: what one read may bring before the driver turns to its other duties.
pub(super) const READ_BYTES_MAX: usize = 256 * 1024;
