//! Hostile archives: each kind is refused with its reason.

use bytes::Bytes;
use dreammesh_wire::{Encoded, Limits, Msg, WireError};

use crate::sample::{Leaf, SAMPLE_LAYOUT, Sample};

/// An archive in the making: parts in order, references by where their targets start.
#[derive(Default)]
struct Draft {
    bytes: Vec<u8>,
}

impl Draft {
    fn put(&mut self, bytes: &[u8]) -> usize {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        at
    }

    /// The pointer word at `at` that leads to `target`.
    fn pointer(at: usize, target: usize) -> [u8; 4] {
        u32::try_from(at + 4 - target).unwrap().to_le_bytes()
    }

    /// A body that is zero but for some words.
    fn body(&mut self, size: usize, words: &[(usize, [u8; 4])]) -> usize {
        let at = self.put(&vec![0; size]);
        for (offset, word) in words {
            self.bytes[at + offset..at + offset + 4].copy_from_slice(word);
        }
        at
    }

    fn root(mut self, body: usize, size: usize) -> Vec<u8> {
        let pointer = Self::pointer(self.bytes.len(), body);
        self.put(&pointer);
        self.put(&u32::try_from(size).unwrap().to_le_bytes());
        self.bytes
    }
}

fn word(value: u32) -> [u8; 4] {
    value.to_le_bytes()
}

fn offset(name: &str) -> usize {
    let field = SAMPLE_LAYOUT
        .fields()
        .iter()
        .find(|field| field.name == name)
        .unwrap();
    field.offset as usize
}

fn read(archive: Vec<u8>) -> Result<Msg<Sample>, WireError> {
    Msg::from_archive(Bytes::from(archive), &Limits::default())
}

/// A sample with one string slot written by hand, over six bytes of text.
fn with_reference(name: &str, pointer: impl Fn(usize) -> [u8; 4], len: u32) -> Vec<u8> {
    let at = offset(name);
    let mut draft = Draft::default();
    draft.put(b"abcdef");
    let body = 6;
    draft.body(at + 8, &[(at, pointer(body + at)), (at + 4, word(len))]);
    draft.root(body, at + 8)
}

/// A sample with one list slot written by hand, over `before`.
fn with_list(name: &str, before: &[u8], target: usize, len: u32, stride: u32, end: u32) -> Vec<u8> {
    let at = offset(name);
    let mut draft = Draft::default();
    let body = draft.put(before) + before.len();
    let pointer = Draft::pointer(body + at, target);
    let words = [
        (at, pointer),
        (at + 4, word(len)),
        (at + 8, word(stride)),
        (at + 12, word(end)),
    ];
    draft.body(at + 16, &words);
    draft.root(body, at + 16)
}

fn sample() -> Sample {
    Sample {
        f_string: "text".into(),
        r_int32: vec![1, 2, 3],
        r_leaf: vec![
            Leaf {
                id: 1,
                name: "leaf".into(),
                ..Leaf::default()
            };
            3
        ],
        m_string: [("a".into(), "b".into()), ("c".into(), "d".into())].into(),
        ..Sample::default()
    }
}

fn archive(value: &Sample) -> Vec<u8> {
    Encoded::new(value, &Limits::default())
        .unwrap()
        .into_segment()
        .into_vec()
}

#[test]
fn truncated_at_any_byte() {
    let whole = archive(&sample());
    for len in 0..whole.len() {
        // From the front the root reference is lost; from the back its target is.
        let _ = read(whole[..len].to_vec());
        let cut = read(whole[whole.len() - len..].to_vec());
        assert!(cut.is_err() || len >= 8, "{len} bytes of the end");
    }
    assert_eq!(read(Vec::new()).unwrap_err(), WireError::OutOfBounds);
    assert_eq!(read(vec![0; 7]).unwrap_err(), WireError::OutOfBounds);
    assert_eq!(
        read(vec![0; 8]).unwrap_err(),
        WireError::Malformed("the root is null")
    );
}

#[test]
fn larger_than_the_limit() {
    let whole = archive(&sample());
    let limit = Limits::default().with_max_bytes(whole.len());
    assert!(Msg::<Sample>::from_archive(whole.clone().into(), &limit).is_ok());
    let limit = limit.with_max_bytes(whole.len() - 1);
    let refused = Msg::<Sample>::from_archive(whole.into(), &limit).unwrap_err();
    assert_eq!(
        refused,
        WireError::TooLarge {
            max_bytes: limit.max_bytes
        }
    );
}

#[test]
fn pointers_that_lead_nowhere() {
    let good = with_reference("f_string", |at| Draft::pointer(at, 0), 6);
    assert_eq!(read(good).unwrap().view().f_string(), "abcdef");
    let before = with_reference("f_string", |at| word(at as u32 + 5), 1);
    assert_eq!(read(before).unwrap_err(), WireError::OutOfBounds);
    let far = with_reference("f_string", |_| word(u32::MAX), 1);
    assert_eq!(read(far).unwrap_err(), WireError::OutOfBounds);
    for own in 1..=4 {
        // Into the pointer itself, or right behind it.
        assert!(read(with_reference("f_string", move |_| word(own), 4)).is_err());
    }
    let null = with_reference("f_string", |_| word(0), 1);
    assert!(matches!(read(null).unwrap_err(), WireError::Malformed(_)));
}

#[test]
fn lengths_beyond_the_archive() {
    for len in [7, 1 << 31, u32::MAX - 3, u32::MAX] {
        let archive = with_reference("f_string", |at| Draft::pointer(at, 0), len);
        assert_eq!(read(archive).unwrap_err(), WireError::OutOfBounds, "{len}");
    }
    let mut draft = Draft::default();
    let body = draft.body(8, &[]);
    for size in [9, (1 << 31) - 1, u32::MAX] {
        let archive = Draft {
            bytes: draft.bytes.clone(),
        }
        .root(body, size as usize);
        assert_eq!(read(archive).unwrap_err(), WireError::OutOfBounds, "{size}");
    }
}

#[test]
fn text_that_is_not_utf8() {
    let text = with_reference("f_string", |at| Draft::pointer(at, 0), 6);
    for (at, byte) in [(0, 0x80), (5, 0xC3), (3, 0xFF)] {
        let mut broken = text.clone();
        broken[at] = byte;
        assert_eq!(read(broken).unwrap_err(), WireError::Utf8);
    }
    let mut accent = text;
    accent[..2].copy_from_slice("é".as_bytes());
    assert_eq!(read(accent).unwrap().view().f_string(), "écdef");
    // The same bytes are fine where no text is promised.
    let mut bytes = with_reference("f_bytes", |at| Draft::pointer(at, 0), 6);
    bytes[0] = 0xFF;
    assert_eq!(read(bytes).unwrap().view().f_bytes()[0], 0xFF);
}

#[test]
fn values_that_overlap_or_stand_out_of_order() {
    let (text, bytes) = (offset("f_string"), offset("f_bytes"));
    let build = |first: (usize, u32), second: (usize, u32)| {
        let mut draft = Draft::default();
        let body = draft.put(b"abcdef") + 6;
        let words = [
            (text, Draft::pointer(body + text, first.0)),
            (text + 4, word(first.1)),
            (bytes, Draft::pointer(body + bytes, second.0)),
            (bytes + 4, word(second.1)),
        ];
        draft.body(bytes + 8, &words);
        draft.root(body, bytes + 8)
    };
    assert!(read(build((0, 3), (3, 3))).is_ok());
    assert!(read(build((0, 2), (4, 2))).is_ok(), "gaps are allowed");
    assert_eq!(read(build((0, 4), (3, 3))).unwrap_err(), WireError::Overlap);
    assert_eq!(read(build((3, 3), (0, 3))).unwrap_err(), WireError::Overlap);
    assert_eq!(read(build((0, 6), (0, 6))).unwrap_err(), WireError::Overlap);
}

#[test]
fn strides_that_lie() {
    let zero = with_list("r_int32", &[0; 8], 0, u32::MAX, 0, 4);
    assert!(matches!(read(zero).unwrap_err(), WireError::Malformed(_)));
    let short = with_list("r_int32", &[0; 8], 0, 2, 3, 4);
    assert!(matches!(read(short).unwrap_err(), WireError::Malformed(_)));
    for (len, stride, end) in [
        (3, 4, 4),
        (u32::MAX, 4, 4),
        (1 << 30, 4, 4),
        (2, u32::MAX, 4),
    ] {
        let list = with_list("r_int32", &[0; 8], 0, len, stride, end);
        assert_eq!(
            read(list).unwrap_err(),
            WireError::OutOfBounds,
            "{len} × {stride}"
        );
    }
    let other = with_list("r_int32", &[0; 8], 0, 1, 8, 8);
    assert!(matches!(read(other).unwrap_err(), WireError::Malformed(_)));
    let wide = with_list("r_int32", &[5, 0, 0, 0, 9, 9, 6, 0, 0, 0, 9, 9], 0, 2, 6, 4);
    let wide = read(wide).unwrap();
    assert_eq!(
        wide.view().r_int32().to_vec(),
        [5, 6],
        "a reader takes any larger stride"
    );
    assert_eq!(wide.view().r_int32().as_slice(), None);
}

#[test]
fn empty_tables_cost_a_byte_each() {
    let four = with_list("r_leaf", &[0; 4], 0, 4, 1, 0);
    assert_eq!(read(four).unwrap().view().r_leaf().len(), 4);
    for len in [5, u32::MAX] {
        let list = with_list("r_leaf", &[0; 4], 0, len, 1, 0);
        assert_eq!(read(list).unwrap_err(), WireError::OutOfBounds);
    }
    let zero = with_list("r_leaf", &[0; 4], 0, u32::MAX, 0, 0);
    assert!(matches!(read(zero).unwrap_err(), WireError::Malformed(_)));
}

#[test]
fn unknown_fields_need_their_prefix() {
    // The flag is set, and there is no room in front of the body.
    let mut draft = Draft::default();
    let body = draft.body(4, &[]);
    let archive = draft.root(body, 4 | 1 << 31);
    assert_eq!(read(archive).unwrap_err(), WireError::OutOfBounds);
    let flagged = with_list("r_leaf", &[0; 32], 8, 2, 4, 4 | 1 << 31);
    assert!(
        matches!(read(flagged).unwrap_err(), WireError::Malformed(_)),
        "stride too short"
    );
    let flagged = with_list("r_leaf", &[0; 24], 8, 2, 12, 4 | 1 << 31);
    assert_eq!(read(flagged).unwrap().view().r_leaf().len(), 2);
    let flagged = with_list("r_leaf", &[0; 24], 7, 2, 12, 4 | 1 << 31);
    assert_eq!(read(flagged).unwrap_err(), WireError::OutOfBounds);
}

#[test]
fn map_keys_that_do_not_ascend() {
    let entry = |key: i32, value: i64| [&key.to_le_bytes()[..], &value.to_le_bytes()].concat();
    let map = |keys: &[i32]| {
        let entries: Vec<u8> = keys.iter().flat_map(|key| entry(*key, 1)).collect();
        read(with_list("m_int32", &entries, 0, keys.len() as u32, 12, 12))
    };
    assert_eq!(map(&[-5, 0, 7]).unwrap().view().m_int32().get(7), Some(1));
    assert_eq!(map(&[1, 1]).unwrap_err(), WireError::MapOrder);
    assert_eq!(map(&[2, 1]).unwrap_err(), WireError::MapOrder);
    assert_eq!(
        map(&[0, -1]).unwrap_err(),
        WireError::MapOrder,
        "signed keys"
    );
    let both = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    let unsorted = with_list("m_bool", &both, 0, 2, 5, 5);
    assert_eq!(read(unsorted).unwrap_err(), WireError::MapOrder);
    // Two empty text keys, both null.
    let twice = with_list("m_string", &[0; 32], 0, 2, 16, 16);
    assert_eq!(read(twice).unwrap_err(), WireError::MapOrder);
}

#[test]
fn oneofs_that_disagree_with_their_tag() {
    let at = offset("c_int32");
    let build = |tag: u32, target: usize, len: u32| {
        let mut draft = Draft::default();
        let body = draft.put(b"abcdef") + 6;
        let pointer = Draft::pointer(body + at + 4, target);
        draft.body(
            at + 12,
            &[(at, word(tag)), (at + 4, pointer), (at + 8, word(len))],
        );
        read(draft.root(body, at + 12))
    };
    assert!(build(43, 0, 4).unwrap().view().choice().is_some());
    for len in [0, 3, 5, u32::MAX] {
        assert!(matches!(
            build(43, 0, len).unwrap_err(),
            WireError::Malformed(_)
        ));
    }
    assert!(build(44, 0, 6).is_ok());
    assert_eq!(build(44, 0, 7).unwrap_err(), WireError::OutOfBounds);
    assert!(
        matches!(build(1, 0, 4).unwrap_err(), WireError::Malformed(_)),
        "not an arm"
    );
    // An unknown arm may lead anywhere, since nobody follows it.
    assert!(build(99, 0, u32::MAX).is_ok());
}

#[test]
fn every_flipped_bit_is_refused_or_read() {
    let whole = archive(&sample());
    for at in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        if let Ok(msg) = read(flipped) {
            crate::walk::walk(&msg);
        }
    }
}
