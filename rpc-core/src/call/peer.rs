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

/// What a link knows of the process at its other end.
///
/// A clone shares the same facts.
#[derive(Clone, Debug)]
pub struct Peer(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    endpoint: Endpoint,
    identity: Option<Identity>,
}

impl Peer {
    /// A peer at an address, nothing verified about it.
    pub fn new(endpoint: Endpoint) -> Self {
        Self(Arc::new(Facts {
            endpoint,
            identity: None,
        }))
    }

    /// The same peer with a verified identity.
    #[must_use]
    pub fn with_identity(self, identity: Identity) -> Self {
        let endpoint = self.0.endpoint.clone();
        Self(Arc::new(Facts {
            endpoint,
            identity: Some(identity),
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
}
