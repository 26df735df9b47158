//! A structured message is archived and mutated: what still validates is read to the last byte.
#![no_main]

use bytes::Bytes;
use dreammesh_wire::{Encoded, Limits, Msg};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/wire/card.rs"]
mod card;
#[allow(dead_code, reason = "shared with the tests, which use the rest")]
#[path = "../../tests/wire/dice.rs"]
mod dice;
#[allow(dead_code, reason = "shared with the tests, which use the rest")]
#[path = "../../tests/wire/gen/sample.rs"]
mod sample;
#[path = "../../tests/wire/walk.rs"]
mod walk;

fuzz_target!(|data: &[u8]| {
    let mut dice = dice::Dice::new(data);
    if dice.byte() % 2 == 0 {
        return card(&mut dice);
    }
    let value = dice.sample();
    let Ok(encoded) = Encoded::<sample::Sample>::new(&value, &Limits::default()) else { return };
    let mut archive = encoded.into_segment().into_vec();
    let msg = Msg::<sample::Sample>::from_archive(archive.clone().into(), &Limits::default())
        .expect("what is written validates");
    assert_eq!(msg.into_owned(), value);
    while !dice.is_used_up() && !archive.is_empty() {
        mutate(&mut dice, &mut archive);
    }
    let archive = Bytes::from(archive.into_boxed_slice());
    if let Ok(msg) = Msg::<sample::Sample>::from_archive(archive, &Limits::default()) {
        walk::walk(&msg);
    }
});

fn card(dice: &mut dice::Dice<'_>) {
    let value = dice.card();
    let Ok(encoded) = Encoded::<card::Card>::new(&value, &Limits::default()) else { return };
    let mut archive = encoded.into_segment().into_vec();
    let whole = Bytes::from(archive.clone());
    assert_eq!(card::read(&whole, &Limits::default()), Some(value));
    while !dice.is_used_up() && !archive.is_empty() {
        mutate(dice, &mut archive);
    }
    let archive = Bytes::from(archive.into_boxed_slice());
    let _ = card::read(&archive, &Limits::default());
}

fn mutate(dice: &mut dice::Dice<'_>, archive: &mut Vec<u8>) {
    let at = dice.wide() as usize % archive.len();
    match dice.byte() % 6 {
        0 => archive[at] = dice.byte(),
        1 => archive[at] ^= 1 << (dice.byte() % 8),
        2 => archive[at] = archive[at].wrapping_add(1),
        3 => archive[at] = archive[at].wrapping_sub(1),
        4 => {
            let word = (dice.wide() as u32).to_le_bytes();
            archive.iter_mut().skip(at).zip(word).for_each(|(byte, new)| *byte = new);
        }
        _ => {
            let from = dice.wide() as usize % archive.len();
            let len = usize::from(dice.byte() % 17).min(archive.len() - from.max(at));
            archive.copy_within(from..from + len, at);
        }
    }
}
