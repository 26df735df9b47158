//! Agents and servers, in a directory of their own; dropping it ends them all.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use dreammesh::{Mesh, MeshError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::observed::Observed;
use crate::process::{Directory, Process};

/// An agent's host, as it were: a directory that is empty at first.
#[derive(Debug)]
pub(crate) struct Stage {
    agent: Option<Process>,
    servers: Vec<Process>,
    program: PathBuf,
    directory: Directory,
}

impl Stage {
    /// An empty directory, and the program `dreammesh`.
    pub(crate) fn empty(program: &Path, name: &str) -> io::Result<Self> {
        Ok(Self {
            agent: None,
            servers: Vec::new(),
            program: program.to_owned(),
            directory: Directory::create(&format!("agent-bars-{name}"))?,
        })
    }

    /// Starts the agent and waits until it can be attached to.
    pub(crate) fn start_agent(&mut self, arguments: &[String]) -> io::Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["agent", "--log", "warn"]).args(arguments);
        self.agent = Some(Process::start(&mut command, &self.directory.0)?);
        Ok(())
    }

    /// Starts an instance of a service and waits until it listens; gives where that is.
    pub(crate) fn start_server(
        &mut self,
        service: &str,
        core: Option<usize>,
    ) -> io::Result<String> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", service]);
        command.args(core.map(|core| core.to_string()));
        let process = Process::start(&mut command, &self.directory.0)?;
        let target = process.said.clone();
        self.servers.push(process);
        Ok(target)
    }

    /// The agent's process.
    pub(crate) fn agent(&self) -> Result<Observed, Box<dyn Error>> {
        let agent = self.agent.as_ref().ok_or("the agent was not started")?;
        Ok(Observed::new(agent.id()))
    }

    /// One more program that is attached to the agent, or will be once there is one.
    pub(crate) fn attach(&self, program: &str) -> Result<Mesh, MeshError> {
        let socket = self.directory.0.join("dreammesh/agent.sock");
        Mesh::builder().socket(socket).program(program).attach()
    }

    /// A command of `dreammesh` that finds this agent.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("XDG_RUNTIME_DIR", self.path())
            .env_remove("DREAMMESH_AGENT")
            .env_remove("DREAMMESH_SERVICES");
        command
    }

    pub(crate) fn path(&self) -> &Path {
        &self.directory.0
    }

    /// Has the servers finish, and then the agent end.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        for server in self.servers.drain(..) {
            server.finish()?;
        }
        if let Some(agent) = self.agent.take() {
            let process = i32::try_from(agent.id()).map_err(io::Error::other)?;
            kill(Pid::from_raw(process), Signal::SIGTERM)?;
            agent.finish()?;
        }
        Ok(())
    }
}
