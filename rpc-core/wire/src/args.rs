//! Borrowed lists and maps, as the `Args` of a message take them.

use core::fmt;
use core::marker::PhantomData;
use std::collections::{BTreeMap, HashMap};

use crate::builder::{ListWriter, MapWriter, Source};
use crate::element::{Element, ViewOf};
use crate::list::ListView;
use crate::map::MapView;
use crate::table::Key;

/// The elements of a repeated field: a slice, vector, array, view or iterator, by reference.
///
/// A slice costs no allocation, a view or an iterator one.
pub struct ListArg<'a, T: Element + ?Sized> {
    source: ListSource<'a, T>,
}

type PushElements<'a, T> = dyn Fn(&mut ListWriter<'_, T>) + Send + Sync + 'a;
type PushEntries<'a, K, V> = dyn Fn(&mut MapWriter<'_, K, V>) + Send + Sync + 'a;

enum ListSource<'a, T: Element + ?Sized> {
    Slice(ErasedSlice<'a, T>),
    Boxed(Box<PushElements<'a, T>>),
}

/// A `&'a [S]` whose element type is forgotten; `write` is the one function that knows it.
struct ErasedSlice<'a, T: Element + ?Sized> {
    first: *const (),
    len: usize,
    write: unsafe fn(*const (), usize, &mut ListWriter<'_, T>),
    slice: PhantomData<&'a ()>,
}

// SAFETY: it stands for a `&'a [S]`, and every constructor asks for `S: Sync`.
unsafe impl<T: Element + ?Sized> Send for ErasedSlice<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Element + ?Sized> Sync for ErasedSlice<'_, T> {}

impl<'a, T: Element + ?Sized> ListArg<'a, T> {
    /// The elements of `slice`.
    #[must_use]
    pub fn slice<S: Source<T> + Sync>(slice: &'a [S]) -> Self {
        let source = ListSource::Slice(ErasedSlice {
            first: slice.as_ptr().cast(),
            len: slice.len(),
            write: push_slice::<T, S>,
            slice: PhantomData,
        });
        Self { source }
    }

    /// What an iterator yields; it is cloned each time the message is archived.
    #[must_use]
    pub fn iter<I>(items: I) -> Self
    where
        I: IntoIterator<Item: Source<T>> + Clone + Send + Sync + 'a,
    {
        let source = ListSource::Boxed(Box::new(move |list| {
            for item in items.clone() {
                list.push(&item);
            }
        }));
        Self { source }
    }

    /// Appends all elements to a list in progress.
    pub fn write(&self, list: &mut ListWriter<'_, T>) {
        match &self.source {
            // SAFETY: pointer, length and function came from one slice, borrowed for `'a`.
            ListSource::Slice(slice) => unsafe { (slice.write)(slice.first, slice.len, list) },
            ListSource::Boxed(write) => write(list),
        }
    }
}

/// # Safety
///
/// `first` and `len` are those of a live `&[S]`.
unsafe fn push_slice<T: Element + ?Sized, S: Source<T>>(
    first: *const (),
    len: usize,
    list: &mut ListWriter<'_, T>,
) {
    // SAFETY: the caller's promise.
    for item in unsafe { core::slice::from_raw_parts(first.cast::<S>(), len) } {
        list.push(item);
    }
}

impl<T: Element + ?Sized> Default for ListArg<'_, T> {
    fn default() -> Self {
        let source = ListSource::Slice(ErasedSlice {
            first: core::ptr::null(),
            len: 0,
            write: |_, _, _| {},
            slice: PhantomData,
        });
        Self { source }
    }
}

impl<'a, T: Element + ?Sized, S: Source<T> + Sync> From<&'a [S]> for ListArg<'a, T> {
    fn from(slice: &'a [S]) -> Self {
        Self::slice(slice)
    }
}

impl<'a, T: Element + ?Sized, S: Source<T> + Sync> From<&'a Vec<S>> for ListArg<'a, T> {
    fn from(vec: &'a Vec<S>) -> Self {
        Self::slice(vec)
    }
}

impl<'a, T: Element + ?Sized, S: Source<T> + Sync, const N: usize> From<&'a [S; N]>
    for ListArg<'a, T>
{
    fn from(array: &'a [S; N]) -> Self {
        Self::slice(array)
    }
}

impl<'a, T: Element + ?Sized> From<ListView<'a, T>> for ListArg<'a, T>
where
    ViewOf<'a, T>: Source<T>,
{
    fn from(view: ListView<'a, T>) -> Self {
        Self::iter(view)
    }
}

impl<T: Element + ?Sized> fmt::Debug for ListArg<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListArg(..)")
    }
}

/// The entries of a map field, in any order: a map, a slice of pairs, or a view.
///
/// Of two entries with one key the later counts.
pub struct MapArg<'a, K: Key + ?Sized, V: Element + ?Sized> {
    write: Option<Box<PushEntries<'a, K, V>>>,
}

impl<'a, K: Key + ?Sized, V: Element + ?Sized> MapArg<'a, K, V> {
    /// What an iterator yields; it is cloned each time the message is archived.
    #[must_use]
    pub fn iter<'e, S, U, I>(entries: I) -> Self
    where
        S: KeySource<K> + 'e,
        U: Source<V> + 'e,
        I: IntoIterator<Item = (&'e S, &'e U)> + Clone + Send + Sync + 'a,
    {
        Self {
            write: Some(Box::new(move |map| {
                let mut entries: Vec<_> = entries.clone().into_iter().collect();
                entries.sort_by(|left, right| K::order(left.0.key(), right.0.key()));
                for (at, (key, value)) in entries.iter().enumerate() {
                    let last = entries
                        .get(at + 1)
                        .is_none_or(|next| K::order(key.key(), next.0.key()).is_ne());
                    if last {
                        map.push(*key, *value);
                    }
                }
            })),
        }
    }

    /// Appends all entries to a map in progress, sorted.
    pub fn write(&self, map: &mut MapWriter<'_, K, V>) {
        if let Some(write) = &self.write {
            write(map);
        }
    }
}

/// A value that may be written as a map key and compared as one.
pub trait KeySource<K: Key + ?Sized>: Source<K> {
    /// The key as a view of the map yields it.
    fn key(&self) -> ViewOf<'_, K>;
}

impl<S: AsRef<str> + ?Sized> KeySource<str> for S {
    fn key(&self) -> &str {
        self.as_ref()
    }
}

macro_rules! key_source {
    ($($type:ty),*) => {$(
        impl KeySource<$type> for $type {
            fn key(&self) -> $type {
                *self
            }
        }
    )*};
}

key_source!(bool, i32, u32, i64, u64);

impl<K: Key + ?Sized, V: Element + ?Sized> Default for MapArg<'_, K, V> {
    fn default() -> Self {
        Self { write: None }
    }
}

impl<'a, K, V, S, U> From<&'a BTreeMap<S, U>> for MapArg<'a, K, V>
where
    K: Key + ?Sized,
    V: Element + ?Sized,
    S: KeySource<K> + Sync,
    U: Source<V> + Sync,
{
    fn from(map: &'a BTreeMap<S, U>) -> Self {
        Self::iter(map)
    }
}

impl<'a, K, V, S, U, H> From<&'a HashMap<S, U, H>> for MapArg<'a, K, V>
where
    K: Key + ?Sized,
    V: Element + ?Sized,
    S: KeySource<K> + Sync,
    U: Source<V> + Sync,
    H: Sync,
{
    fn from(map: &'a HashMap<S, U, H>) -> Self {
        Self::iter(map)
    }
}

impl<'a, K, V, S, U> From<&'a [(S, U)]> for MapArg<'a, K, V>
where
    K: Key + ?Sized,
    V: Element + ?Sized,
    S: KeySource<K> + Sync,
    U: Source<V> + Sync,
{
    fn from(entries: &'a [(S, U)]) -> Self {
        Self::iter(entries.iter().map(pair::<S, U>))
    }
}

impl<'a, K, V, S, U, const N: usize> From<&'a [(S, U); N]> for MapArg<'a, K, V>
where
    K: Key + ?Sized,
    V: Element + ?Sized,
    S: KeySource<K> + Sync,
    U: Source<V> + Sync,
{
    fn from(entries: &'a [(S, U); N]) -> Self {
        Self::from(entries.as_slice())
    }
}

impl<'a, K, V> From<MapView<'a, K, V>> for MapArg<'a, K, V>
where
    K: Key + ?Sized,
    V: Element + ?Sized,
    ViewOf<'a, K>: Source<K>,
    ViewOf<'a, V>: Source<V>,
{
    // A view is sorted already.
    fn from(view: MapView<'a, K, V>) -> Self {
        Self {
            write: Some(Box::new(move |map| {
                for (key, value) in view {
                    map.push(&key, &value);
                }
            })),
        }
    }
}

fn pair<S, U>((key, value): &(S, U)) -> (&S, &U) {
    (key, value)
}

impl<K: Key + ?Sized, V: Element + ?Sized> fmt::Debug for MapArg<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MapArg(..)")
    }
}
