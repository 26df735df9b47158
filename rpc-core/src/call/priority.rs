//! How urgent a call is among those that share a connection.

/// How urgent a call is among those that share a connection; the greater goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Priority(u8);

impl Priority {
    /// Work that may wait for everything else.
    pub const BACKGROUND: Self = Self(0);
    /// What a call has when nothing else is said.
    pub const NORMAL: Self = Self(1);
    /// Work somebody waits for.
    pub const HIGH: Self = Self(2);
    /// Work that must pass even under overload.
    pub const CRITICAL: Self = Self(3);

    /// The priority of a number on the wire; a number above the highest known is the highest.
    pub const fn from_number(number: u8) -> Self {
        if number > Self::CRITICAL.0 {
            Self::CRITICAL
        } else {
            Self(number)
        }
    }

    /// The number on the wire.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}
