//! What a call notes of the endpoint that it was balanced to, and when it goes to another one.

use std::future::{Future, IntoFuture};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use dreammesh_core::balance::Load;
use dreammesh_core::call::{Code, Request, Status};
use dreammesh_core::channel::Channel;
use dreammesh_core::in_process::InProcess;
use dreammesh_core::port::{
    Balanced, Connection, ConnectionAsk, ConnectionSource, Ended, OpenTicket,
};
use dreammesh_core::server::Router;

use crate::leaves::{LeavesClient, LeavesServer};
use crate::sample::Leaf;
use crate::tree::{Find, Found, Tree, block_on, leaf};

#[expect(
    clippy::disallowed_methods,
    reason = "the channel has a clock of its own"
)]
fn now() -> Instant {
    Instant::now()
}

/// Gives calls one endpoint, with what it is doing.
#[derive(Debug)]
struct Noted {
    endpoint: Arc<dyn ConnectionSource>,
    load: Arc<Load>,
}

impl ConnectionSource for Noted {
    fn poll_connection(
        &self,
        cx: &mut Context<'_>,
        ask: ConnectionAsk<'_>,
    ) -> Poll<Result<Arc<dyn Connection>, Ended>> {
        *ask.balanced = Some(Balanced {
            load: Arc::clone(&self.load),
            now: now(),
            has_others: false,
        });
        self.endpoint.poll_connection(cx, ask)
    }

    fn abandon(&self, ticket: OpenTicket) {
        self.endpoint.abandon(ticket);
    }
}

fn noted(router: Router) -> (LeavesClient, Arc<Noted>) {
    let noted = Arc::new(Noted {
        endpoint: InProcess::new(router).into_source(),
        load: Arc::new(Load::new(now())),
    });
    let source = Arc::clone(&noted) as Arc<dyn ConnectionSource>;
    (LeavesClient::new(Channel::new(source)), noted)
}

fn tree() -> (LeavesClient, Arc<Noted>) {
    noted(Router::builder().service(&LeavesServer::new(Tree)).build())
}

fn latency(noted: &Noted) -> Duration {
    noted.load.latency(now())
}

#[test]
fn a_call_is_outstanding_until_it_is_answered_or_given_up() {
    let (client, noted) = tree();
    block_on(client.find(leaf(1, "oak")).into_future()).unwrap();
    assert_eq!(noted.load.outstanding(), 0);
    let mut calls: Vec<_> = (0..3)
        .map(|_| Box::pin(client.find(leaf(1, "never")).into_future()))
        .collect();
    for call in &mut calls {
        assert!(
            call.as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
    }
    assert_eq!(noted.load.outstanding(), 3);
    drop(calls);
    assert_eq!(noted.load.outstanding(), 0);
}

#[test]
fn a_stream_is_outstanding_until_it_is_dropped() {
    let (client, noted) = tree();
    let items = block_on(client.list(leaf(3, "oak")).into_future()).unwrap();
    assert_eq!(noted.load.outstanding(), 1);
    drop(items);
    assert_eq!(noted.load.outstanding(), 0);
}

#[test]
fn an_endpoint_that_says_that_it_is_unavailable_counts_as_slow_and_a_refusal_does_not() {
    let says = |code| {
        let find = move |_: Request<Leaf>| -> Found {
            Box::pin(async move { Err(Status::new(code, "as asked")) })
        };
        let server = LeavesServer::new(Find(find));
        let (client, noted) = noted(Router::builder().service(&server).build());
        let error = block_on(client.find(leaf(1, "oak")).into_future()).unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(noted.load.outstanding(), 0);
        noted
    };
    assert!(latency(&says(Code::Unavailable)) > Duration::from_millis(900));
    assert!(latency(&says(Code::ResourceExhausted)) > Duration::from_millis(900));
    assert!(latency(&says(Code::NotFound)) < Duration::from_millis(900));
}
