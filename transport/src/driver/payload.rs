//! Messages in the form that the peer reads, made outside the lock.

use dreammesh_core::call::{MethodInfo, Status};
use dreammesh_core::message;
use dreammesh_core::port::{Outcome, WireMode};
use dreammesh_core::wire::{Layout, Segment};

/// A message as protobuf, beside the archive it was made from.
///
/// The archive stays with its owner until the protobuf form is taken, since a call that did not
/// get through may be opened on a connection whose peer reads archives.
#[derive(Debug)]
pub(super) struct Transcoded<'a> {
    archive: &'a mut Option<Segment>,
    pub(super) protobuf: Option<Segment>,
}

impl<'a> Transcoded<'a> {
    pub(super) fn new(
        archive: &'a mut Option<Segment>,
        layout: &'static Layout,
    ) -> Result<Self, Status> {
        let mut protobuf = None;
        if let Some(segment) = archive.take() {
            let bytes = segment.into_bytes();
            *archive = Some(Segment::from_bytes(bytes.clone()));
            protobuf = Some(to_protobuf(Segment::from_bytes(bytes), layout)?);
        }
        Ok(Self { archive, protobuf })
    }
}

impl Drop for Transcoded<'_> {
    fn drop(&mut self) {
        if self.protobuf.is_none() {
            *self.archive = None;
        }
    }
}

/// The layout of what this side sends of a method.
pub(super) fn sent_layout(method: &'static MethodInfo, is_client: bool) -> &'static Layout {
    if is_client {
        method.request()
    } else {
        method.response()
    }
}

/// Brings the message of an outcome into the other form; if that fails, so does the call.
pub(super) fn make_protobuf(outcome: &mut Outcome, method: &'static MethodInfo) {
    let Some(archive) = outcome.message.take() else {
        return;
    };
    match to_protobuf(archive, method.response()) {
        Ok(protobuf) => outcome.message = Some(protobuf),
        Err(status) => outcome.status = status,
    }
}

fn to_protobuf(segment: Segment, layout: &'static Layout) -> Result<Segment, Status> {
    message::send(WireMode::Protobuf, segment, layout)
        .map_err(|error| Status::internal(format!("the message cannot be sent: {error}")))
}
