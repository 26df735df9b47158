//! Which types read each other's bytes and texts.

use prost_reflect::{Cardinality, EnumDescriptor, FieldDescriptor, Kind};

/// How far a value of the old type is read as the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reads {
    /// As protobuf and as JSON.
    Both,
    /// As protobuf alone.
    Wire,
    /// Not at all.
    Neither,
}

/// How far a field of the old revision is read as that of the new one, types alone.
pub(super) fn types(old: &FieldDescriptor, new: &FieldDescriptor) -> Reads {
    match (old.kind(), new.kind()) {
        (Kind::Message(old_entry), Kind::Message(new_entry)) if old.is_map() && new.is_map() => {
            let key = kinds(
                &old_entry.map_entry_key_field().kind(),
                &new_entry.map_entry_key_field().kind(),
            );
            let value = kinds(
                &old_entry.map_entry_value_field().kind(),
                &new_entry.map_entry_value_field().kind(),
            );
            key.max(value)
        }
        (old, new) => kinds(&old, &new),
    }
}

fn kinds(old: &Kind, new: &Kind) -> Reads {
    match (old, new) {
        (Kind::Message(old), Kind::Message(new)) if old.full_name() == new.full_name() => {
            Reads::Both
        }
        (Kind::Enum(old), Kind::Enum(new)) if stands_for(old, new) => Reads::Both,
        // Text is bytes; bytes need not be text.
        (Kind::String, Kind::Bytes) => Reads::Wire,
        _ if old == new => Reads::Both,
        _ => match (group(old), group(new)) {
            (Some((old, old_text)), Some((new, new_text))) if old == new => {
                if old_text == new_text {
                    Reads::Both
                } else {
                    Reads::Wire
                }
            }
            _ => Reads::Neither,
        },
    }
}

/// Whether every value of the old enum has its name and number in the new one, which has moved at
/// most to another package or message.
fn stands_for(old: &EnumDescriptor, new: &EnumDescriptor) -> bool {
    old.full_name() == new.full_name()
        || old.name() == new.name()
            && old.values().all(|value| {
                let kept = new.get_value_by_name(value.name());
                kept.is_some_and(|kept| kept.number() == value.number())
            })
}

/// Numbers for types of the same bytes, and within them of the same text: 64 bits are quoted.
const fn group(kind: &Kind) -> Option<(u8, u8)> {
    Some(match kind {
        Kind::Int32 | Kind::Uint32 => (0, 0),
        Kind::Int64 | Kind::Uint64 => (0, 1),
        Kind::Bool => (0, 2),
        Kind::Sint32 => (1, 0),
        Kind::Sint64 => (1, 1),
        Kind::Fixed32 | Kind::Sfixed32 => (2, 0),
        Kind::Fixed64 | Kind::Sfixed64 => (3, 0),
        _ => return None,
    })
}

/// How far a field is read when it is repeated otherwise.
pub(super) fn cardinalities(old: &FieldDescriptor, new: &FieldDescriptor) -> Reads {
    let form = |field: &FieldDescriptor| match field.cardinality() {
        _ if field.is_map() => 2,
        Cardinality::Repeated => 1,
        // Whether absence is told from the default changes no byte of what is present.
        Cardinality::Optional | Cardinality::Required => 0,
    };
    match (form(old), form(new)) {
        (old, new) if old == new => Reads::Both,
        // A map travels as a list of its entries.
        (1 | 2, 1 | 2) => Reads::Wire,
        _ => Reads::Neither,
    }
}

/// The type as a schema writes it, with its label.
pub(super) fn shown(field: &FieldDescriptor) -> String {
    if let (Kind::Message(entry), true) = (field.kind(), field.is_map()) {
        return format!(
            "map<{}, {}>",
            name(&entry.map_entry_key_field().kind()),
            name(&entry.map_entry_value_field().kind())
        );
    }
    let name = name(&field.kind());
    match field.cardinality() {
        Cardinality::Repeated => format!("repeated {name}"),
        _ if field.field_descriptor_proto().proto3_optional() => format!("optional {name}"),
        _ => name,
    }
}

fn name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(item) => item.full_name().to_owned(),
        scalar => format!("{scalar:?}").to_ascii_lowercase(),
    }
}
