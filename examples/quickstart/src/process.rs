//! A process that is started and ended, and what belongs to both sides of that.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tokio::sync::oneshot;

/// One process and what it said when it was ready; dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// The first line of its output: of a service, where it can be reached.
    pub(crate) said: String,
}

impl Process {
    /// Starts a program, whose agent has its files in that directory, and waits for its first line.
    pub(crate) fn start(command: &mut Command, directory: &Path) -> io::Result<Self> {
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

/// Ends when standard input does: whoever started this process asks it to finish, or is gone.
pub(crate) async fn input_ended() {
    let (ended, end) = oneshot::channel();
    // Reading blocks, so it has a thread of its own; it ends with the input, or with the process.
    std::thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        let _ = ended.send(());
    });
    let _ = end.await;
}

/// A directory of this process alone for the files of agents, removed in the end.
#[derive(Debug)]
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn create(name: &str) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
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
pub(crate) fn agent_program() -> io::Result<PathBuf> {
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
