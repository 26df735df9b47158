//! The client passes all cases against the server, each a process of its own.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

/// A server, which is ended with the test.
struct Running {
    server: Child,
    address: String,
    root: Option<String>,
}

impl Running {
    fn start(flags: &[&str]) -> Self {
        let mut server = Command::new(env!("CARGO_BIN_EXE_interop-server"))
            .args(["--port", "0"])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = server.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let said = line.trim().strip_prefix("listening on ").unwrap();
        let (address, root) = match said.split_once(", root in ") {
            Some((address, root)) => (address.to_owned(), Some(root.to_owned())),
            None => (said.to_owned(), None),
        };
        Self {
            server,
            address,
            root,
        }
    }

    fn run(&self, flags: &[&str]) -> Output {
        let mut client = Command::new(env!("CARGO_BIN_EXE_interop-client"));
        client.args(["--server", &self.address]).args(flags);
        if let Some(root) = &self.root {
            client.args(["--tls", "--ca", root]);
        }
        client.output().unwrap()
    }

    fn passes_all(&self, scheme: &str) {
        let output = self.run(&["--case", "all", "--scheme", scheme]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{scheme}: {said}");
        let passed = said.lines().filter(|line| line.ends_with(": ok")).count();
        assert_eq!(
            passed,
            dreammesh_interop::cases::NAMES.len(),
            "{scheme}: {said}"
        );
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn all_cases_pass_in_plaintext() {
    let server = Running::start(&[]);
    for scheme in ["grpc", "dreammesh+tcp", "dreammesh+h2c"] {
        server.passes_all(scheme);
    }
}

#[test]
fn all_cases_pass_with_tls() {
    let server = Running::start(&["--tls"]);
    for scheme in ["grpcs", "dreammesh+tls", "dreammesh+h2"] {
        server.passes_all(scheme);
    }
}

#[test]
fn one_case_runs_alone_and_none_by_another_name() {
    let server = Running::start(&[]);
    let one = server.run(&["--case", "ping_pong", "--scheme", "dreammesh+tcp"]);
    assert!(one.status.success());
    assert_eq!(String::from_utf8_lossy(&one.stdout), "ping_pong: ok\n");
    let none = server.run(&["--case", "pong_ping"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("--case takes all, or one of"));
}

#[test]
fn who_speaks_to_nobody_fails() {
    let mut server = Running::start(&[]);
    server.server.kill().unwrap();
    server.server.wait().unwrap();
    let output = server.run(&["--case", "all", "--scheme", "dreammesh+tcp"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be reached"));
}
