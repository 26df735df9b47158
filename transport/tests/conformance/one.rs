//! Connections of HTTP/1: when they end, and when they do not.

use std::time::Duration;

use dreammesh_core::codec::Protobuf as _;
use dreammesh_core::wkt::Any;
use dreammesh_transport::link::BoxLink;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::echo::ask;
use crate::media::{Medium, Site};

const FOUND: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// A call of Connect with that content type, whose body is so long.
fn head(path: &str, content_type: &str, length: usize) -> String {
    format!(
        "POST /test.Echo/{path} HTTP/1.1\r\nhost: x\r\ncontent-type: {content_type}\r\n\
        content-length: {length}\r\n\r\n"
    )
}

fn unary(what: &str) -> Vec<u8> {
    let body = ask(what).to_protobuf().unwrap();
    [
        head("Unary", "application/proto", body.len()).as_bytes(),
        &body,
    ]
    .concat()
}

/// A call of Connect that asks for so many messages with that much in each.
fn list(count: u32, bytes: usize) -> Vec<u8> {
    let body = Any {
        type_url: count.to_string(),
        value: vec![1; bytes].into(),
        ..Any::default()
    };
    let body = body.to_protobuf().unwrap();
    let prefix = u32::try_from(body.len()).unwrap().to_be_bytes();
    let head = head("List", "application/connect+proto", body.len() + 5);
    [head.as_bytes(), &[0], &prefix, &body].concat()
}

async fn dial(site: &Site, first: impl AsRef<[u8]>) -> BoxLink {
    let mut link = site.hub.dial("test").unwrap();
    link.write_all(first.as_ref()).await.unwrap();
    link
}

/// Reads until that has come.
async fn until(link: &mut BoxLink, end: &str) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        let count = link.read_buf(&mut answer).await.unwrap();
        assert_ne!(count, 0, "{}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads to the end of the connection, which may come without warning, and says when that was.
async fn rest(link: &mut BoxLink) -> (String, Duration) {
    let begun = Instant::now();
    let mut answer = Vec::new();
    let _ = link.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (answer, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_is_missed_whatever_it_sent_before() {
    let site = Site::new(Medium::Memory).await;
    let large = vec![b'\n'; 16 << 10];
    for behind in [&b""[..], b"\r\n", FOUND.as_bytes(), &large] {
        let link = dial(&site, [&unary("never"), behind].concat()).await;
        site.probe.alive_is(1).await;
        let begun = Instant::now();
        drop(link);
        site.probe.alive_is(0).await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "{}", behind.len());
        let mut link = dial(&site, unary("never")).await;
        site.probe.alive_is(1).await;
        link.write_all(behind).await.unwrap();
        drop(link);
        site.probe.alive_is(0).await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "{}", behind.len());
    }
}

#[tokio::test(start_paused = true)]
async fn who_sends_much_behind_a_request_is_cut_off() {
    let site = Site::new(Medium::Memory).await;
    let mut link = dial(&site, unary("never")).await;
    site.probe.alive_is(1).await;
    // What is kept of it, and what `hyper` may have taken.
    let much = FOUND.repeat(40 * 1024 / FOUND.len());
    let _ = link.write_all(much.as_bytes()).await;
    let (answer, lasted) = rest(&mut link).await;
    assert_eq!((answer.as_str(), lasted), ("", Duration::ZERO));
    site.probe.alive_is(0).await;
}

#[tokio::test(start_paused = true)]
async fn requests_that_follow_each_other_are_answered_in_turn() {
    let site = Site::new(Medium::Memory).await;
    let two = [&unary("gate"), FOUND.as_bytes(), &unary("echo")].concat();
    let mut link = dial(&site, two).await;
    site.probe.alive_is(1).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    site.probe.gate.notify_waiters();
    let answer = until(&mut link, "echo").await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 404").count(), 1, "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_draining_server_answers_what_comes_at_that_moment() {
    for (used, late) in [(true, true), (true, false), (false, true)] {
        let mut site = Site::new(Medium::Memory).await;
        let first = if used { FOUND } else { "GET / HTT" };
        let mut link = dial(&site, first).await;
        if used {
            until(&mut link, "server.\n").await;
        } else {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let begun = Instant::now();
        site.stop();
        if late {
            tokio::time::sleep(Duration::from_millis(999)).await;
            let second = if used { FOUND } else { &FOUND[9..] };
            link.write_all(second.as_bytes()).await.unwrap();
        }
        let (answer, _) = rest(&mut link).await;
        let lasted = begun.elapsed().as_millis();
        assert_eq!(
            answer.matches("connection: close").count(),
            usize::from(late)
        );
        assert_eq!(lasted, if late { 999 } else { 1_000 });
        (&mut site.serving).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_draining_server_ends_connections_with_their_calls() {
    let mut site = Site::new(Medium::Memory).await;
    let mut link = dial(&site, unary("gate")).await;
    site.probe.alive_is(1).await;
    site.stop();
    tokio::time::sleep(Duration::from_secs(2)).await;
    site.probe.gate.notify_waiters();
    let (answer, _) = rest(&mut link).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    (&mut site.serving).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_be_idle_for_as_long_as_one_of_http_2() {
    let site = Site::new(Medium::Memory).await;
    let mut link = dial(&site, FOUND).await;
    until(&mut link, "server.\n").await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(299)).await;
        link.write_all(FOUND.as_bytes()).await.unwrap();
        until(&mut link, "server.\n").await;
        link.write_all(&unary("echo")).await.unwrap();
        until(&mut link, "echo").await;
    }
    let (_, lasted) = rest(&mut link).await;
    assert!(
        (300_000..300_100).contains(&lasted.as_millis()),
        "{lasted:?}"
    );
    // The head that follows is not to be idled away.
    let mut link = dial(&site, FOUND).await;
    until(&mut link, "server.\n").await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    link.write_all(b"G").await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    link.write_all(b"E").await.unwrap();
    let (_, lasted) = rest(&mut link).await;
    assert!((1_000..1_100).contains(&lasted.as_millis()), "{lasted:?}");
}

#[tokio::test(start_paused = true)]
async fn who_reads_a_stream_may_pause() {
    let site = Site::new(Medium::Memory).await;
    let mut link = dial(&site, list(100, 16 << 10)).await;
    site.probe.alive_is(1).await;
    tokio::time::sleep(Duration::from_secs(299)).await;
    assert!(until(&mut link, "0\r\n\r\n").await.len() > 100 * (16 << 10));
    // One that reads no more holds nothing for ever.
    let _link = dial(&site, list(100, 16 << 10)).await;
    site.probe.alive_is(1).await;
    let begun = Instant::now();
    site.probe.alive_is(0).await;
    let lasted = begun.elapsed().as_millis();
    assert!((300_000..300_100).contains(&lasted), "{lasted}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_stops_coming_is_given_up() {
    let site = Site::new(Medium::Memory).await;
    let chunked = head("Unary", "application/proto", 0);
    let chunked = chunked.replace("content-length: 0", "transfer-encoding: chunked");
    for (what, request, seconds) in [
        ("length", head("Unary", "application/proto", 9), 30),
        ("chunked", chunked + "8\r\n", 300),
    ] {
        let mut link = dial(&site, request).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        // Each byte gives it more time, though not the last one is there.
        link.write_all(b"12345678").await.unwrap();
        let (answer, lasted) = rest(&mut link).await;
        assert!(answer.starts_with("HTTP/1.1 504 "), "{what}: {answer}");
        assert!(answer.contains("deadline_exceeded"), "{what}: {answer}");
        let bound = seconds * 1_000..seconds * 1_000 + 100;
        assert!(bound.contains(&lasted.as_millis()), "{what}: {lasted:?}");
    }
}
