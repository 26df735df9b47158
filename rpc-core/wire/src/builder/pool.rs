//! Buffers reused by the thread, so that building a message allocates nothing in the steady state.

use core::cell::{Cell, RefCell};

use super::{Builder, Out, Target};
use crate::error::WireError;
use crate::limits::Limits;
use crate::segment::Segment;

/// Larger buffers go back to the allocator, lest one large message be paid for ever after.
const KEPT_BYTES_MAX: usize = 64 << 10;
/// A segment usually returns before the next few are built; more would only hold memory.
const KEPT_BUFFERS_MAX: usize = 64;

struct Pool {
    builder: Cell<Option<Box<Builder>>>,
    buffers: RefCell<Vec<Vec<u8>>>,
}

thread_local! {
    static POOL: Pool = const {
        Pool {
            builder: Cell::new(None),
            buffers: RefCell::new(Vec::new()),
        }
    };
}

/// Archives the root that `write` writes with the thread's spare buffers.
///
/// The pool is free meanwhile: writing a message may archive others.
#[inline]
pub(crate) fn archive(
    limits: &Limits,
    write: impl FnOnce(&mut Builder) -> Target,
) -> Result<Segment, WireError> {
    let mut builder = take(limits);
    let root = write(&mut builder);
    builder.put_root(root);
    // The segment is put together last, for moving it about stalls on what was just stored.
    let head = core::mem::take(&mut builder.out).into_vec();
    let externals = builder.externals.take();
    if builder.error.is_some() {
        recycle(head);
        return Err(refuse(builder));
    }
    give_back(builder);
    Ok(Segment::from_parts(head, externals))
}

#[inline(always)]
fn take(limits: &Limits) -> Box<Builder> {
    // Within a thread's destructors there is no pool left; everything is then made anew.
    let pooled = POOL.try_with(|pool| {
        let buffer = pool.buffers.borrow_mut().pop();
        (pool.builder.take(), buffer.unwrap_or_default())
    });
    let (builder, buffer) = pooled.unwrap_or_default();
    let mut builder = builder.unwrap_or_default();
    builder.out = Out::new(buffer, limits.bytes());
    // Clamped here once, so that nothing below has to.
    builder.limits = limits
        .with_max_bytes(limits.bytes())
        .with_max_depth(limits.depth());
    builder
}

#[inline(always)]
fn give_back(mut builder: Box<Builder>) {
    builder.external_bytes = 0;
    builder.depth = 0;
    builder.scratch.clear();
    builder.fixups.clear();
    if builder.scratch.capacity() + 4 * builder.fixups.capacity() <= KEPT_BYTES_MAX {
        // Within a thread's destructors there is no pool left; the buffers are then freed.
        let _ = POOL.try_with(|pool| pool.builder.set(Some(builder)));
    }
}

/// Keeps the buffers of a builder that met an error: the error.
#[cold]
#[inline(never)]
fn refuse(mut builder: Box<Builder>) -> WireError {
    let error = builder.error.take();
    give_back(builder);
    error.expect("it is asked for only where there is one")
}

/// Keeps the buffer of a dropped segment for the thread that dropped it.
pub(crate) fn recycle(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > KEPT_BYTES_MAX {
        return;
    }
    buffer.clear();
    // Within a thread's destructors there is no pool left; the buffer is then freed.
    let _ = POOL.try_with(|pool| {
        let mut buffers = pool.buffers.borrow_mut();
        if buffers.len() < KEPT_BUFFERS_MAX {
            buffers.push(buffer);
        }
    });
}
