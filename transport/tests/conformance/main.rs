//! What every link must carry: the suite runs over each medium in turn.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests measure time on the paused clock"
)]

mod announced;
#[path = "../../src/tls/test_certificates.rs"]
mod authority;
mod balanced;
mod bounds;
#[path = "../grpc/brake.rs"]
mod brake;
mod calls;
mod certificates;
mod echo;
mod endings;
mod grpc_server;
mod healing;
#[path = "../grpc/hop.rs"]
mod hop;
mod hostile;
mod http;
mod media;
mod one;
mod places;
mod pool;
mod quic;
mod relayed;
mod retries;
mod secured;
mod silence;
mod table;
mod tcp_relay;
mod tls;
mod tooling;
mod tunnel;
mod udp_relay;
#[cfg(target_os = "linux")]
mod users;
mod web;
