//! Plain gRPC over HTTP/2, for peers that speak no session.
//!
//! - `prefix`: the five bytes before each message.

#[allow(dead_code, reason = "both sides are built on this next")]
pub(crate) mod prefix;
