//! Messages that are compressed, as is configured, as the caller does it, and as handlers decide.

use std::io::{Read, Write};

use dreammesh_core::codec::Protobuf;
use dreammesh_core::wkt::Any;
use dreammesh_transport::{Encoding, ServerBuilder};

use super::caller::{Answered, CHAT, Caller, LIST, UNARY, flagged, framed};
use crate::echo::{Echo, ask};
use crate::media::{Medium, Site};

fn of(what: &str, bytes: usize) -> Any {
    Any {
        value: vec![7; bytes].into(),
        ..ask(what)
    }
}

/// What a message is when it is compressed with gzip.
fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap()
}

fn gunzip(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(message);
    decoder.read_to_end(&mut out).unwrap();
    out
}

#[tokio::test]
async fn a_request_that_is_compressed_is_answered_in_kind() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let large = of("echo", 10_000);
    let plain = large.to_protobuf().unwrap();
    let takes = ("grpc-accept-encoding", "zstd, gzip");
    let gzipped = [("grpc-encoding", "gzip"), takes];
    let answered = caller
        .call(UNARY, &gzipped, flagged(1, &gzip(&plain)))
        .await;
    assert_eq!(
        (answered.status(), &answered.head["grpc-encoding"]),
        (0, &"gzip".parse().unwrap())
    );
    let (flag, message) = &answered.messages[0];
    assert_eq!((*flag, gunzip(message)), (1, plain.clone()));
    // A message without the flag is taken as it is, and a small one is answered as it is.
    let small = caller.call(UNARY, &gzipped, framed(&ask("echo"))).await;
    assert_eq!(small.anys(), [ask("echo")]);
    // Whoever takes no gzip gets none.
    let one_way = [("grpc-encoding", "gzip")];
    let answered = caller
        .call(UNARY, &one_way, flagged(1, &gzip(&plain)))
        .await;
    assert_eq!(answered.anys(), std::slice::from_ref(&large));
    assert!(!answered.head.contains_key("grpc-encoding"));
    // Nothing is compressed that nobody asked for.
    assert_eq!(
        caller.call(UNARY, &[takes], framed(&large)).await.anys(),
        [large]
    );
}

#[tokio::test]
async fn answers_are_compressed_as_configured_for_those_who_take_it() {
    let server = |it: ServerBuilder| it.grpc_compression(Encoding::Gzip);
    let site = Site::with(Medium::Memory, Echo::default(), server, |it| it).await;
    let caller = Caller::new(&site).await;
    let takes = [("grpc-accept-encoding", "gzip")];
    let request = framed(&of("3", 10_000));
    let answered = caller.call(LIST, &takes, request.clone()).await;
    assert_eq!(answered.status(), 0);
    for (index, (flag, message)) in answered.messages.iter().enumerate() {
        let expected = of(&index.to_string(), 10_000).to_protobuf().unwrap();
        assert_eq!((*flag, gunzip(message)), (1, expected));
    }
    assert_eq!(caller.call(LIST, &[], request).await.anys().len(), 3);
}

/// What the answer says that it is compressed with, and which of its messages are.
fn told(answered: &Answered) -> (Option<&str>, Vec<bool>) {
    assert_eq!(answered.status(), 0);
    let encoding = answered.head.get("grpc-encoding");
    let flags = answered.messages.iter().map(|(flag, _)| *flag == 1);
    (encoding.map(|it| it.to_str().unwrap()), flags.collect())
}

#[tokio::test]
async fn handlers_see_whether_a_request_came_compressed() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let encoding = [("grpc-encoding", "gzip")];
    let message = ask("compressed").to_protobuf().unwrap();
    for (flag, message, seen) in [(1, gzip(&message), "true"), (0, message.clone(), "false")] {
        let body = flagged(flag, &message);
        let answered = caller.call(UNARY, &encoding, body.clone()).await;
        assert_eq!(answered.anys(), [ask(seen)]);
        let both = [
            body,
            flagged(1, &gzip(&ask("compressed").to_protobuf().unwrap())),
        ]
        .concat();
        let answered = caller.call(CHAT, &encoding, both).await;
        assert_eq!(answered.anys(), [ask(seen), ask("true")]);
    }
}

#[tokio::test]
async fn handlers_have_single_answers_compressed_or_not() {
    let configured = |it: ServerBuilder| it.grpc_compression(Encoding::Deflate);
    for (usual, server) in [
        (None, (|it| it) as fn(ServerBuilder) -> ServerBuilder),
        (Some("deflate"), configured),
    ] {
        let site = Site::with(Medium::Memory, Echo::default(), server, |it| it).await;
        let caller = Caller::new(&site).await;
        for (takes, asked) in [
            ("gzip", Some("gzip")),
            ("deflate,gzip", usual.or(Some("gzip"))),
            ("identity,br", None),
        ] {
            let usual = usual.filter(|it| takes.contains(it));
            let takes = [("grpc-accept-encoding", takes)];
            // However short it is, and even if that makes it longer.
            let on = caller.call(UNARY, &takes, framed(&ask("on"))).await;
            assert_eq!(told(&on), (asked, vec![asked.is_some()]));
            let off = caller.call(UNARY, &takes, framed(&of("off", 9_000))).await;
            assert_eq!(told(&off), (None, vec![false]));
            let echo = caller.call(UNARY, &takes, framed(&of("echo", 9_000))).await;
            assert_eq!(told(&echo), (usual, vec![usual.is_some()]));
        }
    }
}

#[tokio::test]
async fn handlers_have_single_messages_of_a_stream_compressed_or_not() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let takes = [("grpc-accept-encoding", "gzip")];
    let chat = |first, second| {
        let notes = [first, second, "on", "off"];
        notes.map(|what| framed(&of(what, 9_000))).concat()
    };
    for (notes, encoding, flags) in [
        (["on", "off"], Some("gzip"), [true, false, true, false]),
        (["off", "on"], Some("gzip"), [false, true, true, false]),
        (["on", "none"], Some("gzip"), [true, false, true, false]),
        // The head has gone when it is asked for.
        (["none", "on"], None, [false; 4]),
    ] {
        let answered = caller.call(CHAT, &takes, chat(notes[0], notes[1])).await;
        assert_eq!(told(&answered), (encoding, flags.to_vec()), "{notes:?}");
        let answered = caller.call(CHAT, &[], chat(notes[0], notes[1])).await;
        assert_eq!(told(&answered), (None, vec![false; 4]), "{notes:?}");
    }
    // Metadata before the messages leaves it open.
    let answered = caller.call(LIST, &takes, framed(&of("2 on", 9_000))).await;
    assert_eq!(told(&answered), (Some("gzip"), vec![true; 2]));
    let answered = caller.call(LIST, &takes, framed(&of("2", 9_000))).await;
    assert_eq!(told(&answered).1, [false; 2]);
}
