//! Who is at the other end.

use std::fmt;
use std::sync::Arc;

/// One resolved address, written as a target that reaches it directly.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint(Arc<str>);

impl Endpoint {
    /// The endpoint reached by a direct target such as `dreammesh+tcp://10.0.0.7:7443`.
    pub fn new(target: impl Into<Arc<str>>) -> Self {
        Self(target.into())
    }

    /// The direct target.
    pub fn target(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.0)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A workload's verified name, such as `spiffe://example.org/ns/shop/sa/catalog`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity(Arc<str>);

impl Identity {
    /// An identity the link has verified.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// A process on the same host, as the kernel says of the other end of a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Process {
    /// The number of the user that it runs as; of a server, when it began to listen.
    pub user: u32,
    /// The number of that user's group.
    pub group: u32,
    /// Its own number; none where the kernel does not say it, or it is in another namespace.
    pub id: Option<u32>,
}

impl Process {
    /// A process of a user and a group.
    pub const fn new(user: u32, group: u32, id: Option<u32>) -> Self {
        Self { user, group, id }
    }
}

/// What a link knows of the process at its other end.
///
/// A clone shares the same facts.
#[derive(Clone, Debug)]
pub struct Peer(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    endpoint: Endpoint,
    identity: Option<Identity>,
    process: Option<Process>,
}

impl Peer {
    /// A peer at an address, nothing verified about it.
    pub fn new(endpoint: Endpoint) -> Self {
        Self(Arc::new(Facts {
            endpoint,
            identity: None,
            process: None,
        }))
    }

    /// The same peer with a verified identity.
    #[must_use]
    pub fn with_identity(self, identity: Identity) -> Self {
        let endpoint = self.0.endpoint.clone();
        Self(Arc::new(Facts {
            endpoint,
            identity: Some(identity),
            process: self.0.process,
        }))
    }

    /// The same peer with the process that the kernel named.
    #[must_use]
    pub fn with_process(self, process: Process) -> Self {
        Self(Arc::new(Facts {
            endpoint: self.0.endpoint.clone(),
            identity: self.0.identity.clone(),
            process: Some(process),
        }))
    }

    /// Its address.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// Its verified name, when the link verifies any.
    pub fn identity(&self) -> Option<&Identity> {
        self.0.identity.as_ref()
    }

    /// Its process, when it is on the same host and the link is a Unix socket.
    pub fn process(&self) -> Option<Process> {
        self.0.process
    }
}
