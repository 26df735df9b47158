//! A service as the compiler emits it, called in process in all four ways.
#![allow(
    clippy::unwrap_used,
    reason = "handlers of a test are outside of its test functions"
)]

#[path = "sample_service/leaves.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    unnameable_types,
    reason = "emitted to be included at a crate's root"
)]
mod leaves;
#[path = "../wire/tests/wire/gen/sample.rs"]
#[allow(
    clippy::all,
    clippy::use_self,
    clippy::too_many_lines,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::or_fun_call,
    dead_code,
    unnameable_types,
    unreachable_pub,
    reason = "a sample of every shape, made for a crate's root"
)]
mod sample;

#[path = "sample_service/tree.rs"]
mod tree;

use std::future::{Future, IntoFuture, poll_fn};
use std::pin::pin;
use std::task::Poll;

use dreammesh_core::call::{Code, Initiator, WireOption};
use dreammesh_core::channel::Channel;
use dreammesh_core::in_process::{InProcess, STREAM_MESSAGES_MAX};
use dreammesh_core::server::Router;
use leaves::{LeavesClient, LeavesServer};
use sample::Leaf;
use tree::{Tree, block_on, leaf};

#[test]
fn unary_with_metadata_both_ways() {
    let client = LeavesClient::in_process(Tree);
    let response = block_on(
        client
            .find(leaf(6, "oak"))
            .metadata("x-tenant", "a")
            .into_future(),
    );
    let response = response.unwrap();
    assert_eq!((response.view().id(), response.view().name()), (7, "oak"));
    assert_eq!(response.metadata().text("x-seen"), Some("a"));
    assert_eq!(response.trailers().text("x-after"), Some("done"));
}

#[test]
fn a_failure_says_who_and_where() {
    let client = LeavesClient::in_process(Tree);
    let error = block_on(client.find(Leaf::default()).into_future()).unwrap_err();
    assert_eq!(
        (error.code(), error.initiator()),
        (Code::NotFound, Initiator::Peer)
    );
    assert_eq!(error.endpoint().map(|e| e.target()), Some("in-process"));
}

#[test]
fn a_panic_ends_that_call_alone() {
    let client = LeavesClient::in_process(Tree);
    let error = block_on(client.find(leaf(1, "panic")).into_future()).unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    assert!(block_on(client.find(leaf(1, "elm")).into_future()).is_ok());
}

#[test]
fn many_responses_metadata_and_trailers() {
    let client = LeavesClient::in_process(Tree);
    block_on(async {
        let mut responses = client.list(leaf(100, "ash")).await.unwrap();
        assert_eq!(
            responses.metadata().await.unwrap().text("x-before"),
            Some("first")
        );
        for id in 0..100 {
            assert_eq!(responses.next().await.unwrap().unwrap().view().id(), id);
        }
        assert!(responses.next().await.unwrap().is_none());
        assert_eq!(responses.trailers().text("x-before"), Some("first"));
        assert!(responses.next().await.unwrap().is_none());
    });
}

#[test]
fn a_stream_that_fails_gives_what_came_before() {
    let client = LeavesClient::in_process(Tree);
    block_on(async {
        let mut responses = client.list(leaf(2, "fail")).await.unwrap();
        assert!(responses.next().await.unwrap().is_some());
        assert!(responses.next().await.unwrap().is_some());
        assert_eq!(responses.next().await.unwrap_err().code(), Code::Aborted);
        assert!(responses.next().await.unwrap().is_none());
    });
}

#[test]
fn many_requests_past_the_bound_of_the_queue() {
    let client = LeavesClient::in_process(Tree);
    let count = 3 * STREAM_MESSAGES_MAX as i32 + 1;
    let sum = block_on(async {
        let requests = client.record().await.unwrap();
        for id in 0..count {
            requests.send(leaf(id, "")).await.unwrap();
        }
        requests.finish().await.unwrap()
    });
    assert_eq!(sum.view().id(), (0..count).sum::<i32>());
}

#[test]
fn a_conversation() {
    let client = LeavesClient::in_process(Tree);
    block_on(async {
        let (requests, mut responses) = client.chat().await.unwrap();
        for id in 0..50 {
            requests.send(leaf(id, "echo")).await.unwrap();
            assert_eq!(responses.next().await.unwrap().unwrap().view().id(), id);
        }
        requests.finish();
        assert!(responses.next().await.unwrap().is_none());
    });
}

#[test]
fn protobuf_reaches_the_same_handler() {
    let channel =
        Channel::builder(InProcess::new(Router::of(&LeavesServer::new(Tree))).into_source())
            .wire(WireOption::Protobuf)
            .build();
    let client = LeavesClient::new(channel);
    let response = block_on(client.find(leaf(1, "yew")).into_future()).unwrap();
    assert_eq!(response.into_owned(), leaf(2, "yew"));
}

#[test]
fn a_full_queue_holds_its_sender_back() {
    let client = LeavesClient::in_process(Tree);
    block_on(async {
        let (requests, mut responses) = client.chat().await.unwrap();
        let mut sent = 0;
        poll_fn(|cx| {
            // The handler takes requests until its own responses fill up; then nobody moves.
            while pin!(requests.send(leaf(sent, ""))).poll(cx).is_ready() {
                sent += 1;
            }
            Poll::Ready(())
        })
        .await;
        let queues = 2 * STREAM_MESSAGES_MAX as i32;
        assert!((queues..=queues + 1).contains(&sent), "{sent}");
        assert_eq!(responses.next().await.unwrap().unwrap().view().id(), 0);
        requests.send(leaf(sent, "")).await.unwrap();
    });
}
