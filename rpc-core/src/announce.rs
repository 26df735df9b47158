//! The seam to whatever tells others where a server is.

use std::fmt;
use std::task::{Context, Poll};

use crate::wire::LayoutHash;

/// What a server says of itself when it serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// What it listens on, as clients dial it, in the order in which it was bound. A host may be
    /// the address that means every one.
    pub targets: Vec<String>,
    /// Its services.
    pub services: Vec<ServedService>,
}

/// A service that a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServedService {
    /// Its full name, `package.Service`.
    pub name: &'static str,
    /// Over everything that the messages of its methods reach.
    pub layouts: LayoutHash,
}

impl Served {
    /// A server with these targets and services.
    pub const fn new(targets: Vec<String>, services: Vec<ServedService>) -> Self {
        Self { targets, services }
    }
}

impl ServedService {
    /// A service whose messages have that hash.
    pub const fn new(name: &'static str, layouts: LayoutHash) -> Self {
        Self { name, layouts }
    }
}

/// Tells others of a server.
pub trait Announcer: Send + fmt::Debug + 'static {
    /// Looks at what it was told, before anything is bound.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check(&self) -> Result<(), AnnounceError>;

    /// Begins to tell of a server that serves from now on.
    fn announce(self: Box<Self>, served: Served) -> Box<dyn Announcement>;
}

/// What goes on being told of a server; dropping it takes everything back.
pub trait Announcement: Send + fmt::Debug + 'static {
    /// Says whether the server can be called, each time that this changes; it cannot until then.
    fn handle_serving(&mut self, serving: bool);

    /// Says that the server takes no more calls, and waits until that is known, or a short time has
    /// passed.
    fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// What cannot be announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceError(String);

impl AnnounceError {
    /// One for which there is that reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for AnnounceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AnnounceError {}
