//! What one message costs: serialise, then validate and read every field.
//!
//! Each system serialises an owned struct into a buffer it keeps between rounds, and reads what it
//! received the cheapest way that is safe on bytes from a network. All must arrive at the same
//! digest before anything is timed.
//!
//! A machine's speed changes by a quarter from one second to the next when others use it too, so
//! the systems take turns within each round of well below a millisecond, and the ratio to stock
//! rkyv is the median of those within the rounds.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    reason = "the table is what the program is run for"
)]

mod archive;
mod stock;
mod turns;

use std::cell::RefCell;
use std::hint::black_box;
use std::mem::take;

use dreammesh_benches::handler::Handler;
use dreammesh_benches::message::{order, small};
use dreammesh_benches::{ours, peer};
use prost::Message as _;
use rkyv::util::AlignedVec;
use turns::Turns;

/// How often each system has its turn; `--rounds` says otherwise.
const ROUNDS: usize = 1000;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let stated = words.iter().skip_while(|word| *word != "--rounds").nth(1);
    let rounds = match stated.and_then(|word| word.parse().ok()) {
        Some(rounds) => rounds,
        // Without cargo's word for measuring, this is a test of whether all of it works.
        None if words.iter().all(|word| word != "--bench") => 1,
        None => ROUNDS,
    };
    println!("{rounds} rounds; CPU time of the thread, medians\n");
    println!("| | | write | times rkyv | read | times rkyv | both | times rkyv |");
    println!("|---|---|---|---|---|---|---|---|");
    small(rounds);
    order(rounds);
}

fn small(rounds: usize) {
    let mut turns = Turns::new("64B", small::digest());
    let message = stock::small();
    let received = stock::encode_small(&message, AlignedVec::new());
    turns.add(
        "stock rkyv",
        (message, received, RefCell::new(AlignedVec::new())),
        |(message, _, kept)| {
            kept.replace_with(|kept| stock::encode_small(black_box(message), take(kept)));
        },
        |(_, received, _)| stock::read_small(black_box(received)),
    );

    let message = small::owned(Handler::Immediate);
    let counted = archive::encode(&message).into_segment().into_bytes();
    let received = [
        ("DreamMesh", archive::uncounted(&counted)),
        ("DreamMesh, counted", counted),
    ];
    for (name, received) in received {
        turns.add(
            name,
            (message.clone(), received),
            |(message, _)| drop(black_box(archive::encode(black_box(message)))),
            |(_, received)| {
                small::read_view(archive::receive::<ours::Small>(black_box(received)).view())
            },
        );
    }

    let message = small::prost(Handler::Immediate);
    let received = message.encode_to_vec();
    turns.add(
        "prost",
        (message, received, RefCell::new(Vec::new())),
        |(message, _, kept)| encode(black_box(message), &mut kept.borrow_mut()),
        |(_, received, _)| small::read_prost(&decode::<peer::Small>(black_box(received))),
    );
    turns.run(rounds);
}

fn order(rounds: usize) {
    let mut turns = Turns::new("order-1KiB", order::digest());
    let message = stock::order();
    let received = stock::encode_order(&message, AlignedVec::new());
    turns.add(
        "stock rkyv",
        (message, received, RefCell::new(AlignedVec::new())),
        |(message, _, kept)| {
            kept.replace_with(|kept| stock::encode_order(black_box(message), take(kept)));
        },
        |(_, received, _)| stock::read_order(black_box(received)),
    );

    let message = order::owned();
    let counted = archive::encode(&message).into_segment().into_bytes();
    let received = [
        ("DreamMesh", archive::uncounted(&counted)),
        ("DreamMesh, counted", counted),
    ];
    for (name, received) in received {
        turns.add(
            name,
            (message.clone(), received),
            |(message, _)| drop(black_box(archive::encode(black_box(message)))),
            |(_, received)| {
                order::read_view(archive::receive::<ours::Order>(black_box(received)).view())
            },
        );
    }

    let message = order::prost();
    let received = message.encode_to_vec();
    turns.add(
        "prost",
        (message, received, RefCell::new(Vec::new())),
        |(message, _, kept)| encode(black_box(message), &mut kept.borrow_mut()),
        |(_, received, _)| order::read_prost(&decode::<peer::Order>(black_box(received))),
    );
    turns.run(rounds);
}

fn encode(message: &impl prost::Message, buffer: &mut Vec<u8>) {
    buffer.clear();
    message.encode(buffer).expect("a vector grows as needed");
    black_box(buffer);
}

fn decode<M: prost::Message + Default>(bytes: &[u8]) -> M {
    M::decode(bytes).expect("the bytes are our own")
}
