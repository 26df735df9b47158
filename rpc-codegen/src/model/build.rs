//! Descriptors in, schema out.

use std::collections::BTreeSet;

use prost_reflect::{
    Cardinality, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor,
    MethodDescriptor, ServiceDescriptor,
};

use super::docs::Comments;
use super::{
    Enum, EnumValue, Field, File, Message, Method, Oneof, Scalar, Schema, Service, Shape, Type,
    boxes, options,
};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::layout;
use crate::parse::{Parsed, place_under};
use crate::raw;

/// Builds the schema, and reports what the options of the files say wrongly.
pub(crate) fn build(parsed: &Parsed, found: &mut Diagnostics) -> Schema {
    let roots: BTreeSet<&str> = parsed.roots.iter().map(String::as_str).collect();
    let mut builder = Builder {
        parsed,
        found,
        schema: Schema::default(),
    };
    for file in parsed.pool.files() {
        let generate = roots.contains(file.name());
        builder.file(&file, generate);
    }
    let mut schema = builder.schema;
    boxes::mark(&mut schema.messages);
    schema
}

struct Builder<'a> {
    parsed: &'a Parsed,
    found: &'a mut Diagnostics,
    schema: Schema,
}

impl Builder<'_> {
    fn file(&mut self, file: &FileDescriptor, generate: bool) {
        let comments = Comments::of(file);
        let mut messages = Vec::new();
        for message in file.messages() {
            messages.push(message.full_name().to_owned());
            self.message(&message, &comments);
        }
        let mut enums = Vec::new();
        for item in file.enums() {
            enums.push(item.full_name().to_owned());
            self.add_enum(&item, &comments);
        }
        let services = file
            .services()
            .map(|s| self.service(&s, &comments, generate))
            .collect();
        let imports = file
            .dependencies()
            .map(|import| import.name().to_owned())
            .collect();
        self.schema.files.insert(
            file.name().to_owned(),
            File {
                name: file.name().to_owned(),
                package: file.package_name().to_owned(),
                generate,
                messages,
                enums,
                services,
                imports,
                descriptor: raw::without(&file.encode_to_vec(), SOURCE_CODE_INFO),
            },
        );
    }

    /// Messages nest 32 deep at most, which the parser checks, so recursion is safe.
    fn message(&mut self, message: &MessageDescriptor, comments: &Comments) {
        let mut messages = Vec::new();
        for child in message
            .child_messages()
            .filter(|child| !child.is_map_entry())
        {
            messages.push(child.full_name().to_owned());
            self.message(&child, comments);
        }
        let mut enums = Vec::new();
        for child in message.child_enums() {
            enums.push(child.full_name().to_owned());
            self.add_enum(&child, comments);
        }
        let oneofs = oneofs(message, comments);
        // The order of the descriptor's fields is by number; a reader expects the schema's.
        let mut descriptors: Vec<FieldDescriptor> = message.fields().collect();
        descriptors.sort_by(|a, b| a.path().cmp(b.path()));
        let fields: Vec<Field> = descriptors
            .iter()
            .map(|f| field(f, &oneofs, comments))
            .collect();
        let oneofs = attach(oneofs, &fields);
        let retired = options::retired(self.parsed, message, &oneofs, self.found);
        let layout = layout::lay_out(message.full_name(), &fields, &retired);
        if let Some(oneof) = layout.displaced_oneof() {
            self.report_displaced(message, &oneofs[oneof].name);
        }
        let item = Message {
            full_name: message.full_name().to_owned(),
            name: message.name().to_owned(),
            docs: comments.at(message.path()),
            deprecated: options::is_deprecated(&message.options()),
            fields,
            oneofs,
            messages,
            enums,
            layout,
        };
        self.schema.messages.insert(item.full_name.clone(), item);
    }

    fn report_displaced(&mut self, message: &MessageDescriptor, oneof: &str) {
        let place = place_under(
            &self.parsed.sources,
            &message.parent_file(),
            message.path(),
            message.path(),
        );
        self.found.push(
            Diagnostic::error(format!(
                "the first field of oneof `{oneof}` cannot be retired"
            ))
            .at(place)
            .note("the oneof lies where its lowest-numbered field would")
            .help("keep that field, marked `deprecated`, or give the oneof up whole"),
        );
    }

    fn add_enum(&mut self, item: &EnumDescriptor, comments: &Comments) {
        let mut values: Vec<_> = item.values().collect();
        values.sort_by(|a, b| a.path().cmp(b.path()));
        let values = values.iter().map(|value| EnumValue {
            name: value.name().to_owned(),
            number: value.number(),
            docs: comments.at(value.path()),
            deprecated: options::is_deprecated(&value.options()),
        });
        let item = Enum {
            full_name: item.full_name().to_owned(),
            name: item.name().to_owned(),
            docs: comments.at(item.path()),
            deprecated: options::is_deprecated(&item.options()),
            values: values.collect(),
        };
        self.schema.enums.insert(item.full_name.clone(), item);
    }

    fn service(
        &mut self,
        service: &ServiceDescriptor,
        comments: &Comments,
        generate: bool,
    ) -> Service {
        let methods = service
            .methods()
            .map(|m| self.method(&m, comments, generate))
            .collect();
        Service {
            full_name: service.full_name().to_owned(),
            name: service.name().to_owned(),
            docs: comments.at(service.path()),
            deprecated: options::is_deprecated(&service.options()),
            methods,
        }
    }

    fn method(&mut self, method: &MethodDescriptor, comments: &Comments, generate: bool) -> Method {
        // Only who generates the service can act on its options, so only there are they judged.
        let mut ignored = Diagnostics::default();
        let found = if generate {
            &mut *self.found
        } else {
            &mut ignored
        };
        Method {
            name: method.name().to_owned(),
            docs: comments.at(method.path()),
            deprecated: options::is_deprecated(&method.options()),
            input: method.input().full_name().to_owned(),
            output: method.output().full_name().to_owned(),
            client_streaming: method.is_client_streaming(),
            server_streaming: method.is_server_streaming(),
            options: options::method(self.parsed, method, found),
        }
    }
}

/// A oneof before its fields are known, with its descriptor's name.
fn oneofs(message: &MessageDescriptor, comments: &Comments) -> Vec<Oneof> {
    let real = message.oneofs().filter(|oneof| !oneof.is_synthetic());
    real.map(|oneof| Oneof {
        name: oneof.name().to_owned(),
        docs: comments.at(oneof.path()),
        fields: Vec::new(),
    })
    .collect()
}

fn attach(mut oneofs: Vec<Oneof>, fields: &[Field]) -> Vec<Oneof> {
    for (index, field) in fields.iter().enumerate() {
        if let Some(oneof) = field.oneof {
            oneofs[oneof].fields.push(index);
        }
    }
    oneofs
}

fn field(field: &FieldDescriptor, oneofs: &[Oneof], comments: &Comments) -> Field {
    let containing = field
        .containing_oneof()
        .filter(|oneof| !oneof.is_synthetic());
    let oneof = containing.and_then(|containing| {
        oneofs
            .iter()
            .position(|oneof| oneof.name == containing.name())
    });
    let kind = field.kind();
    let (ty, shape) = match &kind {
        Kind::Message(entry) if field.is_map() => {
            let key = scalar(&entry.map_entry_key_field().kind()).unwrap_or(Scalar::String);
            (
                type_of(&entry.map_entry_value_field().kind()),
                Shape::Map { key },
            )
        }
        _ if field.cardinality() == Cardinality::Repeated => (
            type_of(&kind),
            Shape::List {
                packed: field.is_packed(),
            },
        ),
        _ if oneof.is_some() => (type_of(&kind), Shape::Arm),
        _ if field.field_descriptor_proto().proto3_optional() => (type_of(&kind), Shape::Optional),
        _ => (type_of(&kind), Shape::Plain),
    };
    Field {
        name: field.name().to_owned(),
        json_name: field.json_name().to_owned(),
        number: field.number(),
        ty,
        shape,
        oneof,
        boxed: false,
        docs: comments.at(field.path()),
        deprecated: options::is_deprecated(&field.options()),
    }
}

fn type_of(kind: &Kind) -> Type {
    match kind {
        Kind::Message(message) => Type::Message(message.full_name().to_owned()),
        Kind::Enum(item) => Type::Enum(item.full_name().to_owned()),
        other => Type::Scalar(scalar(other).unwrap_or(Scalar::Bytes)),
    }
}

fn scalar(kind: &Kind) -> Option<Scalar> {
    Some(match kind {
        Kind::Double => Scalar::Double,
        Kind::Float => Scalar::Float,
        Kind::Int32 => Scalar::Int32,
        Kind::Int64 => Scalar::Int64,
        Kind::Uint32 => Scalar::Uint32,
        Kind::Uint64 => Scalar::Uint64,
        Kind::Sint32 => Scalar::Sint32,
        Kind::Sint64 => Scalar::Sint64,
        Kind::Fixed32 => Scalar::Fixed32,
        Kind::Fixed64 => Scalar::Fixed64,
        Kind::Sfixed32 => Scalar::Sfixed32,
        Kind::Sfixed64 => Scalar::Sfixed64,
        Kind::Bool => Scalar::Bool,
        Kind::String => Scalar::String,
        Kind::Bytes => Scalar::Bytes,
        Kind::Message(_) | Kind::Enum(_) => return None,
    })
}

/// `FileDescriptorProto.source_code_info`: comments and places, of no use at run time.
const SOURCE_CODE_INFO: u32 = 9;
