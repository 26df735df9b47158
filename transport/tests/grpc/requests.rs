//! What a client sends, and that it stops when nobody wants the answer.

use std::time::Duration;

use dreammesh_core::call::{Begun, Code, Compression, Priority, TraceContext};
use dreammesh_core::channel::UnaryCall;
use dreammesh_core::wkt::Any;
use dreammesh_transport::Encoding;
use h2::Reason;

use crate::raw::{Site, UNARY, ask, chat, framed, list, protobuf, reset, trailers, unary};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn all_of_a_call_is_in_its_headers() {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let calling = tokio::spawn(async move {
        let trace = TraceContext::parse(PARENT)
            .unwrap()
            .with_state("a=1")
            .unwrap();
        unary(&channel)
            .metadata("x-name", "value")
            .metadata_bin("x-bytes-bin", &[0, 255][..])
            .timeout(Duration::from_secs(3600))
            .trace(trace)
            .priority(Priority::HIGH)
            .idempotency_key("key")
            .await
    });
    let mut call = site.accept().await.call().await;
    let request = &call.request;
    assert_eq!(request.method(), http::Method::POST);
    assert_eq!(request.uri().path(), "/test.Echo/Unary");
    assert_eq!(request.uri().scheme_str(), Some("http"));
    assert_eq!(call.header("content-type"), Some("application/grpc"));
    assert_eq!(call.header("te"), Some("trailers"));
    assert!(call.header("user-agent").unwrap().starts_with("dreammesh/"));
    assert_eq!(call.header("x-name"), Some("value"));
    assert_eq!(call.header("x-bytes-bin"), Some("AP8"));
    assert_eq!(call.header("dreammesh-priority"), Some("2"));
    assert_eq!(call.header("idempotency-key"), Some("key"));
    assert!(
        call.header("traceparent")
            .unwrap()
            .starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    );
    assert_eq!(call.header("tracestate"), Some("a=1"));
    assert_eq!(call.header("grpc-encoding"), None);
    let timeout = call.header("grpc-timeout").unwrap();
    let left = timeout.strip_suffix('m').unwrap().parse::<u32>().unwrap();
    assert!((1..=3_600_000).contains(&left), "{timeout}");
    assert_eq!(call.body().await, framed(0, &protobuf("x")));
    call.echo_of("done");
    calling.await.unwrap().unwrap();
}

#[tokio::test]
async fn requests_are_compressed_where_that_is_asked_for_and_helps() {
    for encoding in Encoding::ALL {
        let site = Site::with(|connector| connector.compress_grpc(encoding)).await;
        let channel = site.channel.clone();
        let calling = tokio::spawn(async move {
            let (notes, mut answers) = chat(&channel).await.unwrap();
            notes.send(ask(&"x".repeat(1_000))).await.unwrap();
            notes.send(ask("x")).await.unwrap();
            notes.finish();
            answers.next().await
        });
        let mut call = site.accept().await.call().await;
        assert_eq!(call.header("grpc-encoding"), Some(encoding.name()));
        let body = call.body().await;
        let small = framed(0, &protobuf("x"));
        assert_eq!(body[0], 1, "{encoding}");
        assert!(body.len() < 200 && body.ends_with(&small), "{encoding}");
        call.only(200, &[("grpc-status", "0")]);
        assert!(calling.await.unwrap().unwrap().is_none());
    }
}

/// The flags of the messages in a body.
fn flags(mut body: &[u8]) -> Vec<u8> {
    let mut flags = Vec::new();
    while let [flag, length @ ..] = body {
        let (length, rest) = length.split_at(4);
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        flags.push(*flag);
        body = &rest[length..];
    }
    flags
}

#[tokio::test]
async fn callers_decide_of_calls_and_single_messages_whether_they_are_compressed() {
    use Compression::{Auto, Off, On};
    for (configured, of_call, encoding, expected) in [
        (None, Auto, None, [0, 0, 0, 0]),
        (None, Off, None, [0, 0, 0, 0]),
        (None, On, Some("gzip"), [1, 1, 0, 1]),
        (Some(Encoding::Zstd), Auto, Some("zstd"), [1, 1, 0, 0]),
        (Some(Encoding::Zstd), Off, Some("zstd"), [0, 1, 0, 0]),
        (Some(Encoding::Zstd), On, Some("zstd"), [1, 1, 0, 1]),
    ] {
        let site = Site::with(|connector| match configured {
            Some(encoding) => connector.compress_grpc(encoding),
            None => connector,
        });
        let site = site.await;
        let channel = site.channel.clone();
        let calling = tokio::spawn(async move {
            let (notes, mut answers) = chat(&channel).compression(of_call).await.unwrap();
            for (length, how) in [(1_000, Auto), (1, On), (1_000, Off), (1, Auto)] {
                let note = ask(&"x".repeat(length));
                notes.send(note).compression(how).await.unwrap();
            }
            notes.finish();
            assert!(answers.next().await.unwrap().is_none());
            let unary = unary(&channel).compression(of_call);
            unary.await.map(drop)
        });
        let mut peer = site.accept().await;
        let mut call = peer.call().await;
        assert_eq!(call.header("grpc-encoding"), encoding, "{of_call:?}");
        assert_eq!(flags(&call.body().await), expected, "{of_call:?}");
        call.only(200, &[("grpc-status", "0")]);
        let mut call = peer.call().await;
        assert_eq!(call.header("grpc-encoding"), encoding, "{of_call:?}");
        assert_eq!(flags(&call.body().await), expected[3..], "{of_call:?}");
        call.echo_of("done");
        calling.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn callers_see_whether_an_answer_came_compressed() {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let calling = tokio::spawn(async move {
        let one = unary(&channel).await.unwrap().was_compressed();
        let mut items = list(&channel).await.unwrap();
        let mut seen = vec![one, items.was_compressed()];
        while items.next().await.unwrap().is_some() {
            seen.push(items.was_compressed());
        }
        seen
    });
    let mut peer = site.accept().await;
    let zstd = |text: &str| zstd::bulk::compress(&protobuf(text), 1).unwrap();
    for flags in [&[1][..], &[0, 1]] {
        let mut call = peer.call().await;
        let mut send = call.begin_with(&[("grpc-encoding", "zstd")]);
        for flag in flags {
            let message = match flag {
                1 => framed(1, &zstd("x")),
                _ => framed(0, &protobuf("x")),
            };
            send.send_data(message.into(), false).unwrap();
        }
        send.send_trailers(trailers(&[("grpc-status", "0")]))
            .unwrap();
    }
    assert_eq!(calling.await.unwrap(), [true, false, false, true]);
}

#[tokio::test]
async fn dropping_a_call_cancels_its_stream() {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let calling = tokio::spawn(async move { unary(&channel).await });
    let mut peer = site.accept().await;
    let mut call = peer.call().await;
    calling.abort();
    assert_eq!(call.reset().await, Reason::CANCEL);
    // A stream whose answer nobody reads to its end, too.
    let channel = site.channel.clone();
    let calling = tokio::spawn(async move {
        let mut items = list(&channel).await.unwrap();
        items.next().await.unwrap();
    });
    let mut call = peer.call().await;
    let mut send = call.begin();
    send.send_data(framed(0, &protobuf("hello")).into(), false)
        .unwrap();
    assert_eq!(reset(&mut send).await, Reason::CANCEL);
    calling.await.unwrap();
}

#[tokio::test]
async fn a_deadline_ends_a_call_here_and_cancels_it_there() {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let calling = tokio::spawn(async move {
        // With a connection they go out at once, long before they are late.
        unary(&channel).await.unwrap();
        let late = unary(&channel).timeout(Duration::from_millis(300)).await;
        let mut items = list(&channel)
            .timeout(Duration::from_millis(300))
            .await
            .unwrap();
        (late, items.next().await)
    });
    let mut peer = site.accept().await;
    peer.call().await.echo().await;
    let mut call = peer.call().await;
    assert_eq!(call.reset().await, Reason::CANCEL);
    let mut call = peer.call().await;
    let mut send = call.begin();
    assert_eq!(reset(&mut send).await, Reason::CANCEL);
    let (late, item) = calling.await.unwrap();
    for error in [late.unwrap_err(), item.unwrap_err()] {
        assert_eq!(
            (error.code(), error.begun()),
            (Code::DeadlineExceeded, Begun::Maybe)
        );
    }
}

#[tokio::test]
async fn a_server_that_finds_the_deadline_first_changes_nothing() {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let calling = tokio::spawn(async move {
        unary(&channel).await.unwrap();
        let mut items = list(&channel)
            .timeout(Duration::from_millis(300))
            .await
            .unwrap();
        // Nothing of this side runs until the deadline has passed.
        std::thread::sleep(Duration::from_millis(310));
        items.next().await
    });
    let mut peer = site.accept().await;
    peer.call().await.echo().await;
    let mut call = peer.call().await;
    call.respond.send_reset(Reason::CANCEL);
    let error = calling.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_sender_waits_for_the_window_and_learns_how_the_call_ended() {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let calling = tokio::spawn(async move {
        let (notes, answers) = chat(&channel).await.unwrap();
        let mut sent = 0;
        loop {
            let note = Any {
                value: vec![0; 10_000].into(),
                ..ask("")
            };
            match notes.send(note).await {
                Ok(()) => sent += 1,
                Err(error) => return (sent, error, answers),
            }
        }
    });
    let mut call = site.accept().await.call().await;
    // The window of a stream is 65,535 bytes, and nothing of it is given back.
    let body = call.request.body_mut();
    let mut came = 0;
    while came < 65_535 {
        came += body.data().await.unwrap().unwrap().len();
    }
    call.only(200, &[("grpc-status", "8"), ("grpc-message", "enough")]);
    // What was begun and not read goes with it, after the status.
    drop(call);
    let (sent, error, _answers) = calling.await.unwrap();
    assert!((6..=8).contains(&sent), "{sent}");
    assert_eq!(
        (error.code(), error.message()),
        (Code::ResourceExhausted, "enough")
    );
}

#[tokio::test]
async fn an_answer_that_ends_before_the_request_lets_go_of_the_stream() {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let calling = tokio::spawn(async move {
        let (notes, mut answers) = chat(&channel).await.unwrap();
        notes.send(ask("x")).await.unwrap();
        let end = answers.next().await;
        drop((notes, answers));
        end
    });
    let mut call = site.accept().await.call().await;
    call.only(200, &[("grpc-status", "0")]);
    assert!(calling.await.unwrap().unwrap().is_none());
    // The client says that it sends no more, which a reset with this code does.
    let body = call.request.body_mut();
    let end = loop {
        match body.data().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error.reason(),
            None => break None,
        }
    };
    assert!(matches!(end, None | Some(Reason::NO_ERROR)), "{end:?}");
}

#[tokio::test]
async fn an_answer_that_ends_while_the_request_is_stuck_lets_go_of_the_stream() {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let calling = tokio::spawn(async move {
        let request = Any {
            value: vec![0; 100_000].into(),
            ..ask("x")
        };
        UnaryCall::<Any>::new(&channel, &UNARY, request).await
    });
    let mut call = site.accept().await.call().await;
    call.echo_of("done");
    calling.await.unwrap().unwrap();
    // The window of a stream is 65,535 bytes, and nothing of it is given back.
    let body = call.request.body_mut();
    let mut came = 0;
    let end = loop {
        let next = tokio::time::timeout(Duration::from_secs(10), body.data()).await;
        match next.expect("the stream is let go of") {
            Some(Ok(data)) => came += data.len(),
            Some(Err(error)) => break error.reason(),
            None => break None,
        }
    };
    assert!(came <= 65_535, "{came}");
    assert!(matches!(end, None | Some(Reason::NO_ERROR)), "{end:?}");
}
