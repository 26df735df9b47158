//! What an agent keeps on disk, as bytes.
//!
//! A file is [`MAGIC`], the length of the body, a hash of the body, and the body: a
//! [`proto::State`] as protobuf. The hash finds what a disk or a crash did, and no intent: whoever
//! may write the file may also write a right one, so whatever is in it is checked like anything
//! from outside when it becomes an [`Instance`](crate::instance::Instance).

use std::borrow::Borrow;
use std::fmt;

use dreammesh_core::codec::Protobuf;
use dreammesh_core::wire::{Limits, Message, Msg, WireError, protobuf};

use crate::proto;

/// What a file of this version begins with.
pub const MAGIC: [u8; 8] = *b"DMSTATE1";

/// How large a file may be, in bytes: 100,000 instances of the usual size take half of it.
pub const FILE_BYTES_MAX: usize = 64 << 20;

/// The bytes of a file.
///
/// # Errors
/// When it has more than [`FILE_BYTES_MAX`].
pub fn encode(state: &proto::State) -> Result<Vec<u8>, StateError> {
    encode_parts([state])
}

/// The bytes of a file whose state comes in parts, each of which may have some of the instances:
/// put together as messages, in their order. So not all of a large state need be there at a time.
///
/// # Errors
/// When it has more than [`FILE_BYTES_MAX`].
pub fn encode_parts(
    parts: impl IntoIterator<Item = impl Borrow<proto::State>>,
) -> Result<Vec<u8>, StateError> {
    let mut bytes = vec![0; HEAD_BYTES];
    for part in parts {
        // Messages one behind the other are one message, by the rules of protobuf.
        let part = part.borrow().to_protobuf().map_err(StateError::Message)?;
        if bytes.len() + part.len() > FILE_BYTES_MAX {
            return Err(StateError::Large);
        }
        bytes.extend(part);
    }
    let (head, body) = bytes.split_at_mut(HEAD_BYTES);
    let length = (body.len() as u64).to_le_bytes();
    let words = [MAGIC, length, hash(body).to_le_bytes()];
    head.copy_from_slice(words.as_flattened());
    Ok(bytes)
}

/// What a file says.
///
/// # Errors
/// When it is not what [`encode`] gave, byte for byte.
pub fn decode(bytes: &[u8]) -> Result<proto::State, StateError> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(StateError::Large);
    }
    let (magic, rest) = bytes.split_first_chunk().ok_or(StateError::Cut)?;
    if *magic != MAGIC {
        return Err(StateError::Other);
    }
    let (length, rest) = rest.split_first_chunk().ok_or(StateError::Cut)?;
    let (stated, body) = rest.split_first_chunk().ok_or(StateError::Cut)?;
    if u64::from_le_bytes(*length) != body.len() as u64 {
        return Err(StateError::Cut);
    }
    if u64::from_le_bytes(*stated) != hash(body) {
        return Err(StateError::Changed);
    }
    let limits = Limits::default().with_max_bytes(ARCHIVE_BYTES_MAX);
    let archive = protobuf::to_archive(proto::State::LAYOUT, body, &limits);
    let archive = archive.map_err(StateError::Message)?;
    let state = Msg::<proto::State>::from_archive(archive.into(), &limits);
    state.map(Msg::into_owned).map_err(StateError::Message)
}

/// FNV-1a over 64 bits: any single byte that is another gives another hash.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The magic, the length, the hash.
const HEAD_BYTES: usize = 8 + 8 + 8;
/// Archives are larger than protobuf, up to several times where numbers are small.
const ARCHIVE_BYTES_MAX: usize = 8 * FILE_BYTES_MAX;

/// Why bytes are no state.
#[derive(Debug)]
#[non_exhaustive]
pub enum StateError {
    /// They are something else, or of another version.
    Other,
    /// They are not all there, or there are more.
    Cut,
    /// They are not as they were written.
    Changed,
    /// They are more than [`FILE_BYTES_MAX`].
    Large,
    /// They hold no message.
    Message(WireError),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other => f.write_str("it is no state of an agent, or one of another version"),
            Self::Cut => f.write_str("it is shorter or longer than it says"),
            Self::Changed => f.write_str("it is not as it was written"),
            Self::Large => write!(f, "it has more than {FILE_BYTES_MAX} bytes"),
            Self::Message(error) => write!(f, "its message cannot be read: {error}"),
        }
    }
}

impl std::error::Error for StateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Message(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> proto::State {
        let instance = proto::Instance {
            id: "catalog-1".into(),
            service: "catalog".into(),
            addresses: vec!["10.0.0.7".into()],
            ..Default::default()
        };
        proto::State {
            agent: "a".into(),
            epoch: "e".into(),
            written_unix_ms: 1,
            instances: vec![instance; 3],
            ..Default::default()
        }
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let bytes = encode(&sample()).unwrap();
        assert_eq!(decode(&bytes).unwrap(), sample());
        let nothing = proto::State::default();
        assert_eq!(decode(&encode(&nothing).unwrap()).unwrap(), nothing);
    }

    #[test]
    fn parts_are_one_state() {
        let whole = sample();
        let mut parts = vec![proto::State {
            instances: Vec::new(),
            ..whole.clone()
        }];
        parts.extend(whole.instances.iter().map(|instance| proto::State {
            instances: vec![instance.clone()],
            ..Default::default()
        }));
        let bytes = encode_parts(&parts).unwrap();
        assert_eq!(bytes, encode(&whole).unwrap());
        assert_eq!(decode(&bytes).unwrap(), whole);
    }

    #[test]
    fn parts_together_are_as_large_as_a_file_may_be_and_no_larger() {
        let part = |bytes: usize| proto::State {
            agent: "a".repeat(bytes),
            ..Default::default()
        };
        // What stands around a text that long takes five bytes.
        let half = part(FILE_BYTES_MAX / 2);
        let rest = FILE_BYTES_MAX / 2 - HEAD_BYTES - 2 * 5;
        let bytes = encode_parts([&half, &part(rest)]).unwrap();
        assert_eq!(bytes.len(), FILE_BYTES_MAX);
        let beyond = encode_parts([&half, &part(rest + 1)]);
        assert!(matches!(beyond, Err(StateError::Large)));
    }

    #[test]
    fn no_byte_can_change_and_none_can_be_missing() {
        let bytes = encode(&sample()).unwrap();
        for at in 0..bytes.len() {
            assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut other = bytes.clone();
                other[at] ^= 1 << bit;
                assert!(decode(&other).is_err(), "bit {bit} of {at}");
            }
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(matches!(decode(&longer), Err(StateError::Cut)));
    }

    #[test]
    fn what_is_too_large_is_not_looked_at() {
        let at = vec![0; FILE_BYTES_MAX];
        assert!(matches!(decode(&at), Err(StateError::Other)));
        let beyond = vec![0; FILE_BYTES_MAX + 1];
        assert!(matches!(decode(&beyond), Err(StateError::Large)));
    }
}
