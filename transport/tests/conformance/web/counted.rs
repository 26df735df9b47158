//! What a server counts of calls, by what they came by.

use dreammesh_core::layer::{Metrics, Side};
use dreammesh_core::port::Protocol;

use super::caller::{BOTH, post, proto};
use crate::echo::{Echo, ask, call};
use crate::grpc_server::caller::{CHAT, Caller, UNARY, framed};
use crate::media::{Medium, Site};

#[tokio::test]
async fn calls_are_counted_by_what_they_came_by() {
    let metrics = Metrics::new();
    let server = |it: dreammesh_transport::ServerBuilder| it.metrics(metrics.clone());
    let site = Site::with(Medium::Memory, Echo::default(), server, |it| it).await;
    call(&site.channel, &ask("echo")).await.unwrap();
    let caller = Caller::new(&site).await;
    for what in ["echo", "fail"] {
        caller.call(UNARY, &[], framed(&ask(what))).await;
    }
    for http in BOTH {
        for what in ["echo", "fail"] {
            let request = post(UNARY, "application/grpc-web+proto");
            http.ask(&site, request, framed(&ask(what))).await;
            let request = post(UNARY, "application/proto");
            http.ask(&site, request, proto(&ask(what))).await;
        }
    }
    let mut chat = caller.begin(CHAT, &[]).await;
    chat.send(framed(&ask("echo")), true);
    chat.end().await;
    let calls = |path: &str, protocol| {
        let methods = metrics.snapshot();
        let found = (methods.iter()).find(|it| (it.side, it.path) == (Side::Server, path));
        found.map_or(0, |it| it.count_by(protocol))
    };
    let unary = Protocol::ALL.map(|protocol| calls(UNARY, protocol));
    assert_eq!(unary, [0, 1, 2, 4, 4]);
    let chats = Protocol::ALL.map(|protocol| calls(CHAT, protocol));
    assert_eq!(chats, [0, 0, 1, 0, 0]);
    let text = metrics.to_prometheus();
    for (protocol, count) in [("session", 1), ("grpc", 1), ("grpc-web", 2), ("connect", 2)] {
        let line = format!(
            "rpc_server_call_duration_seconds_count{{rpc_method=\"test.Echo/Unary\",\
             rpc_response_status_code=\"OK\",wire_mode=\"protobuf\",protocol=\"{protocol}\"}} {count}"
        );
        assert!(text.lines().any(|it| it == line), "{line}\nin\n{text}");
    }
}
