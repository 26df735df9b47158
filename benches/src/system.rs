//! The systems under measurement.
//!
//! A system is one file: how it serves the bench contract and how it calls it. Each is set up
//! the way its own documentation recommends for speed; deviations are stated in its file.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;

use crate::failure::Failure;
use crate::run::{Plan, Seen};
use crate::workload::Workload;

pub mod dreammesh;
pub mod echo;
pub mod tonic;

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// TCP over the loopback interface, with `TCP_NODELAY`.
    Tcp,
    /// A Unix stream socket.
    Unix,
}

impl Link {
    /// The name used on the command line and in the report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Unix => "unix",
        }
    }
}

/// Where a server can be reached, as one process tells another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Address {
    /// Reads what [`Display`](fmt::Display) wrote.
    ///
    /// # Errors
    /// When the text is neither a TCP address nor a socket path.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = || Failure::Usage(format!("not an address: {text:?}"));
        match text.split_once(':').ok_or_else(wrong)? {
            ("tcp", address) => address.parse().map(Self::Tcp).map_err(|_| wrong()),
            ("unix", path) => Ok(Self::Unix(path.into())),
            _ => Err(wrong()),
        }
    }

    /// A socket path no other process uses.
    #[must_use]
    pub fn own_socket() -> PathBuf {
        std::env::temp_dir().join(format!("dreammesh-load-{}.sock", std::process::id()))
    }
}

/// A future that lives on one thread's runtime.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + 'a>>;

/// One system under measurement.
pub trait System: Sync {
    /// The name used on the command line and in the report.
    fn name(&self) -> &'static str;

    /// What it can run over.
    fn links(&self) -> &'static [Link];

    /// Serves until dropped; calls `ready` once, when connections are accepted.
    fn serve<'a>(
        &'a self,
        link: Link,
        workload: Workload,
        ready: Box<dyn FnOnce(Address) + 'a>,
    ) -> Work<'a, ()>;

    /// Opens one connection and loads it as planned.
    fn load<'a>(&'a self, address: Address, workload: Workload, plan: Plan) -> Work<'a, Seen>;
}

/// Every system, in the order in which a round visits them.
pub const ALL: [&dyn System; 4] = [
    &dreammesh::DreamMesh::DEFAULT,
    &dreammesh::DreamMesh::FULL,
    &tonic::Tonic,
    &echo::Echo,
];

/// Finds a system by its name.
///
/// # Errors
/// When no system has that name.
pub fn parse(name: &str) -> Result<&'static dyn System, Failure> {
    ALL.into_iter()
        .find(|system| system.name() == name)
        .ok_or_else(|| Failure::Usage(format!("no system is called {name:?}")))
}

impl fmt::Debug for dyn System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
