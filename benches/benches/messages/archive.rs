//! Our archive, through the code that the compiler emits.

use bytes::Bytes;
use dreammesh::Encoded;
use dreammesh::codegen::{Limits, Message, Msg};

pub(crate) fn encode<M: Message>(message: &M) -> Encoded<M> {
    Encoded::new(message, &Limits::default()).expect("the message is far below the limits")
}

pub(crate) fn receive<M: Message>(archive: &Bytes) -> Msg<M> {
    Msg::from_archive(archive.clone(), &Limits::default()).expect("the archive is our own")
}

/// The same bytes in memory that is never freed, so that holding them counts no references.
///
/// That is what the other systems are given: a borrowed slice.
pub(crate) fn uncounted(archive: &Bytes) -> Bytes {
    Bytes::from_static(Vec::leak(archive.to_vec()))
}
