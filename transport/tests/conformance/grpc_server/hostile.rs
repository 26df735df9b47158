//! Requests that are not as they should be, none of which harms another.

use dreammesh_core::codec::Protobuf;
use dreammesh_transport::Encoding;

use super::caller::{CHAT, Caller, LIST, RECORD, UNARY, flagged, framed};
use crate::echo::ask;
use crate::media::{Medium, Site};
use crate::web::connect::packed;

/// INTERNAL, RESOURCE_EXHAUSTED and UNIMPLEMENTED.
const INTERNAL: u32 = 13;
const EXHAUSTED: u32 = 8;
const UNIMPLEMENTED: u32 = 12;

#[tokio::test]
async fn a_flag_that_is_not_known_ends_the_call_alone() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let message = ask("echo").to_protobuf().unwrap();
    for path in [UNARY, LIST, RECORD, CHAT] {
        for flag in 2..=255 {
            let answered = caller.call(path, &[], flagged(flag, &message)).await;
            assert_eq!(answered.status(), INTERNAL, "{path} {flag}");
        }
        assert!(caller.is_well().await);
    }
}

#[tokio::test]
async fn compression_that_is_not_as_said_ends_the_call_alone() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let message = ask("echo").to_protobuf().unwrap();
    for path in [UNARY, RECORD, CHAT] {
        let none = caller.call(path, &[], flagged(1, &message)).await;
        assert_eq!(none.status(), INTERNAL, "{path}");
        let identity = [("grpc-encoding", "identity")];
        let none = caller.call(path, &identity, flagged(1, &message)).await;
        assert_eq!(none.status(), INTERNAL, "{path}");
        let unknown = [("grpc-encoding", "snappy")];
        let answered = caller.call(path, &unknown, flagged(1, &message)).await;
        assert_eq!(answered.status(), UNIMPLEMENTED, "{path}");
        let accepted = &answered.trailers["grpc-accept-encoding"];
        assert_eq!(accepted, "gzip,deflate,zstd,identity");
        for encoding in ["gzip", "deflate", "zstd"] {
            let headers = [("grpc-encoding", encoding)];
            let damaged = caller.call(path, &headers, flagged(1, &message)).await;
            assert_eq!(damaged.status(), INTERNAL, "{path} {encoding}");
        }
    }
    assert!(caller.is_well().await);
}

#[tokio::test]
async fn another_number_of_requests_than_one_is_unimplemented() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let two = [framed(&ask("echo")), framed(&ask("echo"))].concat();
    for path in [UNARY, LIST] {
        for body in [Vec::new(), two.clone()] {
            let answered = caller.call(path, &[], body).await;
            assert_eq!(answered.status(), UNIMPLEMENTED, "{path}");
        }
        let mut going = caller.begin(path, &[]).await;
        going.send(framed(&ask("echo")), false);
        assert!(caller.is_well().await);
        going.send(framed(&ask("echo")), true);
        assert_eq!(going.end().await.status(), UNIMPLEMENTED, "{path}");
    }
}

#[tokio::test]
async fn metadata_beyond_its_bound_in_a_short_list_of_headers_is_refused() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    // 430 entries of a byte, each with its name and 32 bytes beside it, and one of 7 or 8 bytes.
    let many = "AA,".repeat(430);
    assert_eq!(430 * (5 + 1 + 32) + (5 + 7 + 32), 16 * 1024);
    for (last, status) in [("AAAAAAAAAA", 0), ("AAAAAAAAAAA", EXHAUSTED)] {
        let value = format!("{many}{last}");
        let headers = [("x-bin", &*value)];
        let answered = caller.call(UNARY, &headers, framed(&ask("echo"))).await;
        assert_eq!((answered.http, answered.status()), (200, status), "{last}");
    }
    assert!(caller.is_well().await);
}

#[tokio::test]
async fn a_message_that_is_not_whole_or_none_is_internal() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let whole = framed(&ask("echo"));
    for path in [UNARY, LIST, RECORD, CHAT] {
        for cut in [1, 4, 5, whole.len() - 1] {
            let answered = caller.call(path, &[], whole[..cut].to_vec()).await;
            assert_eq!(answered.status(), INTERNAL, "{path} {cut}");
        }
        let answered = caller.call(path, &[], flagged(0, &[0xff; 9])).await;
        assert_eq!(answered.status(), INTERNAL, "{path}");
    }
    assert!(caller.is_well().await);
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_by_its_prefix() {
    let limit = 1000;
    let server = |it: dreammesh_transport::ServerBuilder| it.max_message_bytes(limit);
    let site = Site::with(Medium::Memory, crate::echo::Echo::default(), server, |it| {
        it
    })
    .await;
    let caller = Caller::new(&site).await;
    for path in [UNARY, LIST, RECORD, CHAT] {
        for length in [limit + 1, u32::MAX] {
            let mut going = caller.begin(path, &[]).await;
            going.send([&[0], &length.to_be_bytes()[..]].concat(), false);
            let answered = going.end().await;
            assert_eq!(answered.status(), EXHAUSTED, "{path}");
            let said = format!("a message of {length} bytes exceeds the limit of 1000");
            assert_eq!(answered.said(), said);
        }
    }
    assert!(caller.is_well().await);
}

#[tokio::test]
async fn a_message_may_be_as_long_as_the_limit() {
    let limit = 1000;
    let server = |it: dreammesh_transport::ServerBuilder| it.max_message_bytes(limit);
    let echo = crate::echo::Echo::default();
    let site = Site::with(Medium::Memory, echo, server, |it| it).await;
    let caller = Caller::new(&site).await;
    let last = ask("echo").to_protobuf().unwrap();
    for (length, status) in [(limit, 0), (limit + 1, EXHAUSTED)] {
        // The same field again takes the place of the first one, so that it is long on its way alone.
        let first = vec![b'x'; length as usize - last.len() - 3];
        let [low, high] = [first.len() & 0x7f | 0x80, first.len() >> 7];
        let message = [&[0x0a, low as u8, high as u8], &first[..], &last].concat();
        assert_eq!(message.len(), length as usize);
        for path in [UNARY, CHAT] {
            let answered = caller.call(path, &[], flagged(0, &message)).await;
            assert_eq!(answered.status(), status, "{path} {length}");
            if status == 0 {
                assert_eq!(answered.anys(), [ask("echo")], "{path}");
            }
        }
    }
}

#[tokio::test]
async fn what_comes_to_more_than_the_limit_is_not_decompressed() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    // 64 MiB of nothing, where the limit is 4.
    let zeros = vec![0; 64 << 20];
    for encoding in Encoding::ALL {
        let bomb = packed(encoding, &zeros);
        assert!(bomb.len() < 4 << 20);
        for path in [UNARY, LIST, RECORD, CHAT] {
            let headers = [("grpc-encoding", encoding.name())];
            let answered = caller.call(path, &headers, flagged(1, &bomb)).await;
            assert_eq!(answered.status(), EXHAUSTED, "{path} {encoding}");
        }
    }
    assert!(caller.is_well().await);
}

#[tokio::test]
async fn headers_that_make_no_sense_end_the_call_alone() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    for (name, value) in [
        ("grpc-timeout", "123456789S"),
        ("grpc-timeout", "-1S"),
        ("grpc-timeout", ""),
        ("grpc-timeout", "1"),
        ("grpc-timeout", "1X"),
        ("x-bytes-bin", "A"),
        ("x-bytes-bin", "****"),
    ] {
        let answered = caller
            .call(UNARY, &[(name, value)], framed(&ask("echo")))
            .await;
        assert_eq!(answered.status(), INTERNAL, "{name}: {value}");
        assert!(answered.trailers_only);
    }
    assert!(caller.is_well().await);
}

#[tokio::test]
async fn a_content_type_that_is_not_grpc_is_told_so() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    for (path, content_type, status) in [
        (UNARY, "text/plain", 415),
        (UNARY, "application/grpcx", 415),
        (UNARY, "application/xml", 415),
        // It is Connect, and what follows is no JSON.
        (UNARY, "application/json", 400),
        ("/test.Echo/Nothing", "text/plain", 404),
        (UNARY, "application/grpc+json", 200),
    ] {
        let mut going = caller.begin(path, &[("content-type", content_type)]).await;
        going.send(framed(&ask("echo")), true);
        let (http, head) = going.head().await;
        assert_eq!(*http, status, "{content_type}");
        if *http == 200 {
            assert_eq!(head["grpc-status"], "12");
        }
    }
    assert!(caller.is_well().await);
}
