//! Why a compilation failed.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::diagnostic::Diagnostics;

/// Why a compilation failed.
///
/// `Debug` prints what `Display` prints, because `Debug` is what cargo shows when a build script's
/// `main` returns the error.
#[non_exhaustive]
pub enum Error {
    /// The schema is at fault; each finding has its place.
    Schema(Diagnostics),
    /// A descriptor set given to the compiler could not be decoded.
    DescriptorSet {
        /// What is wrong with it.
        reason: String,
    },
    /// An option given to the compiler cannot be used.
    Option {
        /// The option's name on the [`Builder`](crate::Builder).
        name: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// A file could not be read.
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A generated file could not be written.
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No output directory was given and `OUT_DIR` is not set.
    MissingOutDir,
    /// The compiler contradicted itself; this is a defect of the compiler, not of the schema.
    Internal {
        /// What happened.
        reason: String,
    },
}

impl Error {
    /// Returns the findings about the schema, if the schema is at fault.
    #[must_use]
    pub fn diagnostics(&self) -> Option<&Diagnostics> {
        match self {
            Self::Schema(diagnostics) => Some(diagnostics),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema(diagnostics) => write!(f, "{diagnostics}"),
            Self::DescriptorSet { reason } => write!(f, "cannot use the descriptor set: {reason}"),
            Self::Option { name, reason } => write!(f, "option `{name}`: {reason}"),
            Self::Read { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Write { path, source } => write!(f, "cannot write {}: {source}", path.display()),
            Self::MissingOutDir => f.write_str(
                "OUT_DIR is not set: call this from build.rs, or name a directory with `out_dir`",
            ),
            Self::Internal { reason } => {
                write!(f, "the compiler itself failed, please report it: {reason}")
            }
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A leading line break puts the first finding on a line of its own after cargo's "Error: ".
        write!(f, "\n{self}")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => Some(source),
            _ => None,
        }
    }
}
