//! Processes that run beside a test, and end with it.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::scratch::{Ended, Scratch, command};

/// A process of the program.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    /// Starts a command that asks the test's own agent.
    pub(crate) fn new(scratch: &Scratch, arguments: &[&str]) -> Self {
        let socket = scratch.path("mesh/agent.sock").display().to_string();
        Self::start(scratch, &with_agent(arguments, &socket))
    }

    fn start(scratch: &Scratch, arguments: &[&str]) -> Self {
        let mut log = File::options();
        let log = log.create(true).append(true);
        let log = log.open(scratch.path("mesh.log")).unwrap();
        let mut command = command(&scratch.path("."), arguments);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = child.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// The next line that it writes.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn tell(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Waits for its end, and gives its exit status.
    pub(crate) fn end(&mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap()
    }

    pub(crate) fn ended(mut self) -> i32 {
        self.end()
    }

    /// Kills it, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An agent in the test's own directory, that is ready.
pub(crate) fn start_agent(scratch: &Scratch, more: &[&str]) -> Running {
    let directory = scratch.path("mesh").display().to_string();
    let mut words = vec!["agent", "--directory", &directory, "--name", "agent-1"];
    words.extend(more);
    let mut agent = Running::start(scratch, &words);
    let line = agent.line();
    assert!(
        line.starts_with("agent agent-1 is ready at unix:///"),
        "{line}"
    );
    agent
}

/// Runs a command that asks the test's own agent to its end.
pub(crate) fn ask(scratch: &Scratch, arguments: &[&str]) -> Ended {
    let socket = scratch.path("mesh/agent.sock").display().to_string();
    scratch.dreammesh(&with_agent(arguments, &socket))
}

/// Names the agent before what is the command's own.
fn with_agent<'a>(arguments: &[&'a str], socket: &'a str) -> Vec<&'a str> {
    let mut words = arguments.to_vec();
    let end = words.iter().position(|word| *word == "--");
    let end = end.unwrap_or(words.len());
    words.splice(end..end, ["--agent", socket]);
    words
}
