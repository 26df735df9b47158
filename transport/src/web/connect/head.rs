//! The headers of a request of Connect.

use dreammesh_core::call::{Code, Status, Timeout};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::grpc::encoding::{self, Accepted, Encoding};
use crate::grpc::head::{RequestHead, trace};

pub(crate) const TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");
pub(crate) const ENCODING: HeaderName = HeaderName::from_static("connect-content-encoding");
pub(crate) const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("connect-accept-encoding");

/// Reads headers, with metadata of at most `metadata_limit_bytes`; where messages have prefixes, so
/// have the names of the headers that say how those are compressed.
///
/// # Errors
/// The status to answer with: INVALID_ARGUMENT for another version of the protocol, a timeout that
/// is none or a value that is not Base64, UNIMPLEMENTED for an encoding that is not known,
/// RESOURCE_EXHAUSTED for too much metadata.
pub(crate) fn read(
    headers: &HeaderMap,
    streams: bool,
    metadata_limit_bytes: usize,
) -> Result<RequestHead, Status> {
    let mut head = RequestHead::new();
    let (encoding, accept) = match streams {
        true => ("connect-content-encoding", "connect-accept-encoding"),
        false => ("content-encoding", "accept-encoding"),
    };
    let mut accepts = None;
    for (name, value) in headers {
        match name.as_str() {
            "connect-protocol-version" => check_version(value)?,
            "connect-timeout-ms" => head.timeout = Some(timeout(value)?),
            name if name == encoding => head.encoding = self::encoding(value.as_bytes())?,
            name if name == accept => {
                let accepts = accepts.get_or_insert_with(Accepted::default);
                accept_all(accepts, value);
            }
            "accept-encoding" | "content-encoding" | "traceparent" | "tracestate" => {}
            name if name.starts_with("connect-") => {}
            name => head
                .handle(name, value, metadata_limit_bytes)
                .map_err(invalid)?,
        }
    }
    head.trace = trace(headers);
    // Whoever says nothing of it takes what it sends.
    head.accepts = accepts.unwrap_or_else(|| {
        let mut accepts = Accepted::default();
        head.encoding.into_iter().for_each(|it| accepts.insert(it));
        accepts
    });
    Ok(head)
}

/// The timeout of a header.
///
/// # Errors
/// INVALID_ARGUMENT when it is anything but one to ten digits.
pub(crate) fn timeout(value: &HeaderValue) -> Result<Timeout, Status> {
    let digits = value.as_bytes();
    let is_right = (1..=TIMEOUT_DIGITS_MAX).contains(&digits.len());
    let millis = (is_right && digits.iter().all(u8::is_ascii_digit))
        .then(|| value.to_str().ok()?.parse::<u64>().ok())
        .flatten();
    millis
        .map(|millis| Timeout::from_micros(millis * 1_000))
        .ok_or_else(|| {
            let shown = shown(digits);
            Status::invalid_argument(format!("{shown:?} is no connect-timeout-ms"))
        })
}

/// How what is sent is compressed, if it is.
///
/// # Errors
/// UNIMPLEMENTED when that is not known.
pub(super) fn encoding(name: &[u8]) -> Result<Option<Encoding>, Status> {
    if name.is_empty() || name == b"identity" {
        return Ok(None);
    }
    let known = str::from_utf8(name).ok().and_then(Encoding::from_name);
    known.map(Some).ok_or_else(|| {
        let (shown, accepted) = (shown(name), encoding::ACCEPTED);
        let accepted = accepted.to_str().unwrap_or_default();
        Status::unimplemented(format!("the encoding {shown:?} is none of {accepted}"))
    })
}

fn check_version(value: &HeaderValue) -> Result<(), Status> {
    if value == "1" {
        return Ok(());
    }
    let shown = shown(value.as_bytes());
    let text = format!("{shown:?} is no connect-protocol-version that is spoken here, which is 1");
    Err(Status::invalid_argument(text))
}

/// Adds what a header lists, but for what it lists with a quality of nothing.
fn accept_all(accepts: &mut Accepted, value: &HeaderValue) {
    for listed in value.to_str().unwrap_or_default().split(',') {
        let mut parts = listed.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let refused = parts.any(|part| {
            let quality = part.strip_prefix("q=");
            quality.and_then(|it| it.parse::<f32>().ok()) == Some(0.0)
        });
        match Encoding::from_name(name) {
            Some(encoding) if !refused => accepts.insert(encoding),
            _ => {}
        }
    }
}

/// What is the caller's fault is said to be that.
fn invalid(status: Status) -> Status {
    match status.code() {
        Code::Internal => Status::invalid_argument(status.message().to_owned()),
        _ => status,
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES)]).into_owned()
}

/// Some 115 days.
const TIMEOUT_DIGITS_MAX: usize = 10;
/// What an error repeats of a value.
const SHOWN_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use dreammesh_core::call::{Metadata, Priority};

    fn head(pairs: &[(&'static str, &str)], streams: bool) -> Result<RequestHead, Status> {
        let pair = |(name, value): &(&'static str, &str)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        };
        let headers: HeaderMap = pairs.iter().map(pair).collect();
        read(&headers, streams, Metadata::DEFAULT_LIMIT_BYTES)
    }

    #[test]
    fn what_is_said_of_a_call_is_read() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let head = head(
            &[
                ("connect-protocol-version", "1"),
                ("connect-timeout-ms", "1500"),
                ("connect-new", "x"),
                ("dreammesh-priority", "0"),
                ("tenant", "a"),
                ("sum-bin", "AQI="),
                ("traceparent", parent),
                ("host", "x"),
            ],
            false,
        )
        .unwrap();
        assert_eq!(head.timeout, Some(Timeout::from_micros(1_500_000)));
        assert_eq!(head.priority, Priority::from_number(0));
        assert_eq!(head.metadata.text("tenant"), Some("a"));
        assert_eq!(head.metadata.len(), 2);
        assert!(head.trace.is_some());
    }

    #[test]
    fn a_timeout_is_one_to_ten_digits() {
        for right in ["0", "1", "9999999999"] {
            assert!(timeout(&HeaderValue::from_static(right)).is_ok(), "{right}");
        }
        for wrong in ["", "10000000000", "-1", "+1", "1.5", "1s", " 1"] {
            let value = HeaderValue::from_static(wrong);
            let code = timeout(&value).unwrap_err().code();
            assert_eq!(code, Code::InvalidArgument, "{wrong}");
        }
    }

    #[test]
    fn encodings_are_those_of_the_body_or_of_its_messages() {
        let pairs = [
            ("content-encoding", "gzip"),
            ("accept-encoding", "br, gzip;q=0, zstd;q=0.5"),
            ("connect-content-encoding", "zstd"),
            ("connect-accept-encoding", "deflate"),
        ];
        let body = head(&pairs, false).unwrap();
        assert_eq!(body.encoding, Some(Encoding::Gzip));
        assert!(body.accepts.takes(Encoding::Zstd) && !body.accepts.takes(Encoding::Gzip));
        let messages = head(&pairs, true).unwrap();
        assert_eq!(messages.encoding, Some(Encoding::Zstd));
        assert!(messages.accepts.takes(Encoding::Deflate));
        assert!(!messages.accepts.takes(Encoding::Zstd));
        let silent = head(&pairs[..1], false).unwrap();
        assert!(silent.accepts.takes(Encoding::Gzip));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (name, value, code) in [
            ("connect-protocol-version", "2", Code::InvalidArgument),
            ("connect-timeout-ms", "soon", Code::InvalidArgument),
            ("content-encoding", "br", Code::Unimplemented),
            ("sum-bin", "*", Code::InvalidArgument),
        ] {
            let status = head(&[(name, value)], false).unwrap_err();
            assert_eq!(status.code(), code, "{name}");
        }
        let unknown = encoding(b"br").unwrap_err();
        assert!(unknown.message().ends_with("gzip,deflate,zstd,identity"));
    }
}
