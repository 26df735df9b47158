//! What a call notes of the endpoint that it was balanced to, and when it goes to another one.

use std::future::{Future, IntoFuture};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use dreammesh_core::balance::Load;
use dreammesh_core::call::{Code, Receiver, Request, Response, Sender, Status};
use dreammesh_core::channel::Channel;
use dreammesh_core::in_process::InProcess;
use dreammesh_core::port::{
    Balanced, Connection, ConnectionAsk, ConnectionSource, Ended, OpenTicket,
};
use dreammesh_core::server::Router;

use crate::leaves::{Leaves, LeavesClient, LeavesServer};
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

/// What a failure takes an endpoint beyond.
const BAD: Duration = Duration::from_millis(900);

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

/// Fails every stream after it has begun.
struct Breaks;

impl Leaves for Breaks {
    async fn find(&self, _: Request<Leaf>) -> Result<Response<Leaf>, Status> {
        Err(Status::unimplemented("only streams"))
    }

    async fn list(&self, request: Request<Leaf>, items: Sender<Leaf>) -> Result<(), Status> {
        items.send(leaf(1, "oak")).await?;
        match request.view().name() {
            "busy" => Err(Status::unavailable("half way")),
            _ => Err(Status::not_found("half way")),
        }
    }

    async fn record(&self, _: Receiver<Leaf>) -> Result<Response<Leaf>, Status> {
        Err(Status::unavailable("half way"))
    }

    async fn chat(&self, _: Receiver<Leaf>, _: Sender<Leaf>) -> Result<(), Status> {
        Err(Status::unavailable("half way"))
    }
}

fn breaks() -> (LeavesClient, Arc<Noted>) {
    let server = LeavesServer::new(Breaks);
    noted(Router::builder().service(&server).build())
}

#[test]
fn a_stream_that_breaks_counts_against_its_endpoint_and_a_refusal_does_not() {
    for (name, is_bad) in [("busy", true), ("gone", false)] {
        let (client, noted) = breaks();
        let mut items = block_on(client.list(leaf(1, name)).into_future()).unwrap();
        assert!(block_on(items.next()).unwrap().is_some());
        assert!(latency(&noted) < BAD);
        block_on(items.next()).unwrap_err();
        // It is known when it fails, not when somebody drops what is left of it.
        assert_eq!(noted.load.outstanding(), 0);
        assert_eq!(latency(&noted) > BAD, is_bad, "{name}");
    }
}

#[test]
fn a_stream_that_ends_without_its_answer_counts_against_its_endpoint() {
    let (client, noted) = breaks();
    let requests = block_on(client.record().into_future()).unwrap();
    block_on(requests.finish()).unwrap_err();
    assert!(latency(&noted) > BAD);
    let (client, noted) = breaks();
    let (sender, mut items) = block_on(client.chat().into_future()).unwrap();
    block_on(items.metadata()).unwrap_err();
    assert!(latency(&noted) > BAD);
    drop((sender, items));
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
    assert!(latency(&says(Code::Unavailable)) > BAD);
    assert!(latency(&says(Code::ResourceExhausted)) > BAD);
    assert!(latency(&says(Code::NotFound)) < BAD);
}
