//! Generated messages keep what they hold in every form.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use dreammesh_core::codec::{Json, Protobuf};
use dreammesh_core::codegen::{IntoMessage, Limits, Message, Msg};
use dreammesh_core::wkt;
use dreammesh_golden::everything::{Color, Everything, EverythingArgs, Leaf, LeafArgs, everything};
use dreammesh_golden::evolution::{v1, v2, v3};

fn leaf(number: i32) -> Leaf {
    Leaf {
        name: format!("leaf {number}"),
        number,
        ..Leaf::default()
    }
}

/// A message in which every field but the oneof's other arms is set.
fn full(choice: everything::Choice) -> Everything {
    Everything {
        a_double: -0.0,
        a_float: 1.5,
        a_int32: i32::MIN,
        a_int64: i64::MIN,
        a_uint32: u32::MAX,
        a_uint64: u64::MAX,
        a_sint32: -1,
        a_sint64: -2,
        a_fixed32: 3,
        a_fixed64: 4,
        a_sfixed32: -5,
        a_sfixed64: -6,
        a_bool: true,
        a_string: "ünï".into(),
        a_bytes: vec![0, 255].into(),
        a_color: Color::from_number(77),
        a_leaf: Some(Leaf::default()),
        o_double: Some(0.0),
        o_int32: Some(0),
        o_bool: Some(false),
        o_string: Some(String::new()),
        o_bytes: Some(Vec::new().into()),
        o_color: Some(Color::UNSPECIFIED),
        o_leaf: Some(leaf(1)),
        r_double: vec![0.5, f64::INFINITY],
        r_int32: vec![0, -1],
        r_sint64: vec![i64::MIN],
        r_bool: vec![true, false],
        r_string: vec![String::new(), "b".into()],
        r_bytes: vec![vec![1].into()],
        r_color: vec![Color::BLUE, Color::RED],
        r_leaf: vec![leaf(2), Leaf::default()],
        m_string: BTreeMap::from([("k".into(), "v".into()), (String::new(), String::new())]),
        m_int32: BTreeMap::from([(-1, leaf(3)), (1, Leaf::default())]),
        m_bool: BTreeMap::from([(false, vec![9].into()), (true, Vec::new().into())]),
        m_uint64: BTreeMap::from([(u64::MAX, Color::RED)]),
        m_sint64: BTreeMap::from([(-7, 0.25)]),
        m_fixed32: BTreeMap::from([(7, true)]),
        choice: Some(choice),
        next: Some(Box::new(Everything {
            a_int32: 5,
            ..Everything::default()
        })),
        duration: Some(wkt::Duration {
            seconds: 1,
            nanos: 500_000_000,
            ..Default::default()
        }),
        empty: Some(wkt::Empty::default()),
        mask: Some(wkt::FieldMask {
            paths: vec!["a.b_c".into()],
            ..Default::default()
        }),
        timestamp: Some(wkt::Timestamp {
            seconds: 1,
            ..Default::default()
        }),
        w_double: Some(0.0),
        w_int64: Some(-1),
        w_bool: Some(false),
        w_string: Some(String::new()),
        w_bytes: Some(vec![1, 2].into()),
        r_wrapped: vec![wkt::StringValue {
            value: "w".into(),
            ..Default::default()
        }],
        ..Everything::default()
    }
}

fn choices() -> Vec<everything::Choice> {
    use everything::Choice;
    vec![
        Choice::CDouble(0.0),
        Choice::CInt64(-1),
        Choice::CBool(false),
        Choice::CString(String::new()),
        Choice::CBytes(vec![1].into()),
        Choice::CColor(Color::BLUE),
        Choice::CLeaf(leaf(9)),
        Choice::CSelf(Box::default()),
        Choice::CWrapped(wkt::StringValue::default()),
    ]
}

fn archive<M: Message>(message: impl IntoMessage<M>) -> Msg<M> {
    let segment = message
        .into_message(&Limits::default())
        .unwrap()
        .into_segment();
    Msg::from_archive(segment.into_bytes(), &Limits::default()).unwrap()
}

#[test]
fn every_kind_of_field_survives_the_archive() {
    for choice in choices() {
        let message = full(choice);
        let received: Msg<Everything> = archive(&message);
        assert_eq!(received.view().into_owned(), message);
        // A view is sent on as it is.
        assert_eq!(archive::<Everything>(received.view()).into_owned(), message);
    }
}

#[test]
fn every_kind_of_field_survives_protobuf_and_json() {
    for choice in choices() {
        let message = full(choice);
        let bytes = message.to_protobuf().unwrap();
        assert_eq!(Everything::from_protobuf(&bytes).unwrap(), message);
        let text = message.to_json().unwrap();
        assert_eq!(Everything::from_json(&text).unwrap(), message, "{text}");
    }
}

#[test]
fn a_default_message_is_empty_in_every_form() {
    let message = Everything::default();
    assert_eq!(archive::<Everything>(&message).into_owned(), message);
    assert_eq!(message.to_protobuf().unwrap(), []);
    assert_eq!(message.to_json().unwrap(), "{}");
}

#[test]
fn arguments_say_the_same_as_the_owned_message() {
    let leaf = leaf(4);
    let colors = [Color::RED];
    let numbers = BTreeMap::from([(1_i32, leaf.clone())]);
    let args = EverythingArgs {
        a_string: "text",
        a_bytes: b"bytes",
        a_color: Color::RED,
        a_leaf: Some(&LeafArgs {
            name: "leaf 4",
            number: 4,
        }),
        o_leaf: Some(&leaf),
        o_string: Some(""),
        r_string: (&["a", "b"]).into(),
        r_color: (&colors).into(),
        m_int32: (&numbers).into(),
        choice: Some(everything::ChoiceArgs::CLeaf(&leaf)),
        w_string: Some("w"),
        w_int64: Some(0),
        ..EverythingArgs::default()
    };
    let owned = Everything {
        a_string: "text".into(),
        a_bytes: "bytes".into(),
        a_color: Color::RED,
        a_leaf: Some(leaf.clone()),
        o_leaf: Some(leaf.clone()),
        o_string: Some(String::new()),
        r_string: vec!["a".into(), "b".into()],
        r_color: vec![Color::RED],
        m_int32: BTreeMap::from([(1, leaf.clone())]),
        choice: Some(everything::Choice::CLeaf(leaf.clone())),
        w_string: Some("w".into()),
        w_int64: Some(0),
        ..Everything::default()
    };
    assert_eq!(archive::<Everything>(args).into_owned(), owned);
}

#[test]
fn enums_know_their_names_and_keep_other_numbers() {
    assert_eq!(Color::BLUE.number(), -2);
    assert_eq!(Color::RED.as_str_name(), Some("COLOR_RED"));
    assert_eq!(Color::from_str_name("COLOR_BLUE"), Some(Color::BLUE));
    assert_eq!(Color::from_number(9).as_str_name(), None);
    assert_eq!(
        format!("{:?} {:?}", Color::RED, Color::from_number(9)),
        "COLOR_RED 9"
    );
}

/// Reads what was archived as an `A` as a `B`, as two builds of one schema do.
fn reread<A: Message, B: Message>(message: A) -> B {
    let bytes = archive::<A>(message).archive().clone();
    Msg::<B>::from_archive(bytes, &Limits::default())
        .unwrap()
        .into_owned()
}

fn second() -> v2::Order {
    let line = v2::Line {
        sku: "A-17".into(),
        quantity: 2,
        weight: Some(0.5),
        origin: Some(v2::Origin {
            country: "NL".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    v2::Order {
        id: 7,
        note: "fragile".into(),
        first: Some(line.clone()),
        lines: vec![line.clone(), v2::Line::default(), line.clone()],
        by_sku: BTreeMap::from([("A-17".into(), line)]),
        payment: Some(v2::order::Payment::Card("4711".into())),
        paid: Some(true),
        labels: vec!["x".into()],
        discount: Some(-3),
        ..Default::default()
    }
}

#[test]
fn an_older_reader_ignores_what_was_appended() {
    let read: v1::Order = reread(second());
    assert_eq!(
        (read.id, read.note.as_str(), read.paid),
        (7, "fragile", Some(true))
    );
    assert_eq!(read.lines.len(), 3);
    assert_eq!(
        (read.lines[2].sku.as_str(), read.lines[2].quantity),
        ("A-17", 2)
    );
    assert_eq!(read.by_sku["A-17"].quantity, 2);
    assert_eq!(read.payment, Some(v1::order::Payment::Card("4711".into())));
}

#[test]
fn a_newer_reader_finds_absent_what_was_not_written() {
    let old: v1::Order = reread(second());
    let read: v2::Order = reread(old);
    assert_eq!(read.lines.len(), 3);
    assert_eq!((read.lines[0].weight, &read.lines[0].origin), (None, &None));
    assert!(read.labels.is_empty() && read.discount.is_none());
}

#[test]
fn an_arm_that_a_reader_does_not_know_is_reported_and_not_followed() {
    let order = v2::Order {
        payment: Some(v2::order::Payment::Invoice("F-1".into())),
        paid: Some(false),
        ..Default::default()
    };
    let bytes = archive::<v2::Order>(order).archive().clone();
    let read = Msg::<v1::Order>::from_archive(bytes, &Limits::default()).unwrap();
    assert_eq!(
        read.view().payment(),
        Some(v1::order::PaymentView::Unknown(11))
    );
    assert_eq!(read.view().paid(), Some(false));
    assert_eq!(read.into_owned().payment, None);
}

#[test]
fn retired_fields_keep_their_slots_in_both_directions() {
    let read: v3::Order = reread(second());
    assert_eq!((read.id, read.discount), (7, Some(-3)));
    assert_eq!(read.payment, Some(v3::order::Payment::Card("4711".into())));
    let back: v2::Order = reread(v3::Order {
        signature: vec![1].into(),
        ..read
    });
    assert_eq!(
        back,
        v2::Order {
            note: String::new(),
            ..second()
        }
    );
    let first: v1::Order = reread(back);
    assert_eq!(first.lines.len(), 3);
}

#[test]
fn revisions_agree_by_their_chains() {
    let (one, two, three) = (v1::Order::LAYOUT, v2::Order::LAYOUT, v3::Order::LAYOUT);
    // The second revision appends to the first, so the first's last link is one of the second's;
    // the arm it adds lies behind everything.
    assert!(two.chain.starts_with(one.chain));
    assert!(three.chain.starts_with(two.chain));
    assert!(v2::Line::LAYOUT.chain.starts_with(v1::Line::LAYOUT.chain));
    assert_eq!(v2::Line::LAYOUT.tip(), v3::Line::LAYOUT.tip());
}
