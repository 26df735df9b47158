//! Answers as gRPC has them: heads, messages and trailers.

use std::sync::Arc;

use bytes::Bytes;
use dreammesh_core::call::{Metadata, Status};
use dreammesh_core::port::Outcome;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response};

use super::exchange::{Exchange, Gone};
use super::held::Held;
use crate::grpc::form::Form;
use crate::grpc::{encoding, head, metadata, status};

impl Form {
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

/// With 1024 streams, 4 MiB.
const UNCOUNTED_BYTES: usize = 4096;
