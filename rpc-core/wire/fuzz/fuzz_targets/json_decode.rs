//! Arbitrary text as JSON: what is accepted is a valid archive, and is written as JSON that means
//! the same.
#![no_main]

use dreammesh_core::wkt;
use dreammesh_wire::{DynTable, Layout, Limits, Message, json, protobuf};
use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "shared with the tests, which use the rest")]
#[path = "../../tests/wire/gen/sample.rs"]
mod sample;

/// One with every shape, and those that have a form of their own.
const LAYOUTS: &[&Layout] = &[
    sample::Sample::LAYOUT,
    wkt::Any::LAYOUT,
    wkt::Duration::LAYOUT,
    wkt::FieldMask::LAYOUT,
    wkt::ListValue::LAYOUT,
    wkt::Struct::LAYOUT,
    wkt::Timestamp::LAYOUT,
    wkt::Value::LAYOUT,
];

fuzz_target!(|data: &[u8]| {
    let Some((&choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let layout = LAYOUTS[usize::from(choice) % LAYOUTS.len()];
    let options = json::Options::new()
        .types(LAYOUTS)
        .ignore_unknown(choice & 8 != 0)
        .proto_names(choice & 16 != 0)
        .emit_defaults(choice & 32 != 0)
        .enum_numbers(choice & 64 != 0);
    let limits = Limits::default();
    let Ok(archive) = json::to_archive(layout, text, &options, &limits) else { return };
    let table = DynTable::from_archive(layout, &archive, &limits).expect("what is written validates");
    // An Any may hold, as bytes that were never looked at, what has no form in JSON.
    let Ok(written) = json::to_string(table, &options) else { return };
    let again = json::to_archive(layout, &written, &options, &limits).expect("what is written is read");
    let again = DynTable::from_archive(layout, &again, &limits).expect("what is written validates");
    if choice & 32 == 0 {
        assert_eq!(protobuf::from_archive(again), protobuf::from_archive(table));
    }
    assert_eq!(json::to_string(again, &options).as_deref(), Ok(written.as_str()));
});
