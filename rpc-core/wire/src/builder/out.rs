//! The finished bytes of an archive in the making, and how many there may be.

use core::ptr::NonNull;

use bytes::Bytes;

use crate::segment::Content;

/// Bytes that grow up to a bound.
///
/// Where they are and how many is kept beside the vector that owns them: archiving is mostly
/// appending, and through the vector each would load and store twice as much.
#[derive(Debug)]
pub(crate) struct Out {
    /// Owns the bytes; the length of its `head` says nothing while they are written.
    content: Option<Box<Content>>,
    /// The start of `content.head`, dangling if there is none.
    start: NonNull<u8>,
    /// How many bytes behind `start` are written; `len <= bound` unless `bound` was lowered.
    len: usize,
    /// How large `len` may become without another look: at most `len_max` and the capacity.
    bound: usize,
    /// How large `len` may become.
    len_max: usize,
}

// SAFETY: `start` points into the buffer that `content` alone owns, so whoever has the one has the
// other, as with the vector itself.
unsafe impl Send for Out {}

// SAFETY: a shared reference to it writes nothing, and reads what `content` owns.
unsafe impl Sync for Out {}

/// Less would be grown again by the next field of nearly every message.
const CAPACITY_MIN: usize = 256;

impl Default for Out {
    fn default() -> Self {
        Self::new(None, 0)
    }
}

impl Out {
    /// Starts anew in the buffer of `content`.
    #[inline(always)]
    pub(super) fn new(content: Option<Box<Content>>, len_max: usize) -> Self {
        let mut out = Self {
            content,
            start: NonNull::dangling(),
            len: 0,
            bound: 0,
            len_max,
        };
        out.refresh();
        out
    }

    /// Takes over what the vector knows and others ask for.
    #[inline(always)]
    fn refresh(&mut self) {
        if let Some(content) = &mut self.content {
            // SAFETY: a vector's pointer is never null.
            self.start = unsafe { NonNull::new_unchecked(content.head.as_mut_ptr()) };
            self.bound = self.len_max.min(content.head.capacity());
        }
    }

    /// What was written; nothing may be appended behind it.
    #[inline(always)]
    pub(super) fn take(&mut self) -> Option<Box<Content>> {
        self.bound = 0;
        self.len_max = 0;
        let mut content = self.content.take()?;
        // SAFETY: `len` bytes behind `start`, the start of this vector, were written, and each
        // method that raises `len` found it within the capacity.
        unsafe { content.head.set_len(self.len) };
        self.len = 0;
        Some(content)
    }

    #[inline(always)]
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Sets how many bytes there may be; what is there already stays.
    pub(super) fn set_len_max(&mut self, len_max: usize) {
        self.len_max = len_max;
        self.bound = 0;
        self.refresh();
    }

    /// Whether `len` more bytes are allowed.
    #[inline(always)]
    pub(super) const fn fits(&self, len: usize) -> bool {
        len <= self.len_max.saturating_sub(self.len)
    }

    /// Notes that `bytes` are to be spliced in here.
    pub(super) fn splice(&mut self, bytes: Bytes) {
        let at = self.len;
        let content = self.content.get_or_insert_default();
        content.externals.push((at, bytes));
        self.refresh();
    }

    /// Appends `bytes` and says where; nothing if they are not allowed.
    #[inline(always)]
    pub(super) fn append(&mut self, bytes: &[u8]) -> Option<usize> {
        let at = self.len;
        // Neither length passes half of the address space, so the sum does not wrap.
        let end = at + bytes.len();
        if end > self.bound && !self.grow(bytes.len()) {
            return None;
        }
        // SAFETY: `end` is at most `bound`, which never passes the capacity, as `refresh` alone
        // raises it; or nothing is written, and `at` is within the capacity. So `bytes.len()`
        // bytes behind `at` may be written; `bytes` is another object, as `self` is borrowed
        // mutably.
        unsafe {
            copy(bytes.as_ptr(), self.start.as_ptr().add(at), bytes.len());
        }
        self.len = end;
        Some(at)
    }

    /// Appends the first `len` of `bytes` and says where; nothing if they are not allowed.
    ///
    /// All are copied where there is room: a copy of constant length needs no branch, and lets
    /// `bytes` stay in registers.
    #[inline(always)]
    pub(super) fn append_first<const SIZE: usize>(
        &mut self,
        bytes: &[u8; SIZE],
        len: usize,
    ) -> Option<usize> {
        let at = self.len;
        if at + SIZE > self.bound {
            // The address of a copy is given away, so that `bytes` itself needs none.
            let bytes = *bytes;
            return self.append_near_bound(&bytes[..len]);
        }
        // SAFETY: `at + SIZE` is at most `bound`, which never passes the capacity.
        unsafe {
            let to = self.start.as_ptr().add(at);
            to.cast::<[u8; SIZE]>().write(*bytes);
        }
        self.len = at + len.min(SIZE);
        Some(at)
    }

    #[cold]
    #[inline(never)]
    fn append_near_bound(&mut self, bytes: &[u8]) -> Option<usize> {
        self.append(bytes)
    }

    /// Appends zeros; whether they are allowed.
    pub(super) fn pad(&mut self, len: usize) -> bool {
        let end = self.len + len;
        if end > self.bound && !self.grow(len) {
            return false;
        }
        // SAFETY: `end` is at most `bound`, which never passes the capacity; or nothing is written,
        // and `self.len` is within the capacity.
        unsafe { self.start.as_ptr().add(self.len).write_bytes(0, len) };
        self.len = end;
        true
    }

    /// The bytes behind `at`.
    #[inline(always)]
    pub(super) fn since(&mut self, at: usize) -> &mut [u8] {
        assert!(at <= self.len);
        // SAFETY: all bytes up to `len` were written and belong to the vector at `start`.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr().add(at), self.len - at) }
    }

    /// Makes room for `len` more bytes; whether they are allowed.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, len: usize) -> bool {
        if !self.fits(len) {
            return false;
        }
        let content = self.content.get_or_insert_default();
        // SAFETY: as in `take`.
        unsafe { content.head.set_len(self.len) };
        content.head.reserve(len.max(CAPACITY_MIN));
        self.refresh();
        true
    }
}

/// Copies, without a call where the bytes are as few as they are in most strings.
///
/// # Safety
///
/// `len` bytes may be read at `from` and written at `to`, and they do not overlap.
#[inline(always)]
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: each branch stays within `len` bytes of both, as its condition says.
    unsafe {
        if len > 64 {
            core::ptr::copy_nonoverlapping(from, to, len);
        } else if len >= 32 {
            copy_ends::<32>(from, to, len);
        } else if len >= 16 {
            copy_ends::<16>(from, to, len);
        } else if len >= 8 {
            copy_ends::<8>(from, to, len);
        } else if len >= 4 {
            copy_ends::<4>(from, to, len);
        } else if len > 0 {
            *to = *from;
            *to.add(len / 2) = *from.add(len / 2);
            *to.add(len - 1) = *from.add(len - 1);
        }
    }
}

/// Copies the first and the last `N` bytes, which may be in part the same ones.
///
/// # Safety
///
/// As for [`copy`], and `N <= len <= 2 * N`.
#[inline(always)]
unsafe fn copy_ends<const N: usize>(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's promise; arrays of bytes need no alignment.
    unsafe {
        let last = len - N;
        to.cast::<[u8; N]>().write(from.cast::<[u8; N]>().read());
        to.add(last)
            .cast::<[u8; N]>()
            .write(from.add(last).cast::<[u8; N]>().read());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(mut out: Out) -> Vec<u8> {
        out.take().map(|content| content.head).unwrap_or_default()
    }

    fn with_capacity(capacity: usize) -> Option<Box<Content>> {
        let head = Vec::with_capacity(capacity);
        Some(Box::new(Content {
            head,
            externals: Vec::new(),
        }))
    }

    #[test]
    fn every_length_is_copied_whole_and_no_further() {
        for len in 0..200 {
            let bytes: Vec<u8> = (0..len).map(|at| at as u8 + 1).collect();
            let mut out = Out::new(None, 3 + len);
            assert_eq!(out.append(&[9; 3]), Some(0));
            assert_eq!(out.append(&bytes), Some(3));
            assert_eq!(out.append(&[1]), None);
            assert_eq!(out.append(&[]), Some(3 + len));
            assert_eq!(head(out)[3..], bytes);
        }
    }

    #[test]
    fn a_lowered_bound_holds_whatever_the_capacity() {
        let mut out = Out::new(with_capacity(100), 10);
        assert_eq!(out.append(&[1; 10]), Some(0));
        assert_eq!(out.append(&[1]), None);
        out.set_len_max(0);
        assert_eq!(out.append(&[1]), None);
        assert!(!out.pad(1));
        out.set_len_max(11);
        assert_eq!(out.append(&[1]), Some(10));
        assert!(!out.pad(1));
    }

    #[test]
    fn the_first_bytes_are_kept_wherever_the_bound_is() {
        for room in 0..40 {
            for len in 0..=16 {
                let bytes: [u8; 16] = core::array::from_fn(|at| at as u8 + 1);
                let mut out = Out::new(with_capacity(20), 3 + room);
                assert_eq!(out.append(&[9; 3]), Some(0));
                let at = out.append_first(&bytes, len);
                assert_eq!(at, (len <= room).then_some(3), "{len} in {room}");
                assert_eq!(out.len(), 3 + at.map_or(0, |_| len));
                assert_eq!(out.since(3), &bytes[..at.map_or(0, |_| len)]);
                assert_eq!(head(out).len(), 3 + at.map_or(0, |_| len));
            }
        }
    }

    #[test]
    fn padding_is_zero_in_a_buffer_that_was_used() {
        let mut out = Out::new(None, 100);
        assert_eq!(out.append(&[7; 50]), Some(0));
        let content = out.take().map(|mut content| {
            content.head.clear();
            content
        });
        let mut out = Out::new(content, 10);
        assert!(out.pad(10));
        assert!(!out.pad(1));
        assert_eq!(head(out), [0; 10]);
    }

    #[test]
    fn what_is_written_survives_growing() {
        let mut out = Out::new(with_capacity(1), 5000);
        for at in 0..5000 {
            assert_eq!(out.append(&[at as u8]), Some(at));
        }
        assert_eq!(out.append(&[0]), None);
        let head = head(out);
        assert!((0..5000).all(|at| head[at] == at as u8) && head.len() == 5000);
    }
}
