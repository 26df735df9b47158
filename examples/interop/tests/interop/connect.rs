//! Against Connect's own clients, in node and in a browser.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use dreammesh_interop::proto::FILE_DESCRIPTOR_SET;

use crate::running::Running;

const NEEDS: &str = "`cargo xtask test --only connect` brings it";

/// Where the step has put the packages of npm, and Chromium.
fn home() -> PathBuf {
    PathBuf::from(std::env::var_os("DREAMMESH_TEST_CONNECT").expect(NEEDS))
}

/// Runs a program of those in the directory `connect`, where the packages are.
fn node(program: &str, arguments: impl IntoIterator<Item = OsString>) {
    let home = home();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/connect");
    // Its imports are looked for beside it.
    for source in std::fs::read_dir(sources).unwrap() {
        let source = source.unwrap();
        std::fs::copy(source.path(), home.join(source.file_name())).unwrap();
    }
    let node = std::env::var_os("DREAMMESH_TEST_NODE").expect(NEEDS);
    let mut client = Command::new("timeout");
    client.args(["--kill-after=5", "240"]).args([&node]);
    client.arg(program);
    let ended = client.args(arguments).current_dir(home).status().unwrap();
    assert!(ended.success(), "{program}: {ended}");
}

/// A file with the descriptors of the test service, for one test.
fn descriptors(test: &str, flags: &[&str]) -> PathBuf {
    let name = format!("connect-{test}{}.fds", flags.concat());
    let path = home().join(name);
    std::fs::write(&path, FILE_DESCRIPTOR_SET).unwrap();
    path
}

fn node_passes(flags: &[&str]) {
    let (server, descriptors) = (Running::start(flags), descriptors("node", flags));
    let arguments = [server.address.clone().into(), descriptors.into()];
    let root = server.root.clone().map(OsString::from);
    node("node.mjs", arguments.into_iter().chain(root));
}

fn browser_passes(flags: &[&str]) {
    // The page's origin has a port, which the server is told before the page is there.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let origin = format!("http://127.0.0.1:{port}");
    let descriptors = descriptors("browser", flags);
    let flags = [flags, &["--browser-origin", &origin]].concat();
    let (server, closed) = (Running::start(&flags), Running::start(&[]));
    let scheme = if server.root.is_some() {
        "https"
    } else {
        "http"
    };
    let arguments: [OsString; 5] = [
        port.to_string().into(),
        format!("{scheme}://{}", server.address).into(),
        format!("http://{}", closed.address).into(),
        descriptors.into(),
        home().join("chromium").into(),
    ];
    node("browser.mjs", arguments);
}

#[test]
#[ignore = "needs packages of npm, which the step connect of xtask brings"]
fn connect_node_passes() {
    node_passes(&[]);
}

#[test]
#[ignore = "needs packages of npm, which the step connect of xtask brings"]
fn connect_node_passes_with_tls() {
    node_passes(&["--tls"]);
}

#[test]
#[ignore = "needs Chromium, which the step connect of xtask brings"]
fn connect_web_passes_in_a_browser() {
    browser_passes(&[]);
}

#[test]
#[ignore = "needs Chromium, which the step connect of xtask brings"]
fn connect_web_passes_in_a_browser_with_tls() {
    browser_passes(&["--tls"]);
}
