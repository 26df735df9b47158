//! What can go wrong with an archive.

use core::fmt;

/// Why an archive was rejected or could not be built.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// The archive is shorter than its root reference, or a value points outside of it.
    OutOfBounds,
    /// Two values claim the same bytes, or values are not in field order.
    Overlap,
    /// A slot holds a combination that no writer produces.
    Malformed(&'static str),
    /// A string is not UTF-8.
    Utf8,
    /// The keys of a map are not strictly ascending.
    MapOrder,
    /// Messages nest more deeply than the limit allows.
    TooDeep {
        /// The limit in force.
        max_depth: u32,
    },
    /// The message is larger than the limit allows.
    TooLarge {
        /// The limit in force.
        max_bytes: usize,
    },
    /// A dynamic access names a field that is not there or has another type or shape.
    Mismatch(&'static str),
    /// Protobuf or JSON input is not well-formed or does not fit the message.
    Decode {
        /// What was expected.
        reason: &'static str,
        /// Where in the input, in bytes from its start.
        position: usize,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfBounds => f.write_str("a value points outside of the archive"),
            Self::Overlap => f.write_str("archived values overlap or are out of order"),
            Self::Malformed(what) => write!(f, "malformed archive: {what}"),
            Self::Utf8 => f.write_str("a string is not valid UTF-8"),
            Self::MapOrder => f.write_str("map keys are not strictly ascending"),
            Self::TooDeep { max_depth } => {
                write!(f, "messages nest more deeply than the limit of {max_depth}")
            }
            Self::TooLarge { max_bytes } => {
                write!(
                    f,
                    "the message is larger than the limit of {max_bytes} bytes"
                )
            }
            Self::Mismatch(what) => write!(f, "no such field or another type: {what}"),
            Self::Decode { reason, position } => write!(f, "{reason} at byte {position}"),
        }
    }
}

impl core::error::Error for WireError {}
