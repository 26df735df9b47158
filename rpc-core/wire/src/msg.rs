//! A received message.

use core::fmt;
use core::marker::PhantomData;

use bytes::Bytes;

use crate::builder::TableWriter;
use crate::error::WireError;
use crate::limits::Limits;
use crate::message::{Encode, Encoded, Message, Origin};
use crate::raw::RawTable;
use crate::segment::Segment;
use crate::table::Table;
use crate::validate::{self, Root, Texts};

/// A validated message that is read in place; cloning shares the archive.
pub struct Msg<M> {
    archive: Bytes,
    /// Where the root's body is, as validation found it.
    root: Root,
    /// Invariant: a subtype of `M` may have another layout.
    message: PhantomData<fn(M) -> M>,
}

impl<M: Message> Msg<M> {
    /// Validates an archive.
    ///
    /// # Errors
    ///
    /// Says which rule of the archived form the bytes break, or which limit they pass.
    pub fn from_archive(archive: Bytes, limits: &Limits) -> Result<Self, WireError> {
        let flat = const { &Texts::all(M::LAYOUT) };
        let accepted = flat
            .as_ref()
            .and_then(|texts| validate::accept(texts, &archive, limits));
        let root = match accepted {
            Some(root) => root,
            None => validate::root(M::LAYOUT, &archive, limits)?,
        };
        Ok(Self {
            archive,
            root,
            message: PhantomData,
        })
    }

    /// Reads the message in place.
    #[must_use]
    #[inline]
    pub fn view(&self) -> M::View<'_> {
        M::view(self.table())
    }

    /// The root table.
    #[must_use]
    #[inline]
    pub fn table(&self) -> Table<'_, M> {
        // SAFETY: the constructor validated this body for the layout, the bytes never change, and
        // the pointer is derived from the whole archive.
        unsafe {
            let body = self.archive.as_ptr().add(self.root.body());
            Table::from_raw(RawTable::new(body, self.root.size()))
        }
    }

    /// Copies everything out; large `bytes` share the archive.
    #[must_use]
    pub fn into_owned(self) -> M {
        self.to_owned_message()
    }

    /// Copies everything out; large `bytes` share the archive.
    #[must_use]
    pub fn to_owned_message(&self) -> M {
        M::from_view(self.view(), &Origin::shared(&self.archive))
    }

    /// A `bytes` value of this message as a buffer of its own, sharing the archive.
    ///
    /// Nothing if `slice` does not lie in this message.
    #[must_use]
    pub fn share(&self, slice: &[u8]) -> Option<Bytes> {
        let (outer, inner) = (self.archive.as_ptr_range(), slice.as_ptr_range());
        (outer.start <= inner.start && inner.end <= outer.end)
            .then(|| self.archive.slice_ref(slice))
    }

    /// The archive.
    #[must_use]
    pub const fn archive(&self) -> &Bytes {
        &self.archive
    }

    /// Copies the archive into a buffer of its own, so that a small message does not pin the
    /// large receive buffer it arrived in.
    #[must_use]
    pub fn detach(self) -> Self {
        Self {
            archive: Bytes::copy_from_slice(&self.archive),
            ..self
        }
    }
}

impl<M> Clone for Msg<M> {
    fn clone(&self) -> Self {
        Self {
            archive: self.archive.clone(),
            ..*self
        }
    }
}

impl<M: Message> fmt::Debug for Msg<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table().fmt(f)
    }
}

impl<M: Message> PartialEq for Msg<M> {
    fn eq(&self, other: &Self) -> bool {
        self.table() == other.table()
    }
}

/// A received message is forwarded unchanged, fields that this schema does not know included;
/// inside of another message it is copied field by field.
impl<M: Message> Encode<M> for Msg<M> {
    fn encode(&self, table: &mut TableWriter<'_, M>) {
        table.copy(self.table());
    }

    fn archived(&self) -> Option<Segment> {
        Some(Segment::from_bytes(self.archive.clone()))
    }
}

impl<M: Message> TryFrom<Encoded<M>> for Msg<M> {
    type Error = WireError;

    fn try_from(encoded: Encoded<M>) -> Result<Self, WireError> {
        Self::from_archive(encoded.into_segment().into_bytes(), &Limits::default())
    }
}
