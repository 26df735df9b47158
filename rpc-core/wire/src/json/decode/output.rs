//! A forward writer of protobuf that fills in lengths afterwards.

use crate::layout::Kind;
use crate::protobuf::{WireType, wire_type_of, zigzag};

/// Protobuf in progress.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
}

/// Where the contents of an open field begin.
#[derive(Clone, Copy)]
pub(super) struct Mark(usize);

impl Output {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Begins a field whose length is not known yet.
    pub(super) fn open(&mut self, number: u32) -> Mark {
        self.tag(number, WireType::Delimited);
        self.bytes.extend_from_slice(&[0; LENGTH_WIDTH]);
        Mark(self.bytes.len())
    }

    /// Ends the field, now that its length is known.
    pub(super) fn close(&mut self, Mark(start): Mark) {
        let mut length = self.bytes.len() - start;
        for (index, byte) in self.bytes[start - LENGTH_WIDTH..start]
            .iter_mut()
            .enumerate()
        {
            // Every byte but the last says that another follows, even where only zeros do.
            let more = if index + 1 < LENGTH_WIDTH { 0x80 } else { 0 };
            *byte = (length & 0x7f) as u8 | more;
            length >>= 7;
        }
    }

    /// Takes an open field back.
    pub(super) fn abandon(&mut self, Mark(start): Mark, number: u32) {
        let tag = crate::protobuf::varint_len(crate::protobuf::tag(number, WireType::Delimited));
        self.bytes.truncate(start - LENGTH_WIDTH - tag);
    }

    /// Replaces the contents of an open field.
    pub(super) fn replace(&mut self, Mark(start): Mark, fill: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.truncate(start);
        fill(&mut self.bytes);
    }

    pub(super) fn contents(&self, Mark(start): Mark) -> &[u8] {
        &self.bytes[start..]
    }

    pub(super) fn delimited(&mut self, number: u32, bytes: &[u8]) {
        self.tag(number, WireType::Delimited);
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn tagged_scalar(&mut self, number: u32, kind: &Kind, bits: u64) {
        self.tag(number, wire_type_of(kind));
        self.scalar(kind, bits);
    }

    /// Writes a scalar given as its two's complement or float bits, signed ones extended.
    pub(super) fn scalar(&mut self, kind: &Kind, bits: u64) {
        match wire_type_of(kind) {
            WireType::Fixed32 => self.bytes.extend_from_slice(&(bits as u32).to_le_bytes()),
            WireType::Fixed64 => self.bytes.extend_from_slice(&bits.to_le_bytes()),
            _ if matches!(kind, Kind::Sint32 | Kind::Sint64) => {
                self.varint(zigzag(bits.cast_signed()));
            }
            _ => self.varint(bits),
        }
    }

    /// Whether two of these ranges hold the same bytes.
    pub(super) fn has_duplicates(&self, ranges: &mut [(u32, u32)]) -> bool {
        let bytes = |range: &(u32, u32)| &self.bytes[range.0 as usize..range.1 as usize];
        ranges.sort_unstable_by(|left, right| bytes(left).cmp(bytes(right)));
        ranges
            .windows(2)
            .any(|pair| bytes(&pair[0]) == bytes(&pair[1]))
    }

    fn tag(&mut self, number: u32, wire_type: WireType) {
        self.varint(crate::protobuf::tag(number, wire_type));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

/// Five bytes of seven bits hold any length below 2 GiB.
const LENGTH_WIDTH: usize = 5;
