//! Any message as protobuf and as JSON, for what is not a call: files, logs, tests, bridges.
//!
//! Both go through the archive, by the field table, so that there is one reading of every schema.

use dreammesh_wire::{Encoded, Limits, Message, Msg, WireError, protobuf};

/// A message as protobuf bytes, for every message.
pub trait Protobuf: Message {
    /// Encodes the message as protobuf; unknown fields are kept.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLarge`] or [`WireError::TooDeep`] if the archive would pass what one can hold.
    fn to_protobuf(&self) -> Result<Vec<u8>, WireError> {
        Ok(protobuf::from_archive(archived(self)?.table().dynamic()))
    }

    /// Decodes a message from protobuf; fields that the schema does not know are kept.
    ///
    /// # Errors
    ///
    /// Says where the bytes are no such message, or which limit they pass.
    fn from_protobuf(bytes: &[u8]) -> Result<Self, WireError> {
        let limits = Limits::default();
        let archive = protobuf::to_archive(Self::LAYOUT, bytes, &limits)?;
        Msg::from_archive(archive.into(), &limits).map(Msg::into_owned)
    }
}

impl<M: Message> Protobuf for M {}

/// A message as JSON by the proto3 mapping, for messages generated with JSON.
pub trait Json: Message {
    /// Writes the message as JSON, without white space.
    ///
    /// # Errors
    ///
    /// If the mapping has no form for a value, such as a timestamp out of range.
    #[cfg(feature = "json")]
    fn to_json(&self) -> Result<String, WireError> {
        let options = dreammesh_wire::json::Options::new();
        dreammesh_wire::json::to_string(archived(self)?.table().dynamic(), &options)
    }

    /// Reads a message from JSON.
    ///
    /// # Errors
    ///
    /// Says where the text is no such message, or which limit it passes.
    #[cfg(feature = "json")]
    fn from_json(text: &str) -> Result<Self, WireError> {
        let limits = Limits::default();
        let options = dreammesh_wire::json::Options::new();
        let archive = dreammesh_wire::json::to_archive(Self::LAYOUT, text, &options, &limits)?;
        Msg::from_archive(archive.into(), &limits).map(Msg::into_owned)
    }
}

fn archived<M: Message>(message: &M) -> Result<Msg<M>, WireError> {
    let limits = Limits::default().with_max_bytes(Limits::MAX_BYTES);
    let segment = Encoded::new(message, &limits)?.into_segment();
    Msg::from_archive(segment.into_bytes(), &limits)
}
