//! The client and the server of gRPC's interoperability tests against each other, and against gRPC's
//! own implementation, each in a process of its own.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bounds;
mod cases;
mod connect;
mod foreign;
mod running;
