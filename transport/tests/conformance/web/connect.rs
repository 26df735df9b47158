//! Connect as it should be, in exact bytes.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use dreammesh_core::codec::Protobuf as _;
use dreammesh_core::wkt::Any;
use dreammesh_transport::Encoding;
use http::Request;

use super::caller::{BOTH, Http, post, proto};
use crate::echo::{Echo, ask};
use crate::grpc_server::caller::{CHAT, LIST, RECORD, UNARY, flagged};
use crate::media::{Medium, Site};

const HEALTH: &str = "/grpc.health.v1.Health";

/// Bytes compressed by whom everybody trusts with it.
pub(crate) fn packed(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let level = flate2::Compression::new(6);
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
        Encoding::Zstd => zstd::bulk::compress(bytes, 3).unwrap(),
        other => panic!("{other} is not known here"),
    }
}

/// The same bytes again.
fn unpacked(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    let mut out = Vec::new();
    match encoding {
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
        "deflate" => flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut out),
        "zstd" => zstd::stream::copy_decode(bytes, &mut out).map(|()| 0),
        other => panic!("{other}"),
    }
    .unwrap();
    out
}

fn list(count: &str, value: &'static [u8]) -> Vec<u8> {
    proto(&Any {
        type_url: count.to_owned(),
        value: value.into(),
        ..Any::default()
    })
}

#[tokio::test]
async fn a_unary_call_is_a_body_each_way() {
    let site = Site::new(Medium::Memory).await;
    for http in BOTH {
        let body = proto(&ask("echo"));
        let heard = http
            .ask(&site, post(UNARY, "application/proto"), &body)
            .await;
        assert_eq!((heard.status, &heard.body), (200, &body), "{http:?}");
        assert_eq!(heard.header("content-type"), "application/proto");
        assert_eq!(heard.header("content-length"), body.len().to_string());
        // An empty message is an empty body, and no request of Connect need say that it is one.
        let heard = http.ask(&site, post(UNARY, "application/proto"), "").await;
        assert_eq!(heard.text(), r#"{"code":"unimplemented","message":"no "}"#);
    }
}

#[tokio::test]
async fn messages_may_be_json() {
    let site = Site::new(Medium::Memory).await;
    for http in BOTH {
        let check = post(
            &format!("{HEALTH}/Check"),
            "application/json; charset=utf-8",
        )
        .header("connect-protocol-version", "1");
        let heard = http
            .ask(&site, check, r#"{"service": "test.Echo", "new": [1]}"#)
            .await;
        assert_eq!(
            (heard.status, heard.text()),
            (200, r#"{"status":"SERVING"}"#)
        );
        assert_eq!(heard.header("content-type"), "application/json");
        let check = post(&format!("{HEALTH}/Check"), "application/json");
        let heard = http.ask(&site, check, r#"{"service": "none"}"#).await;
        assert_eq!(heard.status, 404);
        assert!(
            heard
                .text()
                .starts_with(r#"{"code":"not_found","message":"#)
        );
    }
}

#[tokio::test]
async fn a_message_in_json_may_hold_another_that_is_known() {
    let site = Site::new(Medium::Memory).await;
    for http in BOTH {
        for (held, status) in [
            (r#"google.protobuf.StringValue", "value": "a""#, 501),
            (r#"grpc.health.v1.HealthCheckRequest", "service": "a""#, 501),
            (r#"a.Stranger""#, 400),
        ] {
            let text = format!(r#"{{"@type": "type.googleapis.com/{held}}}"#);
            let heard = http
                .ask(&site, post(UNARY, "application/json"), &text)
                .await;
            // The handler has read it, and does nothing for messages of that type.
            assert_eq!(heard.status, status, "{text}: {}", heard.text());
        }
    }
}

#[tokio::test]
async fn an_error_is_a_status_and_json() {
    let site = Site::new(Medium::Memory).await;
    for http in BOTH {
        let request = post(UNARY, "application/proto").header("x-name", "a");
        let heard = http.ask(&site, request, proto(&ask("fail"))).await;
        assert_eq!(heard.status, 400);
        assert_eq!(heard.header("content-type"), "application/json");
        assert_eq!(heard.header("trailer-x-after"), "a");
        let detail = BASE64_STANDARD_NO_PAD.encode("detail");
        let error = r#"{"code":"failed_precondition","message":"as asked","details":"#;
        let error = format!(r#"{error}[{{"type":"test.Detail","value":"{detail}"}}]}}"#);
        assert_eq!(heard.text(), error);
        let panic = http
            .ask(
                &site,
                post(UNARY, "application/proto"),
                proto(&ask("panic")),
            )
            .await;
        assert_eq!(panic.status, 500);
    }
}

#[tokio::test]
async fn metadata_goes_before_and_trailers_have_a_name_of_theirs() {
    let site = Site::new(Medium::Memory).await;
    for http in BOTH {
        let request = post(UNARY, "application/proto")
            .header("x-name", "a b")
            .header("x-bytes-bin", "AQI=");
        let heard = http.ask(&site, request, proto(&ask("metadata"))).await;
        assert_eq!(heard.header("x-name"), "a b");
        assert_eq!(heard.header("trailer-x-after"), "a b");
        assert_eq!(heard.header("trailer-x-bytes-bin"), "AQI");
    }
}

#[tokio::test]
async fn a_method_without_side_effects_can_be_asked_in_a_query() {
    let site = Site::new(Medium::Memory).await;
    let message = BASE64_URL_SAFE_NO_PAD.encode(proto(&ask("echo")));
    for http in BOTH {
        let get = |query: &str| Request::get(format!("http://x/test.Echo/Query?{query}"));
        let asked = get(&format!(
            "connect=v1&base64=1&encoding=proto&message={message}&x=y"
        ));
        let heard = http.ask(&site, asked, "").await;
        assert_eq!((heard.status, heard.body), (200, proto(&ask("echo"))));
        assert_eq!(heard.headers["content-type"], "application/proto");
        let packed = packed(Encoding::Gzip, &proto(&ask("echo")));
        let packed = BASE64_URL_SAFE_NO_PAD.encode(packed);
        let asked = format!("encoding=proto&compression=gzip&base64=1&message={packed}");
        let heard = http.ask(&site, get(&asked), "").await;
        assert_eq!((heard.status, heard.body), (200, proto(&ask("echo"))));
        for (query, status) in [
            ("message=a&base64=1", 415),
            ("encoding=xml&message=", 415),
            ("encoding=proto", 400),
            ("encoding=proto&message=*&base64=1", 400),
            ("encoding=proto&message=%zz", 400),
            ("encoding=proto&message=&connect=v2", 400),
            ("encoding=proto&message=&compression=br", 501),
            ("encoding=json&message=%7B%22", 400),
        ] {
            let heard = http.ask(&site, get(query), "").await;
            assert_eq!(heard.status, status, "{query}: {heard:?}");
        }
        // Of one that may have some, nothing is begun.
        let asked = Request::get(format!("http://x{UNARY}?encoding=proto&message="));
        let heard = http.ask(&site, asked, "").await;
        assert_eq!((heard.status, heard.header("allow")), (405, "POST"));
        let deleted = Request::delete("http://x/test.Echo/Query");
        let heard = http.ask(&site, deleted, "").await;
        assert_eq!((heard.status, heard.header("allow")), (405, "GET, POST"));
    }
}

#[tokio::test]
async fn a_stream_is_messages_and_how_it_ended() {
    let site = Site::new(Medium::Memory).await;
    for http in BOTH {
        let asked = post(LIST, "application/connect+proto");
        let heard = http.ask(&site, asked, flagged(0, &list("2", b"x"))).await;
        assert_eq!((heard.status, heard.header("x-count")), (200, "2"));
        assert_eq!(heard.header("content-type"), "application/connect+proto");
        let [first, second, end] = &heard.messages()[..] else {
            panic!("{heard:?}")
        };
        assert_eq!(Any::from_protobuf(&first.1).unwrap().type_url, "0");
        assert_eq!((first.0, second.0), (0, 0));
        assert_eq!(end, &(2, br#"{"metadata":{"x-sent":["2"]}}"#.to_vec()));
        let asked = post(LIST, "application/connect+proto").header("x-name", "a");
        let heard = http.ask(&site, asked, flagged(0, &list("fail", b""))).await;
        let [(2, end)] = &heard.messages()[..] else {
            panic!("{heard:?}")
        };
        let end = str::from_utf8(end).unwrap();
        assert!(end.starts_with(r#"{"error":{"code":"failed_precondition","message":"as asked""#));
        assert!(end.ends_with(r#""metadata":{"x-after":["a"]}}"#), "{end}");
        assert_eq!(heard.status, 200);
    }
}

#[tokio::test]
async fn a_stream_may_be_json() {
    let site = Site::new(Medium::Memory).await;
    let asked = post(&format!("{HEALTH}/Watch"), "application/connect+json")
        .header("connect-timeout-ms", "20");
    let heard = Http::Two.ask(&site, asked, flagged(0, b"{}")).await;
    let [(0, first), (2, end)] = &heard.messages()[..] else {
        panic!("{heard:?}")
    };
    assert_eq!(str::from_utf8(first).unwrap(), r#"{"status":"SERVING"}"#);
    let end = str::from_utf8(end).unwrap();
    assert!(end.contains(r#"{"code":"deadline_exceeded""#), "{end}");
}

#[tokio::test]
async fn requests_may_stream_and_both_need_http_2() {
    let site = Site::new(Medium::Memory).await;
    for http in BOTH {
        let points = [flagged(0, &list("", b"ab")), flagged(0, &list("", b"c"))].concat();
        let heard = http
            .ask(&site, post(RECORD, "application/connect+proto"), points)
            .await;
        let messages = heard.messages();
        assert_eq!(
            Any::from_protobuf(&messages[0].1).unwrap().type_url,
            "2 of 3"
        );
        assert_eq!(messages[1], (2, b"{}".to_vec()));
        let notes = [flagged(0, &list("a", b"")), flagged(0, &list("b", b""))].concat();
        let heard = http
            .ask(&site, post(CHAT, "application/connect+proto"), notes)
            .await;
        if http == Http::One {
            assert_eq!(heard.status, 505);
            continue;
        }
        assert_eq!(heard.messages().len(), 3);
    }
}

#[tokio::test]
async fn bodies_and_messages_may_be_compressed() {
    let site = Site::new(Medium::Memory).await;
    let large = list("echo", &[7; 5_000]);
    for http in BOTH {
        for encoding in Encoding::ALL {
            let request =
                post(UNARY, "application/proto").header("content-encoding", encoding.name());
            let heard = http.ask(&site, request, packed(encoding, &large)).await;
            // It is answered in kind, since nothing was said of what is taken.
            assert_eq!(heard.header("content-encoding"), encoding.name());
            assert_eq!(unpacked(encoding.name(), &heard.body), large);
            let request = post(UNARY, "application/proto")
                .header("content-encoding", encoding.name())
                .header("accept-encoding", "br, identity");
            let heard = http.ask(&site, request, packed(encoding, &large)).await;
            assert_eq!(
                (heard.header("content-encoding"), &heard.body),
                ("", &large)
            );
            let request = post(LIST, "application/connect+proto")
                .header("connect-content-encoding", encoding.name())
                .header("connect-accept-encoding", encoding.name());
            let asked = flagged(1, &packed(encoding, &list("1", &[7; 5_000])));
            let heard = http.ask(&site, request, asked).await;
            assert_eq!(heard.header("connect-content-encoding"), encoding.name());
            let messages = heard.messages();
            assert_eq!(messages[0].0, 1);
            assert!(messages[0].1.len() < 1_000);
        }
    }
}

#[tokio::test]
async fn a_server_that_compresses_asks_what_its_caller_takes() {
    let settle =
        |server: dreammesh_transport::ServerBuilder| server.grpc_compression(Encoding::Zstd);
    let site = Site::with(Medium::Memory, Echo::default(), settle, |it| it).await;
    let large = list("echo", &[7; 5_000]);
    for http in BOTH {
        for (accepted, encoding) in [("gzip, zstd", "zstd"), ("gzip", ""), ("zstd;q=0", "")] {
            let request = post(UNARY, "application/proto").header("accept-encoding", accepted);
            let heard = http.ask(&site, request, &large).await;
            assert_eq!(heard.header("content-encoding"), encoding, "{accepted}");
        }
    }
}
