//! Which instances are checked by this agent, and how.

use dreammesh_agent_api::endpoint::{self, Here, Rules};
use dreammesh_agent_api::instance::{CheckKind, InstanceStatus, Protocol};

use crate::registry::{Known, Origin};

/// How an instance is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) kind: Kind,
    /// What is dialled, as a caller on this host would.
    pub(super) target: Box<str>,
    /// Which service gRPC's health service is asked for.
    pub(super) service: Box<str>,
}

/// A kind of check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Tcp,
    Grpc,
    Session,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Tcp, Self::Grpc, Self::Session];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Grpc => "grpc",
            Self::Session => "session",
        }
    }
}

impl Subject {
    /// How an instance is checked from here; `None` when it is not.
    ///
    /// Those are checked for which this agent speaks, and those for which nobody does: what is held
    /// or remembered from before a restart, and orphans of other agents. An application that holds
    /// a stream is known by that, unless it asks for a check. What takes no calls by its own word
    /// is not checked: a failure would hide what it says of itself.
    pub(super) fn of(known: &Known, is_orphan: bool, here: &Here) -> Option<Self> {
        let instance = &known.stated;
        let speaks = match known.origin {
            Origin::Attached => true,
            Origin::File | Origin::Held | Origin::Remembered => true,
            Origin::Gossip => is_orphan,
        };
        if !speaks || instance.status != InstanceStatus::Up {
            return None;
        }
        let protocol = instance.port(None)?.protocol;
        let kind = match (instance.check.kind, protocol) {
            (CheckKind::None, _) => return None,
            (CheckKind::Fitting, Protocol::DreamMesh) if known.origin == Origin::Attached => {
                return None;
            }
            (CheckKind::Tcp, _) => Kind::Tcp,
            (CheckKind::Grpc, _) | (CheckKind::Fitting, Protocol::Grpc) => Kind::Grpc,
            (CheckKind::Session | CheckKind::Fitting, _) => Kind::Session,
            (_, _) => return None,
        };
        // No check carries anything that may not be read on the way.
        let rules = Rules::default().encrypted(true).plaintext(true);
        let chosen = endpoint::choose(instance, None, here, rules).ok()?;
        let target = chosen.endpoint.endpoint.target();
        let is_encrypted = target.starts_with("dreammesh://") || target.starts_with("grpcs://");
        Some(Self {
            // Whom to believe there is for callers to know; that somebody listens can be seen.
            kind: if is_encrypted { Kind::Tcp } else { kind },
            target: target.into(),
            service: instance.check.service.clone(),
        })
    }

    /// What is dialled, without what is spoken there.
    pub(super) fn place(&self) -> Place<'_> {
        match self.target.split_once("://") {
            Some(("unix" | "grpc+unix", path)) => Place::Socket(path),
            Some((_, address)) => Place::Address(address),
            None => Place::Address(&self.target),
        }
    }

    /// The target as gRPC is spoken there.
    pub(super) fn grpc_target(&self) -> String {
        match self.place() {
            // A server of ours answers the health service in its own protocol there, others in
            // gRPC: the target says which it is.
            Place::Socket(_) => self.target.to_string(),
            Place::Address(address) => format!("grpc://{address}"),
        }
    }

    /// The target as sessions are spoken there.
    pub(super) fn session_target(&self) -> String {
        match self.place() {
            Place::Socket(path) => format!("unix://{path}"),
            Place::Address(address) => format!("dreammesh+tcp://{address}"),
        }
    }
}

/// Where something listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// A host and a port.
    Address(&'a str),
    /// The path of a Unix socket.
    Socket(&'a str),
}

#[cfg(test)]
mod tests;
