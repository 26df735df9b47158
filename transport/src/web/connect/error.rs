//! How a call of Connect ended: an error in JSON, and a status of HTTP where the answer is one.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use dreammesh_core::call::{Code, Metadata, Status};
use http::{HeaderMap, StatusCode};

use crate::grpc::metadata;
use crate::grpc::prefix::PREFIX_BYTES;

/// The status of HTTP of an answer that is an error.
pub(crate) fn http_status(code: Code) -> StatusCode {
    let number = match code {
        Code::Ok => 200,
        Code::Cancelled => 499,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => 400,
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::NotFound => 404,
        Code::AlreadyExists | Code::Aborted => 409,
        Code::ResourceExhausted => 429,
        Code::Unimplemented => 501,
        Code::Unavailable => 503,
        Code::DeadlineExceeded => 504,
        Code::Unknown | Code::Internal | Code::DataLoss => 500,
    };
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// An error as the body of an answer.
pub(crate) fn body(status: &Status) -> Bytes {
    let mut out = String::new();
    write_error(&mut out, status);
    out.into()
}

/// The message that ends a stream: what went wrong, if anything did, and the trailers.
pub(crate) fn end(status: &Status, trailers: &Metadata) -> Bytes {
    let mut out = String::from("{");
    if !status.is_ok() {
        out.push_str("\"error\":");
        write_error(&mut out, status);
    }
    if !trailers.is_empty() {
        out.push_str(if status.is_ok() { "" } else { "," });
        out.push_str("\"metadata\":{");
        write_metadata(&mut out, trailers);
        out.push('}');
    }
    out.push('}');
    let length = u32::try_from(out.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut framed = Vec::with_capacity(PREFIX_BYTES + out.len());
    framed.push(END_STREAM);
    framed.extend_from_slice(&length);
    framed.extend_from_slice(out.as_bytes());
    framed.into()
}

fn write_error(out: &mut String, status: &Status) {
    out.push_str("{\"code\":");
    write_string(out, name(status.code()));
    if !status.message().is_empty() {
        out.push_str(",\"message\":");
        write_string(out, status.message());
    }
    let mut separator = ",\"details\":[";
    for detail in status.details() {
        out.push_str(separator);
        out.push_str("{\"type\":");
        write_string(out, detail.type_name());
        out.push_str(",\"value\":\"");
        STANDARD_NO_PAD.encode_string(detail.value(), out);
        out.push_str("\"}");
        separator = ",";
    }
    out.push_str(if status.details().is_empty() {
        "}"
    } else {
        "]}"
    });
}

fn write_metadata(out: &mut String, trailers: &Metadata) {
    let mut headers = HeaderMap::new();
    metadata::append_to(&mut headers, trailers);
    let mut separator = "";
    for name in headers.keys() {
        out.push_str(separator);
        write_string(out, name.as_str());
        let mut before = ":[";
        for value in headers.get_all(name) {
            out.push_str(before);
            write_string(out, value.to_str().unwrap_or_default());
            before = ",";
        }
        out.push(']');
        separator = ",";
    }
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\0'..' ' => _ = write!(out, "\\u{:04x}", u32::from(character)),
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// The name of a code in Connect.
const fn name(code: Code) -> &'static str {
    match code {
        // There is no error of that code.
        Code::Ok | Code::Unknown => "unknown",
        Code::Cancelled => "canceled",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

/// The flag of the message that ends a stream.
const END_STREAM: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use dreammesh_core::call::Detail;

    fn text(bytes: &[u8]) -> &str {
        str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_error_is_its_code_its_message_and_its_details() {
        let bare = Status::cancelled("");
        assert_eq!(text(&body(&bare)), r#"{"code":"canceled"}"#);
        let status = Status::not_found("no \"ä\"\n\\")
            .with_raw_detail(Detail::new(
                "type.googleapis.com/a.B",
                Bytes::from_static(&[255]),
            ))
            .with_raw_detail(Detail::new("c.D", Bytes::new()));
        assert_eq!(
            text(&body(&status)),
            r#"{"code":"not_found","message":"no \"ä\"\u000a\\","details":["#.to_owned()
                + r#"{"type":"a.B","value":"/w"},{"type":"c.D","value":""}]}"#
        );
    }

    #[test]
    fn a_stream_ends_with_its_error_and_its_trailers() {
        let none = Metadata::new();
        assert_eq!(end(&Status::ok(), &none), [2, 0, 0, 0, 2, b'{', b'}'][..]);
        let mut trailers = Metadata::new();
        trailers.append("cost", "7").unwrap();
        trailers.append("cost", "8").unwrap();
        trailers.append_bin("sum-bin", vec![1]).unwrap();
        let metadata = r#""metadata":{"cost":["7","8"],"sum-bin":["AQ"]}"#;
        let well = end(&Status::ok(), &trailers);
        assert_eq!(text(&well[5..]), format!("{{{metadata}}}"));
        let ill = end(&Status::aborted("x"), &trailers);
        let error = r#""error":{"code":"aborted","message":"x"}"#;
        assert_eq!(text(&ill[5..]), format!("{{{error},{metadata}}}"));
        let [flag, length @ ..] = ill.first_chunk::<5>().unwrap();
        let length = u32::from_be_bytes(*length) as usize;
        assert_eq!((*flag, length), (2, ill.len() - 5));
    }

    #[test]
    fn every_code_has_a_name_and_a_status_of_its_table() {
        let mut names = std::collections::HashSet::new();
        for code in Code::ALL.into_iter().filter(|code| *code != Code::Ok) {
            assert!(names.insert(name(code)), "{code}");
            let upper = code.name().replace("CANCELLED", "CANCELED");
            assert_eq!(name(code).to_uppercase(), upper);
            assert!(!http_status(code).is_success());
        }
        for (code, status) in [
            (Code::Cancelled, 499),
            (Code::Unknown, 500),
            (Code::InvalidArgument, 400),
            (Code::DeadlineExceeded, 504),
            (Code::NotFound, 404),
            (Code::AlreadyExists, 409),
            (Code::PermissionDenied, 403),
            (Code::ResourceExhausted, 429),
            (Code::FailedPrecondition, 400),
            (Code::Aborted, 409),
            (Code::OutOfRange, 400),
            (Code::Unimplemented, 501),
            (Code::Internal, 500),
            (Code::Unavailable, 503),
            (Code::DataLoss, 500),
            (Code::Unauthenticated, 401),
        ] {
            assert_eq!(http_status(code), status);
        }
    }
}
