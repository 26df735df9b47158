//! How a call begins that comes in a protocol for browsers.

use std::sync::Arc;
use std::time::Instant;

use dreammesh_core::call::{Deadline, Metadata, Status};
#[cfg(feature = "json")]
use dreammesh_core::wire::Layout;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use super::body::Body;
use super::connect::{head as connect, query};
use super::dialect::{Dialect, Protocol};
use super::exchange::Web;
use super::origins::Origins;
use crate::driver::route::Route;
use crate::driver::timer;
use crate::grpc::form::Codec;
use crate::grpc::head::{self, RequestHead};
use crate::grpc::server::exchange::{Exchange as _, Transfer};
use crate::grpc::server::handling::{Handling, Prepared, deadline, overdue};
use crate::grpc::server::stream::Incoming;
use crate::grpc::timeout;

/// What a server settles on for calls from browsers.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Whose scripts may call from other origins.
    pub(crate) origins: Origins,
    /// The messages that an `Any` may hold in JSON.
    #[cfg(feature = "json")]
    pub(crate) types: Arc<[&'static Layout]>,
}

/// What a request says before its handler sees it.
struct Read {
    route: Arc<Route>,
    head: RequestHead,
    body: Option<Body>,
}

/// Begins a call that came then, or says what is wrong with it.
pub(crate) fn begin<T: Transfer>(
    handling: &Handling,
    settings: &Settings,
    dialect: Dialect,
    parts: &Parts,
    transfer: T,
    arrived: Instant,
) {
    let sharing = settings.origins.sharing(&parts.headers);
    let mut exchange = Web::new(transfer, dialect, sharing);
    let Read { route, head, body } = match read(handling, dialect, parts, arrived) {
        Ok(read) => read,
        Err(status) => return exchange.refuse(&status),
    };
    if let Some(body) = body {
        exchange.expect(body);
    }
    handling.call_stream(Prepared {
        form: handling.form(&route, &head, codec(dialect, settings)),
        incoming: Incoming::new(handling.message_bytes_max(), head.encoding)
            .long(takes_long(dialect, parts)),
        call: handling.server_call(&route, head, dialect.protocol.spoken(), arrived),
        route,
        exchange,
    });
}

/// By when a call has to have ended that came then; what is wrong with it is said when it begins.
pub(crate) fn due(dialect: Dialect, parts: &Parts, arrived: Instant) -> Option<Deadline> {
    let timeout = match dialect.protocol {
        Protocol::GrpcWeb { .. } => timeout::read(parts.headers.get(head::TIMEOUT)?),
        _ => connect::timeout(parts.headers.get(connect::TIMEOUT)?),
    };
    deadline(timeout.ok(), arrived)
}

/// Tells the caller of a call that has not begun that its time is over.
pub(crate) fn end_overdue<T: Transfer>(
    settings: &Settings,
    dialect: Dialect,
    parts: &Parts,
    transfer: T,
) {
    let sharing = settings.origins.sharing(&parts.headers);
    Web::new(transfer, dialect, sharing).refuse(&overdue());
}

fn read(
    handling: &Handling,
    dialect: Dialect,
    parts: &Parts,
    arrived: Instant,
) -> Result<Read, Status> {
    let route = handling.find(parts.uri.path())?;
    let (headers, limit) = (&parts.headers, Metadata::DEFAULT_LIMIT_BYTES);
    let message_bytes_max = handling.message_bytes_max();
    let (head, body) = match dialect.protocol {
        Protocol::GrpcWeb { .. } => {
            check_plain(headers)?;
            (RequestHead::read(headers, limit)?, None)
        }
        Protocol::Stream => {
            check_plain(headers)?;
            (connect::read(headers, true, limit)?, None)
        }
        Protocol::Unary => {
            let head = connect::read(headers, false, limit)?;
            let sum = Arc::clone(&handling.gathered);
            let (is_compressed, length) = (head.encoding.is_some(), length(headers));
            let body = Body::whole(is_compressed, length, message_bytes_max, sum)?;
            (head, Some(body))
        }
        Protocol::Get => {
            let mut head = connect::read(headers, false, limit)?;
            let asked = query::read(parts.uri.query().unwrap_or_default())?;
            head.encoding = asked.encoding;
            if let (Some(encoding), false) = (asked.encoding, headers.contains_key(ACCEPT)) {
                head.accepts.insert(encoding);
            }
            let body = Body::given(asked.encoding.is_some(), asked.message)?;
            (head, Some(body))
        }
    };
    // A time that is over already, or was while the call waited, leaves nothing to begin.
    match deadline(head.timeout, arrived) {
        Some(deadline) if deadline.is_past(timer::now()) => Err(overdue()),
        _ => Ok(Read { route, head, body }),
    }
}

/// How long the body is, if that is said.
fn length(headers: &HeaderMap) -> Option<usize> {
    let length = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    length.parse().ok()
}

/// Whether a request is read in a task, since the others of the connection wait for what is done
/// without one: JSON is read slowly, and one packet may end as many requests as there may be calls.
fn takes_long(dialect: Dialect, parts: &Parts) -> bool {
    let length = match dialect.protocol {
        Protocol::Get => parts.uri.query().map(str::len),
        _ => length(&parts.headers),
    };
    dialect.json && length.is_none_or(|length| length > JSON_BYTES_MAX)
}

/// Whether a body that consists of messages is one as it came, and not compressed as a whole.
fn check_plain(headers: &HeaderMap) -> Result<(), Status> {
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    match headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
        true => Ok(()),
        false => Err(Status::unimplemented(
            "the messages of this protocol are compressed one by one, and not by content-encoding",
        )),
    }
}

fn codec(dialect: Dialect, settings: &Settings) -> Codec {
    match dialect.json {
        #[cfg(feature = "json")]
        true => Codec::Json(Arc::clone(&settings.types)),
        _ => {
            #[cfg(not(feature = "json"))]
            let _ = settings;
            match dialect.protocol {
                Protocol::GrpcWeb { .. } => Codec::Protobuf,
                Protocol::Unary | Protocol::Get | Protocol::Stream => Codec::ReadProtobuf,
            }
        }
    }
}

const ACCEPT: http::HeaderName = http::header::ACCEPT_ENCODING;
/// What a connection reads of JSON without a task: as long as most requests are.
const JSON_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_json_is_read_in_a_task() {
        for (json, length, expected) in [
            (true, Some(JSON_BYTES_MAX), false),
            (true, Some(JSON_BYTES_MAX + 1), true),
            (true, None, true),
            (false, None, false),
        ] {
            let (mut parts, ()) = http::Request::new(()).into_parts();
            let header = length.map(|length| (CONTENT_LENGTH, length.into()));
            parts.headers.extend(header);
            let protocol = Protocol::Unary;
            assert_eq!(takes_long(Dialect { protocol, json }, &parts), expected);
        }
    }
}
