//! What can go wrong while measuring.

use std::fmt;
use std::io;

/// A measurement that could not be made, with what was being attempted.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The command line did not make sense.
    Usage(String),
    /// The operating system refused something.
    Io {
        /// What was being attempted.
        during: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A system under measurement answered a call with an error, or with the wrong message.
    Call(String),
    /// A system was asked for what it cannot do, which its `skips` should have said before.
    Unsupported(&'static str),
    /// A server or client process said something other than what its role prescribes.
    Process(String),
}

impl Failure {
    /// Turns an I/O error into a failure that names what was being attempted.
    pub fn io(during: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { during, source }
    }

    /// Turns any error of a system under measurement into a failed call.
    pub fn call(error: impl fmt::Display) -> Self {
        Self::Call(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => write!(f, "{text}"),
            Self::Io { during, source } => write!(f, "{during}: {source}"),
            Self::Call(text) => write!(f, "call failed: {text}"),
            Self::Unsupported(what) => write!(f, "this system has no {what}"),
            Self::Process(text) => write!(f, "process: {text}"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
