//! Servers that are not ours in a mesh: a catalog on grpcio, one on grpc-js and one of ours, called by
//! one name at a constant pace while they die, fall ill and come back.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dreammesh::balance::Policy;
use dreammesh::{Announce as _, Channel, Mesh, Server};
use dreammesh_golden::shop::v1::{CatalogClient, CatalogServer, Item};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protox::prost::Message as _;
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::NEEDS;
use crate::attached::Named;
use crate::mesh::running::{Running, ask, start_agent};
use crate::scratch::Scratch;
use crate::shop::protos;

/// A program that is not ours, which is ended with the test.
struct Foreign {
    server: Child,
    address: String,
}

impl Foreign {
    /// Waits for the line that says where it listens.
    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let mut line = String::new();
        let output = server.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap()
            .to_owned();
        Self { server, address }
    }

    fn port(&self) -> &str {
        self.address.rsplit_once(':').unwrap().1
    }

    fn say(&mut self, line: &str) {
        writeln!(self.server.stdin.as_mut().unwrap(), "{line}").unwrap();
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn brought(variable: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: {NEEDS}"))
}

fn beside(program: &str) -> PathBuf {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    home.join("tests/commands/foreign").join(program)
}

/// The schema of the catalog, as both read it.
fn descriptors(scratch: &Scratch) -> String {
    let options = protos().join("../../../proto");
    let compiled = protox::compile(["shop.proto"], [protos(), options]).unwrap();
    let file = scratch.path("shop.fds");
    std::fs::write(&file, compiled.encode_to_vec()).unwrap();
    file.display().to_string()
}

fn python(descriptors: &str, port: &str) -> Vec<String> {
    let program = beside("catalog.py").display().to_string();
    let interpreter = brought("DREAMMESH_TEST_PYTHON").into_string().unwrap();
    let words = [&interpreter, "-B", &program, "python", descriptors, port];
    words.map(str::to_owned).into()
}

fn node(descriptors: &str) -> Command {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rpc-core/services/proto");
    let mut command = Command::new(brought("DREAMMESH_TEST_NODE"));
    command.env("NODE_PATH", brought("DREAMMESH_TEST_GRPC_JS"));
    command
        .arg(beside("catalog.js"))
        .args(["node", descriptors]);
    command.arg(services.join("grpc/health/v1/health.proto"));
    command
}

/// An application that calls the catalog at a constant pace, whatever becomes of its calls.
struct Customer {
    seen: Arc<Mutex<Seen>>,
    counted: watch::Receiver<usize>,
    channel: Channel,
    calling: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// Who answered, in the order in which the answers came.
    answers: Vec<String>,
    failed: Vec<String>,
}

impl Customer {
    fn enter(channel: Channel) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (count, counted) = watch::channel(0);
        let (ledger, client) = (Arc::clone(&seen), CatalogClient::new(channel.clone()));
        let calling = tokio::spawn(async move {
            let mut due = tokio::time::interval(PACE);
            loop {
                due.tick().await;
                let (ledger, client) = (Arc::clone(&ledger), client.clone());
                let count = count.clone();
                tokio::spawn(async move {
                    // In place of what the schema allows, which a busy machine may need.
                    let called = client.get_item(Item::default()).timeout(PATIENCE).await;
                    let mut seen = ledger.lock().unwrap();
                    match called {
                        Ok(item) => seen.answers.push(item.view().title().to_owned()),
                        Err(error) => seen.failed.push(error.to_string()),
                    }
                    count.send_replace(seen.answers.len());
                });
            }
        });
        Self {
            seen,
            counted,
            channel,
            calling,
        }
    }

    fn answers(&self) -> usize {
        *self.counted.borrow()
    }

    /// Waits until so many answers in a row, and from now on, came from just these.
    async fn served_by(&mut self, names: &[&str]) -> BTreeMap<String, usize> {
        let wanted: BTreeSet<&str> = names.iter().copied().collect();
        let mut begin = self.answers();
        loop {
            let enough = begin + CALLS;
            self.counted
                .wait_for(|count| *count >= enough)
                .await
                .unwrap();
            let mut shares = BTreeMap::<String, usize>::new();
            for name in &self.seen.lock().unwrap().answers[begin..enough] {
                *shares.entry(name.clone()).or_default() += 1;
            }
            if shares.keys().map(String::as_str).collect::<BTreeSet<_>>() == wanted {
                return shares;
            }
            begin = enough;
        }
    }

    /// How many calls were made again.
    fn repeated(&self) -> u64 {
        let connections = self.channel.connections();
        connections.iter().map(|it| it.calls_repeated).sum()
    }
}

impl Drop for Customer {
    fn drop(&mut self) {
        self.calling.abort();
    }
}

/// Waits for a change that somebody who watches is told of.
fn told(watch: &mut Running, begins: &str) {
    loop {
        let line = watch.line();
        assert!(!line.is_empty(), "the watch ended before `{begins}`");
        if line.starts_with(begins) {
            return;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long something took is shown, and nothing depends on it"
)]
fn now() -> Instant {
    Instant::now()
}

/// The three servers, and the agent that knows them.
struct Stage {
    scratch: Scratch,
    _agent: Running,
    node: Foreign,
    python: Option<Foreign>,
    /// How the server on grpcio is started.
    python_words: Vec<String>,
    /// How it is registered, without what starts it.
    register: Vec<String>,
    /// Held for as long as the test runs, so that nobody else is given the port; grpcio shares it.
    held: TcpSocket,
    mesh: Mesh,
}

impl Stage {
    async fn open() -> Self {
        let scratch = Scratch::new("foreign-mesh");
        let schema = descriptors(&scratch);
        let held = TcpSocket::new_v4().unwrap();
        held.set_reuseport(true).unwrap();
        held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = held.local_addr().unwrap().port().to_string();
        let node = Foreign::start(&mut node(&schema));
        let services = format!(
            "services:\n  - service: catalog\n    instances:\n      - id: node\n        address: \
             127.0.0.1\n        port: {}\n        protocol: grpc\n",
            node.port()
        );
        let file = scratch.file("services.yaml", &services);
        let agent = start_agent(&scratch, &["--services", &file]);
        let python_words = python(&schema, &port);
        let python = Foreign::start(Command::new(&python_words[0]).args(&python_words[1..]));
        let register = ["register", "catalog", "--id", "python", "--port", &port];
        let register = [&register[..], &["--protocol", "grpc", "--drain", "1ms"]].concat();
        let mesh = Mesh::builder().socket(scratch.path("mesh/agent.sock"));
        let mesh = mesh.attach().unwrap();
        let ours = Server::builder().service(CatalogServer::new(Named("ours")));
        let ours = ours.mesh(mesh.member("catalog").id("ours"));
        tokio::spawn(ours.bind("127.0.0.1:0").await.unwrap().serve());
        Self {
            scratch,
            _agent: agent,
            node,
            python: Some(python),
            python_words,
            register: register.into_iter().map(str::to_owned).collect(),
            held,
            mesh,
        }
    }

    /// Registers the server on grpcio; with a command, that starts it.
    fn register(&self, command: &[String]) -> Running {
        let words = self.register.iter().chain(command).map(String::as_str);
        Running::new(&self.scratch, &words.collect::<Vec<_>>())
    }

    /// What the agent says of why an instance is called, or is not.
    fn why(&self, id: &str, chosen: bool, because: &str) {
        let ended = ask(&self.scratch, &["why", "mesh://catalog"]);
        let found = ended.stdout.lines().find(|line| line.starts_with(id));
        let found = found.unwrap_or_else(|| panic!("{id}: {ended:?}"));
        let chosen = if chosen { " yes " } else { " no " };
        assert!(found.contains(chosen) && found.contains(because), "{found}");
        eprintln!("why: {found}");
    }

    async fn all_are_well(&self, customer: &mut Customer) {
        let shares = customer.served_by(&["node", "ours", "python"]).await;
        eprintln!("all are well: {shares:?} of {CALLS} calls");
        let port = self.held.local_addr().unwrap().port();
        self.why("node", true, &format!("grpc://{}", self.node.address));
        self.why("python", true, &format!("grpc://127.0.0.1:{port}"));
        self.why("ours", true, "dreammesh+tcp://127.0.0.1:");
    }

    /// Its process is killed, and who registered it knows nothing of that: a check does.
    async fn python_is_killed(&mut self, customer: &mut Customer, watch: &mut Running) {
        let (killed, answered) = (now(), customer.answers());
        self.python = None;
        told(watch, "~ python DOWN ");
        let (took, answers) = (killed.elapsed(), customer.answers() - answered);
        let repeated = customer.repeated();
        eprintln!("grpcio killed: down after {took:?}, {answers} answers, {repeated} repeated");
        customer.served_by(&["node", "ours"]).await;
        self.why("python", false, "its check failed");
    }

    /// One line starts it and registers it: then it is gone when its process is.
    async fn python_is_killed_again(&self, customer: &mut Customer, watch: &mut Running) {
        let mut command = vec!["--".to_owned()];
        command.extend(self.python_words.iter().cloned());
        let registered = self.register(&command);
        told(watch, "+ python UP ");
        let shares = customer.served_by(&["node", "ours", "python"]).await;
        eprintln!("grpcio is back: {shares:?} of {CALLS} calls");
        let killed = now();
        let child = Pid::from_raw(child_of(registered.process()));
        kill(child, Signal::SIGKILL).unwrap();
        told(watch, "- python ");
        eprintln!("grpcio killed: gone after {:?}", killed.elapsed());
        assert_eq!(registered.ended(), 128 + 9);
        customer.served_by(&["node", "ours"]).await;
    }

    /// It lives and says that it is not to be called.
    async fn node_is_ill(&mut self, customer: &mut Customer, watch: &mut Running) {
        let ill = now();
        self.node.say("NOT_SERVING");
        told(watch, "~ node DOWN ");
        eprintln!("grpc-js says NOT_SERVING: down after {:?}", ill.elapsed());
        customer.served_by(&["ours"]).await;
        self.why("node", false, "it says NOT_SERVING");
        self.node.say("SERVING");
        told(watch, "~ node UP ");
        let shares = customer.served_by(&["node", "ours"]).await;
        eprintln!("grpc-js says SERVING: {shares:?} of {CALLS} calls");
        self.why("node", true, "it says that it serves");
    }
}

async fn play() {
    let mut stage = Stage::open().await;
    let mut registered = stage.register(&[]);
    assert!(registered.line().starts_with("registered python "));
    let connector = stage.mesh.connector().policy(Policy::RoundRobin);
    let channel = connector.connect("mesh://catalog").await.unwrap();
    let mut customer = Customer::enter(channel);
    stage.all_are_well(&mut customer).await;
    let mut watch = Running::new(&stage.scratch, &["watch", "catalog"]);
    stage.python_is_killed(&mut customer, &mut watch).await;
    // Whoever kept it in the mesh is told to end, and it is known no more.
    registered.tell(Signal::SIGTERM);
    told(&mut watch, "- python ");
    assert_eq!(registered.end(), 0);
    stage
        .python_is_killed_again(&mut customer, &mut watch)
        .await;
    stage.node_is_ill(&mut customer, &mut watch).await;
    let seen = customer.seen.lock().unwrap();
    eprintln!(
        "{} answers, {} failed",
        seen.answers.len(),
        seen.failed.len()
    );
    assert_eq!(seen.failed, [""; 0]);
}

/// The process that a command started.
fn child_of(process: u32) -> i32 {
    let children = format!("/proc/{process}/task/{process}/children");
    let children = std::fs::read_to_string(children).unwrap();
    children.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs grpcio and grpc-js, which the step grpc of xtask brings"]
async fn servers_of_grpc_are_in_a_mesh_like_ours() {
    tokio::time::timeout(PATIENCE, play()).await.unwrap();
}

/// Between calls.
const PACE: Duration = Duration::from_millis(5);
/// So many that in turn each of three has a good share.
const CALLS: usize = 90;
/// A bound on a test that waits for processes.
const PATIENCE: Duration = Duration::from_secs(120);
