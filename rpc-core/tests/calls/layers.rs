//! The user's `tower` layers on both sides, real ones and one written by hand.

use std::future::{IntoFuture, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dreammesh_core::call::{Code, Identity, Request, Response, Status};
use dreammesh_core::channel::{Channel, ClientCall};
use dreammesh_core::in_process::InProcess;
use dreammesh_core::port::{Outcome, ServerCall};
use dreammesh_core::server::{Router, RouterBuilder};
use tower::limit::ConcurrencyLimitLayer;
use tower::timeout::TimeoutLayer;
use tower::util::MapRequestLayer;
use tower::{Layer, Service, ServiceBuilder};

use crate::leaves::{LeavesClient, LeavesServer};
use crate::sample::Leaf;
use crate::tree::{Find, Found, Tree, block_on, leaf};

fn through(router: Router) -> LeavesClient {
    LeavesClient::new(InProcess::new(router).into_channel())
}

fn serving(find: impl Fn(Request<Leaf>) -> Found + Send + Sync + 'static) -> RouterBuilder {
    Router::builder().service(&LeavesServer::new(Find(find)))
}

/// Lets calls with the right token pass and tells the handler whose it is.
#[derive(Clone)]
struct Auth<S>(S);

struct AuthLayer;

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth(inner)
    }
}

impl<S> Service<ServerCall> for Auth<S>
where
    S: Service<ServerCall, Response = Outcome, Error = Status>,
    S::Future: Send + 'static,
{
    type Response = Outcome;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Outcome, Status>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut call: ServerCall) -> Self::Future {
        assert_eq!(call.method.name(), "Find");
        assert_eq!(call.peer.endpoint().target(), "in-process");
        if call.metadata.text("authorization") != Some("letmein") {
            return Box::pin(async { Err(Status::unauthenticated("no token")) });
        }
        call.extensions.insert(Identity::new("ada"));
        Box::pin(self.0.call(call))
    }
}

#[test]
fn an_auth_layer_refuses_or_tells_the_handler_who_calls() {
    let router = serving(|request| {
        let name = request
            .extensions()
            .get::<Identity>()
            .unwrap()
            .name()
            .to_owned();
        Box::pin(async move { Ok(Response::new(leaf(0, &name))) })
    });
    let client = through(router.layer(AuthLayer).build());
    let error = block_on(client.find(leaf(1, "")).into_future()).unwrap_err();
    assert_eq!(error.code(), Code::Unauthenticated);
    let call = client
        .find(leaf(1, ""))
        .metadata("authorization", "letmein");
    assert_eq!(block_on(call.into_future()).unwrap().view().name(), "ada");
}

#[test]
fn a_client_layer_changes_the_call() {
    let layer = MapRequestLayer::new(|mut call: ClientCall| {
        assert_eq!(call.method.path(), "/sample.v1.Leaves/Find");
        assert!(call.deadline.is_some() && call.request_bytes().is_some());
        call.metadata.insert("x-tenant", "blue").unwrap();
        call
    });
    let source = InProcess::new(Router::of(&LeavesServer::new(Tree))).into_source();
    let client = LeavesClient::new(Channel::builder(source).layer(layer).build());
    let response = block_on(client.find(leaf(1, "oak")).into_future()).unwrap();
    assert_eq!(response.metadata().text("x-seen"), Some("blue"));
}

#[test]
fn the_layer_added_first_sees_a_call_first() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = |name: &'static str| {
        let seen = Arc::clone(&seen);
        move || seen.lock().unwrap().push(name)
    };
    let on_call = |name| {
        let note = note(name);
        MapRequestLayer::new(move |call: ClientCall| {
            note();
            call
        })
    };
    let on_serving = |name| {
        let note = note(name);
        MapRequestLayer::new(move |call: ServerCall| {
            note();
            call
        })
    };
    let router = Router::builder()
        .layer(on_serving("outer server"))
        .service(&LeavesServer::new(Tree))
        .layer(on_serving("inner server"))
        .build();
    let channel = Channel::builder(InProcess::new(router).into_source())
        .layer(on_call("outer client"))
        .layer(on_call("inner client"))
        .build();
    block_on(
        LeavesClient::new(channel)
            .find(leaf(1, "oak"))
            .into_future(),
    )
    .unwrap();
    let expected = [
        "outer client",
        "inner client",
        "outer server",
        "inner server",
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn streams_pass_through_layers() {
    let stack = ServiceBuilder::new()
        .layer(ConcurrencyLimitLayer::new(1))
        .layer(MapRequestLayer::new(|call: ServerCall| call));
    let router = Router::builder()
        .service(&LeavesServer::new(Tree))
        .layer(stack)
        .build();
    let channel = Channel::builder(InProcess::new(router).into_source())
        .layer(MapRequestLayer::new(|call: ClientCall| call))
        .build();
    let client = LeavesClient::new(channel);
    block_on(async {
        let (requests, mut responses) = client.chat().await.unwrap();
        requests.send_last(leaf(7, "")).await.unwrap();
        assert_eq!(responses.next().await.unwrap().unwrap().view().id(), 7);
        assert!(responses.next().await.unwrap().is_none());
        let requests = client.record().await.unwrap();
        requests.send(leaf(7, "")).await.unwrap();
        assert_eq!(requests.finish().await.unwrap().view().id(), 7);
    });
}

#[test]
fn a_concurrency_limit_holds_the_second_call_until_the_first_ends() {
    let begun = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&begun);
    let router = serving(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Box::pin(pending())
    });
    let client = through(router.layer(ConcurrencyLimitLayer::new(1)).build());
    let mut cx = Context::from_waker(Waker::noop());
    let mut first = Box::pin(client.find(leaf(1, "")).into_future());
    let mut second = Box::pin(client.find(leaf(2, "")).into_future());
    assert!(first.as_mut().poll(&mut cx).is_pending());
    assert!(second.as_mut().poll(&mut cx).is_pending());
    assert_eq!(begun.load(Ordering::Relaxed), 1);
    drop(first);
    assert!(second.as_mut().poll(&mut cx).is_pending());
    assert_eq!(begun.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_drops_the_handler() {
    struct Flag(Arc<AtomicU32>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(1, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicU32::new(0));
    let flag = Arc::clone(&dropped);
    let router = serving(move |_| {
        let flag = Flag(Arc::clone(&flag));
        Box::pin(async move {
            let _flag = flag;
            pending().await
        })
    });
    let source = InProcess::new(router.build()).into_source();
    let layer = TimeoutLayer::new(Duration::from_secs(1));
    let client = LeavesClient::new(Channel::builder(source).layer(layer).build());
    let error = client.find(leaf(1, "")).await.unwrap_err();
    // tower's own error says nothing a status could be made of.
    assert_eq!(error.code(), Code::Internal);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[test]
fn a_layers_panic_ends_that_call_alone() {
    let layer = MapRequestLayer::new(|call: ServerCall| {
        assert!(call.metadata.is_empty(), "asked to");
        call
    });
    let router = Router::builder()
        .service(&LeavesServer::new(Tree))
        .layer(layer)
        .build();
    let client = through(router);
    let error = block_on(client.find(leaf(1, "oak")).metadata("a", "b").into_future());
    assert_eq!(error.unwrap_err().code(), Code::Internal);
    assert!(block_on(client.find(leaf(1, "oak")).into_future()).is_ok());
}

#[test]
fn a_status_inside_of_a_layers_error_keeps_its_code() {
    #[derive(Debug)]
    struct Wrapped(Status);
    impl std::fmt::Display for Wrapped {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("wrapped")
        }
    }
    impl std::error::Error for Wrapped {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let stack = ServiceBuilder::new()
        .map_err(Wrapped)
        .map_future(|_| async { Err::<Outcome, _>(Status::out_of_range("beyond")) });
    let router = Router::builder()
        .service(&LeavesServer::new(Tree))
        .layer(stack)
        .build();
    let error = block_on(through(router).find(leaf(1, "oak")).into_future()).unwrap_err();
    assert_eq!(error.code(), Code::OutOfRange);
}
