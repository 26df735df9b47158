//! Transcoding between protobuf's wire format and archives, driven by field tables.
//!
//! No message tree is built in between, in either direction. What one direction accepts and the
//! other writes is proto3's wire format as the protobuf documentation defines it:
//!
//! - fields come in any order and any number of times: the last scalar wins, messages merge,
//!   lists append (packed or not), of a oneof the last arm wins, of equal map keys the last entry;
//! - fields that the layout does not know, or knows with another wire type, are kept verbatim per
//!   message and written again behind the known ones;
//! - strings must be UTF-8, enums are open, groups are skipped up to their matching end;
//! - output is deterministic: fields ascending, lists of scalars packed, maps in key order.

#![deny(unsafe_code)]

mod backward;
mod decode;
mod encode;
mod reader;
mod source;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::WireError;
use crate::dynamic::DynTable;
use crate::layout::{Kind, Layout};
use crate::limits::Limits;
use crate::segment::Segment;
use backward::Backward;
#[cfg(feature = "json")]
pub(crate) use backward::{varint_len, zigzag};
#[cfg(feature = "json")]
pub(crate) use encode::tag;
pub(crate) use reader::WireType;
use source::Source;

/// Turns a protobuf message into an archive.
///
/// `limits.max_bytes` bounds the archive, and is checked before memory for it is allocated: a
/// short message that would unfold into a long archive is refused, not attempted. Working memory
/// is bounded by a small multiple of `input` and the limit, time is linear in `input` but for
/// the sorting of map keys and of fields out of order.
///
/// # Errors
///
/// [`WireError::Decode`] says where the input is malformed; [`WireError::TooLarge`] and
/// [`WireError::TooDeep`] name the limit that it passes.
pub fn to_archive(
    layout: &'static Layout,
    input: &[u8],
    limits: &Limits,
) -> Result<Vec<u8>, WireError> {
    decode::to_archive(layout, input, limits, Vec::with_capacity)
}

/// The same in a buffer of the caller's, who is asked for one of about so many bytes.
///
/// What is in it is cleared away.
///
/// # Errors
///
/// As [`to_archive`].
pub fn to_archive_in(
    layout: &'static Layout,
    input: &[u8],
    limits: &Limits,
    room: impl FnOnce(usize) -> Vec<u8>,
) -> Result<Vec<u8>, WireError> {
    decode::to_archive(layout, input, limits, room)
}

/// Turns an archived message into protobuf.
#[must_use]
pub fn from_archive(table: DynTable<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    append(table, &mut out);
    out
}

/// Appends an archived message as protobuf to `out`, in one pass.
pub fn append(table: DynTable<'_>, out: &mut Vec<u8>) {
    let mut writer = Backward::new(out, EXPECTED_BYTES);
    encode::table(&mut writer, table);
    writer.finish();
}

/// Turns an archive into protobuf behind a prefix that is made from its length.
///
/// Long strings and bytes are not copied but shared with the archive, as parts of their own behind
/// the first one; joined, the parts are the whole. What the archive itself shares stays where it is.
///
/// # Errors
///
/// When the bytes are no valid archive of the layout.
pub fn to_parts<const N: usize>(
    layout: &'static Layout,
    archive: Segment,
    limits: &Limits,
    prefix: impl FnOnce(usize) -> [u8; N],
) -> Result<(Bytes, Vec<Bytes>), WireError> {
    let source = Source::new(archive);
    let table = DynTable::from_archive(layout, source.archive(), limits)?;
    let mut out = Vec::new();
    let expected = source.archive().len().min(EXPECTED_BYTES) + N;
    let mut writer = Backward::new(&mut out, expected).sharing(&source);
    encode::table(&mut writer, table);
    let prefix = prefix(writer.written());
    writer.put(&prefix);
    Ok(writer.into_parts())
}

/// How many bytes an archived message takes as protobuf.
#[must_use]
pub fn encoded_len(table: DynTable<'_>) -> usize {
    encode::table_len(table)
}

/// Room that suffices for most messages; clearing it costs less than growing once.
const EXPECTED_BYTES: usize = 512;

/// The wire type in which a single value of `kind` is written.
#[inline]
pub(crate) fn wire_type_of(kind: &Kind) -> WireType {
    match kind {
        Kind::Bool
        | Kind::Int32
        | Kind::Sint32
        | Kind::Uint32
        | Kind::Int64
        | Kind::Sint64
        | Kind::Uint64
        | Kind::Enum(_) => WireType::Varint,
        Kind::Sfixed32 | Kind::Fixed32 | Kind::Float => WireType::Fixed32,
        Kind::Sfixed64 | Kind::Fixed64 | Kind::Double => WireType::Fixed64,
        Kind::String | Kind::Bytes | Kind::Message(_) => WireType::Delimited,
    }
}
