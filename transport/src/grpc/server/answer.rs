//! Answers as gRPC has them: heads, messages and trailers.

use bytes::Bytes;
use dreammesh_core::call::{Metadata, Status};
use dreammesh_core::message;
use dreammesh_core::port::Outcome;
use dreammesh_core::wire::{Layout, Segment};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response};

use super::exchange::{Exchange, Gone};
use super::held::Held;
use crate::grpc::encoding::{self, Encoding};
use crate::grpc::prefix::{self, PREFIX_BYTES};
use crate::grpc::{head, metadata, status};
use std::sync::Arc;

/// How the messages of an answer are formed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) layout: &'static Layout,
    /// What they may be compressed with.
    pub(super) encoding: Option<Encoding>,
}

impl Form {
    /// A message with its prefix, as it is sent.
    ///
    /// # Errors
    /// INTERNAL when the segment is no archive of the layout, RESOURCE_EXHAUSTED when gRPC has no
    /// message so long.
    pub(super) fn message(&self, message: Segment) -> Result<Bytes, Status> {
        let mut out = vec![0; PREFIX_BYTES];
        message::append_protobuf(message, self.layout, &mut out)
            .map_err(|error| Status::internal(format!("the message cannot be sent: {error}")))?;
        if let Some(encoding) = self.encoding
            && out.len() - PREFIX_BYTES >= COMPRESSED_BYTES_MIN
        {
            let short = encoding.compress(&out[PREFIX_BYTES..]);
            // What does not become shorter is better sent as it is.
            if short.len() < out.len() - PREFIX_BYTES {
                let prefix = prefix::prefix(true, short.len())?;
                return Ok([&prefix[..], &short].concat().into());
            }
        }
        let prefix = prefix::prefix(false, out.len() - PREFIX_BYTES)?;
        out[..PREFIX_BYTES].copy_from_slice(&prefix);
        Ok(out.into())
    }

    /// What stands before the messages.
    pub(super) fn head(&self, headers: &Metadata) -> Response<()> {
        let mut response = head_of(headers);
        if let Some(encoding) = self.encoding {
            let headers = response.headers_mut();
            headers.insert(encoding::ENCODING, encoding.value());
        }
        response
    }
}

/// Sends all of the answer of a method with one response.
///
/// Its head, its message and its trailers are handed over at once, so that they leave in one write.
pub(super) fn send_whole<E: Exchange>(
    exchange: &mut E,
    outcome: Outcome,
    form: &Form,
    held: &Arc<Held>,
) -> Result<(), Gone> {
    let Outcome {
        status,
        headers,
        message,
        trailers,
    } = outcome;
    let message = match message {
        Some(message) if status.is_ok() => form.message(message),
        _ => Err(status),
    };
    match message {
        Ok(message) => {
            exchange.send_head(form.head(&headers), false)?;
            exchange.send_data(counted(message, held))?;
            exchange.send_trailers(trailers_of(&Status::ok(), &trailers))
        }
        Err(status) => exchange.send_head(trailers_only(&status, &headers, &trailers), true),
    }
}

/// An answer that is nothing but how the call ended.
pub(super) fn trailers_only(
    status: &Status,
    headers: &Metadata,
    trailers: &Metadata,
) -> Response<()> {
    let mut response = head_of(headers);
    status::write(
        response.headers_mut(),
        status,
        trailers,
        status::TRAILERS_BYTES,
    );
    response
}

/// How a call ended, behind its messages.
pub(super) fn trailers_of(status: &Status, trailers: &Metadata) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(2);
    status::write(&mut headers, status, trailers, status::TRAILERS_BYTES);
    headers
}

/// The same bytes, which count if they are many; few are bounded by the number of streams.
fn counted(message: Bytes, held: &Arc<Held>) -> Bytes {
    match message.len() {
        ..UNCOUNTED_BYTES => message,
        _ => held.count(message),
    }
}

fn head_of(headers: &Metadata) -> Response<()> {
    let mut response = Response::new(());
    let into = response.headers_mut();
    into.reserve(2);
    into.insert(CONTENT_TYPE, head::GRPC);
    metadata::append_to(into, headers);
    response
}

/// A shorter message leaves in one packet whatever is done to it.
const COMPRESSED_BYTES_MIN: usize = 512;
/// With 1024 streams, 4 MiB.
const UNCOUNTED_BYTES: usize = 4096;
