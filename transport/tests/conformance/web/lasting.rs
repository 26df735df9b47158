//! Calls that last: deadlines, callers that go away, servers that stop, connections used again.

use std::time::Duration;

use bytes::Bytes;
use dreammesh_core::wkt::Any;
use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::caller::{BOTH, Http, head_of_one, heard, post, proto};
use crate::echo::{Echo, ask};
use crate::grpc_server::caller::{CHAT, LIST, UNARY, flagged, framed};
use crate::media::{Medium, Site};

fn request(path: &str, content_type: &str, body: Vec<u8>) -> Request<Bytes> {
    let request = post(path, content_type).header("content-length", body.len());
    request.body(body.into()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_its_deadline() {
    let site = Site::new(Medium::Memory).await;
    for http in BOTH {
        let unary = post(UNARY, "application/proto").header("connect-timeout-ms", "50");
        let heard = http.ask(&site, unary, proto(&ask("never"))).await;
        assert_eq!(heard.status, 504);
        assert!(heard.text().starts_with(r#"{"code":"deadline_exceeded""#));
        site.probe.alive_is(0).await;
        let web = post(UNARY, "application/grpc-web").header("grpc-timeout", "50m");
        let heard = http.ask(&site, web, framed(&ask("never"))).await;
        assert_eq!(heard.header("grpc-status"), "4");
        site.probe.alive_is(0).await;
    }
}

#[tokio::test]
async fn who_goes_away_takes_the_handler_along() {
    let site = Site::new(Medium::Memory).await;
    // Messages of some length, since frames of a few bytes that it does not read end a connection.
    let endless = Any {
        value: vec![7; 5_000].into(),
        ..ask("100000000")
    };
    let stream = flagged(0, &proto(&endless));
    for (path, content_type, body) in [
        (UNARY, "application/proto", proto(&ask("never"))),
        (LIST, "application/connect+proto", stream.clone()),
        (LIST, "application/grpc-web", stream),
    ] {
        let request = request(path, content_type, body);
        let mut link = site.hub.dial("test").unwrap();
        link.write_all(head_of_one(&request).as_bytes())
            .await
            .unwrap();
        link.write_all(request.body()).await.unwrap();
        site.probe.alive_is(1).await;
        drop(link);
        site.probe.alive_is(0).await;
        let link = site.hub.dial("test").unwrap();
        let (mut requests, connection) = h2::client::handshake(link).await.unwrap();
        let driven = tokio::spawn(connection);
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts, ());
        let (answer, mut send) = requests.send_request(request, false).unwrap();
        send.send_data(body, true).unwrap();
        site.probe.alive_is(1).await;
        send.send_reset(h2::Reason::CANCEL);
        site.probe.alive_is(0).await;
        drop((answer, requests));
        driven.abort();
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_ends_its_call() {
    let site = Site::new(Medium::Memory).await;
    let whole = proto(&ask("echo"));
    let request = request(UNARY, "application/proto", whole.clone());
    for cut in 0..whole.len() {
        let mut link = site.hub.dial("test").unwrap();
        link.write_all(head_of_one(&request).as_bytes())
            .await
            .unwrap();
        link.write_all(&whole[..cut]).await.unwrap();
        link.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = link.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{cut}");
    }
    let heard = Http::One
        .ask(&site, post(UNARY, "application/proto"), &whole)
        .await;
    assert_eq!(heard.status, 200);
}

#[tokio::test]
async fn a_connection_of_http_1_carries_one_call_after_the_other() {
    let site = Site::new(Medium::Memory).await;
    let mut link = site.hub.dial("test").unwrap();
    for round in 0..20 {
        let what = ["echo", "fail", "no such thing"][round % 3];
        let request = request(UNARY, "application/proto", proto(&ask(what)));
        link.write_all(head_of_one(&request).as_bytes())
            .await
            .unwrap();
        link.write_all(request.body()).await.unwrap();
        let mut answer = Vec::new();
        let heard = loop {
            link.read_buf(&mut answer).await.unwrap();
            if answer.windows(4).any(|it| it == b"\r\n\r\n") {
                let heard = heard(&answer);
                if heard.whole {
                    break heard;
                }
            }
        };
        let status = [200, 400, 501][round % 3];
        assert_eq!(heard.status, status, "{round}");
    }
}

#[tokio::test]
async fn a_request_that_is_too_long_is_answered_and_its_connection_serves_on() {
    let settle = |server: dreammesh_transport::ServerBuilder| server.max_message_bytes(1_000);
    let site = Site::with(Medium::Memory, Echo::default(), settle, |it| it).await;
    let mut link = site.hub.dial("test").unwrap();
    for (body, status) in [(vec![0; 500_000], "429"), (proto(&ask("echo")), "200")] {
        let request = request(UNARY, "application/proto", body);
        link.write_all(head_of_one(&request).as_bytes())
            .await
            .unwrap();
        link.write_all(request.body()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.windows(4).any(|it| it == b"\r\n\r\n") || !heard(&answer).whole {
            assert!(link.read_buf(&mut answer).await.unwrap() > 0);
        }
        assert!(
            answer.starts_with(format!("HTTP/1.1 {status}").as_bytes()),
            "{status}"
        );
    }
}

#[tokio::test]
async fn both_ways_go_on_at_once_over_http_2() {
    let site = Site::new(Medium::Memory).await;
    let link = site.hub.dial("test").unwrap();
    let (mut requests, connection) = h2::client::handshake(link).await.unwrap();
    let _driven = tokio::spawn(connection);
    let request = post(CHAT, "application/connect+proto").body(()).unwrap();
    let (answer, mut send) = requests.send_request(request, false).unwrap();
    let note = |what: &str| flagged(0, &proto(&ask(what)));
    send.send_data(note("first").into(), false).unwrap();
    let mut receive = answer.await.unwrap().into_body();
    let mut come = Vec::new();
    for what in ["first", "second", "third"] {
        let wanted = note(what);
        while come.len() < wanted.len() {
            come.extend(receive.data().await.unwrap().unwrap());
        }
        assert_eq!(come, wanted);
        come.clear();
        if what != "third" {
            let next = if what == "first" { "second" } else { "third" };
            send.send_data(note(next).into(), false).unwrap();
        }
    }
    send.send_data(Bytes::new(), true).unwrap();
    let mut end = Vec::new();
    while let Some(data) = receive.data().await {
        end.extend(data.unwrap());
    }
    assert_eq!(end, flagged(2, b"{}"));
}

/// Makes a call, stops the server while its handler runs, and hands out the answer.
async fn stopped(http: Http, what: &str, meanwhile: impl FnOnce(&Site)) -> (u16, String) {
    let settle = |server: dreammesh_transport::ServerBuilder| {
        server.drain_period(Duration::from_millis(200))
    };
    let mut site = Site::with(Medium::Memory, Echo::default(), settle, |it| it).await;
    let stop = site.stop.take().unwrap();
    let asking = http.ask(&site, post(UNARY, "application/proto"), proto(&ask(what)));
    let stopping = async {
        site.probe.alive_is(1).await;
        stop.send(()).unwrap();
        meanwhile(&site);
    };
    let (heard, ()) = tokio::join!(asking, stopping);
    (heard.status, heard.text().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_lets_calls_finish() {
    for http in BOTH {
        let (status, _) = stopped(http, "gate", |site| site.probe.gate.notify_one()).await;
        assert_eq!(status, 200, "{http:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_outlasts_its_server_is_told_to_go_elsewhere() {
    for http in BOTH {
        let (status, said) = stopped(http, "never", |_| {}).await;
        assert_eq!(status, 503, "{http:?}: {said}");
        assert!(said.starts_with(r#"{"code":"unavailable""#), "{said}");
    }
}
