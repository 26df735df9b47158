//! Which directions of a method stay archives between the two revisions.
//!
//! This is what the two would find of each other on a connection: equal hashes over everything that
//! a message reaches are archives at once; else the chains of the messages that both know are
//! compared, and a single one that disagrees leaves protobuf.

use std::collections::BTreeMap;

use super::{Comparison, own_files};
use crate::diagnostic::Place;
use crate::layout::{Slot, closure_hash};
use crate::model::{Message, Schema, Shape, Type};
use crate::parse::place_under;

/// What a method of both revisions exchanges between them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MethodAgreement {
    /// The path, `/package.Service/Method`.
    pub path: String,
    /// What the requests are.
    pub request: DirectionAgreement,
    /// What the responses are.
    pub response: DirectionAgreement,
}

/// What one direction of a method exchanges.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DirectionAgreement {
    /// How far the two revisions agree.
    pub agreement: Agreement,
    /// Which field is the reason why they do not.
    pub reason: Option<String>,
    /// Where that field is in the new revision.
    pub place: Option<Place>,
}

/// How far two revisions of a message, and of all that it reaches, agree on its archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Agreement {
    /// The layouts are the same.
    Exact,
    /// Each layout begins with the other or goes on from it, so both sides read archives.
    Compatible,
    /// They disagree, so these messages travel as protobuf.
    Protobuf,
}

impl Agreement {
    /// The word for it in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Compatible => "compatible",
            Self::Protobuf => "protobuf",
        }
    }
}

impl MethodAgreement {
    /// How far the two directions agree: the lesser of them.
    #[must_use]
    pub fn agreement(&self) -> Agreement {
        self.request.agreement.max(self.response.agreement)
    }
}

/// Judges the methods that both revisions have, in the order of the old one's files.
pub(super) fn judge(comparison: &Comparison<'_>) -> Vec<MethodAgreement> {
    let mut judged = Vec::new();
    for file in own_files(comparison.old) {
        for service in file.services() {
            for method in service.methods() {
                let (service, name) = (service.full_name(), method.name());
                let Some(new) = comparison.new_schema.method(service, name) else {
                    continue;
                };
                let request = (method.input().full_name().to_owned(), new.input.as_str());
                let response = (method.output().full_name().to_owned(), new.output.as_str());
                judged.push(MethodAgreement {
                    path: format!("/{service}/{name}"),
                    request: direction(comparison, &request.0, request.1),
                    response: direction(comparison, &response.0, response.1),
                });
            }
        }
    }
    judged
}

fn direction(comparison: &Comparison<'_>, old: &str, new: &str) -> DirectionAgreement {
    let agreed = |agreement| DirectionAgreement {
        agreement,
        reason: None,
        place: None,
    };
    if old != new {
        return DirectionAgreement {
            reason: Some(format!("`{old}` has become `{new}`")),
            ..agreed(Agreement::Protobuf)
        };
    }
    let (was, is) = (comparison.old_schema, comparison.new_schema);
    if closure_hash(&was.closure(old)) == closure_hash(&is.closure(new)) {
        return agreed(Agreement::Exact);
    }
    let (was, is) = (reachable(was, old), reachable(is, new));
    let pairs = was
        .iter()
        .filter_map(|(name, was)| is.get(name).map(|is| (*was, *is)));
    for (was, is) in pairs {
        if let Some(index) = disagreement(was, is) {
            let (reason, number) = reason(was, is, index);
            return DirectionAgreement {
                agreement: Agreement::Protobuf,
                reason: Some(reason),
                place: place(comparison, &is.full_name, number),
            };
        }
    }
    agreed(Agreement::Compatible)
}

/// The messages that a reader follows from `root`: those of deleted fields are not among them.
fn reachable<'a>(schema: &'a Schema, root: &str) -> BTreeMap<&'a str, &'a Message> {
    let mut reached = BTreeMap::new();
    let mut waiting: Vec<&Message> = schema.messages.get(root).into_iter().collect();
    while let Some(message) = waiting.pop() {
        if reached
            .insert(message.full_name.as_str(), message)
            .is_none()
        {
            let live = message.layout.live();
            waiting.extend(live.filter_map(|(slot, _)| match &slot.ty {
                Type::Message(name) => schema.messages.get(name),
                _ => None,
            }));
        }
    }
    reached
}

/// The index of the first slot in which two revisions of a message differ, unless one's slots are
/// the first ones of the other.
fn disagreement(was: &Message, is: &Message) -> Option<usize> {
    let (was, is) = (&was.layout.chain, &is.layout.chain);
    // Each link hashes all slots before it, so once two differ the later ones do as well.
    let links = was.iter().zip(is);
    links.skip(1).position(|(was, is)| was != is)
}

/// Says which field is the reason, and its number in the new revision if it is there.
fn reason(was: &Message, is: &Message, index: usize) -> (String, Option<u32>) {
    let (old, new) = (&was.layout.slots[index], &is.layout.slots[index]);
    let name = &is.full_name;
    let after = is.layout.slots.iter().any(|slot| slot.number == old.number);
    if old.number < new.number {
        let what = format!(
            "field {} `{}` of `{name}` is gone and not written down as `(dreammesh.retired)`",
            old.number,
            field_name(was, old)
        );
        return (what, None);
    }
    if old.number > new.number {
        let what = if after {
            format!(
                "field {} `{}` of `{name}` was added below field {}",
                new.number,
                field_name(is, new),
                old.number
            )
        } else {
            format!(
                "field {} `{}` of `{name}` stands where field {} did",
                new.number,
                field_name(is, new),
                old.number
            )
        };
        return (what, Some(new.number));
    }
    let what = format!(
        "field {} `{}` of `{name}` was {} and is {}",
        new.number,
        field_name(is, new),
        shown(old),
        shown(new)
    );
    (what, Some(new.number))
}

fn field_name<'a>(message: &'a Message, slot: &Slot) -> &'a str {
    slot.field
        .map_or("(retired)", |field| message.fields[field].name.as_str())
}

/// The slot's type in the archive, which tells more apart than the protobuf wire does.
fn shown(slot: &Slot) -> String {
    let ty = slot.ty.name().unwrap_or_else(|| slot.ty.kind_name());
    match slot.shape {
        Shape::Plain => format!("`{ty}`"),
        Shape::Optional => format!("`optional {ty}`"),
        Shape::List { .. } => format!("`repeated {ty}`"),
        Shape::Map { key } => format!("`map<{}, {ty}>`", key.proto_name()),
        Shape::Arm => format!("`{ty}` in a oneof"),
    }
}

fn place(comparison: &Comparison<'_>, message: &str, number: Option<u32>) -> Option<Place> {
    let parsed = comparison.new;
    let message = parsed.pool.get_message_by_name(message)?;
    let field = number.and_then(|number| message.get_field(number));
    let path = field
        .as_ref()
        .map_or_else(|| message.path(), |field| field.path());
    place_under(
        &parsed.sources,
        &message.parent_file(),
        path,
        message.path(),
    )
}
