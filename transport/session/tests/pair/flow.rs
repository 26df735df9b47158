//! Credit between two sessions: slow consumers, priorities, what the receiver keeps.

use dreammesh_core::call::{Begun, Priority, Status};
use dreammesh_core::port::WireMode;
use dreammesh_core::wire::Segment;
use dreammesh_session::frame::end::EndReason;
use dreammesh_session::frame::{Frame, kind};
use dreammesh_session::{Config, Event, Output};

use crate::by_hand::{Side, frame, open};
use crate::methods::METHODS;
use bytes::Buf;

const STREAM: (u32, u32) = (0, 1);

fn message(length: usize) -> Option<Segment> {
    Some(Segment::from_vec(vec![7; length]))
}

#[test]
fn a_blocked_sender_is_told_when_credit_comes() {
    let mut side = Side::client(Config::default());
    let key = side.open(&METHODS[2], None, false, None).expect("room");
    let mut sent = 0;
    let mut next = message(32_768 - 64);
    while side
        .session
        .send(key, &mut next, WireMode::Protobuf, false)
        .expect("live")
    {
        sent += 1;
        next = message(32_768 - 64);
    }
    assert_eq!((sent, next.is_some()), (4, true));
    side.hear(&frame(
        kind::CREDIT,
        0,
        STREAM,
        &65_536_u64.to_le_bytes(),
        &[],
    ));
    assert_eq!(side.events, [Event::Writable(key)]);
    assert!(
        side.session
            .send(key, &mut next, WireMode::Protobuf, false)
            .expect("live")
    );
}

#[test]
fn a_slow_consumer_stalls_only_itself() {
    let mut side = Side::server(Config::default());
    let filled = frame(kind::MESSAGE, 6, STREAM, &[], &[7; 65_472]);
    side.hear(&[open(STREAM, 2, 0, None), filled.clone(), filled].concat());
    assert_eq!(side.session.stats().queued_bytes, 2 * 65_472);
    side.hear(&open((1, 1), 0, 1, Some(1000)));
    assert_eq!(side.opened().len(), 2);
    let other = side.opened()[1];
    assert!(
        side.session
            .accept(other)
            .expect("a whole call")
            .message
            .is_some()
    );
    assert!(
        side.frames().is_empty(),
        "a unary call needs no credit frame"
    );
    // Taking one message is half a window and returns it at once.
    let slow = side
        .session
        .accept(side.opened()[0])
        .expect("a streaming call");
    assert_eq!(slow.message.expect("the first").bytes.len(), 65_472);
    let credit = side.frames().pop().expect("CREDIT");
    assert_eq!(
        (credit.header.kind, credit.head),
        (kind::CREDIT, 65_536_u64.to_le_bytes().into())
    );
}

#[test]
fn large_messages_wait_for_connection_credit_in_order_and_small_ones_pass() {
    let mut side = Side::client(Config::default());
    // The hand-written server announced the minimum: 1 MiB for all large messages.
    let calls: Vec<_> = [700_000, 600_000, 100_000]
        .into_iter()
        .map(|length| {
            side.open(&METHODS[0], Some(length), true, None)
                .expect("room")
        })
        .collect();
    side.open(&METHODS[0], Some(10), true, None).expect("room");
    let sent = |side: &mut Side| {
        let chunks = side
            .frames()
            .into_iter()
            .filter(|seen| seen.header.kind == kind::CHUNK);
        chunks
            .map(|seen| (seen.header.slot, seen.payload.len()))
            .collect::<Vec<_>>()
    };
    let first = sent(&mut side);
    assert!(
        first.iter().all(|(slot, _)| *slot == 0),
        "the third does not overtake the second"
    );
    assert_eq!(
        first.iter().map(|(_, length)| length).sum::<usize>(),
        700_000
    );
    // Dropping the second before it began lets the third in.
    side.session.release(calls[1]);
    let third = sent(&mut side);
    assert_eq!(
        third
            .iter()
            .map(|(slot, length)| (*slot, *length))
            .collect::<Vec<_>>(),
        [(2, 65_536), (2, 34_464)]
    );
    assert_eq!(side.session.stats().credit_used, 800_000);
    let back = 800_000_u64.to_le_bytes();
    side.hear(&frame(kind::CREDIT, 0, (u32::MAX, 0), &back, &[]));
    assert_eq!(side.session.stats().credit_used, 0);
    assert!(side.closed().is_none());
}

#[test]
fn chunks_take_turns_between_polls_and_small_answers_pass_them() {
    let mut side = Side::server(Config::default());
    for slot in 0..3 {
        side.hear(&open((slot, 1), 0, 1, Some(3)));
    }
    let keys = side.opened();
    for key in &keys {
        side.session.accept(*key).expect("a whole call");
    }
    for key in &keys[..2] {
        side.session
            .answer(*key, Segment::from_vec(vec![1; 300_000]), WireMode::Archive);
    }
    let mut order = Vec::new();
    let mut answered = false;
    loop {
        let mut output = Output::new();
        if side.session.poll_output(&mut output, 100_000) == 0 {
            break;
        }
        let bytes = output.copy_to_bytes(output.remaining());
        let mut rest = &bytes[..];
        while let Some((frame, total)) = Frame::split(rest).expect("lawful") {
            order.push(frame.header.slot);
            rest = &rest[total..];
        }
        if !answered {
            side.session
                .answer(keys[2], Segment::from_vec(vec![1; 10]), WireMode::Archive);
            answered = true;
        }
    }
    // Four chunks a turn, of which the message sent in between costs none.
    assert_eq!(order, [0, 0, 2, 0, 0, 1, 1, 1, 1, 0, 1]);
    assert_eq!(side.session.stats().calls_live, 0);
    let _ = Priority::NORMAL;
}

#[test]
fn a_status_follows_the_large_message_before_it() {
    let mut side = Side::server(Config::default());
    side.hear(&open(STREAM, 1, 1, Some(3)));
    let key = side.opened()[0];
    side.session.accept(key).expect("a whole call");
    let mut large = message(100_000);
    assert!(
        side.session
            .send(key, &mut large, WireMode::Archive, false)
            .expect("live")
    );
    let status = Status::not_found("no more");
    let none = dreammesh_core::call::Metadata::new();
    side.session
        .end(key, &status, EndReason::APPLICATION, Begun::Maybe, &none);
    assert_eq!(side.session.stats().streams_held, 1);
    let kinds: Vec<u8> = side.frames().iter().map(|seen| seen.header.kind).collect();
    assert_eq!(kinds, [kind::CHUNK, kind::CHUNK, kind::END]);
    assert_eq!(side.session.stats().streams_held, 0);
}

#[test]
fn small_payloads_are_detached_and_large_ones_are_sliced() {
    use bytes::BytesMut;
    let mut config = Config::default();
    config.read_buffer_bytes = 64 * 1024;
    for (length, sliced) in [(64, false), (8191, false), (8192, true), (60_000, true)] {
        let mut side = Side::server(config.clone());
        let bytes = open(STREAM, 0, 1, Some(length));
        let mut input = BytesMut::with_capacity(256 * 1024);
        input.extend_from_slice(&bytes);
        let range = input.as_ptr() as usize..input.as_ptr() as usize + bytes.len();
        side.session.handle_input(side.now, &mut input);
        side.events();
        let accepted = side.session.accept(side.opened()[0]).expect("a whole call");
        let payload = accepted.message.expect("a message").bytes;
        assert_eq!(payload.len(), length);
        assert_eq!(
            range.contains(&(payload.as_ptr() as usize)),
            sliced,
            "{length}"
        );
        assert_eq!(
            payload.as_ptr() as usize % 8,
            0,
            "payloads start at multiples of eight"
        );
    }
}

#[test]
fn a_message_being_reassembled_reserves_only_what_was_admitted() {
    let mut side = Side::server(Config::default());
    let head = (1_u64 << 20).to_le_bytes();
    let first = frame(kind::CHUNK, 6, STREAM, &head, &[7; 65_536]);
    side.hear(&[open(STREAM, 2, 0, None), first].concat());
    assert_eq!(side.session.stats().credit_held, 1 << 20);
    for _ in 1..16 {
        side.hear(&frame(kind::CHUNK, 0, STREAM, &[], &[7; 65_536]));
    }
    assert_eq!(side.session.stats().queued_bytes, 1 << 20);
    let accepted = side
        .session
        .accept(side.opened()[0])
        .expect("a streaming call");
    assert_eq!(accepted.message.expect("whole").bytes.len(), 1 << 20);
    assert_eq!(side.session.stats().credit_held, 0);
    let kinds: Vec<_> = side
        .frames()
        .iter()
        .map(|seen| (seen.header.kind, seen.header.slot))
        .collect();
    assert_eq!(kinds, [(kind::CREDIT, u32::MAX), (kind::CREDIT, 0)]);
}
