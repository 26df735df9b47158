//! Channels between two network namespaces, where a firewall comes and goes.
//!
//! `DREAMMESH_TEST_NAMESPACES` names the directory into which `cargo xtask test` has brought nft and
//! ip. Making namespaces takes the rights of root. Time passes here as it does for users, since what
//! is told of are delays.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "what a firewall delays is measured by the wall's clock"
)]
#![allow(clippy::print_stdout, reason = "what was measured is to be seen")]

#[path = "../conformance/echo.rs"]
#[allow(
    dead_code,
    reason = "shared with the conformance suite, which uses all of it"
)]
mod echo;
mod moves;
mod network;
mod outage;
mod site;
