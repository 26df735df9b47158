//! "16KiB" and "1MiB": one opaque payload.

use std::sync::{PoisonError, RwLock};

use bytes::Bytes;

use crate::failure::Failure;
use crate::message::Digest;
use crate::{ours, peer};

/// The first byte of a payload; the last one differs, so that a digest sees a payload cut short.
const FIRST: u8 = 7;
const LAST: u8 = 9;
/// More than any workload has.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// A payload of so many bytes.
#[must_use]
pub fn payload(bytes: usize) -> Bytes {
    let mut payload = vec![FIRST; bytes];
    if let Some(last) = payload.last_mut() {
        *last = LAST;
    }
    payload.into()
}

/// How long a payload is asked for.
///
/// # Errors
/// When no workload has one so long.
pub fn wanted(bytes: u64) -> Result<usize, Failure> {
    let known = usize::try_from(bytes).ok().filter(|it| *it <= BYTES_MAX);
    known.ok_or_else(|| Failure::Call(format!("nobody asks for {bytes} bytes")))
}

/// The digest of a message with a payload of so many bytes.
#[must_use]
#[inline]
pub fn digest(bytes: usize) -> Digest {
    let mut digest = Digest::default();
    let ends = [FIRST, LAST];
    // What `Digest::bytes` folds in, without a payload of that size at hand.
    match bytes {
        0 => digest.bytes(&[]),
        1 => digest.bytes(&[LAST]),
        _ => digest.number((bytes as u64) << 16 | u64::from(u16::from_be_bytes(ends))),
    }
    digest
}

/// Reads a payload, whatever held it.
#[must_use]
#[inline]
pub fn read(payload: &[u8]) -> Digest {
    let mut digest = Digest::default();
    digest.bytes(payload);
    digest
}

/// Payloads of the sizes in use, kept so that making one is no part of a call.
#[derive(Debug, Default)]
pub struct Payloads(RwLock<Vec<Bytes>>);

impl Payloads {
    /// A payload of so many bytes, shared with everyone who asked before.
    #[must_use]
    pub fn of(&self, bytes: usize) -> Bytes {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|payload| payload.len() == bytes).cloned();
        drop(known);
        found.unwrap_or_else(|| {
            let made = payload(bytes);
            let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
            known.push(made.clone());
            made
        })
    }

    /// The message as prost's struct.
    #[must_use]
    pub fn prost(&self, bytes: usize) -> peer::Blob {
        peer::Blob {
            data: self.of(bytes),
        }
    }

    /// The message as our owned struct.
    #[must_use]
    pub fn owned(&self, bytes: usize) -> ours::Blob {
        ours::Blob {
            data: self.of(bytes),
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_payload() {
        for bytes in [0, 1, 2, 3, 16 * 1024] {
            assert_eq!(read(&payload(bytes)), digest(bytes), "{bytes} bytes");
        }
        assert_ne!(read(&payload(9)[..8]), digest(8));
    }
}
