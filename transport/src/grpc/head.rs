//! The headers of a request: what the call model says of a call, and back.

use dreammesh_core::call::{Metadata, Priority, Status, Timeout, TraceContext};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};

use super::encoding::{self, Accepted, Encoding};
use super::{metadata, percent, timeout};

pub(crate) const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
pub(crate) const ATTEMPTS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// A number, that of [`Priority`]; gRPC has no name for it.
pub(crate) const PRIORITY: HeaderName = HeaderName::from_static("dreammesh-priority");
/// The key, percent-coded where it has to be; the name is the one that HTTP is about to have.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The content type that is sent; `+proto` would say the same.
pub(crate) const GRPC: HeaderValue = HeaderValue::from_static(GRPC_TYPE);

/// What a request's headers say of its call.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) metadata: Metadata,
    pub(crate) timeout: Option<Timeout>,
    pub(crate) trace: Option<TraceContext>,
    pub(crate) priority: Priority,
    /// Which try of the call this is, from 0.
    pub(crate) attempt: u32,
    pub(crate) idempotency_key: Option<Box<str>>,
    /// What the messages that are compressed are compressed with.
    pub(crate) encoding: Option<Encoding>,
    /// What the caller takes.
    pub(crate) accepts: Accepted,
}

/// What a client says of a call besides its method.
#[derive(Debug)]
pub(crate) struct RequestSaid<'a> {
    pub(crate) metadata: &'a Metadata,
    pub(crate) timeout: Option<Timeout>,
    pub(crate) trace: Option<&'a TraceContext>,
    pub(crate) priority: Priority,
    pub(crate) attempt: u32,
    pub(crate) idempotency_key: Option<&'a str>,
}

/// Whether a content type is gRPC's; what comes after it, such as `+json`, is not looked at here.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .map_or(&b""[..], HeaderValue::as_bytes);
    let grpc = GRPC_TYPE.as_bytes();
    let (Some(start), rest) = (value.get(..grpc.len()), value.get(grpc.len())) else {
        return false;
    };
    // `application/grpc-web` is another protocol.
    start.eq_ignore_ascii_case(grpc) && matches!(rest, None | Some(b'+' | b';' | b' '))
}

impl RequestHead {
    /// A head that says nothing.
    pub(crate) fn new() -> Self {
        Self {
            metadata: Metadata::new(),
            timeout: None,
            trace: None,
            priority: Priority::NORMAL,
            attempt: 0,
            idempotency_key: None,
            encoding: None,
            accepts: Accepted::default(),
        }
    }

    /// Reads headers, with metadata of at most `metadata_limit_bytes`.
    ///
    /// A trace that is none is left out, as W3C has it, and so is any other word on the call that
    /// makes no sense, but for the time: a call that is to end and does not is worse than none.
    ///
    /// # Errors
    /// The status to answer with: INTERNAL for a timeout that is none or a value that is not
    /// Base64, UNIMPLEMENTED for an encoding that is not known, RESOURCE_EXHAUSTED for too much
    /// metadata.
    pub(crate) fn read(headers: &HeaderMap, metadata_limit_bytes: usize) -> Result<Self, Status> {
        let mut head = Self::new();
        let mut traced = false;
        for (name, value) in headers {
            match name.as_str() {
                "grpc-timeout" => head.timeout = Some(timeout::read(value)?),
                "grpc-encoding" => {
                    head.encoding = encoding::read(value)
                        .map_err(|unknown| Status::unimplemented(unknown.to_string()))?;
                }
                "grpc-accept-encoding" => head.accepts.add(value),
                "grpc-previous-rpc-attempts" => head.attempt = number(value).unwrap_or(0),
                "traceparent" | "tracestate" => traced = true,
                other => head.handle(other, value, metadata_limit_bytes)?,
            }
        }
        if traced {
            head.trace = trace(headers);
        }
        Ok(head)
    }

    /// Takes in a header that means the same in every protocol, but for the trace.
    ///
    /// # Errors
    /// INTERNAL for a value that is not Base64, RESOURCE_EXHAUSTED for too much metadata.
    pub(crate) fn handle(
        &mut self,
        name: &str,
        value: &HeaderValue,
        metadata_limit_bytes: usize,
    ) -> Result<(), Status> {
        match name {
            "dreammesh-priority" => {
                let number = number(value).map(|n: u32| u8::try_from(n).unwrap_or(u8::MAX));
                self.priority = number.map_or(Priority::NORMAL, Priority::from_number);
            }
            "idempotency-key" if value.len() <= KEY_CODED_BYTES_MAX => {
                let key = percent::decode(value.as_bytes());
                let fits = key.len() <= IDEMPOTENCY_KEY_BYTES_MAX;
                self.idempotency_key = fits.then(|| key.into());
            }
            other => {
                let into = &mut self.metadata;
                metadata::append_received(into, other, value, metadata_limit_bytes)?;
            }
        }
        Ok(())
    }
}

impl RequestSaid<'_> {
    /// Adds it to headers that have what all requests of a connection do; see [`common`].
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        if let Some(timeout) = self.timeout {
            headers.insert(TIMEOUT, timeout::write(timeout));
        }
        if let Some(trace) = self.trace {
            // Both are printable ASCII by their types.
            if let Ok(value) = HeaderValue::try_from(trace.to_string()) {
                headers.insert(TRACEPARENT, value);
            }
            match HeaderValue::from_str(trace.state()) {
                Ok(value) if !value.is_empty() => headers.insert(TRACESTATE, value),
                _ => None,
            };
        }
        if self.priority != Priority::NORMAL {
            headers.insert(PRIORITY, u16::from(self.priority.number()).into());
        }
        if self.attempt > 0 {
            headers.insert(ATTEMPTS, self.attempt.into());
        }
        if let Some(key) = self.idempotency_key {
            headers.insert(IDEMPOTENCY_KEY, percent::encode(key, KEY_CODED_BYTES_MAX));
        }
        metadata::append_to(headers, self.metadata);
    }
}

/// What every request of a client says.
pub(crate) fn common(user_agent: HeaderValue, encoding: Option<Encoding>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert(http::header::USER_AGENT, user_agent);
    headers.insert(encoding::ACCEPT_ENCODING, encoding::ACCEPTED);
    if let Some(encoding) = encoding {
        headers.insert(encoding::ENCODING, encoding.value());
    }
    headers
}

/// The trace that headers say a call belongs to.
pub(crate) fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    // Two of them say nothing, by W3C Trace Context section 3.2.
    let (Some(parent), None) = (parents.next(), parents.next()) else {
        return None;
    };
    let trace = TraceContext::parse(parent.to_str().ok()?).ok()?;
    let states: Option<Vec<&str>> = headers
        .get_all(TRACESTATE)
        .iter()
        .map(|v| v.to_str().ok())
        .collect();
    let states = states.unwrap_or_default().join(",");
    let with_state = trace.clone().with_state(&states);
    Some(with_state.unwrap_or(trace))
}

fn number<N: std::str::FromStr>(value: &HeaderValue) -> Option<N> {
    value.to_str().ok()?.parse().ok()
}

const GRPC_TYPE: &str = "application/grpc";
/// As over a session.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 256;
/// Each byte of a key takes at most three.
const KEY_CODED_BYTES_MAX: usize = 3 * IDEMPOTENCY_KEY_BYTES_MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use dreammesh_core::call::Code;

    const LIMIT: usize = Metadata::DEFAULT_LIMIT_BYTES;
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn head(pairs: &[(&'static str, &str)]) -> Result<RequestHead, Status> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_static(name);
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        RequestHead::read(&headers, LIMIT)
    }

    #[test]
    fn all_of_a_call_goes_over_and_comes_back() {
        let mut metadata = Metadata::new();
        metadata.append("tenant", "a").unwrap();
        let trace = TraceContext::parse(PARENT)
            .unwrap()
            .with_state("a=1,b=2")
            .unwrap();
        let said = RequestSaid {
            metadata: &metadata,
            timeout: Some(Timeout::from_micros(50)),
            trace: Some(&trace),
            priority: Priority::HIGH,
            attempt: 2,
            idempotency_key: Some("key é"),
        };
        let mut headers = common(HeaderValue::from_static("test/1"), Some(Encoding::Gzip));
        said.write(&mut headers);
        assert!(is_grpc(&headers));
        assert_eq!(headers.get("te").unwrap(), "trailers");
        let mut head = RequestHead::read(&headers, LIMIT).unwrap();
        assert_eq!(head.metadata.text("user-agent"), Some("test/1"));
        head.metadata.remove("user-agent");
        assert_eq!(head.metadata, metadata);
        assert_eq!(head.timeout, Some(Timeout::from_micros(50)));
        assert_eq!(head.trace, Some(trace));
        assert_eq!(head.priority, Priority::HIGH);
        assert_eq!(head.attempt, 2);
        assert_eq!(head.idempotency_key.as_deref(), Some("key é"));
        assert_eq!(head.encoding, Some(Encoding::Gzip));
        assert!(head.accepts.takes(Encoding::Zstd));
    }

    #[test]
    fn what_is_as_usual_is_not_said() {
        let said = RequestSaid {
            metadata: &Metadata::new(),
            timeout: None,
            trace: None,
            priority: Priority::NORMAL,
            attempt: 0,
            idempotency_key: None,
        };
        let mut headers = HeaderMap::new();
        said.write(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn the_metadata_of_a_caller_may_name_its_own_user_agent() {
        let mut metadata = Metadata::new();
        metadata.append("user-agent", "its own/1").unwrap();
        let mut headers = common(HeaderValue::from_static("ours/1"), None);
        metadata::append_to(&mut headers, &metadata);
        let all: Vec<_> = headers.get_all("user-agent").iter().collect();
        assert_eq!(all, ["ours/1"]);
    }

    #[test]
    fn a_bad_timeout_or_encoding_is_refused() {
        let error = head(&[("grpc-timeout", "123456789S")]).unwrap_err();
        assert_eq!(error.code(), Code::Internal);
        let error = head(&[("grpc-encoding", "snappy")]).unwrap_err();
        assert_eq!(error.code(), Code::Unimplemented);
        assert!(error.message().contains("gzip,deflate,zstd"), "{error}");
        let error = head(&[("a-bin", "*")]).unwrap_err();
        assert_eq!(error.code(), Code::Internal);
        let error = head(&[("a", &"x".repeat(LIMIT - 32))]).unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted);
        assert!(head(&[("a", &"x".repeat(LIMIT - 33))]).is_ok());
    }

    #[test]
    fn other_words_that_make_no_sense_are_passed_over() {
        let above = head(&[("dreammesh-priority", "4000000000")]);
        let head = head(&[
            ("grpc-previous-rpc-attempts", "-1"),
            ("dreammesh-priority", "high"),
            ("traceparent", "none"),
            ("tracestate", "a=1"),
            ("grpc-trace-bin", "*"),
        ])
        .unwrap();
        assert_eq!((head.attempt, head.priority), (0, Priority::NORMAL));
        assert_eq!(head.trace, None);
        assert!(head.metadata.is_empty());
        assert_eq!(above.unwrap().priority, Priority::CRITICAL);
    }

    #[test]
    fn a_trace_is_one_parent_and_all_of_its_state() {
        let state = ("tracestate", "a=1");
        let both = head(&[("traceparent", PARENT), state, ("tracestate", "b=2")]).unwrap();
        assert_eq!(both.trace.unwrap().state(), "a=1,b=2");
        let two = head(&[("traceparent", PARENT), ("traceparent", PARENT)]).unwrap();
        assert_eq!(two.trace, None);
        let long = head(&[("traceparent", PARENT), ("tracestate", &"x".repeat(513))]).unwrap();
        assert_eq!(long.trace.unwrap().state(), "");
    }

    #[test]
    fn a_key_is_bounded_at_its_limit() {
        let key = |len| head(&[("idempotency-key", &"k".repeat(len))]).unwrap();
        assert_eq!(key(256).idempotency_key.map(|key| key.len()), Some(256));
        assert_eq!(key(257).idempotency_key, None);
        assert_eq!(key(KEY_CODED_BYTES_MAX + 1).idempotency_key, None);
        let coded = head(&[("idempotency-key", &"%41".repeat(256))]).unwrap();
        assert_eq!(coded.idempotency_key.map(|key| key.len()), Some(256));
    }

    #[test]
    fn content_types_of_grpc_are_told_from_others() {
        let is = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            is_grpc(&headers)
        };
        for grpc in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc;charset=utf-8",
            "Application/GRPC",
        ] {
            assert!(is(grpc), "{grpc}");
        }
        for other in [
            "",
            "application/grp",
            "application/grpc-web",
            "application/grpcx",
            "text/html",
        ] {
            assert!(!is(other), "{other}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }
}
