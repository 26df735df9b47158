//! Buffers reused by the thread, so that building a message allocates nothing in the steady state.

use core::cell::Cell;

use super::{Builder, Out, Target};
use crate::error::WireError;
use crate::limits::Limits;
use crate::segment::{Content, Segment};

/// Larger buffers go back to the allocator, lest one large message be paid for ever after.
const KEPT_BYTES_MAX: usize = 64 << 10;
/// A segment usually returns before the next few are built; more would only hold memory.
const KEPT_BUFFERS_MAX: usize = 64;

thread_local! {
    /// The thread's builder, which keeps the spare buffers, unless it is at work.
    static POOL: Cell<Option<Box<Builder>>> = const { Cell::new(None) };
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
    let content = builder.out.take();
    if builder.error.is_some() {
        return Err(refuse(builder, content));
    }
    give_back(builder);
    Ok(Segment::from_content(content))
}

#[inline(always)]
fn take(limits: &Limits) -> Box<Builder> {
    // Within a thread's destructors there is no pool left; everything is then made anew.
    let pooled = POOL.try_with(Cell::take).ok().flatten();
    let mut builder = pooled.unwrap_or_else(new_builder);
    builder.out = Out::new(builder.spare.pop(), limits.bytes());
    // Clamped here once, so that nothing below has to.
    builder.limits = limits
        .with_max_bytes(limits.bytes())
        .with_max_depth(limits.depth());
    builder
}

#[cold]
#[inline(never)]
fn new_builder() -> Box<Builder> {
    let mut builder = Box::<Builder>::default();
    builder.spare.reserve_exact(KEPT_BUFFERS_MAX);
    builder
}

#[inline(always)]
fn give_back(mut builder: Box<Builder>) {
    builder.external_bytes = 0;
    builder.depth = 0;
    builder.scratch.clear();
    builder.fixups.clear();
    if builder.scratch.capacity() + 4 * builder.fixups.capacity() <= KEPT_BYTES_MAX {
        put_back(builder);
    }
}

#[inline(always)]
fn put_back(builder: Box<Builder>) {
    // Within a thread's destructors there is no pool left; the buffers are then freed.
    let _ = POOL.try_with(|pool| pool.set(Some(builder)));
}

/// Keeps the buffers of a builder that met an error: the error.
#[cold]
#[inline(never)]
fn refuse(mut builder: Box<Builder>, content: Option<Box<Content>>) -> WireError {
    let error = builder.error.take();
    give_back(builder);
    if let Some(content) = content {
        recycle(content);
    }
    error.expect("it is asked for only where there is one")
}

/// The content of a dropped segment, empty.
pub(crate) fn spare() -> Option<Box<Content>> {
    let mut builder = POOL.try_with(Cell::take).ok().flatten()?;
    let content = builder.spare.pop();
    put_back(builder);
    content
}

/// Keeps the content of a dropped segment for the thread that dropped it.
#[inline]
pub(crate) fn recycle(mut content: Box<Content>) {
    // Before the pool is looked at: to drop shared bytes may run code of their owner's.
    content.externals.clear();
    if content.head.capacity() > KEPT_BYTES_MAX {
        return;
    }
    content.head.clear();
    // Within a thread's destructors there is no pool left; the buffer is then freed.
    let pooled = POOL.try_with(Cell::take).ok().flatten();
    if let Some(mut builder) = pooled {
        if builder.spare.len() < KEPT_BUFFERS_MAX {
            builder.spare.push(content);
        }
        put_back(builder);
    }
}
