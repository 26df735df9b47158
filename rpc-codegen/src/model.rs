//! The schema as the emitter sees it, independent of the libraries that parse and of those that
//! encode.

mod boxes;
mod build;
mod docs;
mod options;

use std::collections::BTreeMap;

pub(crate) use self::build::build;
use crate::layout::Layout;

/// All messages, enums and services reached by a compilation.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    /// Files by import name.
    pub(crate) files: BTreeMap<String, File>,
    /// Messages by full name, map entries left out.
    pub(crate) messages: BTreeMap<String, Message>,
    /// Enums by full name.
    pub(crate) enums: BTreeMap<String, Enum>,
}

/// One `.proto` file.
#[derive(Debug)]
pub(crate) struct File {
    /// The import name.
    pub(crate) name: String,
    pub(crate) package: String,
    /// Whether code is generated for it, rather than only for those who import it.
    pub(crate) generate: bool,
    /// Full names of the top-level messages, in declaration order.
    pub(crate) messages: Vec<String>,
    /// Full names of the top-level enums, in declaration order.
    pub(crate) enums: Vec<String>,
    pub(crate) services: Vec<Service>,
    /// Import names of the files it imports.
    pub(crate) imports: Vec<String>,
    /// The encoded `FileDescriptorProto`, custom options included.
    pub(crate) descriptor: Vec<u8>,
}

/// A message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) full_name: String,
    /// The name within its parent or package.
    pub(crate) name: String,
    pub(crate) docs: String,
    pub(crate) deprecated: bool,
    /// The fields in declaration order.
    pub(crate) fields: Vec<Field>,
    pub(crate) oneofs: Vec<Oneof>,
    /// Full names of the messages declared inside, in declaration order.
    pub(crate) messages: Vec<String>,
    /// Full names of the enums declared inside, in declaration order.
    pub(crate) enums: Vec<String>,
    /// Where each value lies in the archive.
    pub(crate) layout: Layout,
}

/// A field of a message.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) json_name: String,
    pub(crate) number: u32,
    pub(crate) ty: Type,
    pub(crate) shape: Shape,
    /// The index of the oneof it belongs to.
    pub(crate) oneof: Option<usize>,
    /// Whether the owned struct must hold it behind a `Box` to have a finite size.
    pub(crate) boxed: bool,
    pub(crate) docs: String,
    pub(crate) deprecated: bool,
}

/// A oneof, without the synthetic ones that stand for `optional`.
#[derive(Debug)]
pub(crate) struct Oneof {
    pub(crate) name: String,
    pub(crate) docs: String,
    /// Indices into the message's fields, in declaration order.
    pub(crate) fields: Vec<usize>,
}

/// A deleted field whose slot is kept.
#[derive(Clone, Debug)]
pub(crate) struct Retired {
    pub(crate) number: u32,
    pub(crate) ty: Type,
    pub(crate) shape: Shape,
    /// The index of the oneof it belonged to.
    pub(crate) oneof: Option<usize>,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Scalar(Scalar),
    /// An enum, by full name.
    Enum(String),
    /// A message, by full name.
    Message(String),
}

/// The scalar types, named as protobuf names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
}

/// How many values a field has, and how it says that it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One value; the default is not told from absence, except for messages.
    Plain,
    /// One value with explicit presence.
    Optional,
    /// Any number of values.
    List { packed: bool },
    /// Values by key.
    Map { key: Scalar },
    /// One arm of a oneof.
    Arm,
}

/// An enum.
#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) full_name: String,
    pub(crate) name: String,
    pub(crate) docs: String,
    pub(crate) deprecated: bool,
    pub(crate) values: Vec<EnumValue>,
}

/// A named value of an enum.
#[derive(Debug)]
pub(crate) struct EnumValue {
    pub(crate) name: String,
    pub(crate) number: i32,
    pub(crate) docs: String,
    pub(crate) deprecated: bool,
}

/// A service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) full_name: String,
    pub(crate) name: String,
    pub(crate) docs: String,
    pub(crate) deprecated: bool,
    pub(crate) methods: Vec<Method>,
}

/// A method of a service.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) name: String,
    pub(crate) docs: String,
    pub(crate) deprecated: bool,
    /// The full name of the request message.
    pub(crate) input: String,
    /// The full name of the response message.
    pub(crate) output: String,
    pub(crate) client_streaming: bool,
    pub(crate) server_streaming: bool,
    pub(crate) options: MethodOptions,
}

/// What the schema states for every call of a method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MethodOptions {
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) idempotency: Idempotency,
    pub(crate) priority: Option<Priority>,
    pub(crate) wire: Wire,
    pub(crate) spawn: bool,
}

/// Whether a call can be repeated without harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Idempotency {
    #[default]
    Unknown,
    NoSideEffects,
    Idempotent,
}

/// Which calls go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    Background,
    Normal,
    High,
    Critical,
}

/// The form in which messages travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wire {
    #[default]
    Auto,
    Archive,
    Protobuf,
}

impl Type {
    /// Returns the full name of the message or enum meant.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Scalar(_) => None,
            Self::Enum(name) | Self::Message(name) => Some(name),
        }
    }
}

impl Type {
    /// Says whether a borrowed form of the value has a lifetime.
    pub(crate) fn borrows(&self) -> bool {
        matches!(
            self,
            Self::Message(_) | Self::Scalar(Scalar::String | Scalar::Bytes)
        )
    }
}

impl Scalar {
    /// Returns the name the language gives the type.
    pub(crate) fn proto_name(self) -> &'static str {
        SCALARS
            .iter()
            .find(|(_, scalar)| *scalar == self)
            .map_or("", |(name, _)| name)
    }

    /// Returns the type the language gives the name.
    pub(crate) fn from_proto_name(name: &str) -> Option<Self> {
        SCALARS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, scalar)| *scalar)
    }
}

impl Schema {
    /// Returns the messages reachable from `root` through fields, itself included, sorted by name.
    pub(crate) fn closure(&self, root: &str) -> Vec<&Message> {
        let mut reached = BTreeMap::new();
        let mut waiting = vec![root];
        while let Some(name) = waiting.pop() {
            let Some(message) = self.messages.get(name) else {
                continue;
            };
            if reached.insert(name, message).is_none() {
                let slots = message.layout.slots.iter();
                waiting.extend(slots.filter_map(|slot| match &slot.ty {
                    Type::Message(name) => Some(name.as_str()),
                    _ => None,
                }));
            }
        }
        reached.into_values().collect()
    }

    /// Returns the method of a service's full name and its own.
    pub(crate) fn method(&self, service: &str, name: &str) -> Option<&Method> {
        let mut services = self.files.values().flat_map(|file| &file.services);
        let service = services.find(|known| known.full_name == service)?;
        service.methods.iter().find(|method| method.name == name)
    }
}

const SCALARS: [(&str, Scalar); 15] = [
    ("double", Scalar::Double),
    ("float", Scalar::Float),
    ("int32", Scalar::Int32),
    ("int64", Scalar::Int64),
    ("uint32", Scalar::Uint32),
    ("uint64", Scalar::Uint64),
    ("sint32", Scalar::Sint32),
    ("sint64", Scalar::Sint64),
    ("fixed32", Scalar::Fixed32),
    ("fixed64", Scalar::Fixed64),
    ("sfixed32", Scalar::Sfixed32),
    ("sfixed64", Scalar::Sfixed64),
    ("bool", Scalar::Bool),
    ("string", Scalar::String),
    ("bytes", Scalar::Bytes),
];
