//! The client passes all cases against the server.

use crate::running::Running;

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
    assert!(String::from_utf8_lossy(&none.stderr).contains("--case takes all, or some of"));
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
