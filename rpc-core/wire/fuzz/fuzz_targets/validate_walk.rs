//! Arbitrary bytes: whatever the validator accepts is read to the last byte.
#![no_main]

use bytes::Bytes;
use dreammesh_wire::{Limits, Msg};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/wire/card.rs"]
mod card;
#[allow(dead_code, reason = "shared with the tests, which use the rest")]
#[path = "../../tests/wire/gen/sample.rs"]
mod sample;
#[path = "../../tests/wire/walk.rs"]
mod walk;

fuzz_target!(|data: &[u8]| {
    // An allocation of exactly this size lets the sanitizer see the smallest overrun.
    let archive = Bytes::from(data.to_vec().into_boxed_slice());
    let _ = card::read(&archive, &Limits::default());
    if let Ok(msg) = Msg::<sample::Sample>::from_archive(archive, &Limits::default()) {
        walk::walk(&msg);
    }
});
