//! Both directions against a model of protobuf's rules, and against bad input.

use super::*;
use crate::sample::{KINDS, all_kinds, node, number};
use crate::{DynTable, Limits, Value, WireError};

mod order;

/// Writes protobuf forwards, for tests alone.
#[derive(Clone, Default)]
struct Pb(Vec<u8>);

impl Pb {
    fn new() -> Self {
        Self::default()
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn varint(self, mut value: u64) -> Self {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        self.raw(&bytes)
    }

    fn tag(self, number: u32, wire_type: u64) -> Self {
        self.varint(u64::from(number) << 3 | wire_type)
    }

    fn int(self, number: u32, value: u64) -> Self {
        self.tag(number, 0).varint(value)
    }

    fn bytes(self, number: u32, bytes: &[u8]) -> Self {
        self.tag(number, 2).varint(bytes.len() as u64).raw(bytes)
    }

    fn message(self, number: u32, message: &Self) -> Self {
        self.bytes(number, &message.0)
    }
}

/// Transcodes, validates, and gives back protobuf.
fn canonical(layout: &'static Layout, input: &[u8]) -> Result<Vec<u8>, WireError> {
    let limits = Limits::default();
    let archive = to_archive(layout, input, &limits)?;
    let table = DynTable::from_archive(layout, &archive, &limits).expect("our archives are valid");
    let output = from_archive(table);
    assert_eq!(output.len(), encoded_len(table));
    let length = |length: usize| (length as u32).to_be_bytes();
    let (first, rest) = to_parts(layout, Segment::from_vec(archive), &limits, length)?;
    let joined = [&first[..], &rest.concat()].concat();
    assert_eq!(joined, [&length(output.len())[..], &output].concat());
    Ok(output)
}

#[test]
fn long_values_are_shared_with_the_archive_and_short_ones_are_not() {
    let limits = Limits::default();
    let kind = KINDS.iter().position(|kind| matches!(kind, Kind::Bytes));
    let field = number(0, kind.unwrap());
    let long = vec![7; 4096];
    let input = Pb::new().bytes(field, &long).0;
    let archive: Bytes = to_archive(all_kinds(), &input, &limits).unwrap().into();
    let (first, rest) = to_parts(
        all_kinds(),
        Segment::from_bytes(archive.clone()),
        &limits,
        |_| [9; 5],
    )
    .unwrap();
    let range = archive.as_ptr_range();
    assert_eq!((first.len(), rest.len()), (5 + input.len() - long.len(), 1));
    assert!(range.contains(&rest[0].as_ptr()) && rest[0] == long[..]);
    let input = Pb::new().bytes(field, &long[1..]).0;
    let archive: Bytes = to_archive(all_kinds(), &input, &limits).unwrap().into();
    let (first, rest) = to_parts(all_kinds(), Segment::from_bytes(archive), &limits, |_| {
        [9; 5]
    })
    .unwrap();
    assert_eq!((&first[5..], rest.len()), (&input[..], 0));
}

#[track_caller]
fn check(input: &Pb, expected: &Pb) {
    assert_eq!(canonical(node(), &input.0).unwrap(), expected.0);
    // Canonical output is a fixed point.
    assert_eq!(canonical(node(), &expected.0).unwrap(), expected.0);
}

fn rejected(input: &Pb) -> WireError {
    canonical(node(), &input.0).unwrap_err()
}

#[test]
fn every_kind_in_every_shape() {
    let layout = all_kinds();
    for (block, shape) in ["plain", "optional", "repeated", "arm"]
        .into_iter()
        .enumerate()
    {
        for (index, kind) in KINDS.iter().enumerate() {
            let number = number(block, index);
            let (wire_type, value) = match wire_type_of(kind) {
                WireType::Varint => (0, vec![1]),
                WireType::Fixed32 => (5, vec![1, 2, 3, 4]),
                WireType::Fixed64 => (1, vec![1, 2, 3, 4, 5, 6, 7, 8]),
                _ => (2, vec![2, b'h', b'i']),
            };
            let single = Pb::new().tag(number, wire_type).raw(&value);
            let expected = if shape == "repeated" && wire_type != 2 {
                Pb::new().bytes(number, &value)
            } else {
                single.clone()
            };
            assert_eq!(
                canonical(layout, &single.0).unwrap(),
                expected.0,
                "{shape} {kind:?}"
            );
            // The wrong wire type makes it an unknown field, which is kept as it is.
            let wrong = if wire_type == 5 { 1 } else { 5 };
            let wrong = Pb::new()
                .tag(number, wrong)
                .raw(&[9; 8][..if wrong == 5 { 4 } else { 8 }]);
            assert_eq!(
                canonical(layout, &wrong.0).unwrap(),
                wrong.0,
                "{shape} {kind:?}"
            );
        }
    }
}

#[test]
fn explicit_presence_keeps_defaults() {
    let layout = all_kinds();
    for (index, kind) in KINDS.iter().enumerate() {
        let (wire_type, zero) = match wire_type_of(kind) {
            WireType::Varint => (0, vec![0]),
            WireType::Fixed32 => (5, vec![0; 4]),
            WireType::Fixed64 => (1, vec![0; 8]),
            _ => (2, vec![0]),
        };
        let field = |block| Pb::new().tag(number(block, index), wire_type).raw(&zero).0;
        assert_eq!(canonical(layout, &field(0)).unwrap(), b"", "plain {kind:?}");
        assert_eq!(
            canonical(layout, &field(1)).unwrap(),
            field(1),
            "optional {kind:?}"
        );
        assert_eq!(
            canonical(layout, &field(3)).unwrap(),
            field(3),
            "arm {kind:?}"
        );
    }
}

#[test]
fn varints_are_cut_to_the_kind() {
    let layout = all_kinds();
    let both = |kind: usize, input: u64, output: u64| {
        let number = number(1, kind);
        let input = Pb::new().int(number, input);
        assert_eq!(
            canonical(layout, &input.0).unwrap(),
            Pb::new().int(number, output).0
        );
    };
    both(0, 1 << 40, 1);
    both(1, (1 << 40) | 5, 5);
    both(1, 0xffff_ffff, u64::MAX);
    both(2, (1 << 40) | 5, 5);
    both(4, (1 << 40) | 5, 5);
    both(13, (1 << 35) | 7, 7);
    both(13, u64::MAX, u64::MAX);
    both(6, u64::MAX, u64::MAX);
}

#[test]
fn an_empty_message_is_empty() {
    let archive = to_archive(node(), &[], &Limits::default()).unwrap();
    let table = DynTable::from_archive(node(), &archive, &Limits::default()).unwrap();
    assert_eq!(table.recorded_size(), 0);
    assert_eq!(from_archive(table), b"");
    assert_eq!(archive.len(), 8);
}

#[test]
fn appending_keeps_what_is_there() {
    let archive = to_archive(node(), &Pb::new().int(1, 7).0, &Limits::default()).unwrap();
    let table = DynTable::from_archive(node(), &archive, &Limits::default()).unwrap();
    let mut out = b"kept".to_vec();
    append(table, &mut out);
    assert_eq!(out, b"kept\x08\x07");
}

#[test]
fn unknown_fields_are_kept_per_message() {
    let group = Pb::new()
        .tag(99, 3)
        .int(1, 5)
        .tag(2, 3)
        .tag(2, 4)
        .tag(99, 4);
    let unknown = Pb::new()
        .int(50, 1)
        .bytes(51, b"x")
        .raw(&group.0)
        .tag(52, 5)
        .raw(b"abcd");
    let known = Pb::new().int(1, 3).bytes(2, b"name");
    let inner = known.clone().raw(&unknown.0);
    let expected = Pb::new()
        .int(1, 9)
        .message(3, &inner)
        .message(4, &known)
        .message(4, &inner)
        .message(4, &Pb::new())
        .bytes(8, &[1, 2])
        .raw(&unknown.0);
    check(&expected, &expected);
    // Between known fields, in pieces.
    let input = Pb::new()
        .int(50, 1)
        .int(1, 3)
        .bytes(51, b"x")
        .bytes(2, b"name");
    check(
        &input,
        &Pb::new()
            .int(1, 3)
            .bytes(2, b"name")
            .int(50, 1)
            .bytes(51, b"x"),
    );
    // The value list stays aligned although its message has unknown fields.
    let archive = to_archive(node(), &expected.0, &Limits::default()).unwrap();
    let table = DynTable::from_archive(node(), &archive, &Limits::default()).unwrap();
    assert_eq!(table.unknown_fields(), unknown.0);
}

#[test]
fn malformed_input_is_refused_with_its_place() {
    for (input, what) in [
        (Pb::new().raw(&[0x08]), "no value"),
        (Pb::new().raw(&[0x08, 0x80]), "cut varint"),
        (Pb::new().raw(&[0x08]).raw(&[0xff; 10]), "endless varint"),
        (
            Pb::new().raw(&[0x88, 0x80, 0x80, 0x80, 0x80, 0, 0]),
            "tag of six bytes",
        ),
        (Pb::new().raw(&[0x00, 0x00]), "number zero"),
        (Pb::new().raw(&[0x0e]), "wire type six"),
        (Pb::new().raw(&[0x0c]), "end of no group"),
        (Pb::new().tag(99, 3), "open group"),
        (Pb::new().tag(99, 3).tag(98, 4), "wrong end"),
        (Pb::new().raw(&[0x12, 5, b'a']), "cut string"),
        (Pb::new().bytes(2, &[0xff]), "no UTF-8"),
        (
            Pb::new().bytes(2, &[0xff]).bytes(2, b"x"),
            "no UTF-8 in a string that is replaced",
        ),
        (Pb::new().bytes(3, &[0x08]), "cut message"),
        (Pb::new().bytes(8, &[0x80]), "cut packed varint"),
        (Pb::new().bytes(5, &[0x0a, 1, 0xff]), "no UTF-8 in a key"),
        (Pb::new().bytes(5, &[0x12, 1, 0x08]), "cut map value"),
        (
            Pb::new().bytes(5, &[0x12, 1, 0x08]).bytes(5, b""),
            "cut map value that is replaced",
        ),
        (
            Pb::new().bytes(7, &[0x08]).bytes(6, b"x"),
            "cut arm that is replaced",
        ),
        (
            Pb::new().bytes(6, &[0xff]).bytes(7, b""),
            "no UTF-8 in an arm that is replaced",
        ),
    ] {
        let error = rejected(&input);
        assert!(matches!(error, WireError::Decode { .. }), "{what}: {error}");
    }
    let mut packed = Pb::new().bytes(number(2, 3), &[1, 2, 3]);
    assert!(
        canonical(all_kinds(), &packed.0).is_err(),
        "cut packed fixed32"
    );
    packed = Pb::new().bytes(number(2, 12), &[1; 12]);
    assert!(
        canonical(all_kinds(), &packed.0).is_err(),
        "cut packed double"
    );
}

#[test]
fn every_prefix_is_refused_or_read() {
    let inner = Pb::new()
        .int(1, 3)
        .bytes(2, b"name")
        .bytes(8, &[1, 2, 0x80, 1]);
    let message = Pb::new()
        .message(3, &inner)
        .message(4, &inner)
        .message(5, &Pb::new().bytes(1, b"k"));
    for end in 0..message.0.len() {
        let _ = canonical(node(), &message.0[..end]);
    }
}

fn nested(number: u32, levels: usize) -> Pb {
    (1..levels).fold(Pb::new(), |inner, _| Pb::new().message(number, &inner))
}

#[test]
fn nesting_up_to_the_limit() {
    for number in [3, 4, 7] {
        assert!(
            canonical(node(), &nested(number, 100).0).is_ok(),
            "at the limit"
        );
        assert_eq!(
            canonical(node(), &nested(number, 101).0),
            Err(WireError::TooDeep { max_depth: 100 }),
            "one past it"
        );
    }
    let groups = |levels: usize| {
        let open = (1..levels).fold(Pb::new(), |open, _| open.tag(99, 3));
        (1..levels).fold(open, |closed, _| closed.tag(99, 4))
    };
    assert!(canonical(node(), &groups(100).0).is_ok());
    assert_eq!(
        rejected(&groups(101)),
        WireError::TooDeep { max_depth: 100 }
    );
}

#[test]
fn size_up_to_the_limit() {
    let by_name = Pb::new().bytes(1, b"key").message(2, &Pb::new().int(1, 5));
    let inner = Pb::new().int(1, 1).bytes(2, b"abc").int(60, 1);
    for input in [
        Pb::new(),
        Pb::new().int(1, 5),
        Pb::new().bytes(2, &[b'x'; 100]),
        Pb::new().bytes(8, &[1; 50]),
        Pb::new().int(8, 1).int(8, 2),
        Pb::new().message(3, &inner),
        Pb::new().message(4, &inner).message(4, &Pb::new()),
        Pb::new().message(5, &by_name).message(5, &Pb::new()),
        Pb::new().message(7, &inner).int(60, 9),
    ] {
        let size = to_archive(node(), &input.0, &Limits::default())
            .unwrap()
            .len();
        let limited = |max_bytes| {
            to_archive(
                node(),
                &input.0,
                &Limits::default().with_max_bytes(max_bytes),
            )
        };
        assert_eq!(
            limited(size).unwrap().len(),
            size,
            "at the limit: {:?}",
            input.0
        );
        assert_eq!(
            limited(size - 1),
            Err(WireError::TooLarge {
                max_bytes: size - 1
            })
        );
    }
}

#[test]
fn short_input_never_unfolds_past_the_limit() {
    let limits = Limits::default().with_max_bytes(1 << 20);
    // One element as large as the layout, then two bytes for each further one.
    let wide = crate::sample::Sample::new("sample.Wide");
    let wide = (1..=1000).fold(wide, |wide, number| {
        wide.field(number, "f", Kind::Fixed64, crate::sample::Label::Plain)
    });
    let wide = wide.leak();
    let list = crate::sample::Sample::new("sample.List")
        .field(
            1,
            "wides",
            Kind::Message(wide),
            crate::sample::Label::Repeated,
        )
        .leak();
    let first = Pb::new().message(1, &Pb::new().tag(1000, 1).raw(&[1; 8]));
    let input = (0..200_000).fold(first, |input, _| input.raw(&[0x0a, 0x00]));
    assert_eq!(
        to_archive(list, &input.0, &limits),
        Err(WireError::TooLarge { max_bytes: 1 << 20 })
    );
    // One byte of packed varint for eight of archive.
    let packed = Pb::new().bytes(number(2, 6), &[1; 200_000]);
    assert_eq!(
        to_archive(all_kinds(), &packed.0, &limits),
        Err(WireError::TooLarge { max_bytes: 1 << 20 })
    );
}

#[test]
fn values_are_read_back() {
    let input = Pb::new()
        .int(1, 77)
        .bytes(2, b"seven")
        .bytes(8, &[1, 2, 0xac, 0x02]);
    let archive = to_archive(node(), &input.0, &Limits::default()).unwrap();
    let table = DynTable::from_archive(node(), &archive, &Limits::default()).unwrap();
    assert_eq!(table.present(0), Some(Value::U64(77)));
    assert_eq!(table.present(1), Some(Value::Str("seven")));
    let Some(Value::List(values)) = table.present(7) else {
        panic!("values are there")
    };
    assert!(values.iter().eq([1, 2, 300].map(Value::I32)));
}
