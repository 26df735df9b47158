//! What the options of a schema state, read from the interpreted descriptors.

use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor, Value};

use super::{Idempotency, MethodOptions, Oneof, Priority, Retired, Scalar, Shape, Type, Wire};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::parse::{Parsed, place_under};

/// Reads `deprecated`, which every kind of options has.
pub(super) fn is_deprecated(options: &DynamicMessage) -> bool {
    options
        .get_field_by_name("deprecated")
        .and_then(|value| value.as_bool())
        .unwrap_or(false)
}

/// Reads the options of a method, and warns of those that nothing enforces.
pub(super) fn method(
    parsed: &Parsed,
    method: &MethodDescriptor,
    found: &mut Diagnostics,
) -> MethodOptions {
    let options = method.options();
    let place = |number: u32| {
        let path = [method.path(), &[METHOD_OPTIONS, number.cast_signed()]].concat();
        place_under(&parsed.sources, &method.parent_file(), &path, method.path())
    };
    let mut read = MethodOptions {
        idempotency: standard_idempotency(method),
        ..Default::default()
    };
    for name in ["retry", "hedging"] {
        if let Some((number, _)) = extension(parsed, &options, name) {
            found.push(
                Diagnostic::warning(format!("nothing enforces `(dreammesh.{name})` yet"))
                    .at(place(number))
                    .label("this option has no effect"),
            );
        }
    }
    if let Some((number, value)) = extension(parsed, &options, "deadline") {
        let text = value.as_str().unwrap_or_default();
        read.deadline_ms = duration_ms(text);
        if read.deadline_ms.is_none() {
            found.push(
                Diagnostic::error(format!("`{text}` is no duration"))
                    .at(place(number))
                    .label(
                        "expected a positive whole number and a unit, such as \"250ms\" or \"2s\"",
                    )
                    .help("the units are ms, s, m and h; the longest deadline is 24h"),
            );
        }
    }
    match number_of(parsed, &options, "idempotency") {
        Some(1) => read.idempotency = Idempotency::NoSideEffects,
        Some(2) => read.idempotency = Idempotency::Idempotent,
        _ => {}
    }
    read.priority = match number_of(parsed, &options, "priority") {
        Some(1) => Some(Priority::Background),
        Some(2) => Some(Priority::Normal),
        Some(3) => Some(Priority::High),
        Some(4) => Some(Priority::Critical),
        _ => None,
    };
    read.wire = match number_of(parsed, &options, "wire") {
        Some(1) => Wire::Archive,
        Some(2) => Wire::Protobuf,
        _ => Wire::Auto,
    };
    read.spawn = extension(parsed, &options, "spawn")
        .and_then(|(_, value)| value.as_bool())
        .unwrap_or(false);
    read
}

/// Reads the retired fields of a message, and reports those that contradict it.
pub(super) fn retired(
    parsed: &Parsed,
    message: &MessageDescriptor,
    oneofs: &[Oneof],
    found: &mut Diagnostics,
) -> Vec<Retired> {
    let options = message.options();
    let Some((number, value)) = extension(parsed, &options, "retired") else {
        return Vec::new();
    };
    let mut list: Vec<Retired> = Vec::new();
    for (index, entry) in value.as_list().unwrap_or_default().iter().enumerate() {
        let Some(entry) = entry.as_message() else {
            continue;
        };
        let path = [message.path(), &[MESSAGE_OPTIONS, number.cast_signed()]].concat();
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        let one = [path.as_slice(), &[index]].concat();
        let place = place_under(&parsed.sources, &message.parent_file(), &one, &path);
        let place = place.or_else(|| {
            place_under(
                &parsed.sources,
                &message.parent_file(),
                &path,
                message.path(),
            )
        });
        match read_retired(parsed, message, oneofs, entry) {
            Ok(read) if list.iter().any(|known| known.number == read.number) => {
                found.push(wrong(
                    format!("field {} is retired twice", read.number),
                    place,
                    "",
                ));
            }
            Ok(read) => list.push(read),
            Err((what, expected)) => found.push(wrong(what, place, expected)),
        }
    }
    list
}

fn wrong(what: String, place: Option<Place>, expected: &str) -> Diagnostic {
    Diagnostic::error(what).at(place).label(expected)
}

fn read_retired(
    parsed: &Parsed,
    message: &MessageDescriptor,
    oneofs: &[Oneof],
    entry: &DynamicMessage,
) -> Result<Retired, (String, &'static str)> {
    let text = |name: &str| {
        let value = entry.get_field_by_name(name);
        value
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    let number = entry
        .get_field_by_name("number")
        .and_then(|value| value.as_u32())
        .unwrap_or(0);
    if !(1..=FIELD_NUMBER_MAX).contains(&number) {
        return Err((
            format!("{number} is no field number"),
            "expected 1 to 536870911",
        ));
    }
    if let Some(live) = message.get_field(number) {
        let what = format!(
            "field {number} is retired and also declared, as `{}`",
            live.name()
        );
        return Err((what, "expected the number of a deleted field"));
    }
    let written = text("type");
    let (ty, mut shape) = slot_type(parsed, &written).ok_or_else(|| {
        (
            format!("`{written}` is no type of a field"),
            "expected the type as it was declared, named in full",
        )
    })?;
    let oneof_name = text("oneof");
    let oneof = oneofs.iter().position(|oneof| oneof.name == oneof_name);
    if !oneof_name.is_empty() {
        if oneof.is_none() {
            let what = format!("`{}` has no oneof `{oneof_name}`", message.full_name());
            return Err((what, "expected a oneof that still has a field"));
        }
        if shape != Shape::Plain {
            let what = format!("`{written}` cannot be in a oneof");
            return Err((what, "expected a type without a label"));
        }
        shape = Shape::Arm;
    }
    Ok(Retired {
        number,
        ty,
        shape,
        oneof,
    })
}

/// Reads a field's type with its label, as it is written in a schema.
fn slot_type(parsed: &Parsed, text: &str) -> Option<(Type, Shape)> {
    let text = text.trim();
    let entry = text.strip_prefix("map").map(str::trim_start);
    let entry = entry.and_then(|entry| entry.strip_prefix('<')?.strip_suffix('>'));
    if let Some((key, value)) = entry.and_then(|entry| entry.split_once(',')) {
        let key = Scalar::from_proto_name(key.trim())?;
        let unfit = [Scalar::Double, Scalar::Float, Scalar::Bytes].contains(&key);
        return (!unfit).then_some((value_type(parsed, value)?, Shape::Map { key }));
    }
    match text.split_once(char::is_whitespace) {
        Some(("repeated", rest)) => Some((value_type(parsed, rest)?, Shape::List { packed: true })),
        Some(("optional", rest)) => Some((value_type(parsed, rest)?, Shape::Optional)),
        _ => Some((value_type(parsed, text)?, Shape::Plain)),
    }
}

/// Reads a type name. A type that is itself deleted is written `message a.B` or `enum a.B`.
fn value_type(parsed: &Parsed, text: &str) -> Option<Type> {
    let text = text.trim();
    if let Some(scalar) = Scalar::from_proto_name(text) {
        return Some(Type::Scalar(scalar));
    }
    let well_formed = |name: &str| {
        let ok = |part: &str| {
            let mut bytes = part.bytes();
            bytes
                .next()
                .is_some_and(|b| b == b'_' || b.is_ascii_alphabetic())
                && bytes.all(|b| b == b'_' || b.is_ascii_alphanumeric())
        };
        name.split('.').all(ok)
    };
    if let Some((word, name)) = text.split_once(char::is_whitespace) {
        let name = name.trim().trim_start_matches('.');
        return match word {
            "message" if well_formed(name) => Some(Type::Message(name.to_owned())),
            "enum" if well_formed(name) => Some(Type::Enum(name.to_owned())),
            _ => None,
        };
    }
    let name = text.trim_start_matches('.');
    if parsed.pool.get_message_by_name(name).is_some() {
        return Some(Type::Message(name.to_owned()));
    }
    parsed
        .pool
        .get_enum_by_name(name)
        .map(|item| Type::Enum(item.full_name().to_owned()))
}

/// Reads a duration such as `250ms` as milliseconds.
fn duration_ms(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let milliseconds = number.parse::<u64>().ok()?.checked_mul(factor)?;
    (1..=DEADLINE_MS_MAX)
        .contains(&milliseconds)
        .then_some(milliseconds)
}

fn standard_idempotency(method: &MethodDescriptor) -> Idempotency {
    use prost_reflect::prost_types::method_options::IdempotencyLevel;
    let options = method.method_descriptor_proto().options.as_ref();
    match options.map(|options| options.idempotency_level()) {
        Some(IdempotencyLevel::NoSideEffects) => Idempotency::NoSideEffects,
        Some(IdempotencyLevel::Idempotent) => Idempotency::Idempotent,
        _ => Idempotency::Unknown,
    }
}

/// Returns the number and value of one of our options, if the element sets it.
fn extension(parsed: &Parsed, options: &DynamicMessage, name: &str) -> Option<(u32, Value)> {
    let extension = parsed
        .pool
        .get_extension_by_name(&format!("dreammesh.{name}"))?;
    if extension.containing_message().full_name() != options.descriptor_name() {
        return None;
    }
    options.has_extension(&extension).then(|| {
        (
            extension.number(),
            options.get_extension(&extension).into_owned(),
        )
    })
}

fn number_of(parsed: &Parsed, options: &DynamicMessage, name: &str) -> Option<i32> {
    extension(parsed, options, name).and_then(|(_, value)| value.as_enum_number())
}

/// The name of a dynamic message's type.
trait DescriptorName {
    fn descriptor_name(&self) -> String;
}

impl DescriptorName for DynamicMessage {
    fn descriptor_name(&self) -> String {
        use prost_reflect::ReflectMessage as _;
        self.descriptor().full_name().to_owned()
    }
}

/// `DescriptorProto.options`.
const MESSAGE_OPTIONS: i32 = 7;
/// `MethodDescriptorProto.options`.
const METHOD_OPTIONS: i32 = 4;
/// The greatest number protobuf allows.
const FIELD_NUMBER_MAX: u32 = 536_870_911;
/// A day: whatever takes longer is not a call.
const DEADLINE_MS_MAX: u64 = 24 * 3_600_000;

#[cfg(test)]
mod tests {
    use super::duration_ms;

    #[test]
    fn durations_have_a_unit_and_a_bound() {
        assert_eq!(duration_ms("250ms"), Some(250));
        assert_eq!(duration_ms("2s"), Some(2_000));
        assert_eq!(duration_ms("24h"), Some(86_400_000));
        for wrong in [
            "",
            "5",
            "ms",
            "0s",
            "-1s",
            "1.5s",
            "25h",
            "86400001ms",
            "99999999999999999999h",
        ] {
            assert_eq!(duration_ms(wrong), None, "{wrong}");
        }
    }
}
