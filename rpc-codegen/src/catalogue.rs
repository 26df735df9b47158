//! Schemas as plain data, for programs that learn them only when they run.
//!
//! A command line or a gateway makes its field tables of this. They are those that the compiler
//! writes for the same schema, since both come from the one computation of layouts.

use std::collections::BTreeMap;
use std::path::Path;

use crate::check;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::emit::oneofs;
use crate::error::Error;
use crate::layout::closure_hash;
use crate::model::{self, Idempotency, Message, Method, Schema, Shape, Type, Wire};
use crate::options::Builder;
use crate::output::owned;

/// The services of a schema, and every message and enum that it reaches, by full name.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Catalogue {
    /// The services of the files that were asked for, in their order.
    pub services: Vec<ServiceEntry>,
    /// Messages.
    pub messages: BTreeMap<String, MessageEntry>,
    /// Enums.
    pub enums: BTreeMap<String, EnumEntry>,
}

/// A service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServiceEntry {
    /// The full name.
    pub name: String,
    /// The comment in front of it.
    pub docs: String,
    /// Its methods, in the order of their declaration.
    pub methods: Vec<MethodEntry>,
}

/// A method.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MethodEntry {
    /// Its name in the service.
    pub name: String,
    /// The comment in front of it.
    pub docs: String,
    /// The full name of the request.
    pub request: String,
    /// The full name of the response.
    pub response: String,
    /// Whether the client sends a stream of requests.
    pub client_streaming: bool,
    /// Whether the server sends a stream of responses.
    pub server_streaming: bool,
    /// The time a call may take, in milliseconds, if the schema says.
    pub deadline_ms: Option<u64>,
    /// The standard level of what its repetition does: 0 unknown, 1 no side effects, 2 idempotent.
    pub idempotency: u8,
    /// The form in which its messages travel: `auto`, `archive` or `protobuf`.
    pub wire: &'static str,
    /// The hash over all that the request reaches.
    pub request_closure: [u8; 16],
    /// The hash over all that the response reaches.
    pub response_closure: [u8; 16],
}

/// A message and where its values lie.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MessageEntry {
    /// The comment in front of it.
    pub docs: String,
    /// The live fields in ascending number.
    pub fields: Vec<FieldEntry>,
    /// The oneofs in the order of their slots.
    pub oneofs: Vec<OneofEntry>,
    /// The end of the last slot.
    pub size: u32,
    /// One hash for each prefix of its fields, that of none of them first.
    pub chain: Vec<[u8; 16]>,
}

/// A field.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FieldEntry {
    /// The number.
    pub number: u32,
    /// The name in the schema.
    pub name: String,
    /// The name in JSON.
    pub json_name: String,
    /// The comment in front of it.
    pub docs: String,
    /// The type of a value.
    pub ty: EntryType,
    /// How often a value occurs.
    pub shape: EntryShape,
    /// Where the slot begins.
    pub offset: u32,
}

/// A oneof.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OneofEntry {
    /// The name.
    pub name: String,
    /// Where the slot begins.
    pub offset: u32,
    /// Indices of its arms among the fields.
    pub arms: Vec<u16>,
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the set of protobuf types is closed"
)]
pub enum EntryType {
    /// A scalar, by the name that the language gives it.
    Scalar(&'static str),
    /// An enum, by full name.
    Enum(String),
    /// A message, by full name.
    Message(String),
}

/// How often a value occurs, and how absence is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the archive has a closed set of shapes"
)]
pub enum EntryShape {
    /// Once; absence is the default.
    Plain,
    /// Once; the bit says whether it is there.
    Optional {
        /// Counted from the start of the body.
        bit: u32,
    },
    /// Once; a null pointer tells absence.
    Nullable,
    /// Any number of times.
    List,
    /// By key, of the scalar type that the language gives this name.
    Map(&'static str),
    /// As the arm of the oneof of this index.
    Arm(u16),
}

/// An enum.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EnumEntry {
    /// The comment in front of it.
    pub docs: String,
    /// Number and name of each value in the order of their declaration.
    pub values: Vec<(i32, String)>,
}

impl Builder {
    /// Reads the schema at `paths`, or of a descriptor set, as plain data.
    ///
    /// Of a descriptor set, the files that declare a service have to be ones that code could be
    /// generated for, and the others may be what they are.
    ///
    /// # Errors
    ///
    /// As for [`check`](Self::check).
    pub fn catalogue<P: AsRef<Path>>(
        &self,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Catalogue, Error> {
        let mut parsed = self.parse(&owned(paths))?;
        if self.options.descriptor_set.is_some() {
            let pool = parsed.pool.clone();
            let serves = |name: &String| {
                let file = pool.get_file_by_name(name);
                file.is_some_and(|file| file.services().len() > 0)
            };
            parsed.roots.retain(serves);
        }
        let mut found = Diagnostics::default();
        check::check(&parsed, &mut found);
        if found.has_errors() {
            return Err(Error::Schema(found));
        }
        let schema = model::build(&parsed, &mut found);
        for (name, message) in &schema.messages {
            if message.fields.len() > check::FIELDS_MAX {
                found.push(Diagnostic::error(format!("`{name}` has too many fields")));
            }
        }
        if found.has_errors() {
            return Err(Error::Schema(found));
        }
        Ok(Catalogue::of(&schema))
    }
}

impl Catalogue {
    fn of(schema: &Schema) -> Self {
        let files = schema.files.values().filter(|file| file.generate);
        let services = files.flat_map(|file| &file.services);
        Self {
            services: services
                .map(|service| ServiceEntry {
                    name: service.full_name.clone(),
                    docs: service.docs.clone(),
                    methods: service
                        .methods
                        .iter()
                        .map(|method| MethodEntry::of(schema, method))
                        .collect(),
                })
                .collect(),
            messages: schema
                .messages
                .iter()
                .map(|(name, message)| (name.clone(), MessageEntry::of(message)))
                .collect(),
            enums: schema
                .enums
                .iter()
                .map(|(name, item)| {
                    let values = item.values.iter();
                    let entry = EnumEntry {
                        docs: item.docs.clone(),
                        values: values
                            .map(|value| (value.number, value.name.clone()))
                            .collect(),
                    };
                    (name.clone(), entry)
                })
                .collect(),
        }
    }
}

impl MethodEntry {
    fn of(schema: &Schema, method: &Method) -> Self {
        Self {
            name: method.name.clone(),
            docs: method.docs.clone(),
            request: method.input.clone(),
            response: method.output.clone(),
            client_streaming: method.client_streaming,
            server_streaming: method.server_streaming,
            deadline_ms: method.options.deadline_ms,
            idempotency: match method.options.idempotency {
                Idempotency::Unknown => 0,
                Idempotency::NoSideEffects => 1,
                Idempotency::Idempotent => 2,
            },
            wire: match method.options.wire {
                Wire::Auto => "auto",
                Wire::Archive => "archive",
                Wire::Protobuf => "protobuf",
            },
            request_closure: closure_hash(&schema.closure(&method.input)).0,
            response_closure: closure_hash(&schema.closure(&method.output)).0,
        }
    }
}

impl MessageEntry {
    fn of(message: &Message) -> Self {
        let oneofs = oneofs(message);
        let arm_of = |oneof: Option<usize>| {
            let found = oneofs.iter().position(|slot| Some(slot.index) == oneof);
            found.unwrap_or_default() as u16
        };
        let fields = message.layout.live().map(|(slot, index)| {
            let field = &message.fields[index];
            FieldEntry {
                number: slot.number,
                name: field.name.clone(),
                json_name: field.json_name.clone(),
                docs: field.docs.clone(),
                ty: match &slot.ty {
                    Type::Scalar(scalar) => EntryType::Scalar(scalar.proto_name()),
                    Type::Enum(name) => EntryType::Enum(name.clone()),
                    Type::Message(name) => EntryType::Message(name.clone()),
                },
                shape: match (slot.shape, slot.bit) {
                    (Shape::List { .. }, _) => EntryShape::List,
                    (Shape::Map { key }, _) => EntryShape::Map(key.proto_name()),
                    (Shape::Arm, _) => EntryShape::Arm(arm_of(slot.oneof)),
                    (_, Some(bit)) => EntryShape::Optional { bit },
                    _ if slot.form() == "nullable" => EntryShape::Nullable,
                    _ => EntryShape::Plain,
                },
                offset: slot.offset,
            }
        });
        Self {
            docs: message.docs.clone(),
            fields: fields.collect(),
            oneofs: oneofs
                .iter()
                .map(|slot| OneofEntry {
                    name: message.oneofs[slot.index].name.clone(),
                    offset: slot.offset,
                    arms: slot.arms.iter().map(|arm| *arm as u16).collect(),
                })
                .collect(),
            size: message.layout.size,
            chain: message.layout.chain.iter().map(|link| link.0).collect(),
        }
    }
}
