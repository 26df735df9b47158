//! Plain gRPC over HTTP/2, for peers that speak no session.
//!
//! What both sides share neither does I/O nor knows a runtime; it turns headers into what the call
//! model knows and back. The rules are those of gRPC over HTTP/2.
//!
//! - `client`: the client's side.
//! - `form`: messages as they are sent.
//! - `prefix`: the five bytes before each message.
//! - `head`: the headers of a request.
//! - `metadata`: entries of metadata as headers.
//! - `timeout`: `grpc-timeout`.
//! - `status`: how a call ended: trailers, HTTP statuses, codes of resets.
//! - `percent`: text that a header cannot hold as it is.
//! - `encoding`: compressed messages.
//! - `json`: messages in JSON.
//! - `server`: calls that come as gRPC.

pub(crate) mod client;
pub(crate) mod encoding;
pub(crate) mod form;
pub(crate) mod head;
#[cfg(feature = "json")]
mod json;
pub(crate) mod metadata;
pub(crate) mod percent;
pub(crate) mod prefix;
pub(crate) mod server;
pub(crate) mod status;
pub(crate) mod timeout;
