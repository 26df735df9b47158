//! A server in a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use dreammesh_transport::Server;
use nix::sys::resource::{Resource, setrlimit};

use crate::certificate::{self, Made};
use crate::service::Restart;

/// The variables that say what it serves, and how.
const ADDRESS: &str = "RESTART_ADDRESS";
const TAKES_OVER: &str = "RESTART_TAKES_OVER";
const DRAIN_MS: &str = "RESTART_DRAIN_MS";
const DESCRIPTORS: &str = "RESTART_DESCRIPTORS";
/// What its lines begin with, as opposed to those of the test harness.
const MARK: &str = "@ ";

/// How a server is started.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) made: Made,
    pub(crate) drain_period: Duration,
    /// How many descriptors it may have.
    pub(crate) descriptors: u64,
}

impl Settings {
    pub(crate) fn new() -> Self {
        Self {
            made: Made::new(),
            drain_period: Duration::from_secs(30),
            descriptors: 4096,
        }
    }
}

/// A server that runs until it is told to stop.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    commands: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
    /// Where it serves.
    pub(crate) target: String,
}

/// How a server ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) done: u64,
    pub(crate) cut: u64,
}

impl Process {
    /// Starts one and waits until it serves, or gives what it says that is wrong.
    pub(crate) fn start(
        address: &str,
        takes_over: bool,
        settings: &Settings,
    ) -> Result<Self, String> {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "process::server"])
            .args(["--nocapture", "--test-threads=1"])
            .env(ADDRESS, address)
            .env(TAKES_OVER, takes_over.to_string())
            .env(DRAIN_MS, settings.drain_period.as_millis().to_string())
            .env(DESCRIPTORS, settings.descriptors.to_string())
            .env(certificate::CHAIN, &settings.made.chain)
            .env(certificate::KEY, &settings.made.key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut process = Self {
            commands: child.stdin.take(),
            child,
            lines,
            target: String::new(),
        };
        let said = process.said().unwrap_or_default();
        match said.split_once(' ') {
            Some(("serves", target)) => process.target = target.to_owned(),
            _ => return Err(said),
        }
        Ok(process)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to drain.
    pub(crate) fn stop(&mut self) {
        drop(self.commands.take());
    }

    /// Waits until it has drained.
    pub(crate) async fn ended(self) -> Report {
        let waited = tokio::task::spawn_blocking(|| self.wait());
        waited.await.unwrap()
    }

    fn wait(mut self) -> Report {
        let said = self.said().expect("it says what it did");
        let (done, cut) = said.split_once(' ').unwrap();
        let report = Report {
            done: done.parse().unwrap(),
            cut: cut.parse().unwrap(),
        };
        assert!(self.child.wait().unwrap().success());
        report
    }

    fn said(&mut self) -> Option<String> {
        let mut lines = (&mut self.lines).lines().map(Result::unwrap);
        lines.find_map(|line| {
            let (_, said) = line.split_once(MARK)?;
            Some(said.to_owned())
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "the other tests start it as a process of its own"]
fn server() {
    let Ok(address) = std::env::var(ADDRESS) else {
        return;
    };
    let takes_over = std::env::var(TAKES_OVER).unwrap() == "true";
    let drain_ms = std::env::var(DRAIN_MS).unwrap().parse().unwrap();
    let descriptors = std::env::var(DESCRIPTORS).unwrap().parse().unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, descriptors, descriptors).unwrap();
    let restart = Restart::default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let plain = ["dreammesh+tcp:", "unix:"];
        let mut builder = Server::builder()
            .service(restart.clone())
            .drain_period(Duration::from_millis(drain_ms))
            .take_over(takes_over);
        if !plain.iter().any(|scheme| address.starts_with(scheme)) {
            builder = builder.tls(certificate::server());
        }
        let server = match builder.bind(&address).await {
            Ok(server) => server,
            Err(error) => return println!("{MARK}{error}"),
        };
        println!("{MARK}serves {}", server.target());
        let told = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line)
        });
        let stopped = server.serve_until(told).await;
        let done = restart.0.load(Ordering::SeqCst);
        println!("{MARK}{done} {}", stopped.calls_ended);
    });
}
