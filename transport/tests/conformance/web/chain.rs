//! A call that enters by Connect or gRPC-Web and goes on to another server, by session and by gRPC.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use dreammesh_core::channel::Channel;
use dreammesh_core::codec::Protobuf as _;
use dreammesh_core::wkt::Any;
use dreammesh_transport::{Connect, MemoryHub, Server};
use http::{Request, request};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;

use super::caller::{BOTH, Http, head_of_one, post, proto};
use crate::grpc_server::caller::framed;
use crate::hop::{self, ask};

const UNARY: &str = "/test.Hop/Unary";
const CHAT: &str = "/test.Hop/Chat";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TIMEOUT: Duration = Duration::from_secs(60);
/// What is sent of a deadline may be rounded.
const ROUNDED: Duration = Duration::from_millis(10);

/// Two hops, the first of which is reached from memory.
struct Chain {
    hub: MemoryHub,
    first: watch::Receiver<usize>,
    last: watch::Receiver<usize>,
}

impl Chain {
    /// One whose hops speak to one another by that scheme.
    async fn new(scheme: &str) -> Self {
        let (bound, last) =
            hop::serve(Server::builder(), "dreammesh+tcp://127.0.0.1:0", None).await;
        let target = bound.replace("dreammesh+tcp", scheme);
        let next = Some(Channel::connect(&target).await.unwrap());
        let hub = MemoryHub::new();
        let server = Server::builder().memory(&hub);
        let (_, first) = hop::serve(server, "memory://test", next).await;
        Self { hub, first, last }
    }

    async fn alive_are(&mut self, count: usize) {
        self.last.wait_for(|alive| *alive == count).await.unwrap();
        self.first.wait_for(|alive| *alive == count).await.unwrap();
    }
}

const NEXT: [&str; 2] = ["dreammesh+tcp", "grpc"];

/// The protocols by content type, how they name a deadline, and whether messages have prefixes.
const PROTOCOLS: [(&str, &str, bool); 3] = [
    ("application/proto", "connect-timeout-ms", false),
    ("application/connect+proto", "connect-timeout-ms", true),
    ("application/grpc-web+proto", "grpc-timeout", true),
];

/// A request to the method that the protocol can call, with what its body is.
fn asking(
    (content_type, _, has_prefixes): (&str, &str, bool),
    what: &str,
) -> (request::Builder, Vec<u8>) {
    let path = match content_type {
        "application/connect+proto" => CHAT,
        _ => UNARY,
    };
    let body = match has_prefixes {
        true => framed(&ask(what)),
        false => proto(&ask(what)),
    };
    (post(path, content_type), body)
}

fn timeout(protocol: (&str, &str, bool), millis: u128) -> String {
    match protocol.1 {
        "grpc-timeout" => format!("{millis}m"),
        _ => millis.to_string(),
    }
}

#[tokio::test]
async fn what_belongs_to_a_call_goes_on() {
    for next in NEXT {
        let chain = Chain::new(next).await;
        for http in BOTH {
            for protocol in PROTOCOLS {
                // Both ways at once need HTTP/2.
                if http == Http::One && protocol.0 == "application/connect+proto" {
                    continue;
                }
                let asked_at = Instant::now();
                let (request, body) = asking(protocol, "tell");
                let request = request
                    .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
                    .header("tracestate", "a=1,b=2")
                    .header("dreammesh-priority", "2")
                    .header("x-tenant", "shop")
                    .header("x-sum-bin", "AP8B")
                    .header(protocol.1, timeout(protocol, TIMEOUT.as_millis()));
                let heard = http.ask(&chain.hub, request, body).await;
                assert_eq!(heard.status, 200, "{protocol:?}: {heard:?}");
                let message = match protocol.2 {
                    true => heard.messages().remove(0).1,
                    false => heard.body.clone(),
                };
                let told = Any::from_protobuf(&message).unwrap();
                let words = format!("{TRACE} [a=1,b=2] 2 shop Some([0, 255, 1])");
                assert_eq!(told.type_url, words, "{next} {http:?} {protocol:?}");
                let left = u64::from_le_bytes(told.value.as_ref().try_into().unwrap());
                let left = Duration::from_micros(left);
                let least = TIMEOUT.saturating_sub(asked_at.elapsed() + ROUNDED);
                assert!(least <= left && left <= TIMEOUT, "{protocol:?}: {left:?}");
                // What the last handler says beside its answer comes back.
                assert_eq!(heard.header("x-before"), "b");
                assert_eq!(heard.header("x-before-bin"), "AP8");
                let after = match protocol.0 {
                    "application/proto" => heard.header("trailer-x-after").to_owned(),
                    _ => String::from_utf8(heard.messages().pop().unwrap().1).unwrap(),
                };
                let expected = match protocol.0 {
                    "application/proto" => "a",
                    "application/connect+proto" => r#"{"metadata":{"x-after":["a"]}}"#,
                    _ => "grpc-status: 0\r\nx-after: a\r\n",
                };
                assert_eq!(after, expected, "{protocol:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_last_handlers_failure_comes_back_with_its_type() {
    let detail = BASE64_STANDARD_NO_PAD.encode("detail");
    let error = format!(
        r#"{{"code":"not_found","message":"gone é","details":[{{"type":"test.Detail","value":"{detail}"}}]}}"#
    );
    for next in NEXT {
        let chain = Chain::new(next).await;
        for http in BOTH {
            let [unary, stream, web] = PROTOCOLS;
            let (request, body) = asking(unary, "fail");
            let heard = http.ask(&chain.hub, request, body).await;
            assert_eq!((heard.status, heard.text()), (404, &*error));
            assert_eq!(heard.header("trailer-x-after"), "a");
            let (request, body) = asking(web, "fail");
            let heard = http.ask(&chain.hub, request, body).await;
            assert_eq!(heard.header("grpc-status"), "5");
            assert_eq!(heard.header("grpc-message"), "gone %C3%A9");
            assert_eq!(heard.header("x-after"), "a");
            let details = heard.header("grpc-status-details-bin");
            let details = BASE64_STANDARD_NO_PAD.decode(details).unwrap();
            let name = b"type.googleapis.com/test.Detail";
            assert!(details.windows(name.len()).any(|it| it == name));
            if http == Http::Two {
                let (request, body) = asking(stream, "fail");
                let heard = http.ask(&chain.hub, request, body).await;
                let end = format!(r#"{{"error":{error},"metadata":{{"x-after":["a"]}}}}"#);
                assert_eq!(heard.messages(), [(2, end.into_bytes())]);
            }
        }
    }
}

#[tokio::test]
async fn what_the_first_caller_allows_ends_the_last_handler() {
    for next in NEXT {
        let mut chain = Chain::new(next).await;
        for http in BOTH {
            let [unary, stream, web] = PROTOCOLS;
            for protocol in [unary, web, stream] {
                if http == Http::One && protocol == stream {
                    continue;
                }
                let (request, body) = asking(protocol, "never");
                let request = request.header(protocol.1, timeout(protocol, 300));
                let heard = http.ask(&chain.hub, request, body).await;
                let is_late = match protocol.0 {
                    "application/grpc-web+proto" => heard.header("grpc-status") == "4",
                    _ => heard.text().contains(r#""code":"deadline_exceeded""#),
                };
                assert!(is_late, "{next} {http:?} {protocol:?}: {heard:?}");
                chain.alive_are(0).await;
            }
        }
    }
}

#[tokio::test]
async fn whoever_goes_away_ends_the_whole_chain() {
    for next in NEXT {
        let mut chain = Chain::new(next).await;
        for protocol in PROTOCOLS {
            let (request, body) = asking(protocol, "never");
            let request = request.header("content-length", body.len());
            let request: Request<bytes::Bytes> = request.body(body.into()).unwrap();
            if protocol.0 != "application/connect+proto" {
                let mut link = chain.hub.dial("test").unwrap();
                link.write_all(head_of_one(&request).as_bytes())
                    .await
                    .unwrap();
                link.write_all(request.body()).await.unwrap();
                chain.alive_are(1).await;
                drop(link);
                chain.alive_are(0).await;
            }
            let link = chain.hub.dial("test").unwrap();
            let (mut requests, connection) = h2::client::handshake(link).await.unwrap();
            let driven = tokio::spawn(connection);
            let (parts, body) = request.into_parts();
            let request = Request::from_parts(parts, ());
            let (answer, mut send) = requests.send_request(request, false).unwrap();
            send.send_data(body, true).unwrap();
            chain.alive_are(1).await;
            send.send_reset(h2::Reason::CANCEL);
            chain.alive_are(0).await;
            drop((answer, requests));
            driven.abort();
        }
    }
}
