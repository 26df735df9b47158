//! The call model of DreamMesh and every decision about a call.
//!
//! A call is data ([`call`]) that a channel hands to a connection through the port ([`port`]);
//! the other side's carrier hands it to a handler. What a handler's own calls inherit is its
//! [`context`].
//!
//! What this crate deliberately does not do: it opens no socket, names no medium, spawns no task
//! and owns no timer. Time and randomness are arguments of every decision.
//!
//! - [`call`]: the plain data of a call: status, metadata, deadline, trace, method, error.
//! - [`port`]: the seam to whatever carries calls, in process or over a session.
//! - [`wire`]: the archived form of messages.
//! - [`context`]: what calls made inside a handler inherit.
//! - [`codegen`]: what generated code names.
//! - [`wkt`]: protobuf's well-known types; [`rpc`]: those of `google.rpc`.
#![forbid(unsafe_code)]

pub mod call;
#[cfg(test)]
mod clock;
pub mod codegen;
pub mod context;
pub mod port;
pub mod rpc;
pub mod wkt;

pub use dreammesh_wire as wire;
