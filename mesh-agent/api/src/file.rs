//! Services that somebody wrote down, as YAML.
//!
//! ```yaml
//! services:
//!   - service: catalog            # namespace: default
//!     instances:
//!       - address: 10.0.0.7       # or addresses: [..]
//!         port: 7443              # or ports: [{name: admin, port: 9000, protocol: grpc, tls: true}]
//! ```
//!
//! It is one format for an agent's own source and for the file that takes an agent's place. A file
//! is right or it is not: of one in which something is wrong nothing is used, so that a slip of the
//! keyboard takes no instance away.

use std::collections::BTreeSet;
use std::fmt;

use crate::instance::{Instance, InstanceError};
use form::File;

pub use follow::{Follower, LOOK_PERIOD, STUCK_AFTER, Seen};

mod follow;
mod form;
#[cfg(test)]
mod tests;

/// How large a file may be, in bytes.
pub const FILE_BYTES_MAX: usize = 16 << 20;
/// How many instances a file may have.
pub const INSTANCES_MAX: usize = 20_000;

/// The instances that a file has, in its order.
///
/// # Errors
/// Where the file is wrong, and how.
pub fn parse(text: &str) -> Result<Vec<Instance>, FileError> {
    parse_said(text).map(|(instances, _)| instances)
}

/// As [`parse`], and whether all is said: a list of which nothing is said may be one that was cut
/// off.
fn parse_said(text: &str) -> Result<(Vec<Instance>, bool), FileError> {
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the file has more than {FILE_BYTES_MAX} bytes");
        return Err(FileError {
            line: None,
            message,
        });
    }
    let file: Option<File> = serde_saphyr::from_str_with_options(text, options())
        .map_err(|error| FileError::yaml(&error))?;
    let mut instances = Vec::new();
    let mut ids = BTreeSet::new();
    let services = file.unwrap_or_default().services;
    let mut is_said = services.is_some();
    for service in services.unwrap_or_default() {
        is_said &= service.says_instances();
        for (line, said) in service.instances() {
            let wrong = |message| FileError {
                line: Some(line),
                message,
            };
            if instances.len() == INSTANCES_MAX {
                return Err(wrong(format!(
                    "the file has more than {INSTANCES_MAX} instances"
                )));
            }
            let instance: Result<Instance, InstanceError> = said.try_into();
            let instance = instance.map_err(|error| wrong(error.to_string()))?;
            if !ids.insert(instance.id.clone()) {
                return Err(wrong(format!(
                    "two instances have the id `{}`",
                    instance.id
                )));
            }
            instances.push(instance);
        }
    }
    Ok((instances, is_said))
}

/// What a file may use, so that none of its size holds more memory or time than its size says.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 16,
            flow_nesting_limit: 16,
            max_documents: 1,
            max_aliases: 1_000,
            max_anchors: 100,
            max_recorded_anchor_events: 100_000,
            max_recorded_anchor_bytes: 1 << 20,
            max_nodes: 2_000_000,
            max_events: 4_000_000,
            max_total_scalar_bytes: FILE_BYTES_MAX,
        },
        with_snippet: false,
        strict_booleans: true,
    }
}

/// Why a file is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    line: Option<u64>,
    message: String,
}

impl FileError {
    fn yaml(error: &serde_saphyr::Error) -> Self {
        let error = error.without_snippet();
        let line = error.location().map(|location| location.line());
        let message = error.render();
        // The place is said apart from it.
        let place = message.rfind(" at line ").unwrap_or(message.len());
        Self {
            line: line.filter(|line| *line > 0),
            message: message[..place].to_owned(),
        }
    }

    /// The line, from 1 on, if it is known.
    pub const fn line(&self) -> Option<u64> {
        self.line
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for FileError {}
