//! Entries of metadata as headers, and headers as entries.
//!
//! An entry of bytes is Base64 on the wire, sent without padding and taken with or without it.
//! Several values of one name may come joined with commas, which means the same.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use dreammesh_core::call::{Metadata, MetadataError, MetadataValue, Status};
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Adds entries to headers.
///
/// A name that belongs to HTTP itself is left out: HTTP/2 forbids some of them, and the others
/// would contradict what is sent. One that carries something else of the call, such as its trace,
/// is left out where the headers have it already.
pub(crate) fn append_to(headers: &mut HeaderMap, metadata: &Metadata) {
    for (name, value) in metadata.iter() {
        if belongs_to_http(name) || (is_of_the_call(name) && headers.contains_key(name)) {
            continue;
        }
        // Neither fails: metadata is stricter than HTTP in its names and in its text.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), written(value)) {
            headers.append(name, value);
        }
    }
}

/// Adds a header that came from a peer to metadata of at most `limit_bytes`.
///
/// What HTTP allows and metadata does not is left out, since nothing that a proxy adds should fail
/// a call; so is what belongs to HTTP or gRPC itself.
///
/// # Errors
/// `INTERNAL` when a value of bytes is not Base64, `RESOURCE_EXHAUSTED` beyond the limit. The limit
/// is kept with each value, since a list of empty ones takes more memory than it does on the wire.
pub(crate) fn append_received(
    metadata: &mut Metadata,
    name: &str,
    value: &HeaderValue,
    limit_bytes: usize,
) -> Result<(), Status> {
    if name.starts_with("grpc-") || belongs_to_http(name) {
        return Ok(());
    }
    if !name.ends_with("-bin") {
        let text = value.to_str().unwrap_or_default();
        if text.is_empty() && !value.is_empty() {
            return Ok(());
        }
        // A name or a text that metadata cannot hold is one that is left out.
        let _ = metadata.append(name.to_owned(), text.to_owned());
        return within(metadata, limit_bytes);
    }
    for part in value.as_bytes().split(|byte| *byte == b',') {
        let bytes = decode(part).ok_or_else(|| {
            Status::internal(format!("the metadata {name:?} of the peer is not Base64"))
        })?;
        let _ = metadata.append_bin(name.to_owned(), bytes);
        within(metadata, limit_bytes)?;
    }
    Ok(())
}

/// Bytes as the Base64 that is sent.
pub(crate) fn encode(bytes: &[u8]) -> HeaderValue {
    // Base64 is printable ASCII, so that this does not fail.
    HeaderValue::try_from(BASE64.encode(bytes)).unwrap_or(HeaderValue::from_static(""))
}

/// Bytes from Base64, or none when it is something else.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    BASE64.decode(text.trim_ascii()).ok()
}

fn written(value: &MetadataValue) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    match value {
        MetadataValue::Text(text) => HeaderValue::from_str(text),
        MetadataValue::Binary(bytes) => Ok(encode(bytes)),
    }
}

fn within(metadata: &Metadata, limit_bytes: usize) -> Result<(), Status> {
    metadata
        .check_size(limit_bytes)
        .map_err(|error: MetadataError| Status::resource_exhausted(error.to_string()))
}

/// What HTTP says of the message or the connection.
fn belongs_to_http(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "content-encoding"
            | "content-length"
            | "content-type"
            | "host"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// What the call model knows of a call, under the names it has here.
fn is_of_the_call(name: &str) -> bool {
    matches!(
        name,
        "dreammesh-priority" | "idempotency-key" | "traceparent" | "tracestate" | "user-agent"
    )
}

/// Strict in its alphabet alone: bits that nothing needs are ignored, as elsewhere.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests {
    use super::*;
    use dreammesh_core::call::Code;

    const LIMIT: usize = Metadata::DEFAULT_LIMIT_BYTES;

    fn read(name: &str, value: &[u8]) -> Result<Metadata, Status> {
        let mut metadata = Metadata::new();
        let value = HeaderValue::from_bytes(value).unwrap();
        append_received(&mut metadata, name, &value, LIMIT).map(|()| metadata)
    }

    #[test]
    fn entries_of_both_forms_go_over_and_come_back() {
        let mut sent = Metadata::new();
        sent.append("tenant", "a b").unwrap();
        sent.append("tenant", "").unwrap();
        sent.append_bin("sum-bin", vec![0, 255, 1, 2]).unwrap();
        sent.append_bin("sum-bin", Vec::new()).unwrap();
        let mut headers = HeaderMap::new();
        append_to(&mut headers, &sent);
        assert_eq!(headers.get("sum-bin").unwrap(), "AP8BAg");
        let mut received = Metadata::new();
        for (name, value) in &headers {
            append_received(&mut received, name.as_str(), value, LIMIT).unwrap();
        }
        assert_eq!(received, sent);
    }

    #[test]
    fn bytes_come_with_and_without_padding_and_joined_with_commas() {
        for form in ["AQ", "AQ==", " AQ==", "AR"] {
            let read = read("a-bin", form.as_bytes()).unwrap();
            assert_eq!(
                read.binary("a-bin").map(|b| &b[..]),
                Some(&[1][..]),
                "{form}"
            );
        }
        let list = read("a-bin", b"AQ==, Ag,,Aw").unwrap();
        let values: Vec<_> = list.iter().map(|(_, v)| v.as_bytes().to_vec()).collect();
        assert_eq!(values, [vec![1], vec![2], vec![], vec![3]]);
    }

    #[test]
    fn what_is_not_base64_is_an_error_that_names_the_entry() {
        for bad in ["A", "A=", "A*==", "AQ==AQ==", "-_-_", "é"] {
            let error = read("a-bin", bad.as_bytes()).unwrap_err();
            assert_eq!(error.code(), Code::Internal, "{bad}");
            assert!(error.message().contains("a-bin"), "{error}");
        }
    }

    #[test]
    fn what_http_allows_and_metadata_does_not_is_left_out() {
        let latin = [0xe9];
        for (name, value) in [
            ("a", &latin[..]),
            ("a", b"a\tb"),
            ("a!b", b"x"),
            ("grpc-new", b"x"),
            ("te", b"trailers"),
            ("content-type", b"text/plain"),
            ("content-length", b"5"),
        ] {
            assert!(read(name, value).unwrap().is_empty(), "{name}");
        }
        assert_eq!(read("a", b"").unwrap().text("a"), Some(""));
    }

    #[test]
    fn line_ends_and_nul_are_refused_before_they_come_here() {
        // HTTP's own type refuses them, both in what is received and in what is sent.
        for value in [&b"a\r\nb"[..], b"a\nb", b"a\0b", b"a\x7fb"] {
            assert!(HeaderValue::from_bytes(value).is_err());
        }
    }

    #[test]
    fn what_belongs_to_http_is_not_sent() {
        let mut sent = Metadata::new();
        for name in [
            "connection",
            "te",
            "host",
            "content-type",
            "transfer-encoding",
            "upgrade",
        ] {
            sent.append(name, "x").unwrap();
        }
        let mut headers = HeaderMap::new();
        append_to(&mut headers, &sent);
        assert!(headers.is_empty(), "{headers:?}");
    }

    #[test]
    fn an_entry_does_not_contradict_what_the_call_says() {
        let mut sent = Metadata::new();
        sent.append("traceparent", "its own").unwrap();
        let mut headers = HeaderMap::new();
        append_to(&mut headers, &sent);
        assert_eq!(headers.get("traceparent").unwrap(), "its own");
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_static("the call's"));
        append_to(&mut headers, &sent);
        assert_eq!(headers.get_all("traceparent").iter().count(), 1);
        assert_eq!(headers.get("traceparent").unwrap(), "the call's");
    }

    #[test]
    fn the_size_is_bounded_at_the_limit() {
        let mut metadata = Metadata::new();
        let fits = HeaderValue::try_from("x".repeat(67)).unwrap();
        append_received(&mut metadata, "a", &fits, 100).unwrap();
        let mut metadata = Metadata::new();
        let too_large = HeaderValue::try_from("x".repeat(68)).unwrap();
        let error = append_received(&mut metadata, "a", &too_large, 100).unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted);
    }

    #[test]
    fn a_list_of_nothing_stops_at_the_limit() {
        let mut metadata = Metadata::new();
        let name = format!("{}-bin", "x".repeat(4 * 1024));
        let commas = HeaderValue::try_from(",".repeat(8 * 1024)).unwrap();
        let error = append_received(&mut metadata, &name, &commas, LIMIT).unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted);
        // Eight thousand names of four thousand bytes would be 32 MiB.
        assert!(metadata.len() <= 4);
    }
}
