//! What calls that wait at a kept link do to the standing of its connections.

use std::io;

use super::*;
use crate::driver::standing::{Pool, Standing};

#[tokio::test]
async fn a_connection_with_room_is_open_to_all_when_nobody_waits() {
    let dial = || async { Err(io::ErrorKind::ConnectionRefused.into()) };
    let place = Place::Custom(Box::new(dial));
    let link = KeptLink::new(Endpoint::new("there"), place, Settings::default());
    let standing = Standing::new();
    standing.fill();
    assert!(standing.ease());
    let mut ticket = OpenTicket::NONE;
    let former = link
        .0
        .lock()
        .waiting
        .enter(&mut ticket, Waker::noop(), None);
    assert!(former.is_none());
    link.0.has_room(1, &standing);
    assert!(standing.has_room() && !standing.is_open());
    link.abandon(ticket);
    link.0.has_room(1, &standing);
    assert!(standing.is_open());
}
