//! Messages inside of other rkyv archives: rkyv's traits on the archived form.
//!
//! A call carries a message as [`Msg`](crate::Msg), for which none of this is needed. It is for a
//! user who keeps messages in rkyv data of his own, such as a snapshot or a log: [`Encoded`] is
//! [`Archive`] and [`Serialize`], [`archive_message!`](crate::archive_message) makes any type so.

use core::alloc::Layout as Bytes;
use core::marker::PhantomData;

use rend::unaligned::u32_ule;
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::{Fallible, Source};
use rkyv::ser::{Writer, WriterExt};
use rkyv::traits::NoUndef;
use rkyv::validation::{ArchiveContext, ArchiveContextExt};
use rkyv::{Archive, Place, Portable, Serialize};

use crate::error::WireError;
use crate::layout::{Class, Kind, Layout, MapKey, REF_SIZE, Shape, UNKNOWN_FLAG};
use crate::limits::Limits;
use crate::message::{Encode, Encoded, Message};
use crate::raw::{self, RawList, RawTable};
use crate::table::Table;
use crate::validate;

/// A reference to the table of an `M`, as it stands in an rkyv archive.
///
/// It is eight bytes of alignment 1 whatever features of rkyv another crate switches on.
#[derive(Debug)]
#[repr(C)]
pub struct ArchivedMessage<M> {
    pointer: u32_ule,
    size: u32_ule,
    message: PhantomData<fn() -> M>,
}

// SAFETY: two unaligned little-endian words in C order and a zero-sized marker: the same bytes on
// every target, no padding, no interior mutability.
unsafe impl<M> Portable for ArchivedMessage<M> {}
// SAFETY: there is no padding, and the words are initialised.
unsafe impl<M> NoUndef for ArchivedMessage<M> {}

impl<M: Message> ArchivedMessage<M> {
    /// Validates the message where it stands in `archive`, and reads it in place.
    ///
    /// It validates anew because a reference to eight bytes may not be followed out of them: the
    /// table's pointer is derived from the whole of `archive`.
    ///
    /// # Errors
    ///
    /// [`WireError::Mismatch`] if this reference does not lie in `archive`, else what is wrong
    /// with the message.
    pub fn table<'a>(&self, archive: &'a [u8], limits: &Limits) -> Result<Table<'a, M>, WireError> {
        let own = (&raw const *self).addr();
        let end = own
            .checked_sub(archive.as_ptr().addr())
            .and_then(|at| at.checked_add(size_of::<Self>()))
            .filter(|end| *end <= archive.len())
            .ok_or(WireError::Mismatch("the reference lies in another archive"))?;
        let root = validate::root(M::LAYOUT, &archive[..end], limits)?;
        // SAFETY: this body was just validated for the layout, within `archive`.
        unsafe {
            Ok(Table::from_raw(RawTable::new(
                archive.as_ptr().add(root.body()),
                root.size(),
            )))
        }
    }
}

/// Where a message was written: what [`ArchivedMessage`] will refer to.
#[derive(Clone, Copy, Debug)]
pub struct MessageResolver {
    body: usize,
    size: u32,
}

impl MessageResolver {
    /// Writes the reference; [`archive_message!`](crate::archive_message) calls it.
    pub fn resolve<M>(self, out: Place<ArchivedMessage<M>>) {
        // rkyv's own relative pointers bound an archive to 2 GiB as well.
        let pointer = (out.pos() + 4 - self.body) as u32;
        out.write(ArchivedMessage {
            pointer: pointer.into(),
            size: self.size.into(),
            message: PhantomData,
        });
    }

    /// Writes a message's archive; [`archive_message!`](crate::archive_message) calls it.
    ///
    /// # Errors
    ///
    /// The writer's own, or the [`WireError`] of a limit.
    pub fn serialize<M, T, S>(value: &T, serializer: &mut S) -> Result<Self, S::Error>
    where
        M: Message,
        T: Encode<M> + ?Sized,
        S: Fallible<Error: Source> + Writer + ?Sized,
    {
        let encoded = Encoded::<M>::new(value, &Limits::default()).map_err(S::Error::new)?;
        Self::append(&encoded, serializer)
    }

    fn append<M, S>(encoded: &Encoded<M>, serializer: &mut S) -> Result<Self, S::Error>
    where
        M: Message,
        S: Fallible + Writer + ?Sized,
    {
        // Lists of numbers count their alignment from the start of the message.
        let start = serializer.align(8)?;
        let mut last = [0; REF_SIZE as usize];
        let mut left = encoded.segment().len() - last.len();
        for part in encoded.segment().parts() {
            let part = part.as_slice();
            let body = part.len().min(left);
            serializer.write(&part[..body])?;
            left -= body;
            let tail = &part[body..];
            last.rotate_left(tail.len());
            last[REF_SIZE as usize - tail.len()..].copy_from_slice(tail);
        }
        let word =
            |at: usize| u32::from_le_bytes([last[at], last[at + 1], last[at + 2], last[at + 3]]);
        let end = encoded.segment().len() - last.len();
        Ok(Self {
            body: start + end + 4 - word(0) as usize,
            size: word(4),
        })
    }
}

impl<M: Message> Archive for Encoded<M> {
    type Archived = ArchivedMessage<M>;
    type Resolver = MessageResolver;

    fn resolve(&self, resolver: MessageResolver, out: Place<ArchivedMessage<M>>) {
        resolver.resolve(out);
    }
}

impl<M: Message, S: Fallible + Writer + ?Sized> Serialize<S> for Encoded<M> {
    fn serialize(&self, serializer: &mut S) -> Result<MessageResolver, S::Error> {
        MessageResolver::append(self, serializer)
    }
}

/// Implements rkyv's `Archive` and `Serialize` for a type that is `Encode` for a message:
/// `archive_message!(Item => Item)`.
#[macro_export]
macro_rules! archive_message {
    ($type:ty => $message:ty) => {
        impl $crate::rkyv::Archive for $type {
            type Archived = $crate::archived::ArchivedMessage<$message>;
            type Resolver = $crate::archived::MessageResolver;

            fn resolve(&self, resolver: Self::Resolver, out: $crate::rkyv::Place<Self::Archived>) {
                resolver.resolve(out);
            }
        }

        impl<S> $crate::rkyv::Serialize<S> for $type
        where
            S: $crate::rkyv::rancor::Fallible<Error: $crate::rkyv::rancor::Source>
                + $crate::rkyv::ser::Writer
                + ?Sized,
        {
            fn serialize(&self, serializer: &mut S) -> Result<Self::Resolver, S::Error> {
                $crate::archived::MessageResolver::serialize::<$message, Self, S>(self, serializer)
            }
        }
    };
}

// SAFETY: every value that the layout leads to is checked to lie in a subtree of its own, as
// `docs/WIRE.md` §6 demands and as the validator for whole archives does.
unsafe impl<M, C> CheckBytes<C> for ArchivedMessage<M>
where
    M: Message,
    C: Fallible<Error: Source> + ArchiveContext + ?Sized,
{
    unsafe fn check_bytes(value: *const Self, context: &mut C) -> Result<(), C::Error> {
        // SAFETY: the caller promises that the eight bytes at `value` may be read.
        unsafe {
            let mut check = Check { context, depth: 0 };
            match check.reference(value.cast())? {
                Some((body, size)) => check.table(M::LAYOUT, body, size),
                None => check.refuse(WireError::Malformed("the message is null")),
            }
        }
    }
}

/// The validator over rkyv's context, which keeps the ranges that are still free.
struct Check<'c, C: ?Sized> {
    context: &'c mut C,
    depth: u32,
}

impl<C: Fallible<Error: Source> + ArchiveContext + ?Sized> Check<'_, C> {
    #[cold]
    fn refuse<T>(&self, error: WireError) -> Result<T, C::Error> {
        Err(C::Error::new(error))
    }

    /// Reads a reference; its target is not checked, and computed without an offset in bounds.
    ///
    /// # Safety
    ///
    /// Eight bytes at `at` may be read.
    unsafe fn reference(&self, at: *const u8) -> Result<Option<(*const u8, u32)>, C::Error> {
        // SAFETY: the caller's promise.
        let (back, len) = unsafe { (raw::word(at), raw::word(at.add(4))) };
        match (back, len) {
            (0, 0) => Ok(None),
            (0, _) => self.refuse(WireError::Malformed("a null pointer has a length")),
            _ => Ok(Some((at.wrapping_add(4).wrapping_sub(back as usize), len))),
        }
    }

    /// Claims the bytes and checks what lies in front of them.
    fn within(
        &mut self,
        at: *const u8,
        len: usize,
        check: impl FnOnce(&mut Check<'_, C>) -> Result<(), C::Error>,
    ) -> Result<(), C::Error> {
        let Ok(bytes) = Bytes::from_size_align(len, 1) else {
            return self.refuse(WireError::OutOfBounds);
        };
        let depth = self.depth;
        self.context
            .in_subtree_raw(at, bytes, |context| check(&mut Check { context, depth }))
    }

    /// # Safety
    ///
    /// `size` came from a reference to `body`.
    unsafe fn table(
        &mut self,
        layout: &'static Layout,
        body: *const u8,
        size: u32,
    ) -> Result<(), C::Error> {
        let prefix = if size & UNKNOWN_FLAG == 0 {
            0
        } else {
            REF_SIZE as usize
        };
        let len = prefix + (size & !UNKNOWN_FLAG) as usize;
        self.within(body.wrapping_sub(prefix), len, |check| {
            // SAFETY: the body and its prefix were just found to lie in the archive.
            unsafe { check.contents(layout, body, size) }
        })
    }

    /// # Safety
    ///
    /// The body of that size, and its prefix, lie in the archive.
    unsafe fn contents(
        &mut self,
        layout: &'static Layout,
        body: *const u8,
        size: u32,
    ) -> Result<(), C::Error> {
        if self.depth >= Limits::DEFAULT_DEPTH {
            return self.refuse(WireError::TooDeep {
                max_depth: Limits::DEFAULT_DEPTH,
            });
        }
        self.depth += 1;
        // SAFETY: the caller's promise; slots are followed only where they are recorded.
        unsafe {
            if size & UNKNOWN_FLAG != 0 {
                self.value(&Kind::Bytes, body.sub(REF_SIZE as usize))?;
            }
            let table = RawTable::new(body, size);
            for (index, field) in layout.fields.iter().enumerate() {
                if !layout.is_followed(index) {
                    continue;
                }
                let Some(at) = table.slot(field.offset, field.slot_size()) else {
                    break;
                };
                match field.shape {
                    Shape::Plain | Shape::Optional { .. } | Shape::Nullable => {
                        self.value(&field.kind, at)?;
                    }
                    Shape::List => self.list(None, &field.kind, at)?,
                    Shape::Map(key) => self.list(Some(key), &field.kind, at)?,
                    Shape::Arm(oneof) => self.oneof(layout, oneof, at)?,
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// # Safety
    ///
    /// A slot of this kind at `at` lies in the archive.
    unsafe fn value(&mut self, kind: &Kind, at: *const u8) -> Result<(), C::Error> {
        if kind.is_scalar() {
            return Ok(());
        }
        // SAFETY: the caller's promise, and what `within` found.
        unsafe {
            let Some((target, len)) = self.reference(at)? else {
                return Ok(());
            };
            if let Kind::Message(layout) = kind {
                return self.table(layout, target, len);
            }
            self.within(target, len as usize, |check| {
                if kind.class() == Class::Str && !validate::is_utf8(raw::bytes(target, len)) {
                    return check.refuse(WireError::Utf8);
                }
                Ok(())
            })
        }
    }

    /// # Safety
    ///
    /// A list or map slot at `at` lies in the archive.
    unsafe fn list(
        &mut self,
        key: Option<MapKey>,
        kind: &Kind,
        at: *const u8,
    ) -> Result<(), C::Error> {
        // SAFETY: the caller's promise; elements are read within the region `within` found.
        unsafe {
            let Some((first, len)) = self.reference(at)? else {
                return Ok(());
            };
            let list = RawList::read_at(first, at);
            let end = list.element_end() & !UNKNOWN_FLAG;
            let prefix = if end == list.element_end() {
                0
            } else {
                REF_SIZE as usize
            };
            let fixed = match (key, kind) {
                (Some(key), kind) => Some(key.kind().size() + kind.size()),
                (None, Kind::Message(_)) => None,
                (None, kind) => Some(kind.size()),
            };
            if fixed.is_some_and(|size| size != list.element_end())
                || list.stride() == 0
                || list.stride() < end as usize + prefix
            {
                return self.refuse(WireError::Malformed("the stride or size of elements"));
            }
            let Some(bytes) = (len as usize).checked_mul(list.stride()) else {
                return self.refuse(WireError::OutOfBounds);
            };
            self.within(first.wrapping_sub(prefix), bytes, |check| {
                (0..list.len()).try_for_each(|index| check.element(key, kind, list, index))
            })
        }
    }

    /// # Safety
    ///
    /// The list's region lies in the archive.
    unsafe fn element(
        &mut self,
        key: Option<MapKey>,
        kind: &Kind,
        list: RawList<'_>,
        index: usize,
    ) -> Result<(), C::Error> {
        // SAFETY: the caller's promise; keys are compared once both were accepted.
        unsafe {
            let at = list.element(index);
            let Some(key) = key else {
                return match kind {
                    Kind::Message(layout) => self.contents(layout, at, list.element_end()),
                    kind => self.value(kind, at),
                };
            };
            self.value(&key.kind(), at)?;
            if index > 0 && !raw::ascending(key.kind().class(), list.element(index - 1), at) {
                return self.refuse(WireError::MapOrder);
            }
            self.value(kind, at.add(key.kind().size() as usize))
        }
    }

    /// # Safety
    ///
    /// A oneof slot at `at` lies in the archive.
    unsafe fn oneof(
        &mut self,
        layout: &'static Layout,
        oneof: u16,
        at: *const u8,
    ) -> Result<(), C::Error> {
        // SAFETY: the caller's promise.
        unsafe {
            let Some(field) = layout.field(raw::word(at)) else {
                return Ok(());
            };
            if field.shape != Shape::Arm(oneof) {
                return self.refuse(WireError::Malformed("the tag is not of the oneof"));
            }
            if !field.kind.is_scalar() {
                return self.value(&field.kind, at.add(4));
            }
            match self.reference(at.add(4))? {
                None => Ok(()),
                Some((target, len)) if len == field.kind.size() => {
                    self.within(target, len as usize, |_| Ok(()))
                }
                Some(_) => self.refuse(WireError::Malformed("the oneof's scalar")),
            }
        }
    }
}
