//! What generated code implements for each message and enum.

use core::fmt::{self, Debug};
use core::marker::PhantomData;

use bytes::Bytes;

use crate::builder::{Builder, TableWriter};
use crate::element::{Element, via};
use crate::error::WireError;
use crate::layout::{EnumInfo, Layout, REF_SIZE};
use crate::limits::Limits;
use crate::list::ListView;
use crate::segment::Segment;
use crate::table::Table;
use crate::unknown::UnknownFields;

/// A message type: the owned struct, tied to its layout and its view.
pub trait Message: Element<Via = via::Message> + Encode<Self> + Send + Sync + Sized {
    /// The type that reads the message in place: a newtype over [`Table`].
    type View<'a>: Copy + Debug + Send + Sync + Encode<Self>;

    /// The field table.
    const LAYOUT: &'static Layout;

    /// The view of a table.
    fn view(table: Table<'_, Self>) -> Self::View<'_>;

    /// The table of a view.
    fn table<'a>(view: Self::View<'a>) -> Table<'a, Self>;

    /// Copies everything out; `origin` shares large `bytes` where the archive is shared.
    fn from_view(view: Self::View<'_>, origin: &Origin<'_>) -> Self;
}

/// An open enum: any number is kept, known numbers have names.
pub trait OpenEnum:
    Element<Via = via::Enum> + Copy + Debug + PartialEq + From<i32> + Into<i32> + Send + Sync
{
    /// The names of the known numbers.
    const INFO: &'static EnumInfo;
}

/// Something whose contents can be archived as an `M`: owned, `Args`, a view, or a reference.
pub trait Encode<M: Message>: Send + Sync {
    /// Writes each field at most once: unknown fields first, then in ascending order of slots.
    ///
    /// A oneof is written where its first arm would be.
    fn encode(&self, table: &mut TableWriter<'_, M>);

    /// The archive itself, if this is one already and may be sent unchanged.
    fn archived(&self) -> Option<Segment> {
        None
    }
}

/// Contents of any form, which need not be printable themselves, so only their type is.
impl<M: Message> Debug for dyn Encode<M> + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(M::LAYOUT.name)
    }
}

impl<M: Message, T: Encode<M> + ?Sized> Encode<M> for &T {
    fn encode(&self, table: &mut TableWriter<'_, M>) {
        (**self).encode(table);
    }

    fn archived(&self) -> Option<Segment> {
        (**self).archived()
    }
}

impl<M: Message, T: Encode<M> + ?Sized> Encode<M> for Box<T> {
    fn encode(&self, table: &mut TableWriter<'_, M>) {
        (**self).encode(table);
    }

    fn archived(&self) -> Option<Segment> {
        (**self).archived()
    }
}

/// Archives at once, so that borrowed data need not outlive the call.
pub trait IntoMessage<M: Message> {
    /// Archives into a pooled segment.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLarge`] or [`WireError::TooDeep`] if a limit is passed.
    fn into_message(self, limits: &Limits) -> Result<Encoded<M>, WireError>;
}

impl<M: Message, T: Encode<M>> IntoMessage<M> for T {
    fn into_message(self, limits: &Limits) -> Result<Encoded<M>, WireError> {
        Encoded::new(&self, limits)
    }
}

/// An archived message ready to be sent.
#[derive(Debug)]
pub struct Encoded<M> {
    segment: Segment,
    message: PhantomData<fn() -> M>,
}

impl<M: Message> Encoded<M> {
    /// Archives `value`.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLarge`] or [`WireError::TooDeep`] if a limit is passed; [`WireError::Malformed`]
    /// if what claims to be an archive is too short for one.
    pub fn new<T: Encode<M> + ?Sized>(value: &T, limits: &Limits) -> Result<Self, WireError> {
        let segment = match value.archived() {
            Some(segment) if segment.len() > limits.bytes() => {
                return Err(WireError::TooLarge {
                    max_bytes: limits.bytes(),
                });
            }
            Some(segment) if segment.len() < REF_SIZE as usize => {
                return Err(WireError::Malformed("an archive without a root"));
            }
            Some(segment) => segment,
            None => Builder::archive(value, limits)?,
        };
        Ok(Self {
            segment,
            message: PhantomData,
        })
    }

    /// The archive.
    #[must_use]
    pub const fn segment(&self) -> &Segment {
        &self.segment
    }

    /// The archive, without its type.
    #[must_use]
    pub fn into_segment(self) -> Segment {
        self.segment
    }
}

/// Where a view's bytes live, so that copying it out can share instead.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    archive: Option<&'a Bytes>,
}

impl<'a> Origin<'a> {
    /// A view of memory nobody shares: everything is copied.
    pub const COPY: Origin<'static> = Origin { archive: None };

    /// `bytes` values shorter than this are copied even so, lest they pin a large archive.
    pub const SHARED_BYTES_MIN: usize = 1024;

    /// A view into `archive`.
    #[must_use]
    pub const fn shared(archive: &'a Bytes) -> Self {
        Self {
            archive: Some(archive),
        }
    }

    /// `slice` as an owned buffer: shared when it is large and lies in the archive, else copied.
    #[must_use]
    pub fn bytes(&self, slice: &[u8]) -> Bytes {
        match self.archive {
            Some(archive)
                if slice.len() >= Self::SHARED_BYTES_MIN
                    && archive.as_ptr_range().start <= slice.as_ptr_range().start
                    && slice.as_ptr_range().end <= archive.as_ptr_range().end =>
            {
                archive.slice_ref(slice)
            }
            _ => Bytes::copy_from_slice(slice),
        }
    }

    /// A message's view as an owned message.
    #[must_use]
    #[inline]
    pub fn message<M: Message>(&self, view: M::View<'_>) -> M {
        M::from_view(view, self)
    }

    /// A message's view as an owned message, if there is one.
    #[must_use]
    #[inline]
    pub fn optional<M: Message>(&self, view: Option<M::View<'_>>) -> Option<M> {
        view.map(|view| M::from_view(view, self))
    }

    /// A list of messages as owned messages.
    #[must_use]
    pub fn list<M: Message>(&self, list: ListView<'_, M>) -> Vec<M> {
        list.iter().map(|view| M::from_view(view, self)).collect()
    }

    /// The unknown fields of a view, in the form an owned message keeps them.
    #[must_use]
    pub fn unknown_fields(&self, raw: &[u8]) -> UnknownFields {
        UnknownFields::from_raw(if raw.is_empty() {
            Bytes::new()
        } else {
            self.bytes(raw)
        })
    }
}
