//! Hostile servers: the process under watch calls.

use std::net::TcpListener;

use dreammesh_core::wire::Message;
use dreammesh_core::wire::closure::Closure;
use dreammesh_core::wkt::FieldMask;
use dreammesh_session::frame::{CloseCode, FRAME_LENGTH_MAX, HEAD_BYTES_MAX, flag, kind, section};

use crate::frames::{chunk, frame, header, hello, ping, section_of};
use crate::peer::{Expect, Peer, Script, settings};
use crate::watched::Watched;
use crate::{archives, child, frames};

/// The first call of a connection.
const CALL: (u32, u32) = (0, 1);
const NO_CALL: (u32, u32) = (0, 0);
/// The first method of a connection.
const METHOD: (u32, u32) = (0, 0);

fn script(name: impl Into<String>, expect: Expect, frames: &[Vec<u8>]) -> Script {
    Script::new(name, expect, [hello(&[]), frames.concat()].concat())
}

fn closed(name: impl Into<String>, code: CloseCode, frames: &[Vec<u8>]) -> Script {
    script(name, Expect::Closed(code), frames)
}

/// Each script by itself, and then many connections at once.
fn attack(scripts: &[Script]) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The process calls, one call a connection, and the call is there before the script begins.
    let connect = |watched: &mut Watched, count: usize| {
        watched.tell(&format!("call {count} {address}"));
        let accept = |_| {
            let mut peer = Peer::new(listener.accept().unwrap().0);
            let opened = std::iter::from_fn(|| peer.next()).find(|seen| seen.kind == kind::OPEN);
            assert_eq!(opened.unwrap().id, CALL);
            peer
        };
        (0..count).map(accept).collect()
    };
    let mut watched = Watched::start(child::CLIENT);
    let answer = frame(kind::MESSAGE, ONE, CALL, &[], b"\x0a\x03oak");
    let honest = closed("honest answers", CloseCode::DONE, &[answer]);
    watched.warm_up(&honest, connect);
    watched.suffer_all(scripts, connect);
}

/// A call's only answer, as protobuf.
const ONE: u8 = flag::END | flag::MESSAGE | flag::PROTOBUF;

#[test]
fn frames_longer_than_any_may_be_or_that_do_not_come() {
    let mut all = Vec::new();
    for kind in (1..=15).chain([127, 128, 255]) {
        for length in [FRAME_LENGTH_MAX as u32 + 1, 1 << 31, u32::MAX] {
            let lie = [&header(length, kind, 0, 0, CALL)[..], b"oak"].concat();
            let name = format!("kind {kind}, length {length}");
            all.push(closed(name, CloseCode::FRAME_SIZE, &[lie]));
        }
        let name = format!("the head of kind {kind} beyond its frame");
        let lie = header(8, kind, 0, HEAD_BYTES_MAX as u16, CALL);
        all.push(closed(name, CloseCode::PROTOCOL, &[lie]));
        let lie = header(
            FRAME_LENGTH_MAX as u32,
            kind,
            0,
            HEAD_BYTES_MAX as u16,
            CALL,
        );
        let name = format!("kind {kind}, as long as it may be, that does not come");
        all.push(script(name, Expect::Pong, &[ping(), lie]));
    }
    attack(&all);
}

#[test]
fn sections_longer_than_their_head() {
    let kinds = [
        (kind::HEADERS, vec![section::METADATA], CALL, 0),
        (
            kind::END,
            vec![section::METADATA, section::STATUS_MESSAGE],
            CALL,
            8,
        ),
        (kind::METHOD_ACK, vec![9, 10, 11], METHOD, 0),
        (kind::MESSAGE, vec![section::IGNORABLE], CALL, 0),
        (kind::GOAWAY, vec![section::IGNORABLE], NO_CALL, 16),
        (kind::CLOSE, vec![section::IGNORABLE], NO_CALL, 16),
    ];
    let mut all = Vec::new();
    for (kind, numbers, id, fixed) in kinds {
        for number in numbers {
            for length in [9, 1024, u16::MAX] {
                let mut head = vec![0; fixed];
                if kind == kind::GOAWAY {
                    head[0] = 1;
                }
                head.extend(section_of(number, length, b""));
                let lie = frame(kind, 0, id, &head, b"");
                let name = format!("section {number} of kind {kind} with {length} bytes");
                all.push(closed(name, CloseCode::PROTOCOL, &[lie]));
            }
        }
    }
    let lie = [0xff, 0xff, 0xff, 0xff, b'a', b'b', 0, 0];
    let lie = frames::section(section::METADATA, &lie);
    let headers = frame(kind::HEADERS, 0, CALL, &lie, &[]);
    all.push(closed("metadata", CloseCode::PROTOCOL, &[headers]));
    attack(&all);
}

#[test]
fn answers_announced_beyond_credit_or_limit_or_that_do_not_come() {
    let mut all = Vec::new();
    for total in [(16 << 20) + 1, 1 << 31, u32::MAX] {
        let lie = chunk(CALL, total, b"oak");
        all.push(closed(
            format!("an answer of {total} bytes"),
            CloseCode::CREDIT,
            &[lie],
        ));
    }
    for total in [(4 << 20) + 1, 16 << 20] {
        let name = format!("an answer of {total} bytes, within credit");
        all.push(script(
            name,
            Expect::Cancelled,
            &[chunk(CALL, total, b"oak")],
        ));
    }
    for total in [65_537, 4 << 20] {
        let name = format!("an answer of {total} bytes, three of them there");
        let script = script(name, Expect::Pong, &[chunk(CALL, total, b"oak"), ping()]);
        all.push(script.admitted(total.into(), 1));
    }
    attack(&all);
}

#[test]
fn numbers_that_tables_are_sized_by() {
    let mut all = settings();
    for amount in [1 << 31, u64::MAX] {
        for id in [CALL, (u32::MAX, 0)] {
            let credit = frame(kind::CREDIT, 0, id, &amount.to_le_bytes(), &[]);
            all.push(closed(
                format!("credit of {amount}"),
                CloseCode::CREDIT,
                &[credit],
            ));
        }
    }
    let mut head = 1_u64.to_le_bytes().to_vec();
    head.extend(u64::MAX.to_le_bytes());
    let goaway = frame(kind::GOAWAY, 0, NO_CALL, &head, &[]);
    all.push(script(
        "a drain after all calls there can be",
        Expect::Pong,
        &[goaway, ping()],
    ));
    attack(&all);
}

/// END with this payload of details.
fn end(details: &[u8]) -> Vec<u8> {
    frame(kind::END, 0, CALL, &[13, 0, 0, 0, 0, 0, 1, 0], details)
}

#[test]
fn details_whose_lengths_lie() {
    let mut all = Vec::new();
    for (url, value) in [
        (u32::MAX, 0),
        (0, u32::MAX),
        (u32::MAX, u32::MAX),
        (4, 1 << 31),
    ] {
        let details = [
            &u32::to_le_bytes(url)[..],
            &u32::to_le_bytes(value),
            b"oak.",
        ]
        .concat();
        let name = format!("a detail of {url} and {value} bytes");
        all.push(closed(name, CloseCode::PROTOCOL, &[end(&details)]));
    }
    attack(&all);
}

#[test]
fn as_many_details_as_fit_a_frame() {
    let details = |count: usize| end(&vec![0; 8 * count]);
    let most = script("256 details", Expect::Pong, &[ping(), details(256)]);
    let more = closed("8,192 details", CloseCode::PROTOCOL, &[details(8_192)]);
    attack(&[most, more]);
}

/// METHOD_ACK that agrees with `verdict`, and with this payload of chains.
fn ack(verdict: u8, hash: [u8; 16], chains: &[u8]) -> Vec<u8> {
    let head = [
        frames::section(section::REQUEST_HASH, &hash),
        frames::section(section::RESPONSE_HASH, &hash),
        frames::section(section::VERDICT, &[verdict]),
    ];
    frame(kind::METHOD_ACK, 0, METHOD, &head.concat(), chains)
}

#[test]
fn chains_whose_lengths_and_counts_lie() {
    let chains = Closure::of(FieldMask::LAYOUT).to_bytes();
    let length = (chains.len() as u32).to_le_bytes();
    let mut all = Vec::new();
    for lie in [u32::MAX, 1 << 31, 2 * chains.len() as u32 + 1] {
        let chains = [&lie.to_le_bytes()[..], &chains, &chains].concat();
        let name = format!("chains of {lie} bytes");
        all.push(closed(
            name,
            CloseCode::PROTOCOL,
            &[ack(0, [9; 16], &chains)],
        ));
    }
    for (index, lie) in archives::with_great_numbers(&chains)
        .into_iter()
        .enumerate()
    {
        let chains = [&length[..], &lie, &lie].concat();
        let name = format!("chains that lie, number {index}");
        all.push(script(
            name,
            Expect::Pong,
            &[ack(0, [9; 16], &chains), ping()],
        ));
    }
    attack(&all);
}

/// Each as the answer to the only call of a connection, which is over then.
fn answers(name: &str, flags: u8, messages: Vec<Vec<u8>>) -> Vec<Script> {
    let answer = |(index, message): (usize, Vec<u8>)| {
        let name = format!("{name} number {index}");
        let answer = frame(kind::MESSAGE, flags, CALL, &[], &message);
        closed(name, CloseCode::DONE, &[ack(3, child::HASH.0, &[]), answer])
    };
    messages.into_iter().enumerate().map(answer).collect()
}

#[test]
fn archives_whose_lengths_and_counts_lie() {
    let lies = archives::with_great_numbers(&archives::sample());
    attack(&answers("archive", flag::END | flag::MESSAGE, lies));
}

#[test]
fn protobuf_whose_lengths_lie() {
    attack(&answers("protobuf", ONE, archives::protobuf()));
}
