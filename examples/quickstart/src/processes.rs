//! Starting the shop's processes, and ending them again whatever happens.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Directory, Process, agent_program};

/// The agent and the services; dropping this ends them all.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) agent: Option<Process>,
    pub(crate) services: Vec<Service>,
    program: PathBuf,
    directory: Directory,
}

/// One instance of a service.
#[derive(Debug)]
pub(crate) struct Service {
    /// What it is called, such as `catalog-1`.
    pub(crate) instance: String,
    pub(crate) process: Process,
}

/// How many instances each service has.
const INSTANCES: [(&str, usize); 3] = [("catalog", 3), ("inventory", 2), ("checkout", 2)];

impl Shop {
    /// Starts an agent, and then this very program again and again in the role of a service.
    pub(crate) fn open() -> io::Result<Self> {
        let program = agent_program()?;
        let directory = Directory::create("quickstart")?;
        let mut shop = Self {
            agent: None,
            services: Vec::new(),
            program,
            directory,
        };
        shop.start_agent()?;
        for (role, count) in INSTANCES {
            for number in 1..=count {
                shop.start(role, &format!("{role}-{number}"))?;
            }
        }
        Ok(shop)
    }

    /// Starts the agent, or starts it again. It need not be told anything: its directory is this
    /// shop's, where the environment says that such files belong. What it says of every process
    /// that comes and goes would only hide what this program says.
    pub(crate) fn start_agent(&mut self) -> io::Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["agent", "--log", "warn"]);
        self.agent = Some(Process::start(&mut command, &self.directory.0)?);
        Ok(())
    }

    /// Starts an instance of a service and waits until it can be called.
    pub(crate) fn start(&mut self, role: &str, instance: &str) -> io::Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([role, instance]);
        let process = Process::start(&mut command, &self.directory.0)?;
        self.services.push(Service {
            instance: instance.to_owned(),
            process,
        });
        Ok(())
    }

    /// Takes an instance out of the list, for its end.
    pub(crate) fn take(&mut self, instance: &str) -> Option<Process> {
        let at = self
            .services
            .iter()
            .position(|it| it.instance == instance)?;
        Some(self.services.remove(at).process)
    }

    /// The processes whose instances are called so: `catalog-1` and `catalog-2` for `catalog`.
    pub(crate) fn of(&self, role: &str) -> impl Iterator<Item = &Process> {
        let of_role = move |service: &&Service| service.instance.starts_with(role);
        self.services.iter().filter(of_role).map(|it| &it.process)
    }

    /// The agent's socket.
    pub(crate) fn agent_socket(&self) -> PathBuf {
        self.directory.0.join("dreammesh/agent.sock")
    }

    /// The program `dreammesh`.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }
}
