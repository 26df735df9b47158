//! Messages whose own lengths and counts lie.

use dreammesh_core::wire::{IntoMessage, Limits};
use dreammesh_core::wkt::FieldMask;

/// A message with a list and strings, archived.
pub(crate) fn sample() -> Vec<u8> {
    let mask = FieldMask {
        paths: ["oak", "elm.leaf", "a longer path than the others"]
            .map(String::from)
            .into(),
        ..FieldMask::default()
    };
    let message = mask.into_message(&Limits::default()).unwrap();
    message.into_segment().into_vec()
}

/// `valid` with every four bytes in it, wherever they lie, replaced by each of some great numbers:
/// so each length, count, stride and offset in it lies at least once.
pub(crate) fn with_great_numbers(valid: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for at in 0..valid.len().saturating_sub(3) {
        for lie in [u32::MAX, i32::MAX as u32, 1 << 28, 4 << 20] {
            let mut bytes = valid.to_vec();
            bytes[at..at + 4].copy_from_slice(&lie.to_le_bytes());
            all.push(bytes);
        }
    }
    all
}

/// Protobuf whose lengths lead beyond the message: of field 1, of unknown fields, at the limit of
/// what a length can say and beyond it.
pub(crate) fn protobuf() -> Vec<Vec<u8>> {
    let lengths: [&[u8]; 5] = [
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0xff, 0xff, 0xff, 0xff, 0x07],
        &[0x80, 0x80, 0x80, 0x02],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    ];
    let mut all = Vec::new();
    for length in lengths {
        for tag in [0x0a, 0x7a] {
            all.push([&[tag], length, b"oak"].concat());
            all.push([&[0x0a, 3], &b"oak"[..], &[tag], length, b"oak"].concat());
        }
    }
    all
}
