//! Dropping a call drops its handler.

use std::future::{Future, IntoFuture, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use dreammesh_core::call::{Code, Receiver, Request, Response, Sender, Status};

use crate::leaves::{Leaves, LeavesClient};
use crate::sample::Leaf;
use crate::tree::{block_on, leaf};

/// Counts the handlers that were dropped; every handler waits for ever.
#[derive(Clone, Default)]
struct Waits(Arc<AtomicU32>);

struct Counted(Arc<AtomicU32>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Waits {
    fn dropped(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    async fn wait<T>(&self) -> T {
        let _counted = Counted(Arc::clone(&self.0));
        pending().await
    }
}

impl Leaves for Waits {
    async fn find(&self, _: Request<Leaf>) -> Result<Response<Leaf>, Status> {
        self.wait().await
    }

    async fn list(&self, _: Request<Leaf>, responses: Sender<Leaf>) -> Result<(), Status> {
        responses.send(leaf(1, "first")).await?;
        self.wait().await
    }

    async fn record(&self, mut requests: Receiver<Leaf>) -> Result<Response<Leaf>, Status> {
        requests.next().await?;
        self.wait().await
    }

    async fn chat(&self, _: Receiver<Leaf>, _: Sender<Leaf>) -> Result<(), Status> {
        self.wait().await
    }
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_unary_call() {
    let waits = Waits::default();
    let client = LeavesClient::in_process(waits.clone());
    assert!(poll_once(client.find(leaf(1, "")).into_future()).is_pending());
    assert_eq!(waits.dropped(), 1);
}

#[test]
fn a_call_that_was_never_polled_begins_nothing() {
    let waits = Waits::default();
    drop(
        LeavesClient::in_process(waits.clone())
            .find(leaf(1, ""))
            .into_future(),
    );
    assert_eq!(waits.dropped(), 0);
}

#[test]
fn the_receiver_of_responses() {
    let waits = Waits::default();
    let client = LeavesClient::in_process(waits.clone());
    let mut responses = block_on(client.list(leaf(1, "")).into_future()).unwrap();
    assert!(block_on(responses.next()).unwrap().is_some());
    assert!(poll_once(responses.next()).is_pending());
    assert_eq!(waits.dropped(), 0);
    drop(responses);
    assert_eq!(waits.dropped(), 1);
}

#[test]
fn the_sender_of_requests_with_one_response() {
    let waits = Waits::default();
    let client = LeavesClient::in_process(waits.clone());
    let requests = block_on(client.record().into_future()).unwrap();
    block_on(requests.send(leaf(1, ""))).unwrap();
    assert!(poll_once(requests.finish()).is_pending());
    assert_eq!(waits.dropped(), 1);
}

#[test]
fn the_receiver_of_a_conversation_ends_its_sender_too() {
    let waits = Waits::default();
    let client = LeavesClient::in_process(waits.clone());
    let (requests, mut responses) = block_on(client.chat().into_future()).unwrap();
    assert!(poll_once(responses.next()).is_pending());
    drop(responses);
    assert_eq!(waits.dropped(), 1);
    assert_eq!(
        block_on(requests.send(leaf(1, ""))).unwrap_err().code(),
        Code::Cancelled
    );
}

#[test]
fn down_the_chain() {
    /// Calls the inner service and waits for it.
    struct Outer(LeavesClient);
    impl Leaves for Outer {
        async fn find(&self, request: Request<Leaf>) -> Result<Response<Leaf>, Status> {
            Ok(self.0.find(request.message()).await?)
        }
        async fn list(&self, _: Request<Leaf>, _: Sender<Leaf>) -> Result<(), Status> {
            pending().await
        }
        async fn record(&self, _: Receiver<Leaf>) -> Result<Response<Leaf>, Status> {
            pending().await
        }
        async fn chat(&self, _: Receiver<Leaf>, _: Sender<Leaf>) -> Result<(), Status> {
            pending().await
        }
    }
    let inner = Waits::default();
    let outer = Outer(LeavesClient::in_process(inner.clone()));
    let client = LeavesClient::in_process(outer);
    assert!(poll_once(client.find(leaf(1, "")).into_future()).is_pending());
    assert_eq!(inner.dropped(), 1);
}

#[test]
fn a_dropped_send_sends_nothing_and_gives_its_turn_back() {
    let client = LeavesClient::in_process(Waits::default());
    block_on(async {
        let (requests, _responses) = client.chat().await.unwrap();
        let first = poll_fn(|cx| {
            let mut sent = 0;
            while pin!(requests.send(leaf(sent, ""))).poll(cx).is_ready() {
                sent += 1;
            }
            Poll::Ready(sent)
        })
        .await;
        assert_eq!(
            first,
            dreammesh_core::in_process::STREAM_MESSAGES_MAX as i32
        );
        assert!(poll_once(requests.send(leaf(9, ""))).is_pending());
    });
}
