//! A server in a process of its own, and our client against it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

use dreammesh_interop::cases;

/// A server, which is ended with the test.
pub(crate) struct Running {
    pub(crate) server: Child,
    pub(crate) address: String,
    pub(crate) root: Option<String>,
}

impl Running {
    /// Starts our own server.
    pub(crate) fn start(flags: &[&str]) -> Self {
        let mut server = Command::new(env!("CARGO_BIN_EXE_interop-server"));
        server.args(["--port", "0"]).args(flags);
        Self::of(server)
    }

    /// Starts a server that says where it listens.
    pub(crate) fn of(mut server: Command) -> Self {
        let mut server = server.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let output = server.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let said = line.trim().strip_prefix("listening on ").unwrap();
        let (address, root) = match said.split_once(", root in ") {
            Some((address, root)) => (address.to_owned(), Some(root.to_owned())),
            None => (said.to_owned(), None),
        };
        Self {
            server,
            address,
            root,
        }
    }

    /// A server that is ready there.
    pub(crate) const fn at(server: Child, address: String, root: Option<String>) -> Self {
        Self {
            server,
            address,
            root,
        }
    }

    /// Runs our own client.
    pub(crate) fn run(&self, flags: &[&str]) -> Output {
        let mut client = Command::new(env!("CARGO_BIN_EXE_interop-client"));
        client.args(["--server", &self.address]).args(flags);
        if let Some(root) = &self.root {
            client.args(["--tls", "--ca", root]);
        }
        client.output().unwrap()
    }

    /// Checks that our own client passes all cases by a scheme.
    pub(crate) fn passes_all(&self, scheme: &str) {
        let compressed = match scheme {
            "grpc" | "grpcs" | "grpc+unix" => cases::COMPRESSED.len(),
            _ => 0,
        };
        let all = cases::NAMES.len() + compressed;
        self.passes(all, &["--case", "all", "--scheme", scheme]);
    }

    /// Checks that our own client passes so many cases.
    pub(crate) fn passes(&self, cases: usize, flags: &[&str]) {
        let output = self.run(flags);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{flags:?}: {said}");
        let passed = said.lines().filter(|line| line.ends_with(": ok")).count();
        assert_eq!(passed, cases, "{flags:?}: {said}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
