//! Running other programs, and saying which.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::console::say;

/// A program about to be run; what it prints goes straight to the terminal.
#[derive(Debug)]
pub(crate) struct Tool {
    command: Command,
}

impl Tool {
    /// A program to be run in `directory`.
    pub(crate) fn new(program: impl AsRef<OsStr>, directory: &Path) -> Self {
        let mut command = Command::new(program);
        command.current_dir(directory).stdin(Stdio::null());
        Self { command }
    }

    /// The cargo that runs this xtask.
    pub(crate) fn cargo(directory: &Path) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Self::new(cargo, directory).env("CARGO_TERM_PROGRESS_WHEN", "never")
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes every variable but `name` from the program's environment.
    pub(crate) fn only_env(mut self, name: &str) -> Self {
        self.command.env_clear();
        match std::env::var_os(name) {
            Some(value) => self.env(name, value),
            None => self,
        }
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    /// When it cannot be started or ends with anything but success.
    pub(crate) fn run(mut self) -> Result<(), String> {
        let line = self.line();
        say(format!("$ {line}"));
        let status = self
            .command
            .status()
            .map_err(|error| format!("cannot run `{line}`: {error}"))?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("`{line}` ended with {status}"))
        }
    }

    /// As [`run`](Self::run), and hands those lines to `look` that the program writes to standard
    /// error, which are shown too.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(crate) fn run_looking(mut self, mut look: impl FnMut(&str)) -> Result<(), String> {
        let line = self.line();
        say(format!("$ {line}"));
        let failed = |error| format!("cannot run `{line}`: {error}");
        let mut child = self
            .command
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(errors) = child.stderr.take() {
            // What is not UTF-8 is shown as well as can be; a pipe that breaks ends with the program.
            for written in BufReader::new(errors).split(b'\n').map_while(Result::ok) {
                let written = String::from_utf8_lossy(&written);
                say(&written);
                look(&written);
            }
        }
        let status = child.wait().map_err(failed)?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("`{line}` ended with {status}"))
        }
    }

    /// Runs the program and hands back what it wrote to standard output.
    ///
    /// # Errors
    /// When it cannot be started, ends with anything but success, or does not write UTF-8.
    pub(crate) fn read(mut self) -> Result<String, String> {
        let line = self.line();
        self.command.stderr(Stdio::inherit());
        let output = self
            .command
            .output()
            .map_err(|error| format!("cannot run `{line}`: {error}"))?;
        if !output.status.success() {
            return Err(format!("`{line}` ended with {}", output.status));
        }
        String::from_utf8(output.stdout)
            .map_err(|_| format!("`{line}` wrote something other than UTF-8"))
    }

    /// Whether the program starts and ends well, its output thrown away; for finding out what is
    /// installed.
    pub(crate) fn works(mut self) -> bool {
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        self.command.status().is_ok_and(|status| status.success())
    }

    fn line(&self) -> String {
        let mut line = Path::new(self.command.get_program())
            .file_name()
            .unwrap_or_else(|| self.command.get_program())
            .to_string_lossy()
            .into_owned();
        for word in self.command.get_args() {
            line.push(' ');
            line.push_str(&word.to_string_lossy());
        }
        line
    }
}
