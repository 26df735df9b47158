//! DreamMesh: an ordinary `.proto` file in, typed clients and servers out, messages read in place.
//!
//! This crate is the front door: what a program needs day to day under one name. It decides
//! nothing itself. The call model is in `dreammesh-core`, links and listeners are in
//! `dreammesh-transport`, and the compiler that a build script calls is `dreammesh-codegen`.
//!
//! ```no_run
//! use dreammesh::{Channel, Connect, Server};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().bind("dreammesh+tcp://127.0.0.1:0").await?;
//! let channel = Channel::connect(&server.target()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! - Clients: [`Channel`], [`Connect`] and [`Connector`]; a failed call is a [`CallError`].
//! - Servers: [`Server`]; a failed handler returns a [`Status`].
//! - Messages: [`Msg`] as received, [`IntoMessage`] as sent; [`wkt`] and [`rpc`] for protobuf's own.
//! - Messages outside of calls: [`Protobuf`], and [`Json`] with the feature `json` (on by default).
//! - Encryption and identity: [`tls`].
//! - Around calls: [`Metrics`], [`layer`].
//! - A mesh of services, found by name: [`Mesh`], [`Connect`] to `mesh://` targets, and [`Announce`]
//!   for servers.
//! - Several endpoints for one channel: [`balance`], [`resolve`], [`Connector::balanced`].
#![forbid(unsafe_code)]

use std::future::Future;
use std::io;

pub use dreammesh_core::call::{
    Begun, CallError, Code, Compression, Deadline, Endpoint, Extensions, Idempotency, Initiator,
    Metadata, MetadataError, MetadataValue, MethodInfo, MethodKind, Peer, Priority, Receiver,
    Request, Response, Sender, Status, Timeout, TraceContext, WireOption,
};
pub use dreammesh_core::channel::{
    BidiCall, Channel, ChannelBuilder, ClientStreamingCall, Requests, ServerStreamingCall,
    UnaryCall,
};
pub use dreammesh_core::codec::{Json, Protobuf};
pub use dreammesh_core::layer::{
    CallCounts, ConnectFailure, ConnectionEnd, ConnectionSnapshot, MethodSnapshot, Metrics, Side,
};
pub use dreammesh_core::port::{Protocol, WireMode};
pub use dreammesh_core::server::{Router, Service};
pub use dreammesh_core::wire::{
    Encode, Encoded, IntoMessage, Limits, ListView, MapView, Message, Msg, OpenEnum, UnknownFields,
    WireError,
};
pub use dreammesh_core::{balance, codegen, layer, resolve, rpc, wkt};
pub use dreammesh_services::{Health, ServingStatus};
pub use dreammesh_transport::tls;
pub use dreammesh_transport::{
    BindError, ConnectError, Connector, Encoding, Medium, MemoryHub, Server, ServerBuilder, Stopped,
};

pub use mesh::{Announce, Connect, IntoMember, Member, Mesh, MeshBuilder, MeshError};

mod mesh;

#[cfg(doctest)]
#[doc = include_str!("../../docs/MESH.md")]
mod mesh_guide {}

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/TRANSPORTS.md")]
mod transports {}

/// Takes in what the compiler generated for a package, in the module where it is written.
///
/// ```text
/// dreammesh::include_proto!("shop.v1");
/// ```
#[macro_export]
macro_rules! include_proto {
    ($package:literal) => {
        include!(concat!(env!("OUT_DIR"), "/", $package, ".rs"));
    };
}

/// Runs a future on a runtime of this thread alone, for programs that have no runtime yet.
///
/// A program that uses Tokio itself starts its own runtime instead, of either flavour.
///
/// # Errors
/// What the future gives, or that the system has no resources for a runtime.
///
/// # Panics
/// Inside of a Tokio runtime.
pub fn block_on<T, E: From<io::Error>>(future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future)
}
