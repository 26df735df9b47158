//! gRPC's interoperability tests, as its document `interop-test-descriptions.md` has them: a server
//! that other implementations' clients can be run against, and a client for their servers.
//!
//! - `server`: the service.
//! - `cases`: what the client checks.
//! - `certificates`: what secures a run on one machine.
#![forbid(unsafe_code)]

pub mod cases;
pub mod certificates;
pub mod server;

/// The contract, as the compiler generates it.
pub mod proto {
    dreammesh::include_proto!("grpc.testing");
}

/// The metadata that a server sends back before its answer.
pub const ECHO_INITIAL: &str = "x-grpc-test-echo-initial";
/// The metadata that a server sends back after its answer.
pub const ECHO_TRAILING: &str = "x-grpc-test-echo-trailing-bin";
