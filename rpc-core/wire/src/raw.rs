//! Reading through unaligned, already validated pointers: the one place that dereferences.
//!
//! Every function here relies on the same promise: the pointer lies in a live, immutable archive
//! that the validator accepted for the layout in use, and carries the provenance of the whole
//! archive, so that following a relative pointer stays inside what it may touch.

use core::marker::PhantomData;

use crate::layout::{Class, UNKNOWN_FLAG};

/// The body of a table: where it starts, how much of it was recorded.
#[derive(Clone, Copy)]
pub(crate) struct RawTable<'a> {
    body: *const u8,
    size: u32,
    unknown: bool,
    archive: PhantomData<&'a [u8]>,
}

// SAFETY: a raw table is a shared borrow of immutable bytes, as `&'a [u8]` is.
unsafe impl Send for RawTable<'_> {}
// SAFETY: as above.
unsafe impl Sync for RawTable<'_> {}

impl<'a> RawTable<'a> {
    /// A table all of whose fields are absent.
    #[inline]
    pub(crate) const fn empty() -> Self {
        Self {
            body: core::ptr::NonNull::<u8>::dangling().as_ptr(),
            size: 0,
            unknown: false,
            archive: PhantomData,
        }
    }

    /// A table at `body` whose size word is `size` (flag included).
    ///
    /// # Safety
    ///
    /// The validator accepted this body and size, and the archive lives for `'a`.
    #[inline]
    pub(crate) const unsafe fn new(body: *const u8, size: u32) -> Self {
        Self {
            body,
            size: size & !UNKNOWN_FLAG,
            unknown: size & UNKNOWN_FLAG != 0,
            archive: PhantomData,
        }
    }

    /// The recorded size.
    #[inline]
    pub(crate) const fn size(self) -> u32 {
        self.size
    }

    /// The slot at `offset` if all `size` bytes of it were recorded.
    #[inline(always)]
    pub(crate) fn slot(self, offset: u32, size: u32) -> Option<*const u8> {
        if u64::from(offset) + u64::from(size) <= u64::from(self.size) {
            // SAFETY: the slot ends within the recorded size, which is inside the archive.
            Some(unsafe { self.body.add(offset as usize) })
        } else {
            None
        }
    }

    /// Whether presence bit `bit` is recorded and set.
    #[inline(always)]
    pub(crate) fn present(self, bit: u32) -> bool {
        match self.slot(bit / 8, 1) {
            // SAFETY: the byte lies within the recorded size.
            Some(at) => unsafe { *at & (1 << (bit % 8)) != 0 },
            None => false,
        }
    }

    /// The raw unknown protobuf fields of the table.
    #[inline]
    pub(crate) fn unknown(self) -> &'a [u8] {
        if !self.unknown {
            return &[];
        }
        // SAFETY: the flag is set only where the validator found the prefix in front of the body.
        unsafe { follow(self.body.sub(8)).map_or(&[], |(at, len)| bytes(at, len)) }
    }
}

/// Reads four little-endian bytes.
///
/// # Safety
///
/// Four bytes at `at` may be read.
#[inline(always)]
pub(crate) unsafe fn word(at: *const u8) -> u32 {
    // SAFETY: the caller's promise; arrays of bytes need no alignment.
    u32::from_le_bytes(unsafe { *at.cast::<[u8; 4]>() })
}

/// Follows the reference at `at`: the target and the length word, or nothing where it is null.
///
/// # Safety
///
/// A validated reference of eight bytes stands at `at`.
#[inline(always)]
pub(crate) unsafe fn follow(at: *const u8) -> Option<(*const u8, u32)> {
    // SAFETY: the caller's promise covers both words, and validation put the target in the archive.
    unsafe {
        let back = word(at);
        if back == 0 {
            return None;
        }
        Some((at.add(4).sub(back as usize), word(at.add(4))))
    }
}

/// The bytes at a validated target.
///
/// # Safety
///
/// The validator accepted `len` bytes at `at`, and the archive lives for `'a`.
#[inline(always)]
pub(crate) unsafe fn bytes<'a>(at: *const u8, len: u32) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts(at, len as usize) }
}

/// A list or the entries of a map.
#[derive(Clone, Copy)]
pub(crate) struct RawList<'a> {
    first: *const u8,
    len: u32,
    stride: u32,
    /// The recorded size of each element, flag included.
    element_end: u32,
    archive: PhantomData<&'a [u8]>,
}

// SAFETY: a raw list is a shared borrow of immutable bytes, as `&'a [u8]` is.
unsafe impl Send for RawList<'_> {}
// SAFETY: as above.
unsafe impl Sync for RawList<'_> {}

impl RawList<'_> {
    /// A list of no elements.
    #[inline]
    pub(crate) const fn empty() -> Self {
        Self {
            first: core::ptr::NonNull::<u8>::dangling().as_ptr(),
            len: 0,
            stride: 1,
            element_end: 0,
            archive: PhantomData,
        }
    }

    /// The list whose 16-byte slot is at `at`.
    ///
    /// # Safety
    ///
    /// The validator accepted the slot, and the archive lives for `'a`.
    #[inline]
    pub(crate) unsafe fn read(at: *const u8) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            match follow(at) {
                None => Self::empty(),
                Some((first, len)) => Self {
                    first,
                    len,
                    stride: word(at.add(8)),
                    element_end: word(at.add(12)),
                    archive: PhantomData,
                },
            }
        }
    }

    /// The list whose slot is at `at` and whose first element is at `first`, not validated yet.
    ///
    /// # Safety
    ///
    /// Sixteen bytes at `at` may be read; no element may be before it was checked.
    pub(crate) unsafe fn read_at(first: *const u8, at: *const u8) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Self {
                first,
                len: word(at.add(4)),
                stride: word(at.add(8)),
                element_end: word(at.add(12)),
                archive: PhantomData,
            }
        }
    }

    #[inline]
    pub(crate) const fn len(self) -> usize {
        self.len as usize
    }

    #[inline]
    pub(crate) const fn stride(self) -> usize {
        self.stride as usize
    }

    #[inline]
    pub(crate) const fn element_end(self) -> u32 {
        self.element_end
    }

    #[inline]
    pub(crate) const fn first(self) -> *const u8 {
        self.first
    }

    /// Where element `index` starts.
    ///
    /// # Panics
    ///
    /// If `index` is past the end.
    #[inline(always)]
    pub(crate) fn element(self, index: usize) -> *const u8 {
        assert!(index < self.len as usize, "list index out of range");
        // SAFETY: the validator found room for `len` strides behind the first element.
        unsafe { self.first.add(index * self.stride as usize) }
    }
}

/// Whether the map key at `left` is smaller than the one at `right`.
///
/// # Safety
///
/// The validator accepted a key of this class at both.
pub(crate) unsafe fn ascending(class: Class, left: *const u8, right: *const u8) -> bool {
    use crate::element::{Access, via};
    // SAFETY: the caller's promise.
    unsafe {
        match class {
            Class::Bool => {
                !<via::Scalar as Access<bool>>::slot(left)
                    && <via::Scalar as Access<bool>>::slot(right)
            }
            Class::I32 => word(left).cast_signed() < word(right).cast_signed(),
            Class::U32 => word(left) < word(right),
            Class::I64 => {
                <via::Scalar as Access<i64>>::slot(left) < <via::Scalar as Access<i64>>::slot(right)
            }
            Class::U64 => {
                <via::Scalar as Access<u64>>::slot(left) < <via::Scalar as Access<u64>>::slot(right)
            }
            _ => <via::Str as Access<str>>::slot(left) < <via::Str as Access<str>>::slot(right),
        }
    }
}
