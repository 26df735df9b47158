//! Messages as gRPC has them: with a prefix before them, and compressed where that is agreed on.

use bytes::Bytes;
use dreammesh_core::call::Status;
use dreammesh_core::message;
use dreammesh_core::wire::{Layout, Segment};

use super::encoding::Encoding;
use super::prefix::{self, PREFIX_BYTES};

/// How the messages of a call are formed, whichever way they go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) layout: &'static Layout,
    /// What they may be compressed with.
    pub(super) encoding: Option<Encoding>,
}

impl Form {
    /// A message with its prefix, as it is sent: a first part, and often nothing behind it.
    ///
    /// # Errors
    /// INTERNAL when the segment is no archive of the layout, RESOURCE_EXHAUSTED when gRPC has no
    /// message so long.
    pub(super) fn message(&self, message: Segment) -> Result<(Bytes, Vec<Bytes>), Status> {
        let mut length = 0;
        let mut prefixed = Ok(());
        let prefix = |message_bytes| {
            length = message_bytes;
            prefix::prefix(false, length).unwrap_or_else(|status| {
                prefixed = Err(status);
                [0; PREFIX_BYTES]
            })
        };
        let parts = message::send_parts(message, self.layout, prefix)
            .map_err(|error| Status::internal(format!("the message cannot be sent: {error}")))?;
        prefixed?;
        match self.encoding {
            Some(encoding) if length >= COMPRESSED_BYTES_MIN => compressed(encoding, parts),
            _ => Ok(parts),
        }
    }
}

/// The same message, compressed if that makes it shorter.
fn compressed(
    encoding: Encoding,
    parts: (Bytes, Vec<Bytes>),
) -> Result<(Bytes, Vec<Bytes>), Status> {
    let (first, rest) = &parts;
    let joined;
    let message = match rest.is_empty() {
        true => &first[PREFIX_BYTES..],
        false => {
            joined = [&first[PREFIX_BYTES..], &rest.concat()].concat();
            &joined
        }
    };
    let short = encoding.compress(message);
    if short.len() >= message.len() {
        return Ok(parts);
    }
    let prefix = prefix::prefix(true, short.len())?;
    Ok((Bytes::copy_from_slice(&prefix), vec![short]))
}

/// A shorter message leaves in one packet whatever is done to it.
const COMPRESSED_BYTES_MIN: usize = 512;
