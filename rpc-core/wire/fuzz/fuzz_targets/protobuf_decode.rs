//! Arbitrary bytes as protobuf: what is accepted is a valid archive within the limit, and becomes
//! protobuf that means the same.
#![no_main]

use bytes::Bytes;
use dreammesh_wire::{DynTable, Limits, Message, Msg, protobuf};
use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "shared with the tests, which use the rest")]
#[path = "../../tests/wire/gen/sample.rs"]
mod sample;
#[path = "../../tests/wire/walk.rs"]
mod walk;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, input)) = data.split_first() else { return };
    // Small limits are met by short inputs.
    let limits = if choice < 128 { Limits::default() } else { small_limits(choice) };
    let layout = sample::Sample::LAYOUT;
    let Ok(archive) = protobuf::to_archive(layout, input, &limits) else { return };
    assert!(archive.len() <= limits.bytes());
    let archive = Bytes::from(archive.into_boxed_slice());
    let msg = Msg::<sample::Sample>::from_archive(archive, &limits).expect("what is written validates");
    walk::walk(&msg);
    let table = msg.table().dynamic();
    let canonical = protobuf::from_archive(table);
    assert_eq!(canonical.len(), protobuf::encoded_len(table));
    let again = protobuf::to_archive(layout, &canonical, &Limits::default())
        .expect("what is written is read");
    let again = DynTable::from_archive(layout, &again, &Limits::default())
        .expect("what is written validates");
    assert_eq!(protobuf::from_archive(again), canonical);
});

fn small_limits(choice: u8) -> Limits {
    Limits::default()
        .with_max_bytes(usize::from(choice & 31) * 16)
        .with_max_depth(1 + u32::from(choice >> 5 & 3))
}
