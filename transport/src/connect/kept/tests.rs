//! What calls find that ask a kept link for a connection, and what they do to those there are.

use std::io;

use http::uri::Scheme;

use super::connecting::Role;
use super::*;
use crate::connect::{client, lanes};
use crate::driver::standing::{Pool, Standing};
use crate::grpc::client::open;
use crate::link::memory;

/// A link to an endpoint where nobody answers.
fn link() -> KeptLink {
    let dial = || async { Err(io::ErrorKind::ConnectionRefused.into()) };
    let place = Place::Custom(Box::new(dial));
    KeptLink::new(Endpoint::new("there"), place, Settings::default())
}

#[tokio::test]
async fn a_connection_with_room_is_open_to_all_when_nobody_waits() {
    let link = link();
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

/// All calls wait for room, and while one looks for a lane the server is found to speak gRPC now.
#[tokio::test]
async fn a_call_that_finds_no_lane_gets_a_connection_that_came_meanwhile() {
    let link = link();
    let (inner, (lanes, serving)) = (&link.0, lanes::tests::lanes().await);
    let (near, _far) = memory::pair();
    let begun = client::begin(
        &inner.settings,
        inner.peer(None),
        Box::new(near),
        None,
        inner.pool(),
    );
    let (client, _driver) = begun;
    client.0.standing.fill();
    let member = inner.member(client, Some(Arc::new(lanes)));
    assert!(inner.put_in_place(member, Role::Next));
    let (near, _far) = memory::pair();
    let opened = open(Box::new(near), Scheme::HTTP, "there", 1)
        .await
        .unwrap();
    let wants = Wants {
        deadline: None,
        wait_for_ready: true,
        early: false,
    };
    let cx = Context::from_waker(Waker::noop());
    let mut ticket = OpenTicket::NONE;
    let polled = inner.poll_ready(&cx, wants, &mut ticket, |_| {
        inner.begin_grpc(opened);
        None
    });
    assert!(matches!(polled, Poll::Ready(Ok(_))));
    serving.abort();
}
