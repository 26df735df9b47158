//! The server under gRPC's own C core.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use dreammesh_core::channel::Channel;
use dreammesh_transport::{Connect, Server};

use crate::echo::{Echo, EchoServer};

/// Serves an echo, and gives its address.
async fn serve(echo: Echo) -> String {
    let server = Server::builder().service(EchoServer(echo.into()));
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap().to_string();
    tokio::spawn(server.serve());
    address
}

/// Runs a program of those beside this file, which is given an address.
async fn run(program: &'static str, address: String) -> ExitStatus {
    let python = std::env::var_os("DREAMMESH_TEST_PYTHON").unwrap();
    let running = tokio::task::spawn_blocking(move || {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/grpc_server");
        let mut client = Command::new("timeout");
        let client = client.arg("120").arg(python).arg("-B");
        client.arg(home.join(program)).arg(address).status()
    });
    running.await.unwrap().unwrap()
}

/// A caller of plain gRPC, our service, and another one behind it that it calls over a session.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs grpcio; `cargo xtask test --only grpc` brings it"]
async fn what_belongs_to_a_call_of_grpcio_goes_on_by_session() {
    let last = Echo::default();
    let probe = last.probe.clone();
    let target = format!("dreammesh+tcp://{}", serve(last).await);
    let next = Some(Channel::connect(&target).await.unwrap());
    let first = Echo {
        next,
        ..Echo::default()
    };
    let ended = run("hops.py", serve(first).await).await;
    assert!(ended.success(), "{ended}");
    // What it gave up, and what its time ended, is nowhere any more.
    let gone = tokio::time::timeout(Duration::from_secs(20), probe.alive_is(0));
    gone.await.expect("no handler is left behind");
}

/// A server whose service is the echo, and the client beside it in Python.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs grpcio; `cargo xtask test --only grpc` brings it"]
async fn grpcio_makes_calls_of_all_kinds() {
    let ended = run("foreign.py", serve(Echo::default()).await).await;
    assert!(ended.success(), "{ended}");
}
