//! Against gRPC's own C core, by way of its library for Python.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use dreammesh_interop::proto::FILE_DESCRIPTOR_SET;

use crate::running::Running;

const NEEDS: &str = "`cargo xtask test --only grpc` brings the Python that has grpcio";

/// The arguments that run a program of those beside this file: the interpreter, and the program.
fn python(program: &str) -> Vec<OsString> {
    let interpreter = std::env::var_os("DREAMMESH_TEST_PYTHON").expect(NEEDS);
    let home = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/foreign");
    vec![interpreter, "-B".into(), format!("{home}/{program}").into()]
}

/// A file with the descriptors of the test service, for one test.
fn descriptors() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("interop-{}-{number}.fds", std::process::id());
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, FILE_DESCRIPTOR_SET).unwrap();
    path
}

fn grpcio_passes(server: &Running) {
    let descriptors = descriptors();
    let mut client = Command::new("timeout");
    let client = client.arg("120").args(python("client.py"));
    let client = client.arg(&server.address).arg(&descriptors);
    let ended = client.args(&server.root).status().unwrap();
    std::fs::remove_file(descriptors).unwrap();
    assert!(ended.success(), "{ended}");
}

#[test]
#[ignore = "needs grpcio, which the step grpc of xtask brings"]
fn grpcio_passes_the_cases_and_finds_health_and_reflection() {
    grpcio_passes(&Running::start(&[]));
}

#[test]
#[ignore = "needs grpcio, which the step grpc of xtask brings"]
fn grpcio_passes_with_tls() {
    grpcio_passes(&Running::start(&["--tls"]));
}

#[test]
#[ignore = "needs grpcio, which the step grpc of xtask brings"]
fn a_server_on_grpcio_answers_our_client() {
    let descriptors = descriptors();
    let python = python("server.py");
    // Nothing stands between it and its end, which would leave it behind.
    let mut server = Command::new(&python[0]);
    server.args(&python[1..]).arg(&descriptors);
    Running::of(server).passes_all("grpc");
    std::fs::remove_file(descriptors).unwrap();
}
