//! What a schema has, as JSON.

use dreammesh_codegen::{
    Catalogue, EntryShape, EntryType, EnumEntry, FieldEntry, MessageEntry, MethodEntry,
    ServiceEntry,
};
use serde_json::{Value, json};

/// One thing, by its full name.
pub(super) fn shown(catalogue: &Catalogue, name: &str) -> Option<Value> {
    if let Some(found) = super::service(catalogue, name) {
        return Some(service(found));
    }
    if let Some(found) = catalogue.messages.get(name) {
        return Some(message(name, found));
    }
    if let Some(found) = catalogue.enums.get(name) {
        return Some(enumeration(name, found));
    }
    super::method(catalogue, name).map(method)
}

pub(super) fn service(service: &ServiceEntry) -> Value {
    json!({
        "kind": "service",
        "name": service.name,
        "comment": service.docs,
        "methods": service.methods.iter().map(method).collect::<Vec<_>>(),
    })
}

fn method(method: &MethodEntry) -> Value {
    json!({
        "kind": "method",
        "name": method.name,
        "comment": method.docs,
        "request": method.request,
        "response": method.response,
        "client_streaming": method.client_streaming,
        "server_streaming": method.server_streaming,
    })
}

fn message(name: &str, message: &MessageEntry) -> Value {
    let fields = message.fields.iter().map(|it| field(message, it));
    json!({
        "kind": "message",
        "name": name,
        "comment": message.docs,
        "fields": fields.collect::<Vec<_>>(),
    })
}

fn field(message: &MessageEntry, field: &FieldEntry) -> Value {
    let ty = match &field.ty {
        EntryType::Scalar(name) => name,
        EntryType::Enum(name) | EntryType::Message(name) => name.as_str(),
    };
    let mut shown = json!({
        "number": field.number,
        "name": field.name,
        "json_name": field.json_name,
        "comment": field.docs,
        "type": ty,
    });
    let more = match field.shape {
        EntryShape::List => Some(("repeated", true.into())),
        EntryShape::Map(key) => Some(("key", key.into())),
        EntryShape::Arm(index) => {
            let oneof = &message.oneofs[usize::from(index)];
            Some(("oneof", oneof.name.as_str().into()))
        }
        EntryShape::Optional { .. } => Some(("optional", true.into())),
        // That a message may be absent goes without saying.
        EntryShape::Nullable if matches!(field.ty, EntryType::Scalar(_)) => {
            Some(("optional", true.into()))
        }
        EntryShape::Nullable | EntryShape::Plain => None,
    };
    if let Some((name, value)) = more {
        shown[name] = value;
    }
    shown
}

fn enumeration(name: &str, item: &EnumEntry) -> Value {
    let values = item.values.iter();
    let values = values.map(|(number, name)| json!({"number": number, "name": name}));
    json!({
        "kind": "enum",
        "name": name,
        "comment": item.docs,
        "values": values.collect::<Vec<_>>(),
    })
}
