//! Draining in two phases, and how sessions close.

use std::time::Duration;

use dreammesh_core::call::{Begun, Code};
use dreammesh_core::port::WireMode;
use dreammesh_core::wire::Segment;
use dreammesh_session::frame::{CloseCode, kind};
use dreammesh_session::{Config, Event, OpenError};

use crate::by_hand::{Side, frame, open};
use crate::methods::METHODS;

const END: u8 = 1;

fn goaway(phase: u64, last: u64) -> Vec<u8> {
    let head = [phase.to_le_bytes(), last.to_le_bytes()].concat();
    frame(kind::GOAWAY, 0, (0, 0), &head, &[])
}

#[test]
fn a_server_takes_what_is_under_way_and_names_the_last_call() {
    let mut side = Side::server(Config::default());
    side.hear(&open((0, 1), 0, END, Some(3)));
    side.session.drain(side.now);
    let frames = side.frames();
    let kinds: Vec<u8> = frames.iter().map(|seen| seen.header.kind).collect();
    assert_eq!(
        (kinds, frames[0].head[0]),
        (vec![kind::GOAWAY, kind::PING], 1)
    );
    // Opened before the client saw it.
    side.hear(&open((1, 1), 0, END, Some(3)));
    assert_eq!(side.opened().len(), 2);
    side.hear(&frame(kind::PONG, 0, (0, 0), &frames[1].head, &[]));
    let last = side.frames().pop().expect("GOAWAY");
    assert_eq!((last.head[0], last.head[8]), (2, 2));
    // Opened in spite of it.
    side.hear(&open((2, 1), 0, END, Some(3)));
    let refused = side.frames().pop().expect("END");
    assert_eq!(
        (refused.header.kind, refused.head[4], refused.head[6]),
        (kind::END, 7, 0)
    );
    for key in side.opened() {
        assert!(!side.session.is_closed());
        side.session.accept(key).expect("a whole call");
        side.session
            .answer(key, Segment::from_vec(vec![0; 8]), WireMode::Archive);
    }
    side.events();
    assert_eq!(side.closed().expect("drained").code, CloseCode::DONE);
    assert_eq!(
        side.frames().last().expect("CLOSE").header.kind,
        kind::CLOSE
    );
}

#[test]
fn a_drain_does_not_wait_for_a_silent_client() {
    let mut side = Side::server(Config::default());
    side.session.drain(side.now);
    side.pass(Duration::from_millis(4_999));
    assert!(side.closed().is_none());
    side.pass(Duration::from_millis(1));
    assert_eq!(side.closed().expect("drained").code, CloseCode::DONE);
}

#[test]
fn a_client_ends_later_calls_as_not_begun_and_opens_no_more() {
    let mut side = Side::client(Config::default());
    let early = side.open(&METHODS[0], Some(3), true, None).expect("room");
    let late = side.open(&METHODS[0], Some(3), true, None).expect("room");
    side.frames();
    side.hear(&goaway(1, u64::MAX));
    assert_eq!(side.events, [Event::Draining]);
    let refused = side.open(&METHODS[0], Some(3), true, None);
    assert!(matches!(refused, Err(OpenError::Failed(ended)) if ended.begun == Begun::No));
    assert!(side.session.take_unary(late).is_none());
    side.hear(&goaway(2, 1));
    let ended = side
        .session
        .take_unary(late)
        .expect("it ended")
        .expect_err("not begun");
    assert_eq!(
        (ended.begun, ended.status.code()),
        (Begun::No, Code::Unavailable)
    );
    assert!(ended.drained);
    assert!(
        side.session.take_unary(early).is_none(),
        "the earlier one goes on"
    );
    side.hear(&frame(kind::MESSAGE, 7, (0, 1), &[], b"answer"));
    side.session
        .take_unary(early)
        .expect("it ended")
        .expect("it succeeded");
    assert_eq!(side.closed().expect("drained").code, CloseCode::DONE);
}

#[test]
fn a_close_says_which_calls_did_not_begin() {
    for (code, drained) in [(CloseCode::SHUTDOWN, true), (CloseCode::VERSION, false)] {
        close_says_which_calls_did_not_begin(code, drained);
    }
}

fn close_says_which_calls_did_not_begin(code: CloseCode, drained: bool) {
    let mut side = Side::client(Config::default());
    let early = side.open(&METHODS[0], Some(3), true, None).expect("room");
    let late = side.open(&METHODS[0], Some(3), true, None).expect("room");
    side.frames();
    let head = [u64::from(code.0).to_le_bytes(), 1_u64.to_le_bytes()].concat();
    side.hear(&frame(kind::CLOSE, 0, (0, 0), &head, b"going home"));
    for (key, begun) in [(early, Begun::Maybe), (late, Begun::No)] {
        let ended = side
            .session
            .take_unary(key)
            .expect("it ended")
            .expect_err("closed");
        assert_eq!((ended.begun, ended.drained), (begun, drained));
        assert!(ended.status.message().contains("going home"));
    }
    let closed = side.closed().expect("closed");
    assert_eq!((closed.code, closed.by_peer), (code, true));
    assert_eq!(closed.calls_ended, 1);
    assert!(side.frames().is_empty());
}

#[test]
fn closing_ends_calls_and_tells_handlers() {
    let mut side = Side::server(Config::default());
    side.hear(&[open((0, 1), 0, END, Some(3)), open((1, 1), 0, END, Some(3))].concat());
    let keys = side.opened();
    side.session.accept(keys[0]).expect("a whole call");
    side.session.close(CloseCode::SHUTDOWN, "bye");
    side.events();
    assert!(side.events.contains(&Event::Cancelled(keys[0])));
    assert!(!side.events.contains(&Event::Cancelled(keys[1])));
    assert!(side.session.accept(keys[1]).is_none());
    side.session.release(keys[0]);
    assert_eq!(side.session.stats().streams_held, 0);
    let close = side.frames().pop().expect("CLOSE");
    assert_eq!((close.header.kind, close.head[8]), (kind::CLOSE, 2));
}

#[test]
fn deadlines_end_calls_on_both_sides() {
    let mut side = Side::client(Config::default());
    let timeout = Some(Duration::from_millis(50));
    let key = side
        .open(&METHODS[0], Some(3), true, timeout)
        .expect("room");
    let frames = side.frames();
    let opened = &frames.last().expect("OPEN").head;
    assert_eq!(opened[8..16], [2, 0, 4, 0, 0x50, 0xc3, 0, 0]);
    side.pass(Duration::from_millis(49));
    assert!(side.session.take_unary(key).is_none());
    side.pass(Duration::from_millis(1));
    let ended = side
        .session
        .take_unary(key)
        .expect("it ended")
        .expect_err("too late");
    assert_eq!(
        (ended.status.code(), ended.begun),
        (Code::DeadlineExceeded, Begun::Maybe)
    );
    assert_eq!(
        side.frames().pop().expect("CANCEL").header.kind,
        kind::CANCEL
    );

    let mut side = Side::server(Config::default());
    let head = [&0_u64.to_le_bytes()[..], &opened[8..16]].concat();
    for slot in 0..2 {
        side.hear(&frame(kind::OPEN, 7, (slot, 1), &head, b"asked"));
    }
    let keys = side.opened();
    let accepted = side.session.accept(keys[0]).expect("a whole call");
    assert_eq!(accepted.deadline.map(|at| at.remaining(side.now)), timeout);
    side.pass(Duration::from_millis(50));
    assert!(side.events.contains(&Event::Cancelled(keys[0])));
    let ends: Vec<_> = side
        .frames()
        .iter()
        .map(|end| (end.head[0], end.head[6]))
        .collect();
    assert_eq!(
        ends,
        [(4, 1), (4, 0)],
        "the accepted one may have begun, the other not"
    );
    side.session.release(keys[0]);
    assert_eq!(side.session.stats().streams_held, 0);
}
