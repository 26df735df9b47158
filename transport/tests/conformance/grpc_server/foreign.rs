//! The server under gRPC's own C core.

use std::path::Path;
use std::process::Command;

use dreammesh_transport::Server;

use crate::echo::{Echo, EchoServer};

/// A server whose service is the echo, and the client beside it in Python.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs grpcio; `cargo xtask test --only grpc` brings it"]
async fn grpcio_makes_calls_of_all_kinds() {
    let python = std::env::var_os("DREAMMESH_TEST_PYTHON").unwrap();
    let echo = EchoServer(Echo::default().into());
    let server = Server::builder()
        .service(echo)
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let port = server.local_addr().unwrap().port();
    let serving = tokio::spawn(server.serve());
    let client = tokio::task::spawn_blocking(move || {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/grpc_server");
        let mut client = Command::new("timeout");
        let client = client.arg("120").arg(python).arg(home.join("foreign.py"));
        client.arg(port.to_string()).status().unwrap()
    });
    let ended = client.await.unwrap();
    assert!(!serving.is_finished(), "the server ended");
    assert!(ended.success(), "{ended}");
}
