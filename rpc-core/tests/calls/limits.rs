//! Bounds of a call, each at it and one past it.

use std::future::IntoFuture;

use bytes::Bytes;
use dreammesh_core::call::{Begun, Code, Endpoint, Metadata, Peer, Request, Response, WireOption};
use dreammesh_core::channel::Channel;
use dreammesh_core::in_process::InProcess;
use dreammesh_core::layer::Metrics;
use dreammesh_core::port::{Lookup, Outcome, Received, ServerCall, WireMode};
use dreammesh_core::server::Router;
use dreammesh_core::wire::{IntoMessage, Limits};

use crate::leaves::{LeavesClient, LeavesServer, leaves_methods};
use crate::sample::Leaf;
use crate::tree::{Find, Found, Tree, block_on, leaf};

fn echo() -> Router {
    Router::of(&LeavesServer::new(Find(
        |request: Request<Leaf>| -> Found {
            Box::pin(async move { Ok(Response::new(request.message())) })
        },
    )))
}

fn archived_len(leaf: &Leaf) -> usize {
    leaf.into_message(&Limits::default())
        .unwrap()
        .segment()
        .len()
}

#[test]
fn metadata_of_a_call() {
    let client = LeavesClient::in_process(Tree);
    let fits = "x".repeat(Metadata::DEFAULT_LIMIT_BYTES - Metadata::ENTRY_OVERHEAD_BYTES - 1);
    let past = format!("{fits}x");
    assert!(
        block_on(
            client
                .find(leaf(1, "oak"))
                .metadata("a", fits)
                .into_future()
        )
        .is_ok()
    );
    let error = block_on(
        client
            .find(leaf(1, "oak"))
            .metadata("a", past)
            .into_future(),
    );
    let error = error.unwrap_err();
    assert_eq!(
        (error.code(), error.begun()),
        (Code::ResourceExhausted, Begun::No)
    );
}

#[test]
fn bad_metadata_fails_the_call_and_sends_nothing() {
    let client = LeavesClient::in_process(Tree);
    let error = block_on(
        client
            .find(leaf(1, "oak"))
            .metadata("a b", "x")
            .into_future(),
    );
    let error = error.unwrap_err();
    assert_eq!(
        (error.code(), error.begun()),
        (Code::InvalidArgument, Begun::No)
    );
}

#[test]
fn a_request() {
    let message = leaf(1, "oak");
    let len = archived_len(&message);
    let client = |bytes| {
        let limits = Limits::default().with_max_bytes(bytes);
        LeavesClient::new(InProcess::new(echo()).with_limits(limits).into_channel())
    };
    assert!(block_on(client(len).find(&message).into_future()).is_ok());
    let error = block_on(client(len - 1).find(&message).into_future()).unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
}

#[test]
fn a_response() {
    let message = leaf(1, "oak");
    let len = archived_len(&message);
    let client = |bytes| {
        let limits = Limits::default().with_max_bytes(bytes);
        let source = InProcess::new(echo()).into_source();
        LeavesClient::new(Channel::builder(source).limits(limits).build())
    };
    assert!(block_on(client(len).find(&message).into_future()).is_ok());
    let error = block_on(client(len - 1).find(&message).into_future()).unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
}

fn call_with(bytes: &'static [u8], mode: WireMode) -> Outcome {
    let mut call = ServerCall::new(&leaves_methods::FIND, Peer::new(Endpoint::new("test")));
    call.first = Some(Received {
        bytes: Bytes::from_static(bytes),
        mode,
        compressed: false,
    });
    call.half_closed = true;
    block_on(echo().lookup("/sample.v1.Leaves/Find").unwrap().call(call))
}

#[test]
fn requests_that_are_no_messages() {
    for (bytes, mode) in [
        (&[][..], WireMode::Archive),
        (&[0xff; 64][..], WireMode::Archive),
        (&[0xff; 64][..], WireMode::Protobuf),
    ] {
        let outcome = call_with(bytes, mode);
        assert_eq!(outcome.status.code(), Code::Internal, "{mode:?} {bytes:?}");
    }
    assert!(call_with(&[], WireMode::Protobuf).status.is_ok());
}

#[test]
fn paths_that_lead_nowhere() {
    let router = echo();
    let code = |path: &str| router.lookup(path).map(drop).unwrap_err().code();
    assert!(router.lookup("/sample.v1.Leaves/Find").is_ok());
    for path in [
        "/sample.v1.Leaves/Nothing",
        "/a.B/C",
        "",
        "/",
        "no path",
        "//",
    ] {
        assert_eq!(code(path), Code::Unimplemented, "{path}");
    }
    let long = router.lookup(&"x".repeat(100_000)).map(drop).unwrap_err();
    assert!(long.message().len() < 1000);
}

#[test]
fn a_draining_server_takes_no_calls() {
    let router = echo();
    let client = LeavesClient::new(InProcess::new(router.clone()).into_channel());
    assert!(block_on(client.find(leaf(1, "")).into_future()).is_ok());
    assert!(router.drain().begin() && !router.drain().begin());
    let error = block_on(client.find(leaf(1, "")).into_future()).unwrap_err();
    assert_eq!(
        (error.code(), error.begun()),
        (Code::Unavailable, Begun::No)
    );
}

#[test]
fn either_side_turns_archives_off() {
    let served = |call: WireOption, server: WireOption| {
        let router = Router::builder()
            .service(&LeavesServer::new(Tree))
            .wire(server)
            .build();
        let metrics = Metrics::new();
        let source = InProcess::new(router).into_source();
        let channel = Channel::builder(source)
            .wire(call)
            .metrics(metrics.clone())
            .build();
        block_on(
            LeavesClient::new(channel)
                .find(leaf(1, "oak"))
                .into_future(),
        )
        .unwrap();
        metrics.snapshot()[0].count_in(WireMode::Archive)
    };
    assert_eq!(served(WireOption::Auto, WireOption::Auto), 1);
    assert_eq!(served(WireOption::Protobuf, WireOption::Auto), 0);
    assert_eq!(served(WireOption::Auto, WireOption::Protobuf), 0);
}
