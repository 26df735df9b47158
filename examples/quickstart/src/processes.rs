//! Starting the shop's processes, and ending them again whatever happens.

use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The three processes; dropping this ends them.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) catalog: Process,
    pub(crate) inventory: Process,
    pub(crate) checkout: Process,
    _directory: SocketDirectory,
}

impl Shop {
    /// Starts this very program three times, each time in another role.
    pub(crate) fn open() -> io::Result<Self> {
        let directory = SocketDirectory::create()?;
        let catalog = Process::start(&["catalog", ANY_PORT])?;
        let inventory = Process::start(&["inventory", &directory.address("inventory")])?;
        let checkout = Process::start(&["checkout", ANY_PORT, &catalog.target, &inventory.target])?;
        Ok(Self {
            catalog,
            inventory,
            checkout,
            _directory: directory,
        })
    }

    /// All processes, in the order of the flow of goods.
    pub(crate) fn processes(&self) -> [(&'static str, &Process); 3] {
        [
            ("catalog", &self.catalog),
            ("inventory", &self.inventory),
            ("checkout", &self.checkout),
        ]
    }
}

/// One process and where it can be reached; dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) target: String,
}

impl Process {
    fn start(arguments: &[&str]) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut target = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut target)?;
        }
        let process = Self {
            child,
            target: target.trim_end().to_owned(),
        };
        if process.target.is_empty() {
            return Err(io::Error::other(format!("{} did not start", arguments[0])));
        }
        Ok(process)
    }

    /// The id of the process, as the system's own tools list it.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input asks it to finish; this one is also ended outright, since nobody
        // is waiting for its calls any more.
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that lets the kernel choose the port.
const ANY_PORT: &str = "dreammesh+tcp://127.0.0.1:0";

/// A directory of this process alone for its Unix sockets, removed in the end.
#[derive(Debug)]
struct SocketDirectory(Option<PathBuf>);

impl SocketDirectory {
    fn create() -> io::Result<Self> {
        if !cfg!(unix) {
            return Ok(Self(None));
        }
        let path = std::env::temp_dir().join(format!("quickstart-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(Some(path)))
    }

    /// Where a service of that name listens: a socket where there are any, else a port.
    fn address(&self, name: &str) -> String {
        match &self.0 {
            Some(path) => format!("unix://{}", path.join(format!("{name}.sock")).display()),
            None => ANY_PORT.to_owned(),
        }
    }
}

impl Drop for SocketDirectory {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}
