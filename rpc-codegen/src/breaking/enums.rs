//! Enums, number by number: aliases are names of one number.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{EnumDescriptor, MessageDescriptor};

use super::{At, Breaks, Comparison, own_files};

/// Compares the enums that both revisions have.
pub(super) fn compare(comparison: &mut Comparison<'_>) {
    let mut enums: Vec<EnumDescriptor> = Vec::new();
    let mut messages: Vec<MessageDescriptor> = Vec::new();
    for file in own_files(comparison.old) {
        enums.extend(file.enums());
        messages.extend(file.messages());
    }
    while let Some(message) = messages.pop() {
        enums.extend(message.child_enums());
        messages.extend(message.child_messages());
    }
    for old in enums {
        if let Some(new) = comparison.new.pool.get_enum_by_name(old.full_name()) {
            values(comparison, &old, &new);
            reserved(comparison, &old, &new);
        }
    }
}

fn values(comparison: &mut Comparison<'_>, old: &EnumDescriptor, new: &EnumDescriptor) {
    let (old_values, new_values) = (by_number(old), by_number(new));
    for (number, (names, path)) in &old_values {
        let was = At::new(old.parent_file(), path);
        let Some((new_names, new_path)) = new_values.get(number) else {
            deleted(comparison, (*number, names), &was, new);
            continue;
        };
        let lost: Vec<&str> = names.difference(new_names).map(String::as_str).collect();
        if !lost.is_empty() {
            let message = format!(
                "{number} of `{}` was called `{}` and is called `{}`",
                new.full_name(),
                lost.join("`, `"),
                new_names.iter().cloned().collect::<Vec<_>>().join("`, `")
            );
            let rule = ("ENUM_VALUE_SAME_NAME", Breaks::Json);
            let now = At::new(new.parent_file(), new_path);
            comparison.add(rule, message, Some(&was), Some(&now));
        }
    }
}

fn deleted(
    comparison: &mut Comparison<'_>,
    (number, names): (i32, &BTreeSet<String>),
    was: &At<'_>,
    new: &EnumDescriptor,
) {
    let now = enum_at(new);
    let shown = names.iter().cloned().collect::<Vec<_>>().join("`, `");
    let gone = format!("`{shown}` = {number} of `{}` is gone", new.full_name());
    if !new.reserved_ranges().any(|range| range.contains(&number)) {
        comparison.add(
            ("ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED", Breaks::Wire),
            format!("{gone}, and its number is free for another: write `reserved {number};`"),
            Some(was),
            Some(&now),
        );
    }
    let reserved: BTreeSet<&str> = new.reserved_names().collect();
    for name in names
        .iter()
        .filter(|name| !reserved.contains(name.as_str()))
    {
        comparison.add(
            ("ENUM_VALUE_NO_DELETE_UNLESS_NAME_RESERVED", Breaks::Json),
            format!("{gone}, and its name is free for another: write `reserved \"{name}\";`"),
            Some(was),
            Some(&now),
        );
    }
}

fn reserved(comparison: &mut Comparison<'_>, old: &EnumDescriptor, new: &EnumDescriptor) {
    let (was, now) = (enum_at(old), enum_at(new));
    let mut kept: Vec<_> = new.reserved_ranges().collect();
    kept.sort_by_key(|range| *range.start());
    for range in old.reserved_ranges() {
        // One past the greatest number has to be said too, so these are wider than the numbers.
        let mut next = i64::from(*range.start());
        for other in &kept {
            if i64::from(*other.start()) <= next {
                next = next.max(i64::from(*other.end()) + 1);
            }
        }
        if next <= i64::from(*range.end()) {
            let message = format!("`{}` no longer reserves the number {next}", new.full_name());
            let rule = ("RESERVED_ENUM_NO_DELETE", Breaks::Wire);
            comparison.add(rule, message, Some(&was), Some(&now));
        }
    }
    let names: BTreeSet<&str> = new.reserved_names().collect();
    for name in old.reserved_names().filter(|name| !names.contains(name)) {
        let message = format!("`{}` no longer reserves the name `{name}`", new.full_name());
        let rule = ("RESERVED_ENUM_NO_DELETE", Breaks::Wire);
        comparison.add(rule, message, Some(&was), Some(&now));
    }
}

/// The names of each number, and the path of the first.
fn by_number(item: &EnumDescriptor) -> BTreeMap<i32, (BTreeSet<String>, Vec<i32>)> {
    let mut numbers = BTreeMap::new();
    for value in item.values() {
        let (names, _) = numbers
            .entry(value.number())
            .or_insert_with(|| (BTreeSet::new(), value.path().to_vec()));
        names.insert(value.name().to_owned());
    }
    numbers
}

fn enum_at(item: &EnumDescriptor) -> At<'_> {
    At::new(item.parent_file(), item.path())
}
