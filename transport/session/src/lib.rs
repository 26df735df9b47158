//! The DreamMesh session protocol without I/O: many calls over one byte stream.
//!
//! A [`Session`] is one side of one connection. Bytes and instants go in, events and bytes come
//! out; docs/PROTOCOL.md says what the bytes mean, and the sections of it are cited here.
//!
//! What this crate deliberately does not do: it reads no clock, opens no socket, spawns nothing,
//! awaits nothing and draws no randomness; it neither validates messages nor transcodes them.
//!
//! - [`frame`]: the bytes of every frame, one file a kind.

//! - `session`: the state machine of both roles, the slab of streams and their timers.
//! - `flow`: credit of streams and the connection, and the budget for frames that do no work.
//! - `output`: bytes on their way out, bulk by reference.
//! - `config`, `event`: what a session may use, and what it tells its driver.
//!
//! ```
//! use std::time::Instant;
//! use bytes::{Buf, BytesMut};
//! use dreammesh_session::{Config, Event, Output, Session};
//!
//! # #[allow(clippy::disallowed_methods)]
//! # fn main() {
//! let now = Instant::now();
//! let mut client = Session::<()>::client(Config::default(), now);
//! let mut server = Session::<()>::server(Config::default(), now);
//! let mut output = Output::new();
//! server.poll_output(&mut output, usize::MAX);
//! let mut input = BytesMut::from(output.copy_to_bytes(output.remaining()));
//! client.handle_input(now, &mut input);
//! assert_eq!(client.poll_event(), Some(Event::Connected));
//! # }
//! ```
#![forbid(unsafe_code)]

mod config;
mod event;
mod flow;
pub mod frame;
mod output;
mod session;

pub use config::{Config, Keepalive, METADATA_BYTES_CEILING};
pub use event::{Closed, Event};
pub use flow::MESSAGE_OVERHEAD;
pub use output::Output;
pub use session::{
    Accepted, JudgeLayouts, Landing, MethodAnswer, MethodStanding, OpenError, Sections, Session,
    Stats,
};
