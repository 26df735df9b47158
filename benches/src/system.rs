//! The systems under measurement.
//!
//! A system is one file with a [`System`] in it, and one line in [`all`]. An RPC system has a
//! [`Client`](crate::client::Client) as well, and its [`System::load`] is a call of
//! [`run::rpc`](crate::run::rpc), which plays every workload over that client:
//!
//! ```text
//! fn load<'a>(&'a self, task: &'a Task) -> Work<'a, Seen> {
//!     let address = task.address.clone();
//!     Box::pin(run::rpc(task, move || connect(address.clone())))
//! }
//! ```
//!
//! A floor, which knows bytes but no calls, plays the workloads that suit it by itself.
//!
//! Each system is set up the way its own documentation recommends for speed. Settings away from
//! its defaults are stated in its file and in [`System::settings`], for the report.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::failure::Failure;
use crate::run::{Seen, Task};
use crate::transport::{Address, Transport};
use crate::workload::Workload;

#[cfg(feature = "capnp")]
pub mod capnp;
#[cfg(feature = "connectrpc")]
pub mod connectrpc;
pub mod dreammesh;
pub mod dreammesh_grpc;
pub mod echo;
pub mod h2;
#[cfg(feature = "quic")]
pub mod quinn;
#[cfg(feature = "tarpc")]
pub mod tarpc;
pub mod tonic;
#[cfg(feature = "volo")]
pub mod volo;

/// Why most systems do not run the calls of `bulk.proto`.
const NO_BULK: &str = "answers longer than requests are compared with gRPC alone";

/// A future of a system; the process's runtime blocks on it.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + 'a>>;

/// What a server calls once, when it accepts connections.
pub type Ready<'a> = Box<dyn FnOnce(Address) + 'a>;

/// One system under measurement.
///
/// [`serve`](Self::serve) and [`load`](Self::load) run in processes of their own, each on the
/// runtime that the setting asks for: current-thread, or multi-threaded with the defaults of
/// `#[tokio::main]`. A system that brings its own runtime starts that inside instead.
pub trait System: Sync {
    /// The name used on the command line and in the report.
    fn name(&self) -> &'static str;

    /// The packages whose versions the report states, as in `Cargo.lock`; ours have none.
    fn packages(&self) -> &'static [&'static str];

    /// What is set away from its defaults, and why, in one line for the report.
    fn settings(&self) -> &'static str;

    /// What it can run over.
    fn transports(&self) -> &'static [Transport];

    /// Why it does not run a workload over one of its transports, if it does not; the report says
    /// so. The default is that it runs everything but the calls of `bulk.proto`.
    fn skips(&self, transport: Transport, workload: &Workload) -> Option<&'static str> {
        let _ = transport;
        workload.fetches().then_some(NO_BULK)
    }

    /// Whether it moves bytes but has no calls of the contract: what the others are held against.
    fn is_floor(&self) -> bool {
        false
    }

    /// Serves the bench contract until dropped; calls `ready` once, when it accepts connections.
    ///
    /// It serves any number of connections, each with calls of any workload it does not skip.
    fn serve<'a>(
        &'a self,
        transport: Transport,
        workload: &'static Workload,
        ready: Ready<'a>,
    ) -> Work<'a, ()>;

    /// Carries out a workload against a server of the same system.
    fn load<'a>(&'a self, task: &'a Task) -> Work<'a, Seen>;
}

/// Every system, in the order in which a round visits them.
#[must_use]
pub fn all() -> Vec<&'static dyn System> {
    vec![
        &dreammesh::DreamMesh::DEFAULT,
        &dreammesh::DreamMesh::FULL,
        &dreammesh_grpc::GrpcServer,
        &dreammesh_grpc::GrpcClient,
        &tonic::Tonic,
        #[cfg(feature = "tarpc")]
        &tarpc::Tarpc,
        #[cfg(feature = "connectrpc")]
        &connectrpc::Connect,
        #[cfg(feature = "volo")]
        &volo::Volo,
        #[cfg(feature = "capnp")]
        &capnp::Capnp,
        &echo::Echo,
        &h2::H2,
        #[cfg(feature = "quic")]
        &quinn::Quinn::STREAM_PER_CALL,
        #[cfg(feature = "quic")]
        &quinn::Quinn::ONE_STREAM,
    ]
}

/// Finds a system by its name.
///
/// # Errors
/// When no system has that name.
pub fn parse(name: &str) -> Result<&'static dyn System, Failure> {
    all()
        .into_iter()
        .find(|system| system.name() == name)
        .ok_or_else(|| Failure::Usage(format!("no system is called {name:?}")))
}

impl fmt::Debug for dyn System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
