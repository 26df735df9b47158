//! What is counted, timed and traced.

use std::future::{IntoFuture, pending};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use dreammesh_core::call::{Request, Response, TraceContext, WireOption};
use dreammesh_core::channel::Channel;
use dreammesh_core::in_process::InProcess;
use dreammesh_core::layer::{MethodSnapshot, Metrics, Side};
use dreammesh_core::port::{Handler, Protocol, WireMode};
use dreammesh_core::server::{Router, Service};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use crate::leaves::{LeavesClient, LeavesServer};
use crate::sample::Leaf;
use crate::tree::{Find, Found, Tree, block_on, leaf};

fn counted(metrics: &Metrics, wire: WireOption) -> LeavesClient {
    let router = Router::builder()
        .service(&LeavesServer::new(Tree))
        .metrics(metrics.clone());
    let source = InProcess::new(router.build()).into_source();
    let channel = Channel::builder(source)
        .metrics(metrics.clone())
        .wire(wire)
        .build();
    LeavesClient::new(channel)
}

fn of(metrics: &Metrics, side: Side, path: &str) -> MethodSnapshot {
    let snapshot = metrics.snapshot();
    let found = snapshot
        .into_iter()
        .find(|method| method.side == side && method.path == path);
    found.unwrap()
}

const FIND: &str = "/sample.v1.Leaves/Find";

/// The handlers of a router as a service of another.
struct Handlers(Router);

impl Service for Handlers {
    fn name(&self) -> &'static str {
        "sample.v1.Leaves"
    }

    fn handlers(&self) -> Vec<Arc<dyn Handler>> {
        self.0.handlers().cloned().collect()
    }
}

#[test]
fn a_handler_that_is_watched_twice_is_counted_by_both() {
    let (inner, outer) = (Metrics::new(), Metrics::new());
    let router = Router::builder()
        .service(&LeavesServer::new(Tree))
        .metrics(inner.clone());
    let router = Router::builder()
        .service(&Handlers(router.build()))
        .metrics(outer.clone());
    let client = LeavesClient::new(InProcess::new(router.build()).into_channel());
    block_on(client.find(leaf(1, "oak")).into_future()).unwrap();
    for metrics in [&inner, &outer] {
        let find = of(metrics, Side::Server, FIND);
        assert_eq!((find.count(), find.errors(), find.in_flight), (1, 0, 0));
    }
}

#[test]
fn calls_on_both_sides_by_status_and_wire_mode() {
    let metrics = Metrics::new();
    let (archive, protobuf) = (
        counted(&metrics, WireOption::Auto),
        counted(&metrics, WireOption::Protobuf),
    );
    for client in [&archive, &archive, &protobuf] {
        block_on(client.find(leaf(1, "oak")).into_future()).unwrap();
    }
    block_on(archive.find(leaf(1, "")).into_future()).unwrap_err();
    for side in [Side::Client, Side::Server] {
        let find = of(&metrics, side, FIND);
        assert_eq!(
            (find.count(), find.errors(), find.in_flight),
            (4, 1, 0),
            "{side:?}"
        );
        assert_eq!(find.count_in(WireMode::Protobuf), 1, "{side:?}");
        // Calls that are made are not told apart by what they go by.
        let handled = u64::from(side == Side::Server) * 4;
        assert_eq!(find.count_by(Protocol::InProcess), handled, "{side:?}");
        assert!(find.received_bytes > 0 && find.sent_bytes > 0, "{side:?}");
        assert!(find.quantile(0.5).is_some());
    }
}

#[test]
fn the_bytes_of_streamed_messages_count_on_both_sides() {
    let metrics = Metrics::new();
    let client = counted(&metrics, WireOption::Auto);
    let one = leaf(3, "ash");
    let both = |path| {
        let of = |side| of(&metrics, side, path);
        let (calling, handling) = (of(Side::Client), of(Side::Server));
        let bytes = (calling.sent_bytes, calling.received_bytes);
        assert_eq!(bytes, (handling.received_bytes, handling.sent_bytes));
        bytes
    };
    block_on(async {
        let mut responses = client.list(&one).await.unwrap();
        while responses.next().await.unwrap().is_some() {}
        let (sent, received) = both("/sample.v1.Leaves/List");
        assert!(sent > 0 && received > 2 * sent, "{sent} {received}");

        let requests = client.record().await.unwrap();
        for count in 1..=3 {
            requests.send(&one).await.unwrap();
            assert_eq!(
                of(&metrics, Side::Client, "/sample.v1.Leaves/Record").sent_bytes,
                count * sent
            );
        }
        requests.finish().await.unwrap();
        let (recorded, answered) = both("/sample.v1.Leaves/Record");
        assert!(
            recorded == 3 * sent && answered > 0,
            "{recorded} {answered}"
        );
    });
}

#[test]
fn a_dropped_call_is_cancelled_and_no_longer_in_flight() {
    let metrics = Metrics::new();
    let client = counted(&metrics, WireOption::Auto);
    {
        let call = pin!(client.find(leaf(1, "never")).into_future());
        assert!(
            call.poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        assert_eq!(of(&metrics, Side::Server, FIND).in_flight, 1);
    }
    for side in [Side::Client, Side::Server] {
        let find = of(&metrics, side, FIND);
        assert_eq!(
            (find.count(), find.errors(), find.in_flight),
            (1, 1, 0),
            "{side:?}"
        );
        assert_eq!(find.calls[0].code.name(), "CANCELLED");
    }
}

#[test]
fn a_stream_counts_once_and_until_its_end() {
    let metrics = Metrics::new();
    let client = counted(&metrics, WireOption::Auto);
    let path = "/sample.v1.Leaves/List";
    block_on(async {
        let mut responses = client.list(leaf(3, "ash")).await.unwrap();
        while responses.next().await.unwrap().is_some() {
            assert_eq!(of(&metrics, Side::Client, path).in_flight, 1);
        }
        let mut failing = client.list(leaf(1, "fail")).await.unwrap();
        assert!(failing.next().await.unwrap().is_some());
        assert!(failing.next().await.is_err());
    });
    for side in [Side::Client, Side::Server] {
        let list = of(&metrics, side, path);
        assert_eq!(
            (list.count(), list.errors(), list.in_flight),
            (2, 1, 0),
            "{side:?}"
        );
    }
}

/// Notes the names of spans and the values recorded in them.
#[derive(Clone, Default)]
struct Notes(Arc<Inner>);

#[derive(Default)]
struct Inner {
    next: AtomicU64,
    lines: Mutex<Vec<String>>,
}

struct Visitor<'a>(&'a str, &'a mut Vec<String>);

impl tracing::field::Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.1
            .push(format!("{} {}={value:?}", self.0, field.name()));
    }
}

impl Subscriber for Notes {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // Anything firmer would hold for the threads of other tests too.
        Interest::sometimes()
    }
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed) + 1;
        let mut lines = self.0.lines.lock().unwrap();
        lines.push(format!("{id} is {}", span.metadata().name()));
        span.record(&mut Visitor(&id.to_string(), &mut lines));
        Id::from_u64(id)
    }
    fn record(&self, id: &Id, values: &Record<'_>) {
        let mut lines = self.0.lines.lock().unwrap();
        values.record(&mut Visitor(&id.into_u64().to_string(), &mut lines));
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Asks for one leaf and gives the trace that its handler saw.
fn seen_trace(sent: Option<TraceContext>) -> Option<TraceContext> {
    let seen = Arc::new(Mutex::new(None));
    let note = Arc::clone(&seen);
    let client = LeavesClient::in_process(Find(move |request: Request<Leaf>| -> Found {
        *note.lock().unwrap() = request.trace().cloned();
        Box::pin(async move { Ok(Response::new(request.message())) })
    }));
    let mut call = client.find(leaf(1, ""));
    if let Some(sent) = sent {
        call = call.trace(sent);
    }
    block_on(call.into_future()).unwrap();
    seen.lock().unwrap().take()
}

#[test]
fn without_a_subscriber_the_trace_passes_unchanged() {
    let trace = TraceContext::new([1; 16], [2; 8], 1).unwrap();
    assert_eq!(seen_trace(Some(trace.clone())), Some(trace));
    assert_eq!(seen_trace(None), None);
}

#[test]
fn with_one_each_side_is_a_child_in_the_trace() {
    let notes = Notes::default();
    let trace = TraceContext::new([1; 16], [2; 8], 1).unwrap();
    let seen = tracing::subscriber::with_default(notes.clone(), || seen_trace(Some(trace.clone())));
    let seen = seen.unwrap();
    assert_eq!(seen.trace_id(), trace.trace_id());
    assert_ne!(seen.span_id(), trace.span_id());
    let lines = notes.0.lines.lock().unwrap();
    for line in [
        "1 is rpc.client",
        "1 rpc.method=\"/sample.v1.Leaves/Find\"",
        "1 parent_span_id=\"0202020202020202\"",
        "1 rpc.response.status_code=\"OK\"",
        "2 is rpc.server",
        "2 rpc.response.status_code=\"OK\"",
    ] {
        assert!(
            lines.iter().any(|found| found == line),
            "{line} in {lines:#?}"
        );
    }
    let span_of = |id: u32| {
        let prefix = format!("{id} span_id=");
        let line = lines.iter().find(|line| line.starts_with(&prefix)).unwrap();
        line[prefix.len()..].to_owned()
    };
    assert!(lines.contains(&format!("2 parent_span_id={}", span_of(1))));
}

#[test]
fn with_one_a_call_outside_of_any_trace_begins_one() {
    let seen = tracing::subscriber::with_default(Notes::default(), || seen_trace(None));
    let seen = seen.unwrap();
    assert_eq!(seen.flags() & TraceContext::SAMPLED, 1);
    assert_ne!(seen.trace_id(), [0; 16]);
}

#[test]
fn a_handler_that_never_ends_is_watched_until_it_is_dropped() {
    let notes = Notes::default();
    let client = LeavesClient::in_process(Find(|_| -> Found { Box::pin(pending()) }));
    tracing::subscriber::with_default(notes.clone(), || {
        let call = pin!(client.find(leaf(1, "")).into_future());
        assert!(
            call.poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
    });
    let lines = notes.0.lines.lock().unwrap();
    let cancelled = |line: &&String| line.ends_with("status_code=\"CANCELLED\"");
    assert_eq!(lines.iter().filter(cancelled).count(), 2, "{lines:#?}");
}
