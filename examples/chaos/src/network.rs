//! The hosts: network namespaces on one switch, which is a bridge in a namespace of its own.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The namespaces; they go with it.
#[derive(Debug)]
pub(crate) struct Network {
    /// What the names of the namespaces begin with.
    prefix: String,
    namespaces: Vec<String>,
}

impl Network {
    /// Makes so many hosts, which reach one another.
    pub(crate) fn new(hosts: usize) -> Result<Self, Box<dyn Error>> {
        let mut network = Self {
            prefix: format!("chaos-{}", std::process::id()),
            namespaces: Vec::new(),
        };
        let switch = network.switch();
        network.add(&switch)?;
        ip(&format!("-n {switch} link add lan type bridge"))?;
        ip(&format!("-n {switch} link set dev lan up"))?;
        for host in 1..=hosts {
            let name = network.name(host);
            network.add(&name)?;
            let address = address(host);
            ip(&format!(
                "-n {name} link add wire type veth peer name port-{host} netns {switch}"
            ))?;
            ip(&format!("-n {name} address add {address}/24 dev wire"))?;
            ip(&format!("-n {name} link set dev lo up"))?;
            ip(&format!("-n {name} link set dev wire up"))?;
            ip(&format!("-n {switch} link set dev port-{host} up"))?;
            network.heal(host)?;
        }
        Ok(network)
    }

    /// Cuts a host off: what it sends is swallowed, and so is what is sent to it.
    pub(crate) fn cut(&self, host: usize) -> Result<(), Box<dyn Error>> {
        let switch = self.switch();
        ip(&format!("-n {switch} link set dev port-{host} nomaster"))
    }

    /// Connects it with the others.
    pub(crate) fn heal(&self, host: usize) -> Result<(), Box<dyn Error>> {
        let switch = self.switch();
        ip(&format!("-n {switch} link set dev port-{host} master lan"))
    }

    /// A command that runs a program on a host; the process becomes that program.
    pub(crate) fn command(&self, host: usize, program: &Path) -> Command {
        let mut command = tool();
        command.args(["netns", "exec", &self.name(host)]);
        // What `ip` is run with is not for the program.
        command.args(["env", "-u", LIBRARIES]).arg(program);
        command
    }

    fn add(&mut self, name: &str) -> Result<(), Box<dyn Error>> {
        ip(&format!("netns add {name}"))?;
        self.namespaces.push(name.to_owned());
        Ok(())
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.prefix)
    }

    fn name(&self, host: usize) -> String {
        format!("{}-{host}", self.prefix)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in &self.namespaces {
            if let Err(error) = ip(&format!("netns del {name}")) {
                eprintln!("{name} is left behind: {error}");
            }
        }
    }
}

/// Where a host is.
pub(crate) fn address(host: usize) -> String {
    format!("10.77.0.{host}")
}

fn ip(arguments: &str) -> Result<(), Box<dyn Error>> {
    let done = tool().args(arguments.split(' ')).output();
    let done = done.map_err(|error| format!("the program `ip`: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let said = said.trim_end();
    Err(format!("`ip {arguments}` failed, for which it needs the rights of root: {said}").into())
}

/// The program `ip`, of the directory that `cargo xtask test` unpacks it in, or the system's.
fn tool() -> Command {
    let Some(home) = std::env::var_os("DREAMMESH_TEST_NAMESPACES") else {
        return Command::new("ip");
    };
    let root = PathBuf::from(home).join("debian");
    let mut command = Command::new(root.join("bin/ip"));
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map(|at| root.join(at));
    if let Ok(libraries) = std::env::join_paths(libraries) {
        command.env(LIBRARIES, libraries);
    }
    command
}

const LIBRARIES: &str = "LD_LIBRARY_PATH";
