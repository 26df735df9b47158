//! The mapping in both directions, and text that does not fit it.

use std::sync::OnceLock;

use super::*;
use crate::layout::{EnumInfo, Kind, MapKey};
use crate::sample::{KINDS, Label, Sample, all_kinds, node, number};

mod well_known;

/// Reads, validates, and writes again.
fn round(layout: &'static Layout, text: &str, options: &Options<'_>) -> Result<String, WireError> {
    let limits = Limits::default();
    let archive = to_archive(layout, text, options, &limits)?;
    let table = DynTable::from_archive(layout, &archive, &limits).expect("our archives are valid");
    to_string(table, options)
}

#[track_caller]
fn check(layout: &'static Layout, text: &str, expected: &str) {
    let written = round(layout, text, &Options::new()).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(written, expected);
    assert_eq!(
        round(layout, expected, &Options::new()).unwrap(),
        expected,
        "a fixed point"
    );
}

#[track_caller]
fn refuse(layout: &'static Layout, text: &str) {
    match round(layout, text, &Options::new()) {
        Err(WireError::Decode { position, .. }) => assert!(position <= text.len(), "{text}"),
        other => panic!("{text}: {other:?}"),
    }
}

/// One optional field `f` of each scalar kind, alone in a message.
fn only(kind: Kind) -> &'static Layout {
    Sample::new("sample.Only")
        .field(1, "f", kind, Label::Optional)
        .leak()
}

fn with_f(value: &str) -> String {
    format!("{{\"f\":{value}}}")
}

#[test]
fn objects_nest_in_any_order() {
    check(node(), " { } ", "{}");
    check(
        node(),
        r#"{"values":[3,"4",5e0],"nodes":[{"name":"a"},{}],"by_name":{"z":{},"a":{"id":1}},"next":{"next":{}},"id":"7"}"#,
        r#"{"id":"7","next":{"next":{}},"nodes":[{"name":"a"},{}],"by_name":{"a":{"id":"1"},"z":{}},"values":[3,4,5]}"#,
    );
    check(node(), r#"{"node":{"note":""}}"#, r#"{"node":{"note":""}}"#);
}

#[test]
fn null_is_absence() {
    check(
        node(),
        r#"{"id":null,"name":null,"next":null,"nodes":null,"by_name":null,"note":null,"node":{},"values":null}"#,
        r#"{"node":{}}"#,
    );
    for bad in [
        r#"{"values":[null]}"#,
        r#"{"nodes":[null]}"#,
        r#"{"by_name":{"a":null}}"#,
        "null",
    ] {
        refuse(node(), bad);
    }
}

#[test]
fn what_occurs_twice_is_refused() {
    for bad in [
        r#"{"id":1,"id":1}"#,
        r#"{"id":null,"id":1}"#,
        r#"{"note":"a","node":{}}"#,
        r#"{"by_name":{"a":{},"a":{}}}"#,
        r#"{"by_name":{"a":{},"\u0061":{}}}"#,
    ] {
        refuse(node(), bad);
    }
    let layout = Sample::new("sample.Keys")
        .field(1, "f", Kind::Bool, Label::Map(MapKey::Int32))
        .leak();
    refuse(layout, r#"{"f":{"1":true,"1.0":false}}"#);
}

#[test]
fn malformed_text_is_refused() {
    for bad in [
        "",
        "[]",
        "1",
        "{",
        "{}}",
        "{} x",
        r#"{"id"}"#,
        r#"{"id":}"#,
        r#"{"id":1,}"#,
        r#"{id:1}"#,
        r#"{"id":1 "name":"x"}"#,
        r#"{"nodes":{}}"#,
        r#"{"by_name":[]}"#,
        r#"{"next":[]}"#,
        r#"{"name":1}"#,
        r#"{"values":1}"#,
        r#"{"values":[1,]}"#,
        r#"{"values":["a"]}"#,
        r#"{"id":true}"#,
        r#"{"id":[]}"#,
        r#"{"unknown":1}"#,
        r#"{"ID":1}"#,
    ] {
        refuse(node(), bad);
    }
}

#[test]
fn every_prefix_is_refused_or_read() {
    let text = r#"{"id":"7","name":"\u00e9\"x","nodes":[{"name":"a"}],"by_name":{"a":{}},"values":[-1,2]}"#;
    for end in 0..text.len() {
        assert!(
            round(node(), &text[..end], &Options::new()).is_err(),
            "{end}"
        );
    }
}

#[test]
fn integers_stay_in_range() {
    for (kind, min, max, past) in [
        (
            Kind::Int32,
            "-2147483648",
            "2147483647",
            ["-2147483649", "2147483648"],
        ),
        (
            Kind::Sint32,
            "-2147483648",
            "2147483647",
            ["-2147483649", "2147483648"],
        ),
        (
            Kind::Sfixed32,
            "-2147483648",
            "2147483647",
            ["-2147483649", "2147483648"],
        ),
        (Kind::Uint32, "0", "4294967295", ["-1", "4294967296"]),
        (Kind::Fixed32, "0", "4294967295", ["-1", "4294967296"]),
        (
            Kind::Int64,
            "-9223372036854775808",
            "9223372036854775807",
            ["-9223372036854775809", "9223372036854775808"],
        ),
        (
            Kind::Sint64,
            "-9223372036854775808",
            "9223372036854775807",
            ["-9223372036854775809", "9223372036854775808"],
        ),
        (
            Kind::Sfixed64,
            "-9223372036854775808",
            "9223372036854775807",
            ["-9223372036854775809", "9223372036854775808"],
        ),
        (
            Kind::Uint64,
            "0",
            "18446744073709551615",
            ["-1", "18446744073709551616"],
        ),
        (
            Kind::Fixed64,
            "0",
            "18446744073709551615",
            ["-1", "18446744073709551616"],
        ),
    ] {
        let layout = only(kind);
        let quoted = kind.size() == 8;
        for value in [min, max] {
            let canonical = if quoted {
                with_f(&format!("\"{value}\""))
            } else {
                with_f(value)
            };
            check(layout, &with_f(value), &canonical);
            check(layout, &with_f(&format!("\"{value}\"")), &canonical);
        }
        for value in past
            .into_iter()
            .chain(["1.5", "\"\"", "\" 1\"", "\"1 \"", "\"0x1\"", "{}"])
        {
            refuse(layout, &with_f(value));
        }
    }
}

#[test]
fn floats_and_their_names() {
    for (text, expected) in [
        ("1", "1.0"),
        ("1.5", "1.5"),
        ("-0.0", "-0.0"),
        ("1e300", "1e300"),
        ("\"2.5\"", "2.5"),
        ("\"NaN\"", "\"NaN\""),
        ("\"Infinity\"", "\"Infinity\""),
        ("\"-Infinity\"", "\"-Infinity\""),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e308"),
    ] {
        check(only(Kind::Double), &with_f(text), &with_f(expected));
    }
    check(only(Kind::Float), &with_f("0.1"), &with_f("0.1"));
    check(only(Kind::Float), &with_f("\"NaN\""), &with_f("\"NaN\""));
    check(
        only(Kind::Float),
        &with_f("3.4028235e38"),
        &with_f("3.4028234663852886e38"),
    );
    refuse(only(Kind::Float), &with_f("3.5e38"));
    for bad in [
        "1e309", "NaN", "\"nan\"", "\"inf\"", "true", "\"\"", "\"1 \"",
    ] {
        refuse(only(Kind::Double), &with_f(bad));
    }
}

#[test]
fn bytes_in_either_alphabet() {
    let layout = only(Kind::Bytes);
    check(layout, &with_f(r#""+/8=""#), &with_f(r#""+/8=""#));
    for same in [r#""-_8=""#, r#""-_8""#, r#""+/8""#, r#""+/9""#] {
        check(layout, &with_f(same), &with_f(r#""+/8=""#));
    }
    check(layout, &with_f("\"\""), &with_f("\"\""));
    for bad in [r#""+_8=""#, r#""a""#, r#""a b=""#, r#""====""#, "1"] {
        refuse(layout, &with_f(bad));
    }
}

#[test]
fn enums_by_name_and_number() {
    let layout = only(Kind::Enum(crate::sample::KIND));
    check(layout, &with_f("\"ONE\""), &with_f("\"ONE\""));
    check(layout, &with_f("\"UNO\""), &with_f("\"ONE\""));
    check(layout, &with_f("-1"), &with_f("\"MINUS\""));
    check(layout, &with_f("77"), &with_f("77"));
    check(layout, &with_f("\"NONE\""), &with_f("\"NONE\""));
    for bad in ["\"one\"", "2147483648", "1.5", "true", "\"\""] {
        refuse(layout, &with_f(bad));
    }
    let numbers = Options::new().enum_numbers(true);
    assert_eq!(
        round(layout, &with_f("\"ONE\""), &numbers).unwrap(),
        with_f("1")
    );
}

#[test]
fn strings_are_escaped_where_they_must_be() {
    let layout = only(Kind::String);
    check(
        layout,
        r#"{"f":"\u0000\u001f\u007f\"\\\/\b\f\n\r\té\ud83d\ude00"}"#,
        "{\"f\":\"\\u0000\\u001f\u{7f}\\\"\\\\/\\u0008\\u000c\\n\\r\\té😀\"}",
    );
}

#[test]
fn map_keys_of_every_type() {
    for (key, good, bad) in [
        (MapKey::Bool, "true", "1"),
        (MapKey::Int32, "-1", "2147483648"),
        (MapKey::Uint32, "4294967295", "-1"),
        (MapKey::Sint64, "-9223372036854775808", "x"),
        (MapKey::Fixed64, "18446744073709551615", ""),
        (MapKey::String, "any \\\" key", ""),
    ] {
        let layout = Sample::new("sample.Keys")
            .field(1, "f", Kind::Bool, Label::Map(key))
            .leak();
        let text = format!("{{\"f\":{{\"{good}\":true}}}}");
        check(layout, &text, &text);
        if key != MapKey::String {
            refuse(layout, &format!("{{\"f\":{{\"{bad}\":true}}}}"));
        }
        refuse(layout, "{\"f\":{1:true}}");
    }
}

#[test]
fn both_names_of_a_field_are_read() {
    static LAYOUT: OnceLock<&Layout> = OnceLock::new();
    let layout = LAYOUT.get_or_init(|| {
        let field = crate::Field {
            number: 1,
            name: "some_name",
            json_name: "someName",
            kind: Kind::Int32,
            shape: crate::Shape::Plain,
            offset: 0,
        };
        let chain = &[crate::LayoutHash([0; 16])];
        Box::leak(Box::new(Layout::new(
            "sample.Named",
            vec![field].leak(),
            &[],
            4,
            chain,
        )))
    });
    check(layout, r#"{"some_name":1}"#, r#"{"someName":1}"#);
    refuse(layout, r#"{"some_name":1,"someName":1}"#);
    let options = Options::new().proto_names(true);
    assert_eq!(
        round(layout, r#"{"someName":1}"#, &options).unwrap(),
        r#"{"some_name":1}"#
    );
}

#[test]
fn what_is_unknown_is_skipped_on_request() {
    let options = Options::new().ignore_unknown(true);
    let text = r#"{"x":{"y":[1,{"z":null}]},"id":1,"@type":"t"}"#;
    assert_eq!(round(node(), text, &options).unwrap(), r#"{"id":"1"}"#);
    assert!(
        round(node(), r#"{"x":{"y":[1,}}"#, &options).is_err(),
        "but must be JSON"
    );
    let names: &'static EnumInfo = crate::sample::KIND;
    let layout = Sample::new("sample.Enums")
        .field(1, "one", Kind::Enum(names), Label::Plain)
        .field(2, "many", Kind::Enum(names), Label::Repeated)
        .field(3, "map", Kind::Enum(names), Label::Map(MapKey::String))
        .leak();
    let text = r#"{"one":"X","many":["ONE","X",5],"map":{"a":"X","b":"ONE"}}"#;
    let expected = r#"{"many":["ONE",5],"map":{"b":"ONE"}}"#;
    assert_eq!(round(layout, text, &options).unwrap(), expected);
    refuse(layout, text);
}

#[test]
fn defaults_are_written_on_request() {
    let options = Options::new().emit_defaults(true);
    assert_eq!(
        round(node(), "{}", &options).unwrap(),
        r#"{"id":"0","name":"","nodes":[],"by_name":{},"values":[]}"#
    );
    let mut plain = Sample::new("sample.Plain");
    for (index, kind) in KINDS.iter().enumerate() {
        plain = plain.field(number(0, index), "f", *kind, Label::Plain);
    }
    assert_eq!(
        round(plain.leak(), "{}", &options).unwrap(),
        r#"{"f":false,"f":0,"f":0,"f":0,"f":0,"f":0,"f":"0","f":"0","f":"0","f":"0","f":"0","f":0.0,"f":0.0,"f":"NONE","f":"","f":""}"#
    );
}

#[test]
fn nesting_up_to_the_limit() {
    let nested = |levels: usize| {
        let mut text = "{\"next\":".repeat(levels - 1);
        text.push_str("{}");
        text.push_str(&"}".repeat(levels - 1));
        text
    };
    assert!(round(node(), &nested(100), &Options::new()).is_ok());
    assert_eq!(
        round(node(), &nested(101), &Options::new()),
        Err(WireError::TooDeep { max_depth: 100 })
    );
    let unknown = format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(
        round(node(), &unknown, &Options::new().ignore_unknown(true)),
        Err(WireError::TooDeep { max_depth: 100 })
    );
}

#[test]
fn size_up_to_the_limit() {
    let text = r#"{"id":"7","nodes":[{},{},{}],"values":[1,2,3]}"#;
    let limits = Limits::default();
    let size = to_archive(node(), text, &Options::new(), &limits)
        .unwrap()
        .len();
    let limited = |max| to_archive(node(), text, &Options::new(), &limits.with_max_bytes(max));
    assert!(limited(size).is_ok());
    assert_eq!(
        limited(size - 1),
        Err(WireError::TooLarge {
            max_bytes: size - 1
        })
    );
    let options = |max| Options::new().max_bytes(max);
    let len = round(node(), text, &Options::new()).unwrap().len();
    assert!(round(node(), text, &options(len)).is_ok());
    assert_eq!(
        round(node(), text, &options(len - 1)),
        Err(WireError::TooLarge { max_bytes: len - 1 })
    );
}

#[test]
fn every_kind_survives() {
    let layout = all_kinds();
    let archive =
        |message: &[u8]| crate::protobuf::to_archive(layout, message, &Limits::default()).unwrap();
    for block in 0..2 {
        for (index, kind) in KINDS.iter().enumerate() {
            let single = Sample::new("sample.Single")
                .field(number(block, index), "f", *kind, Label::Optional)
                .leak();
            let text = match kind {
                Kind::Bool => "true",
                Kind::String | Kind::Bytes => "\"AAAA\"",
                Kind::Enum(_) => "\"ONE\"",
                Kind::Float | Kind::Double => "1.5",
                _ if kind.size() == 8 => "\"1\"",
                _ => "1",
            };
            check(single, &with_f(text), &with_f(text));
            // The same number means the same kind in the large message.
            let own =
                to_archive(single, &with_f(text), &Options::new(), &Limits::default()).unwrap();
            let own = DynTable::from_archive(single, &own, &Limits::default()).unwrap();
            let large = archive(&crate::protobuf::from_archive(own));
            let large = DynTable::from_archive(layout, &large, &Limits::default()).unwrap();
            assert_eq!(
                to_string(large, &Options::new()).unwrap(),
                with_f(text),
                "{kind:?}"
            );
        }
    }
}
