//! Links, the driver that feeds sessions from them, listeners and connectors.
//!
//! This room turns the decisions of the session and the call model into bytes on a medium. It
//! decides nothing about a call itself, and it knows nothing of the layout of messages.
//!
//! - [`link`]: one file a medium, and the table of schemes that targets may name.
//! - `driver`: the task of a connection.
//! - `grpc`: plain gRPC over HTTP/2.
//! - [`listen`]: the server: addresses, connections, shutdown.
//! - `http`: HTTP on the same port, for the tunnel and for who came by mistake.
//! - [`connect`]: the client: from a target to a channel that keeps its link.
//! - `quic`: connections of several sessions.
//! - [`tls`]: certificates, roots and what each side demands of the other.
//! - `waiting`: the queue of calls that wait for a connection or for room on it.
//! - `web`: calls from browsers, as Connect and gRPC-Web.
#![forbid(unsafe_code)]

pub mod connect;
mod driver;
mod grpc;
mod http;
pub mod link;
pub mod listen;
mod quic;
pub mod tls;
mod waiting;
mod web;

pub use connect::{Connect, ConnectError, Connector, Medium};
pub use grpc::encoding::Encoding;
pub use link::memory::MemoryHub;
pub use listen::{BindError, Server, ServerBuilder, Stopped};
