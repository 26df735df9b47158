//! Protobuf in parts, from archives that share their long values.

use bytes::Bytes;
use dreammesh_wire::{DynTable, Encoded, Limits, Segment, UnknownFields, protobuf};

use crate::sample::{Leaf, SAMPLE_LAYOUT, Sample, sample::Choice};

/// Bytes that differ by their number and their place.
fn bytes(number: u8, len: usize) -> Bytes {
    (0..len).map(|at| number ^ (at % 251) as u8).collect()
}

/// A message with bytes of that length wherever there may be some.
fn message(len: usize) -> Sample {
    Sample {
        f_int32: 7,
        f_string: "long ".repeat(1000),
        f_bytes: bytes(1, len),
        o_bytes: Some(bytes(2, len)),
        leaf: Some(Leaf::default()),
        r_string: vec!["x".repeat(4096), "short".to_owned()],
        r_bytes: vec![bytes(3, len), Bytes::new(), bytes(4, 3), bytes(5, len)],
        m_uint64: [(1, bytes(6, len)), (2, bytes(7, 1))].into(),
        choice: Some(Choice::CBytes(bytes(8, len))),
        late: Some(9),
        unknown_fields: UnknownFields::from_raw(Bytes::from_static(&[0xf8, 0x3f, 5])),
        ..Sample::default()
    }
}

fn segment(message: &Sample) -> Segment {
    let encoded = Encoded::new(message, &Limits::default());
    encoded.unwrap().into_segment()
}

fn in_parts(segment: Segment) -> Vec<Bytes> {
    let length = |length: usize| (length as u32).to_be_bytes();
    let parts = protobuf::to_parts(&SAMPLE_LAYOUT, segment, &Limits::default(), length);
    let (first, rest) = parts.unwrap();
    [vec![first], rest].concat()
}

#[test]
fn what_is_shared_comes_out_as_if_it_were_in_the_archive() {
    for len in [4095, 4096, (16 << 10) - 1, 16 << 10, 40_000, 300_000] {
        let message = message(len);
        let archive = segment(&message).into_bytes();
        let table = DynTable::from_archive(&SAMPLE_LAYOUT, &archive, &Limits::default());
        let expected = protobuf::from_archive(table.unwrap());
        let length = (expected.len() as u32).to_be_bytes();
        for segment in [segment(&message), Segment::from_bytes(archive)] {
            assert_eq!(
                in_parts(segment).concat(),
                [&length, &expected[..]].concat()
            );
        }
    }
}

#[test]
fn what_is_shared_is_not_copied() {
    let message = message(16 << 10);
    let parts = in_parts(segment(&message));
    let mut shared = vec![&message.f_bytes, &message.r_bytes[0], &message.r_bytes[3]];
    shared.extend(&message.o_bytes);
    shared.extend(message.m_uint64.get(&1));
    if let Some(Choice::CBytes(bytes)) = &message.choice {
        shared.push(bytes);
    }
    assert_eq!(shared.len(), 6);
    for value in shared {
        let is_it = |part: &Bytes| part.as_ptr_range() == value.as_ptr_range();
        assert!(parts.iter().any(is_it));
    }
}

#[test]
fn an_archive_of_parts_of_which_nothing_is_known_is_joined() {
    let message = message(16 << 10);
    let archive = segment(&message).into_bytes();
    let pieces = archive.chunks(1000).map(Bytes::copy_from_slice);
    let pieces = in_parts(Segment::from_parts(pieces));
    assert_eq!(pieces.concat(), in_parts(segment(&message)).concat());
}
