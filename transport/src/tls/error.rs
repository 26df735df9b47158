//! What can be wrong with certificates, keys and names before any connection is made.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a certificate, a key, a root or an expected name cannot be used.
///
/// Its text names the file, what was found in it and what is missing.
#[derive(Debug)]
pub struct TlsError {
    origin: Origin,
    problem: Problem,
}

/// Where something was read from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    File(PathBuf),
    /// Bytes, and what they were given as.
    Memory(&'static str),
}

#[derive(Debug)]
pub(super) enum Problem {
    Io(io::Error),
    /// What is missing, and the PEM sections that are there.
    Missing(&'static str, Vec<String>),
    Malformed(&'static str, String),
    /// The key is not the certificate's; where the certificate came from.
    Mismatch(Origin),
    Rustls(&'static str, rustls::Error),
    Name(String, &'static str),
}

impl TlsError {
    pub(super) fn new(origin: &Origin, problem: Problem) -> Self {
        Self {
            origin: origin.clone(),
            problem,
        }
    }

    pub(super) fn name(name: &str, wrong: &'static str) -> Self {
        Self {
            origin: Origin::Memory("the expected name"),
            problem: Problem::Name(name.to_owned(), wrong),
        }
    }
}

impl Origin {
    pub(super) fn file(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "`{}`", path.display()),
            Self::Memory(what) => f.write_str(what),
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, problem } = self;
        match problem {
            Problem::Io(error) => write!(f, "{origin} cannot be read: {error}"),
            Problem::Missing(what, found) if found.is_empty() => {
                write!(f, "{origin} holds no {what} in PEM form, nor any other PEM")
            }
            Problem::Missing(what, found) => {
                let found = found.join(", ");
                write!(f, "{origin} holds no {what} in PEM form, only: {found}")
            }
            Problem::Malformed(what, why) => write!(f, "{origin} holds a broken {what}: {why}"),
            Problem::Mismatch(chain) => write!(
                f,
                "the private key in {origin} is not the key of the first certificate in {chain}"
            ),
            Problem::Rustls(what, error) => {
                write!(f, "{origin} holds a {what} that cannot be used: {error}")
            }
            Problem::Name(name, wrong) => write!(f, "`{name}` {wrong}"),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Io(error) => Some(error),
            Problem::Rustls(_, error) => Some(error),
            _ => None,
        }
    }
}
