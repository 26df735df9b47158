//! DreamMesh where only gRPC is spoken: one side is ours at its defaults, the other is tonic's.
//!
//! What is compared is the CPU of our side with that of tonic's own in the same place, under the
//! same peer: the rows of `tonic`.

use crate::run::{Seen, Task};
use crate::system::dreammesh::{DreamMesh, load_grpc};
use crate::system::tonic::Tonic;
use crate::system::{Ready, System, Work};
use crate::transport::Transport;
use crate::workload::Workload;

/// Our server under tonic's client.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct GrpcServer;

impl System for GrpcServer {
    fn name(&self) -> &'static str {
        "dreammesh-grpc-server"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["dreammesh", "tonic"]
    }

    fn settings(&self) -> &'static str {
        "our server, all default, under tonic's client, set as in its own rows"
    }

    fn transports(&self) -> &'static [Transport] {
        &[
            Transport::Tcp,
            #[cfg(feature = "tls")]
            Transport::Tls,
        ]
    }

    fn skips(&self, _: Transport, _: &Workload) -> Option<&'static str> {
        None
    }

    fn serve<'a>(
        &'a self,
        transport: Transport,
        workload: &'static Workload,
        ready: Ready<'a>,
    ) -> Work<'a, ()> {
        DreamMesh::DEFAULT.serve(transport, workload, ready)
    }

    fn load<'a>(&'a self, task: &'a Task) -> Work<'a, Seen> {
        Tonic.load(task)
    }
}

/// Our client on tonic's server.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct GrpcClient;

impl System for GrpcClient {
    fn name(&self) -> &'static str {
        "dreammesh-grpc-client"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["dreammesh", "tonic"]
    }

    fn settings(&self) -> &'static str {
        "our client, all default, on tonic's server, set as in its own rows"
    }

    fn transports(&self) -> &'static [Transport] {
        GrpcServer.transports()
    }

    fn skips(&self, _: Transport, _: &Workload) -> Option<&'static str> {
        None
    }

    fn serve<'a>(
        &'a self,
        transport: Transport,
        workload: &'static Workload,
        ready: Ready<'a>,
    ) -> Work<'a, ()> {
        Tonic.serve(transport, workload, ready)
    }

    fn load<'a>(&'a self, task: &'a Task) -> Work<'a, Seen> {
        load_grpc(task)
    }
}
