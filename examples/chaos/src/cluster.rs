//! The hosts and their processes; dropping it ends them all.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::log::{Event, Line, Log, now};
use crate::network::{Network, address};
use crate::process::{Process, agent_program};
use crate::schedule::{Act, HOSTS, SERVICES};

/// Three hosts.
#[derive(Debug)]
pub(crate) struct Cluster {
    hosts: Vec<Host>,
    network: Network,
    directory: PathBuf,
    /// The program `dreammesh`.
    agent: PathBuf,
    /// This program.
    own: PathBuf,
    log: Log,
    /// How many instances were started, which are told apart by it.
    started: usize,
}

/// One host and what runs there.
#[derive(Debug, Default)]
struct Host {
    agent: Option<Process>,
    instances: BTreeMap<&'static str, Instance>,
    client: Option<Process>,
}

#[derive(Debug)]
struct Instance {
    name: String,
    process: Process,
}

/// The log of what is done to the processes, below the directory of all logs.
pub(crate) const EVENTS: &str = "events.log";

impl Cluster {
    /// Starts agents and instances, whose logs and other files are in a directory.
    pub(crate) fn start(directory: &Path) -> Result<Self, Box<dyn Error>> {
        let mut cluster = Self {
            hosts: (0..HOSTS).map(|_| Host::default()).collect(),
            network: Network::new(HOSTS)?,
            directory: directory.to_owned(),
            agent: agent_program()?,
            own: std::env::current_exe()?,
            log: Log::append(&directory.join(EVENTS))?,
            started: 0,
        };
        cluster.write_secret()?;
        for host in 1..=HOSTS {
            fs::create_dir(cluster.home(host))?;
            cluster.start_agent(host)?;
        }
        for host in 1..=HOSTS {
            for service in SERVICES {
                cluster.start_instance(service, host)?;
            }
        }
        Ok(cluster)
    }

    /// Has a client on each host make its part of so many calls a second.
    pub(crate) fn start_clients(&mut self, rate: u32) -> Result<(), Box<dyn Error>> {
        for host in 1..=HOSTS {
            let arguments = [
                "client".to_owned(),
                host.to_string(),
                (rate / HOSTS as u32).to_string(),
            ];
            let name = format!("client-{host}");
            let process = self.start_own(host, &arguments, &name)?;
            self.hosts[host - 1].client = Some(process);
        }
        Ok(())
    }

    /// Has the clients finish, and then the instances.
    pub(crate) fn finish(mut self) -> Result<(), Box<dyn Error>> {
        for (host, number) in self.hosts.iter_mut().zip(1..) {
            if let Some(client) = host.client.take()
                && !client.finish()?
            {
                return Err(format!("client-{number} did not end well").into());
            }
        }
        for host in &mut self.hosts {
            for instance in std::mem::take(&mut host.instances).into_values() {
                finish(instance)?;
            }
        }
        Ok(())
    }

    /// Where the agent of a host is reached.
    pub(crate) fn socket(&self, host: usize) -> PathBuf {
        self.home(host).join("dreammesh/agent.sock")
    }

    /// Does something to the cluster, and writes it down.
    ///
    /// What ends is written down before it does, and what begins when it has.
    pub(crate) fn act(&mut self, act: Act) -> Result<(), Box<dyn Error>> {
        match act {
            Act::KillInstance(service, host) => {
                let instance = self.take_instance(service, host)?;
                self.note(Event::Killed, &instance.name)?;
                Ok(instance.process.kill()?)
            }
            Act::StartInstance(service, host) => self.start_instance(service, host),
            Act::StopInstance(service, host) => self.stop_instance(service, host, true),
            Act::ResumeInstance(service, host) => self.stop_instance(service, host, false),
            Act::Roll(service) => self.roll(service),
            Act::Cut(host) => {
                self.note(Event::Cut, &host_name(host))?;
                self.network.cut(host)
            }
            Act::Heal(host) => {
                self.network.heal(host)?;
                self.note(Event::Up, &host_name(host))
            }
            Act::KillAgent(host) => {
                self.note(Event::Killed, &agent_name(host))?;
                let agent = self.hosts[host - 1].agent.take();
                Ok(agent.ok_or("there is no agent")?.kill()?)
            }
            Act::StartAgent(host) => self.start_agent(host),
            Act::StopAgent(host) => self.stop_agent(host, true),
            Act::ResumeAgent(host) => self.stop_agent(host, false),
        }
    }

    /// Replaces each instance of a service: first there is another, then it goes.
    fn roll(&mut self, service: &'static str) -> Result<(), Box<dyn Error>> {
        for host in 1..=HOSTS {
            let old = self.take_instance(service, host)?;
            self.start_instance(service, host)?;
            self.note(Event::Finishing, &old.name)?;
            finish(old)?;
        }
        Ok(())
    }

    fn start_agent(&mut self, host: usize) -> Result<(), Box<dyn Error>> {
        let mut command = self.network.command(host, &self.agent);
        let (name, address) = (host_name(host), address(host));
        command.args([
            "agent",
            "--metrics",
            "off",
            "--name",
            &name,
            "--host",
            &name,
        ]);
        command.args(["--advertise", &address, "--listen"]);
        command.arg(format!("{address}:{GOSSIP}"));
        command.args([
            "--seed",
            &format!("{}:{GOSSIP}", crate::network::address(1)),
        ]);
        command
            .arg("--secret-file")
            .arg(self.directory.join(SECRET));
        let process = self.spawn(host, &mut command, &agent_name(host))?;
        self.hosts[host - 1].agent = Some(process);
        self.note(Event::Up, &agent_name(host))
    }

    fn start_instance(&mut self, service: &'static str, host: usize) -> Result<(), Box<dyn Error>> {
        self.started += 1;
        let name = instance_name(service, host, self.started);
        let arguments = [
            "instance".to_owned(),
            service.to_owned(),
            name.clone(),
            address(host),
        ];
        let process = self.start_own(host, &arguments, &name)?;
        self.note(Event::Up, &name)?;
        let instances = &mut self.hosts[host - 1].instances;
        instances.insert(service, Instance { name, process });
        Ok(())
    }

    fn stop_instance(
        &self,
        service: &'static str,
        host: usize,
        stops: bool,
    ) -> Result<(), Box<dyn Error>> {
        let instance = self.hosts[host - 1].instances.get(service);
        let instance = instance.ok_or("there is no such instance")?;
        self.stop(&instance.process, &instance.name, stops)
    }

    fn stop_agent(&self, host: usize, stops: bool) -> Result<(), Box<dyn Error>> {
        let agent = self.hosts[host - 1].agent.as_ref();
        let agent = agent.ok_or("there is no agent")?;
        self.stop(agent, &agent_name(host), stops)
    }

    fn stop(&self, process: &Process, name: &str, stops: bool) -> Result<(), Box<dyn Error>> {
        let id = Pid::from_raw(process.id().try_into()?);
        if stops {
            self.note(Event::Stopped, name)?;
            kill(id, Signal::SIGSTOP)?;
        } else {
            kill(id, Signal::SIGCONT)?;
            self.note(Event::Up, name)?;
        }
        Ok(())
    }

    fn take_instance(&mut self, service: &str, host: usize) -> Result<Instance, Box<dyn Error>> {
        let taken = self.hosts[host - 1].instances.remove(service);
        Ok(taken.ok_or("there is no such instance")?)
    }

    /// Starts this program on a host, with its log as the last argument.
    fn start_own(&self, host: usize, arguments: &[String], name: &str) -> io::Result<Process> {
        let mut command = self.network.command(host, &self.own);
        command.args(arguments);
        command.arg(self.directory.join(format!("{name}.log")));
        self.spawn(host, &mut command, name)
    }

    /// Starts a process; what it says of itself goes into a file.
    fn spawn(&self, host: usize, command: &mut Command, name: &str) -> io::Result<Process> {
        let said = self.directory.join(format!("{name}.said"));
        let said: File = OpenOptions::new().create(true).append(true).open(said)?;
        Process::start(command.stderr(said), &self.home(host))
    }

    fn write_secret(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.create_new(true).write(true).mode(0o600);
        let mut file = options.open(self.directory.join(SECRET))?;
        // Nobody outside of these namespaces could send anything.
        writeln!(file, "{}", "chaos".repeat(8))
    }

    fn home(&self, host: usize) -> PathBuf {
        self.directory.join(host_name(host))
    }

    fn note(&self, event: Event, what: &str) -> Result<(), Box<dyn Error>> {
        Ok(self.log.write(&Line::Event {
            at: now(),
            event,
            what: what.to_owned(),
        })?)
    }
}

/// Has an instance finish.
fn finish(instance: Instance) -> Result<(), Box<dyn Error>> {
    match instance.process.finish()? {
        true => Ok(()),
        false => Err(format!("{} did not end well", instance.name).into()),
    }
}

/// What a host is called.
pub(crate) fn host_name(host: usize) -> String {
    format!("host-{host}")
}

/// What the agent of a host is called in the logs.
pub(crate) fn agent_name(host: usize) -> String {
    format!("agent-{host}")
}

/// What an instance is called: its service, its host, and which one it is of all that were started.
pub(crate) fn instance_name(service: &str, host: usize, number: usize) -> String {
    format!("{service}-{host}-{number}")
}

/// Where agents listen.
const GOSSIP: u16 = 7946;
const SECRET: &str = "secret";
