//! Peers that answer nothing while calls wait for them.

use std::time::Duration;

use dreammesh_session::frame::kind;
use dreammesh_session::{Config, Event, Keepalive};

use crate::by_hand::{Side, frame};
use crate::methods::METHODS;

const INTERVAL: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_millis(300);
const MOMENT: Duration = Duration::from_micros(1);

fn client() -> Side {
    let mut config = Config::default();
    config.probe = Some(Keepalive {
        interval: INTERVAL,
        timeout: TIMEOUT,
    });
    Side::client(config)
}

fn open(side: &mut Side) {
    side.open(&METHODS[0], Some(1), true, None)
        .expect("a call opens");
    side.frames();
}

/// The heads of the PINGs that it says.
fn pings(side: &mut Side) -> Vec<Vec<u8>> {
    let frames = side.frames().into_iter();
    let pings = frames.filter(|seen| seen.header.kind == kind::PING);
    pings.map(|seen| seen.head).collect()
}

/// Lets time pass, and answers the one PING that comes at its end.
fn answers_after(side: &mut Side, time: Duration) {
    side.pass(time - MOMENT);
    assert!(pings(side).is_empty(), "{time:?}");
    side.pass(MOMENT);
    let [ping] = &pings(side)[..] else {
        panic!("no PING after {time:?}");
    };
    side.hear(&frame(kind::PONG, 0, (0, 0), ping, &[]));
}

#[test]
fn a_peer_that_says_nothing_is_asked_and_then_found_to_be_silent() {
    let mut side = client();
    side.pass(Duration::from_secs(5));
    open(&mut side);
    side.pass(INTERVAL - MOMENT);
    assert!(pings(&mut side).is_empty());
    side.pass(MOMENT);
    assert_eq!(pings(&mut side).len(), 1);
    side.pass(TIMEOUT - MOMENT);
    assert_eq!(side.events, []);
    side.pass(MOMENT);
    assert_eq!(side.events, [Event::Silent]);
    assert_eq!(
        side.session.poll_timeout(),
        Some(side.now + 2 * INTERVAL),
        "it says so again"
    );
    side.pass(2 * INTERVAL);
    assert_eq!(pings(&mut side).len(), 1);
    side.pass(TIMEOUT);
    assert_eq!(side.events, [Event::Silent, Event::Silent]);
}

#[test]
fn calls_that_follow_put_nothing_off() {
    let mut side = client();
    for _ in 0..5 {
        open(&mut side);
        side.pass(INTERVAL / 5);
    }
    assert_eq!(pings(&mut side).len(), 1);
    open(&mut side);
    side.pass(TIMEOUT);
    assert_eq!(side.events, [Event::Silent]);
}

#[test]
fn one_that_gives_signs_of_life_is_asked_less_and_less_until_a_call_follows() {
    let mut side = client();
    open(&mut side);
    for times in [1, 2, 4, 8, 16, 32, 32] {
        answers_after(&mut side, times * INTERVAL);
    }
    open(&mut side);
    answers_after(&mut side, INTERVAL);
    assert_eq!(side.events, []);
}

#[test]
fn nobody_is_asked_while_no_call_waits() {
    let mut side = client();
    let key = side
        .open(&METHODS[0], Some(1), true, None)
        .expect("a call opens");
    side.frames();
    side.pass(INTERVAL);
    assert_eq!(pings(&mut side).len(), 1);
    // It is given up while the peer owes a sign of life.
    side.session.release(key);
    side.frames();
    side.pass(Duration::from_secs(10));
    assert!(pings(&mut side).is_empty());
    assert_eq!(side.events, []);
    // What the peer owed then is nothing to the next call.
    open(&mut side);
    side.pass(INTERVAL - MOMENT);
    assert!(pings(&mut side).is_empty());
    side.pass(MOMENT);
    assert_eq!(pings(&mut side).len(), 1);
    assert_eq!(side.events, []);
}

#[test]
fn without_a_probe_nobody_is_asked_before_the_keepalive() {
    let mut side = Side::client(Config::default());
    open(&mut side);
    side.pass(Duration::from_secs(19));
    assert!(pings(&mut side).is_empty());
    side.pass(Duration::from_secs(1));
    assert_eq!(pings(&mut side).len(), 1);
}
