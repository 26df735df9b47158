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
    /// Reads a scalar into the body: one branch by kind for both, as most fields are scalars.
    #[inline(always)]
    pub(super) fn scalar_field(
        &mut self,
        frame: &mut Frame,
        field: &Field,
        reader: &mut Reader<'_>,
    ) -> Result<(), WireError> {
        match &field.kind {
            Kind::Bool => {
                let bits = from_varint(&Kind::Bool, reader.varint()?);
                self.put_scalar::<1>(frame, field, bits);
            }
            kind @ (Kind::Int32 | Kind::Uint32 | Kind::Enum(_) | Kind::Sint32) => {
                let bits = from_varint(kind, reader.varint()?);
                self.put_scalar::<4>(frame, field, bits);
            }
            Kind::Int64 | Kind::Uint64 => {
                let bits = reader.varint()?;
                self.put_scalar::<8>(frame, field, bits);
            }
            Kind::Sfixed32 | Kind::Fixed32 | Kind::Float => {
                let bits = u64::from(u32::from_le_bytes(reader.fixed32()?));
                self.put_scalar::<4>(frame, field, bits);
            }
            Kind::Sfixed64 | Kind::Fixed64 | Kind::Double => {
                let bits = u64::from_le_bytes(reader.fixed64()?);
                self.put_scalar::<8>(frame, field, bits);
            }
            kind => {
                let bits = from_varint(kind, reader.varint()?);
                self.put_scalar::<8>(frame, field, bits);
            }
        }
        Ok(())
    }

    /// Stores a scalar in the body; the last occurrence wins.
    #[inline(always)]
    fn put_scalar<const N: usize>(&mut self, frame: &mut Frame, field: &Field, bits: u64) {
        if let Shape::Optional { bit } = field.shape {
            self.slot::<1>(frame, bit / 8)[0] |= 1 << (bit % 8);
        } else if bits == 0 {
            return self.reset_scalar(frame, field);
        }
        self.slot::<N>(frame, field.offset)
            .copy_from_slice(&bits.to_le_bytes()[..N]);
    }

    /// A default is only stored over a value that came before it.
    #[cold]
    fn reset_scalar(&mut self, frame: &mut Frame, field: &Field) {
        let end = (field.offset + field.kind.size()) as usize;
        if end <= frame.end {
            let start = frame.body + field.offset as usize;
            self.bodies[start..frame.body + end].fill(0);
            frame.lowered = true;
        }
    }
}
