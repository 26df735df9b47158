//! A body that is written on the stack, where its slots have constant addresses.

use crate::layout::{Layout, Shape};

/// The sizes of a body on the stack: clearing more than it needs would cost time.
pub(crate) const SMALL: usize = 32;
pub(crate) const MEDIUM: usize = 64;
/// Covers nearly all messages; clearing more would cost more than it saves.
pub(crate) const LARGE: usize = 128;

/// How large a body of this layout is on the stack; nought if it goes to scratch.
pub(crate) const fn size_class(layout: &Layout) -> usize {
    if layout.fields.len() > Pointers::MAX {
        return 0;
    }
    let size = layout.size as usize;
    if size <= SMALL {
        SMALL
    } else if size <= MEDIUM {
        MEDIUM
    } else if size <= LARGE {
        LARGE
    } else {
        0
    }
}

/// Where a body's pointer words are. In progress they hold an absolute target, or nought for null.
#[derive(Debug)]
pub(crate) struct Pointers {
    offsets: [u8; Self::MAX],
    len: usize,
}

impl Pointers {
    const MAX: usize = 64;

    pub(crate) const NONE: Self = Self {
        offsets: [0; Self::MAX],
        len: 0,
    };

    /// Those of a layout that has a size class, in ascending order; else none.
    pub(crate) const fn of(layout: &Layout) -> Self {
        let mut pointers = Self::NONE;
        let mut index = 0;
        while size_class(layout) != 0 && index < layout.fields.len() {
            if layout.is_followed(index) {
                let field = &layout.fields[index];
                // A oneof's pointer follows its tag.
                let tag = matches!(field.shape, Shape::Arm(_)) as u32 * 4;
                pointers.offsets[pointers.len] = (field.offset + tag) as u8;
                pointers.len += 1;
            }
            index += 1;
        }
        pointers
    }

    /// Calls `with` with each pointer word of `body` that is not null and where it is, ascending.
    #[inline(always)]
    pub(crate) fn each(&self, body: &mut [u8], mut with: impl FnMut(usize, &mut [u8; 4])) {
        let mut index = 0;
        // As it is in a constant, this becomes straight code without the checks.
        while index < self.len {
            let at = usize::from(self.offsets[index]);
            index += 1;
            // What is not recorded is null.
            let Some(word) = body.get_mut(at..).and_then(<[u8]>::first_chunk_mut) else {
                return;
            };
            if *word != [0; 4] {
                with(at, word);
            }
        }
    }
}
