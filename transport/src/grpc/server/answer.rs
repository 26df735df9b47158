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
pub(in crate::grpc) struct Form {
    pub(in crate::grpc) layout: &'static Layout,
    /// What they may be compressed with.
    pub(in crate::grpc) encoding: Option<Encoding>,
}

impl Form {
    /// A message with its prefix, as it is sent: a first part, and often nothing behind it.
    ///
    /// # Errors
    /// INTERNAL when the segment is no archive of the layout, RESOURCE_EXHAUSTED when gRPC has no
    /// message so long.
    pub(in crate::grpc) fn message(&self, message: Segment) -> Result<(Bytes, Vec<Bytes>), Status> {
        let mut length = 0;
        let mut prefixed = Ok(());
        let prefix = |message_bytes| {
            length = message_bytes;
            prefix::prefix(false, length).unwrap_or_else(|status| {
                prefixed = Err(status);
                [0; PREFIX_BYTES]
            })
        };
        let parts = message::send_parts(message, self.layout, prefix)
            .map_err(|error| Status::internal(format!("the message cannot be sent: {error}")))?;
        prefixed?;
        match self.encoding {
            Some(encoding) if length >= COMPRESSED_BYTES_MIN => compressed(encoding, parts),
            _ => Ok(parts),
        }
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

/// The same message, compressed if that makes it shorter.
fn compressed(
    encoding: Encoding,
    parts: (Bytes, Vec<Bytes>),
) -> Result<(Bytes, Vec<Bytes>), Status> {
    let (first, rest) = &parts;
    let joined;
    let message = match rest.is_empty() {
        true => &first[PREFIX_BYTES..],
        false => {
            joined = [&first[PREFIX_BYTES..], &rest.concat()].concat();
            &joined
        }
    };
    let short = encoding.compress(message);
    if short.len() >= message.len() {
        return Ok(parts);
    }
    let prefix = prefix::prefix(true, short.len())?;
    Ok((Bytes::copy_from_slice(&prefix), vec![short]))
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
        Ok((first, rest)) => {
            exchange.send_head(form.head(&headers), false)?;
            exchange.send_data(counted(first, held))?;
            for part in rest {
                exchange.send_data(counted(part, held))?;
            }
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
