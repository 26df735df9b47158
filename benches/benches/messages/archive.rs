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
