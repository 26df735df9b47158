//! Applications in a mesh, and the agent as another process that dies, stops and comes back.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use dreammesh::{Announce, Channel, Mesh, Server, Stopped};
use dreammesh_core::codegen::{Receiver, Request, Response, Sender, Status};
use dreammesh_golden::shop::v1::{Catalog, CatalogClient, CatalogServer, Empty, Item, Node};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::scratch::{Scratch, command};

/// Answers with its own name.
pub(crate) struct Named(pub(crate) &'static str);

impl Catalog for Named {
    async fn get_item(&self, _: Request<Item>) -> Result<Response<Item>, Status> {
        let title = self.0.to_owned();
        Ok(Response::new(Item {
            title,
            ..Default::default()
        }))
    }

    async fn list(&self, _: Request<Node>, _: Sender<Item>) -> Result<(), Status> {
        Ok(())
    }

    async fn record(&self, _: Receiver<Item>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty::default()))
    }

    async fn chat(&self, _: Receiver<Node>, _: Sender<Node>) -> Result<(), Status> {
        Ok(())
    }

    async fn new(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty::default()))
    }
}

/// The agent of this host, killed with the test.
struct Agent(Child);

impl Agent {
    /// Starts one, and waits until it is ready.
    fn start(scratch: &Scratch) -> Self {
        let directory = scratch.path("agent").display().to_string();
        let mut child = command(&scratch.path("."), &["agent", "--directory", &directory])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        assert!(line.contains("ready"), "{line}");
        Self(child)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().cast_signed()), signal).unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn mesh(scratch: &Scratch) -> Mesh {
    let socket = scratch.path("agent/agent.sock");
    Mesh::builder().socket(socket).attach().unwrap()
}

/// A server with an attachment of its own.
struct Running {
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Stopped>,
}

async fn serve(scratch: &Scratch, name: &'static str) -> Running {
    let server = Server::builder().service(CatalogServer::new(Named(name)));
    let server = server.mesh(mesh(scratch).member("catalog").id(name));
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let (stop, stopping) = oneshot::channel();
    let serving = tokio::spawn(server.serve_until(stopping));
    Running { stop, serving }
}

/// Calls until so many calls went well at just these servers, one after another and none failing.
async fn served_by(channel: &Channel, names: &[&str]) {
    let client = CatalogClient::new(channel.clone());
    let wanted: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut last = Vec::new();
    loop {
        let item = client.get_item(Item::default()).await.unwrap();
        last.push(item.view().title().to_owned());
        if last.len() == CALLS {
            if last.drain(..).collect::<BTreeSet<_>>() == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Waits until all that is registered with the agent is what is wanted.
async fn registered(scratch: &Scratch, names: &[&str]) {
    let socket = scratch.path("agent/agent.sock").display().to_string();
    loop {
        let ended = scratch.dreammesh(&["instances", "catalog", "--agent", &socket]);
        let has = |name: &&&str| {
            let mut lines = ended.stdout.lines();
            lines.any(|line| {
                line.contains(**name) && line.contains(" UP ") && line.contains("attached")
            })
        };
        if ended.status == 0 && names.iter().filter(has).count() == names.len() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the agent's state on disk has all that is wanted.
async fn written(scratch: &Scratch, names: &[&str]) {
    let state = scratch.path("agent/state");
    loop {
        let bytes = std::fs::read(&state).unwrap_or_default();
        let has = |name: &&&str| bytes.windows(name.len()).any(|it| it == name.as_bytes());
        if names.iter().filter(has).count() == names.len() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_whatever_becomes_of_the_agent() {
    let test = async {
        let scratch = Scratch::new("attached");
        let agent = Agent::start(&scratch);
        let one = serve(&scratch, "one").await;
        let _two = serve(&scratch, "two").await;
        registered(&scratch, &["one", "two"]).await;
        let channel = mesh(&scratch).connect("mesh://catalog").await.unwrap();
        served_by(&channel, &["one", "two"]).await;

        written(&scratch, &["one", "two"]).await;

        // An agent that does not run holds nobody up, and has lost nobody afterwards.
        agent.signal(Signal::SIGSTOP);
        served_by(&channel, &["one", "two"]).await;
        let fresh = mesh(&scratch).connect("mesh://catalog").await.unwrap();
        served_by(&fresh, &["one", "two"]).await;
        agent.signal(Signal::SIGCONT);
        served_by(&channel, &["one", "two"]).await;

        // One that is gone neither; whoever comes meanwhile goes by what it left.
        drop(agent);
        served_by(&channel, &["one", "two"]).await;
        let fresh = mesh(&scratch).connect("mesh://catalog").await.unwrap();
        served_by(&fresh, &["one", "two"]).await;

        // The next one is told of all, and tells all.
        let _agent = Agent::start(&scratch);
        registered(&scratch, &["one", "two"]).await;
        served_by(&channel, &["one", "two"]).await;
        let _three = serve(&scratch, "three").await;
        served_by(&channel, &["one", "three", "two"]).await;
        served_by(&fresh, &["one", "three", "two"]).await;
        one.stop.send(()).unwrap();
        served_by(&channel, &["three", "two"]).await;
        assert_eq!(one.serving.await.unwrap().calls_ended, 0);
    };
    tokio::time::timeout(PATIENCE, test).await.unwrap();
}

/// So many calls that of three servers none is passed over by chance: with policies that look at
/// latency, too, a server that is up gets some of them.
const CALLS: usize = 60;
/// A bound on a test that waits for processes.
const PATIENCE: Duration = Duration::from_secs(60);
