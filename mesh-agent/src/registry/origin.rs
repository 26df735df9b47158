//! Who says that an instance is there.

use std::time::Instant;

/// What kind of source says that an instance is there, the highest precedence first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// An application that is attached to this agent.
    Attached,
    /// One that was attached before this agent was started anew, and has time to come back.
    Held,
    /// A file on this host.
    File,
    /// Another agent.
    Gossip,
    /// Another agent, before this one was started anew.
    Remembered,
}

impl Origin {
    /// What an instance says of its origin. That it is held or remembered is nobody's business:
    /// the instance is the same.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attached | Self::Held => "attached",
            Self::File => "file",
            Self::Gossip | Self::Remembered => "gossip",
        }
    }

    /// Whether this agent speaks for the instance, and others are to hear of it from here. What
    /// others say is never passed on, so nothing echoes.
    pub const fn is_local(self) -> bool {
        matches!(self, Self::Attached | Self::Held | Self::File)
    }

    /// Whether it is what was known before this agent was started anew.
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Held | Self::Remembered)
    }
}

/// Names a source in a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub(super) u64);

/// What is known of a source.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceState {
    /// What people call it, such as `file:/etc/dreammesh/services.yaml`.
    pub name: Box<str>,
    /// Its kind.
    pub origin: Origin,
    /// What is wrong with it, if something is.
    pub problem: Option<Box<str>>,
    /// When it last said something, or was found well.
    pub heard: Instant,
    /// How many instances it claims.
    pub instances: usize,
}

impl SourceState {
    pub(super) const fn new(name: Box<str>, origin: Origin, now: Instant) -> Self {
        Self {
            name,
            origin,
            problem: None,
            heard: now,
            instances: 0,
        }
    }
}
