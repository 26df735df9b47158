//! "64B": two numbers, a label and a key.

use bytes::Bytes;

use crate::failure::Failure;
use crate::handler::Handler;
use crate::message::Digest;
use crate::message::fields::read_small;
use crate::{ours, peer};

/// The message's size as protobuf.
pub const PROTOBUF_BYTES: usize = 63;
/// The value of `id` where nothing special is asked of the handler, see [`Handler`].
pub const ID: u64 = 77_000_123;
/// The value of `ts`, microseconds since 1970.
pub const TS: u64 = 1_700_000_000_123_456;
/// The value of `name`.
pub const NAME: &str = "service/method/caller";
/// The value of `data`.
pub const DATA: [u8; 24] = [7; 24];

/// The digest of the usual message, whatever its representation.
#[must_use]
pub fn digest() -> Digest {
    read_prost(&prost(Handler::Immediate))
}

/// The message as prost's struct, asking for a handler.
#[must_use]
pub fn prost(handler: Handler) -> peer::Small {
    peer::Small {
        id: handler.id(),
        ts: TS,
        name: NAME.to_owned(),
        data: DATA.to_vec(),
    }
}

/// What a server compares a request with.
#[derive(Clone, Copy, Debug)]
pub struct Expected([Digest; Handler::ALL.len()]);

impl Default for Expected {
    fn default() -> Self {
        Self(Handler::ALL.map(|handler| read_prost(&prost(handler))))
    }
}

impl Expected {
    /// Finds out which handler a request asks for, and that all of it arrived.
    ///
    /// # Errors
    /// When it is none of the messages that a client sends.
    #[inline]
    pub fn handler(&self, id: u64, digest: Digest) -> Result<Handler, Failure> {
        let handler = Handler::asked_by(id);
        digest.expect(self.0[handler as usize])?;
        Ok(handler)
    }
}

/// Reads every field of prost's struct.
#[must_use]
#[inline]
pub fn read_prost(message: &peer::Small) -> Digest {
    read_small!(message)
}

/// The message as our owned struct, asking for a handler.
#[must_use]
pub fn owned(handler: Handler) -> ours::Small {
    ours::Small {
        id: handler.id(),
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
        for handler in Handler::ALL {
            assert_eq!(prost(handler).encoded_len(), PROTOBUF_BYTES);
        }
    }

    #[test]
    fn a_server_learns_which_handler_is_asked_for() {
        let expected = Expected::default();
        for handler in Handler::ALL {
            let message = prost(handler);
            let found = expected.handler(message.id, read_prost(&message)).unwrap();
            assert_eq!(found, handler);
        }
        let wrong = peer::Small {
            ts: 0,
            ..prost(Handler::Yields)
        };
        assert!(expected.handler(wrong.id, read_prost(&wrong)).is_err());
    }
}
