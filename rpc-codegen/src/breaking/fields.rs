//! Messages, field by field: a field is what has its number.

use std::collections::BTreeSet;
use std::ops::Range;

use prost_reflect::{FieldDescriptor, MessageDescriptor};

use super::types::{Reads, cardinalities, shown, types};
use super::{At, Breaks, Comparison, own_files};
use crate::model::Schema;

/// Compares the messages that both revisions have.
pub(super) fn compare(comparison: &mut Comparison<'_>) {
    let mut messages: Vec<MessageDescriptor> = Vec::new();
    for file in own_files(comparison.old) {
        messages.extend(file.messages());
    }
    while let Some(old) = messages.pop() {
        let children = old.child_messages();
        messages.extend(children.filter(|child| !child.is_map_entry()));
        if let Some(new) = comparison.new.pool.get_message_by_name(old.full_name()) {
            message(comparison, &old, &new);
        }
    }
}

fn message(comparison: &mut Comparison<'_>, old: &MessageDescriptor, new: &MessageDescriptor) {
    for field in old.fields() {
        match new.get_field(field.number()) {
            Some(kept) => changed(comparison, &field, &kept),
            None => deleted(comparison, &field, new),
        }
    }
    reserved(comparison, old, new);
}

fn deleted(comparison: &mut Comparison<'_>, field: &FieldDescriptor, new: &MessageDescriptor) {
    let (number, name) = (field.number(), field.name());
    let kept = kept_numbers(comparison.new_schema, new);
    let kept = kept.iter().any(|range| range.contains(&number));
    let (was, now) = (at(field), message_at(new));
    if !kept {
        comparison.add(
            ("FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED", Breaks::Wire),
            format!(
                "field `{}` is gone, and its number {number} is free for another: write \
                 `reserved {number};`",
                field.full_name()
            ),
            Some(&was),
            Some(&now),
        );
    }
    if !new.reserved_names().any(|reserved| reserved == name) {
        comparison.add(
            ("FIELD_NO_DELETE_UNLESS_NAME_RESERVED", Breaks::Json),
            format!(
                "field `{}` is gone, and its name is free for another: write \
                 `reserved \"{name}\";`",
                field.full_name()
            ),
            Some(&was),
            Some(&now),
        );
    }
}

fn changed(comparison: &mut Comparison<'_>, old: &FieldDescriptor, new: &FieldDescriptor) {
    let mut add = |rule, breaks, what: String| {
        let message = format!("field {} of `{}` {what}", new.number(), message_of(new));
        comparison.add((rule, breaks), message, Some(&at(old)), Some(&at(new)));
    };
    let (was, is) = (shown(old), shown(new));
    match cardinalities(old, new) {
        Reads::Neither => add(
            "FIELD_WIRE_COMPATIBLE_CARDINALITY",
            Breaks::Wire,
            format!("was `{was}` and is `{is}`: one holds a single value, the other many"),
        ),
        Reads::Wire => add(
            "FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY",
            Breaks::Json,
            format!("was `{was}` and is `{is}`: JSON writes one as an array, the other not"),
        ),
        Reads::Both => match types(old, new) {
            Reads::Neither => add(
                "FIELD_WIRE_COMPATIBLE_TYPE",
                Breaks::Wire,
                format!("was `{was}` and is `{is}`: the bytes of one mean nothing to the other"),
            ),
            Reads::Wire => add(
                "FIELD_WIRE_JSON_COMPATIBLE_TYPE",
                Breaks::Json,
                format!("was `{was}` and is `{is}`: JSON writes the two differently"),
            ),
            Reads::Both => {}
        },
    }
    match (oneof(old), oneof(new)) {
        (old, new) if old == new => {}
        (None, Some(new)) => add("FIELD_SAME_ONEOF", Breaks::Wire, into(&new)),
        (Some(old), None) => add("FIELD_SAME_ONEOF", Breaks::Wire, out_of(&old)),
        (Some(old), Some(new)) => {
            let what = format!("was in the oneof `{old}` and is in `{new}`");
            add("FIELD_SAME_ONEOF", Breaks::Wire, what);
        }
        (None, None) => {}
    }
    if old.name() != new.name() {
        let what = format!("was called `{}` and is called `{}`", old.name(), new.name());
        add("FIELD_SAME_NAME", Breaks::Json, what);
    }
    if old.json_name() != new.json_name() {
        let (old, new) = (old.json_name(), new.json_name());
        let what = format!("was `{old}` in JSON and is `{new}`");
        add("FIELD_SAME_JSON_NAME", Breaks::Json, what);
    }
}

fn into(oneof: &str) -> String {
    format!("was in no oneof and is in `{oneof}`: a reader lets go of it when another arm follows")
}

fn out_of(oneof: &str) -> String {
    format!("was in the oneof `{oneof}` and is in none: it may come together with another arm")
}

fn oneof(field: &FieldDescriptor) -> Option<String> {
    let oneof = field.containing_oneof()?;
    (!oneof.is_synthetic()).then(|| oneof.name().to_owned())
}

fn reserved(comparison: &mut Comparison<'_>, old: &MessageDescriptor, new: &MessageDescriptor) {
    let kept = kept_numbers(comparison.new_schema, new);
    let (was, now) = (message_at(old), message_at(new));
    for range in old.reserved_ranges() {
        if let Some(free) = uncovered(&range, &kept) {
            let message = format!("`{}` no longer reserves the number {free}", new.full_name());
            let rule = ("RESERVED_MESSAGE_NO_DELETE", Breaks::Wire);
            comparison.add(rule, message, Some(&was), Some(&now));
        }
    }
    let names: BTreeSet<&str> = new.reserved_names().collect();
    for name in old.reserved_names().filter(|name| !names.contains(name)) {
        let message = format!("`{}` no longer reserves the name `{name}`", new.full_name());
        let rule = ("RESERVED_MESSAGE_NO_DELETE", Breaks::Wire);
        comparison.add(rule, message, Some(&was), Some(&now));
    }
}

/// The numbers that no field can have, in ascending order of where they begin.
fn kept_numbers(schema: &Schema, message: &MessageDescriptor) -> Vec<Range<u32>> {
    let mut kept: Vec<Range<u32>> = message.reserved_ranges().collect();
    let known = schema.messages.get(message.full_name());
    let slots = known.into_iter().flat_map(|known| &known.layout.slots);
    let retired = slots.filter(|slot| slot.field.is_none());
    kept.extend(retired.map(|slot| slot.number..slot.number + 1));
    kept.sort_by_key(|range| range.start);
    kept
}

/// The first number of the range that none of the others holds, which are in ascending order.
pub(super) fn uncovered(range: &Range<u32>, kept: &[Range<u32>]) -> Option<u32> {
    let mut next = range.start;
    for other in kept {
        if other.start <= next {
            next = next.max(other.end);
        }
    }
    (next < range.end).then_some(next)
}

fn at(field: &FieldDescriptor) -> At<'_> {
    At::new(field.parent_message().parent_file(), field.path())
}

fn message_at(message: &MessageDescriptor) -> At<'_> {
    At::new(message.parent_file(), message.path())
}

fn message_of(field: &FieldDescriptor) -> String {
    field.parent_message().full_name().to_owned()
}

#[cfg(test)]
mod tests {
    use super::uncovered;

    #[test]
    fn a_range_is_covered_by_ranges_that_meet() {
        assert_eq!(uncovered(&(4..9), &[1..5, 5..9]), None);
        assert_eq!(uncovered(&(4..9), &[1..5, 6..9]), Some(5));
        assert_eq!(uncovered(&(4..9), &[5..20, 30..31]), Some(4));
        assert_eq!(uncovered(&(4..9), &[1..2, 4..8]), Some(8));
        assert_eq!(uncovered(&(4..9), &[]), Some(4));
    }
}
