//! What a peer may get wrong, and what comes of it: a closed session with a reason, a status for
//! that call alone, or nothing at all.

use std::time::Duration;

use bytes::BytesMut;
use dreammesh_core::call::{Begun, Code};
use dreammesh_session::frame::{CloseCode, Header, kind};
use dreammesh_session::{Config, Session};

use crate::by_hand::{Side, frame, hello, method, named, open, section};
use crate::methods::METHODS;

const END: u8 = 1;
const MESSAGE: u8 = 2;
const PROTOBUF: u8 = 4;
const STREAM: (u32, u32) = (0, 1);

fn server() -> Side {
    Side::server(Config::default())
}

/// The session must close with this code, say so on the wire, and take nothing more.
fn assert_closes(mut side: Side, bytes: &[u8], code: CloseCode) {
    side.hear(bytes);
    let closed = side
        .closed()
        .unwrap_or_else(|| panic!("not closed; {:?}", side.events))
        .clone();
    assert_eq!(
        (closed.code, closed.by_peer),
        (code, false),
        "{}",
        closed.reason
    );
    assert!(!closed.reason.is_empty());
    let last = side.frames().pop().expect("CLOSE");
    assert_eq!(
        (last.header.kind, last.head[0]),
        (kind::CLOSE, code.0 as u8)
    );
    assert!(side.session.is_closed() && !side.session.wants_input());
    side.hear(&open((9, 9), 0, END, Some(3)));
    assert!(side.frames().is_empty(), "nothing follows a CLOSE");
}

#[test]
fn another_protocol_is_recognised_by_its_first_wrong_byte() {
    for bytes in [
        &b"GET / HTTP/1.1"[..],
        b"\x16\x03\x01",
        b"\xd7DMESX",
        b"PRI * HTTP/2.0",
    ] {
        let now = std::time::Instant::now();
        let side = Side::new(Session::server(Config::default(), now), now);
        assert_closes(side, bytes, CloseCode::VERSION);
    }
}

#[test]
fn versions_that_do_not_meet_end_the_session_and_newer_peers_that_know_ours_do_not() {
    let with = |min: u8, max: u8| {
        let mut bytes = b"\xd7DMESH\r\n".to_vec();
        bytes.extend(frame(
            kind::HELLO,
            0,
            (0, 0),
            &[min, 0, max, 0, 0, 0, 0, 0],
            &[],
        ));
        bytes
    };
    let fresh = || {
        let now = std::time::Instant::now();
        Side::new(Session::server(Config::default(), now), now)
    };
    assert_closes(fresh(), &with(2, 3), CloseCode::VERSION);
    assert_closes(fresh(), &with(0, 0), CloseCode::VERSION);
    let mut newer = fresh();
    newer.hear(&with(1, 9));
    assert!(newer.session.is_connected() && newer.closed().is_none());
}

#[test]
fn hello_comes_first_and_once() {
    let now = std::time::Instant::now();
    let early = [&b"\xd7DMESH\r\n"[..], &method(0, &METHODS[0])].concat();
    let fresh = Side::new(Session::server(Config::default(), now), now);
    assert_closes(fresh, &early, CloseCode::PROTOCOL);
    let early = [&b"\xd7DMESH\r\n"[..], &open(STREAM, 0, END, Some(1))].concat();
    let fresh = Side::new(Session::server(Config::default(), now), now);
    assert_closes(fresh, &early, CloseCode::PROTOCOL);
    assert_closes(server(), &hello()[8..], CloseCode::PROTOCOL);
}

#[test]
fn a_length_of_4_gib_is_refused_before_anything_is_reserved() {
    for length in [131_065, 1 << 20, u32::MAX] {
        let header = Header {
            length,
            kind: kind::MESSAGE,
            flags: MESSAGE,
            head_len: 0,
            slot: 0,
            generation: 1,
        };
        assert_closes(server(), &header.bytes(), CloseCode::FRAME_SIZE);
    }
    // The greatest lawful length waits for its bytes and reserves nothing.
    let header = Header {
        length: 131_064,
        kind: 200,
        flags: 0,
        head_len: 65_528,
        slot: 0,
        generation: 0,
    };
    let mut side = server();
    let mut input = BytesMut::from(&header.bytes()[..]);
    side.session.handle_input(side.now, &mut input);
    assert!(input.len() == 16 && input.capacity() < 4096);
    assert!(!side.session.is_closed());
}

#[test]
fn a_large_message_keeps_no_more_than_its_credit() {
    // 4 GiB announced, beyond any credit.
    let mut bytes = open(STREAM, 2, 0, None);
    let announce = |total: u64| {
        frame(
            kind::CHUNK,
            MESSAGE | PROTOBUF,
            STREAM,
            &total.to_le_bytes(),
            &[7; 8],
        )
    };
    bytes.extend(announce(0xffff_ffff));
    assert_closes(server(), &bytes, CloseCode::CREDIT);
    // Within credit, beyond the limit for messages: the call alone ends, and credit comes back.
    let mut side = server();
    side.hear(&[open(STREAM, 2, 0, None), announce((4 << 20) + 1)].concat());
    let frames = side.frames();
    let kinds: Vec<u8> = frames.iter().map(|seen| seen.header.kind).collect();
    assert_eq!(kinds, [kind::CREDIT, kind::END]);
    assert_eq!(frames[1].head[0], Code::ResourceExhausted as u8);
    assert!(side.closed().is_none());
    assert_eq!(side.session.stats().credit_held, 0);
    // At the limit it is taken.
    let mut side = server();
    side.hear(&[open(STREAM, 2, 0, None), announce(4 << 20)].concat());
    assert!(side.frames().is_empty());
    assert_eq!(side.session.stats().credit_held, 4 << 20);
}

#[test]
fn unknown_kinds_flags_and_sections_follow_their_halves() {
    let unknown = CloseCode::UNKNOWN_CRITICAL;
    for known in [0, 16, 127] {
        assert_closes(server(), &frame(known, 0, (0, 0), &[], b"what"), unknown);
    }
    for flag in [0x08, 0x10, 0x20] {
        assert_closes(server(), &open(STREAM, 0, END | flag, Some(3)), unknown);
        assert_closes(
            server(),
            &frame(kind::PING, flag, (0, 0), &[0; 8], &[]),
            unknown,
        );
    }
    let head = [&0_u64.to_le_bytes()[..], &section(127, b"x")].concat();
    assert_closes(
        server(),
        &frame(kind::OPEN, 7, STREAM, &head, b"m"),
        unknown,
    );

    let mut side = server();
    side.hear(&frame(128, 0xc0, (7, 7), &section(3, b"any"), b"ignored"));
    side.hear(&frame(255, 0x3f, (7, 7), &[], &[]));
    let head = [
        &0_u64.to_le_bytes()[..],
        &section(128, b"x"),
        &section(255, b""),
    ]
    .concat();
    side.hear(&frame(kind::OPEN, 7 | 0xc0, STREAM, &head, b"message"));
    assert_eq!(side.opened().len(), 1);
    assert_eq!(side.session.stats().frames_ignored, 2);
    let accepted = side.session.accept(side.opened()[0]).expect("a whole call");
    assert_eq!(&accepted.message.expect("a message").bytes[..], b"message");
}

#[test]
fn unary_requests_with_two_messages_or_none_are_handed_on_for_judgement() {
    let mut side = server();
    side.hear(&open(STREAM, 0, 0, Some(3)));
    assert!(
        side.opened().is_empty(),
        "an unfinished unary request waits"
    );
    side.hear(&frame(
        kind::MESSAGE,
        END | MESSAGE | PROTOBUF,
        STREAM,
        &[],
        b"two",
    ));
    let accepted = side.session.accept(side.opened()[0]).expect("a whole call");
    assert!(accepted.message.is_some() && accepted.more && accepted.half_closed);

    let mut side = server();
    side.hear(&open(STREAM, 0, END, None));
    let accepted = side.session.accept(side.opened()[0]).expect("a whole call");
    assert!(accepted.message.is_none() && !accepted.more);

    let mut side = server();
    side.hear(&open(STREAM, 0, 0, None));
    side.hear(&frame(kind::MESSAGE, END, STREAM, &[], &[]));
    let accepted = side.session.accept(side.opened()[0]).expect("a whole call");
    assert!(accepted.message.is_none() && !accepted.more);
}

#[test]
fn unary_answers_with_two_messages_or_none_fail_their_call() {
    for (answers, code) in [
        (
            vec![frame(kind::END, 0, STREAM, &[0, 0, 0, 0, 0, 0, 1, 0], &[])],
            Code::Unimplemented,
        ),
        (
            vec![
                frame(kind::MESSAGE, MESSAGE | PROTOBUF, STREAM, &[], b"1"),
                frame(kind::MESSAGE, MESSAGE | PROTOBUF | END, STREAM, &[], b"2"),
            ],
            Code::Unimplemented,
        ),
    ] {
        let mut side = Side::client(Config::default());
        let key = side
            .open(&METHODS[0], Some(3), true, None)
            .expect("there is room");
        side.hear(&answers.concat());
        let outcome = side.session.take_unary(key).expect("it ended");
        assert_eq!(outcome.expect_err("not one message").status.code(), code);
        assert_eq!(side.session.stats().streams_held, 0);
        assert!(side.closed().is_none());
    }
}

#[test]
fn ids_out_of_range_or_order_end_the_session() {
    let first = open(STREAM, 0, END, Some(3));
    let slot = CloseCode::SLOT;
    let at_limit = open((1023, 1), 0, END, Some(3));
    let mut side = server();
    side.hear(&at_limit);
    assert_eq!(side.opened().len(), 1);
    assert_closes(server(), &open((1024, 1), 0, END, Some(3)), slot);
    assert_closes(server(), &open((0, 0), 0, END, Some(3)), slot);
    assert_closes(server(), &[&first[..], &first].concat(), slot);
    assert_closes(
        server(),
        &[&first[..], &open((0, 2), 0, END, Some(3))].concat(),
        slot,
    );
    for never in [(0, 1), (5, 1), (u32::MAX - 1, 1)] {
        assert_closes(server(), &frame(kind::CANCEL, 0, never, &[], &[]), slot);
    }
    for later in [(0, 2), (0, 0)] {
        let bytes = [&first[..], &frame(kind::CANCEL, 0, later, &[], &[])].concat();
        assert_closes(server(), &bytes, slot);
    }
    assert_closes(
        server(),
        &open(STREAM, 4, END, Some(3)),
        CloseCode::PROTOCOL,
    );
}

#[test]
fn late_frames_are_counted_and_dropped() {
    let mut side = server();
    side.hear(&open(STREAM, 2, 0, None));
    side.hear(&frame(kind::CANCEL, 0, STREAM, &[], &[]));
    side.frames();
    let announce = (1_u64 << 20).to_le_bytes();
    for late in [
        frame(kind::MESSAGE, MESSAGE | PROTOBUF, STREAM, &[], b"late"),
        frame(kind::CANCEL, 0, STREAM, &[], &[]),
        frame(kind::CREDIT, 0, STREAM, &5000_u64.to_le_bytes(), &[]),
        frame(kind::CHUNK, MESSAGE | PROTOBUF, STREAM, &announce, &[7; 8]),
        frame(kind::CHUNK, 0, STREAM, &[], &[7; 8]),
    ] {
        side.hear(&late);
    }
    assert_eq!(side.session.stats().frames_late, 5);
    assert!(side.closed().is_none());
    let frames = side.frames();
    assert_eq!(frames.len(), 1, "the announcement's credit comes back");
    assert_eq!(
        (frames[0].header.kind, frames[0].header.slot),
        (kind::CREDIT, u32::MAX)
    );
    assert_eq!(frames[0].head, announce);
    assert_eq!(side.session.stats().credit_held, 0);
}

#[test]
fn disorder_within_a_stream_ends_the_session() {
    let message = frame(kind::MESSAGE, MESSAGE | PROTOBUF, STREAM, &[], b"m");
    let announce = 70_000_u64.to_le_bytes();
    let first = frame(kind::CHUNK, MESSAGE, STREAM, &announce, &[7; 8]);
    let opened = open(STREAM, 2, 0, None);
    let half = frame(kind::MESSAGE, END, STREAM, &[], &[]);
    for bytes in [
        [&opened[..], &half, &message].concat(),
        [&opened[..], &half, &half].concat(),
        [&opened[..], &first, &message].concat(),
        [&opened[..], &first, &first].concat(),
        [&opened[..], &first, &half].concat(),
        [&opened[..], &frame(kind::CHUNK, 0, STREAM, &[], &[7; 8])].concat(),
        [&opened[..], &frame(kind::CHUNK, 0, STREAM, &[], &[])].concat(),
        [
            &opened[..],
            &first,
            &frame(kind::CHUNK, END, STREAM, &[], &[7; 8]),
        ]
        .concat(),
        [&opened[..], &frame(kind::MESSAGE, 0, STREAM, &[], b"m")].concat(),
        frame(kind::OPEN, END, STREAM, &[0; 8], b"no message"),
        frame(kind::OPEN, END, STREAM, &[], &[]),
    ] {
        assert_closes(server(), &bytes, CloseCode::PROTOCOL);
    }
}

#[test]
fn frames_from_the_wrong_side_end_the_session() {
    for wrong in [kind::METHOD_ACK, kind::HEADERS, kind::END, kind::GOAWAY] {
        let bytes = [
            open(STREAM, 2, 0, None),
            frame(wrong, 0, STREAM, &[0; 16], &[]),
        ]
        .concat();
        assert_closes(server(), &bytes, CloseCode::PROTOCOL);
    }
    for wrong in [kind::METHOD, kind::LAYOUT_VERDICT, kind::OPEN, kind::CANCEL] {
        let client = Side::client(Config::default());
        assert_closes(
            client,
            &frame(wrong, 0, STREAM, &[0; 8], &[]),
            CloseCode::PROTOCOL,
        );
    }
}

#[test]
fn an_archive_where_protobuf_was_agreed_ends_its_call_as_not_begun() {
    let mut side = server();
    side.hear(&named(4, "/test.Shop/Unary", [9; 16], [1; 16]));
    side.frames();
    let head = 4_u64.to_le_bytes();
    side.hear(&frame(kind::OPEN, END | MESSAGE, STREAM, &head, b"archive"));
    assert!(side.opened().is_empty());
    let end = side.frames().pop().expect("END");
    assert_eq!(
        (end.header.kind, end.head[4], end.head[6]),
        (kind::END, 2, 0)
    );
    assert!(side.closed().is_none());
    assert_eq!(side.session.stats().streams_held, 0);
}

#[test]
fn a_peer_that_goes_silent_is_asked_and_then_given_up() {
    let mut side = server();
    side.pass(Duration::from_millis(19_999));
    assert!(side.frames().is_empty());
    side.pass(Duration::from_millis(1));
    let ping = side.frames().pop().expect("PING");
    assert_eq!(ping.header.kind, kind::PING);
    side.pass(Duration::from_millis(9_999));
    assert!(side.closed().is_none());
    side.hear(&frame(kind::PONG, 0, (0, 0), &ping.head, &[]));
    side.pass(Duration::from_secs(20));
    side.pass(Duration::from_secs(10));
    assert_eq!(side.closed().expect("given up").code, CloseCode::KEEPALIVE);
}

#[test]
fn a_link_that_was_refused_has_begun_nothing() {
    let mut side = Side::client(Config::default());
    let sent = side
        .open(&METHODS[0], Some(3), true, None)
        .expect("there is room");
    side.frames();
    side.session.handle_link_refused("no early data");
    let ended = side.session.take_unary(sent).expect("it ended");
    let ended = ended.expect_err("refused");
    assert_eq!(
        (ended.begun, ended.status.code()),
        (Begun::No, Code::Unavailable)
    );
}

#[test]
fn a_lost_link_tells_what_may_have_begun() {
    let mut side = Side::client(Config::default());
    let sent = side
        .open(&METHODS[0], Some(3), true, None)
        .expect("there is room");
    side.frames();
    let kept = side
        .open(&METHODS[0], Some(3), true, None)
        .expect("there is room");
    side.session.handle_link_lost("reset");
    for (key, begun) in [(sent, Begun::Maybe), (kept, Begun::No)] {
        let ended = side
            .session
            .take_unary(key)
            .expect("it ended")
            .expect_err("lost");
        assert_eq!(
            (ended.begun, ended.status.code()),
            (begun, Code::Unavailable)
        );
    }
    assert_eq!(side.session.stats().streams_held, 0);
}
