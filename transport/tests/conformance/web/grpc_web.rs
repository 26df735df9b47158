//! gRPC-Web as it should be, in exact bytes.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dreammesh_core::codec::Protobuf as _;
use dreammesh_core::wkt::Any;

use super::caller::{BOTH, Http, messages, post, proto};
use crate::echo::ask;
use crate::grpc_server::caller::{CHAT, LIST, RECORD, UNARY, framed};
use crate::media::{Medium, Site};

#[tokio::test]
async fn a_call_ends_with_trailers_in_its_body() {
    let site = Site::new(Medium::Memory).await;
    for http in BOTH {
        for content_type in ["application/grpc-web", "application/grpc-web+proto"] {
            let request = post(UNARY, content_type).header("x-grpc-web", "1");
            let heard = http.ask(&site, request, framed(&ask("echo"))).await;
            assert_eq!(heard.status, 200);
            assert_eq!(heard.header("content-type"), "application/grpc-web+proto");
            let answer = [
                (0, proto(&ask("echo"))),
                (0x80, b"grpc-status: 0\r\n".to_vec()),
            ];
            assert_eq!(heard.messages(), answer);
        }
        let request = post(LIST, "application/grpc-web+proto");
        let heard = http.ask(&site, request, framed(&ask("3"))).await;
        assert_eq!(heard.header("x-count"), "3");
        let messages = heard.messages();
        let trailers = b"grpc-status: 0\r\nx-sent: 3\r\n".to_vec();
        assert_eq!(
            (messages.len(), messages.last()),
            (4, Some(&(0x80, trailers)))
        );
    }
}

#[tokio::test]
async fn a_call_that_fails_at_once_is_trailers_only() {
    let site = Site::new(Medium::Memory).await;
    for http in BOTH {
        let request = post(UNARY, "application/grpc-web").header("x-name", "a");
        let heard = http.ask(&site, request, framed(&ask("fail"))).await;
        assert_eq!(
            (heard.status, &heard.body[..], heard.whole),
            (200, &b""[..], true)
        );
        assert_eq!(heard.header("grpc-status"), "9");
        assert_eq!(heard.header("grpc-message"), "as asked");
        assert!(!heard.header("grpc-status-details-bin").is_empty());
        assert_eq!(heard.header("x-after"), "a");
        let request = post("/test.Echo/Nothing", "application/grpc-web");
        let heard = http.ask(&site, request, framed(&ask("fail"))).await;
        assert_eq!((heard.status, heard.header("grpc-status")), (200, "12"));
    }
}

#[tokio::test]
async fn bodies_may_be_base64() {
    let site = Site::new(Medium::Memory).await;
    for http in BOTH {
        let request = post(LIST, "application/grpc-web-text");
        let asked = BASE64_STANDARD.encode(framed(&ask("2")));
        let heard = http.ask(&site, request, asked).await;
        assert_eq!(
            heard.header("content-type"),
            "application/grpc-web-text+proto"
        );
        // Pieces are padded each by itself.
        let mut body = Vec::new();
        for piece in heard.text().split_inclusive('=').collect::<Vec<_>>() {
            match piece {
                "=" => {}
                piece => {
                    let bare = piece.trim_end_matches('=');
                    let engine = base64::prelude::BASE64_STANDARD_NO_PAD;
                    body.extend(engine.decode(bare).unwrap());
                }
            }
        }
        let messages = messages(&body);
        assert_eq!(messages.len(), 3);
        assert_eq!(Any::from_protobuf(&messages[1].1).unwrap().type_url, "1");
    }
}

#[tokio::test]
async fn requests_may_stream_and_both_need_http_2() {
    let site = Site::new(Medium::Memory).await;
    for http in BOTH {
        let notes = [framed(&ask("a")), framed(&ask("b"))].concat();
        let heard = http
            .ask(&site, post(RECORD, "application/grpc-web"), &notes)
            .await;
        let messages = heard.messages();
        assert_eq!(
            Any::from_protobuf(&messages[0].1).unwrap().type_url,
            "2 of 0"
        );
        let heard = http
            .ask(&site, post(CHAT, "application/grpc-web"), &notes)
            .await;
        match http {
            Http::One => assert_eq!(heard.status, 505),
            Http::Two => assert_eq!(heard.messages().len(), 3),
        }
    }
}
