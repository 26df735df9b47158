//! Which form messages take: learnt on the first connection, known on the next, turned off.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test are outside of its test functions"
)]

use std::sync::Arc;

use dreammesh_core::call::{MethodInfo, MethodKind, Request, Response, WireOption};
use dreammesh_core::channel::UnaryCall;
use dreammesh_core::layer::Metrics;
use dreammesh_core::negotiate::VerdictCache;
use dreammesh_core::port::{Handler, WireMode};
use dreammesh_core::server::{Service, unary};
use dreammesh_core::wire::{LayoutHash, Message};
use dreammesh_core::wkt::{StringValue, StringValueArgs};
use dreammesh_transport::{Connector, MemoryHub, Server};
use tokio::sync::oneshot;

static ECHO: MethodInfo = MethodInfo::new(
    "/test.Echo/Echo",
    MethodKind::Unary,
    StringValue::LAYOUT,
    StringValue::LAYOUT,
)
.with_closures(LayoutHash([7; 16]), LayoutHash([7; 16]));

struct Echo(Arc<()>);

impl Service for Echo {
    fn name(&self) -> &'static str {
        "test.Echo"
    }

    fn handlers(&self) -> Vec<Arc<dyn Handler>> {
        let handler =
            |_, request: Request<StringValue>| async move { Ok(Response::new(request.message())) };
        vec![unary(&self.0, &ECHO, handler)]
    }
}

/// A server, what it counts, and whatever keeps it running.
async fn serve(hub: &MemoryHub, wire: WireOption) -> (Metrics, oneshot::Sender<()>) {
    let metrics = Metrics::new();
    let server = Server::builder()
        .service(Echo(Arc::new(())))
        .wire(wire)
        .metrics(metrics.clone())
        .memory(hub);
    let server = server.bind("memory://layouts").await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(server.serve_until(stopped));
    (metrics, stop)
}

/// Makes calls one by one over a new connection.
async fn call(hub: &MemoryHub, cache: &VerdictCache, wire: WireOption, calls: usize) {
    let connector = Connector::new().memory(hub).layouts(cache);
    let builder = connector.channel_builder("memory://layouts").unwrap();
    let channel = builder.wire(wire).build();
    for _ in 0..calls {
        let ask = StringValueArgs { value: "oak" };
        let answer = UnaryCall::<StringValue>::new::<StringValue>(&channel, &ECHO, ask);
        assert_eq!(answer.await.unwrap().view().value(), "oak");
    }
}

/// How many requests came as archives and as protobuf.
fn counts(metrics: &Metrics) -> (u64, u64) {
    let snapshot = metrics.snapshot();
    let of = |mode| snapshot.iter().map(|method| method.count_in(mode)).sum();
    (of(WireMode::Archive), of(WireMode::Protobuf))
}

#[tokio::test]
async fn the_second_connection_sends_archives_from_its_first_call() {
    let (hub, cache) = (MemoryHub::new(), VerdictCache::new());
    let (metrics, _stop) = serve(&hub, WireOption::Auto).await;
    call(&hub, &cache, WireOption::Auto, 3).await;
    let (archives, protobuf) = counts(&metrics);
    assert_eq!(protobuf, 1, "only the call that named the method");
    call(&hub, &cache, WireOption::Auto, 1).await;
    assert_eq!(counts(&metrics), (archives + 1, 1));
    call(&hub, &VerdictCache::new(), WireOption::Auto, 1).await;
    assert_eq!(counts(&metrics), (archives + 1, 2));
}

#[tokio::test]
async fn either_side_turns_archives_off() {
    let (hub, cache) = (MemoryHub::new(), VerdictCache::new());
    let (metrics, stop) = serve(&hub, WireOption::Auto).await;
    call(&hub, &cache, WireOption::Protobuf, 3).await;
    assert_eq!(counts(&metrics), (0, 3));
    call(&hub, &cache, WireOption::Auto, 2).await;
    drop(stop);

    // The cache now says that this server reads archives; its successor does not.
    let hub = MemoryHub::new();
    let (metrics, _stop) = serve(&hub, WireOption::Protobuf).await;
    call(&hub, &cache, WireOption::Auto, 3).await;
    assert_eq!(counts(&metrics), (0, 3));
}
