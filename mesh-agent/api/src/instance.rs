//! The running copies of services, as everybody in the mesh sees them.
//!
//! An [`Instance`] has been checked: whoever holds one need not look at it again. What comes from
//! outside is a [`proto::Instance`], and becomes one by [`TryFrom`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::name::{NameError, ServiceName, check_label};
use crate::proto;

pub use error::InstanceError;

mod convert;
mod error;
#[cfg(test)]
mod tests;

/// How long an id may be, in bytes.
pub const ID_BYTES_MAX: usize = 128;
/// How many addresses an instance may have.
pub const ADDRESSES_MAX: usize = 8;
/// How many ports an instance may have.
pub const PORTS_MAX: usize = 16;
/// How many labels an instance may have.
pub const LABELS_MAX: usize = 64;
/// How long the name of a label may be, in bytes.
pub const LABEL_NAME_BYTES_MAX: usize = 63;
/// How long the value of a label may be, in bytes.
pub const LABEL_VALUE_BYTES_MAX: usize = 255;
/// How many services of an instance may say what they read in place.
pub const LAYOUTS_MAX: usize = 64;
/// How long other texts of an instance may be, in bytes: versions, places, host names, sockets.
pub const TEXT_BYTES_MAX: usize = 255;
/// The greatest weight.
pub const WEIGHT_MAX: u16 = u16::MAX;
/// The weight of instances of which nothing was said.
pub const WEIGHT_DEFAULT: u16 = 100;

/// One running copy of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instance {
    /// Names it in the whole mesh.
    pub id: InstanceId,
    /// What it is a copy of.
    pub service: ServiceName,
    /// What the program calls its version; may be empty.
    pub version: Box<str>,
    /// Where it can be reached, the preferred address first; may be empty if a socket leads there.
    pub addresses: Vec<Host>,
    /// Its ports, at least one; the first is meant by targets that name none.
    pub ports: Vec<Port>,
    /// How much it takes in relation to others; no calls with 0.
    pub weight: u16,
    /// Where it is.
    pub locality: Locality,
    /// Words of the user's.
    pub labels: BTreeMap<Box<str>, Box<str>>,
    /// The hash of the messages that it reads in place, by the full name of a service.
    pub layouts: BTreeMap<Box<str>, [u8; 16]>,
    /// Whether it can be given calls.
    pub status: InstanceStatus,
    /// How it is checked.
    pub check: Check,
    /// Whose word it is; empty until an agent has taken it in.
    pub origin: Box<str>,
    /// The agent that speaks for it; empty until one does.
    pub agent: Box<str>,
    /// The host it runs on; empty where nobody knows.
    pub host: Box<str>,
    /// Whether it may be called in plaintext from other hosts.
    pub permit_plaintext: bool,
}

impl Instance {
    /// One that is up, of the usual weight, with one port and nothing else said.
    pub fn new(id: InstanceId, service: ServiceName, port: Port) -> Self {
        Self {
            id,
            service,
            version: Box::default(),
            addresses: Vec::new(),
            ports: vec![port],
            weight: WEIGHT_DEFAULT,
            locality: Locality::default(),
            labels: BTreeMap::new(),
            layouts: BTreeMap::new(),
            status: InstanceStatus::Up,
            check: Check::default(),
            origin: Box::default(),
            agent: Box::default(),
            host: Box::default(),
            permit_plaintext: false,
        }
    }

    /// The port of that name, or the first if none is asked for.
    pub fn port(&self, name: Option<&str>) -> Option<&Port> {
        match name {
            None => self.ports.first(),
            Some(name) => self.ports.iter().find(|port| &*port.name == name),
        }
    }
}

/// Names an instance in the whole mesh: up to [`ID_BYTES_MAX`] visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(Arc<str>);

impl InstanceId {
    /// An id.
    ///
    /// # Errors
    /// When it is empty, too long, or has other characters.
    pub fn new(id: impl Into<Arc<str>>) -> Result<Self, InstanceError> {
        let id = id.into();
        if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(|it| it.is_ascii_graphic()) {
            return Err(InstanceError::Id);
        }
        Ok(Self(id))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Host {
    /// An IP address; never one that means every address.
    Ip(IpAddr),
    /// A name that the system resolves.
    Name(Box<str>),
}

impl Host {
    /// Whether it means only the host on which it is read.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Ip(address) => address.to_canonical().is_loopback(),
            Self::Name(name) => &**name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

impl fmt::Display for Host {
    /// As it stands before `:port`: an IPv6 address in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(address)) => address.fmt(f),
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// A port of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Port {
    /// By which targets ask for it; may be empty.
    pub name: Box<str>,
    /// Its number; 0 where only a socket leads there.
    pub number: u16,
    /// What is spoken.
    pub protocol: Protocol,
    /// Whether it is encrypted.
    pub tls: bool,
    /// The path of a Unix socket that leads to the same server; empty if there is none.
    pub unix_path: Box<str>,
}

impl Port {
    /// A port in plaintext without a name.
    pub fn new(number: u16, protocol: Protocol) -> Self {
        Self {
            name: Box::default(),
            number,
            protocol,
            tls: false,
            unix_path: Box::default(),
        }
    }
}

/// What a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// Every protocol of a DreamMesh server.
    DreamMesh,
    /// Plain gRPC over HTTP/2.
    Grpc,
}

/// Whether an instance can be given calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InstanceStatus {
    /// It takes calls.
    Up,
    /// It does not take calls yet.
    Starting,
    /// It finishes the calls it has and takes no new ones.
    Draining,
    /// An operator keeps calls away from it.
    Maintenance,
    /// It was found not to answer.
    Down,
}

/// How an instance is checked, beyond the stream that it may hold itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// The kind of check.
    pub kind: CheckKind,
    /// The full name of the service that gRPC's health service is asked for; empty for the server.
    pub service: Box<str>,
}

/// A kind of check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckKind {
    /// What suits the protocol of the first port.
    #[default]
    Fitting,
    /// None: it is up until somebody says otherwise.
    None,
    /// A connection is accepted.
    Tcp,
    /// gRPC's health service says that it serves.
    Grpc,
    /// A ping of a session is answered.
    Session,
}

/// Where something is, as the operator names such places; either may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Locality {
    /// The region.
    pub region: Box<str>,
    /// The part of the region that fails together.
    pub zone: Box<str>,
}

impl Locality {
    /// A zone of a region.
    pub fn new(region: impl Into<Box<str>>, zone: impl Into<Box<str>>) -> Self {
        Self {
            region: region.into(),
            zone: zone.into(),
        }
    }
}
