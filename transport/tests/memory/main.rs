//! What a peer announces costs no memory: lengths and counts that lie, against real processes.
//!
//! PROTOCOL.md §5.5 says that memory taken anew for a large message is resident only as its bytes
//! arrive and never exceeds them by more than 65,536, and that capacity is reserved only within
//! credit. Here a process of its own serves, or calls, while this one sends it each length and
//! count of the protocol with too large a value and few bytes behind it. The kernel's books of
//! that process tell what it cost: the pages behind it, their highest mark meanwhile, and the
//! highest mark of its address space, in which even a reservation shows that is given back at once
//! and never touched.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod archives;
#[allow(dead_code, reason = "other tests use all of it")]
#[path = "../../src/tls/test_certificates.rs"]
mod authority;
mod child;
mod floods;
mod frames;
mod neighbours;
mod peer;
mod quic_floods;
mod quic_peer;
mod tls;
mod to_client;
mod to_server;
mod watched;
