//! How a call ended, from what HTTP/2 says of its stream.

use dreammesh_core::call::{Begun, Code, Initiator, Metadata, Status};
use dreammesh_core::port::Ended;
use h2::Reason;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::response;

use super::super::{head, metadata, status};

/// The end that a stream or its connection came to by an error.
///
/// The server has provably not begun a stream that it refused, or one beyond the last that it
/// names when it goes away: those are the only ones that `h2` ends with the peer's GOAWAY.
pub(super) fn of_error(error: &h2::Error) -> Ended {
    if error.is_reset() && error.is_remote() {
        let reason = error.reason().unwrap_or(Reason::INTERNAL_ERROR);
        let begun = match reason {
            Reason::REFUSED_STREAM => Begun::No,
            _ => Begun::Maybe,
        };
        return Ended::by_peer(status::of_reset(reason), begun, Metadata::new());
    }
    if error.is_reset() {
        let text = format!("the server breaks the rules of HTTP/2: {error}");
        return Ended::by_library(Status::internal(text), Begun::Maybe);
    }
    if error.is_go_away() && error.is_remote() {
        return Ended {
            initiator: Initiator::Peer,
            ..lost("the server goes away", Begun::No)
        };
    }
    lost(&error.to_string(), Begun::Maybe)
}

/// The end of a call whose connection was lost.
pub(super) fn lost(reason: &str, begun: Begun) -> Ended {
    let text = format!("the connection is lost: {reason}");
    Ended::by_library(Status::unavailable(text), begun)
}

/// The headers of a server and where its answer goes on.
#[derive(Debug)]
pub(super) enum Head {
    /// Messages follow.
    Answer,
    /// That is all: how the call ended.
    Over(Result<Metadata, Ended>),
}

/// Reads the first headers of a server, `last` if nothing follows them.
pub(super) fn read_head(parts: &response::Parts, last: bool, limit_bytes: usize) -> Head {
    let is_grpc = head::is_grpc(&parts.headers);
    // A status that is given says more than HTTP's, whatever that is.
    let is_ok = parts.status == http::StatusCode::OK;
    if last && (is_grpc && is_ok || parts.headers.contains_key(status::STATUS)) {
        return Head::Over(read_end(Some(&parts.headers), limit_bytes));
    }
    if is_ok && is_grpc {
        return Head::Answer;
    }
    if !is_ok {
        return Head::Over(Err(by_peer(status::of_http(parts.status))));
    }
    let shown = parts
        .headers
        .get(CONTENT_TYPE)
        .map(|value| value.as_bytes());
    let shown = String::from_utf8_lossy(shown.unwrap_or_default()).into_owned();
    let text = format!("the answer is no gRPC: its content type is {shown:?}");
    Head::Over(Err(by_peer(Status::unknown(text))))
}

/// Reads how a call ended from the headers that end it, or from there being none.
pub(super) fn read_end(headers: Option<&HeaderMap>, limit_bytes: usize) -> Result<Metadata, Ended> {
    let Some(headers) = headers else {
        let text = "the server ended its answer without saying how";
        return Err(by_peer(Status::internal(text)));
    };
    let Some(status) = status::read(headers) else {
        let text = "the server ended its answer without grpc-status";
        return Err(by_peer(Status::unknown(text)));
    };
    let read = read_metadata(headers, limit_bytes);
    if status.is_ok() {
        return read;
    }
    // A failure says more than what goes with it.
    let trailers = read.unwrap_or_default();
    Err(Ended::by_peer(status, Begun::Maybe, trailers))
}

/// The metadata in headers of a server.
pub(super) fn read_metadata(headers: &HeaderMap, limit_bytes: usize) -> Result<Metadata, Ended> {
    let mut read = Metadata::new();
    for (name, value) in headers {
        metadata::append_received(&mut read, name.as_str(), value, limit_bytes)
            .map_err(|status| Ended::by_library(status, Begun::Maybe))?;
    }
    Ok(read)
}

/// An end that the server stated or somebody between did.
fn by_peer(status: Status) -> Ended {
    Ended::by_peer(status, Begun::Maybe, Metadata::new())
}

/// Whether a server may have cancelled a call because its deadline had passed there.
pub(super) fn is_cancelled_by_server(ended: &Ended) -> bool {
    ended.initiator == Initiator::Peer && ended.status.code() == Code::Cancelled
}
