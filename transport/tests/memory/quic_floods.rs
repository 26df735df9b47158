//! Floods over QUIC, frame by frame, and clients that begin and do not go on.
//!
//! Each flood goes on until the server closes the connection. Meanwhile others' calls are
//! answered, and the process stays small.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use dreammesh_session::frame::{CloseCode, PREFACE};

use crate::child;
use crate::floods::{GROWTH_BYTES_MAX, HALF_BYTES_MAX};
use crate::frames::hello;
use crate::quic_peer::{Close, PAYLOAD_MAX, QuicPeer, varint};
use crate::to_server::{connect, honest};
use crate::watched::Watched;

/// Frames that never come to an end.
pub(crate) struct Flood {
    pub(crate) name: &'static str,
    /// Makes the next few frames, which fit one packet, from how many there were before.
    next: fn(u64) -> Vec<u8>,
}

const STREAM_WITH_LENGTH: u8 = 0x0a;
const OFFSET: u8 = 0x04;

/// A frame of a few numbers.
fn numbers(kind: u8, numbers: &[u64]) -> Vec<u8> {
    let mut frame = vec![kind];
    numbers
        .iter()
        .for_each(|number| frame.extend(varint(*number)));
    frame
}

/// Bytes of the client's stream of this index.
fn stream(index: u64, offset: u64, bytes: &[u8]) -> Vec<u8> {
    let mut frame = numbers(STREAM_WITH_LENGTH | OFFSET, &[4 * index, offset]);
    frame.extend(varint(bytes.len() as u64));
    frame.extend(bytes);
    frame
}

fn new_connection_id(sequence: u64, retire_prior_to: u64) -> Vec<u8> {
    let mut frame = numbers(0x18, &[sequence, retire_prior_to]);
    frame.push(8);
    frame.extend(sequence.to_be_bytes());
    frame.extend([0x77; 8]);
    frame.extend(sequence.to_be_bytes());
    frame
}

/// What a session begins with.
fn greeting() -> Vec<u8> {
    [&PREFACE[..], &hello(&[])].concat()
}

/// The first bytes of a frame of the session that may be ignored, and as long as any.
fn session_byte(offset: u64) -> u8 {
    const BEGUN: [u8; 16] = [0, 0, 1, 0, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let greeting = greeting();
    let offset = usize::try_from(offset).unwrap();
    match greeting.get(offset) {
        Some(byte) => *byte,
        None => BEGUN
            .get((offset - greeting.len()) % 65_552)
            .copied()
            .unwrap_or(0),
    }
}

pub(crate) fn floods() -> Vec<Flood> {
    [streams(), connection_ids(), signs_of_life(), flow()]
        .into_iter()
        .flatten()
        .collect()
}

fn flood(name: &'static str, next: fn(u64) -> Vec<u8>) -> Flood {
    Flood { name, next }
}

fn opened_and_reset(index: u64) -> Vec<u8> {
    [
        stream(index, 0, &[0xd7]),
        numbers(0x04, &[4 * index, 0, 1]),
        numbers(0x05, &[4 * index, 0]),
    ]
    .concat()
}

fn streams() -> Vec<Flood> {
    vec![
        flood("streams beyond those allowed", |number| {
            opened_and_reset(number + 1)
        }),
        flood("crumbs of one lane", |number| {
            stream(0, number, &[session_byte(number)])
        }),
        flood("crumbs of all lanes", |number| {
            let offset = number / 16;
            stream(number % 16, offset, &[session_byte(offset)])
        }),
        flood("empty stream frames", |_| stream(0, 0, &[])),
        flood("the same crumb", |_| stream(0, 0, &[0xd7])),
        flood("crumbs with gaps", |number| {
            stream(number % 16, 1_000 + 2 * (number / 16), &[0])
        }),
        flood("RESET_STREAM again and again", |_| {
            [opened_and_reset(1), numbers(0x04, &[4, 0, 1])].concat()
        }),
        flood("STOP_SENDING again and again", |_| numbers(0x05, &[4, 0])),
    ]
}

fn connection_ids() -> Vec<Flood> {
    vec![
        flood("connection ids that replace each other", |number| {
            new_connection_id(number + 1, number + 1)
        }),
        flood("the same connection id", |_| new_connection_id(1, 0)),
    ]
}

fn signs_of_life() -> Vec<Flood> {
    vec![
        flood("PING", |_| vec![0x01]),
        flood("PATH_CHALLENGE", |number| {
            [&[0x1a][..], &number.to_be_bytes()].concat()
        }),
        flood("PATH_RESPONSE", |number| {
            [&[0x1b][..], &number.to_be_bytes()].concat()
        }),
        flood("ACK", |_| numbers(0x02, &[0, 0, 0, 0])),
        flood("CRYPTO", |_| [numbers(0x06, &[0, 1]), vec![4]].concat()),
        flood("CRYPTO with gaps", |number| {
            [numbers(0x06, &[10_001 + 2 * (number % 4_000), 1]), vec![4]].concat()
        }),
    ]
}

fn flow() -> Vec<Flood> {
    const MOST: u64 = 1 << 30;
    vec![
        flood("MAX_DATA", |number| numbers(0x10, &[MOST + number])),
        flood("MAX_STREAM_DATA", |number| {
            numbers(0x11, &[0, MOST + number])
        }),
        flood("MAX_STREAMS", |number| numbers(0x12, &[number])),
        flood("DATA_BLOCKED", |number| numbers(0x14, &[number])),
        flood("STREAM_DATA_BLOCKED", |number| numbers(0x15, &[0, number])),
        flood("STREAMS_BLOCKED", |number| numbers(0x16, &[number])),
        flood("connection ids given back", |number| {
            numbers(0x19, &[1 + number % 4])
        }),
    ]
}

/// How long the server may take to close, which looks every five seconds and has a build without
/// optimisation to do so.
pub(crate) const CLOSED_WITHIN: Duration = Duration::from_secs(60);

/// Sends until the server closes, and says how it did.
pub(crate) fn send(address: &str, flood: &Flood, number: u64) -> Option<Close> {
    let mut peer = QuicPeer::connect(address, number);
    // An honest lane, so that the connection is not closed for having none.
    peer.send(&stream(0, 0, &greeting()));
    let (over, ended) = mpsc::channel::<()>();
    let watchdog = thread::spawn(move || ended.recv_timeout(CLOSED_WITHIN));
    let (mut next, mut packets) = (0, 0_u64);
    while peer.close.is_none() && !watchdog.is_finished() {
        let mut frames = Vec::new();
        loop {
            let frame = (flood.next)(next);
            if frames.len() + frame.len() > PAYLOAD_MAX {
                break;
            }
            frames.extend(frame);
            next += 1;
        }
        peer.send(&frames);
        packets += 1;
        if packets.is_multiple_of(16) {
            peer.receive();
            peer.acknowledge();
        }
    }
    drop(over);
    let _ = watchdog.join();
    peer.close.clone()
}

/// Several floods at once, each on a connection of its own; all of them are closed.
fn flood_at_once(address: &str, floods: &[Flood], numbers: &mut impl Iterator<Item = u64>) {
    thread::scope(|scope| {
        let sending: Vec<_> = floods
            .iter()
            .zip(numbers)
            .map(|(flood, number)| scope.spawn(move || send(address, flood, number)))
            .collect();
        for (flood, sending) in floods.iter().zip(sending) {
            let close = sending.join().unwrap();
            let close = close.unwrap_or_else(|| panic!("{}: it was not closed", flood.name));
            let is_flood = close.by_application && close.code == u64::from(CloseCode::FLOOD.0);
            // Or a rule of QUIC's own that quinn holds it to.
            assert!(
                is_flood || !close.by_application,
                "{}: {close:?}",
                flood.name
            );
        }
    });
}

#[test]
fn who_floods_is_closed_and_others_are_served() {
    let mut watched = Watched::start(child::SECURE_BOTH);
    watched.warm_up(&honest(), connect);
    let mut numbers = 1..;
    let address = watched.address.clone();
    for some in floods().chunks(AT_ONCE) {
        let names: Vec<_> = some.iter().map(|flood| flood.name).collect();
        let (most, _) = watched.growth(|watched| {
            thread::scope(|scope| {
                let sending = scope.spawn(|| flood_at_once(&address, some, &mut numbers));
                while !sending.is_finished() {
                    connect(watched, 1)[0].play(&honest());
                }
                sending.join().unwrap();
            });
        });
        eprintln!("{names:?}: {most} bytes");
        assert!(
            most <= GROWTH_BYTES_MAX,
            "{names:?}: it grew by {most} bytes"
        );
        watched.settle();
    }
}

/// Many floods wait for the next look at them together.
const AT_ONCE: usize = 6;

const HALVES: u64 = 400;

#[test]
fn who_begins_a_handshake_and_does_not_go_on_holds_little_and_is_closed() {
    for (name, proves) in [
        ("an Initial", false),
        ("an Initial from a proven address", true),
    ] {
        // A new one each time, so that nothing is held in room that was free before.
        let mut watched = Watched::start(child::SECURE_BOTH);
        watched.warm_up(&honest(), connect);
        let address = watched.address.clone();
        // What one handshake leaves behind for good is not what a half one holds.
        drop(QuicPeer::connect(&address, 1));
        watched.settle();
        let mut peers = Vec::new();
        let mut retried = 0;
        let (_, held) = watched.growth(|watched| {
            for number in 0..HALVES {
                let mut peer = QuicPeer::new(&address, number);
                peer.begin();
                if proves {
                    retried += u64::from(peer.prove_address());
                }
                peers.push(peer);
            }
            (0..2).for_each(|_| connect(watched, 1)[0].play(&honest()));
        });
        let each = held / HALVES;
        eprintln!("{name}: {each} bytes each, {retried} had to prove their address");
        assert!(each <= HALF_BYTES_MAX, "{name}: each holds {each} bytes");
        // It waits until every connection is over.
        watched.settle();
    }
}
