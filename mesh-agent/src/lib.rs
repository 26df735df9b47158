//! The agent of a host: it knows the mesh's services and tells applications of them.
//!
//! No call passes through it, and none waits for it: what it says is a snapshot that applications
//! keep and decide from by themselves.
//!
//! - [`gossip`]: what carries the words of agents to one another.
//! - [`registry`]: what is known of instances, as plain state: no clock, no task.
//! - [`knowledge`]: the registry as tasks share it: sinks for sources, bells for who watches.
//! - [`source`]: the port of whatever says which instances there are.
//! - [`attach`]: the streams of applications: registrations, heartbeats, watches.
//! - [`health`]: whether instances answer.
//! - [`settling`]: what is yet to be found out after a start.
//! - [`state`]: what is kept on disk, and held over a restart.
//! - [`questions`]: what people ask.
//! - [`metrics`]: the agent's figures.
//! - [`config`], `place`, `daemon`: what it is told, where it is, and the whole of it.
//! - [`service`]: the service that both call.
#![forbid(unsafe_code)]

pub mod attach;
mod chance;
mod clock;
pub mod config;
#[cfg(unix)]
pub mod daemon;
pub mod gossip;
pub mod health;
pub mod knowledge;
pub mod metrics;
#[cfg(unix)]
pub mod place;
pub mod questions;
pub mod registry;
pub mod service;
pub mod settling;
pub mod source;
pub mod state;

/// What an agent says of its build.
pub const BUILD: &str = env!("CARGO_PKG_VERSION");
