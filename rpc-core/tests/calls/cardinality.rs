//! Exactly one message where exactly one belongs, when the carrier brings another number.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use dreammesh_core::call::{Code, Compression, Endpoint, Metadata, Peer};
use dreammesh_core::port::{
    Answer, Ended, Lookup, Outcome, Received, ServerCall, ServerStream, StreamKey, StreamPort,
    WireMode,
};
use dreammesh_core::server::Router;
use dreammesh_core::wire::{IntoMessage, Limits, Segment};

use crate::leaves::LeavesServer;
use crate::tree::{Tree, block_on, leaf};

/// A stream whose peer sent these messages and then ended its half.
#[derive(Debug)]
struct Script(Mutex<VecDeque<Received>>);

impl StreamPort for Script {
    fn poll_send(
        &self,
        _: StreamKey,
        _: &mut Context<'_>,
        message: &mut Option<Segment>,
        _: bool,
        _: Compression,
    ) -> Poll<Result<(), Ended>> {
        message.take();
        Poll::Ready(Ok(()))
    }
    fn close_send(&self, _: StreamKey) {}
    fn poll_message(
        &self,
        _: StreamKey,
        _: &mut Context<'_>,
    ) -> Poll<Result<Option<Received>, Ended>> {
        Poll::Ready(Ok(self.0.lock().unwrap().pop_front()))
    }
    fn poll_headers(&self, _: StreamKey, _: &mut Context<'_>) -> Poll<Result<Metadata, Ended>> {
        Poll::Pending
    }
    fn poll_unary(&self, _: StreamKey, _: &mut Context<'_>) -> Poll<Result<Answer, Ended>> {
        Poll::Pending
    }
    fn take_trailers(&self, _: StreamKey) -> Metadata {
        Metadata::new()
    }
    fn send_headers(&self, _: StreamKey, _: Metadata) {}
    fn discard(&self, _: StreamKey) {}
    fn release(&self, _: StreamKey) {}
}

fn received() -> Received {
    let encoded = leaf(1, "oak").into_message(&Limits::default()).unwrap();
    Received {
        bytes: encoded.into_segment().into_bytes(),
        mode: WireMode::Archive,
        compressed: false,
    }
}

fn run(path: &str, with_opening: bool, on_stream: usize) -> Outcome {
    let handler = Router::of(&LeavesServer::new(Tree)).lookup(path).unwrap();
    let mut call = ServerCall::new(handler.method(), Peer::new(Endpoint::new("test")));
    call.first = with_opening.then(received);
    let script = (0..on_stream).map(|_| received()).collect();
    let port = Arc::new(Script(Mutex::new(script)));
    call.stream = Some(ServerStream {
        port,
        key: StreamKey::from_bits(0),
    });
    block_on(handler.call(call))
}

#[test]
fn one_request_either_way_it_comes() {
    for path in ["/sample.v1.Leaves/Find", "/sample.v1.Leaves/List"] {
        assert!(run(path, true, 0).status.is_ok());
        assert!(run(path, false, 1).status.is_ok());
    }
}

#[test]
fn none_and_two_are_unimplemented() {
    for path in ["/sample.v1.Leaves/Find", "/sample.v1.Leaves/List"] {
        for (with_opening, on_stream) in [(false, 0), (true, 1), (false, 2)] {
            let status = run(path, with_opening, on_stream).status;
            assert_eq!(
                status.code(),
                Code::Unimplemented,
                "{with_opening} {on_stream}"
            );
        }
    }
}

#[test]
fn any_number_where_requests_stream() {
    for count in [0, 1, 5] {
        assert!(run("/sample.v1.Leaves/Record", false, count).status.is_ok());
    }
}
