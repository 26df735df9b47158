//! A body that is written on the stack, where its slots have constant addresses.

use crate::layout::{Layout, Shape};

/// The bytes of a small body, and which of its fields hold a pointer.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) bytes: [u8; Self::BYTES],
    /// One bit for each field whose pointer word holds an absolute target.
    pub(crate) pointers: u64,
}

impl Local {
    /// Covers nearly all messages; clearing more would cost more than it saves.
    const BYTES: usize = 128;

    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; Self::BYTES],
            pointers: 0,
        }
    }

    /// Whether a body of this layout fits.
    pub(crate) const fn fits(layout: &Layout) -> bool {
        layout.size as usize <= Self::BYTES && layout.fields.len() <= u64::BITS as usize
    }

    /// The bytes up to the end of the last slot written.
    #[inline(always)]
    pub(crate) fn recorded(&self, end: u32) -> &[u8] {
        &self.bytes[..end as usize]
    }

    /// Calls `with` with the offset of each pointer word that is not null, ascending.
    #[inline(always)]
    pub(crate) fn each_pointer(&self, layout: &Layout, mut with: impl FnMut(usize)) {
        let mut pointers = self.pointers;
        while pointers != 0 {
            with(pointer_offset(layout, pointers.trailing_zeros() as usize));
            pointers &= pointers - 1;
        }
    }
}

/// Where the pointer word of a field's slot is; a oneof's follows its tag.
#[inline(always)]
pub(crate) fn pointer_offset(layout: &Layout, index: usize) -> usize {
    let field = &layout.fields[index];
    let tag = if matches!(field.shape, Shape::Arm(_)) {
        4
    } else {
        0
    };
    field.offset as usize + tag
}
