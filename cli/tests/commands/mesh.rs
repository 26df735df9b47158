//! Agents, registrations and those who watch, each a process of its own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::net::UnixStream;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::scratch::Scratch;
use running::{Running, ask, start_agent};

pub(crate) mod running;
mod targets;

#[test]
fn from_an_empty_directory_to_the_first_answer() {
    let scratch = Scratch::new("mesh-first");
    let alone = ask(&scratch, &["status"]);
    assert_eq!(alone.status, 78, "{}", alone.stderr);
    assert!(alone.stderr.contains("start one with `dreammesh agent`"));
    let agent = start_agent(&scratch, &[]);
    let mut server = registered(&scratch, &["catalog", "--id", "a", "--port", "50051"]);
    let services = ask(&scratch, &["services", "--json"]);
    let services: Value = serde_json::from_str(&services.stdout).unwrap();
    let service = &services["services"][0];
    assert_eq!(
        (&service["service"], &service["available"]),
        (&"catalog".into(), &1.into())
    );
    let why = ask(&scratch, &["why", "mesh://catalog"]);
    assert!(
        why.status == 0 && why.stdout.contains("dreammesh+tcp://127.0.0.1:50051"),
        "{why:?}"
    );
    assert_eq!(ask(&scratch, &["why", "mesh://nobody"]).status, 1);
    assert_eq!(ask(&scratch, &["why", "http://catalog"]).status, 2);
    let instances = ask(&scratch, &["instances", "catalog"]).stdout;
    assert!(instances.contains(" UP "), "{instances}");
    server.tell(Signal::SIGTERM);
    assert_eq!(server.end(), 0);
    let instances = ask(&scratch, &["instances"]);
    assert_eq!(instances.stdout, "no instance is known\n");
    agent.tell(Signal::SIGTERM);
    assert_eq!(agent.ended(), 0);
    assert!(scratch.path("mesh/state").exists() && !scratch.path("mesh/agent.sock").exists());
}

#[test]
fn one_agent_has_a_directory_and_a_dead_one_is_no_hindrance() {
    let scratch = Scratch::new("mesh-running");
    let agent = start_agent(&scratch, &[]);
    let directory = scratch.path("mesh").display().to_string();
    let second = scratch.dreammesh(&["agent", "--directory", &directory]);
    assert_eq!(second.status, 1);
    let process = format!("an agent runs already, as process {}", agent.process());
    assert!(second.stderr.contains(&process), "{}", second.stderr);
    agent.kill();
    assert!(
        scratch.path("mesh/agent.sock").exists(),
        "the socket is stale"
    );
    assert_eq!(ask(&scratch, &["status"]).status, 78);
    let _agent = start_agent(&scratch, &[]);
    assert_eq!(ask(&scratch, &["status"]).status, 0);
    let mode = |name: &str| fs::metadata(scratch.path(name)).unwrap().mode() & 0o777;
    assert_eq!((mode("mesh"), mode("mesh/agent.sock")), (0o700, 0o600));
}

#[test]
fn an_agent_that_is_killed_and_started_anew_takes_nothing_from_anybody() {
    let scratch = Scratch::new("mesh-restart");
    let agent = start_agent(&scratch, &[]);
    let _first = registered(&scratch, &["catalog", "--id", "a", "--port", "1"]);
    let mut watch = Running::new(&scratch, &["watch", "catalog"]);
    assert!(watch.line().starts_with("+ a UP"));
    state_has(&scratch, "a");
    agent.kill();
    let _agent = start_agent(&scratch, &[]);
    // Whatever the restart did to the first would be told before what comes after it.
    let _second = registered(&scratch, &["catalog", "--id", "b", "--port", "2"]);
    assert!(watch.line().starts_with("+ b UP"));
    let instances = ask(&scratch, &["instances", "--json"]).stdout;
    assert!(instances.contains("\"id\":\"a\""), "{instances}");
}

#[test]
fn a_process_that_is_stopped_leaves_and_comes_back_when_it_goes_on() {
    let scratch = Scratch::new("mesh-stopped");
    let _agent = start_agent(&scratch, &[]);
    let server = registered(&scratch, &["catalog", "--id", "a", "--port", "1"]);
    let mut watch = Running::new(&scratch, &["watch", "catalog", "--json"]);
    let told = |line: String| {
        let told: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(told["instance"]["id"], "a");
        told["change"].as_str().unwrap().to_owned()
    };
    assert_eq!(told(watch.line()), "added");
    server.tell(Signal::SIGSTOP);
    assert_eq!(told(watch.line()), "removed");
    server.tell(Signal::SIGCONT);
    assert_eq!(told(watch.line()), "added");
    // One that is killed is gone at once.
    server.kill();
    assert_eq!(told(watch.line()), "removed");
}

#[test]
fn a_command_is_drained_before_it_hears_that_it_is_to_end() {
    let scratch = Scratch::new("mesh-command");
    let _agent = start_agent(&scratch, &[]);
    let mut watch = Running::new(&scratch, &["watch", "catalog"]);
    // Nobody listens at this port, and the system gives it to nobody, so the first command never
    // registers.
    let options = [
        "register", "catalog", "--port", "1", "--drain", "100ms", "--",
    ];
    let never = ask(&scratch, &[&options[..], &["sh", "-c", "exit 7"]].concat());
    assert_eq!(never.status, 7, "{}", never.stderr);
    let missing = ask(&scratch, &[&options[..], &["/nowhere/program"]].concat());
    assert_eq!(missing.status, 127);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let served = "trap 'exit 9' TERM; while :; do sleep 0.05; done";
    let options = [
        "register", "catalog", "--port", &port, "--check", "none", "--drain", "2s", "--",
    ];
    let command = Running::new(&scratch, &[&options[..], &["sh", "-c", served]].concat());
    assert!(watch.line().contains(" UP "));
    command.tell(Signal::SIGTERM);
    let drained = watch.line();
    assert!(drained.contains(" DRAINING "), "{drained}");
    let gone = watch.line();
    assert!(gone.starts_with("- "), "{gone}");
    assert_eq!(command.ended(), 9);
}

#[test]
fn what_cannot_be_registered_says_why() {
    let scratch = Scratch::new("mesh-refused");
    let _agent = start_agent(&scratch, &[]);
    let _first = registered(&scratch, &["catalog", "--id", "a", "--port", "1"]);
    for (arguments, status, reason) in [
        (
            vec!["catalog", "--id", "a", "--port", "2"],
            70,
            "registered by dreammesh",
        ),
        (vec!["Catalog", "--port", "2"], 2, "lower case"),
        (vec!["catalog", "--port", "0"], 2, "from 1 to 65535"),
        (
            vec!["catalog", "--port", "1", "--address", "0.0.0.0"],
            67,
            "neither",
        ),
        (
            vec!["catalog", "--port", "1", "--label", "x"],
            2,
            "NAME=VALUE",
        ),
    ] {
        let ended = ask(&scratch, &[&["register"], &arguments[..]].concat());
        assert_eq!(ended.status, status, "{}", ended.stderr);
        assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    }
}

#[test]
fn a_state_that_is_corrupt_is_set_aside() {
    let scratch = Scratch::new("mesh-corrupt");
    let agent = start_agent(&scratch, &[]);
    agent.tell(Signal::SIGTERM);
    assert_eq!(agent.ended(), 0);
    fs::write(scratch.path("mesh/state"), "DMSTATE1 and nothing that fits").unwrap();
    let _agent = start_agent(&scratch, &[]);
    assert!(scratch.path("mesh/state.corrupt").exists());
    let log = fs::read_to_string(scratch.path("mesh.log")).unwrap();
    assert!(log.contains("state.corrupt"), "{log}");
}

#[test]
fn a_file_of_services_is_a_source() {
    let scratch = Scratch::new("mesh-file");
    let services = "services:\n  - service: catalog\n    instances:\n      \
                    - address: 10.0.0.7\n        port: 7443\n        protocol: grpc\n        \
                    tls: true\n        check: none\n";
    let file = scratch.file("services.yaml", services);
    let config = scratch.file("agent.yaml", &format!("zone: eu-1\nfiles: [{file}]\n"));
    let _agent = start_agent(&scratch, &["--config", &config]);
    let why = ask(&scratch, &["why", "mesh://catalog"]);
    assert!(
        why.status == 0 && why.stdout.contains("grpcs://10.0.0.7:7443"),
        "{why:?}"
    );
    let status = ask(&scratch, &["status"]).stdout;
    assert!(status.contains(&format!("file:{file}")), "{status}");
    let wrong = scratch.file("wrong.yaml", "name: a\nzoen: b\n");
    let ended = scratch.dreammesh(&["agent", "--config", &wrong]);
    assert_eq!(ended.status, 2);
    assert!(
        ended.stderr.contains("line 2") && ended.stderr.contains("zoen"),
        "{}",
        ended.stderr
    );
}

#[test]
fn it_is_shown_which_process_of_which_user_is_attached() {
    let scratch = Scratch::new("mesh-attached");
    let _agent = start_agent(&scratch, &[]);
    let server = registered(&scratch, &["catalog", "--id", "a", "--port", "1"]);
    let status = ask(&scratch, &["status", "--json"]).stdout;
    let status: Value = serde_json::from_str(&status).unwrap();
    let attached = &status["attached"][0];
    let user = fs::metadata(scratch.path("mesh")).unwrap().uid();
    assert_eq!(attached["program"], "dreammesh");
    assert_eq!(attached["process"], server.process());
    assert_eq!(attached["user"], user);
    assert_eq!(attached["instances"], 1);
    let words = ask(&scratch, &["status"]).stdout;
    let process = server.process().to_string();
    let row = words.lines().find(|line| line.contains(&process));
    assert!(
        row.is_some_and(|row| row.starts_with("dreammesh ")),
        "{words}"
    );
    let log = fs::read_to_string(scratch.path("mesh.log")).unwrap();
    let attached = format!("attached program=dreammesh (process {process} of user {user})");
    assert!(log.contains(&attached), "{log}");
}

#[test]
fn the_socket_of_an_agent_speaks_sessions_alone() {
    let scratch = Scratch::new("mesh-sessions");
    let _agent = start_agent(&scratch, &[]);
    for other in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = UnixStream::connect(scratch.path("mesh/agent.sock")).unwrap();
        stream.write_all(other).unwrap();
        let mut answer = Vec::new();
        // What it had not read when it closed may break the connection.
        let _ = stream.read_to_end(&mut answer);
        let is_http = answer.starts_with(b"HTTP") || answer.first() == Some(&0);
        assert!(!is_http, "{answer:?}");
    }
    assert_eq!(ask(&scratch, &["status"]).status, 0);
}

#[test]
fn what_belongs_to_somebody_else_is_not_believed() {
    let scratch = Scratch::new("mesh-owner");
    let is_root = fs::metadata(scratch.path(".")).unwrap().uid() == 0;
    if !is_root {
        // Only root may give something away.
        return;
    }
    let agent = start_agent(&scratch, &[]);
    chown(scratch.path("mesh/agent.sock"), Some(7), None).unwrap();
    let status = ask(&scratch, &["status"]);
    assert_eq!(status.status, 78);
    assert!(
        status.stderr.contains("belongs to the user 7"),
        "{}",
        status.stderr
    );
    agent.kill();
    chown(scratch.path("mesh"), Some(7), None).unwrap();
    let directory = scratch.path("mesh").display().to_string();
    let ended = scratch.dreammesh(&["agent", "--directory", &directory]);
    assert_eq!(ended.status, 2);
    let owner = "belongs to the user 7, and this agent runs as 0";
    assert!(ended.stderr.contains(owner), "{}", ended.stderr);
}

/// A registration that the agent has taken in.
fn registered(scratch: &Scratch, arguments: &[&str]) -> Running {
    let mut words = vec!["register", "--check", "none", "--drain", "1ms"];
    words.extend(arguments);
    let mut running = Running::new(scratch, &words);
    let line = running.line();
    assert!(line.starts_with("registered "), "{line}");
    running
}

/// Waits until the state on disk has something in it.
fn state_has(scratch: &Scratch, id: &str) {
    loop {
        let state = fs::read(scratch.path("mesh/state")).unwrap_or_default();
        let state = dreammesh_agent_api::state::decode(&state).unwrap_or_default();
        if state.instances.iter().any(|instance| instance.id == id) {
            return;
        }
        std::thread::yield_now();
    }
}
