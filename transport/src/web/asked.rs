//! What becomes of a request, by its method, path and headers.

use dreammesh_core::call::{Idempotency, MethodInfo, MethodKind};
use http::header::{ACCEPT, ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
};

use super::calls::Settings;
use super::connect::query;
use super::dialect::{Dialect, accepted};
use crate::grpc::server::handling::Handling;

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Asked {
    /// It is a call.
    Call(Dialect),
    /// It is answered and over.
    Answer(Response<&'static str>),
}

/// Looks at the head of a request that is no call of gRPC; none if it is nothing that is known here.
///
/// `grpc` says whether calls may come as gRPC where it came.
pub(crate) fn asked(
    handling: &Handling,
    settings: &Settings,
    head: Head<'_>,
    grpc: bool,
) -> Option<Asked> {
    if let Some(answer) = settings.origins.preflight(head.method, head.headers) {
        return Some(Asked::Answer(answer));
    }
    let content_type = head.headers.get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let dialect = Dialect::of(content_type.unwrap_or_default());
    let Ok(route) = handling.find(head.uri.path()) else {
        // It is said in the form of the protocol that there is no such method.
        return dialect
            .filter(|_| head.method == Method::POST && is_method_path(head.uri.path()))
            .map(Asked::Call);
    };
    let mut answer = match called(&head, route.method(), dialect, grpc) {
        Asked::Call(dialect) => return Some(Asked::Call(dialect)),
        Asked::Answer(answer) => answer,
    };
    let length = answer.body().len().into();
    let headers = answer.headers_mut();
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CONTENT_TYPE, TEXT);
    settings.origins.sharing(head.headers).write(headers);
    Some(Asked::Answer(answer))
}

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) version: Version,
}

impl<'a> Head<'a> {
    pub(crate) fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            version: request.version(),
        }
    }
}

/// How a method is called, or what is to be said to that.
fn called(head: &Head<'_>, method: &MethodInfo, dialect: Option<Dialect>, grpc: bool) -> Asked {
    let kind = method.kind();
    let may_get = matches!(kind, MethodKind::Unary)
        && method.options().idempotency == Idempotency::NoSideEffects;
    let dialect = match *head.method {
        Method::POST => dialect.filter(|dialect| dialect.fits(kind)),
        Method::GET if may_get => {
            let query = head.uri.query().unwrap_or_default();
            Dialect::of_query(query::value(query, "encoding").unwrap_or_default())
        }
        _ => {
            let methods = if may_get { "GET, POST" } else { "POST" };
            return answer(NO_METHOD, &[(ALLOW, methods)]);
        }
    };
    let Some(dialect) = dialect else {
        let types = accepted(kind, grpc);
        return answer(NO_TYPE, &[(ACCEPT, types), (ACCEPT_POST, types)]);
    };
    if kind == MethodKind::Bidi && head.version < Version::HTTP_2 {
        return answer(NO_DUPLEX, &[]);
    }
    Asked::Call(dialect)
}

fn answer(
    (status, text): (StatusCode, &'static str),
    hints: &[(HeaderName, &'static str)],
) -> Asked {
    let mut answer = Response::new(text);
    *answer.status_mut() = status;
    for (name, value) in hints {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    Asked::Answer(answer)
}

/// Whether a path is one that a method may have: those of a service and of the method in it.
fn is_method_path(path: &str) -> bool {
    let mut names = path.split('/').skip(1);
    let is_name = |name: Option<&str>| name.is_some_and(|name| !name.is_empty());
    is_name(names.next()) && is_name(names.next()) && names.next().is_none()
}

const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NO_METHOD: (StatusCode, &str) = (
    StatusCode::METHOD_NOT_ALLOWED,
    "A call is a POST request, and may be a GET request where the method has no side effects.\n",
);
const NO_TYPE: (StatusCode, &str) = (
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "The method cannot be called with this content type; accept-post lists those it can.\n",
);
const NO_DUPLEX: (StatusCode, &str) = (
    StatusCode::HTTP_VERSION_NOT_SUPPORTED,
    "A method that streams both ways needs HTTP/2.\n",
);
