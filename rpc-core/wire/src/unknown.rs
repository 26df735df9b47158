//! Fields that a protobuf peer sent and this schema does not know.

use bytes::Bytes;

/// Raw protobuf fields kept so that they survive a round trip; usually empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UnknownFields {
    raw: Bytes,
}

impl UnknownFields {
    /// Keeps raw protobuf fields (tags included).
    #[must_use]
    pub fn from_raw(raw: Bytes) -> Self {
        Self { raw }
    }

    /// The raw protobuf fields, tags included.
    #[must_use]
    #[inline]
    pub fn as_raw(&self) -> &[u8] {
        &self.raw
    }

    /// Whether there is none.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }
}
