//! Every bound at it and one past it.

use dreammesh_core::call::{Begun, Code, Metadata};
use dreammesh_session::frame::{CloseCode, kind};
use dreammesh_session::{Config, Event, OpenError};

use crate::by_hand::{Seen, Side, frame, named, open, section};
use crate::methods::METHODS;

const END: u8 = 1;
const MESSAGE: u8 = 2;
const PROTOBUF: u8 = 4;
const STREAM: (u32, u32) = (0, 1);

fn server() -> Side {
    let mut config = Config::default();
    config.calls_max = 64;
    Side::server(config)
}

fn code(side: &Side) -> Option<CloseCode> {
    side.closed().map(|closed| closed.code)
}

#[test]
fn a_call_beyond_the_announced_maximum_is_refused_as_not_begun() {
    // The slots of a client that counts wrongly: 64 are in range, so one is over on our side.
    let mut side = server();
    for slot in 0..64 {
        side.hear(&open((slot, 1), 2, 0, None));
    }
    assert_eq!(
        (side.opened().len(), side.session.stats().calls_live),
        (64, 64)
    );
    assert!(side.frames().is_empty());
    // Cancelled calls whose handlers run on count, up to as many again.
    for round in 2..=3 {
        for key in side.opened() {
            let _ = side.session.accept(key);
        }
        for slot in 0..64 {
            side.hear(&frame(kind::CANCEL, 0, (slot, round - 1), &[], &[]));
        }
        side.events.clear();
        for slot in 0..64 {
            side.hear(&open((slot, round), 2, 0, None));
        }
    }
    let refused = side.frames();
    assert_eq!((side.opened().len(), refused.len()), (0, 64));
    assert!(
        refused
            .iter()
            .all(|seen| is_end(seen, Code::ResourceExhausted, 1, 0))
    );
    assert_eq!(side.session.stats().calls_refused, 64);
}

fn is_end(seen: &Seen, code: Code, reason: u8, begun: u8) -> bool {
    let head = (seen.head[0], seen.head[4], seen.head[6]);
    seen.header.kind == kind::END && head == (code as u8, reason, begun)
}

#[test]
fn a_client_keeps_to_the_servers_maximum_and_is_told_of_room() {
    let mut side = Side::client(Config::default());
    let keys: Vec<_> = (0..64)
        .map(|_| side.open(&METHODS[0], Some(1), true, None).expect("room"))
        .collect();
    let full = side.open(&METHODS[0], Some(1), true, None);
    assert!(matches!(full, Err(OpenError::Full)), "{full:?}");
    side.session.release(keys[3]);
    side.events();
    assert_eq!(side.events, [Event::Room]);
    side.open(&METHODS[0], Some(1), true, None)
        .expect("the released one's room");
    side.session.stop_waiting();
    side.session.release(keys[4]);
    side.events();
    assert_eq!(side.events.len(), 1);
}

#[test]
fn an_ended_call_keeps_its_room_until_its_answer_is_taken() {
    let mut side = Side::client(Config::default());
    let open = |side: &mut Side| side.open(&METHODS[0], Some(1), true, None);
    let keys: Vec<_> = (0..64).map(|_| open(&mut side).expect("room")).collect();
    assert!(matches!(open(&mut side), Err(OpenError::Full)));
    let mut sent = side.frames().into_iter().map(|seen| seen.header);
    let opened = sent.find(|header| header.kind == kind::OPEN).expect("sent");
    let flags = MESSAGE | END | PROTOBUF;
    let stream = (opened.slot, opened.generation);
    side.hear(&frame(kind::MESSAGE, flags, stream, &[], &[]));
    assert_eq!(side.events, [Event::Readable(keys[0])]);
    assert!(!side.session.has_room() && !side.session.has_events());
    side.session
        .take_unary(keys[0])
        .expect("it is complete")
        .expect("it is a success");
    assert!(side.session.has_room() && side.session.has_events());
    assert_eq!(side.session.poll_event(), Some(Event::Room));
    open(&mut side).expect("the room of the one that was taken");
}

#[test]
fn methods_are_bounded() {
    let mut side = server();
    for index in 4..1024 {
        side.hear(&named(index, "/a/B", [1; 16], [1; 16]));
    }
    assert!(code(&side).is_none());
    side.hear(&named(1024, "/a/B", [1; 16], [1; 16]));
    assert_eq!(code(&side), Some(CloseCode::LIMIT));
    let mut side = server();
    side.hear(&named(5, "/a/B", [1; 16], [1; 16]));
    assert_eq!(code(&side), Some(CloseCode::PROTOCOL));
}

#[test]
fn stream_credit_is_bounded_to_the_byte() {
    let fill = frame(
        kind::MESSAGE,
        MESSAGE | PROTOBUF,
        STREAM,
        &[],
        &[7; 65_536 - 64],
    );
    let empty = frame(kind::MESSAGE, MESSAGE | PROTOBUF, STREAM, &[], &[]);
    let mut side = server();
    side.hear(&[open(STREAM, 2, 0, None), fill.clone(), fill].concat());
    assert!(code(&side).is_none());
    assert_eq!(side.session.stats().queued_bytes, 2 * (65_536 - 64));
    side.hear(&empty);
    assert_eq!(code(&side), Some(CloseCode::CREDIT));
    // Empty messages are bounded too: 2,048 at 64 bytes each.
    let mut side = server();
    side.hear(&open(STREAM, 2, 0, None));
    for _ in 0..2048 {
        side.hear(&empty);
    }
    assert!(code(&side).is_none());
    side.hear(&empty);
    assert_eq!(code(&side), Some(CloseCode::CREDIT));
}

#[test]
fn connection_credit_is_bounded_over_all_streams() {
    let announce = |slot: u32, total: u64| {
        let head = total.to_le_bytes();
        let chunk = frame(kind::CHUNK, MESSAGE | PROTOBUF, (slot, 1), &head, &[7; 8]);
        [open((slot, 1), 2, 0, None), chunk].concat()
    };
    let mut side = server();
    for slot in 0..4 {
        side.hear(&announce(slot, 4 << 20));
    }
    assert!(code(&side).is_none());
    assert_eq!(side.session.stats().credit_held, 16 << 20);
    side.hear(&announce(4, 65_537));
    assert_eq!(code(&side), Some(CloseCode::CREDIT));
}

#[test]
fn credit_that_was_never_used_is_not_returned() {
    for (id, spent) in [(STREAM, false), ((u32::MAX, 0), false)] {
        let mut side = Side::client(Config::default());
        side.open(&METHODS[2], None, false, None).expect("room");
        let amount = if spent { 4096 } else { 5000_u64 };
        side.hear(&frame(kind::CREDIT, 0, id, &amount.to_le_bytes(), &[]));
        assert_eq!(code(&side), Some(CloseCode::CREDIT));
    }
}

#[test]
fn request_metadata_is_bounded_and_ends_its_call_alone() {
    let value = |bytes: usize| {
        let mut entry = vec![1, 0];
        entry.extend_from_slice(&(bytes as u16).to_le_bytes());
        entry.push(b'a');
        entry.resize(entry.len() + bytes, b'x');
        entry
    };
    for (bytes, good) in [(16 * 1024 - 33, true), (16 * 1024 - 32, false)] {
        let mut side = server();
        let head = [&2_u64.to_le_bytes()[..], &section(1, &value(bytes))].concat();
        side.hear(&frame(kind::OPEN, 0, STREAM, &head, &[]));
        assert_eq!(side.opened().len(), usize::from(good));
        let frames = side.frames();
        assert_eq!(frames.is_empty(), good);
        assert!(
            frames
                .iter()
                .all(|seen| is_end(seen, Code::ResourceExhausted, 5, 0))
        );
        assert!(code(&side).is_none());
    }
    let mut side = server();
    let head = [
        &2_u64.to_le_bytes()[..],
        &section(1, &[1, 0, 1, 0, b'A' - 1, b'x']),
    ]
    .concat();
    side.hear(&frame(kind::OPEN, 0, STREAM, &head, &[]));
    assert!(is_end(&side.frames()[0], Code::InvalidArgument, 5, 0));
}

#[test]
fn metadata_to_send_is_bounded_by_what_the_server_takes() {
    for (bytes, good) in [(8 * 1024 - 33, true), (8 * 1024 - 32, false)] {
        let mut side = Side::client(Config::default());
        let mut metadata = Metadata::new();
        metadata
            .append("a", "x".repeat(bytes))
            .expect("a lawful entry");
        let opened = side.open_with(&METHODS[0], Some(1), true, None, &metadata);
        match opened {
            Ok(_) => assert!(good),
            Err(OpenError::Failed(ended)) => {
                let facts = (ended.status.code(), ended.begun);
                assert!(!good && facts == (Code::ResourceExhausted, Begun::No));
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn messages_to_send_are_bounded_by_what_the_server_takes() {
    let mut side = Side::client(Config::default());
    side.open(&METHODS[0], Some(1 << 20), true, None)
        .expect("at the limit");
    let refused = side.open(&METHODS[0], Some((1 << 20) + 1), true, None);
    assert!(matches!(refused, Err(OpenError::Failed(ended)) if ended.begun == Begun::No));
}

/// Hears `bytes` until the session closes or this many times; gives how often.
fn flood(side: &mut Side, limit: u32, bytes: impl Fn(u32) -> Vec<u8>) -> u32 {
    for count in 0..limit {
        side.hear(&bytes(count));
        // A peer that floods may well read.
        side.frames();
        if side.closed().is_some() {
            return count;
        }
    }
    limit
}

#[test]
fn floods_of_frames_without_work_end_the_session() {
    // 1,000 tokens and two for each of 64 calls.
    const BUDGET: u32 = 1128;
    let ping = |_| frame(kind::PING, 0, (0, 0), &[0; 8], &[]);
    let pong = |_| frame(kind::PONG, 0, (0, 0), &[0; 8], &[]);
    let strange = |_| frame(200, 0, (0, 0), &[], &[]);
    let floods: [&dyn Fn(u32) -> Vec<u8>; 3] = [&ping, &pong, &strange];
    for bytes in floods {
        let mut side = server();
        assert_eq!(flood(&mut side, 2 * BUDGET, bytes), BUDGET);
        assert_eq!(code(&side), Some(CloseCode::FLOOD));
    }
    // Opening and cancelling at once.
    let rapid = |count: u32| {
        let id = (0, count + 1);
        [open(id, 2, 0, None), frame(kind::CANCEL, 0, id, &[], &[])].concat()
    };
    let mut side = server();
    assert_eq!(flood(&mut side, 2 * BUDGET, rapid), BUDGET);
}

#[test]
fn a_flood_of_small_credit_ends_the_session() {
    let mut side = Side::client(Config::default());
    let key = side
        .open(&METHODS[2], Some(60_000), false, None)
        .expect("room");
    let _ = key;
    let credit = |_| frame(kind::CREDIT, 0, STREAM, &1_u64.to_le_bytes(), &[]);
    let held = flood(&mut side, 10_000, credit);
    assert_eq!(code(&side), Some(CloseCode::FLOOD));
    assert_eq!(held, 1000 + 2 * 1024);
}

#[test]
fn a_peer_that_never_reads_is_no_longer_read() {
    let mut config = Config::default();
    config.calls_max = 64;
    config.output_bytes_max = 10_000;
    let mut side = Side::server(config);
    let mut heard = 0;
    while side.session.wants_input() && heard < 10_000 {
        // Each answer is small, each question is smaller.
        side.hear(&frame(kind::METHOD, 0, (4 + heard, 0), &method_head(), &[]));
        heard += 1;
    }
    assert!(heard < 200, "input stopped after {heard} frames");
    let before = side.session.stats();
    let mut input = bytes::BytesMut::from(&open(STREAM, 2, 0, None)[..]);
    let length = input.len();
    side.session.handle_input(side.now, &mut input);
    assert_eq!(
        (input.len(), side.session.stats()),
        (length, before),
        "nothing was taken"
    );
    assert!(side.bytes().len() <= 10_000 + 200);
    side.session.handle_input(side.now, &mut input);
    assert!(input.is_empty() && side.session.stats().calls_live == 1);
}

fn method_head() -> Vec<u8> {
    [
        section(8, b"/a/B"),
        section(9, &[1; 16]),
        section(10, &[2; 16]),
    ]
    .concat()
}

#[test]
fn slots_retire_and_the_connection_drains_when_most_have() {
    let mut config = Config::default();
    config.generations_max = 2;
    let mut side = Side::client(config);
    let mut opened = 0;
    loop {
        match side.open(&METHODS[0], Some(1), true, None) {
            Ok(key) => side.session.release(key),
            Err(OpenError::Failed(_)) => break,
            Err(other) => panic!("{other:?}"),
        }
        opened += 1;
    }
    // More than half of 64 slots, twice each.
    assert_eq!(opened, 33 * 2);
    side.events();
    assert!(side.events.contains(&Event::Draining));
    let opens = side
        .frames()
        .iter()
        .filter(|seen| seen.header.kind == kind::OPEN)
        .count();
    assert_eq!(opens, opened);
}

#[test]
fn flags_of_a_whole_call_are_as_the_protocol_says() {
    let mut side = server();
    side.hear(&open(STREAM, 0, END, Some(3)));
    let key = side.opened()[0];
    side.session.accept(key).expect("a whole call");
    let answer = dreammesh_core::wire::Segment::from_vec(vec![1; 5]);
    side.session
        .answer(key, answer, dreammesh_core::port::WireMode::Archive);
    let frames = side.frames();
    assert_eq!(frames.len(), 1, "a unary success is one frame");
    assert_eq!(frames[0].header.flags, END | MESSAGE);
    assert_eq!(frames[0].payload, [1; 5]);
    assert_eq!(side.session.stats().streams_held, 0);
}

#[test]
fn a_response_beyond_the_clients_limit_ends_its_call_alone() {
    use dreammesh_core::port::WireMode;
    use dreammesh_core::wire::Segment;
    let mut trailers = Metadata::new();
    for (length, good) in [(1 << 20, true), ((1 << 20) + 1, false)] {
        let mut side = server();
        side.hear(&open(STREAM, 0, END, Some(3)));
        let key = side.opened()[0];
        side.session.accept(key).expect("a whole call");
        let message = Some((Segment::from_vec(vec![1; length]), WireMode::Archive));
        side.session
            .respond(key, &Metadata::new(), message, &trailers);
        let last = side.frames().pop().expect("an answer");
        assert_eq!(last.header.kind == kind::CHUNK || last.head[0] == 0, good);
        assert!(good || is_end(&last, Code::ResourceExhausted, 6, 1));
        assert_eq!(side.session.stats().streams_held, 0);
        trailers.append("t", "1").expect("a lawful entry");
    }
}
