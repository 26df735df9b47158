//! Map fields, read in place.

use core::cmp::Ordering;
use core::fmt;
use core::iter::FusedIterator;
use core::marker::PhantomData;

use crate::element::{Access, Element, ViewOf};
use crate::raw::RawList;
use crate::table::Key;

/// The entries of a map field, sorted by key.
pub struct MapView<'a, K: ?Sized, V: ?Sized> {
    raw: RawList<'a>,
    /// Invariant: a subtype of `V` may have another layout.
    entry: PhantomData<fn() -> (*mut K, *mut V)>,
}

impl<K: ?Sized, V: ?Sized> Clone for MapView<'_, K, V> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: ?Sized, V: ?Sized> Copy for MapView<'_, K, V> {}

impl<'a, K: Element + ?Sized, V: Element + ?Sized> MapView<'a, K, V> {
    /// A map of no entries.
    #[must_use]
    #[inline]
    pub const fn empty() -> Self {
        Self {
            raw: RawList::empty(),
            entry: PhantomData,
        }
    }

    /// # Safety
    ///
    /// The validator accepted `raw` as entries of these key and value types (and layout).
    #[inline(always)]
    pub(crate) const unsafe fn from_raw(raw: RawList<'a>) -> Self {
        Self {
            raw,
            entry: PhantomData,
        }
    }

    /// The number of entries.
    #[must_use]
    #[inline]
    pub const fn len(self) -> usize {
        self.raw.len()
    }

    /// Whether there is no entry.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.raw.len() == 0
    }

    /// The entries in ascending order of their keys.
    #[must_use]
    #[inline]
    pub fn iter(self) -> MapIter<'a, K, V> {
        MapIter { map: self, next: 0 }
    }

    /// The keys in ascending order.
    pub fn keys(self) -> impl ExactSizeIterator<Item = ViewOf<'a, K>> {
        self.iter().map(|(key, _)| key)
    }

    /// The values in the order of their keys.
    pub fn values(self) -> impl ExactSizeIterator<Item = ViewOf<'a, V>> {
        self.iter().map(|(_, value)| value)
    }

    #[inline(always)]
    fn key(self, index: usize) -> ViewOf<'a, K> {
        // SAFETY: the validator accepted a key of this type at the start of each entry.
        unsafe { <K::Via as Access<K>>::slot(self.raw.element(index)) }
    }

    #[inline(always)]
    fn value(self, index: usize) -> ViewOf<'a, V> {
        // SAFETY: the validator accepted a value of this type behind each key.
        unsafe {
            let at = self
                .raw
                .element(index)
                .add(<K::Via as Access<K>>::CLASS.size() as usize);
            <V::Via as Access<V>>::slot(at)
        }
    }
}

impl<'a, K: Key + ?Sized, V: Element + ?Sized> MapView<'a, K, V> {
    /// The value of `key`, by binary search.
    #[must_use]
    pub fn get(self, key: ViewOf<'_, K>) -> Option<ViewOf<'a, V>> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match K::order(self.key(middle), key) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(self.value(middle)),
            }
        }
        None
    }

    /// Whether `key` has a value.
    #[must_use]
    pub fn contains_key(self, key: ViewOf<'_, K>) -> bool {
        self.get(key).is_some()
    }
}

impl<'a, K: Element + ?Sized, V: Element + ?Sized> IntoIterator for MapView<'a, K, V> {
    type Item = (ViewOf<'a, K>, ViewOf<'a, V>);
    type IntoIter = MapIter<'a, K, V>;

    #[inline]
    fn into_iter(self) -> MapIter<'a, K, V> {
        self.iter()
    }
}

impl<K: Element + ?Sized, V: Element + ?Sized> fmt::Debug for MapView<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The iterator over a [`MapView`].
pub struct MapIter<'a, K: ?Sized, V: ?Sized> {
    map: MapView<'a, K, V>,
    /// `next <= map.len()`
    next: usize,
}

impl<K: ?Sized, V: ?Sized> Clone for MapIter<'_, K, V> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<K: Element + ?Sized, V: Element + ?Sized> fmt::Debug for MapIter<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.clone()).finish()
    }
}

impl<'a, K: Element + ?Sized, V: Element + ?Sized> Iterator for MapIter<'a, K, V> {
    type Item = (ViewOf<'a, K>, ViewOf<'a, V>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.map.len() {
            return None;
        }
        let entry = (self.map.key(self.next), self.map.value(self.next));
        self.next += 1;
        Some(entry)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.map.len() - self.next;
        (left, Some(left))
    }
}

impl<K: Element + ?Sized, V: Element + ?Sized> ExactSizeIterator for MapIter<'_, K, V> {}
impl<K: Element + ?Sized, V: Element + ?Sized> FusedIterator for MapIter<'_, K, V> {}
