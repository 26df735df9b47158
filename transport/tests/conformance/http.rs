//! HTTP on the port of sessions: answers to whoever came by mistake, and how long he may stay.

use std::time::Duration;

use bytes::Bytes;
use dreammesh_transport::ServerBuilder;
use dreammesh_transport::link::BoxLink;
use h2::client::SendRequest;
use http::{HeaderMap, Method, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::echo::{Echo, ask, call};
use crate::media::{Medium, Site};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Sends text and reads until the server closes or `count` answers are there.
async fn exchange(site: &Site, text: &str, count: usize) -> String {
    let mut link = site.hub.dial("test").unwrap();
    link.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while link.read_buf(&mut answer).await.unwrap_or(0) > 0 {
        let text = String::from_utf8_lossy(&answer);
        if text.matches("HTTP/1.1 ").count() == count && text.ends_with('\n') {
            break;
        }
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn http_1_gets_a_proper_answer() {
    let site = Site::new(Medium::Memory).await;
    let found = exchange(&site, "GET /a HTTP/1.1\r\nhost: x\r\n\r\n", 1).await;
    assert!(found.starts_with("HTTP/1.1 404 Not Found\r\n"), "{found}");
    assert!(found.contains("content-type: text/plain"), "{found}");
    assert!(found.contains("content-length: "), "{found}");
    assert!(found.ends_with("this is a DreamMesh server.\n"), "{found}");
    let tunnel = "POST /dreammesh.Tunnel/Session HTTP/1.1\r\nhost: x\r\n\
        content-type: application/dreammesh-session\r\ncontent-length: 3\r\n\r\nabc";
    let found = exchange(&site, tunnel, 1).await;
    assert!(found.starts_with("HTTP/1.1 426 "), "{found}");
    assert!(found.contains("upgrade: h2c\r\n"), "{found}");
    let two =
        "PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\naGET / HTTP/1.1\r\nhost: x\r\n\r\n";
    let found = exchange(&site, two, 2).await;
    assert_eq!(found.matches("HTTP/1.1 404").count(), 2, "{found}");
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
}

#[tokio::test]
async fn a_head_of_http_1_is_bounded() {
    let site = Site::new(Medium::Memory).await;
    let head = |bytes: usize| {
        let begin = "GET / HTTP/1.1\r\nhost: x\r\na: ";
        format!("{begin}{}\r\n\r\n", "a".repeat(bytes - begin.len() - 4))
    };
    let found = exchange(&site, &head(15 << 10), 1).await;
    assert!(found.starts_with("HTTP/1.1 404 "), "{found}");
    let found = exchange(&site, &head(17 << 10), 2).await;
    assert!(found.starts_with("HTTP/1.1 431 "), "{found}");
}

/// A connection of HTTP/2 to the server, driven until it is over.
async fn two(site: &Site) -> (SendRequest<Bytes>, tokio::task::JoinHandle<()>) {
    let link = site.hub.dial("test").unwrap();
    let (requests, connection) = h2::client::handshake(link).await.unwrap();
    // Which side closes first is for neither to say.
    let driven = tokio::spawn(async move { drop(connection.await) });
    (requests, driven)
}

async fn request(
    requests: &mut SendRequest<Bytes>,
    method: Method,
    path: &str,
    content_type: &str,
) -> (Response<()>, String, Option<HeaderMap>) {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://x{path}"))
        .header("content-type", content_type);
    let (answer, mut body) = requests
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    body.send_data(Bytes::from_static(b"something"), true)
        .unwrap();
    let (head, mut body) = answer.await.unwrap().into_parts();
    let mut text = Vec::new();
    while let Some(bytes) = body.data().await {
        text.extend_from_slice(&bytes.unwrap());
    }
    let trailers = body.trailers().await.unwrap();
    (
        Response::from_parts(head, ()),
        String::from_utf8(text).unwrap(),
        trailers,
    )
}

#[tokio::test]
async fn http_2_gets_a_proper_answer() {
    let site = Site::new(Medium::Memory).await;
    let (mut requests, _driven) = two(&site).await;
    let tunnel = "/dreammesh.Tunnel/Session";
    for (method, path, content_type, status, hint) in [
        (Method::GET, "/", "text/html", 404, None),
        (Method::GET, tunnel, "text/html", 405, Some("allow")),
        (Method::POST, tunnel, "text/html", 415, Some("accept")),
    ] {
        let (head, text, _) = request(&mut requests, method, path, content_type).await;
        assert_eq!(head.status(), status);
        assert!(hint.is_none_or(|hint| head.headers().contains_key(hint)));
        assert_eq!(head.headers()["content-length"], text.len().to_string());
        assert!(text.contains("DreamMesh"), "{text}");
    }
    let grpc = request(&mut requests, Method::POST, "/a.B/C", "application/grpc").await;
    let (head, text, trailers) = grpc;
    assert_eq!((head.status().as_u16(), text.as_str()), (200, ""));
    assert_eq!(head.headers()["grpc-status"], "12");
    assert_eq!(head.headers()["content-type"], "application/grpc");
    assert_eq!(trailers, None);
}

#[tokio::test]
async fn http_may_be_turned_off() {
    let server = |it: ServerBuilder| it.http(false);
    let site = Site::with(Medium::Memory, Echo::default(), server, |it| it).await;
    for opening in [PREFACE, b"GET / HTTP/1.1\r\n\r\n"] {
        let mut link = site.hub.dial("test").unwrap();
        link.write_all(opening).await.unwrap();
        assert!(link.read_u8().await.unwrap() >= 0x80, "a session's preface");
    }
}

/// Sends what begins a connection of HTTP/2 and waits until the server closes it.
async fn outlasts(site: &Site, opening: &[u8]) -> Duration {
    let mut link: BoxLink = site.hub.dial("test").unwrap();
    let begun = tokio::time::Instant::now();
    link.write_all(opening).await.unwrap();
    let mut answer = Vec::new();
    let _ = link.read_to_end(&mut answer).await;
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_begin_or_go_on_is_closed_in_time() {
    let bound = Duration::from_secs(3);
    let server = |it: ServerBuilder| it.hello_timeout(bound).keepalive(bound * 20, bound);
    let site = Site::with(Medium::Memory, Echo::default(), server, |it| it).await;
    let headers = &[0, 0, 9, 1, 0, 0, 0, 0, 1, 0x82];
    let block = &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82];
    for (what, opening) in [
        ("half a preface", PREFACE[..12].to_vec()),
        ("no SETTINGS", PREFACE.to_vec()),
        ("half of SETTINGS", [PREFACE, &SETTINGS[..4]].concat()),
        ("half of HEADERS", [PREFACE, SETTINGS, headers].concat()),
        ("half a header block", [PREFACE, SETTINGS, block].concat()),
        ("half a request of HTTP/1", b"GET / HTT".to_vec()),
    ] {
        assert_eq!(outlasts(&site, &opening).await, bound, "{what}");
    }
    // One that began well is asked for a sign of life first, and this one gives none.
    let begun = [PREFACE, SETTINGS].concat();
    assert_eq!(outlasts(&site, &begun).await, bound * 21);
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_http_2_lives_while_it_is_used_and_ends_when_it_is_idle() {
    // Nothing but its own idleness has it look at the time.
    let server = |it: ServerBuilder| it.keepalive(Duration::MAX, Duration::MAX);
    let site = Site::with(Medium::Memory, Echo::default(), server, |it| it).await;
    let (mut requests, driven) = two(&site).await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_secs(250)).await;
        let (head, _, _) = request(&mut requests, Method::GET, "/", "text/html").await;
        assert_eq!(head.status(), 404);
    }
    let begun = tokio::time::Instant::now();
    driven.await.unwrap();
    // Without being told to go it would be cut a second later.
    let lived = begun.elapsed().as_millis();
    assert!((300_000..300_100).contains(&lived), "{lived}");
}

#[tokio::test(start_paused = true)]
async fn a_draining_server_tells_http_to_go() {
    for silent in [false, true] {
        let mut site = Site::new(Medium::Memory).await;
        let (mut requests, driven) = two(&site).await;
        let (head, _, _) = request(&mut requests, Method::GET, "/", "text/html").await;
        assert_eq!(head.status(), 404);
        if silent {
            driven.abort();
        }
        let begun = tokio::time::Instant::now();
        site.stop();
        (&mut site.serving).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO, "{silent}");
    }
}
