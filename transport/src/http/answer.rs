//! What a request gets, by its path and content type.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

/// The path of the request that carries a session (PROTOCOL.md §12).
pub(crate) const TUNNEL_PATH: &str = "/dreammesh.Tunnel/Session";
/// What a tunnel's bytes are, in both directions (PROTOCOL.md §12).
pub(crate) const TUNNEL_TYPE: &str = "application/dreammesh-session";

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// It carries a session.
    Tunnel,
    /// It is a call.
    Grpc,
    /// It is answered and over.
    Answer(Answer),
}

/// An answer that needs nothing but itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    status: StatusCode,
    /// A header that says what would have been right.
    hint: Option<(&'static str, &'static str)>,
    text: &'static str,
}

/// Chooses by method, path and content type of a request of HTTP/2, and by whether calls may come
/// as gRPC.
pub(super) fn route(method: &Method, path: &str, headers: &HeaderMap, grpc: bool) -> Route {
    let content_type = content_type(headers);
    if path == TUNNEL_PATH {
        return if method != Method::POST {
            Route::Answer(NOT_POST)
        } else if !is_type(content_type, TUNNEL_TYPE) {
            Route::Answer(NOT_A_SESSION)
        } else {
            Route::Tunnel
        };
    }
    match grpc_subtype(content_type) {
        None => Route::Answer(NOT_FOUND),
        Some(_) if !grpc => Route::Answer(NO_GRPC),
        Some(_) if method != Method::POST => Route::Answer(NO_CALL),
        Some(subtype) if subtype.is_empty() || subtype.eq_ignore_ascii_case("proto") => Route::Grpc,
        Some(_) => Route::Answer(NOT_PROTO),
    }
}

/// What a call gets whose content type is none of gRPC's.
pub(super) const NOT_GRPC: Answer = Answer {
    status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
    hint: Some(("accept", GRPC_TYPE)),
    text: "A call has the content type application/grpc.\n",
};

/// Chooses for HTTP/1, over which neither a tunnel nor gRPC can run.
pub(super) fn answer_one(path: &str, headers: &HeaderMap) -> Answer {
    let content_type = content_type(headers);
    if path == TUNNEL_PATH || grpc_subtype(content_type).is_some() {
        NEEDS_TWO
    } else {
        NOT_FOUND
    }
}

/// Says whether an answer is to the tunnel's request, by its content type.
pub(crate) fn is_tunnel(headers: &HeaderMap) -> bool {
    is_type(content_type(headers), TUNNEL_TYPE)
}

fn content_type(headers: &HeaderMap) -> &str {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Compares without parameters, and as RFC 9110 section 8.3.1 says, without case.
fn is_type(content_type: &str, wanted: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(wanted)
}

/// What the messages of gRPC are said to be, which is nothing or stands behind a `+`; none for what
/// is not gRPC, as gRPC-Web.
fn grpc_subtype(content_type: &str) -> Option<&str> {
    let (head, rest) = content_type.split_at_checked(GRPC_TYPE.len())?;
    let essence = rest.split(';').next().unwrap_or_default().trim();
    match essence.strip_prefix('+') {
        _ if !head.eq_ignore_ascii_case(GRPC_TYPE) => None,
        None => essence.is_empty().then_some(essence),
        subtype => subtype,
    }
}

impl Answer {
    /// The whole answer, whose text is empty if the head says it all.
    pub(super) fn whole(self) -> Response<&'static str> {
        let mut response = Response::new(self.text);
        *response.status_mut() = self.status;
        self.write_headers(response.headers_mut());
        response
    }

    fn write_headers(self, headers: &mut HeaderMap) {
        if let Some((name, value)) = self.hint {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if self.text.is_empty() {
            // Trailers only: a response whose headers are its trailers, with status 200 whatever
            // the call's status is. The message is the hint.
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(GRPC_TYPE));
            headers.insert("grpc-status", HeaderValue::from_static("12"));
            return;
        }
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, text);
        headers.insert(CONTENT_LENGTH, self.text.len().into());
    }
}

const GRPC_TYPE: &str = "application/grpc";

/// What a request gets that has come to nothing here.
pub(super) const NOT_FOUND: Answer = Answer {
    status: StatusCode::NOT_FOUND,
    hint: None,
    text: "There is nothing here: this is a DreamMesh server.\n",
};
const NOT_POST: Answer = Answer {
    status: StatusCode::METHOD_NOT_ALLOWED,
    hint: Some(("allow", "POST")),
    text: "A DreamMesh session is carried by a POST request.\n",
};
const NOT_A_SESSION: Answer = Answer {
    status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
    hint: Some(("accept", TUNNEL_TYPE)),
    text: "A DreamMesh session has the content type application/dreammesh-session.\n",
};
const NEEDS_TWO: Answer = Answer {
    status: StatusCode::UPGRADE_REQUIRED,
    // RFC 9110 section 15.5.22 asks for it, though nothing can be upgraded to on the spot.
    hint: Some(("upgrade", "h2c")),
    text: "This needs HTTP/2 from the first byte on, or by ALPN.\n",
};
const NO_CALL: Answer = Answer {
    status: StatusCode::METHOD_NOT_ALLOWED,
    hint: Some(("allow", "POST")),
    text: "A call is a POST request.\n",
};
const NO_GRPC: Answer = unimplemented("this server does not speak gRPC");
const NOT_PROTO: Answer = unimplemented("this server takes messages of protobuf alone");

const fn unimplemented(message: &'static str) -> Answer {
    Answer {
        status: StatusCode::OK,
        hint: Some(("grpc-message", message)),
        text: "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(content_type: &str) -> HeaderMap {
        let value = HeaderValue::from_str(content_type).unwrap();
        HeaderMap::from_iter([(CONTENT_TYPE, value)])
    }

    #[test]
    fn a_tunnel_is_a_post_of_its_type_to_its_path() {
        let route = |method, path, content_type| route(&method, path, &headers(content_type), true);
        assert_eq!(route(Method::POST, TUNNEL_PATH, TUNNEL_TYPE), Route::Tunnel);
        let with_parameter = "Application/DreamMesh-Session ; v=1";
        assert_eq!(
            route(Method::POST, TUNNEL_PATH, with_parameter),
            Route::Tunnel
        );
        for (method, path, content_type, answer) in [
            (Method::GET, TUNNEL_PATH, TUNNEL_TYPE, NOT_POST),
            (Method::POST, TUNNEL_PATH, "text/html", NOT_A_SESSION),
            (Method::POST, TUNNEL_PATH, GRPC_TYPE, NOT_A_SESSION),
            (Method::POST, "/", TUNNEL_TYPE, NOT_FOUND),
            (Method::GET, "/a.B/C", GRPC_TYPE, NO_CALL),
            (Method::POST, "/a.B/C", "application/grpc+json", NOT_PROTO),
            (Method::POST, "/a.B/C", "application/grpc-web", NOT_FOUND),
            (Method::GET, "/", "é", NOT_FOUND),
        ] {
            let expected = Route::Answer(answer);
            assert_eq!(
                route(method, path, content_type),
                expected,
                "{content_type}"
            );
        }
    }

    #[test]
    fn a_call_is_a_post_of_its_type_where_grpc_is_spoken() {
        for content_type in [
            GRPC_TYPE,
            "application/grpc+proto",
            "Application/GRPC+Proto; charset=utf-8",
            "application/grpc ;a=b",
        ] {
            let route = |grpc| route(&Method::POST, "/a.B/C", &headers(content_type), grpc);
            assert_eq!(route(true), Route::Grpc, "{content_type}");
            assert_eq!(route(false), Route::Answer(NO_GRPC), "{content_type}");
        }
        for content_type in [
            "application/grpcx",
            "application/grp",
            "application/grpc-web+proto",
        ] {
            let route = route(&Method::POST, "/a.B/C", &headers(content_type), true);
            assert_eq!(route, Route::Answer(NOT_FOUND), "{content_type}");
        }
    }

    #[test]
    fn over_http_1_a_tunnel_and_grpc_are_told_what_they_need() {
        assert_eq!(answer_one(TUNNEL_PATH, &HeaderMap::new()), NEEDS_TWO);
        assert_eq!(answer_one("/a.B/C", &headers(GRPC_TYPE)), NEEDS_TWO);
        assert_eq!(answer_one("/", &headers("text/html")), NOT_FOUND);
    }

    #[test]
    fn each_answer_says_how_long_it_is() {
        for answer in [
            NOT_FOUND,
            NOT_POST,
            NO_CALL,
            NOT_A_SESSION,
            NOT_GRPC,
            NEEDS_TWO,
        ] {
            let response = answer.whole();
            let length = &response.headers()[CONTENT_LENGTH];
            assert_eq!(*length, response.body().len().to_string());
        }
        let head = NO_GRPC.whole();
        assert_eq!(head.headers()["grpc-status"], "12");
        assert_eq!(head.headers().get(CONTENT_LENGTH), None);
    }
}
