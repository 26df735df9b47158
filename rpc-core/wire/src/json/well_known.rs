//! Which messages have a JSON form of their own.

use crate::layout::{Kind, Layout};

/// A message whose JSON form is not an object of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WellKnown {
    Any,
    Duration,
    FieldMask,
    ListValue,
    Struct,
    Timestamp,
    Value,
    /// One of the messages that give a scalar presence.
    Wrapper,
}

/// Tells well-known messages by their full names.
pub(crate) fn well_known(layout: &Layout) -> Option<WellKnown> {
    Some(match layout.name.strip_prefix("google.protobuf.")? {
        "Any" => WellKnown::Any,
        "Duration" => WellKnown::Duration,
        "FieldMask" => WellKnown::FieldMask,
        "ListValue" => WellKnown::ListValue,
        "Struct" => WellKnown::Struct,
        "Timestamp" => WellKnown::Timestamp,
        "Value" => WellKnown::Value,
        "BoolValue" | "BytesValue" | "DoubleValue" | "FloatValue" | "Int32Value" | "Int64Value"
        | "StringValue" | "UInt32Value" | "UInt64Value" => WellKnown::Wrapper,
        _ => return None,
    })
}

/// Whether `null` is a value of this kind instead of its absence.
pub(crate) fn has_null(kind: &Kind) -> bool {
    match kind {
        Kind::Message(layout) => well_known(layout) == Some(WellKnown::Value),
        Kind::Enum(info) => is_null_value(info.name),
        _ => false,
    }
}

/// Whether the enum is the one whose only value is written as `null`.
pub(crate) fn is_null_value(enum_name: &str) -> bool {
    enum_name == "google.protobuf.NullValue"
}

/// The key under which a type URL stands in the JSON form of an `Any`.
pub(crate) const TYPE_KEY: &str = "@type";
/// The key of what an `Any` holds when that has a JSON form of its own.
pub(crate) const VALUE_KEY: &str = "value";
