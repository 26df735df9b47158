//! Simulations in virtual time: many calls, no clock and no network. A seed replays a run.
#![allow(
    clippy::unwrap_used,
    reason = "what a simulation takes for granted, it made itself"
)]

mod picture;
mod replicas;
mod slow_replica;
