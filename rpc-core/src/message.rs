//! Messages between their archive and the form they cross a connection in.
//!
//! A carrier sends what [`send`] gives for the form it has settled on with its peer; what it
//! receives it hands over as it came, and [`receive`] brings it into the one form that handlers
//! and callers see. Both run in the task of the handler or caller, never under a lock.

use bytes::Bytes;
use dreammesh_wire::{
    DynTable, Encoded, Layout, Limits, Message, Msg, Segment, WireError, protobuf,
};

use crate::call::Status;
use crate::port::{Received, WireMode};
use crate::shelf;

/// What one message may come to when it is made: the receiver's limit decides what is taken.
pub(crate) fn send_limits() -> Limits {
    Limits::default().with_max_bytes(Limits::MAX_BYTES)
}

/// A received message as the validated archive that is read in place.
///
/// # Errors
/// When the bytes are not such a message, or exceed the limits in either form.
pub fn receive<M: Message>(received: Received, limits: &Limits) -> Result<Msg<M>, WireError> {
    match received.mode {
        WireMode::Archive => Msg::from_archive(received.bytes, limits),
        WireMode::Protobuf => {
            let archive = transcoded(M::LAYOUT, &received.bytes, limits)?;
            Msg::from_archive(archive, limits)
        }
    }
}

/// A received message of a type that is known only when the program runs, as an archive; reading
/// that by the layout validates it.
///
/// # Errors
/// When protobuf is no such message, or exceeds the limits in either form.
pub fn receive_dynamic(
    received: Received,
    layout: &'static Layout,
    limits: &Limits,
) -> Result<Bytes, WireError> {
    match received.mode {
        WireMode::Archive => Ok(received.bytes),
        WireMode::Protobuf => transcoded(layout, &received.bytes, limits),
    }
}

/// What came as protobuf as an archive; the limit bounds it before memory for it is allocated.
fn transcoded(layout: &'static Layout, input: &[u8], limits: &Limits) -> Result<Bytes, WireError> {
    if input.len() < SHELF_BYTES_MIN {
        return protobuf::to_archive(layout, input, limits).map(Bytes::from);
    }
    let archive = protobuf::to_archive_in(layout, input, limits, shelf::take)?;
    let bytes = archive.len();
    Ok(shelf::message(archive, bytes))
}

/// An archive in the form in which it is sent.
///
/// # Errors
/// When the segment is no valid archive of the layout, which one built by this library is.
pub fn send(
    mode: WireMode,
    segment: Segment,
    layout: &'static Layout,
) -> Result<Segment, WireError> {
    match mode {
        WireMode::Archive => Ok(segment),
        WireMode::Protobuf => to_protobuf(segment, layout),
    }
}

/// An archive as protobuf behind a prefix that is made from its length, such as gRPC's.
///
/// Long strings and bytes are shared with the archive, as parts of their own behind the first one.
///
/// # Errors
/// When the segment is no valid archive of the layout, which one built by this library is.
pub fn send_parts<const N: usize>(
    segment: Segment,
    layout: &'static Layout,
    prefix: impl FnOnce(usize) -> [u8; N],
) -> Result<(Bytes, Vec<Bytes>), WireError> {
    protobuf::to_parts(layout, segment, &send_limits(), prefix)
}

/// An allocator keeps what is smaller.
const SHELF_BYTES_MIN: usize = 64 * 1024;

/// Why a received message cannot be read, as the status of its call.
pub(crate) fn unreadable(error: &WireError) -> Status {
    match error {
        WireError::TooLarge { .. } => Status::resource_exhausted(format!("message: {error}")),
        _ => Status::internal(format!("the message cannot be read: {error}")),
    }
}

/// Why a message cannot be sent, as the status of its call.
pub(crate) fn unsendable(error: &WireError) -> Status {
    match error {
        WireError::TooLarge { .. } => Status::resource_exhausted(format!("message: {error}")),
        _ => Status::internal(format!("the message cannot be sent: {error}")),
    }
}

/// Reads a message made in this process as if it had been received.
pub(crate) fn reread<M: Message>(encoded: Encoded<M>) -> Result<Msg<M>, WireError> {
    Msg::from_archive(encoded.into_segment().into_bytes(), &send_limits())
}

/// Reads a copy of a message made in this process as if it had been received.
pub(crate) fn reread_segment<M: Message>(segment: &Segment) -> Result<Msg<M>, WireError> {
    let mut copy = Vec::new();
    segment.copy_to(&mut copy);
    Msg::from_archive(copy.into(), &send_limits())
}

fn to_protobuf(segment: Segment, layout: &'static Layout) -> Result<Segment, WireError> {
    let archive = segment.into_bytes();
    let table = DynTable::from_archive(layout, &archive, &send_limits())?;
    Ok(Segment::from_vec(protobuf::from_archive(table)))
}

/// A message made in this process as protobuf.
pub(crate) fn encoded_to_protobuf<M: Message>(encoded: Encoded<M>) -> Result<Bytes, WireError> {
    to_protobuf(encoded.into_segment(), M::LAYOUT).map(Segment::into_bytes)
}

/// An owned message as protobuf.
pub(crate) fn to_protobuf_bytes<M: Message>(message: &M) -> Result<Bytes, WireError> {
    encoded_to_protobuf(Encoded::new(message, &send_limits())?)
}

/// A message from protobuf, for use in this process.
pub(crate) fn from_protobuf_bytes<M: Message>(
    bytes: &[u8],
    limits: &Limits,
) -> Result<Msg<M>, WireError> {
    Msg::from_archive(
        protobuf::to_archive(M::LAYOUT, bytes, limits)?.into(),
        limits,
    )
}
