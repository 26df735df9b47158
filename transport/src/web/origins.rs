//! Whose scripts may call from other origins, as CORS has it (<https://fetch.spec.whatwg.org>).
//!
//! A browser sends a script's request to another origin, but for the simplest ones, only when a
//! request before it, the preflight, has been answered with leave to; and it shows the script an
//! answer only if that says so.

use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

/// The origins that may.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins(Kind);

#[derive(Clone, Debug, Default)]
enum Kind {
    #[default]
    None,
    Any,
    /// In lower case; not empty.
    Listed(Arc<[String]>),
}

/// What an answer says of who may read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sharing {
    /// The origin that may.
    origin: Option<HeaderValue>,
    /// Another origin would be answered differently.
    varies: bool,
}

impl Origins {
    /// The origins of a list, or any where it has `*`.
    ///
    /// # Errors
    /// The first one that is none: an origin is a scheme, a host and perhaps a port, and no path.
    pub(crate) fn of(list: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut listed = Vec::new();
        let mut any = false;
        for origin in list {
            if origin == "*" {
                any = true;
            } else if is_origin(&origin) {
                listed.push(origin.to_ascii_lowercase());
            } else {
                return Err(origin);
            }
        }
        Ok(Self(match any {
            true => Kind::Any,
            false if listed.is_empty() => Kind::None,
            false => Kind::Listed(listed.into()),
        }))
    }

    /// What the answer to a request with these headers says.
    pub(crate) fn sharing(&self, headers: &HeaderMap) -> Sharing {
        let origin = headers.get(ORIGIN);
        match &self.0 {
            Kind::None => Sharing::default(),
            // Said to everybody, since an answer that was kept may be given to another origin.
            Kind::Any => Sharing {
                origin: Some(HeaderValue::from_static("*")),
                varies: false,
            },
            Kind::Listed(listed) => Sharing {
                origin: origin.filter(|it| is_listed(listed, it)).cloned(),
                varies: true,
            },
        }
    }

    /// The answer to a preflight; none if the request is none, or nobody may call from elsewhere.
    pub(crate) fn preflight(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Option<Response<&'static str>> {
        let asks = method == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || matches!(self.0, Kind::None) {
            return None;
        }
        let mut answer = Response::new("");
        *answer.status_mut() = StatusCode::NO_CONTENT;
        let sharing = self.sharing(headers);
        let into = answer.headers_mut();
        if sharing.origin.is_some() {
            let methods = HeaderValue::from_static("GET, POST");
            into.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
            // Whoever may call may send metadata, of whatever name.
            if let Some(asked) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                into.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
            }
            into.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        }
        sharing.write_origin(into);
        Some(answer)
    }
}

impl Sharing {
    /// Adds it to the headers of an answer, which has all others by then.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        if self.origin.is_some() {
            // A script sees only what is named here, and `*` does not name everything everywhere.
            let names: Vec<&str> = headers.keys().map(|name| name.as_str()).collect();
            if let Ok(names) = HeaderValue::try_from(names.join(", ")) {
                headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, names);
            }
        }
        self.write_origin(headers);
    }

    fn write_origin(&self, headers: &mut HeaderMap) {
        if self.varies {
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
        if let Some(origin) = &self.origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
    }
}

fn is_listed(listed: &[String], origin: &HeaderValue) -> bool {
    let origin = origin.as_bytes();
    let is_it = |it: &String| it.as_bytes().eq_ignore_ascii_case(origin);
    listed.iter().any(is_it)
}

fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return false;
    };
    let is_plain = |text: &str, also: &[u8]| {
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || also.contains(&byte);
        !text.is_empty() && text.bytes().all(is_fit)
    };
    is_plain(scheme, b"+-.") && is_plain(authority, b"-.:[]_")
}

/// Two hours, in seconds: beyond that, browsers ask again all the same.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            let name = http::HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn origins(list: &[&str]) -> Origins {
        Origins::of(list.iter().map(|it| (*it).to_owned())).unwrap()
    }

    fn written(origins: &Origins, origin: &str) -> HeaderMap {
        let mut answer = headers(&[("content-type", "a"), ("cost", "7")]);
        let request = headers(&[("origin", origin)]);
        origins.sharing(&request).write(&mut answer);
        answer
    }

    #[test]
    fn nothing_is_shared_unless_that_was_said() {
        let nobody = origins(&[]);
        assert_eq!(written(&nobody, "https://a.b").len(), 2);
        let ask = [
            ("origin", "https://a.b"),
            ("access-control-request-method", "POST"),
        ];
        assert!(nobody.preflight(&Method::OPTIONS, &headers(&ask)).is_none());
    }

    #[test]
    fn those_of_the_list_are_named_and_others_are_not() {
        let two = origins(&["https://A.b", "http://localhost:3000"]);
        for origin in ["https://a.b", "http://localhost:3000"] {
            let answer = written(&two, origin);
            assert_eq!(answer["access-control-allow-origin"], origin);
            assert_eq!(
                answer["access-control-expose-headers"],
                "content-type, cost"
            );
            assert_eq!(answer["vary"], "origin");
        }
        for origin in ["https://a.b.c", "http://a.b", "https://a.b:444", "null"] {
            let answer = written(&two, origin);
            assert!(
                !answer.contains_key("access-control-allow-origin"),
                "{origin}"
            );
            assert_eq!(answer["vary"], "origin");
        }
        let any = written(&origins(&["*"]), "https://a.b");
        assert_eq!(any["access-control-allow-origin"], "*");
        assert!(!any.contains_key("vary"));
        let mut unasked = HeaderMap::new();
        let sharing = origins(&["*"]).sharing(&HeaderMap::new());
        sharing.write(&mut unasked);
        assert_eq!(unasked["access-control-allow-origin"], "*");
    }

    #[test]
    fn a_preflight_is_told_what_may_be_sent() {
        let one = origins(&["https://a.b"]);
        let ask = |origin| {
            headers(&[
                ("origin", origin),
                ("access-control-request-method", "POST"),
                (
                    "access-control-request-headers",
                    "connect-protocol-version,tenant",
                ),
            ])
        };
        let told = one
            .preflight(&Method::OPTIONS, &ask("https://a.b"))
            .unwrap();
        assert_eq!(told.status(), StatusCode::NO_CONTENT);
        let told = told.headers();
        assert_eq!(told["access-control-allow-origin"], "https://a.b");
        assert_eq!(told["access-control-allow-methods"], "GET, POST");
        let names = "connect-protocol-version,tenant";
        assert_eq!(told["access-control-allow-headers"], names);
        assert_eq!(told["access-control-max-age"], "7200");
        let other = one
            .preflight(&Method::OPTIONS, &ask("https://c.d"))
            .unwrap();
        assert_eq!(other.headers().len(), 1, "{other:?}");
        assert!(one.preflight(&Method::POST, &ask("https://a.b")).is_none());
        let no_ask = headers(&[("origin", "https://a.b")]);
        assert!(one.preflight(&Method::OPTIONS, &no_ask).is_none());
    }

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        let of = |origin: &str| Origins::of([origin.to_owned()]);
        for right in ["https://a.b", "http://[::1]:80", "app://x", "*"] {
            assert!(of(right).is_ok(), "{right}");
        }
        for wrong in ["", "a.b", "https://", "https://a.b/", "https://*.b", "null"] {
            assert_eq!(of(wrong).unwrap_err(), wrong);
        }
    }
}
