//! Where the two processes of a measurement run.

use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use crate::failure::Failure;
use crate::machine;

/// How processes, cores and runtimes go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Pinning {
    /// Both processes on one core, current-thread runtimes: the setting with the least noise.
    OneCore,
    /// Each process on a core of its own, current-thread runtimes.
    TwoCore,
    /// What a user gets by default: multi-threaded runtimes, wherever the system puts them.
    MultiThread,
}

/// Which end of the measurement a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum End {
    /// The process that answers.
    Server,
    /// The process that calls.
    Client,
}

impl Pinning {
    /// Every setting, in the order in which the report lists them.
    pub const ALL: [Self; 3] = [Self::OneCore, Self::TwoCore, Self::MultiThread];

    /// The name used on the command line and in the report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneCore => "one-core",
            Self::TwoCore => "two-core",
            Self::MultiThread => "multi-thread",
        }
    }

    /// What the setting means, for the report.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::OneCore => {
                "Both processes tied to one and the same core, current-thread runtimes"
            }
            Self::TwoCore => "Each process tied to a core of its own, current-thread runtimes",
            Self::MultiThread => {
                "Nothing tied down, multi-threaded runtimes: what `#[tokio::main]` gives"
            }
        }
    }

    /// The core that a process is tied to, if it is.
    #[must_use]
    pub const fn core(self, end: End) -> Option<usize> {
        match (self, end) {
            (Self::OneCore, _) | (Self::TwoCore, End::Server) => Some(0),
            (Self::TwoCore, End::Client) => Some(1),
            (Self::MultiThread, _) => None,
        }
    }

    /// Ties this process down and gives it its runtime.
    ///
    /// # Errors
    /// When the system refuses either.
    pub fn runtime(self, end: End) -> Result<Runtime, Failure> {
        if let Some(core) = self.core(end) {
            machine::pin(core)?;
        }
        let mut builder = match self {
            Self::OneCore | Self::TwoCore => Builder::new_current_thread(),
            Self::MultiThread => Builder::new_multi_thread(),
        };
        builder
            .enable_all()
            .build()
            .map_err(Failure::io("starting the runtime"))
    }
}
