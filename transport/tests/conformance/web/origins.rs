//! Scripts of other origins.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{Method, Request};

use super::caller::{BOTH, post, proto};
use crate::echo::{Echo, ask};
use crate::grpc_server::caller::{LIST, UNARY, framed};
use crate::media::{Medium, Site};

async fn site(origins: &'static [&'static str]) -> Site {
    let settle = move |server: dreammesh_transport::ServerBuilder| {
        server.browser_origins(origins.iter().copied())
    };
    Site::with(Medium::Memory, Echo::default(), settle, |it| it).await
}

fn preflight(origin: &str) -> http::request::Builder {
    Request::builder()
        .method(Method::OPTIONS)
        .uri(format!("http://x{UNARY}"))
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,x-name")
}

#[tokio::test]
async fn those_that_were_named_may_call_and_read() {
    let site = site(&["https://shop.example"]).await;
    for http in BOTH {
        let told = http.ask(&site, preflight("https://shop.example"), "").await;
        assert_eq!(told.status, 204);
        assert_eq!(
            told.header("access-control-allow-origin"),
            "https://shop.example"
        );
        assert_eq!(told.header("access-control-allow-methods"), "GET, POST");
        assert_eq!(
            told.header("access-control-allow-headers"),
            "content-type,x-name"
        );
        assert_eq!(told.header("access-control-max-age"), "7200");
        let request = |content_type| {
            let request = post(UNARY, content_type).header("origin", "https://shop.example");
            request.header("x-name", "a").header("x-bytes-bin", "AQ")
        };
        let asked = proto(&ask("metadata"));
        let heard = http.ask(&site, request("application/proto"), asked).await;
        assert_eq!(
            heard.header("access-control-allow-origin"),
            "https://shop.example"
        );
        assert_eq!(heard.header("vary"), "origin");
        let exposed: Vec<_> = heard
            .header("access-control-expose-headers")
            .split(", ")
            .collect();
        for name in ["x-name", "trailer-x-after", "trailer-x-bytes-bin"] {
            assert!(exposed.contains(&name), "{exposed:?}");
        }
        // What is wrong with a call can be read as well.
        let heard = http.ask(&site, request("application/xml"), "").await;
        assert_eq!(heard.status, 415);
        assert_eq!(
            heard.header("access-control-allow-origin"),
            "https://shop.example"
        );
    }
}

#[tokio::test]
async fn calls_of_every_kind_can_be_read() {
    const ORIGIN: &str = "https://shop.example";
    let site = site(&[ORIGIN]).await;
    let message = BASE64_URL_SAFE_NO_PAD.encode(proto(&ask("echo")));
    let get = format!("http://x/test.Echo/Query?encoding=proto&base64=1&message={message}");
    for http in BOTH {
        for (request, body, exposed) in [
            (
                post(LIST, "application/connect+proto"),
                framed(&ask("1")),
                "x-count",
            ),
            (
                post(LIST, "application/grpc-web"),
                framed(&ask("1")),
                "x-count",
            ),
            // What fails at once is in the headers alone.
            (
                post(UNARY, "application/grpc-web"),
                framed(&ask("fail")),
                "grpc-status-details-bin",
            ),
            (
                post(UNARY, "application/proto"),
                proto(&ask("fail")),
                "content-type",
            ),
            (Request::get(&get), Vec::new(), "content-type"),
        ] {
            let heard = http
                .ask(&site, request.header("origin", ORIGIN), body)
                .await;
            let allowed = heard.header("access-control-allow-origin");
            assert_eq!(allowed, ORIGIN, "{heard:?}");
            let named = heard.header("access-control-expose-headers");
            assert!(named.split(", ").any(|it| it == exposed), "{heard:?}");
            let mut varies = heard.headers.get_all("vary").iter();
            assert!(varies.any(|it| it == "origin"), "{heard:?}");
        }
    }
}

#[tokio::test]
async fn others_may_not() {
    let site = site(&["https://shop.example"]).await;
    for http in BOTH {
        let told = http
            .ask(&site, preflight("https://other.example"), "")
            .await;
        assert_eq!(told.header("access-control-allow-origin"), "");
        assert_eq!(told.header("access-control-allow-methods"), "");
        let request = post(UNARY, "application/proto").header("origin", "https://other.example");
        let heard = http.ask(&site, request, proto(&ask("echo"))).await;
        assert_eq!((heard.status, heard.header("vary")), (200, "origin"));
        assert_eq!(heard.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn all_may_where_that_was_said_and_none_where_nothing_was() {
    let (open, silent) = (site(&["*"]).await, site(&[]).await);
    for http in BOTH {
        let told = http.ask(&open, preflight("https://any.example"), "").await;
        assert_eq!(told.header("access-control-allow-origin"), "*");
        let told = http
            .ask(&silent, preflight("https://any.example"), "")
            .await;
        assert_eq!(
            (told.status, told.header("access-control-allow-origin")),
            (405, "")
        );
    }
}

#[tokio::test]
async fn what_is_no_origin_is_an_error_of_the_server() {
    let server = dreammesh_transport::Server::builder();
    let server = server.browser_origins(["https://shop.example/"]);
    let error = server.bind("memory://test").await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.starts_with("`https://shop.example/` is no origin"),
        "{said}"
    );
}
