//! The large buffers of a thread, used by one connection at a time.

use std::cell::Cell;

use super::records::{RECORD_BYTES, room_for};

/// What a step of a connection works in; nothing in it outlives the step.
#[derive(Debug)]
pub(super) struct Scratch {
    /// As it came off the wire: an incomplete record from before, then one read.
    pub(super) incoming: Vec<u8>,
    /// Small pieces of a batch, put together so that they share a record.
    pub(super) gathered: Vec<u8>,
    /// As it goes onto the wire.
    pub(super) outgoing: Vec<u8>,
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

impl Scratch {
    fn new() -> Box<Self> {
        Box::new(Self {
            incoming: vec![0; READ_BYTES + PARTIAL_BYTES_MAX],
            gathered: Vec::with_capacity(RECORD_BYTES),
            outgoing: vec![0; room_for(WRITE_BYTES)],
        })
    }
}

/// Lends the buffers of this thread.
///
/// A link within a link would find them gone and make some of its own, which is slow and correct.
pub(super) fn with<R>(step: impl FnOnce(&mut Scratch) -> R) -> R {
    let mut scratch = SCRATCH.take().unwrap_or_else(Scratch::new);
    let result = step(&mut scratch);
    SCRATCH.set(Some(scratch));
    result
}

/// What one read takes off the wire.
///
/// It is decrypted where it lies and copied from there, and so should still be in a core's nearest
/// caches by then.
pub(super) const READ_BYTES: usize = 64 * 1024;
/// What one step encrypts, for the same reason: two records.
pub(super) const WRITE_BYTES: usize = 32 * 1024;
/// The most that an incomplete record may hold: a whole one, which rustls allows to be 2 KiB longer
/// than its data (RFC 8446 section 5.2 has 256 bytes).
pub(super) const PARTIAL_BYTES_MAX: usize = RECORD_BYTES + 2048 + 5;
