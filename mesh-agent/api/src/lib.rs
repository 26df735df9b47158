//! What an application and the agent of its host have in common.
//!
//! The contract itself is in `proto`; everything that comes by it is checked once, when it becomes
//! one of the types here.
//!
//! - [`name`]: services, namespaces and targets.
//! - [`instance`]: the running copies of services.
//! - [`attachment`]: the one stream between an application and the agent of its host.
//! - [`endpoint`]: whether an instance is an endpoint of a target, and how it is dialled.
//! - [`mod@file`]: services that somebody wrote down, with the feature `yaml`.
//! - [`mesh`]: a mesh as an application sees it, and [`member`]: a server of one's own in it.
//! - [`place`]: where the agent of a host is.
//! - [`regular`]: reading files that may turn out to be anything.
//! - [`state`]: what an agent keeps on disk.
//! - [`proto`]: the messages and stubs, as our own compiler generates them.
#![forbid(unsafe_code)]

mod advertise;
pub mod attachment;
mod chance;
mod clock;
pub mod endpoint;
#[cfg(feature = "yaml")]
pub mod file;
pub mod instance;
pub mod member;
pub mod mesh;
pub mod name;
pub mod place;
pub mod regular;
mod resolver;
pub mod state;
#[cfg(feature = "yaml")]
mod watched_file;

/// The messages, clients and servers of the contract.
pub mod proto {
    include!("gen/dreammesh.agent.v1.rs");
}
