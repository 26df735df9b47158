//! The client of plain gRPC against servers of HTTP/2 that answer whatever a test wants.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests measure time on the paused clock"
)]

mod answers;
mod brake;
mod chain;
mod connections;
mod frames;
mod hop;
mod raw;
mod requests;
mod secure;
#[cfg(unix)]
mod unix;
mod windows;
