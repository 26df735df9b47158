//! The programs that were brought in, and those of them that run.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// A program of Debian's packages, below the directory they were unpacked in.
pub(crate) fn debian(name: &str) -> Command {
    let root = home().join("debian");
    let mut command = Command::new(root.join(name));
    command.env("LD_LIBRARY_PATH", root.join("usr/lib/x86_64-linux-gnu"));
    command
}

pub(crate) fn envoy() -> Command {
    Command::new(home().join("envoy/_bin/envoy"))
}

/// The Python that has aioquic.
pub(crate) fn python() -> Command {
    Command::new(home().join("python/bin/python3"))
}

fn home() -> PathBuf {
    std::env::var_os("DREAMMESH_TEST_PROXIES")
        .expect("DREAMMESH_TEST_PROXIES names the directory with the proxies")
        .into()
}

/// A directory of this test's own, which goes with it.
pub(crate) struct Room(PathBuf);

impl Room {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("dreammesh-proxies-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that runs until this is dropped.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    /// Starts it and waits for a line on its standard error that says that it serves; none if it
    /// ends before that.
    pub(crate) fn start(mut command: Command, ready: &str) -> Option<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        loop {
            let Some(Ok(line)) = lines.next() else {
                child.wait().unwrap();
                println!("{command:?} ended:\n{}", said.join("\n"));
                return None;
            };
            let is_ready = line.contains(ready);
            said.push(line);
            if is_ready {
                break;
            }
        }
        // It must not wait for somebody to read on.
        thread::spawn(move || lines.for_each(drop));
        Some(Self { child })
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // By name and not by force: a program that has started others takes them with it.
        self.signal("-TERM");
        let _ = self.child.wait();
    }
}

/// A port that the kernel chose and nobody has yet, for a program that cannot say which it was
/// given. Somebody else may take it first; then the program does not start, and the next is tried.
pub(crate) fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// How often a port may have been taken by somebody else in between.
pub(crate) const ATTEMPTS: usize = 5;
