//! Messages as gRPC has them: with a prefix before them, and compressed where that is agreed on.

#[cfg(feature = "json")]
use std::sync::Arc;

use bytes::Bytes;
use dreammesh_core::call::{Compression, Status};
use dreammesh_core::message;
use dreammesh_core::port::{Received, WireMode};
use dreammesh_core::wire::{Layout, Limits, Segment, WireError};

use super::encoding::Encoding;
#[cfg(feature = "json")]
use super::json;
use super::prefix::{self, Framed, PREFIX_BYTES};

/// How the messages of a call are formed, whichever way they go.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) layout: &'static Layout,
    pub(crate) codec: Codec,
    /// What those are compressed with that say nothing else of themselves.
    pub(crate) usual: Option<Encoding>,
    /// What those are compressed with that ask for it; the usual one, if there is one.
    pub(crate) asked: Option<Encoding>,
}

/// What messages are written in.
#[derive(Clone, Debug)]
pub(crate) enum Codec {
    /// What came is read by who takes it.
    Protobuf,
    /// What came is read before it is handed on, for a protocol that has a code of its own for what
    /// cannot be.
    ReadProtobuf,
    /// With the messages that an `Any` may hold.
    #[cfg(feature = "json")]
    Json(Arc<[&'static Layout]>),
}

impl Form {
    /// What a message is compressed with.
    pub(crate) const fn encoding(&self, compression: Compression) -> Option<Encoding> {
        match compression {
            Compression::Auto => self.usual,
            Compression::On => self.asked,
            Compression::Off => None,
        }
    }

    /// What a head says that is sent for such a message, and that binds those that follow it.
    ///
    /// Whoever decides for one message may decide otherwise for the next one.
    pub(crate) const fn named(&self, first: Compression) -> Option<Encoding> {
        match first {
            Compression::Auto => self.usual,
            Compression::On | Compression::Off => self.asked,
        }
    }

    /// A message with its prefix, as it is sent: a first part, and often nothing behind it.
    ///
    /// # Errors
    /// INTERNAL when the segment is no archive of the layout or has no form in JSON,
    /// RESOURCE_EXHAUSTED when gRPC has no message so long.
    pub(crate) fn message(
        &self,
        message: Segment,
        compression: Compression,
    ) -> Result<(Bytes, Vec<Bytes>), Status> {
        self.message_by(self.encoding(compression), message, compression)
    }

    /// The same, by that encoding if by any.
    ///
    /// # Errors
    /// As [`Self::message`].
    pub(crate) fn message_by(
        &self,
        encoding: Option<Encoding>,
        message: Segment,
        compression: Compression,
    ) -> Result<(Bytes, Vec<Bytes>), Status> {
        let mut length = 0;
        let mut prefixed = Ok(());
        let prefix = |message_bytes| {
            length = message_bytes;
            prefix::prefix(false, length).unwrap_or_else(|status| {
                prefixed = Err(status);
                [0; PREFIX_BYTES]
            })
        };
        let parts = match &self.codec {
            Codec::Protobuf | Codec::ReadProtobuf => {
                message::send_parts(message, self.layout, prefix)
            }
            #[cfg(feature = "json")]
            Codec::Json(types) => json::parts(message, self.layout, types, prefix),
        };
        let parts = parts
            .map_err(|error| Status::internal(format!("the message cannot be sent: {error}")))?;
        prefixed?;
        let is_asked = compression == Compression::On;
        match encoding {
            Some(encoding) if is_asked || length >= COMPRESSED_BYTES_MIN => {
                compressed(encoding, parts, is_asked)
            }
            _ => Ok(parts),
        }
    }
}

impl Codec {
    /// A message that came, in a form that handlers take.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when it is no such message, and where; RESOURCE_EXHAUSTED when it exceeds
    /// the limits. Of [`Self::Protobuf`], that is seen by who takes it.
    pub(crate) fn received(
        &self,
        message: Framed,
        layout: &'static Layout,
        limits: &Limits,
    ) -> Result<Received, Status> {
        let Framed { compressed, bytes } = message;
        let received = Received {
            bytes,
            mode: WireMode::Protobuf,
            compressed,
        };
        let archive = match self {
            Self::Protobuf => return Ok(received),
            Self::ReadProtobuf => read(received, layout, limits)?,
            #[cfg(feature = "json")]
            Self::Json(types) => json::received(&received.bytes, layout, types, limits)?,
        };
        Ok(Received {
            bytes: archive,
            mode: WireMode::Archive,
            compressed,
        })
    }
}

/// A message in protobuf as an archive.
fn read(received: Received, layout: &'static Layout, limits: &Limits) -> Result<Bytes, Status> {
    let archive = message::receive_dynamic(received, layout, limits);
    archive.map_err(|error| match error {
        WireError::TooLarge { .. } => Status::resource_exhausted(format!("message: {error}")),
        _ => {
            let name = layout.name;
            Status::invalid_argument(format!("the protobuf is no {name}: {error}"))
        }
    })
}

/// The same message, compressed if that is asked for or makes it shorter.
fn compressed(
    encoding: Encoding,
    parts: (Bytes, Vec<Bytes>),
    is_asked: bool,
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
    if !is_asked && short.len() >= message.len() {
        return Ok(parts);
    }
    let prefix = prefix::prefix(true, short.len())?;
    Ok((Bytes::copy_from_slice(&prefix), vec![short]))
}

/// A shorter message leaves in one packet whatever is done to it.
const COMPRESSED_BYTES_MIN: usize = 512;
