//! "64B": two numbers, a label and a key.

use bytes::Bytes;

use crate::workload::Digest;
use crate::{ours, peer};

/// The message's size as protobuf.
pub const PROTOBUF_BYTES: usize = 63;
/// The value of `id`.
pub const ID: u64 = 77_000_123;
/// The value of `ts`, microseconds since 1970.
pub const TS: u64 = 1_700_000_000_123_456;
/// The value of `name`.
pub const NAME: &str = "service/method/caller";
/// The value of `data`.
pub const DATA: [u8; 24] = [7; 24];

/// The digest of the message, whatever its representation.
#[must_use]
pub fn digest() -> Digest {
    read_prost(&prost())
}

/// The message as prost's struct.
#[must_use]
pub fn prost() -> peer::Small {
    peer::Small {
        id: ID,
        ts: TS,
        name: NAME.to_owned(),
        data: DATA.to_vec(),
    }
}

/// Reads every field of prost's struct.
#[must_use]
#[inline]
pub fn read_prost(message: &peer::Small) -> Digest {
    let mut digest = Digest::default();
    digest.number(message.id);
    digest.number(message.ts);
    digest.bytes(message.name.as_bytes());
    digest.bytes(&message.data);
    digest
}

/// The message as our owned struct.
#[must_use]
pub fn owned() -> ours::Small {
    ours::Small {
        id: ID,
        ts: TS,
        name: NAME.to_owned(),
        data: Bytes::from_static(&DATA),
        ..Default::default()
    }
}

/// Reads every field of our view.
#[must_use]
#[inline]
pub fn read_view(message: ours::SmallView<'_>) -> Digest {
    let mut digest = Digest::default();
    digest.number(message.id());
    digest.number(message.ts());
    digest.bytes(message.name().as_bytes());
    digest.bytes(message.data());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    #[test]
    fn the_stated_size_is_the_size() {
        assert_eq!(prost().encoded_len(), PROTOBUF_BYTES);
    }
}
