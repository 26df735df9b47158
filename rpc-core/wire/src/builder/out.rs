//! The finished bytes of an archive in the making, and how many there may be.

/// Bytes that grow up to a bound.
#[derive(Debug, Default)]
pub(crate) struct Out {
    bytes: Vec<u8>,
    /// How long `bytes` may become.
    len_max: usize,
    /// How long `bytes` may become without another look: at most `len_max` and the capacity.
    bound: usize,
}

impl Out {
    /// Goes on behind `bytes`.
    pub(super) fn new(bytes: Vec<u8>, len_max: usize) -> Self {
        let bound = len_max.min(bytes.capacity());
        Self {
            bytes,
            len_max,
            bound,
        }
    }

    pub(super) fn into_vec(self) -> Vec<u8> {
        self.bytes
    }

    #[inline(always)]
    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Sets how many bytes there may be; what is there already stays.
    pub(super) fn set_len_max(&mut self, len_max: usize) {
        self.len_max = len_max;
        self.bound = len_max.min(self.bytes.capacity());
    }

    /// Whether `len` more bytes are allowed.
    #[inline(always)]
    pub(super) const fn fits(&self, len: usize) -> bool {
        len <= self.len_max.saturating_sub(self.bytes.len())
    }

    /// Appends `bytes` and says where; nothing if they are not allowed.
    #[inline]
    pub(super) fn append(&mut self, bytes: &[u8]) -> Option<usize> {
        let at = self.bytes.len();
        // Neither length passes half of the address space, so the sum does not wrap.
        let end = at + bytes.len();
        if end > self.bound && !self.grow(bytes.len()) {
            return None;
        }
        // SAFETY: `end` is at most `bound`, which never passes the capacity: `new`, `set_len_max`
        // and `grow` see to it, and no vector's capacity shrinks by itself. So `bytes.len()` bytes
        // behind `at` may be written; `bytes` is another object, as `self` is borrowed mutably.
        unsafe {
            copy(bytes.as_ptr(), self.bytes.as_mut_ptr().add(at), bytes.len());
            self.bytes.set_len(end);
        }
        Some(at)
    }

    /// Appends zeros; whether they are allowed.
    pub(super) fn pad(&mut self, len: usize) -> bool {
        let fits = self.fits(len);
        if fits {
            self.bytes.resize(self.bytes.len() + len, 0);
            self.bound = self.len_max.min(self.bytes.capacity());
        }
        fits
    }

    /// Makes room for `len` more bytes; whether they are allowed.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, len: usize) -> bool {
        let fits = self.fits(len);
        if fits {
            self.bytes.reserve(len);
            self.bound = self.len_max.min(self.bytes.capacity());
        }
        fits
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

    #[test]
    fn every_length_is_copied_whole_and_no_further() {
        for len in 0..200 {
            let bytes: Vec<u8> = (0..len).map(|at| at as u8 + 1).collect();
            let mut out = Out::new(vec![9; 3], 3 + len);
            assert_eq!(out.append(&bytes), Some(3));
            assert_eq!(out.append(&[1]), None);
            assert_eq!(out.append(&[]), Some(3 + len));
            assert_eq!(out.into_vec()[3..], bytes);
        }
    }

    #[test]
    fn a_lowered_bound_holds_whatever_the_capacity() {
        let mut out = Out::new(Vec::with_capacity(100), 10);
        assert_eq!(out.append(&[1; 10]), Some(0));
        assert_eq!(out.append(&[1]), None);
        out.set_len_max(0);
        assert_eq!(out.append(&[1]), None);
        assert!(!out.pad(1));
        out.set_len_max(11);
        assert_eq!(out.append(&[1]), Some(10));
        assert!(!out.pad(1));
    }
}
