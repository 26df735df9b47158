//! grpc-js, the implementation for Node.js.

use std::path::Path;
use std::process::Command;

use dreammesh_interop::cases;

use super::{Room, Running, beside, passes, place};

const PROTOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");

/// Node.js, which finds the modules that were brought.
fn node(program: &str) -> Command {
    let mut command = Command::new(place("DREAMMESH_TEST_NODE"));
    command.env("NODE_PATH", place("DREAMMESH_TEST_GRPC_JS"));
    command.arg(beside(program));
    command
}

/// Its client against a server.
pub(super) fn client(server: &Running) {
    let mut client = node("client.js");
    client.arg(&server.address).arg(PROTOS);
    passes(client.args(&server.root));
}

/// Our client against its server, which answers nothing compressed and does not see what comes so;
/// that it reads what comes so is seen.
fn answers_our_client(tls: &[impl AsRef<Path>]) {
    let mut server = node("server.js");
    let server = server.arg(PROTOS).args(tls.iter().map(AsRef::as_ref));
    let server = Running::of(std::mem::replace(server, Command::new("")));
    let (names, cases) = (cases::NAMES.join(","), cases::NAMES.len());
    server.passes(cases, &["--case", &names]);
    for encoding in ["gzip", "deflate"] {
        server.passes(cases, &["--case", &names, "--compress", encoding]);
    }
}

#[test]
#[ignore = "needs grpc-js, which the step grpc of xtask brings"]
fn grpc_js_passes_the_cases() {
    client(&Running::start(&[]));
}

#[test]
#[ignore = "needs grpc-js, which the step grpc of xtask brings"]
fn grpc_js_passes_with_tls() {
    client(&Running::start(&["--tls"]));
}

#[test]
#[ignore = "needs grpc-js, which the step grpc of xtask brings"]
fn a_server_on_grpc_js_answers_our_client() {
    answers_our_client(&[""; 0]);
    answers_our_client(&Room::new().certificates());
}
