//! Each limit at its bound and one past it, and where values lie.

use bytes::Bytes;
use dreammesh_wire::dynamic::{DynWriter, build};
use dreammesh_wire::{DynTable, Encoded, Limits, Msg, Origin, UnknownFields, Value, WireError};

use crate::sample::{
    LEAF_LAYOUT, Leaf, LeafArgs, SAMPLE_LAYOUT, Sample, SampleArgs, other::PlaceArgs, sample,
};

fn nested(depth: u32) -> Leaf {
    (1..depth).fold(Leaf::default(), |next, id| Leaf {
        id: id.cast_signed(),
        next: Some(Box::new(next)),
        ..Leaf::default()
    })
}

#[test]
fn the_depth_limit_holds_for_writer_and_reader() {
    let limits = Limits::default();
    let deepest = Encoded::new(&nested(100), &limits).unwrap();
    assert_eq!(Msg::try_from(deepest).unwrap().into_owned(), nested(100));
    let refused = Encoded::<Leaf>::new(&nested(101), &limits).unwrap_err();
    assert_eq!(refused, WireError::TooDeep { max_depth: 100 });
    let deeper = Encoded::new(&nested(101), &limits.with_max_depth(101)).unwrap();
    let archive = deeper.into_segment().into_bytes();
    let refused = Msg::<Leaf>::from_archive(archive.clone(), &limits).unwrap_err();
    assert_eq!(refused, WireError::TooDeep { max_depth: 100 });
    assert!(Msg::<Leaf>::from_archive(archive, &limits.with_max_depth(101)).is_ok());
}

#[test]
fn no_setting_takes_depth_beyond_what_the_stack_bears() {
    let unbounded = Limits::default().with_max_depth(u32::MAX);
    assert!(Encoded::<Leaf>::new(&nested(Limits::MAX_DEPTH), &unbounded).is_ok());
    assert!(Encoded::<Leaf>::new(&nested(Limits::MAX_DEPTH + 1), &unbounded).is_err());
}

#[test]
fn the_size_limit_holds_for_the_writer() {
    let value = Leaf {
        name: "x".repeat(100),
        ..Leaf::default()
    };
    let limit = |bytes| Limits::default().with_max_bytes(bytes);
    let whole = Encoded::new(&value, &limit(1000))
        .unwrap()
        .into_segment()
        .len();
    assert!(Encoded::new(&value, &limit(whole)).is_ok());
    for bytes in [0, 1, 99, 100, whole - 1] {
        let refused = Encoded::new(&value, &limit(bytes)).unwrap_err();
        assert_eq!(refused, WireError::TooLarge { max_bytes: bytes });
    }
    let wide = Sample {
        r_leaf: vec![Leaf::default(); 50],
        ..Sample::default()
    };
    let whole = Encoded::new(&wide, &limit(1000))
        .unwrap()
        .into_segment()
        .len();
    assert!(Encoded::new(&wide, &limit(whole)).is_ok());
    assert!(Encoded::new(&wide, &limit(whole - 1)).is_err());
}

#[test]
fn trailing_defaults_are_dropped() {
    let size = |value: &Leaf| {
        let archive = Encoded::new(value, &Limits::default()).unwrap();
        Msg::try_from(archive).unwrap().table().recorded_size()
    };
    assert_eq!(size(&Leaf::default()), 0);
    assert_eq!(
        size(&Leaf {
            id: 1,
            ..Leaf::default()
        }),
        4
    );
    assert_eq!(
        size(&Leaf {
            name: "a".into(),
            ..Leaf::default()
        }),
        12
    );
    assert_eq!(
        size(&Leaf {
            next: Some(Box::default()),
            ..Leaf::default()
        }),
        20
    );
}

#[test]
fn absent_is_not_empty() {
    let value = Sample {
        o_string: Some(String::new()),
        o_bytes: Some(Bytes::new()),
        o_int32: Some(0),
        late: Some(0),
        leaf: Some(Leaf::default()),
        ..Sample::default()
    };
    let msg = Msg::try_from(Encoded::new(&value, &Limits::default()).unwrap()).unwrap();
    assert_eq!(msg.view().o_string(), Some(""));
    assert_eq!(msg.view().o_bool(), None);
    assert!(msg.view().leaf().is_some() && msg.view().place().is_none());
    assert_eq!(msg.into_owned(), value);
}

#[test]
fn an_archive_is_read_at_any_offset_and_sliced_where_it_is_aligned() {
    let value = Sample {
        f_string: "odd".into(),
        r_double: vec![1.5, -0.0, f64::INFINITY],
        r_uint64: vec![1, u64::MAX],
        r_int32: vec![-1, 2],
        r_float: vec![0.5],
        ..Sample::default()
    };
    let archive = Encoded::new(&value, &Limits::default())
        .unwrap()
        .into_segment()
        .into_vec();
    for offset in 0..8 {
        let mut moved = vec![0; 16 + archive.len()];
        let start = moved.as_ptr().align_offset(8) + offset;
        moved[start..start + archive.len()].copy_from_slice(&archive);
        let moved = Bytes::from(moved).slice(start..start + archive.len());
        let msg = Msg::<Sample>::from_archive(moved, &Limits::default()).unwrap();
        assert_eq!(
            msg.view().r_double().as_slice().is_some(),
            offset == 0,
            "{offset}"
        );
        assert_eq!(msg.view().r_uint64().as_slice().is_some(), offset == 0);
        assert_eq!(msg.view().r_int32().as_slice().is_some(), offset % 4 == 0);
        assert_eq!(msg.view().r_double().to_vec(), value.r_double);
        assert_eq!(msg.into_owned(), value);
    }
}

#[test]
fn large_bytes_are_shared_both_ways() {
    let at = |len: usize| {
        let value = Sample {
            f_bytes: vec![7; len].into(),
            ..Sample::default()
        };
        let segment = Encoded::new(&value, &Limits::default())
            .unwrap()
            .into_segment();
        let parts = segment.parts().count();
        let joined: Vec<u8> = segment
            .parts()
            .flat_map(|part| part.as_slice().to_vec())
            .collect();
        assert_eq!(joined.len(), segment.len());
        let msg = Msg::<Sample>::from_archive(joined.into(), &Limits::default()).unwrap();
        assert_eq!(msg.to_owned_message(), value);
        parts
    };
    assert_eq!(at((16 << 10) - 1), 1, "copied");
    assert_eq!(at(16 << 10), 2, "shared");
    let value = Sample {
        f_bytes: vec![7; 5000].into(),
        ..Sample::default()
    };
    let msg = Msg::try_from(Encoded::new(&value, &Limits::default()).unwrap()).unwrap();
    let shared = msg.share(msg.view().f_bytes()).unwrap();
    assert_eq!(shared.as_ptr(), msg.view().f_bytes().as_ptr());
    assert_eq!(msg.to_owned_message().f_bytes.as_ptr(), shared.as_ptr());
    assert!(msg.share(b"elsewhere").is_none());
    let detached = msg.clone().detach();
    assert_ne!(detached.archive().as_ptr(), msg.archive().as_ptr());
    let copied = Origin::COPY.bytes(&shared);
    assert_ne!(copied.as_ptr(), shared.as_ptr());
}

#[test]
fn unknown_fields_stay_with_their_message() {
    let unknown = |byte| UnknownFields::from_raw(Bytes::copy_from_slice(&[byte; 3]));
    let leaf = |id, byte| Leaf {
        id,
        unknown_fields: if byte == 0 {
            UnknownFields::default()
        } else {
            unknown(byte)
        },
        ..Leaf::default()
    };
    let value = Sample {
        unknown_fields: unknown(1),
        leaf: Some(leaf(1, 2)),
        r_leaf: vec![leaf(0, 0), leaf(2, 3), leaf(0, 0), leaf(i32::MAX, 4)],
        m_leaf: [("k".into(), leaf(0, 5))].into(),
        ..Sample::default()
    };
    let msg = Msg::try_from(Encoded::new(&value, &Limits::default()).unwrap()).unwrap();
    assert_eq!(msg.table().unknown_fields(), [1; 3]);
    crate::walk::walk(&msg);
    assert_eq!(msg.into_owned(), value);
}

/// Elements of one size are taken in with their pointers left to the layout; each of these lists
/// leaves that path at another place, or never.
#[test]
fn elements_of_one_size_and_of_many_keep_their_contents() {
    let next = || Some(Box::new(nested(3)));
    let kinds: [fn() -> Leaf; 5] = [
        Leaf::default,
        || Leaf {
            id: 7,
            ..Leaf::default()
        },
        || Leaf {
            id: -7,
            name: "a name of more than sixteen bytes".into(),
            ..Leaf::default()
        },
        || nested(2),
        || Leaf {
            unknown_fields: UnknownFields::from_raw(Bytes::from_static(&[8, 1])),
            ..Leaf::default()
        },
    ];
    for first in kinds {
        for second in kinds {
            for count in [0, 1, 2, 9] {
                let mut r_leaf: Vec<Leaf> = (0..count).map(|_| first()).collect();
                r_leaf.extend([second(), first(), second()]);
                r_leaf.push(Leaf {
                    next: next(),
                    ..first()
                });
                let value = Sample {
                    r_leaf,
                    ..Sample::default()
                };
                let encoded = Encoded::new(&value, &Limits::default()).unwrap();
                assert_eq!(Msg::try_from(encoded).unwrap().into_owned(), value);
            }
        }
    }
}

/// Writing a message may archive another one, for which the thread's pool must be free.
#[test]
fn archives_are_built_within_archives() {
    struct Nesting;
    impl dreammesh_wire::Encode<Leaf> for Nesting {
        fn encode(&self, table: &mut dreammesh_wire::TableWriter<'_, Leaf>) {
            let inner = Encoded::<Leaf>::new(&nested(2), &Limits::default()).unwrap();
            let bytes = inner.into_segment().into_vec();
            table.raw_unknown_fields(&bytes);
        }
    }
    let outer = Msg::<Leaf>::try_from(Encoded::new(&Nesting, &Limits::default()).unwrap()).unwrap();
    let inner = Bytes::copy_from_slice(outer.table().unknown_fields());
    let inner = Msg::<Leaf>::from_archive(inner, &Limits::default()).unwrap();
    assert_eq!(inner.into_owned(), nested(2));
}

#[test]
fn args_say_what_the_owned_message_says() {
    let leaf = LeafArgs {
        id: 3,
        name: "three",
        ..LeafArgs::default()
    };
    let place = PlaceArgs { lat: 1.0, lon: 2.0 };
    let owned_leaf = Leaf {
        id: 4,
        ..Leaf::default()
    };
    let leaves = [owned_leaf.clone()];
    let args = SampleArgs {
        f_string: "text",
        leaf: Some(&leaf),
        place: Some(&place),
        r_int32: (&[1, 2, 3]).into(),
        r_string: (&["a", "b"]).into(),
        r_leaf: (&leaves).into(),
        m_int32: (&[(5, 50_i64), (-1, 1), (5, 55)]).into(),
        choice: Some(sample::ChoiceArgs::CLeaf(&owned_leaf)),
        ..SampleArgs::default()
    };
    let msg = Msg::<Sample>::try_from(Encoded::new(&args, &Limits::default()).unwrap()).unwrap();
    assert_eq!(msg.view().leaf().unwrap().name(), "three");
    assert_eq!(msg.view().place().unwrap().lon(), 2.0);
    assert_eq!(msg.view().r_int32().to_vec(), [1, 2, 3]);
    assert_eq!(msg.view().r_string().iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(
        msg.view().m_int32().iter().collect::<Vec<_>>(),
        [(-1, 1), (5, 55)]
    );
}

#[test]
fn the_documented_example_is_what_is_written() {
    let value = Leaf {
        id: 1,
        name: "ab".into(),
        next: Some(Box::new(Leaf {
            id: 2,
            ..Leaf::default()
        })),
        ..Leaf::default()
    };
    let archive = Encoded::new(&value, &Limits::default())
        .unwrap()
        .into_segment()
        .into_vec();
    let page = include_str!("../../../../docs/WIRE.md");
    let example = page
        .split("## 9.")
        .nth(1)
        .and_then(|rest| rest.split("```").nth(3))
        .unwrap();
    let bytes = example
        .lines()
        .filter(|line| !line.is_empty())
        .flat_map(|line| {
            let columns = line.get(4..28).unwrap_or_default().split_whitespace();
            columns
                .map(|byte| u8::from_str_radix(byte, 16).unwrap())
                .collect::<Vec<_>>()
        });
    assert_eq!(bytes.collect::<Vec<_>>(), archive);
    let empty = Encoded::new(&Leaf::default(), &Limits::default())
        .unwrap()
        .into_segment();
    assert_eq!(empty.as_slice().unwrap(), [4, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn the_dynamic_writer_refuses_what_does_not_fit() {
    let attempt = |fill: fn(&mut DynWriter<'_>) -> Result<(), WireError>| {
        build::<WireError>(&SAMPLE_LAYOUT, &Limits::default(), fill)
    };
    let refused = |fill| matches!(attempt(fill), Err(WireError::Mismatch(_)));
    assert!(refused(|writer| writer.set(0, Value::I32(1))));
    assert!(refused(|writer| writer.set(999, Value::I32(1))));
    assert!(refused(|writer| writer.list(0, |_| Ok::<_, WireError>(()))));
    assert!(refused(
        |writer| writer.message(0, |_| Ok::<_, WireError>(()))
    ));
    assert!(refused(|writer| {
        writer.set(14, Value::Bytes(b"later"))?;
        writer.set(13, Value::Str("earlier"))
    }));
    assert!(refused(|writer| {
        writer.set(13, Value::Str("once"))?;
        writer.set(13, Value::Str("twice"))
    }));
    let archive = build::<WireError>(&LEAF_LAYOUT, &Limits::default(), |writer| {
        writer.set(1, Value::Str("name"))?;
        writer.set(0, Value::I32(5))
    });
    let archive = archive.unwrap().into_bytes();
    let table = DynTable::from_archive(&LEAF_LAYOUT, &archive, &Limits::default()).unwrap();
    assert_eq!(table.present(1), Some(Value::Str("name")));
    assert_eq!(format!("{table:?}"), "Leaf { id: I32(5), name: \"name\" }");
}
