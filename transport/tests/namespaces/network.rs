//! Two hosts with a wire between them, and a firewall on it.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use nix::sched::{CloneFlags, setns};

/// Where the client is. These addresses are of no private network, so QUIC suits them.
pub(crate) const CLIENT: &str = "192.0.2.1";
/// Where the server is.
pub(crate) const SERVER: &str = "192.0.2.2";

/// Two namespaces, which go with it.
pub(crate) struct Network {
    client: String,
    server: String,
}

impl Network {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |side: &str| format!("dreammesh-{}-{number}-{side}", std::process::id());
        let network = Self {
            client: name("client"),
            server: name("server"),
        };
        let (client, server) = (&network.client, &network.server);
        ip(&format!("netns add {client}"));
        ip(&format!("netns add {server}"));
        ip(&format!(
            "-n {client} link add wire type veth peer name wire netns {server}"
        ));
        for (namespace, address) in [(client, CLIENT), (server, SERVER)] {
            ip(&format!("-n {namespace} address add {address}/24 dev wire"));
            ip(&format!("-n {namespace} link set lo up"));
            ip(&format!("-n {namespace} link set wire up"));
        }
        network
    }

    /// Runs something on a thread that lives on the client's host.
    pub(crate) fn on_client<R: Send + 'static>(
        &self,
        run: impl FnOnce() -> R + Send + 'static,
    ) -> JoinHandle<R> {
        on(&self.client, run)
    }

    /// Runs something on a thread that lives on the server's host.
    pub(crate) fn on_server<R: Send + 'static>(
        &self,
        run: impl FnOnce() -> R + Send + 'static,
    ) -> JoinHandle<R> {
        on(&self.server, run)
    }

    /// Who changes it, for those who live on a host.
    pub(crate) fn operator(&self) -> Operator {
        Operator {
            client: self.client.clone(),
            server: self.server.clone(),
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [&self.client, &self.server] {
            let removed = tool("ip").args(["netns", "del", namespace]).status();
            // A second panic would hide the first.
            if !removed.is_ok_and(|status| status.success()) {
                println!("the namespace {namespace} is left behind");
            }
        }
    }
}

/// Who changes the network under those who live on it.
#[derive(Clone)]
pub(crate) struct Operator {
    client: String,
    server: String,
}

/// Which datagrams are dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Blocked {
    /// Those of the client.
    ToServer,
    /// Those of the server.
    ToClient,
    Both,
}

impl Operator {
    /// Drops datagrams where they come in from now on, so that who sends them learns nothing.
    pub(crate) fn block(&self, which: Blocked) {
        let at = match which {
            Blocked::ToServer => vec![&self.server],
            Blocked::ToClient => vec![&self.client],
            Blocked::Both => vec![&self.server, &self.client],
        };
        for namespace in at {
            let rules = "add table inet wall; \
                add chain inet wall enter { type filter hook input priority 0; }; \
                add rule inet wall enter meta l4proto udp drop";
            in_namespace(namespace, "nft", &[rules]);
        }
    }

    /// Gives the client another address in place of the one that it has.
    pub(crate) fn move_client(&self, from: &str, to: &str) {
        let client = &self.client;
        ip(&format!("-n {client} address add {to}/24 dev wire"));
        ip(&format!("-n {client} address del {from}/24 dev wire"));
        // The kernel keeps those that were added behind the first of a network, or drops them.
        in_namespace(
            client,
            "ip",
            &["address", "replace", &format!("{to}/24"), "dev", "wire"],
        );
    }

    /// Pulls the wire out of the client, or puts it in again.
    pub(crate) fn wire(&self, is_in: bool) {
        let state = if is_in { "up" } else { "down" };
        ip(&format!("-n {} link set wire {state}", self.client));
    }

    /// Lets everything through again.
    pub(crate) fn open(&self) {
        for namespace in [&self.client, &self.server] {
            in_namespace(namespace, "nft", &["flush ruleset"]);
        }
    }
}

/// How many datagrams have left the host that this thread lives on.
pub(crate) fn datagrams_sent() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp:"));
    let names = lines.next().unwrap().split_whitespace();
    let mut figures = names.zip(lines.next().unwrap().split_whitespace());
    let sent = figures.find(|(name, _)| *name == "OutDatagrams");
    sent.unwrap().1.parse().unwrap()
}

fn on<R: Send + 'static>(
    namespace: &str,
    run: impl FnOnce() -> R + Send + 'static,
) -> JoinHandle<R> {
    let file = File::open(format!("/run/netns/{namespace}")).unwrap();
    std::thread::spawn(move || {
        // It is this thread that moves, and those that it starts.
        setns(file, CloneFlags::CLONE_NEWNET).unwrap();
        run()
    })
}

fn ip(arguments: &str) {
    run(tool("ip").args(arguments.split(' ')));
}

fn in_namespace(namespace: &str, program: &str, arguments: &[&str]) {
    let name = tool(program).get_program().to_owned();
    let mut command = tool("ip");
    command.args(["netns", "exec", namespace]).arg(name);
    run(command.args(arguments));
}

fn run(command: &mut Command) {
    let done = command.output();
    let done = done.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "{command:?} failed, for which it needs the rights of root: {said}"
    );
}

/// A program of Debian's packages, below the directory they were unpacked in.
fn tool(name: &str) -> Command {
    let home = std::env::var_os("DREAMMESH_TEST_NAMESPACES")
        .expect("DREAMMESH_TEST_NAMESPACES names the directory with nft and ip");
    let root = PathBuf::from(home).join("debian");
    let place = if name == "ip" { "bin" } else { "usr/sbin" };
    let mut command = Command::new(root.join(place).join(name));
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map(|at| root.join(at));
    let libraries = std::env::join_paths(libraries).unwrap();
    command.env("LD_LIBRARY_PATH", libraries);
    command
}
