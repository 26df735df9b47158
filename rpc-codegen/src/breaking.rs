//! What a new revision of a schema breaks for those who still have the old one.
//!
//! Two questions are asked of each pair of revisions. What the rules say: whether what one side
//! writes, as protobuf or as JSON, means something else to the other. And what is lost of speed:
//! which methods no longer exchange archives between the two and fall back to protobuf.
//!
//! The rules and their names are those that `buf breaking` has in its categories `WIRE` and
//! `WIRE_JSON`, as far as proto3 can break them, and three more about what is gone from a package.
//!
//! - `fields`: messages, field by field.
//! - `types`: which types read each other's bytes and texts.
//! - `enums`: enums, number by number.
//! - `services`: packages, services and methods.
//! - `archives`: which directions of a method stay archives.
//! - `show`: the report as people and programs read it.

mod archives;
mod enums;
mod fields;
mod services;
mod show;
mod types;

use std::path::Path;

use prost_reflect::FileDescriptor;

pub use self::archives::{Agreement, DirectionAgreement, MethodAgreement};
use crate::diagnostic::{Diagnostic, Place};
use crate::error::Error;
use crate::model::Schema;
use crate::options::Builder;
use crate::output::owned;
use crate::parse::{Parsed, is_shipped, place_under};

/// What a new revision of a schema breaks, and which methods stay archives.
#[derive(Clone, Debug)]
pub struct BreakingReport {
    changes: Vec<Change>,
    methods: Vec<MethodAgreement>,
}

/// One change that breaks something.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Change {
    /// The name of the rule that it breaks.
    pub rule: &'static str,
    /// Which encoding it breaks.
    pub breaks: Breaks,
    /// What changed, with its place in the new revision.
    pub diagnostic: Diagnostic,
    /// The place in the old revision.
    pub was: Option<Place>,
}

/// Which encoding of a message no longer means the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Breaks {
    /// Protobuf, and so every call.
    Wire,
    /// JSON alone.
    Json,
}

impl Breaks {
    /// The word for it in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wire => "wire",
            Self::Json => "json",
        }
    }
}

impl Builder {
    /// Compares the schema at `paths` with an earlier revision of it: what `old` finds at
    /// `old_paths`.
    ///
    /// # Errors
    ///
    /// As for [`check`](Self::check), of either revision.
    pub fn breaking<P: AsRef<Path>, Q: AsRef<Path>>(
        &self,
        paths: impl IntoIterator<Item = P>,
        old: &Self,
        old_paths: impl IntoIterator<Item = Q>,
    ) -> Result<BreakingReport, Error> {
        let (old_parsed, old_schema, _) = old.front(&owned(old_paths))?;
        let (new_parsed, new_schema, _) = self.front(&owned(paths))?;
        let mut comparison = Comparison {
            old: &old_parsed,
            new: &new_parsed,
            old_schema: &old_schema,
            new_schema: &new_schema,
            changes: Vec::new(),
        };
        services::compare(&mut comparison);
        fields::compare(&mut comparison);
        enums::compare(&mut comparison);
        let methods = archives::judge(&comparison);
        let mut changes = comparison.changes;
        changes.sort_by_key(|change| order(change.diagnostic.place.as_ref()));
        Ok(BreakingReport { changes, methods })
    }
}

impl BreakingReport {
    /// The changes that break a rule, in the order of their places.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The methods of both revisions, and what they exchange between them.
    #[must_use]
    pub fn methods(&self) -> &[MethodAgreement] {
        &self.methods
    }

    /// Leaves out what breaks JSON alone.
    #[must_use]
    pub fn wire_only(mut self) -> Self {
        self.changes.retain(|change| change.breaks == Breaks::Wire);
        self
    }
}

fn order(place: Option<&Place>) -> (bool, String, usize, usize) {
    place.map_or((false, String::new(), 0, 0), |place| {
        (true, place.file.clone(), place.line, place.column)
    })
}

/// The two revisions, and what was found of them so far.
struct Comparison<'a> {
    old: &'a Parsed,
    new: &'a Parsed,
    old_schema: &'a Schema,
    new_schema: &'a Schema,
    changes: Vec<Change>,
}

/// Where something stands: a file and a path in its descriptor.
struct At<'a> {
    file: FileDescriptor,
    path: &'a [i32],
}

impl Comparison<'_> {
    fn add(
        &mut self,
        (rule, breaks): (&'static str, Breaks),
        message: String,
        old: Option<&At<'_>>,
        new: Option<&At<'_>>,
    ) {
        self.changes.push(Change {
            rule,
            breaks,
            diagnostic: Diagnostic::error(message).at(new.and_then(|at| at.place(self.new))),
            was: old.and_then(|at| at.place(self.old)),
        });
    }
}

impl<'a> At<'a> {
    const fn new(file: FileDescriptor, path: &'a [i32]) -> Self {
        Self { file, path }
    }

    fn place(&self, parsed: &Parsed) -> Option<Place> {
        place_under(&parsed.sources, &self.file, self.path, &[])
    }
}

/// The files of a revision that are its own: not what ships with every compiler.
fn own_files(parsed: &Parsed) -> impl Iterator<Item = FileDescriptor> + '_ {
    parsed.pool.files().filter(|file| !is_shipped(file.name()))
}
