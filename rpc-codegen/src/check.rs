//! What protobuf allows and the archive, or this compiler, does not.

use std::collections::BTreeSet;

use prost_reflect::{FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, Syntax};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::parse::{Parsed, place_under};

/// Reports what cannot be generated.
pub(crate) fn check(parsed: &Parsed, found: &mut Diagnostics) {
    check_names(parsed, found);
    let roots: BTreeSet<&str> = parsed.roots.iter().map(String::as_str).collect();
    for file in parsed
        .pool
        .files()
        .filter(|file| roots.contains(file.name()))
    {
        if file.syntax() == Syntax::Proto2 {
            report_proto2(parsed, &file, found);
            continue;
        }
        for message in file.messages() {
            check_message(parsed, &message, found);
        }
        for service in file.services() {
            for method in service.methods() {
                for message in [method.input(), method.output()] {
                    if is_proto2(&message.parent_file()) {
                        let path = method.path();
                        let place = place_under(&parsed.sources, &file, path, path);
                        found.push(not_proto3(message.full_name()).at(place));
                    }
                }
            }
        }
    }
}

/// Reports names that are no identifiers, which only a descriptor set can hold.
fn check_names(parsed: &Parsed, found: &mut Diagnostics) {
    let pool = &parsed.pool;
    let mut names: Vec<String> = Vec::new();
    names.extend(pool.files().map(|file| file.package_name().to_owned()));
    for message in pool.all_messages() {
        names.push(message.full_name().to_owned());
        names.extend(message.fields().map(|field| field.full_name().to_owned()));
        names.extend(message.oneofs().map(|oneof| oneof.full_name().to_owned()));
    }
    for item in pool.all_enums() {
        names.push(item.full_name().to_owned());
        names.extend(item.values().map(|value| value.full_name().to_owned()));
    }
    for service in pool.services() {
        names.push(service.full_name().to_owned());
        names.extend(
            service
                .methods()
                .map(|method| method.full_name().to_owned()),
        );
    }
    for name in names
        .iter()
        .filter(|name| !name.is_empty() && !is_full_name(name))
    {
        found.push(
            Diagnostic::error(format!("{name:?} is no name"))
                .note("names are letters, digits and underscores, and do not begin with a digit"),
        );
    }
}

fn is_full_name(name: &str) -> bool {
    name.split('.').all(|part| {
        let mut bytes = part.bytes();
        bytes
            .next()
            .is_some_and(|b| b == b'_' || b.is_ascii_alphabetic())
            && bytes.all(|b| b == b'_' || b.is_ascii_alphanumeric())
    })
}

fn report_proto2(parsed: &Parsed, file: &FileDescriptor, found: &mut Diagnostics) {
    const SYNTAX: i32 = 12;
    let place = place_under(&parsed.sources, file, &[SYNTAX], &[]);
    found.push(
        Diagnostic::error(format!(
            "`{}` is proto2, for which no code is generated",
            file.name()
        ))
        .at(place)
        .label("expected `syntax = \"proto3\";`")
        .note("a file without a `syntax` statement is proto2")
        .help("a proto2 file may be imported for the options it defines"),
    );
}

fn check_message(parsed: &Parsed, message: &MessageDescriptor, found: &mut Diagnostics) {
    let file = message.parent_file();
    let place = |path: &[i32]| place_under(&parsed.sources, &file, path, path);
    if message.fields().len() > FIELDS_MAX {
        found.push(
            Diagnostic::error(format!("`{}` has too many fields", message.full_name()))
                .at(place(message.path()))
                .label(format!("expected at most {FIELDS_MAX}")),
        );
    }
    for field in message.fields() {
        if field.is_group() {
            let what = format!("`{}` is a group", field.full_name());
            let label = "expected a message field";
            found.push(Diagnostic::error(what).at(place(field.path())).label(label));
        }
        if let Some(name) = proto2_type(&field) {
            found.push(not_proto3(&name).at(place(field.path())));
        }
    }
    for child in message
        .child_messages()
        .filter(|child| !child.is_map_entry())
    {
        check_message(parsed, &child, found);
    }
}

/// Returns the name of a type of the field that comes from a proto2 file.
fn proto2_type(field: &FieldDescriptor) -> Option<String> {
    match field.kind() {
        Kind::Message(entry) if entry.is_map_entry() => proto2_type(&entry.map_entry_value_field()),
        Kind::Message(message) => {
            is_proto2(&message.parent_file()).then(|| message.full_name().to_owned())
        }
        Kind::Enum(item) => is_proto2(&item.parent_file()).then(|| item.full_name().to_owned()),
        _ => None,
    }
}

fn is_proto2(file: &FileDescriptor) -> bool {
    file.syntax() == Syntax::Proto2
}

fn not_proto3(name: &str) -> Diagnostic {
    Diagnostic::error(format!("`{name}` is declared in a proto2 file"))
        .label("expected a proto3 type")
        .help("a proto2 file may be imported for the options it defines, not for its types")
}

/// Generated tables refer to fields by 16-bit index, and no message of use comes near.
pub(crate) const FIELDS_MAX: usize = 4_096;
