//! The built program: what it writes, and with which exit status it ends.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(unix)]
mod attached;
mod bench;
mod breaking;
mod call;
mod conversation;
mod describe;
mod foreign;
mod idl;
#[cfg(unix)]
mod mesh;
mod scratch;
mod shop;
