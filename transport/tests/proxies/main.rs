//! Tunnels through proxies that are not ours, and clients of HTTP and QUIC that are not ours.
//!
//! `DREAMMESH_TEST_PROXIES` names the directory into which `cargo xtask test` has brought nginx,
//! Envoy, h2load, aioquic and gtlsclient; curl is the machine's own. Where a test lets time pass, it is because a
//! proxy's timers are what it is about.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "the proxies' timers run on the wall's clock"
)]
#![allow(clippy::print_stdout, reason = "what was measured is to be seen")]

mod calls;
mod clients;
#[path = "../conformance/echo.rs"]
#[allow(
    dead_code,
    reason = "shared with the conformance suite, which uses all of it"
)]
mod echo;
mod envoy;
mod nginx;
mod programs;
mod quic;
