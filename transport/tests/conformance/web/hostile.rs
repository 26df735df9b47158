//! Requests that are wrong: each is told so in its own protocol, and the server serves on.

use std::sync::atomic::Ordering;

use dreammesh_core::wkt::Any;
use dreammesh_transport::{Encoding, ServerBuilder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::caller::{BOTH, Heard, Http, post, proto};
use super::connect::packed;
use crate::echo::{Echo, ask};
use crate::grpc_server::caller::{LIST, RECORD, UNARY, flagged, framed};
use crate::media::{Medium, Site};

const BYTES_MAX: u32 = 1_000;

async fn small() -> Site {
    let settle = |server: ServerBuilder| server.max_message_bytes(BYTES_MAX);
    Site::with(Medium::Memory, Echo::default(), settle, |it| it).await
}

async fn is_well(http: Http, site: &Site) {
    let body = proto(&ask("echo"));
    let heard = http
        .ask(site, post(UNARY, "application/proto"), &body)
        .await;
    assert_eq!((heard.status, heard.body), (200, body));
}

/// The code of an error of Connect, wherever the answer has it.
fn code(heard: &Heard) -> String {
    assert!(heard.whole, "{heard:?}");
    let text = String::from_utf8_lossy(&heard.body);
    let (_, rest) = text
        .split_once(r#""code":""#)
        .unwrap_or_else(|| panic!("{heard:?}"));
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_content_type_that_does_not_fit_is_told_which_do() {
    let site = Site::new(Medium::Memory).await;
    for http in BOTH {
        for (path, content_type) in [
            (UNARY, "text/plain"),
            (UNARY, "application/xml"),
            (UNARY, "application/connect+proto"),
            (LIST, "application/json"),
            (LIST, "application/proto"),
            (LIST, "application/connect+xml"),
            (LIST, "application/grpc-web+xml"),
        ] {
            let heard = http.ask(&site, post(path, content_type), "").await;
            assert_eq!(heard.status, 415, "{path} {content_type}");
            let listed = heard.header("accept-post");
            let kind = if path == UNARY {
                "application/proto"
            } else {
                "application/connect+proto"
            };
            assert!(listed.split(", ").any(|it| it == kind), "{listed}");
            // gRPC itself is listed only where it can be spoken.
            let grpc = listed.split(", ").any(|it| it == "application/grpc");
            assert_eq!(grpc, http == Http::Two);
        }
        let nowhere = http
            .ask(&site, post("/api", "application/json"), "{}")
            .await;
        assert_eq!(nowhere.status, 404);
        let nothing = http
            .ask(&site, post("/test.Echo/No", "application/json"), "{}")
            .await;
        assert_eq!(
            (nothing.status, code(&nothing)),
            (501, "unimplemented".into())
        );
        let stream = post("/test.No/No", "application/connect+json");
        let nothing = http.ask(&site, stream, "").await;
        assert_eq!(
            (nothing.status, code(&nothing)),
            (200, "unimplemented".into())
        );
        is_well(http, &site).await;
    }
}

#[tokio::test]
async fn heads_that_are_wrong_are_told_so() {
    let site = Site::new(Medium::Memory).await;
    for http in BOTH {
        for (name, value, said) in [
            ("connect-protocol-version", "2", "invalid_argument"),
            ("connect-timeout-ms", "", "invalid_argument"),
            ("connect-timeout-ms", "12345678901", "invalid_argument"),
            ("connect-timeout-ms", "-1", "invalid_argument"),
            ("connect-timeout-ms", "0", "deadline_exceeded"),
            ("x-bytes-bin", "*", "invalid_argument"),
        ] {
            for (path, content_type) in [
                (UNARY, "application/proto"),
                (LIST, "application/connect+proto"),
            ] {
                let request = post(path, content_type).header(name, value);
                let heard = http.ask(&site, request, "").await;
                assert_eq!(code(&heard), said, "{name}: {value}");
                let is_stream = path == LIST;
                assert_eq!(heard.status == 200, is_stream, "{heard:?}");
            }
        }
        let longest = post(UNARY, "application/proto").header("connect-timeout-ms", "9999999999");
        let heard = http.ask(&site, longest, proto(&ask("remaining"))).await;
        assert_eq!(heard.status, 200);
        let request = post(UNARY, "application/grpc-web").header("grpc-timeout", "soon");
        let heard = http.ask(&site, request, "").await;
        assert_eq!((heard.status, heard.header("grpc-status")), (200, "13"));
        for (content_type, name, hint) in [
            ("application/proto", "content-encoding", "accept-encoding"),
            (
                "application/grpc-web",
                "grpc-encoding",
                "grpc-accept-encoding",
            ),
        ] {
            let request = post(UNARY, content_type).header(name, "br");
            let heard = http.ask(&site, request, "x").await;
            assert_eq!(heard.header(hint), "gzip,deflate,zstd,identity");
        }
        is_well(http, &site).await;
    }
}

#[tokio::test]
async fn json_that_is_none_is_told_where() {
    let site = Site::new(Medium::Memory).await;
    let path = "/grpc.health.v1.Health/Check";
    for http in BOTH {
        for (body, said) in [
            (&b""[..], "at byte 0"),
            (b"{\"service\":}", "at byte 11"),
            (b"{\"service\":1}", "at byte 11"),
            (b"\"a\"", "at byte 0"),
            (b"{} {}", "at byte 3"),
            (b"{\"service\":\"\xff\"}", "no UTF-8 at byte 12"),
        ] {
            let heard = http.ask(&site, post(path, "application/json"), body).await;
            assert_eq!(
                (heard.status, code(&heard)),
                (400, "invalid_argument".into())
            );
            assert!(heard.text().contains(said), "{}", heard.text());
        }
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        let heard = http.ask(&site, post(path, "application/json"), deep).await;
        assert_eq!(
            (heard.status, code(&heard)),
            (400, "invalid_argument".into())
        );
        is_well(http, &site).await;
    }
}

#[tokio::test]
async fn messages_may_be_as_long_as_the_limit() {
    let site = small().await;
    let sized = |bytes: usize| {
        let bare = |value: usize| {
            proto(&Any {
                type_url: "echo".into(),
                value: vec![7; value].into(),
                ..Any::default()
            })
        };
        let sized = bare(bytes - (bare(500).len() - 500));
        assert_eq!(sized.len(), bytes);
        sized
    };
    for http in BOTH {
        for (bytes, status) in [(900, 200), (1_000, 429), (1_001, 429)] {
            // An archive is a little longer than its protobuf, and is held to the same limit.
            let body = sized(bytes);
            let heard = http
                .ask(&site, post(UNARY, "application/proto"), &body)
                .await;
            assert_eq!(heard.status, status, "{bytes}: {heard:?}");
        }
        let over = vec![0; 1_001];
        let heard = http
            .ask(&site, post(UNARY, "application/proto"), &over)
            .await;
        assert!(
            heard.text().contains("more than 1000 bytes"),
            "{}",
            heard.text()
        );
        let at = http
            .ask(&site, post(UNARY, "application/proto"), &over[1..])
            .await;
        assert_eq!(
            code(&at),
            "invalid_argument",
            "it is as long as it may be, and no message"
        );
        let stream = post(LIST, "application/connect+proto");
        let heard = http.ask(&site, stream, flagged(0, &over)).await;
        assert_eq!(code(&heard), "resource_exhausted");
        let web = post(UNARY, "application/grpc-web");
        let heard = http.ask(&site, web, flagged(0, &over)).await;
        assert_eq!(heard.header("grpc-status"), "8");
        is_well(http, &site).await;
    }
}

#[tokio::test]
async fn a_bomb_is_not_inflated() {
    let site = small().await;
    for http in BOTH {
        for encoding in Encoding::ALL {
            let bomb = packed(encoding, &vec![0; 300_000]);
            assert!(bomb.len() < 1_000);
            let request =
                post(UNARY, "application/proto").header("content-encoding", encoding.name());
            let heard = http.ask(&site, request, &bomb).await;
            assert_eq!(
                (heard.status, code(&heard)),
                (429, "resource_exhausted".into())
            );
            let request = post(LIST, "application/connect+proto")
                .header("connect-content-encoding", encoding.name());
            let heard = http.ask(&site, request, flagged(1, &bomb)).await;
            assert_eq!(code(&heard), "resource_exhausted");
            let request =
                post(UNARY, "application/proto").header("content-encoding", encoding.name());
            let heard = http.ask(&site, request, "no such thing").await;
            assert_eq!(code(&heard), "invalid_argument");
        }
        is_well(http, &site).await;
    }
}

#[tokio::test]
async fn frames_that_are_wrong_end_their_call() {
    let site = Site::new(Medium::Memory).await;
    let one = proto(&ask("1"));
    for http in BOTH {
        for (body, said) in [
            (flagged(1, &one), "invalid_argument"),
            (flagged(2, b"{}"), "invalid_argument"),
            (flagged(4, &one), "invalid_argument"),
            (flagged(0x80, b""), "invalid_argument"),
            (flagged(0, &one)[..6].to_vec(), "invalid_argument"),
            (flagged(0, &one)[..3].to_vec(), "invalid_argument"),
            (Vec::new(), "unimplemented"),
            (
                [flagged(0, &one), flagged(0, &one)].concat(),
                "unimplemented",
            ),
        ] {
            let heard = http
                .ask(&site, post(LIST, "application/connect+proto"), &body)
                .await;
            assert_eq!(code(&heard), said, "{body:?}");
            if said == "invalid_argument" {
                let heard = http
                    .ask(&site, post(RECORD, "application/connect+proto"), &body)
                    .await;
                assert_eq!(code(&heard), said, "{body:?}");
            }
            let heard = http
                .ask(&site, post(UNARY, "application/grpc-web"), &body)
                .await;
            let number = if said == "invalid_argument" {
                "13"
            } else {
                "12"
            };
            assert_eq!(heard.header("grpc-status"), number, "{body:?}");
        }
        let text = post(UNARY, "application/grpc-web-text");
        let heard = http.ask(&site, text, framed(&ask("echo"))).await;
        assert_eq!(heard.header("grpc-status"), "13");
        is_well(http, &site).await;
    }
}

#[tokio::test]
async fn neither_is_served_where_that_is_not_wanted() {
    let settle = |server: ServerBuilder| server.web(false);
    let site = Site::with(Medium::Memory, Echo::default(), settle, |it| it).await;
    let settle = |server: ServerBuilder| server.grpc(false);
    let without_grpc = Site::with(Medium::Memory, Echo::default(), settle, |it| it).await;
    for (http, status) in [(Http::One, 404), (Http::Two, 415)] {
        let body = proto(&ask("echo"));
        for content_type in ["application/proto", "application/grpc-web"] {
            let heard = http.ask(&site, post(UNARY, content_type), &body).await;
            assert_eq!(heard.status, status);
        }
        let heard = http
            .ask(&without_grpc, post(UNARY, "application/proto"), &body)
            .await;
        assert_eq!(heard.status, 200);
        let heard = http
            .ask(&without_grpc, post(UNARY, "text/plain"), &body)
            .await;
        assert!(heard.header("accept-post").starts_with("application/json"));
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_said_as_each_protocol_has_it() {
    let site = Site::new(Medium::Memory).await;
    let garbage: &[u8] = &[0xff; 3];
    for http in BOTH {
        let request = post(UNARY, "application/proto");
        let heard = http.ask(&site, request, garbage).await;
        assert_eq!(
            (heard.status, code(&heard)),
            (400, "invalid_argument".into())
        );
        assert!(
            heard
                .text()
                .contains("the protobuf is no google.protobuf.Any")
        );
        for path in [LIST, RECORD] {
            let request = post(path, "application/connect+proto");
            let heard = http.ask(&site, request, flagged(0, garbage)).await;
            assert_eq!(code(&heard), "invalid_argument", "{heard:?}");
        }
        let request = post(UNARY, "application/grpc-web");
        let heard = http.ask(&site, request, flagged(0, garbage)).await;
        assert_eq!(heard.header("grpc-status"), "13");
    }
}

#[tokio::test]
async fn chunks_that_are_none_are_the_fault_of_who_sent_them() {
    let site = Site::new(Medium::Memory).await;
    for (content_type, said) in [
        ("application/proto", "HTTP/1.1 400 "),
        ("application/grpc-web", "\r\ngrpc-status: 13\r\n"),
    ] {
        let mut link = site.hub.dial("test").unwrap();
        let head = format!(
            "POST {UNARY} HTTP/1.1\r\nhost: x\r\ncontent-type: {content_type}\r\n\
             transfer-encoding: chunked\r\n\r\n2\r\nab\r\nno length\r\n"
        );
        link.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = link.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains(said), "{answer}");
        assert!(answer.contains("did not come whole"), "{answer}");
    }
}

#[tokio::test]
async fn messages_are_not_compressed_as_one_body() {
    let site = Site::new(Medium::Memory).await;
    for http in BOTH {
        for (encoding, is_plain) in [("gzip", false), ("x", false), ("Identity", true)] {
            let request = |path, kind| post(path, kind).header("content-encoding", encoding);
            let stream = request(LIST, "application/connect+proto");
            let heard = http.ask(&site, stream, flagged(0, &proto(&ask("1")))).await;
            let refused =
                String::from_utf8_lossy(&heard.body).contains(r#""code":"unimplemented""#);
            assert_eq!(refused, !is_plain, "{heard:?}");
            let web = request(UNARY, "application/grpc-web");
            let heard = http.ask(&site, web, flagged(0, &proto(&ask("echo")))).await;
            let refused = heard.header("grpc-status") == "12";
            assert_eq!(refused, !is_plain, "{heard:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_said_to_be_too_long_is_refused_before_it_comes() {
    let site = small().await;
    for (length, refused) in [(BYTES_MAX, false), (BYTES_MAX + 1, true)] {
        let mut link = site.hub.dial("test").unwrap();
        let head = format!(
            "POST {UNARY} HTTP/1.1\r\nhost: x\r\ncontent-type: application/proto\r\n\
             connect-timeout-ms: 100\r\ncontent-length: {length}\r\n\r\n"
        );
        link.write_all(head.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        link.read_exact(&mut status).await.unwrap();
        // What may come is waited for until its time is over.
        let expected = if refused {
            b"HTTP/1.1 429"
        } else {
            b"HTTP/1.1 504"
        };
        assert_eq!(&status, expected);
    }
}

#[tokio::test]
async fn line_ends_and_nul_in_a_value_reach_no_handler() {
    let site = Site::new(Medium::Memory).await;
    let body = proto(&ask("echo"));
    let length = body.len();
    for value in ["a\rb", "a\nb", "a\0b", "a\x7fb"] {
        let mut link = site.hub.dial("test").unwrap();
        let head = format!(
            "POST {UNARY} HTTP/1.1\r\nhost: x\r\ncontent-type: application/proto\r\n\
             content-length: {length}\r\nx-name: {value}\r\n\r\n"
        );
        link.write_all(&[head.as_bytes(), &body].concat())
            .await
            .unwrap();
        let mut answer = Vec::new();
        let _ = link.read_to_end(&mut answer).await;
        assert!(
            answer.starts_with(b"HTTP/1.1 400 "),
            "{value:?}: {answer:?}"
        );
        is_well(Http::One, &site).await;
    }
    assert_eq!(site.probe.begun.load(Ordering::SeqCst), 4);
}
