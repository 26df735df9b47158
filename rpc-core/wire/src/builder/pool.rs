//! Buffers reused by the thread, so that building a message allocates nothing in the steady state.

use core::cell::Cell;

use bytes::Bytes;

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
    if builder.scratch.capacity() + 4 * builder.fixups.capacity() > KEPT_BYTES_MAX {
        forget_scratch(&mut builder);
    }
    put_back(builder);
}

/// Lets go of what one large message left behind, but not of the spare buffers.
#[cold]
#[inline(never)]
fn forget_scratch(builder: &mut Builder) {
    builder.scratch = Vec::new();
    builder.fixups = Vec::new();
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
    // One whose buffer was given away would only take the place of one that has a buffer.
    let head = content.head.capacity();
    let list = content.externals.capacity() * size_of::<(usize, Bytes)>();
    if head == 0 || head + list > KEPT_BYTES_MAX {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn spare_heads() -> Vec<usize> {
        let builder = POOL.take();
        let heads = builder.as_ref().map_or_else(Vec::new, |builder| {
            let spare = builder.spare.iter();
            spare.map(|content| content.head.capacity()).collect()
        });
        POOL.set(builder);
        heads
    }

    fn content(head: usize) -> Box<Content> {
        Box::new(Content {
            head: Vec::with_capacity(head),
            externals: Vec::new(),
        })
    }

    #[test]
    fn buffers_that_were_given_away_leave_no_empty_places() {
        put_back(new_builder());
        for _ in 0..2 * KEPT_BUFFERS_MAX {
            recycle(content(0));
        }
        assert_eq!(spare_heads(), []);
        for _ in 0..2 * KEPT_BUFFERS_MAX {
            recycle(content(KEPT_BYTES_MAX));
        }
        recycle(content(KEPT_BYTES_MAX + 1));
        assert_eq!(spare_heads(), [KEPT_BYTES_MAX; KEPT_BUFFERS_MAX]);
    }

    #[test]
    fn a_long_list_of_shared_parts_counts_too() {
        put_back(new_builder());
        let mut long = content(1);
        long.externals = Vec::with_capacity(KEPT_BYTES_MAX / size_of::<(usize, Bytes)>());
        recycle(long);
        assert_eq!(spare_heads(), [1]);
        let mut longer = content(1);
        longer.externals = Vec::with_capacity(KEPT_BYTES_MAX / size_of::<(usize, Bytes)>() + 1);
        recycle(longer);
        assert_eq!(spare_heads(), [1]);
    }

    #[test]
    fn a_large_message_costs_its_scratch_and_not_the_spare_buffers() {
        let mut builder = new_builder();
        builder.spare.push(content(100));
        builder.scratch.reserve_exact(KEPT_BYTES_MAX);
        give_back(builder);
        let kept = |builder: &Builder| builder.scratch.capacity();
        let mut builder = POOL.take().expect("it was given back");
        assert_eq!(kept(&builder), KEPT_BYTES_MAX);
        builder.scratch.reserve_exact(KEPT_BYTES_MAX + 1);
        give_back(builder);
        assert_eq!(POOL.take().map(|builder| kept(&builder)), Some(0));
    }
}
