//! The messages that are exchanged, and what reading all of one means.
//!
//! A message is one file: its constants, a builder per representation, and a reader per
//! representation that folds every field into a [`Digest`]. Equal digests on both sides are what
//! makes "all fields read" more than a claim.

use crate::failure::Failure;

pub mod blob;
pub(crate) mod fields;
pub mod order;
pub mod small;

/// Which message is exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// The 63-byte message of [`small`].
    Small,
    /// The 908-byte message of [`order`].
    Order,
    /// A message of [`blob`] with a payload of so many bytes.
    Blob(usize),
    /// The same as an answer alone: what asks for it says how long it has to be.
    Fetched(usize),
}

impl Message {
    /// How many bytes a floor sends in its place: the message's size as protobuf, or the payload.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Small => small::PROTOBUF_BYTES,
            Self::Order => order::PROTOBUF_BYTES,
            Self::Blob(bytes) | Self::Fetched(bytes) => bytes,
        }
    }
}

/// A cheap summary that cannot be computed without visiting every field.
///
/// Text contributes its length and both end bytes: enough that the bytes must be reachable and
/// found, without turning the figure into one of checksumming speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(u64);

impl Digest {
    /// Folds a number in.
    #[inline]
    pub const fn number(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    /// Folds a floating-point number in, by its bits.
    #[inline]
    pub const fn float(&mut self, value: f64) {
        self.number(value.to_bits());
    }

    /// Folds text or bytes in.
    #[inline]
    pub fn bytes(&mut self, value: &[u8]) {
        let ends = match (value.first(), value.last()) {
            (Some(first), Some(last)) => u64::from(*first) << 8 | u64::from(*last),
            _ => 0,
        };
        self.number((value.len() as u64) << 16 | ends);
    }

    /// Fails when what was received is not what was sent.
    ///
    /// # Errors
    /// When the two digests differ.
    #[inline]
    pub fn expect(self, expected: Self) -> Result<(), Failure> {
        if self == expected {
            Ok(())
        } else {
            Err(mismatch(self, expected))
        }
    }
}

#[cold]
fn mismatch(found: Digest, expected: Digest) -> Failure {
    Failure::Call(format!(
        "the message read back differs: {found:?} instead of {expected:?}"
    ))
}
