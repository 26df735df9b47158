//! Starting the shop's processes, and ending them again whatever happens.

use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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
        let directory = Directory::create()?;
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

/// One process and what it said when it was ready; dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// The first line of its output: of a service, where it can be reached.
    pub(crate) said: String,
}

impl Process {
    /// Starts a program and waits for its first line.
    fn start(command: &mut Command, directory: &Path) -> io::Result<Self> {
        let child = command
            .env("XDG_RUNTIME_DIR", directory)
            .env_remove("DREAMMESH_AGENT")
            .env_remove("DREAMMESH_SERVICES")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut process = Self {
            child,
            said: String::new(),
        };
        if let Some(output) = process.child.stdout.take() {
            BufReader::new(output).read_line(&mut process.said)?;
        }
        process.said.truncate(process.said.trim_end().len());
        if process.said.is_empty() {
            return Err(io::Error::other(format!("{command:?} did not start")));
        }
        Ok(process)
    }

    /// The id of the process, as the system's own tools list it.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as `kill -9` does: it has no say in it.
    pub(crate) fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to finish, which the end of its input does, and waits until it has.
    pub(crate) fn finish(mut self) -> io::Result<bool> {
        drop(self.child.stdin.take());
        Ok(self.child.wait()?.success())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody waits for its calls any more, so it is ended outright.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory of this process alone for the agent's files, removed in the end.
#[derive(Debug)]
struct Directory(PathBuf);

impl Directory {
    fn create() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("quickstart-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The program `dreammesh`, which lies beside this one once cargo has built it.
fn agent_program() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let beside = own.parent().unwrap_or_else(|| Path::new("."));
    let program = beside.join(format!("dreammesh{}", std::env::consts::EXE_SUFFIX));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(root)
        .args(["build", "--locked", "--bin", "dreammesh"]);
    if beside.ends_with("release") {
        cargo.arg("--release");
    }
    if let Some(target) = beside.parent() {
        cargo.arg("--target-dir").arg(target);
    }
    match cargo.status() {
        Ok(status) if status.success() => Ok(program),
        // Without cargo, what was built before has to do.
        Err(_) if program.exists() => Ok(program),
        Ok(status) => Err(io::Error::other(format!("building the agent: {status}"))),
        Err(error) => Err(error),
    }
}
