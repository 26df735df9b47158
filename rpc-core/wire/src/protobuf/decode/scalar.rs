//! Scalars: which wire type each kind has, and its value as archived bits.

use crate::WireError;
use crate::layout::{Field, Kind, Shape};
use crate::protobuf::reader::{Reader, WireType, unzigzag};
use crate::protobuf::wire_type_of;

use super::{Decoder, Frame};

/// Reads a scalar as the bits that the archive stores, in the low end of 64.
#[inline(always)]
pub(super) fn read(reader: &mut Reader<'_>, kind: &Kind) -> Result<u64, WireError> {
    match wire_type_of(kind) {
        WireType::Fixed32 => reader
            .fixed32()
            .map(|bytes| u64::from(u32::from_le_bytes(bytes))),
        WireType::Fixed64 => reader.fixed64().map(u64::from_le_bytes),
        _ => reader.varint().map(|value| from_varint(kind, value)),
    }
}

/// What a varint means for a kind: 32-bit kinds take its low half, as protobuf prescribes.
#[inline(always)]
pub(super) fn from_varint(kind: &Kind, value: u64) -> u64 {
    match kind {
        Kind::Bool => u64::from(value != 0),
        Kind::Sint32 => u64::from(unzigzag(u64::from(value as u32)) as u32),
        Kind::Sint64 => unzigzag(value) as u64,
        Kind::Int32 | Kind::Uint32 | Kind::Enum(_) => u64::from(value as u32),
        _ => value,
    }
}

impl Decoder<'_> {
    /// Stores a scalar in the body; the last occurrence wins.
    #[inline(always)]
    pub(super) fn put_scalar(&mut self, frame: &mut Frame, field: &Field, value: u64) {
        if let Shape::Optional { bit } = field.shape {
            self.slot::<1>(frame, bit / 8)[0] |= 1 << (bit % 8);
        } else if value == 0 {
            return self.reset_scalar(frame, field);
        }
        let bytes = value.to_le_bytes();
        match field.kind.size() {
            1 => *self.slot::<1>(frame, field.offset) = [bytes[0]],
            4 => self
                .slot::<4>(frame, field.offset)
                .copy_from_slice(&bytes[..4]),
            _ => *self.slot::<8>(frame, field.offset) = bytes,
        }
    }

    /// A default is only stored over a value that came before it.
    fn reset_scalar(&mut self, frame: &mut Frame, field: &Field) {
        let end = (field.offset + field.kind.size()) as usize;
        if end <= frame.end {
            let start = frame.body + field.offset as usize;
            self.bodies[start..frame.body + end].fill(0);
            frame.lowered = true;
        }
    }
}
