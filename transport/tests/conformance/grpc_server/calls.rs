//! Calls as they should be: all four kinds, what goes with them, and how they end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use dreammesh_core::call::Code;
use dreammesh_core::wkt::Any;
use dreammesh_transport::{Connector, ServerBuilder};

use super::caller::{CHAT, Caller, LIST, RECORD, UNARY, framed};
use crate::echo::{Echo, ask, call};
use crate::media::{Medium, Site};

fn of(what: &str, bytes: usize) -> Any {
    Any {
        type_url: what.to_owned(),
        value: vec![1; bytes].into(),
        ..Any::default()
    }
}

#[tokio::test]
async fn a_call_with_one_request_and_one_response_is_answered() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    for content_type in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc;a=b",
    ] {
        let headers = [("content-type", content_type)];
        let answered = caller.call(UNARY, &headers, framed(&ask("echo"))).await;
        assert_eq!((answered.http, answered.status()), (200, 0));
        assert_eq!(answered.head["content-type"], "application/grpc");
        assert!(!answered.head.contains_key("grpc-status"));
        assert_eq!(answered.anys(), [ask("echo")]);
        assert!(!answered.trailers_only);
    }
    // The same port carries sessions.
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
}

#[tokio::test]
async fn a_request_may_come_in_any_pieces() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let body = framed(&of("echo", 100));
    for cut in 0..=body.len() {
        let mut going = caller.begin(UNARY, &[]).await;
        going.send(body[..cut].to_vec(), false);
        if cut % 3 == 0 {
            // What is sent next comes in a read of its own.
            assert!(caller.is_well().await);
        }
        going.send(body[cut..].to_vec(), cut % 2 == 0);
        if cut % 2 != 0 {
            going.send("", true);
        }
        assert_eq!(going.end().await.anys(), [of("echo", 100)], "{cut}");
    }
}

#[tokio::test]
async fn large_messages_go_both_ways() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let large = of("echo", 3 << 20);
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(caller.call(UNARY, &[], framed(&large)));
    }
    for call in calls {
        let answered = call.await;
        assert_eq!(answered.status(), 0);
        assert!(answered.anys() == std::slice::from_ref(&large));
    }
}

#[tokio::test]
async fn many_responses_come_with_metadata_before_and_after_them() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    for count in [0, 1, 100] {
        let request = framed(&of(&count.to_string(), 1000));
        let answered = caller.call(LIST, &[], request).await;
        assert_eq!(answered.status(), 0);
        assert_eq!(answered.head["x-count"], count.to_string());
        assert_eq!(answered.trailers["x-sent"], count.to_string());
        let expected: Vec<_> = (0..count).map(|it| of(&it.to_string(), 1000)).collect();
        assert_eq!(answered.anys(), expected);
    }
}

#[tokio::test]
async fn many_requests_are_answered_once() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    for count in [0, 1, 100] {
        let mut going = caller.begin(RECORD, &[]).await;
        for _ in 0..count {
            going.send(framed(&of("", 10)), false);
        }
        going.send("", true);
        let said = format!("{count} of {}", count * 10);
        assert_eq!(going.end().await.anys(), [ask(&said)]);
    }
}

#[tokio::test]
async fn both_sides_may_talk_in_turn() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let mut going = caller.begin(CHAT, &[]).await;
    for turn in 0..20 {
        going.send(framed(&of(&turn.to_string(), 10)), false);
        assert_eq!(going.any().await, of(&turn.to_string(), 10));
    }
    going.send("", true);
    assert_eq!(going.end().await.status(), 0);
}

#[tokio::test]
async fn metadata_goes_both_ways() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    for bytes in ["AAH/", "AAH_", "AP8BAg==", "AP8BAg"] {
        let headers = [("x-name", "a b"), ("x-bytes-bin", bytes)];
        let answered = caller.call(UNARY, &headers, framed(&ask("metadata"))).await;
        if bytes.contains('_') {
            // That is the alphabet of URLs.
            assert_eq!(answered.status(), 13);
            continue;
        }
        assert_eq!(answered.status(), 0);
        assert_eq!(answered.head["x-name"], "a b");
        assert_eq!(answered.trailers["x-after"], "a b");
        assert_eq!(
            answered.trailers["x-bytes-bin"],
            bytes.trim_end_matches('=')
        );
    }
}

#[tokio::test]
async fn a_failure_has_a_code_a_message_details_and_trailers() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    for path in [UNARY, LIST] {
        let answered = caller
            .call(path, &[("x-name", "n")], framed(&ask("fail")))
            .await;
        assert_eq!((answered.http, answered.status()), (200, 9), "{path}");
        assert!(answered.trailers_only);
        assert_eq!(answered.said(), "as asked");
        assert_eq!(answered.trailers["x-after"], "n");
        assert!(answered.trailers.contains_key("grpc-status-details-bin"));
    }
    let panicked = caller.call(UNARY, &[], framed(&ask("panic"))).await;
    assert_eq!(panicked.status(), 13);
    let message = caller.call(UNARY, &[], framed(&ask("é%\n"))).await;
    assert_eq!((message.status(), message.said()), (12, "no %C3%A9%25%0A"));
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_by_its_deadline() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let begun = tokio::time::Instant::now();
    let headers = [("grpc-timeout", "1500m")];
    let answered = caller.call(UNARY, &headers, framed(&ask("never"))).await;
    assert_eq!(answered.status(), 4);
    assert!(begun.elapsed() >= Duration::from_millis(1500));
    assert!(begun.elapsed() < Duration::from_secs(2));
    site.probe.alive_is(0).await;
    let answered = caller
        .call(UNARY, &[("grpc-timeout", "0n")], framed(&ask("echo")))
        .await;
    assert_eq!(answered.status(), 4);
    for (timeout, left) in [("99999999H", "some"), ("5S", "some")] {
        let headers = [("grpc-timeout", timeout)];
        let answered = caller
            .call(UNARY, &headers, framed(&ask("remaining")))
            .await;
        assert_eq!(answered.anys(), [ask(left)], "{timeout}");
    }
    // The longest there is holds a timer as well as any.
    let headers = [("grpc-timeout", "99999999H")];
    let mut going = caller.begin(UNARY, &headers).await;
    going.send(framed(&ask("gate")), true);
    site.probe.alive_is(1).await;
    site.probe.gate.notify_one();
    assert_eq!(going.end().await.status(), 0);
}

#[tokio::test]
async fn a_call_that_is_reset_drops_its_handler() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    for path in [UNARY, LIST, CHAT] {
        let mut going = caller.begin(path, &[]).await;
        let what = match path {
            UNARY => ask("never"),
            LIST => of("100000", 100_000),
            _ => ask("stop reading"),
        };
        going.send(framed(&what), path != CHAT);
        site.probe.alive_is(1).await;
        going.send.send_reset(h2::Reason::CANCEL);
        site.probe.alive_is(0).await;
    }
    // So does one whose caller is gone with its connection.
    let mut going = caller.begin(UNARY, &[]).await;
    going.send(framed(&ask("never")), true);
    site.probe.alive_is(1).await;
    caller.driven.abort();
    site.probe.alive_is(0).await;
}

#[tokio::test]
async fn attempt_trace_and_the_rest_reach_the_handler() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let headers = [("grpc-previous-rpc-attempts", "3")];
    let answered = caller.call(UNARY, &headers, framed(&ask("attempt"))).await;
    assert_eq!(answered.anys(), [ask("3")]);
}

#[tokio::test]
async fn a_method_or_service_that_is_not_there_is_unimplemented() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    for (path, said) in [
        ("/test.Echo/Nothing", "no method /test.Echo/Nothing"),
        ("/test.Nothing/Unary", "no service for /test.Nothing/Unary"),
        ("/", "\"/\" is not a path of service and method"),
    ] {
        let answered = caller.call(path, &[], framed(&ask("echo"))).await;
        assert_eq!((answered.http, answered.status()), (200, 12));
        assert_eq!(answered.said(), said);
        assert!(answered.trailers_only);
    }
    assert!(caller.is_well().await);
}

#[tokio::test]
async fn grpc_may_be_turned_off() {
    let server = |it: ServerBuilder| it.grpc(false);
    let site = Site::with(Medium::Memory, Echo::default(), server, |it| it).await;
    let caller = Caller::new(&site).await;
    let answered = caller.call(UNARY, &[], framed(&ask("echo"))).await;
    assert_eq!((answered.http, answered.status()), (200, 12));
    assert_eq!(answered.said(), "this server does not speak gRPC");
}

#[tokio::test(start_paused = true)]
async fn a_draining_server_lets_calls_finish_and_then_ends_them() {
    for finishes in [true, false] {
        let drain = Duration::from_secs(7);
        let server = |it: ServerBuilder| it.drain_period(drain);
        let mut site = Site::with(Medium::Memory, Echo::default(), server, |it| it).await;
        let caller = Caller::new(&site).await;
        let mut unary = caller.begin(UNARY, &[]).await;
        unary.send(framed(&ask("gate")), true);
        let mut chat = caller.begin(CHAT, &[]).await;
        chat.send(framed(&ask("one")), false);
        assert_eq!(chat.any().await, ask("one"));
        site.probe.alive_is(1).await;
        let begun = tokio::time::Instant::now();
        site.stop();
        // It goes on while the server drains.
        tokio::time::sleep(Duration::from_secs(2)).await;
        chat.send(framed(&ask("two")), false);
        assert_eq!(chat.any().await, ask("two"));
        if finishes {
            site.probe.gate.notify_one();
            chat.send("", true);
        }
        let (unary, chat) = (unary.end().await, chat.end().await);
        let stopped = (&mut site.serving).await.unwrap();
        if finishes {
            assert_eq!((unary.status(), chat.status()), (0, 0));
            assert_eq!(stopped.calls_ended, 0);
            assert!(begun.elapsed() < Duration::from_secs(3));
        } else {
            assert_eq!((unary.status(), chat.status()), (14, 14));
            assert!(chat.said().contains("drain period"), "{}", chat.said());
            assert_eq!(stopped.calls_ended, 2);
            assert_eq!(begun.elapsed().as_secs(), 7);
        }
        assert_eq!(site.probe.alive.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_never_began_are_refused_when_the_drain_period_is_over() {
    let drain = Duration::from_secs(7);
    let server = |it: ServerBuilder| it.drain_period(drain);
    let mut site = Site::with(Medium::Memory, Echo::default(), server, |it| it).await;
    let caller = Caller::new(&site).await;
    assert!(caller.is_well().await);
    // Its request does not come.
    let going = caller.begin(UNARY, &[]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    site.stop();
    let begun = tokio::time::Instant::now();
    assert_eq!(going.reset().await, Some(h2::Reason::REFUSED_STREAM));
    assert_eq!(begun.elapsed().as_secs(), 7);
    let stopped = (&mut site.serving).await.unwrap();
    assert_eq!(stopped.calls_ended, 0);
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_on_a_unix_socket_is_called_by_plain_grpc() {
    let site = Site::new(Medium::Unix).await;
    let target = site.bound.replace("unix://", "grpc+unix://");
    let channel = site.connector().connect(&target).await.unwrap();
    let answer = call(&channel, &ask("echo")).await.unwrap();
    assert_eq!(answer.view().type_url(), "echo");
    let mut items = crate::echo::list(&channel, 3, 100_000).await.unwrap();
    let mut count = 0;
    while items.next().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 3);
}

#[tokio::test]
async fn a_server_in_memory_is_called_by_plain_grpc() {
    let site = Site::new(Medium::Memory).await;
    let connector = || Connector::new().memory(&site.hub);
    let channel = connector().connect("grpc+memory://test").await.unwrap();
    let answer = call(&channel, &ask("echo")).await.unwrap();
    assert_eq!(answer.view().type_url(), "echo");
    assert_eq!(*channel.connections()[0].opened, [("grpc+memory", 1)]);
    let nobody = connector().connect_lazy("grpc+memory://nobody").unwrap();
    let refused = call(&nobody, &ask("echo")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
}
