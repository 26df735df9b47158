//! Calls from browsers and from tools of HTTP: Connect and gRPC-Web, over HTTP/1.1 and HTTP/2.
//!
//! They are run as those of gRPC are (`grpc::server`); what differs is how a request is read and
//! how its answer is written.
//!
//! - `dialect`: which protocol a request is in, and what its messages are written in.
//! - `asked`: what becomes of a request, by its method, path and headers.
//! - `calls`: how a call begins.
//! - `exchange`: a request of HTTP and its answer as a call.
//! - `body`: the messages in the body of a request.
//! - `text`: bodies in Base64.
//! - `trailers`: how a call of gRPC-Web ended.
//! - `connect`: heads, queries and errors of Connect.
//! - `origins`: whose scripts may call from other origins.

pub(crate) mod asked;
mod body;
pub(crate) mod calls;
mod connect;
pub(crate) mod dialect;
mod exchange;
pub(crate) mod origins;
mod text;
mod trailers;
