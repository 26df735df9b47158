//! Messages with a JSON form of their own.

use super::*;

const NULL: &EnumInfo = &EnumInfo {
    name: "google.protobuf.NullValue",
    values: &[(0, "NULL_VALUE")],
};

fn scalars(name: &'static str) -> &'static Layout {
    Sample::new(name)
        .field(1, "seconds", Kind::Int64, Label::Plain)
        .field(2, "nanos", Kind::Int32, Label::Plain)
        .leak()
}

fn field_mask() -> &'static Layout {
    Sample::new("google.protobuf.FieldMask")
        .field(1, "paths", Kind::String, Label::Repeated)
        .leak()
}

fn any() -> &'static Layout {
    Sample::new("google.protobuf.Any")
        .field(1, "type_url", Kind::String, Label::Plain)
        .field(2, "value", Kind::Bytes, Label::Plain)
        .leak()
}

mod dynamic {
    use super::NULL;
    use crate::layout::{Field, Kind, Layout, LayoutHash, MapKey, Oneof, Shape};

    const CHAIN: &[LayoutHash] = &[LayoutHash([0; 16])];

    const fn field(number: u32, name: &'static str, kind: Kind, shape: Shape) -> Field {
        Field {
            number,
            name,
            json_name: name,
            kind,
            shape,
            offset: 0,
        }
    }

    pub(super) static STRUCT: Layout = Layout::new(
        "google.protobuf.Struct",
        &[field(
            1,
            "fields",
            Kind::Message(&VALUE),
            Shape::Map(MapKey::String),
        )],
        &[],
        16,
        CHAIN,
    );
    pub(super) static LIST: Layout = Layout::new(
        "google.protobuf.ListValue",
        &[field(1, "values", Kind::Message(&VALUE), Shape::List)],
        &[],
        16,
        CHAIN,
    );
    pub(super) static VALUE: Layout = Layout::new(
        "google.protobuf.Value",
        &[
            field(1, "null_value", Kind::Enum(NULL), Shape::Arm(0)),
            field(2, "number_value", Kind::Double, Shape::Arm(0)),
            field(3, "string_value", Kind::String, Shape::Arm(0)),
            field(4, "bool_value", Kind::Bool, Shape::Arm(0)),
            field(5, "struct_value", Kind::Message(&STRUCT), Shape::Arm(0)),
            field(6, "list_value", Kind::Message(&LIST), Shape::Arm(0)),
        ],
        &[Oneof {
            name: "kind",
            offset: 0,
            arms: &[0, 1, 2, 3, 4, 5],
        }],
        12,
        CHAIN,
    );
}

#[test]
fn timestamps_and_durations() {
    let timestamp = scalars("google.protobuf.Timestamp");
    check(
        timestamp,
        r#""1970-01-01T00:00:00.1Z""#,
        r#""1970-01-01T00:00:00.100Z""#,
    );
    check(
        timestamp,
        r#""1969-12-31T16:00:00-08:00""#,
        r#""1970-01-01T00:00:00Z""#,
    );
    let duration = scalars("google.protobuf.Duration");
    check(duration, r#""-1.5s""#, r#""-1.500s""#);
    for layout in [timestamp, duration] {
        for bad in ["1", "\"\"", "\"x\"", "{}", "null"] {
            refuse(layout, bad);
        }
        let text = "\x08\u{7f}\x10\u{7f}";
        let archive =
            crate::protobuf::to_archive(layout, text.as_bytes(), &Limits::default()).unwrap();
        let table = DynTable::from_archive(layout, &archive, &Limits::default()).unwrap();
        assert!(to_string(table, &Options::new()).is_ok());
        let mixed = [
            0x08, 0x01, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ];
        let archive = crate::protobuf::to_archive(layout, &mixed, &Limits::default()).unwrap();
        let table = DynTable::from_archive(layout, &archive, &Limits::default()).unwrap();
        assert!(matches!(
            to_string(table, &Options::new()),
            Err(WireError::Mismatch(_))
        ));
    }
}

#[test]
fn field_masks() {
    check(field_mask(), r#""fooBar,b.cD""#, r#""fooBar,b.cD""#);
    check(field_mask(), r#""""#, r#""""#);
    refuse(field_mask(), r#""foo_bar""#);
    refuse(field_mask(), "[]");
}

#[test]
fn dynamic_values() {
    let all = r#"{"a":null,"b":1.5,"c":"s","d":true,"e":{"x":[]},"f":[null,[],{}]}"#;
    check(&dynamic::STRUCT, all, all);
    check(&dynamic::VALUE, all, all);
    check(&dynamic::VALUE, "null", "null");
    check(&dynamic::LIST, "[1,null]", "[1.0,null]");
    for bad in [r#"{"a":1,"a":2}"#, "[1e400]", "{\"a\"}", "[1", "", "nul"] {
        refuse(&dynamic::VALUE, bad);
    }
    refuse(&dynamic::STRUCT, "[]");
    refuse(&dynamic::LIST, "{}");
    // A list takes a Value and a ListValue, so 49 of them stay within a hundred levels.
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let deepest = (1..60)
        .rev()
        .find(|levels| round(&dynamic::VALUE, &nested(*levels), &Options::new()).is_ok());
    assert_eq!(deepest, Some(50));
    assert_eq!(
        round(&dynamic::VALUE, &nested(51), &Options::new()),
        Err(WireError::TooDeep { max_depth: 100 })
    );
    assert!(round(&dynamic::VALUE, &nested(100_000), &Options::new()).is_err());
    // A Value that holds nothing is null, one that is not finite has no form.
    let empty = DynTable::empty(&dynamic::VALUE);
    assert_eq!(to_string(empty, &Options::new()).unwrap(), "null");
    let nan = [&[0x11][..], &f64::NAN.to_le_bytes()].concat();
    let archive = crate::protobuf::to_archive(&dynamic::VALUE, &nan, &Limits::default()).unwrap();
    let table = DynTable::from_archive(&dynamic::VALUE, &archive, &Limits::default()).unwrap();
    assert!(matches!(
        to_string(table, &Options::new()),
        Err(WireError::Mismatch(_))
    ));
}

#[test]
fn null_is_a_value_where_there_is_one() {
    let layout = Sample::new("sample.Nulls")
        .field(1, "value", Kind::Message(&dynamic::VALUE), Label::Plain)
        .field(2, "null", Kind::Enum(NULL), Label::Optional)
        .field(3, "values", Kind::Message(&dynamic::VALUE), Label::Repeated)
        .field(
            4,
            "map",
            Kind::Message(&dynamic::VALUE),
            Label::Map(MapKey::String),
        )
        .leak();
    let text = r#"{"value":null,"null":null,"values":[null],"map":{"a":null}}"#;
    check(layout, text, text);
}

#[test]
fn wrappers_are_their_values() {
    let wrapper = |name, kind| {
        Sample::new(name)
            .field(1, "value", kind, Label::Plain)
            .leak()
    };
    check(
        wrapper("google.protobuf.Int64Value", Kind::Int64),
        "5",
        "\"5\"",
    );
    check(
        wrapper("google.protobuf.BytesValue", Kind::Bytes),
        "\"AA==\"",
        "\"AA==\"",
    );
    let holder = Sample::new("sample.Holder")
        .field(
            1,
            "f",
            Kind::Message(wrapper("google.protobuf.BoolValue", Kind::Bool)),
            Label::Plain,
        )
        .field(
            2,
            "g",
            Kind::Message(wrapper("google.protobuf.StringValue", Kind::String)),
            Label::Repeated,
        )
        .leak();
    check(
        holder,
        r#"{"f":false,"g":["","x"]}"#,
        r#"{"f":false,"g":["","x"]}"#,
    );
    check(holder, r#"{"f":null}"#, "{}");
    refuse(holder, r#"{"f":{"value":true}}"#);
}

#[test]
fn any_carries_its_type() {
    let types = [
        any(),
        node(),
        scalars("google.protobuf.Duration"),
        &dynamic::VALUE,
    ];
    let options = Options::new().types(&types);
    let good = |text: &str, expected: &str| {
        assert_eq!(round(any(), text, &options).unwrap(), expected);
        assert_eq!(round(any(), expected, &options).unwrap(), expected);
    };
    good("{}", "{}");
    good(
        r#"{"id":5,"@type":"x/sample.Node","next":{"name":"n"}}"#,
        r#"{"@type":"x/sample.Node","id":"5","next":{"name":"n"}}"#,
    );
    good(
        r#"{"value":"1.5s","@type":"type.googleapis.com/google.protobuf.Duration"}"#,
        r#"{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1.500s"}"#,
    );
    good(
        r#"{"@type":"t/google.protobuf.Any","value":{"@type":"t/sample.Node","name":"in"}}"#,
        r#"{"@type":"t/google.protobuf.Any","value":{"@type":"t/sample.Node","name":"in"}}"#,
    );
    for bad in [
        r#"{"id":5}"#,
        r#"{"@type":"sample.Node"}"#,
        r#"{"@type":"x/sample.Unknown"}"#,
        r#"{"@type":5}"#,
        r#"{"@type":"x/sample.Node","@type":"x/sample.Node"}"#,
        r#"{"id":5,"@type":"x/sample.Node","@type":"x/sample.Node"}"#,
        r#"{"@type":"x/google.protobuf.Duration"}"#,
        r#"{"@type":"x/google.protobuf.Duration","value":"1s","value":"1s"}"#,
        r#"{"@type":"x/google.protobuf.Duration","value":"1s","other":1}"#,
        r#"{"@type":"x/google.protobuf.Duration","@type":"x/google.protobuf.Duration","value":"1s"}"#,
        "null",
    ] {
        assert!(
            matches!(round(any(), bad, &options), Err(WireError::Decode { .. })),
            "{bad}"
        );
    }
    // Bytes without a type have no form.
    let untyped = [0x12, 1, 8];
    let archive = crate::protobuf::to_archive(any(), &untyped, &Limits::default()).unwrap();
    let table = DynTable::from_archive(any(), &archive, &Limits::default()).unwrap();
    assert!(matches!(
        to_string(table, &options),
        Err(WireError::Mismatch(_))
    ));
    // The bytes inside are what any protobuf writer would have put there.
    let archive = to_archive(
        any(),
        r#"{"@type":"x/sample.Node","id":5}"#,
        &options,
        &Limits::default(),
    )
    .unwrap();
    let table = DynTable::from_archive(any(), &archive, &Limits::default()).unwrap();
    assert_eq!(table.value(1), crate::Value::Bytes(&[8, 5]));
}

#[test]
fn nested_any_messages_are_bounded() {
    let types = [any()];
    let options = Options::new().types(&types);
    let first = |levels: usize| {
        let open = r#"{"@type":"x/google.protobuf.Any","value":"#.repeat(levels);
        format!("{open}{{}}{}", "}".repeat(levels))
    };
    assert!(round(any(), &first(40), &options).is_ok());
    assert_eq!(
        round(any(), &first(200), &options),
        Err(WireError::TooDeep { max_depth: 100 })
    );
    let last = |levels: usize| {
        let close = r#","@type":"x/google.protobuf.Any"}"#.repeat(levels);
        format!("{}{{}}{close}", "{\"value\":".repeat(levels))
    };
    assert!(round(any(), &last(3), &options).is_ok());
    assert!(
        round(any(), &last(90), &options).is_err(),
        "types come too late, too often"
    );
}
