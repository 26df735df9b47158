//! Whether an instance is an endpoint of a target, and how it is dialled.
//!
//! These are pure functions, so that an agent that is asked why gives the answer of the application
//! itself.

use std::fmt;

use dreammesh_core::balance::Nearness;
use dreammesh_core::call::Endpoint;
use dreammesh_core::resolve::ResolvedEndpoint;

use crate::instance::{Host, Instance, InstanceStatus, Locality, Port, Protocol};

#[cfg(test)]
mod tests;

/// Where somebody is who wants to call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Here {
    /// The host, as its agent is called by; empty where nobody knows.
    pub host: Box<str>,
    /// The region and the zone.
    pub locality: Locality,
}

impl Here {
    /// Somebody on that host, in that place.
    pub fn new(host: impl Into<Box<str>>, locality: Locality) -> Self {
        Self {
            host: host.into(),
            locality,
        }
    }

    /// Whether an instance runs on this host. Where neither is known, somebody wrote a file for
    /// this host alone: its sockets and loopback addresses are of here.
    fn may_have(&self, instance: &Instance) -> bool {
        self.host == instance.host
    }

    /// Whether an instance is known to run on this host.
    fn has(&self, instance: &Instance) -> bool {
        self.may_have(instance) && !self.host.is_empty()
    }
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// It knows whom to believe, and so can dial what is encrypted.
    pub encrypted: bool,
    /// It calls other hosts in plaintext too, where nothing else is offered.
    pub plaintext: bool,
}

impl Rules {
    /// A caller that can dial what is encrypted, or cannot.
    #[must_use]
    pub const fn encrypted(mut self, encrypted: bool) -> Self {
        self.encrypted = encrypted;
        self
    }

    /// A caller that calls other hosts in plaintext, or does not.
    #[must_use]
    pub const fn plaintext(mut self, plaintext: bool) -> Self {
        self.plaintext = plaintext;
        self
    }
}

/// An endpoint, and what somebody ought to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chosen {
    /// The endpoint.
    pub endpoint: ResolvedEndpoint,
    /// Whether calls travel in plaintext to another host.
    pub exposed: bool,
}

/// What an instance is to a caller who wants one of its ports, by name or the first.
///
/// An instance that was found not to answer is an endpoint that is not available: what is known
/// may be wrong, and a balancer uses it when there is nobody else.
///
/// # Errors
/// Why it is no endpoint.
pub fn choose(
    instance: &Instance,
    port: Option<&str>,
    here: &Here,
    rules: Rules,
) -> Result<Chosen, Reason> {
    match instance.status {
        InstanceStatus::Up | InstanceStatus::Down => {}
        InstanceStatus::Starting => return Err(Reason::Starting),
        InstanceStatus::Draining => return Err(Reason::Draining),
        InstanceStatus::Maintenance => return Err(Reason::Maintenance),
    }
    let Some(port) = instance.port(port) else {
        return Err(Reason::NoPort(port.unwrap_or_default().into()));
    };
    let (target, exposed) = dialled(instance, port, here, rules)?;
    let endpoint = ResolvedEndpoint::new(instance.id.as_str(), Endpoint::new(target))
        .weight(instance.weight.into())
        .nearness(nearness(&here.locality, &instance.locality))
        .available(instance.status == InstanceStatus::Up);
    Ok(Chosen { endpoint, exposed })
}

/// How a port is dialled, and whether calls go to another host in plaintext then.
fn dialled(
    instance: &Instance,
    port: &Port,
    here: &Here,
    rules: Rules,
) -> Result<(String, bool), Reason> {
    let is_here = here.may_have(instance);
    if is_here && (1..=SOCKET_BYTES_MAX).contains(&port.unix_path.len()) {
        let scheme = match port.protocol {
            Protocol::DreamMesh => "unix",
            Protocol::Grpc => "grpc+unix",
        };
        return Ok((format!("{scheme}://{}", port.unix_path), false));
    }
    if port.number == 0 {
        return Err(Reason::SocketElsewhere);
    }
    let usable = |host: &&Host| is_here || !host.is_loopback();
    let Some(host) = instance.addresses.iter().find(usable) else {
        return Err(Reason::LoopbackElsewhere);
    };
    let scheme = match (port.protocol, port.tls) {
        (Protocol::DreamMesh, true) => "dreammesh",
        (Protocol::DreamMesh, false) => "dreammesh+tcp",
        (Protocol::Grpc, true) => "grpcs",
        (Protocol::Grpc, false) => "grpc",
    };
    let stays = here.has(instance) || (is_here && host.is_loopback());
    let exposed = !port.tls && !stays;
    if port.tls && !rules.encrypted {
        return Err(Reason::Encrypted);
    }
    if exposed && !rules.plaintext && !instance.permit_plaintext {
        return Err(Reason::Plaintext);
    }
    Ok((format!("{scheme}://{host}:{}", port.number), exposed))
}

/// How near something is; what is not known makes no difference.
pub fn nearness(here: &Locality, there: &Locality) -> Nearness {
    let same = |a: &str, b: &str| a.is_empty() || b.is_empty() || a == b;
    if !same(&here.region, &there.region) {
        Nearness::Elsewhere
    } else if !same(&here.zone, &there.zone) {
        Nearness::Region
    } else {
        Nearness::Zone
    }
}

/// Why an instance is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It does not take calls yet.
    Starting,
    /// It takes no new calls.
    Draining,
    /// An operator keeps calls away from it.
    Maintenance,
    /// It has no port of that name.
    NoPort(Box<str>),
    /// Only a Unix socket leads to it, on another host or by a path that is too long to be dialled.
    SocketElsewhere,
    /// Its only addresses mean the host that it runs on, which is another.
    LoopbackElsewhere,
    /// It is encrypted, and nothing says whom to believe.
    Encrypted,
    /// It is on another host and not encrypted.
    Plaintext,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("it does not take calls yet"),
            Self::Draining => f.write_str("it is draining"),
            Self::Maintenance => f.write_str("it is in maintenance"),
            Self::NoPort(name) => write!(f, "it has no port `{name}`"),
            Self::SocketElsewhere => {
                f.write_str("only a Unix socket leads to it, which cannot be dialled from here")
            }
            Self::LoopbackElsewhere => {
                f.write_str("it has only loopback addresses, of another host")
            }
            Self::Encrypted => f.write_str(
                "it is encrypted, and nothing says whom to believe: give the mesh or the connector \
                 a `ClientTls`",
            ),
            Self::Plaintext => f.write_str(
                "it is on another host and not encrypted, which neither it nor the caller permits",
            ),
        }
    }
}

/// As `sockaddr_un` has it on the system where it holds the least.
const SOCKET_BYTES_MAX: usize = 103;
