use super::*;

fn field(number: u32, ty: Type, shape: Shape) -> Field {
    Field {
        name: format!("f{number}"),
        json_name: format!("f{number}"),
        number,
        ty,
        shape,
        oneof: (shape == Shape::Arm).then_some(0),
        boxed: false,
        docs: String::new(),
        deprecated: false,
    }
}

fn plain(number: u32, scalar: Scalar) -> Field {
    field(number, Type::Scalar(scalar), Shape::Plain)
}

fn optional(number: u32, scalar: Scalar) -> Field {
    field(number, Type::Scalar(scalar), Shape::Optional)
}

fn retired(number: u32, scalar: Scalar) -> Retired {
    Retired {
        number,
        ty: Type::Scalar(scalar),
        shape: Shape::Plain,
        oneof: None,
    }
}

fn offsets(layout: &Layout) -> Vec<(u32, u32)> {
    layout
        .slots
        .iter()
        .map(|slot| (slot.number, slot.offset))
        .collect()
}

#[test]
fn slots_are_packed_in_the_order_of_numbers() {
    let fields = [
        plain(9, Scalar::String),
        plain(1, Scalar::Bool),
        plain(4, Scalar::Int32),
        field(5, Type::Enum("e".into()), Shape::List { packed: true }),
        field(6, Type::Message("m".into()), Shape::Plain),
        field(
            7,
            Type::Scalar(Scalar::Bytes),
            Shape::Map { key: Scalar::Int64 },
        ),
        plain(8, Scalar::Double),
    ];
    let layout = lay_out("a.B", &fields, &[]);
    let expected = [(1, 0), (4, 1), (5, 5), (6, 21), (7, 29), (8, 45), (9, 53)];
    assert_eq!(offsets(&layout), expected);
    assert_eq!(layout.size, 61);
    assert_eq!(layout.chain.len(), 8);
}

#[test]
fn a_presence_byte_serves_eight_optionals_and_no_more() {
    let fields: Vec<Field> = (1..=9)
        .map(|number| optional(number, Scalar::Bool))
        .collect();
    let layout = lay_out("a.B", &fields, &[]);
    let bits: Vec<_> = layout.slots.iter().filter_map(|slot| slot.bit).collect();
    assert_eq!(bits, [0, 1, 2, 3, 4, 5, 6, 7, 72]);
    assert_eq!(layout.slots[7].offset, 8);
    // The ninth optional begins a second presence byte right before itself.
    assert_eq!((layout.slots[8].offset, layout.size), (10, 11));
}

#[test]
fn optional_text_and_messages_need_no_bit() {
    let fields = [
        optional(1, Scalar::String),
        optional(2, Scalar::Bytes),
        field(3, Type::Message("m".into()), Shape::Optional),
    ];
    let layout = lay_out("a.B", &fields, &[]);
    assert!(
        layout
            .slots
            .iter()
            .all(|slot| slot.bit.is_none() && slot.form() == "nullable")
    );
    assert_eq!(layout.size, 24);
}

#[test]
fn a_oneof_lies_where_its_first_arm_would() {
    let arm = |number| field(number, Type::Scalar(Scalar::Int64), Shape::Arm);
    let layout = lay_out("a.B", &[arm(7), plain(3, Scalar::Bool), arm(2)], &[]);
    assert_eq!(offsets(&layout), [(2, 0), (3, 12), (7, 0)]);
    assert_eq!(layout.size, 13);
}

#[test]
fn a_retired_field_keeps_offsets_and_chain() {
    let before = [
        plain(1, Scalar::Bool),
        plain(2, Scalar::String),
        optional(3, Scalar::Int32),
    ];
    let after = [before[0].clone(), before[2].clone()];
    let before = lay_out("a.B", &before, &[]);
    let after = lay_out("a.B", &after, &[retired(2, Scalar::String)]);
    assert_eq!(offsets(&before), offsets(&after));
    assert_eq!(before.chain, after.chain);
    let live: Vec<_> = after.live().map(|(slot, _)| slot.number).collect();
    assert_eq!(live, [1, 3]);
}

#[test]
fn appending_keeps_every_link_and_any_other_change_breaks_the_chain_from_there() {
    let fields = [plain(1, Scalar::Bool), plain(3, Scalar::String)];
    let chain = |fields: &[Field]| lay_out("a.B", fields, &[]).chain;
    let base = chain(&fields);
    let shared = |other: &[LayoutHash]| base.iter().zip(other).take_while(|(a, b)| a == b).count();

    let appended = chain(&[
        fields[0].clone(),
        fields[1].clone(),
        plain(4, Scalar::Int32),
    ]);
    assert_eq!(shared(&appended), 3);
    let inserted = chain(&[
        fields[0].clone(),
        plain(2, Scalar::Int32),
        fields[1].clone(),
    ]);
    assert_eq!(shared(&inserted), 2);
    let retyped = chain(&[fields[0].clone(), plain(3, Scalar::Bytes)]);
    assert_eq!(shared(&retyped), 2);
    let same_width = chain(&[plain(1, Scalar::Bool), optional(3, Scalar::String)]);
    assert_eq!(shared(&same_width), 2);
    let renamed = lay_out("a.C", &fields, &[]).chain;
    assert_eq!(shared(&renamed), 0);
}

#[test]
fn the_text_that_is_hashed_is_fixed() {
    // A peer of another make computes the same; a change here is a change of the protocol.
    let slot = |field: &Field| {
        let layout = lay_out("a.B", std::slice::from_ref(field), &[]);
        record(&layout.slots[0])
    };
    assert_eq!(slot(&plain(1, Scalar::Sint32)), "1 sint32 plain 0 - - -\n");
    assert_eq!(
        slot(&optional(2, Scalar::Bool)),
        "2 bool optional 1 0 - -\n"
    );
    let map = field(
        3,
        Type::Enum("x.E".into()),
        Shape::Map {
            key: Scalar::String,
        },
    );
    assert_eq!(slot(&map), "3 enum map:string 0 - - x.E\n");
    let arm = field(4, Type::Message("x.M".into()), Shape::Arm);
    assert_eq!(slot(&arm), "4 message arm 0 - 0 x.M\n");
    let hash = lay_out("a.B", &[plain(1, Scalar::Bool)], &[]).tip();
    let whole = Sha256::digest(b"dreammesh layout 1\na.B\n1 bool plain 0 - - -\n");
    assert_eq!(hash.0, whole[..16]);
}
