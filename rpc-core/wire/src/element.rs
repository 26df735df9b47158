//! What may stand in a field, a list or a map, and how each is read.

use core::fmt::Debug;

use crate::layout::{Class, Field, Kind, Layout, same_name};
use crate::message::{Message, OpenEnum};
use crate::raw::{self, RawTable};
use crate::table::Table;

/// A type that a field, a list element or a map value can have.
///
/// Implemented here for scalars, `str` and `[u8]`; generated for messages ([`via::Message`]) and
/// enums ([`via::Enum`]).
pub trait Element: 'static {
    /// How a value is read: one of the markers in [`via`].
    type Via: Access<Self>;
}

/// What reading an element gives: the scalar, `&str`, `&[u8]`, the enum, the message's view.
pub type ViewOf<'a, T> = <<T as Element>::Via as Access<T>>::View<'a>;

/// Markers that say how an element is archived.
pub mod via {
    /// A fixed-width scalar, read by value.
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum Scalar {}
    /// An open enum, read by value.
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum Enum {}
    /// UTF-8 text, read as `&str`.
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum Str {}
    /// Bytes, read as `&[u8]`.
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum Bytes {}
    /// A nested table, read as the message's view.
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum Message {}
}

mod sealed {
    use super::via;

    #[allow(unnameable_types, reason = "that is what seals the trait")]
    pub trait Sealed {}
    impl Sealed for via::Scalar {}
    impl Sealed for via::Enum {}
    impl Sealed for via::Str {}
    impl Sealed for via::Bytes {}
    impl Sealed for via::Message {}

    #[allow(unnameable_types, reason = "that is what seals the trait")]
    pub trait Scalar {}
}

/// Reading one kind of element; implemented by the markers in [`via`] alone.
pub trait Access<T: ?Sized>: sealed::Sealed {
    /// What reading gives.
    type View<'a>: Copy + Debug;
    /// The archived form.
    const CLASS: Class;
    /// The message or enum type's full name, empty for others.
    const NAME: &'static str;
    /// The nested layout, for messages.
    const LAYOUT: Option<&'static Layout>;

    /// The value of an absent field.
    fn absent<'a>() -> Self::View<'a>;

    /// Reads the value whose slot is at `at`.
    ///
    /// # Safety
    ///
    /// The validator accepted a slot of this class (and layout) at `at`, and the archive lives
    /// for `'a`.
    unsafe fn slot<'a>(at: *const u8) -> Self::View<'a>;

    /// Reads the list element at `at`; differs from a slot for tables, which lie inline.
    ///
    /// # Safety
    ///
    /// As for [`slot`](Self::slot), with `element_end` from the list's own slot.
    #[inline(always)]
    unsafe fn element<'a>(at: *const u8, element_end: u32) -> Self::View<'a> {
        let _ = element_end;
        // SAFETY: the caller's promise.
        unsafe { Self::slot(at) }
    }
}

/// A fixed-width scalar; sealed, because slices of it are read from the archive in place.
pub trait Scalar:
    sealed::Scalar + Element<Via = via::Scalar> + Copy + Default + PartialEq + Debug
{
    /// The archived form.
    const CLASS: Class;
    /// The value as little-endian bytes in the low end of eight.
    fn to_le(self) -> [u8; 8];
    /// The value of little-endian bytes; `bytes` holds at least the scalar's size.
    fn from_le(bytes: &[u8]) -> Self;
    /// Whether the value is the default one; a negative zero is not.
    fn is_default(self) -> bool;
}

macro_rules! scalar {
    ($($type:ty => $class:ident, $is_default:expr;)*) => {$(
        impl Element for $type {
            type Via = via::Scalar;
        }

        impl sealed::Scalar for $type {}

        impl Scalar for $type {
            const CLASS: Class = Class::$class;

            #[inline(always)]
            fn to_le(self) -> [u8; 8] {
                let mut wide = [0; 8];
                wide[..size_of::<Self>()].copy_from_slice(&self.to_le_bytes());
                wide
            }

            #[inline(always)]
            fn from_le(bytes: &[u8]) -> Self {
                let mut own = [0; size_of::<Self>()];
                own.copy_from_slice(&bytes[..size_of::<Self>()]);
                Self::from_le_bytes(own)
            }

            #[inline(always)]
            fn is_default(self) -> bool {
                let is_default: fn(Self) -> bool = $is_default;
                is_default(self)
            }
        }
    )*};
}

scalar! {
    i32 => I32, |value| value == 0;
    u32 => U32, |value| value == 0;
    i64 => I64, |value| value == 0;
    u64 => U64, |value| value == 0;
    f32 => F32, |value| value.to_bits() == 0;
    f64 => F64, |value| value.to_bits() == 0;
}

impl Element for bool {
    type Via = via::Scalar;
}

impl sealed::Scalar for bool {}

impl Scalar for bool {
    const CLASS: Class = Class::Bool;

    #[inline(always)]
    fn to_le(self) -> [u8; 8] {
        [u8::from(self), 0, 0, 0, 0, 0, 0, 0]
    }

    #[inline(always)]
    fn from_le(bytes: &[u8]) -> Self {
        bytes[0] != 0
    }

    #[inline(always)]
    fn is_default(self) -> bool {
        !self
    }
}

impl<T: Scalar> Access<T> for via::Scalar {
    type View<'a> = T;
    const CLASS: Class = T::CLASS;
    const NAME: &'static str = "";
    const LAYOUT: Option<&'static Layout> = None;

    #[inline(always)]
    fn absent<'a>() -> Self::View<'a> {
        T::default()
    }

    #[inline(always)]
    unsafe fn slot<'a>(at: *const u8) -> Self::View<'a> {
        // SAFETY: the slot of this class is as long as the scalar.
        T::from_le(unsafe { raw::bytes(at, const { T::CLASS.size() }) })
    }
}

impl<T: OpenEnum> Access<T> for via::Enum {
    type View<'a> = T;
    const CLASS: Class = Class::Enum;
    const NAME: &'static str = T::INFO.name;
    const LAYOUT: Option<&'static Layout> = None;

    #[inline(always)]
    fn absent<'a>() -> Self::View<'a> {
        T::from(0)
    }

    #[inline(always)]
    unsafe fn slot<'a>(at: *const u8) -> Self::View<'a> {
        // SAFETY: an enum's slot is four bytes long.
        T::from(unsafe { raw::word(at) }.cast_signed())
    }
}

impl Element for str {
    type Via = via::Str;
}

impl Access<str> for via::Str {
    type View<'a> = &'a str;
    const CLASS: Class = Class::Str;
    const NAME: &'static str = "";
    const LAYOUT: Option<&'static Layout> = None;

    #[inline(always)]
    fn absent<'a>() -> &'a str {
        ""
    }

    #[inline(always)]
    unsafe fn slot<'a>(at: *const u8) -> &'a str {
        // SAFETY: the validator accepted the reference and found UTF-8 behind it.
        unsafe {
            match raw::follow(at) {
                Some((target, len)) => core::str::from_utf8_unchecked(raw::bytes(target, len)),
                None => "",
            }
        }
    }
}

impl Element for [u8] {
    type Via = via::Bytes;
}

impl Access<[u8]> for via::Bytes {
    type View<'a> = &'a [u8];
    const CLASS: Class = Class::Bytes;
    const NAME: &'static str = "";
    const LAYOUT: Option<&'static Layout> = None;

    #[inline(always)]
    fn absent<'a>() -> &'a [u8] {
        &[]
    }

    #[inline(always)]
    unsafe fn slot<'a>(at: *const u8) -> &'a [u8] {
        // SAFETY: the validator accepted the reference.
        unsafe { raw::follow(at).map_or(&[], |(target, len)| raw::bytes(target, len)) }
    }
}

impl<M: Message> Access<M> for via::Message {
    type View<'a> = M::View<'a>;
    const CLASS: Class = Class::Message;
    const NAME: &'static str = M::LAYOUT.name;
    const LAYOUT: Option<&'static Layout> = Some(M::LAYOUT);

    #[inline(always)]
    fn absent<'a>() -> Self::View<'a> {
        M::view(Table::empty())
    }

    #[inline(always)]
    unsafe fn slot<'a>(at: *const u8) -> Self::View<'a> {
        // SAFETY: the validator accepted the reference and the table behind it for this layout.
        unsafe {
            match raw::follow(at) {
                Some((body, size)) => M::view(Table::from_raw(RawTable::new(body, size))),
                None => <Self as Access<M>>::absent(),
            }
        }
    }

    #[inline(always)]
    unsafe fn element<'a>(at: *const u8, element_end: u32) -> Self::View<'a> {
        // SAFETY: the validator accepted a body of that recorded size at each stride.
        unsafe { M::view(Table::from_raw(RawTable::new(at, element_end))) }
    }
}

/// What a `const` block learns about a field once it has checked the element type against it.
#[derive(Clone, Copy)]
pub(crate) struct Checked {
    pub(crate) offset: u32,
    nested: Option<&'static Layout>,
}

impl Checked {
    /// Checks that elements of type `T` are what `field` holds; fails the build otherwise.
    pub(crate) const fn of<T: Element + ?Sized>(field: &'static Field) -> Self {
        let class = <T::Via as Access<T>>::CLASS;
        assert!(
            field.kind.class() as u8 == class as u8,
            "the field is of another type"
        );
        assert!(
            same_name(field.kind.type_name(), <T::Via as Access<T>>::NAME),
            "the field is of another message or enum type"
        );
        let nested = match field.kind {
            Kind::Message(layout) => Some(layout),
            _ => None,
        };
        Self {
            offset: field.offset,
            nested,
        }
    }

    /// The offset, once the nested layout is known to be the very one that was validated.
    ///
    /// Addresses cannot be compared in a `const`, but the comparison folds away when it is
    /// compiled; it keeps a hand-written layout of the same name from breaking soundness.
    #[inline(always)]
    pub(crate) fn offset<T: Element + ?Sized>(self) -> u32 {
        match (self.nested, <T::Via as Access<T>>::LAYOUT) {
            (None, None) => {}
            (Some(left), Some(right)) if core::ptr::eq(left, right) => {}
            _ => mixed_layouts(),
        }
        self.offset
    }
}

#[cold]
fn mixed_layouts() -> ! {
    panic!("two layouts of the same name are mixed");
}
