//! `cargo xtask tidy`: the rules that no compiler checks.
//!
//! Each rule is a function from a [`Repository`] to its findings, and each has a test that shows it
//! failing on a bad sample: a rule that cannot fail holds nothing.

mod code;
mod dependencies;
mod environment;
mod files;
mod generated;
mod licences;
mod links;
mod manifests;
mod platform;
mod pure;
mod quotes;
mod repository;
mod words;

use std::path::Path;

use repository::Repository;

use crate::console::say;

/// Something that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// The line, from 1; 0 when the finding is about the file as a whole.
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

type Rule = fn(&Repository) -> Vec<Finding>;

const RULES: [(&str, Rule); 13] = [
    ("dependencies between the rooms", dependencies::check),
    ("manifests", manifests::check),
    ("licences, sources and duplicates", licences::check),
    ("files", files::check),
    ("unsafe code", files::unsafe_code),
    ("pure modules", pure::check),
    ("the core names no medium", pure::core_names_no_medium),
    ("generated code", generated::check),
    ("system-specific code", platform::check),
    ("words", words::check),
    ("links", links::check),
    ("quotes", quotes::check),
    ("environment variables", environment::check),
];

/// Checks everything and prints every finding.
///
/// # Errors
/// When there is a finding, or when the files or cargo's metadata cannot be read.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let repository = Repository::read(root)?;
    let mut count = 0;
    for (name, rule) in RULES {
        let mut findings = rule(&repository);
        findings.sort();
        say(format!(
            "{name}: {}",
            if findings.is_empty() { "ok" } else { "FAILED" }
        ));
        for finding in &findings {
            say(format!(
                "  {}:{}: {}",
                finding.path, finding.line, finding.what
            ));
        }
        count += findings.len();
    }
    if count == 0 {
        Ok(())
    } else {
        Err(format!("tidy has {count} findings"))
    }
}
