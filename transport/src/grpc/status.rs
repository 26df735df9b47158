//! How a call ended: trailers, statuses of HTTP, and codes of resets.

use dreammesh_core::call::{Code, Metadata, Status};
use dreammesh_core::wire::Limits;
use h2::Reason;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::{metadata, percent};

pub(crate) const STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(crate) const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
pub(crate) const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// The bound on trailers that are sent unless the peer says another, in HTTP/2's way of counting.
///
/// What gRPC suggests that a client takes. Where they come to more, the metadata is left out, then
/// the details, then the end of the message: the code says more than what goes with it.
pub(crate) const TRAILERS_BYTES: usize = 8 * 1024;

/// Adds how a call ended to the headers that end it, which hold nothing more than `room_bytes`
/// with it.
pub(crate) fn write(
    headers: &mut HeaderMap,
    status: &Status,
    trailers: &Metadata,
    room_bytes: usize,
) {
    let code = status.code();
    headers.insert(STATUS, code_value(code));
    let mut room = Room(room_bytes);
    room.take(STATUS.as_str().len() + 2);
    if !status.message().is_empty() {
        let overhead = MESSAGE.as_str().len() + Metadata::ENTRY_OVERHEAD_BYTES;
        let message = percent::encode(status.message(), room.0.saturating_sub(overhead));
        room.take(overhead - Metadata::ENTRY_OVERHEAD_BYTES + message.len());
        headers.insert(MESSAGE, message);
    }
    if !status.details().is_empty() {
        let details = metadata::encode(&status.to_proto_bytes());
        if room.take(DETAILS.as_str().len() + details.len()) {
            headers.insert(DETAILS, details);
        }
    }
    if coded_size(trailers) <= room.0 {
        metadata::append_to(headers, trailers);
    }
}

/// How headers that end a call say it ended, or none when they do not.
///
/// The details repeat the code and the message; where they differ, the headers are right, as they
/// are what every client reads, and the details are left out. So are details that cannot be read.
pub(crate) fn read(headers: &HeaderMap) -> Option<Status> {
    let value = headers.get(STATUS)?;
    if value == "0" {
        return Some(Status::ok());
    }
    let message = headers.get(MESSAGE);
    let message = message.map_or_else(String::new, |m| percent::decode(m.as_bytes()).into_owned());
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    let Some(code) = number.map(Code::from_number) else {
        let shown = String::from_utf8_lossy(value.as_bytes());
        return Some(Status::unknown(format!("grpc-status {shown:?}: {message}")));
    };
    let status = Status::new(code, message);
    let details = headers.get(DETAILS).and_then(read_details);
    let Some(details) = details.filter(|details| details.code() == code) else {
        return Some(status);
    };
    Some(
        details
            .details()
            .iter()
            .cloned()
            .fold(status, Status::with_raw_detail),
    )
}

/// What an answer over HTTP means that says nothing of gRPC, by gRPC's own table.
pub(crate) fn of_http(status: StatusCode) -> Status {
    let code = match status.as_u16() {
        400 | 431 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    let text = format!("the answer is no gRPC but HTTP {}", status.as_u16());
    Status::new(code, text)
}

/// What the reset of a stream by the peer means, by gRPC's own table.
pub(crate) fn of_reset(reason: Reason) -> Status {
    let code = match reason {
        Reason::REFUSED_STREAM => Code::Unavailable,
        Reason::CANCEL => Code::Cancelled,
        Reason::ENHANCE_YOUR_CALM => Code::ResourceExhausted,
        Reason::INADEQUATE_SECURITY => Code::PermissionDenied,
        // Not in the table: a server that wants HTTP/1.1 takes no gRPC, and others may.
        _ => Code::Internal,
    };
    Status::new(
        code,
        format!("the peer reset the stream: {}", reason.description()),
    )
}

/// What is left of the room for trailers.
struct Room(usize);

impl Room {
    /// Takes what a header of this name and value needs, or nothing where it is more than is left.
    fn take(&mut self, name_and_value_bytes: usize) -> bool {
        let size_bytes = name_and_value_bytes + Metadata::ENTRY_OVERHEAD_BYTES;
        let Some(left) = self.0.checked_sub(size_bytes) else {
            return false;
        };
        self.0 = left;
        true
    }
}

fn read_details(value: &HeaderValue) -> Option<Status> {
    let bytes = metadata::decode(value.as_bytes())?;
    Status::from_proto_bytes(&bytes, &Limits::default()).ok()
}

/// What the entries come to as headers.
pub(crate) fn coded_size(metadata: &Metadata) -> usize {
    let entry = |(name, value): (&str, &dreammesh_core::call::MetadataValue)| {
        let bytes = value.as_bytes().len();
        let coded = match value {
            dreammesh_core::call::MetadataValue::Text(_) => bytes,
            dreammesh_core::call::MetadataValue::Binary(_) => (bytes * 4).div_ceil(3),
        };
        name.len() + coded + Metadata::ENTRY_OVERHEAD_BYTES
    };
    metadata.iter().map(entry).sum()
}

fn code_value(code: Code) -> HeaderValue {
    const VALUES: [&str; Code::ALL.len()] = [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16",
    ];
    HeaderValue::from_static(VALUES[code as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use dreammesh_core::call::Detail;

    fn written(status: &Status, trailers: &Metadata, room_bytes: usize) -> HeaderMap {
        let mut headers = HeaderMap::new();
        write(&mut headers, status, trailers, room_bytes);
        headers
    }

    fn size(headers: &HeaderMap) -> usize {
        headers
            .iter()
            .map(|(n, v)| n.as_str().len() + v.len() + 32)
            .sum()
    }

    #[test]
    fn every_code_goes_over_and_comes_back() {
        for code in Code::ALL {
            let headers = written(
                &Status::new(code, "ein Käse"),
                &Metadata::new(),
                TRAILERS_BYTES,
            );
            assert_eq!(headers.get(STATUS).unwrap(), &code.number().to_string());
            assert_eq!(headers.get(MESSAGE).is_none(), code == Code::Ok);
            let status = read(&headers).unwrap();
            assert_eq!(status, Status::new(code, "ein Käse"));
        }
    }

    #[test]
    fn typed_details_go_with_it() {
        let detail = Detail::new("type.googleapis.com/a.B", vec![1, 2, 3]);
        let status = Status::not_found("gone").with_raw_detail(detail);
        let headers = written(&status, &Metadata::new(), TRAILERS_BYTES);
        assert_eq!(read(&headers).unwrap(), status);
    }

    #[test]
    fn details_that_contradict_or_cannot_be_read_are_left_out() {
        let detail = Detail::new("type.googleapis.com/a.B", vec![1]);
        let status = Status::not_found("gone").with_raw_detail(detail);
        let mut headers = written(&status, &Metadata::new(), TRAILERS_BYTES);
        headers.insert(STATUS, HeaderValue::from_static("3"));
        assert_eq!(read(&headers).unwrap(), Status::invalid_argument("gone"));
        headers.insert(STATUS, HeaderValue::from_static("5"));
        for bad in ["*", "/w", ""] {
            headers.insert(DETAILS, HeaderValue::from_static(bad));
            assert_eq!(read(&headers).unwrap(), Status::not_found("gone"), "{bad}");
        }
    }

    #[test]
    fn a_code_beyond_the_set_or_of_no_number_is_unknown() {
        for bad in ["17", "4294967295", "4294967296", "x", "", "-1", "+"] {
            let mut headers = HeaderMap::new();
            headers.insert(STATUS, HeaderValue::from_static(bad));
            assert_eq!(read(&headers).unwrap().code(), Code::Unknown, "{bad}");
        }
        assert_eq!(read(&HeaderMap::new()), None);
    }

    #[test]
    fn what_has_no_room_is_left_out_in_its_order() {
        let mut trailers = Metadata::new();
        trailers.append_bin("a-bin", vec![7; 100]).unwrap();
        let detail = Detail::new("type.googleapis.com/a.B", vec![1; 100]);
        let status = Status::aborted("m".repeat(100)).with_raw_detail(detail);
        let all = written(&status, &trailers, TRAILERS_BYTES);
        let needed = size(&all);
        assert_eq!(written(&status, &trailers, needed), all);
        let without_trailers = written(&status, &trailers, needed - 1);
        assert!(without_trailers.get("a-bin").is_none() && without_trailers.contains_key(DETAILS));
        let needed = size(&without_trailers);
        assert_eq!(written(&status, &Metadata::new(), needed), without_trailers);
        let without_details = written(&status, &trailers, needed - 1);
        assert!(!without_details.contains_key(DETAILS));
        let needed = size(&written(&status, &Metadata::new(), 0)) + 99;
        let cut = written(&status, &Metadata::new(), needed);
        assert_eq!(cut.get(MESSAGE).unwrap().len(), 99);
        assert_eq!(size(&cut), needed);
    }

    #[test]
    fn http_and_resets_are_mapped_as_grpc_has_it() {
        for (http, code) in [
            (200, Code::Unknown),
            (400, Code::Internal),
            (401, Code::Unauthenticated),
            (403, Code::PermissionDenied),
            (404, Code::Unimplemented),
            (415, Code::Unknown),
            (429, Code::Unavailable),
            (431, Code::Internal),
            (500, Code::Unknown),
            (502, Code::Unavailable),
            (503, Code::Unavailable),
            (504, Code::Unavailable),
            (505, Code::Unknown),
        ] {
            assert_eq!(
                of_http(StatusCode::from_u16(http).unwrap()).code(),
                code,
                "{http}"
            );
        }
        for (reason, code) in [
            (Reason::NO_ERROR, Code::Internal),
            (Reason::PROTOCOL_ERROR, Code::Internal),
            (Reason::REFUSED_STREAM, Code::Unavailable),
            (Reason::CANCEL, Code::Cancelled),
            (Reason::ENHANCE_YOUR_CALM, Code::ResourceExhausted),
            (Reason::INADEQUATE_SECURITY, Code::PermissionDenied),
            (Reason::HTTP_1_1_REQUIRED, Code::Internal),
            (Reason::from(99), Code::Internal),
        ] {
            assert_eq!(of_reset(reason).code(), code, "{reason:?}");
        }
    }
}
