//! What a client makes of the answers of servers, right and wrong.

use bytes::Bytes;
use dreammesh_core::call::{Begun, CallError, Code, Initiator};
use dreammesh_transport::Encoding;
use h2::Reason;

use crate::raw::{Call, Site, framed, list, protobuf, trailers, unary};

/// What a call comes to that is answered so.
async fn answered(answer: impl AsyncFnOnce(Call)) -> Result<String, CallError> {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let calling = tokio::spawn(async move { unary(&channel).await });
    let mut peer = site.accept().await;
    answer(peer.call().await).await;
    let answer = calling.await.unwrap()?;
    Ok(answer.view().type_url().to_owned())
}

/// The error of a call whose answer begins right and goes on with this.
async fn goes_on_with(data: Vec<u8>, end: &[(&'static str, &str)]) -> CallError {
    let result = answered(async |mut call: Call| {
        let mut send = call.begin();
        send.send_data(data.into(), false).unwrap();
        send.send_trailers(trailers(end)).unwrap();
    });
    result.await.unwrap_err()
}

const OK: &[(&str, &str)] = &[("grpc-status", "0")];

#[tokio::test]
async fn an_answer_comes_whole_or_in_pieces_of_any_length() {
    for length in [1, 2, 5, 6, 1_000] {
        let result = answered(async move |mut call: Call| {
            let mut send = call.begin();
            let message = framed(0, &protobuf("hello"));
            for piece in message.chunks(length) {
                send.send_data(Bytes::copy_from_slice(piece), false)
                    .unwrap();
            }
            send.send_trailers(trailers(OK)).unwrap();
        });
        assert_eq!(result.await.unwrap(), "hello", "{length}");
    }
}

#[tokio::test]
async fn trailers_alone_say_how_a_call_ended() {
    let error = answered(async |mut call: Call| {
        let message = ("grpc-message", "gone%20%C3%A9");
        call.only(200, &[("grpc-status", "5"), message, ("x-after", "a")]);
    });
    let error = error.await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::NotFound, "gone é"));
    assert_eq!(
        (error.initiator(), error.begun()),
        (Initiator::Peer, Begun::Maybe)
    );
    assert_eq!(error.trailers().text("x-after"), Some("a"));
    // A method with one response has one where it went well.
    let none = answered(async |mut call: Call| call.only(200, OK));
    assert_eq!(none.await.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn answers_of_http_alone_become_statuses() {
    for (status, code) in [
        (400, Code::Internal),
        (401, Code::Unauthenticated),
        (403, Code::PermissionDenied),
        (404, Code::Unimplemented),
        (415, Code::Unknown),
        (429, Code::Unavailable),
        (500, Code::Unknown),
        (502, Code::Unavailable),
        (503, Code::Unavailable),
        (504, Code::Unavailable),
    ] {
        let html = [("content-type", "text/html")];
        let error = answered(async move |mut call: Call| call.only(status, &html));
        let error = error.await.unwrap_err();
        assert_eq!(error.code(), code, "{status}");
        assert!(error.message().contains(&status.to_string()), "{error}");
        // The page that comes with it changes nothing.
        let page = answered(async move |mut call: Call| {
            let response = http::Response::builder().status(status);
            let response = response
                .header("content-type", "text/html")
                .body(())
                .unwrap();
            let mut send = call.respond.send_response(response, false).unwrap();
            let _ = send.send_data(Bytes::from_static(b"<p>no</p>"), true);
        });
        assert_eq!(page.await.unwrap_err().code(), code, "{status}");
    }
    // It is no matter what the headers call themselves.
    let typed = answered(async |mut call: Call| call.only(503, &[]));
    assert_eq!(typed.await.unwrap_err().code(), Code::Unavailable);
    // What gRPC says counts more.
    let both = answered(async |mut call: Call| call.only(503, &[("grpc-status", "9")]));
    assert_eq!(both.await.unwrap_err().code(), Code::FailedPrecondition);
    let page = answered(async |mut call: Call| {
        let _ = call.begin_with(&[("content-type", "text/html")]);
    });
    let error = page.await.unwrap_err();
    assert_eq!(error.code(), Code::Unknown);
    assert!(error.message().contains("text/html"), "{error}");
}

#[tokio::test]
async fn an_answer_that_does_not_say_how_it_ended_is_no_success() {
    let whole = framed(0, &protobuf("hello"));
    let error = goes_on_with(whole.clone(), &[("x-after", "a")]).await;
    assert_eq!(error.code(), Code::Unknown);
    let error = answered(async |mut call: Call| {
        let mut send = call.begin();
        send.send_data(whole.into(), true).unwrap();
    });
    assert_eq!(error.await.unwrap_err().code(), Code::Internal);
}

#[tokio::test]
async fn bad_data_fails_its_call_and_cancels_it() {
    let two = [framed(0, &protobuf("a")), framed(0, &protobuf("b"))].concat();
    let cut = framed(0, &protobuf("hello"))[..6].to_vec();
    for (data, code) in [
        (framed(2, b""), Code::Internal),
        (framed(255, b""), Code::Internal),
        (framed(1, b""), Code::Internal),
        (framed(0, &[0xff]), Code::Internal),
        (cut, Code::Internal),
        (two, Code::Unimplemented),
        (vec![0, 0xff, 0xff, 0xff, 0xff], Code::ResourceExhausted),
        (Vec::new(), Code::Unimplemented),
    ] {
        let error = goes_on_with(data.clone(), OK).await;
        assert_eq!(error.code(), code, "{data:?}: {error}");
        assert_eq!(
            (error.initiator(), error.begun()),
            (Initiator::Library, Begun::Maybe)
        );
    }
    let reset = answered(async |mut call: Call| {
        let mut send = call.begin();
        send.send_data(framed(2, b"").into(), false).unwrap();
        assert_eq!(crate::raw::reset(&mut send).await, Reason::CANCEL);
    });
    assert_eq!(reset.await.unwrap_err().code(), Code::Internal);
}

#[tokio::test]
async fn a_failure_behind_a_broken_message_is_what_the_server_says() {
    let cut = framed(0, &protobuf("hello"))[..6].to_vec();
    let error = goes_on_with(cut, &[("grpc-status", "10")]).await;
    assert_eq!(error.code(), Code::Aborted);
}

#[tokio::test]
async fn a_message_is_bounded_at_the_limit() {
    let of = |length: usize| protobuf(&"x".repeat(length));
    for (length, fits) in [(990, true), (997, true), (998, false)] {
        let site = Site::with(|connector| connector.max_message_bytes(1_000)).await;
        let channel = site.channel.clone();
        let calling = tokio::spawn(async move { list(&channel).await?.next().await });
        let mut call = site.accept().await.call().await;
        let mut send = call.begin();
        assert_eq!(of(length).len() <= 1_000, fits);
        send.send_data(framed(0, &of(length)).into(), false)
            .unwrap();
        send.send_trailers(trailers(OK)).unwrap();
        match calling.await.unwrap() {
            // As an archive it may be larger than the limit, which is then what stops it.
            Ok(_) => assert!(fits, "{length}"),
            Err(error) => assert_eq!(error.code(), Code::ResourceExhausted, "{length}: {error}"),
        }
    }
}

#[tokio::test]
async fn answers_come_in_every_encoding() {
    for encoding in Encoding::ALL {
        let sent = compressed(encoding, &protobuf("hello"));
        let result = answered(async move |mut call: Call| {
            assert_eq!(
                call.header("grpc-accept-encoding"),
                Some("gzip,deflate,zstd,identity")
            );
            let mut send = call.begin_with(&[("grpc-encoding", encoding.name())]);
            send.send_data(framed(1, &sent).into(), false).unwrap();
            send.send_trailers(trailers(OK)).unwrap();
        });
        assert_eq!(result.await.unwrap(), "hello", "{encoding}");
        let bomb = compressed(encoding, &vec![0; 5 * 1024 * 1024]);
        assert!(bomb.len() < 100_000);
        let result = answered(async move |mut call: Call| {
            let mut send = call.begin_with(&[("grpc-encoding", encoding.name())]);
            send.send_data(framed(1, &bomb).into(), false).unwrap();
            send.send_trailers(trailers(OK)).unwrap();
        });
        assert_eq!(
            result.await.unwrap_err().code(),
            Code::ResourceExhausted,
            "{encoding}"
        );
    }
    // One that is not known matters only where something is compressed with it.
    for (flag, code) in [(0, None), (1, Some(Code::Internal))] {
        let result = answered(async move |mut call: Call| {
            let mut send = call.begin_with(&[("grpc-encoding", "snappy")]);
            send.send_data(framed(flag, &protobuf("hello")).into(), false)
                .unwrap();
            send.send_trailers(trailers(OK)).unwrap();
        });
        assert_eq!(result.await.err().map(|error| error.code()), code);
    }
}

#[tokio::test]
async fn resets_become_statuses_and_a_refusal_says_that_nothing_began() {
    for (reason, code, begun) in [
        (Reason::NO_ERROR, Code::Internal, Begun::Maybe),
        (Reason::INTERNAL_ERROR, Code::Internal, Begun::Maybe),
        (Reason::REFUSED_STREAM, Code::Unavailable, Begun::No),
        (Reason::CANCEL, Code::Cancelled, Begun::Maybe),
        (
            Reason::ENHANCE_YOUR_CALM,
            Code::ResourceExhausted,
            Begun::Maybe,
        ),
        (
            Reason::INADEQUATE_SECURITY,
            Code::PermissionDenied,
            Begun::Maybe,
        ),
    ] {
        let error = answered(async move |mut call: Call| call.respond.send_reset(reason));
        let error = error.await.unwrap_err();
        assert_eq!(
            (error.code(), error.begun()),
            (code, begun),
            "{reason:?}: {error}"
        );
        assert_eq!(error.initiator(), Initiator::Peer);
        let late = answered(async move |mut call: Call| {
            let mut send = call.begin();
            send.send_data(framed(0, &protobuf("hello")).into(), false)
                .unwrap();
            send.send_reset(reason);
        });
        assert_eq!(late.await.unwrap_err().code(), code, "{reason:?}");
    }
}

#[tokio::test]
async fn metadata_comes_before_and_after_and_bad_base64_is_an_error() {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let calling = tokio::spawn(async move { unary(&channel).await });
    let mut call = site.accept().await.call().await;
    let mut send = call.begin_with(&[("x-before", "b"), ("x-bytes-bin", "AP8,AQ==")]);
    send.send_data(framed(0, &protobuf("hello")).into(), false)
        .unwrap();
    send.send_trailers(trailers(&[("grpc-status", "0"), ("x-after", "a")]))
        .unwrap();
    let answer = calling.await.unwrap().unwrap();
    assert_eq!(answer.metadata().text("x-before"), Some("b"));
    assert_eq!(
        answer.metadata().binary("x-bytes-bin").unwrap()[..],
        [0, 255]
    );
    assert_eq!(answer.metadata().len(), 3);
    assert_eq!(answer.trailers().text("x-after"), Some("a"));
    let bad = answered(async |mut call: Call| {
        let _ = call.begin_with(&[("x-bytes-bin", "*")]);
    });
    assert_eq!(bad.await.unwrap_err().code(), Code::Internal);
    let error = goes_on_with(framed(0, b""), &[("grpc-status", "0"), ("x-bin", "*")]).await;
    assert_eq!(error.code(), Code::Internal);
    let error = goes_on_with(framed(0, b""), &[("grpc-status", "5"), ("x-bin", "*")]).await;
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test]
async fn headers_beyond_what_is_taken_fail_their_call_alone() {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let calling = tokio::spawn(async move {
        let refused = unary(&channel).await.unwrap_err();
        let neighbour = unary(&channel).await;
        (refused, neighbour.map(drop))
    });
    let mut peer = site.accept().await;
    let mut call = peer.call().await;
    // The peer is told what is taken, so that a server that knows of it would not send this.
    let value = "x".repeat(20 * 1024);
    let _ = call.begin_with(&[("x-before", &value)]);
    peer.call().await.echo().await;
    let (refused, neighbour) = calling.await.unwrap();
    assert!(
        matches!(refused.code(), Code::Internal | Code::ResourceExhausted),
        "{refused}"
    );
    neighbour.unwrap();
}

fn compressed(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let level = flate2::Compression::default();
    match encoding {
        Encoding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Encoding::Deflate => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        _ => zstd::bulk::compress(bytes, 3).unwrap(),
    }
}

#[tokio::test]
async fn a_refusal_of_a_call_that_is_being_answered_does_not_say_that_nothing_began() {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let (hear, heard) = tokio::sync::oneshot::channel();
    let calling = tokio::spawn(async move {
        let mut answers = list(&channel).await.unwrap();
        assert!(answers.next().await.unwrap().is_some());
        hear.send(()).unwrap();
        answers.next().await.map(drop).unwrap_err()
    });
    let mut call = site.accept().await.call().await;
    let mut send = call.begin();
    send.send_data(framed(0, &protobuf("a")).into(), false)
        .unwrap();
    heard.await.unwrap();
    send.send_reset(Reason::REFUSED_STREAM);
    let error = calling.await.unwrap();
    assert_eq!(
        (error.code(), error.begun()),
        (Code::Unavailable, Begun::Maybe)
    );
}
