//! How a call of gRPC-Web ended: its trailers, as the last message of the body.

use bytes::Bytes;
use dreammesh_core::call::{Metadata, Status};
use http::HeaderMap;

use crate::grpc::status;

/// The message that ends a body.
pub(super) fn frame(status: &Status, trailers: &Metadata) -> Bytes {
    let mut headers = HeaderMap::with_capacity(2);
    status::write(&mut headers, status, trailers, status::TRAILERS_BYTES);
    let mut out = vec![TRAILERS, 0, 0, 0, 0];
    for (name, value) in &headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    // Trailers are bounded far below what the number can say.
    let length = u32::try_from(out.len() - PREFIX_BYTES).unwrap_or(u32::MAX);
    out[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    out.into()
}

/// The flag of trailers that are not compressed.
const TRAILERS: u8 = 0x80;
const PREFIX_BYTES: usize = crate::grpc::prefix::PREFIX_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_are_lines_behind_a_flag_and_their_length() {
        let mut trailers = Metadata::new();
        trailers.append("cost", "7").unwrap();
        let status = Status::not_found("no such ä");
        let lines = b"grpc-status: 5\r\ngrpc-message: no such %C3%A4\r\ncost: 7\r\n";
        let length = u8::try_from(lines.len()).unwrap();
        let expected = [&[0x80, 0, 0, 0, length], &lines[..]].concat();
        assert_eq!(frame(&status, &trailers), expected);
        let ok = frame(&Status::ok(), &Metadata::new());
        assert_eq!(&ok[5..], b"grpc-status: 0\r\n");
    }
}
