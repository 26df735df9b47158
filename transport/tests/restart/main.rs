//! Servers that are replaced under load, each by a process of its own on the same port.
//!
//! The load is an open loop: calls begin when they are due, whatever became of those before. None
//! of their methods is idempotent, so nothing hides a call that was lost, and each server counts
//! what it did, so that nothing hides one that was done twice. `RESTART_RATE` and `RESTART_TURNS`
//! set how many calls are made in a second, and how often the server is replaced.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "calls are due by the wall's clock"
)]
#![allow(clippy::print_stdout, reason = "what was measured is to be seen")]

#[allow(dead_code, reason = "other tests use all of it")]
#[path = "../../src/tls/test_certificates.rs"]
mod authority;
mod certificate;
mod load;
mod ports;
mod process;
mod service;
mod turns;
