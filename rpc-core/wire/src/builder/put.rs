//! Which values may be written as which element.

use core::borrow::Borrow;

use bytes::Bytes;

use super::list::{Elements, ListWriter};
use super::{Builder, EXTERNAL_MIN, Target};
use crate::element::{Element, Scalar, via};
use crate::message::{Encode, Message, OpenEnum};

/// Writing one kind of element from values of type `S`; implemented by the markers in [`via`].
pub trait Put<T: ?Sized, S: ?Sized> {
    /// Writes out of line what does not fit the slot and says where it is; never null.
    ///
    /// For scalars, which are written into their slots, this is the out-of-line form of a oneof.
    #[doc(hidden)]
    fn target(builder: &mut Builder, value: &S) -> Written;

    /// Writes out of line what does not fit the slot and says what belongs into it.
    #[doc(hidden)]
    fn slot(builder: &mut Builder, value: &S) -> Slot;

    /// Appends the value to a list.
    #[doc(hidden)]
    fn element(builder: &mut Builder, list: &mut Elements, value: &S);
}

/// What [`Put::target`] wrote.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Written(pub(crate) Target);

/// What [`Put::slot`] found: the bytes of the slot, at their low end.
///
/// In a reference the pointer word still holds an absolute target.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub(crate) bytes: [u8; 8],
    /// Whether the value is the default one, so that the slot may stay as it is.
    pub(crate) is_default: bool,
}

impl Slot {
    #[inline(always)]
    fn reference(target: Target) -> Self {
        Self {
            bytes: target.to_le_bytes(),
            is_default: target.word == 0,
        }
    }
}

/// A value that may be written as a `T`: the scalar or a reference to it, anything that is text or
/// bytes, anything that is [`Encode`] for the message.
pub trait Source<T: Element + ?Sized> {
    #[doc(hidden)]
    fn target(&self, builder: &mut Builder) -> Written;
    #[doc(hidden)]
    fn slot(&self, builder: &mut Builder) -> Slot;
    #[doc(hidden)]
    fn element(&self, builder: &mut Builder, list: &mut Elements);
}

impl<T: Element + ?Sized, S: ?Sized> Source<T> for S
where
    T::Via: Put<T, S>,
{
    #[inline(always)]
    fn target(&self, builder: &mut Builder) -> Written {
        <T::Via as Put<T, S>>::target(builder, self)
    }

    #[inline(always)]
    fn slot(&self, builder: &mut Builder) -> Slot {
        <T::Via as Put<T, S>>::slot(builder, self)
    }

    #[inline(always)]
    fn element(&self, builder: &mut Builder, list: &mut Elements) {
        <T::Via as Put<T, S>>::element(builder, list, self);
    }
}

/// Bytes to be written, shared by reference count if the source allows it.
pub trait BytesSource {
    /// The bytes.
    fn as_bytes(&self) -> &[u8];

    /// The buffer to share instead of copying, if there is one.
    fn shared(&self) -> Option<&Bytes> {
        None
    }
}

impl BytesSource for [u8] {
    fn as_bytes(&self) -> &[u8] {
        self
    }
}

impl<const N: usize> BytesSource for [u8; N] {
    fn as_bytes(&self) -> &[u8] {
        self
    }
}

impl BytesSource for Vec<u8> {
    fn as_bytes(&self) -> &[u8] {
        self
    }
}

impl BytesSource for Bytes {
    fn as_bytes(&self) -> &[u8] {
        self
    }

    fn shared(&self) -> Option<&Bytes> {
        Some(self)
    }
}

impl<T: BytesSource + ?Sized> BytesSource for &T {
    fn as_bytes(&self) -> &[u8] {
        (**self).as_bytes()
    }

    fn shared(&self) -> Option<&Bytes> {
        (**self).shared()
    }
}

impl<T: Scalar, S: Borrow<T> + ?Sized> Put<T, S> for via::Scalar {
    #[inline(always)]
    fn target(builder: &mut Builder, value: &S) -> Written {
        let bytes = (*value.borrow()).to_le();
        Written(builder.bytes(&bytes[..<T as Scalar>::CLASS.size() as usize]))
    }

    #[inline(always)]
    fn slot(_: &mut Builder, value: &S) -> Slot {
        let value: T = *value.borrow();
        Slot {
            bytes: value.to_le(),
            is_default: value.is_default(),
        }
    }

    #[inline(always)]
    fn element(builder: &mut Builder, list: &mut Elements, value: &S) {
        let bytes = (*value.borrow()).to_le();
        list.push_scalar(
            builder,
            &bytes[..const { <T as Scalar>::CLASS.size() as usize }],
        );
    }
}

impl<T: OpenEnum, S: Borrow<T> + ?Sized> Put<T, S> for via::Enum {
    #[inline(always)]
    fn target(builder: &mut Builder, value: &S) -> Written {
        let number: i32 = (*value.borrow()).into();
        Written(builder.bytes(&number.to_le_bytes()))
    }

    #[inline(always)]
    fn slot(_: &mut Builder, value: &S) -> Slot {
        let number: i32 = (*value.borrow()).into();
        Slot {
            bytes: Scalar::to_le(number),
            is_default: number == 0,
        }
    }

    #[inline(always)]
    fn element(builder: &mut Builder, list: &mut Elements, value: &S) {
        let number: i32 = (*value.borrow()).into();
        list.push_scalar(builder, &number.to_le_bytes());
    }
}

impl<S: AsRef<str> + ?Sized> Put<str, S> for via::Str {
    #[inline(always)]
    fn target(builder: &mut Builder, value: &S) -> Written {
        Written(builder.bytes(value.as_ref().as_bytes()))
    }

    #[inline(always)]
    fn slot(builder: &mut Builder, value: &S) -> Slot {
        let text = value.as_ref();
        if text.is_empty() {
            return Slot::reference(Target::NULL);
        }
        builder.slot_of(text.as_bytes())
    }

    #[inline(always)]
    fn element(builder: &mut Builder, list: &mut Elements, value: &S) {
        let text = value.as_ref();
        let target = if text.is_empty() {
            Target::default()
        } else {
            builder.bytes(text.as_bytes())
        };
        list.push_reference(builder, target);
    }
}

impl<S: BytesSource + ?Sized> Put<[u8], S> for via::Bytes {
    #[inline(always)]
    fn target(builder: &mut Builder, value: &S) -> Written {
        Written(match value.shared() {
            Some(shared) => builder.shared(shared),
            None => builder.bytes(value.as_bytes()),
        })
    }

    #[inline(always)]
    fn slot(builder: &mut Builder, value: &S) -> Slot {
        if value.as_bytes().is_empty() {
            return Slot::reference(Target::NULL);
        }
        match value.shared() {
            Some(shared) if shared.len() >= EXTERNAL_MIN => {
                Slot::reference(builder.external(shared))
            }
            _ => builder.slot_of(value.as_bytes()),
        }
    }

    #[inline(always)]
    fn element(builder: &mut Builder, list: &mut Elements, value: &S) {
        let target = if value.as_bytes().is_empty() {
            Target::default()
        } else {
            <Self as Put<[u8], S>>::target(builder, value).0
        };
        list.push_reference(builder, target);
    }
}

impl<M: Message, S: Encode<M> + ?Sized> Put<M, S> for via::Message {
    #[inline]
    fn target(builder: &mut Builder, value: &S) -> Written {
        Written(builder.message(value))
    }

    #[inline]
    fn slot(builder: &mut Builder, value: &S) -> Slot {
        Slot::reference(builder.message(value))
    }

    #[inline(always)]
    fn element(builder: &mut Builder, list: &mut Elements, value: &S) {
        ListWriter::<M>::push_message(builder, list, value);
    }
}
