//! Working memory kept by the thread, so that a message costs one allocation: its archive.

use core::cell::RefCell;

use super::body::Span;
use super::careful::Run;
use super::map::Entry;

/// The stacks of a decoder, empty between messages.
#[derive(Default)]
pub(super) struct Stacks {
    pub(super) bodies: Vec<u8>,
    pub(super) elements: Vec<u8>,
    pub(super) links: Vec<u32>,
    pub(super) unknown: Vec<Span>,
    pub(super) runs: Vec<Run>,
    pub(super) entries: Vec<Entry>,
}

/// Larger stacks go back to the allocator, lest one large message be paid for ever after.
const KEPT_MAX: usize = 16 << 10;

thread_local! {
    static STACKS: RefCell<Stacks> = RefCell::default();
}

/// Takes the thread's stacks; new ones if they are in use or gone.
pub(super) fn take() -> Stacks {
    STACKS
        .try_with(|stacks| {
            stacks
                .try_borrow_mut()
                .map(|mut stacks| core::mem::take(&mut *stacks))
        })
        .ok()
        .and_then(Result::ok)
        .unwrap_or_default()
}

/// Keeps the stacks for the thread's next message.
pub(super) fn give_back(mut stacks: Stacks) {
    clear(&mut stacks.bodies);
    clear(&mut stacks.elements);
    clear(&mut stacks.links);
    clear(&mut stacks.unknown);
    clear(&mut stacks.runs);
    clear(&mut stacks.entries);
    // Within a thread's destructors there is no pool left; the stacks are then freed.
    let _ = STACKS.try_with(|kept| kept.replace(stacks));
}

fn clear<T>(stack: &mut Vec<T>) {
    stack.clear();
    stack.shrink_to(KEPT_MAX);
}
