//! Buffers reused by the thread, so that building a message allocates nothing in the steady state.

use core::cell::RefCell;

use super::Builder;
use crate::error::WireError;
use crate::limits::Limits;
use crate::segment::Segment;

/// Larger buffers go back to the allocator, lest one large message be paid for ever after.
const KEPT_BYTES_MAX: usize = 64 << 10;
/// A segment usually returns before the next few are built; more would only hold memory.
const KEPT_BUFFERS_MAX: usize = 64;

struct Pool {
    builder: Option<Box<Builder>>,
    buffers: Vec<Vec<u8>>,
}

thread_local! {
    static POOL: RefCell<Pool> =
        const { RefCell::new(Pool { builder: None, buffers: Vec::new() }) };
}

/// A builder with the thread's spare buffers.
pub(crate) fn take(limits: &Limits) -> Box<Builder> {
    let mut builder = POOL.with_borrow_mut(|pool| {
        let mut builder = pool.builder.take().unwrap_or_default();
        builder.out = pool.buffers.pop().unwrap_or_default();
        builder
    });
    // Clamped here once, so that nothing below has to.
    builder.limits = limits
        .with_max_bytes(limits.bytes())
        .with_max_depth(limits.depth());
    builder
}

/// Splits a builder into its segment and the buffers to keep.
pub(crate) fn give_back(mut builder: Box<Builder>) -> Result<Segment, WireError> {
    let error = builder.error.take();
    let segment = Segment::from_parts(
        core::mem::take(&mut builder.out),
        core::mem::take(&mut builder.externals),
    );
    builder.external_bytes = 0;
    builder.depth = 0;
    builder.scratch.clear();
    builder.fixups.clear();
    if builder.scratch.capacity() + 4 * builder.fixups.capacity() <= KEPT_BYTES_MAX {
        // Within a thread's destructors there is no pool left; the buffers are then freed.
        let _ = POOL.try_with(|pool| pool.borrow_mut().builder = Some(builder));
    }
    match error {
        Some(error) => Err(error),
        None => Ok(segment),
    }
}

/// Keeps the buffer of a dropped segment for the thread that dropped it.
pub(crate) fn recycle(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > KEPT_BYTES_MAX {
        return;
    }
    buffer.clear();
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        if pool.buffers.len() < KEPT_BUFFERS_MAX {
            pool.buffers.push(buffer);
        }
    });
}
