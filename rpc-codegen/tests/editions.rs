//! Editions come in as descriptor sets, and leave as the proto3 that says the same.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dreammesh_codegen::{Builder, Error};

/// Encodes a length-delimited field; every length here is below 128.
fn bytes(number: u8, contents: &[u8]) -> Vec<u8> {
    let length = u8::try_from(contents.len()).unwrap();
    assert!(length < 0x80);
    [&[number << 3 | 2, length], contents].concat()
}

fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

/// Options with one switch of the `features` field `at`.
fn features(at: u16, switch: u8, value: u8) -> Vec<u8> {
    let tag = at << 3 | 2;
    let (low, high) = ((tag & 0x7f | 0x80) as u8, (tag >> 7) as u8);
    let inner = number(switch, value);
    let head: &[u8] = if tag < 0x80 {
        &[tag as u8]
    } else {
        &[low, high]
    };
    [head, &[2], &inner].concat()
}

/// A field: name, number, type (5 is int32, 9 is string), label, and options.
fn field(name: &str, at: u8, kind: u8, label: u8, options: &[u8]) -> Vec<u8> {
    let mut out = bytes(1, name.as_bytes());
    out.extend(number(3, at));
    out.extend(number(4, label));
    out.extend(number(5, kind));
    if !options.is_empty() {
        out.extend(bytes(8, options));
    }
    bytes(2, &out)
}

/// A descriptor set of one edition 2023 file with one message of these fields.
fn set(fields: &[Vec<u8>]) -> Vec<u8> {
    let message = [bytes(1, b"M"), fields.concat()].concat();
    let mut file = bytes(1, b"e.proto");
    file.extend(bytes(2, b"ed"));
    file.extend([4 << 3 | 2, u8::try_from(message.len()).unwrap()]);
    file.extend(message);
    file.extend(bytes(12, b"editions"));
    file.extend([14 << 3, 0xe8, 0x07]);
    let mut out = vec![0x0a];
    let length = file.len();
    out.extend([(length & 0x7f | 0x80) as u8, (length >> 7) as u8]);
    out.extend(file);
    out
}

fn generate(fields: &[Vec<u8>]) -> Result<String, Error> {
    let output = Builder::new()
        .descriptor_set(set(fields))
        .generate(["e.proto"])?;
    let file = output
        .files
        .iter()
        .find(|file| file.name == "ed.rs")
        .unwrap();
    Ok(String::from_utf8(file.contents.clone()).unwrap())
}

#[test]
fn presence_is_explicit_unless_switched_off() {
    let text = generate(&[
        field("explicit", 1, 5, 1, &[]),
        field("implicit", 2, 5, 1, &features(21, 1, 2)),
        field("list", 3, 5, 3, &features(21, 3, 2)),
        field("text", 4, 9, 1, &[]),
    ])
    .unwrap();
    assert!(text.contains("pub explicit: Option<i32>,"), "{text}");
    assert!(text.contains("pub implicit: i32,"), "{text}");
    assert!(text.contains("pub list: Vec<i32>,"), "{text}");
    assert!(text.contains("pub text: Option<String>,"), "{text}");
}

#[test]
fn what_proto3_cannot_say_is_refused() {
    for (options, why) in [
        (features(21, 1, 3), "is required"),
        (features(21, 4, 3), "not UTF-8"),
    ] {
        let error = generate(&[field("f", 1, 9, 1, &options)]).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}
