//! Answers as gRPC has them: heads, messages and trailers.

use std::sync::Arc;

use bytes::Bytes;
use dreammesh_core::call::{Metadata, Status};
use dreammesh_core::port::Outcome;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response};

use super::exchange::{Exchange, Gone, Http2, Transfer as _};
use super::held::Held;
use crate::grpc::encoding::{self, Encoding};
use crate::grpc::form::Form;
use crate::grpc::{head, metadata, status};

impl Exchange for Http2 {
    fn begin(&mut self, encoding: Option<Encoding>, headers: &Metadata) -> Result<(), Gone> {
        let mut head = head_of(headers);
        if let Some(encoding) = encoding {
            let headers = head.headers_mut();
            headers.insert(encoding::ENCODING, encoding.value());
        }
        self.send_head(head, false)
    }

    fn send_data(&mut self, data: Bytes) -> Result<(), Gone> {
        self.send_body(data, false)
    }

    fn end(&mut self, status: &Status, trailers: &Metadata) -> Result<(), Gone> {
        let mut headers = HeaderMap::with_capacity(2);
        status::write(&mut headers, status, trailers, status::TRAILERS_BYTES);
        self.send_trailers(headers)
    }

    fn fail(
        &mut self,
        status: &Status,
        headers: &Metadata,
        trailers: &Metadata,
    ) -> Result<(), Gone> {
        self.send_head(trailers_only(status, headers, trailers), true)
    }

    fn refuse(&mut self, status: &Status) {
        let none = Metadata::new();
        let mut answer = trailers_only(status, &none, &none);
        // By whatever it was refused, this says what would have been right of its encoding.
        answer
            .headers_mut()
            .insert(encoding::ACCEPT_ENCODING, encoding::ACCEPTED);
        // Whoever is gone needs no answer.
        let _ = self.send_head(answer, true);
        self.leave_rest();
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
        compression,
        trailers,
    } = outcome;
    let message = match message {
        // One alone may be as long as it is.
        Some(_) if status.is_ok() && held.bytes() >= UNREAD_BYTES_MAX => Err(unread()),
        Some(message) if status.is_ok() => form.message(message, compression),
        _ => Err(status),
    };
    match message {
        Ok((first, rest)) => {
            exchange.begin(form.encoding(compression), &headers)?;
            exchange.send_data(counted(first, held))?;
            for part in rest {
                exchange.send_data(counted(part, held))?;
            }
            exchange.end(&Status::ok(), &trailers)
        }
        Err(status) => exchange.fail(&status, &headers, &trailers),
    }
}

/// An answer that is nothing but how the call ended.
fn trailers_only(status: &Status, headers: &Metadata, trailers: &Metadata) -> Response<()> {
    let mut response = head_of(headers);
    status::write(
        response.headers_mut(),
        status,
        trailers,
        status::TRAILERS_BYTES,
    );
    response
}

fn unread() -> Status {
    Status::resource_exhausted(format!(
        "the answer is not kept: the caller has {UNREAD_BYTES_MAX} bytes of others to read"
    ))
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

/// What may be held of the answers of a connection: what 64 handlers give that wait for something and
/// then answer at once with the largest messages that clients take by default.
const UNREAD_BYTES_MAX: usize = 256 * 1024 * 1024;
/// With 1024 streams, 4 MiB.
const UNCOUNTED_BYTES: usize = 4096;
