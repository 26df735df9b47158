//! Files as they were in a revision, read by the `git` program.

use std::collections::BTreeMap;
use std::env;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

/// A revision of the repository that the current directory is in.
pub(super) struct Revision {
    name: String,
    /// The object that the name stands for, so that it cannot move while files are read.
    commit: String,
    /// The root of the working tree, as the system resolves it.
    top: PathBuf,
    /// What was read already; an import is looked for below each include directory.
    known: Mutex<BTreeMap<PathBuf, Option<String>>>,
}

impl Revision {
    /// Finds a revision by its name.
    pub(super) fn open(name: &str) -> Result<Self, String> {
        if name.is_empty() || name.starts_with('-') {
            return Err(format!("`{name}` is no revision"));
        }
        let top = git(&["rev-parse", "--show-toplevel"]).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                format!("`{name}` cannot be looked up as a revision: there is no `git` program")
            }
            _ => format!("`{name}` cannot be looked up as a revision: {error}"),
        })?;
        let top = PathBuf::from(line(&top));
        let wanted = format!("{name}^{{commit}}");
        let commit = git(&["rev-parse", "--verify", "--quiet", &wanted])
            .map_err(|_| format!("git knows no revision `{name}`"))?;
        Ok(Self {
            name: name.to_owned(),
            commit: line(&commit),
            top: top.canonicalize().unwrap_or(top),
            known: Mutex::default(),
        })
    }

    /// The text of a file, none if the revision has no such file.
    pub(super) fn read(&self, path: &Path) -> io::Result<Option<String>> {
        let Some(below) = self.below_top(path)? else {
            return Ok(None);
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = known.get(&below) {
            return Ok(text.clone());
        }
        let text = self.show(&below)?;
        known.insert(below, text.clone());
        Ok(text)
    }

    fn show(&self, below: &Path) -> io::Result<Option<String>> {
        let Some(path) = below.to_str() else {
            return Ok(None);
        };
        let listed = git(&["ls-tree", "--full-tree", &self.commit, "--", path])?;
        if !listed.starts_with(b"100") {
            return Ok(None);
        }
        let object = format!("{}:{path}", self.commit);
        let bytes = git(&["cat-file", "blob", &object])?;
        String::from_utf8(bytes).map(Some).map_err(|_| {
            let text = format!("{}:{path} is not UTF-8", self.name);
            io::Error::new(io::ErrorKind::InvalidData, text)
        })
    }

    /// The path from the root of the working tree; none for one outside of it.
    fn below_top(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let whole = lexical(&env::current_dir()?.join(path));
        // The file may be gone by now, but a directory above it is there, links resolved or not.
        let mut above = whole.as_path();
        while let Some(parent) = above.parent() {
            if let Ok(real) = above.canonicalize() {
                let rest = whole.strip_prefix(above).unwrap_or_else(|_| Path::new(""));
                let real = if rest.as_os_str().is_empty() {
                    real
                } else {
                    real.join(rest)
                };
                return Ok(real.strip_prefix(&self.top).ok().map(Path::to_owned));
            }
            above = parent;
        }
        Ok(None)
    }
}

/// Resolves `.` and `..` by the names alone.
fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// What git writes, or what it complains of.
fn git(arguments: &[&str]) -> io::Result<Vec<u8>> {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new("git")
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    if status.success() {
        return Ok(stdout);
    }
    let complaint = String::from_utf8_lossy(&stderr);
    let first = complaint.lines().next().unwrap_or("it failed");
    Err(io::Error::other(format!("git: {first}")))
}

fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}
