//! Which form messages take: learnt on the first connection, known on the next, turned off.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test are outside of its test functions"
)]

use std::sync::Arc;
use std::time::Duration;

use dreammesh_core::call::{
    Begun, CallError, Code, Initiator, MethodInfo, MethodKind, Request, Response, WireOption,
};
use dreammesh_core::channel::UnaryCall;
use dreammesh_core::layer::Metrics;
use dreammesh_core::negotiate::VerdictCache;
use dreammesh_core::port::{Handler, WireMode};
use dreammesh_core::server::{Service, unary};
use dreammesh_core::wire::{LayoutHash, Message};
use dreammesh_core::wkt::{Int32Value, StringValue, StringValueArgs};
use dreammesh_transport::link::{BoxLink, memory};
use dreammesh_transport::{Connector, MemoryHub, Server};
use tokio::io::AsyncReadExt;
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

/// Makes one call that may travel as archives alone, over a new connection.
async fn archives_only(
    hub: &MemoryHub,
    method: &'static MethodInfo,
) -> Result<Response<StringValue>, CallError> {
    let connector = Connector::new().memory(hub);
    let builder = connector.channel_builder("memory://layouts").unwrap();
    let channel = builder.wire(WireOption::Archive).build();
    let ask = || StringValueArgs { value: "oak" };
    let first = UnaryCall::<StringValue>::new::<StringValue>(&channel, method, ask()).await;
    let second = UnaryCall::<StringValue>::new::<StringValue>(&channel, method, ask()).await;
    assert_eq!(first.is_ok(), second.is_ok());
    first
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

#[tokio::test]
async fn archives_alone_wait_for_the_servers_word() {
    let hub = MemoryHub::new();
    let (metrics, _stop) = serve(&hub, WireOption::Auto).await;
    let answer = archives_only(&hub, &ECHO).await.unwrap();
    assert_eq!(answer.view().value(), "oak");
    assert_eq!(counts(&metrics), (2, 0), "the first call is an archive too");
}

#[tokio::test]
async fn archives_alone_fail_before_they_begin_where_they_are_not_read() {
    // Its hashes differ, so that the chains decide, and they say that the types differ.
    static OTHER: MethodInfo = MethodInfo::new(
        "/test.Echo/Echo",
        MethodKind::Unary,
        Int32Value::LAYOUT,
        Int32Value::LAYOUT,
    )
    .with_closures(LayoutHash([8; 16]), LayoutHash([8; 16]));
    for (server, method) in [(WireOption::Protobuf, &ECHO), (WireOption::Auto, &OTHER)] {
        let hub = MemoryHub::new();
        let (metrics, _stop) = serve(&hub, server).await;
        let error = archives_only(&hub, method).await.unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
        assert_eq!(
            (error.initiator(), error.begun()),
            (Initiator::Library, Begun::No)
        );
        assert!(error.message().contains("/test.Echo/Echo"), "{error}");
        assert_eq!(counts(&metrics), (0, 0));
    }
}

#[tokio::test]
async fn archives_alone_leave_a_missing_method_to_the_server() {
    static MISSING: MethodInfo = MethodInfo::new(
        "/test.Echo/Missing",
        MethodKind::Unary,
        StringValue::LAYOUT,
        StringValue::LAYOUT,
    );
    let hub = MemoryHub::new();
    let (_metrics, _stop) = serve(&hub, WireOption::Auto).await;
    let error = archives_only(&hub, &MISSING).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_the_servers_word_ends_at_its_deadline_or_with_the_link() {
    // The far end takes everything and never says a word.
    let dial = || async {
        let (near, mut far) = memory::pair();
        tokio::spawn(async move {
            let mut bytes = [0; 4096];
            while far.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
        });
        Ok(Box::new(near) as BoxLink)
    };
    let connector = Connector::new().keepalive(Duration::from_secs(5), Duration::from_secs(3));
    let channel = connector.connect_with("memory://silent", dial);
    let ask = |timeout| {
        let ask = StringValueArgs { value: "oak" };
        UnaryCall::<StringValue>::new::<StringValue>(&channel, &ECHO, ask)
            .wire(WireOption::Archive)
            .timeout(Duration::from_secs(timeout))
    };
    let error = ask(2).await.unwrap_err();
    assert_eq!(
        (error.code(), error.begun()),
        (Code::DeadlineExceeded, Begun::No)
    );
    let error = ask(60).await.unwrap_err();
    assert_eq!(
        (error.code(), error.begun()),
        (Code::Unavailable, Begun::No)
    );
}
