//! A directory of a test's own, and the program run in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory that is removed with it.
pub(crate) struct Scratch(PathBuf);

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Scratch {
    pub(crate) fn new(test: &str) -> Self {
        let name = format!("dreammesh-cli-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file, and gives its path as an argument.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    pub(crate) fn dreammesh(&self, arguments: &[&str]) -> Ended {
        dreammesh(&self.0, arguments)
    }

    pub(crate) fn with_path(&self, path: &str, arguments: &[&str]) -> Ended {
        ended(command(&self.0, arguments).env("PATH", path).output())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn dreammesh(directory: &Path, arguments: &[&str]) -> Ended {
    ended(command(directory, arguments).output())
}

pub(crate) fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dreammesh"));
    command.args(arguments).current_dir(directory);
    command
}

pub(crate) fn ended(output: std::io::Result<Output>) -> Ended {
    let output = output.unwrap();
    Ended {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
