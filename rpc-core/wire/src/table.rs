//! Reading a message in place.

use core::fmt;
use core::marker::PhantomData;

use crate::dynamic::DynTable;
use crate::element::{Access, Checked, Element, ViewOf, via};
use crate::layout::{Class, Field, LIST_SIZE, MapKey, ONEOF_SIZE, REF_SIZE, Shape};
use crate::list::ListView;
use crate::map::MapView;
use crate::message::Message;
use crate::raw::{self, RawList, RawTable};

/// The archived body of a message of type `M`: a pointer and a size, copied freely.
///
/// Accessors take the field's *index* in `M::LAYOUT.fields` as a constant and fail the build where
/// shape or type differ. They are what generated views call.
pub struct Table<'a, M> {
    raw: RawTable<'a>,
    /// Invariant: a subtype of `M` may have another layout.
    message: PhantomData<fn(M) -> M>,
}

impl<M> Clone for Table<'_, M> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Table<'_, M> {}

impl<'a, M: Message> Table<'a, M> {
    /// A table whose fields are all absent.
    #[must_use]
    #[inline]
    pub const fn empty() -> Self {
        Self {
            raw: RawTable::empty(),
            message: PhantomData,
        }
    }

    /// # Safety
    ///
    /// The validator accepted `raw` for `M::LAYOUT`.
    #[inline(always)]
    pub(crate) const unsafe fn from_raw(raw: RawTable<'a>) -> Self {
        Self {
            raw,
            message: PhantomData,
        }
    }

    /// The same table, read by field tables at run time.
    #[must_use]
    #[inline]
    pub fn dynamic(self) -> DynTable<'a> {
        // SAFETY: a typed table was accepted for its message's layout.
        unsafe { DynTable::from_raw(self.raw, M::LAYOUT) }
    }

    /// The recorded size of the body: the end of the last field that was written.
    #[must_use]
    #[inline]
    pub const fn recorded_size(self) -> u32 {
        self.raw.size()
    }

    /// Raw protobuf fields that the writer's schema did not know.
    #[must_use]
    #[inline]
    pub fn unknown_fields(self) -> &'a [u8] {
        self.raw.unknown()
    }

    /// A scalar, enum, `string` or `bytes` with implicit presence; the default where absent.
    #[must_use]
    #[inline(always)]
    pub fn plain<const INDEX: usize, T: Element + ?Sized>(self) -> ViewOf<'a, T> {
        let checked = const {
            assert!(
                matches!(field::<M>(INDEX).shape, Shape::Plain),
                "the field is not plain"
            );
            Checked::of::<T>(field::<M>(INDEX))
        };
        self.value::<T>(checked.offset::<T>())
    }

    /// A scalar or enum with explicit presence.
    #[must_use]
    #[inline(always)]
    pub fn optional<const INDEX: usize, T: Element + ?Sized>(self) -> Option<ViewOf<'a, T>> {
        let (checked, bit) = const {
            let Shape::Optional { bit } = field::<M>(INDEX).shape else {
                panic!("the field has no presence bit")
            };
            (Checked::of::<T>(field::<M>(INDEX)), bit)
        };
        self.raw
            .present(bit)
            .then(|| self.value::<T>(checked.offset::<T>()))
    }

    /// A message, or an `optional` `string` or `bytes`.
    #[must_use]
    #[inline(always)]
    pub fn nullable<const INDEX: usize, T: Element + ?Sized>(self) -> Option<ViewOf<'a, T>> {
        let checked = const {
            assert!(
                matches!(field::<M>(INDEX).shape, Shape::Nullable),
                "the field is not nullable"
            );
            Checked::of::<T>(field::<M>(INDEX))
        };
        let at = self.raw.slot(checked.offset::<T>(), REF_SIZE)?;
        // SAFETY: the validator accepted this slot for the field's kind, which is that of `T`.
        unsafe { (raw::word(at) != 0).then(|| <T::Via as Access<T>>::slot(at)) }
    }

    /// A repeated field.
    #[must_use]
    #[inline(always)]
    pub fn list<const INDEX: usize, T: Element + ?Sized>(self) -> ListView<'a, T> {
        let checked = const {
            assert!(
                matches!(field::<M>(INDEX).shape, Shape::List),
                "the field is not a list"
            );
            Checked::of::<T>(field::<M>(INDEX))
        };
        // SAFETY: the validator accepted the list for the field's kind, which is that of `T`.
        unsafe { ListView::from_raw(self.elements(checked.offset::<T>())) }
    }

    /// A map field.
    #[must_use]
    #[inline(always)]
    pub fn map<const INDEX: usize, K: Element + ?Sized, V: Element + ?Sized>(
        self,
    ) -> MapView<'a, K, V> {
        let checked = const {
            assert_key::<K>(map_key(field::<M>(INDEX)));
            Checked::of::<V>(field::<M>(INDEX))
        };
        // SAFETY: the validator accepted the entries for these key and value kinds.
        unsafe { MapView::from_raw(self.elements(checked.offset::<V>())) }
    }

    /// The field number of the arm that is set in oneof `ONEOF`, known or not; nought if none is.
    #[must_use]
    #[inline(always)]
    pub fn oneof<const ONEOF: usize>(self) -> u32 {
        let offset = const { M::LAYOUT.oneofs[ONEOF].offset };
        // SAFETY: twelve recorded bytes are there.
        self.raw
            .slot(offset, ONEOF_SIZE)
            .map_or(0, |at| unsafe { raw::word(at) })
    }

    /// The value of a oneof arm; the default where another arm is set.
    #[must_use]
    #[inline(always)]
    pub fn arm<const INDEX: usize, T: Element + ?Sized>(self) -> ViewOf<'a, T> {
        let (checked, number) = const {
            let field = field::<M>(INDEX);
            assert!(
                matches!(field.shape, Shape::Arm(_)),
                "the field is not in a oneof"
            );
            (Checked::of::<T>(field), field.number)
        };
        let absent = <T::Via as Access<T>>::absent;
        let Some(at) = self.raw.slot(checked.offset::<T>(), ONEOF_SIZE) else {
            return absent();
        };
        // SAFETY: the tag says that the validator accepted the reference for this arm's kind.
        unsafe {
            if raw::word(at) != number {
                return absent();
            }
            if <T::Via as Access<T>>::CLASS.is_scalar() {
                raw::follow(at.add(4))
                    .map_or_else(absent, |(target, _)| <T::Via as Access<T>>::slot(target))
            } else {
                <T::Via as Access<T>>::slot(at.add(4))
            }
        }
    }

    #[inline(always)]
    fn value<T: Element + ?Sized>(self, offset: u32) -> ViewOf<'a, T> {
        match self
            .raw
            .slot(offset, const { <T::Via as Access<T>>::CLASS.size() })
        {
            // SAFETY: the validator accepted this slot for the field's kind, which is that of `T`.
            Some(at) => unsafe { <T::Via as Access<T>>::slot(at) },
            None => <T::Via as Access<T>>::absent(),
        }
    }

    #[inline(always)]
    fn elements(self, offset: u32) -> RawList<'a> {
        match self.raw.slot(offset, LIST_SIZE) {
            // SAFETY: the validator accepted the list slot.
            Some(at) => unsafe { RawList::read(at) },
            None => RawList::empty(),
        }
    }
}

impl<M: Message> fmt::Debug for Table<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.dynamic().fmt(f)
    }
}

impl<M: Message> PartialEq for Table<'_, M> {
    fn eq(&self, other: &Self) -> bool {
        self.dynamic() == other.dynamic()
    }
}

/// A type that may be a map key.
pub trait Key: Element {
    /// Orders two keys as the archive does.
    fn order(left: ViewOf<'_, Self>, right: ViewOf<'_, Self>) -> core::cmp::Ordering;
}

macro_rules! key {
    ($($type:ty),*) => {$(
        impl Key for $type {
            #[inline]
            fn order(left: ViewOf<'_, Self>, right: ViewOf<'_, Self>) -> core::cmp::Ordering {
                left.cmp(&right)
            }
        }
    )*};
}

key!(bool, i32, u32, i64, u64, str);

pub(crate) const fn field<M: Message>(index: usize) -> &'static Field {
    &M::LAYOUT.fields[index]
}

pub(crate) const fn map_key(field: &'static Field) -> MapKey {
    match field.shape {
        Shape::Map(key) => key,
        _ => panic!("the field is not a map"),
    }
}

pub(crate) const fn assert_key<K: Element + ?Sized>(key: MapKey) {
    assert!(
        key.kind().class() as u8 == <K::Via as Access<K>>::CLASS as u8,
        "the map has another key type"
    );
}

const _: () = {
    // A view stays two words, so that it is passed in registers.
    assert!(size_of::<RawTable<'static>>() == 16);
    let _ = Class::Bool;
    let _: Option<via::Str> = None;
};
