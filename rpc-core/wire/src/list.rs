//! Repeated fields, read in place.

use core::fmt;
use core::iter::FusedIterator;
use core::marker::PhantomData;

use crate::element::{Access, Element, Scalar, ViewOf, via};
use crate::raw::RawList;

/// The elements of a repeated field.
pub struct ListView<'a, T: ?Sized> {
    raw: RawList<'a>,
    /// Invariant: a subtype of `T` may have another layout.
    element: PhantomData<fn() -> *mut T>,
}

impl<T: ?Sized> Clone for ListView<'_, T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for ListView<'_, T> {}

impl<'a, T: Element + ?Sized> ListView<'a, T> {
    /// A list of no elements.
    #[must_use]
    #[inline]
    pub const fn empty() -> Self {
        Self {
            raw: RawList::empty(),
            element: PhantomData,
        }
    }

    /// # Safety
    ///
    /// The validator accepted `raw` as a list of this element type (and layout).
    #[inline(always)]
    pub(crate) const unsafe fn from_raw(raw: RawList<'a>) -> Self {
        Self {
            raw,
            element: PhantomData,
        }
    }

    /// The number of elements.
    #[must_use]
    #[inline]
    pub const fn len(self) -> usize {
        self.raw.len()
    }

    /// Whether there is no element.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.raw.len() == 0
    }

    /// The element at `index`, if there is one.
    #[must_use]
    #[inline]
    pub fn get(self, index: usize) -> Option<ViewOf<'a, T>> {
        (index < self.len()).then(|| self.read(index))
    }

    /// The elements in order.
    #[must_use]
    #[inline]
    pub fn iter(self) -> ListIter<'a, T> {
        ListIter {
            list: self,
            next: 0,
            end: self.len(),
        }
    }

    #[inline(always)]
    fn read(self, index: usize) -> ViewOf<'a, T> {
        // SAFETY: the validator accepted every element as one of `T`.
        unsafe { <T::Via as Access<T>>::element(self.raw.element(index), self.raw.element_end()) }
    }
}

impl<'a, T: Scalar> ListView<'a, T> {
    /// The elements as a slice, where the buffer happens to be aligned for them.
    ///
    /// Lists of numbers are 8-aligned within the archive, so an archive that starts at an
    /// 8-aligned address gives a slice. Nothing else does on a big-endian machine.
    #[must_use]
    #[inline]
    pub fn as_slice(self) -> Option<&'a [T]> {
        const {
            assert!(
                !matches!(<T as Scalar>::CLASS, crate::layout::Class::Bool),
                "bool lists have no slice"
            )
        };
        if self.is_empty() {
            return Some(&[]);
        }
        let first = self.raw.first().cast::<T>();
        let fits = cfg!(target_endian = "little")
            && self.raw.stride() == size_of::<T>()
            && first.is_aligned();
        // SAFETY: the validator found `len` elements of this stride; all bit patterns of a number
        // are valid, and the alignment was just checked.
        fits.then(|| unsafe { core::slice::from_raw_parts(first, self.len()) })
    }

    /// The elements copied out.
    #[must_use]
    pub fn to_vec(self) -> Vec<T> {
        self.iter().collect()
    }
}

impl<'a, T: Element + ?Sized> IntoIterator for ListView<'a, T> {
    type Item = ViewOf<'a, T>;
    type IntoIter = ListIter<'a, T>;

    #[inline]
    fn into_iter(self) -> ListIter<'a, T> {
        self.iter()
    }
}

impl<T: Element + ?Sized> fmt::Debug for ListView<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The iterator over a [`ListView`].
pub struct ListIter<'a, T: ?Sized> {
    list: ListView<'a, T>,
    next: usize,
    /// `next <= end <= list.len()`
    end: usize,
}

impl<T: ?Sized> Clone for ListIter<'_, T> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<T: Element + ?Sized> fmt::Debug for ListIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a, T: Element + ?Sized> Iterator for ListIter<'a, T> {
    type Item = ViewOf<'a, T>;

    #[inline]
    fn next(&mut self) -> Option<ViewOf<'a, T>> {
        if self.next == self.end {
            return None;
        }
        let element = self.list.read(self.next);
        self.next += 1;
        Some(element)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end - self.next;
        (left, Some(left))
    }
}

impl<T: Element + ?Sized> DoubleEndedIterator for ListIter<'_, T> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.next == self.end {
            return None;
        }
        self.end -= 1;
        Some(self.list.read(self.end))
    }
}

impl<T: Element + ?Sized> ExactSizeIterator for ListIter<'_, T> {}
impl<T: Element + ?Sized> FusedIterator for ListIter<'_, T> {}

/// A list of scalars is compared by value with a slice.
impl<T: Element<Via = via::Scalar> + Scalar> PartialEq<[T]> for ListView<'_, T> {
    fn eq(&self, other: &[T]) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter().copied())
    }
}
