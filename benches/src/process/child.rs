//! A process that this one started, and the lines it prints.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child as Process, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::failure::Failure;
use crate::machine::Usage;

/// A process that was started for a measurement; dropping it ends the process.
pub(super) struct Child {
    process: Process,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Child {
    /// Starts this binary in a role.
    pub(super) fn start(role: &str) -> Result<Self, Failure> {
        let this = std::env::current_exe().map_err(Failure::io("finding this binary"))?;
        Self::run(Command::new(this).args(["--role", role]))
    }

    /// Starts what stands between a client and the server at an address.
    pub(super) fn between(script: &Path, address: &str) -> Result<Self, Failure> {
        Self::run(Command::new(script).arg(address))
    }

    fn run(command: &mut Command) -> Result<Self, Failure> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Failure::io("starting a process"))?;
        let input = process.stdin.take();
        let (spoken, lines) = channel();
        // A thread of its own, since waiting for a line must have an end even if none comes.
        if let Some(output) = process.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if spoken.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self {
            process,
            input,
            lines,
        })
    }

    /// Waits for the next line.
    pub(super) fn hear(&mut self, patience: Duration) -> Result<String, Failure> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => Err(Failure::Process(format!(
                "said nothing for {} s",
                patience.as_secs()
            ))),
            Err(RecvTimeoutError::Disconnected) => {
                let status = (self.process.wait()).map_err(Failure::io("waiting for a process"))?;
                Err(Failure::Process(format!("ended early with {status}")))
            }
        }
    }

    /// Waits for a certain line.
    pub(super) fn expect(&mut self, expected: &str, patience: Duration) -> Result<(), Failure> {
        let line = self.hear(patience)?;
        if line == expected {
            Ok(())
        } else {
            Err(Failure::Process(format!(
                "said {line:?} in place of {expected:?}"
            )))
        }
    }

    /// Writes an empty line to it.
    pub(super) fn tell(&mut self) -> Result<(), Failure> {
        match &mut self.input {
            Some(input) => writeln!(input).map_err(Failure::io("telling a process")),
            None => Ok(()),
        }
    }

    /// Asks a server what it has used so far.
    pub(super) fn usage(&mut self, patience: Duration) -> Result<Usage, Failure> {
        self.tell()?;
        let line = self.hear(patience)?;
        serde_json::from_str(&line)
            .map_err(|error| Failure::Process(format!("{error} in {line:?}")))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // A server ends with its input and cleans up after itself. One that does not, within a
        // moment, is ended by its id; so is a client, which has nothing to clean up.
        drop(self.input.take());
        let ended = Duration::from_secs(2);
        while self.lines.recv_timeout(ended).is_ok() {}
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
