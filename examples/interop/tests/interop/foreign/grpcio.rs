//! gRPC's own C core, by way of its library for Python.

use std::path::Path;
use std::process::Command;

use super::{Room, Running, beside, passes, place};

/// One of the programs, as it is started.
fn program(name: &str, room: &Room) -> Command {
    let mut command = Command::new(place("DREAMMESH_TEST_PYTHON"));
    // No compiled files beside the sources.
    command.arg("-B").arg(beside(name)).arg(room.descriptors());
    command
}

/// Its client against a server: `all`, or what those of others pass, too: `cases`.
pub(super) fn client(server: &Running, what: &str) {
    let room = Room::new();
    let mut client = Command::new(place("DREAMMESH_TEST_PYTHON"));
    client.arg("-B").arg(beside("client.py"));
    client.arg(&server.address).arg(room.descriptors());
    passes(client.arg(what).args(&server.root));
}

/// Its server, with TLS where there are a certificate, a key and a root, or on a Unix socket.
pub(super) fn server(room: &Room, tls: &[impl AsRef<Path>]) -> Running {
    let mut server = program("server.py", room);
    server.args(tls.iter().map(AsRef::as_ref));
    // Nothing stands between it and its end, which would leave it behind.
    Running::of(server)
}

#[test]
#[ignore = "needs grpcio, which the step grpc of xtask brings"]
fn grpcio_passes_the_cases_and_finds_health_and_reflection() {
    client(&Running::start(&[]), "all");
}

#[test]
#[ignore = "needs grpcio, which the step grpc of xtask brings"]
fn grpcio_passes_with_tls() {
    client(&Running::start(&["--tls"]), "all");
}

#[test]
#[ignore = "needs grpcio, which the step grpc of xtask brings"]
fn a_server_on_grpcio_answers_our_client() {
    let room = Room::new();
    server(&room, &[""; 0]).passes_all("grpc");
    server(&room, &room.certificates()).passes_all("grpcs");
    let socket = format!("unix:{}", room.socket().display());
    server(&room, &[socket]).passes_all("grpc+unix");
}
