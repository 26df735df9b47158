//! Hostile clients: the process under watch serves.

use std::net::TcpStream;

use dreammesh_session::frame::{CloseCode, FRAME_LENGTH_MAX, HEAD_BYTES_MAX, flag, kind, section};

use crate::frames::{chunk, frame, header, hello, method, open, ping, section_of};
use crate::peer::{Expect, Peer, Script, Step, settings};
use crate::watched::Watched;
use crate::{archives, child, frames};

/// The only message of a call, as protobuf.
const ONE: u8 = flag::END | flag::MESSAGE | flag::PROTOBUF;
const UNARY: u32 = 0;
const STREAM: u32 = 1;
const CALL: (u32, u32) = (0, 1);
const NO_CALL: (u32, u32) = (0, 0);
/// RESOURCE_EXHAUSTED.
const EXHAUSTED: u32 = 8;

fn begin() -> Vec<u8> {
    [
        hello(&[]),
        method(UNARY, child::MASK.path()),
        method(STREAM, child::RECORD.path()),
    ]
    .concat()
}

/// After the beginning, on a connection of its own.
fn script(name: impl Into<String>, expect: Expect, frames: &[Vec<u8>]) -> Script {
    Script::new(name, expect, [begin(), frames.concat()].concat())
}

fn closed(name: impl Into<String>, code: CloseCode, frames: &[Vec<u8>]) -> Script {
    script(name, Expect::Closed(code), frames)
}

/// A stream that is open and waits for messages.
fn stream(slot: u32) -> Vec<u8> {
    open(STREAM, (slot, 1), 0, &[], &[])
}

pub(crate) fn connect(watched: &mut Watched, count: usize) -> Vec<Peer> {
    let connect = |_| Peer::new(TcpStream::connect(&watched.address).unwrap());
    (0..count).map(connect).collect()
}

/// A call that is answered.
pub(crate) fn honest() -> Script {
    let honest = open(UNARY, CALL, ONE, &[], b"\x0a\x03oak");
    script("honest calls", Expect::Answered, &[honest])
}

/// Each script by itself, and then many connections at once.
fn attack(scripts: &[Script]) {
    let mut watched = Watched::start(child::SERVER);
    watched.warm_up(&honest(), connect);
    watched.suffer_all(scripts, connect);
}

#[test]
fn frames_longer_than_any_may_be() {
    let kinds = (1..=15).chain([127, 128, 255]);
    let lengths = [FRAME_LENGTH_MAX as u32 + 1, 1 << 20, 1 << 31, u32::MAX];
    let all: Vec<_> = kinds
        .flat_map(|kind| lengths.map(|length| (kind, length)))
        .flat_map(|(kind, length)| {
            let name = format!("kind {kind}, length {length}");
            let lie = [&header(length, kind, 0, 0, CALL)[..], b"oak"].concat();
            let first = lie.clone();
            let code = CloseCode::FRAME_SIZE;
            [
                Script::new(format!("{name}, at first"), Expect::Closed(code), first),
                closed(name, code, &[lie]),
            ]
        })
        .collect();
    attack(&all);
}

#[test]
fn frames_as_long_as_they_may_be_that_do_not_come() {
    let longest = FRAME_LENGTH_MAX as u32;
    let mut all = Vec::new();
    for (kind, head_len) in [
        (255, 0),
        (kind::OPEN, HEAD_BYTES_MAX as u16),
        (kind::CHUNK, 8),
    ] {
        let name = format!("kind {kind} of {longest} bytes");
        let lie = header(longest, kind, flag::MESSAGE, head_len, CALL);
        all.push(script(
            format!("{name}, none of them there"),
            Expect::Pong,
            &[ping(), lie],
        ));
    }
    let whole = frame(255, 0, NO_CALL, &[], &vec![7; 65_536]);
    let (most, last) = whole.split_at(whole.len() - 8);
    let mut late = script(
        "a frame whose end comes late",
        Expect::Pong,
        &[ping(), most.to_vec()],
    );
    late.steps.push(Step {
        bytes: [last, &ping()].concat(),
        expect: Expect::Pong,
    });
    all.push(late);
    attack(&all);
}

#[test]
fn heads_and_sections_longer_than_their_frame() {
    let closed = |name: String, lie: Vec<u8>| closed(name, CloseCode::PROTOCOL, &[lie]);
    let mut all = Vec::new();
    for kind in 1..=15 {
        let name = format!("the head of kind {kind} beyond its frame");
        all.push(closed(
            name,
            header(8, kind, 0, HEAD_BYTES_MAX as u16, CALL),
        ));
    }
    for length in [9, 1024, u16::MAX] {
        for number in [1, 2, 3, 4, 5, 6, 128, 255] {
            let name = format!("section {number} of OPEN with {length} bytes");
            let lie = section_of(number, length, b"");
            all.push(closed(name, open(UNARY, CALL, ONE, &lie, b"")));
        }
        for number in 8..=13 {
            let name = format!("section {number} of METHOD with {length} bytes");
            let lie = section_of(number, length, b"");
            all.push(closed(name, frame(kind::METHOD, 0, (2, 0), &lie, &[])));
        }
        for number in 1..=7 {
            let head = [
                &[1, 0, 1, 0, 0, 0, 0, 0][..],
                &section_of(number, length, b""),
            ]
            .concat();
            let lie = frame(kind::HELLO, 0, NO_CALL, &head, &[]);
            let name = format!("setting {number} with {length} bytes");
            all.push(Script::new(name, Expect::Closed(CloseCode::PROTOCOL), lie));
        }
    }
    attack(&all);
}

#[test]
fn metadata_whose_entries_lie() {
    let entries: [&[u8]; 4] = [
        &[0xff, 0xff, 0xff, 0xff, b'a', b'b', 0, 0],
        &[1, 0, 0xff, 0xff, b'a', b'b', 0, 0],
        &[0xff, 0xff, 1, 0, b'a', b'b', 0, 0],
        &[1, 0, 1, 0, b'a', b'b', 0xff, 0xff, 0xff, 0xff],
    ];
    let lie = |entry: &[u8]| frames::section(section::METADATA, entry);
    let all = entries.map(|entry| {
        let lie = open(UNARY, CALL, ONE, &lie(entry), b"");
        closed(format!("metadata {entry:?}"), CloseCode::PROTOCOL, &[lie])
    });
    attack(&all);
}

#[test]
fn messages_announced_beyond_credit_or_limit() {
    let mut all = Vec::new();
    for total in [(16 << 20) + 1, 1 << 30, 1 << 31, u32::MAX] {
        let name = format!("a message of {total} bytes");
        let lie = chunk(CALL, total, b"oak");
        all.push(closed(&name, CloseCode::CREDIT, &[stream(0), lie.clone()]));
        let unary = open(UNARY, CALL, 0, &[], &[]);
        all.push(closed(
            format!("{name}, unary"),
            CloseCode::CREDIT,
            &[unary, lie.clone()],
        ));
        let cancel = frame(kind::CANCEL, 0, CALL, &[], &[]);
        let over = [stream(0), cancel, lie];
        all.push(closed(
            format!("{name} to no one"),
            CloseCode::CREDIT,
            &over,
        ));
    }
    for total in [(4 << 20) + 1, 16 << 20] {
        let name = format!("a message of {total} bytes, within credit");
        let lie = chunk(CALL, total, b"oak");
        let ended = Expect::Ended(EXHAUSTED);
        all.push(script(&name, ended, &[stream(0), lie.clone()]));
        let cancel = frame(kind::CANCEL, 0, CALL, &[], &[]);
        let over = [stream(0), cancel, lie, ping()];
        all.push(script(format!("{name} to no one"), Expect::Pong, &over));
    }
    attack(&all);
}

#[test]
fn messages_announced_within_credit_that_do_not_come() {
    let announced = |calls: u32, total: u32| {
        let frames = (0..calls).flat_map(|slot| [stream(slot), chunk((slot, 1), total, b"oak")]);
        let frames: Vec<_> = frames.chain([ping()]).collect();
        let name =
            format!("{calls} messages of {total} bytes announced, three bytes of each there");
        let admitted = u64::from(calls) * u64::from(total);
        script(name, Expect::Pong, &frames).admitted(admitted, calls)
    };
    attack(&[
        announced(1, 4 << 20),
        announced(4, 4 << 20),
        announced(255, 65_537),
    ]);
    let most: Vec<_> = (0..4)
        .flat_map(|slot| [stream(slot), chunk((slot, 1), 4 << 20, b"x")])
        .collect();
    let one_more = [most, vec![stream(4), chunk((4, 1), 65_537, b"x")]].concat();
    let one_more = closed("one more than credit", CloseCode::CREDIT, &one_more);
    attack(&[one_more.admitted(16 << 20, 4)]);
}

#[test]
fn numbers_that_tables_are_sized_by() {
    let mut all = settings();
    for slot in [1024, 1 << 20, u32::MAX] {
        let lie = open(UNARY, (slot, 1), ONE, &[], b"");
        all.push(closed(format!("slot {slot}"), CloseCode::SLOT, &[lie]));
    }
    let last = open(UNARY, (1023, u32::MAX), ONE, &[], b"");
    all.push(script(
        "the last slot and generation",
        Expect::Answered,
        &[last],
    ));
    for index in [2, 1024, u32::MAX] {
        let lie = open(index, CALL, ONE, &[], b"");
        all.push(closed(
            format!("call of method {index}"),
            CloseCode::PROTOCOL,
            &[lie],
        ));
    }
    for index in [3, 1024, u32::MAX] {
        all.push(closed(
            format!("method {index}"),
            CloseCode::PROTOCOL,
            &[method(index, "/a.B/C")],
        ));
    }
    for amount in [1 << 31, u64::MAX] {
        for id in [CALL, (u32::MAX, 0)] {
            let credit = frame(kind::CREDIT, 0, id, &amount.to_le_bytes(), &[]);
            let name = format!("credit of {amount} for {id:?}");
            all.push(closed(name, CloseCode::CREDIT, &[stream(0), credit]));
        }
    }
    attack(&all);
}

/// All the messages one by one on a connection, each in a call of its own.
fn calls(name: &str, flags: u8, messages: Vec<Vec<u8>>) -> Script {
    let mut script = script(name, Expect::Pong, &[ping()]);
    let calls = (1..).zip(messages).map(|(generation, message)| Step {
        bytes: open(UNARY, (0, generation), flags, &[], &message),
        expect: Expect::Answered,
    });
    script.steps.extend(calls);
    script
}

#[test]
fn archives_whose_lengths_and_counts_lie() {
    let lies = archives::with_great_numbers(&archives::sample());
    attack(&[calls("archives", flag::END | flag::MESSAGE, lies)]);
}

#[test]
fn protobuf_whose_lengths_lie() {
    attack(&[calls("protobuf", ONE, archives::protobuf())]);
}
