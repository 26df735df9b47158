//! Editions, which arrive only in descriptor sets, expressed as proto3.
//!
//! An edition is proto3 with switches. Where every switch has a position that proto3 can say, the
//! file is rewritten to say it; elsewhere it is refused. The rewriting works on the encoded form,
//! so that options no library knows are kept.

use crate::error::Error;
use crate::raw::{self, RawField, RawValue};

/// Rewrites the files of an encoded descriptor set that are of an edition.
pub(super) fn lower(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let files = split(bytes)?;
    let mut out = Vec::with_capacity(bytes.len());
    for file in &files {
        match &file.value {
            RawValue::Bytes(range) if file.number == SET_FILE => {
                let file = lower_file(&bytes[range.clone()])?;
                raw::push_bytes(&mut out, SET_FILE, &file);
            }
            _ => out.extend_from_slice(&bytes[file.span.clone()]),
        }
    }
    Ok(out)
}

/// The switches that matter here, as they hold for one element.
#[derive(Clone, Copy)]
struct Features {
    presence: u64,
    open_enums: u64,
    encoding: u64,
    utf8: u64,
    delimited: u64,
}

impl Features {
    /// The defaults of edition 2023, which 2024 has kept.
    const EDITION: Self = Self {
        presence: EXPLICIT,
        open_enums: 1,
        encoding: PACKED,
        utf8: 2,
        delimited: 1,
    };

    /// The switches for an element whose encoded options set some of them.
    fn with(mut self, options: Option<&[u8]>, number: u32) -> Result<Self, Error> {
        let Some(options) = options else {
            return Ok(self);
        };
        for field in split(options)?
            .iter()
            .filter(|field| field.number == number)
        {
            let RawValue::Bytes(range) = &field.value else {
                continue;
            };
            for switch in split(&options[range.clone()])? {
                let RawValue::Varint(value) = switch.value else {
                    continue;
                };
                match switch.number {
                    1 => self.presence = value,
                    2 => self.open_enums = value,
                    3 => self.encoding = value,
                    4 => self.utf8 = value,
                    5 => self.delimited = value,
                    _ => {}
                }
            }
        }
        Ok(self)
    }
}

fn lower_file(file: &[u8]) -> Result<Vec<u8>, Error> {
    let fields = split(file)?;
    if text(file, &fields, FILE_SYNTAX) != Some("editions") {
        return Ok(file.to_vec());
    }
    let name = text(file, &fields, 1).unwrap_or_default();
    let features = Features::EDITION.with(contents(file, &fields, FILE_OPTIONS), 50)?;
    let mut out = Vec::with_capacity(file.len());
    for field in &fields {
        match (field.number, &field.value) {
            (FILE_SYNTAX | FILE_EDITION, _) => {}
            (FILE_MESSAGE, RawValue::Bytes(range)) => {
                let message = lower_message(&file[range.clone()], features, name, 0)?;
                raw::push_bytes(&mut out, FILE_MESSAGE, &message);
            }
            (FILE_ENUM, RawValue::Bytes(range)) => {
                check_enum(&file[range.clone()], features, name)?;
                out.extend_from_slice(&file[field.span.clone()]);
            }
            _ => out.extend_from_slice(&file[field.span.clone()]),
        }
    }
    raw::push_bytes(&mut out, FILE_SYNTAX, b"proto3");
    Ok(out)
}

fn lower_message(
    message: &[u8],
    features: Features,
    scope: &str,
    depth: usize,
) -> Result<Vec<u8>, Error> {
    let fields = split(message)?;
    let scope = format!("{scope}: {}", text(message, &fields, 1).unwrap_or_default());
    if depth > DEPTH_MAX {
        return Err(refuse(&scope, "nests too deeply"));
    }
    let features = features.with(contents(message, &fields, MESSAGE_OPTIONS), 12)?;
    let mut oneofs = fields
        .iter()
        .filter(|field| field.number == MESSAGE_ONEOF)
        .count();
    let mut synthetic = Vec::new();
    let mut out = Vec::with_capacity(message.len());
    for field in &fields {
        match (field.number, &field.value) {
            (MESSAGE_FIELD, RawValue::Bytes(range)) => {
                let field = &message[range.clone()];
                let (lowered, optional) = lower_field(field, features, &scope, oneofs)?;
                raw::push_bytes(&mut out, MESSAGE_FIELD, &lowered);
                if let Some(name) = optional {
                    synthetic.push(name);
                    oneofs += 1;
                }
            }
            (MESSAGE_NESTED, RawValue::Bytes(range)) => {
                let nested = lower_message(&message[range.clone()], features, &scope, depth + 1)?;
                raw::push_bytes(&mut out, MESSAGE_NESTED, &nested);
            }
            (MESSAGE_ENUM, RawValue::Bytes(range)) => {
                check_enum(&message[range.clone()], features, &scope)?;
                out.extend_from_slice(&message[field.span.clone()]);
            }
            _ => out.extend_from_slice(&message[field.span.clone()]),
        }
    }
    // proto3 states explicit presence by a oneof of one field, after all real ones.
    for name in synthetic {
        let mut oneof = Vec::new();
        raw::push_bytes(&mut oneof, 1, format!("_{name}").as_bytes());
        raw::push_bytes(&mut out, MESSAGE_ONEOF, &oneof);
    }
    Ok(out)
}

/// Rewrites a field; also returns its name if it needs a synthetic oneof, whose index is `oneof`.
fn lower_field(
    field: &[u8],
    features: Features,
    scope: &str,
    oneof: usize,
) -> Result<(Vec<u8>, Option<String>), Error> {
    let parts = split(field)?;
    let name = text(field, &parts, 1).unwrap_or_default();
    let scope = format!("{scope}.{name}");
    let options = contents(field, &parts, FIELD_OPTIONS);
    let features = features.with(options, 21)?;
    let number = |wanted: u32| {
        parts.iter().find_map(|part| match part.value {
            RawValue::Varint(value) if part.number == wanted => Some(value),
            _ => None,
        })
    };
    let is_message = number(FIELD_TYPE) == Some(TYPE_MESSAGE);
    let is_string = number(FIELD_TYPE) == Some(TYPE_STRING);
    let repeated = number(FIELD_LABEL) == Some(LABEL_REPEATED);
    if features.delimited != 1 && is_message {
        return Err(refuse(&scope, "is encoded as a group"));
    }
    if features.utf8 != 2 && is_string {
        return Err(refuse(&scope, "may hold text that is not UTF-8"));
    }
    if parts.iter().any(|part| part.number == FIELD_DEFAULT) {
        return Err(refuse(&scope, "has a default value"));
    }
    let singular = !repeated && !is_message && number(FIELD_ONEOF).is_none();
    let mut out = field.to_vec();
    if repeated && features.encoding != PACKED {
        let mut options = options.unwrap_or_default().to_vec();
        raw::push_number(&mut options, 2, 0);
        out = raw::without(field, FIELD_OPTIONS);
        raw::push_bytes(&mut out, FIELD_OPTIONS, &options);
    }
    match features.presence {
        _ if repeated => Ok((out, None)),
        IMPLICIT => Ok((out, None)),
        EXPLICIT if singular => {
            raw::push_number(&mut out, FIELD_ONEOF, oneof as u64);
            raw::push_number(&mut out, FIELD_PROTO3_OPTIONAL, 1);
            Ok((out, Some(name.to_owned())))
        }
        EXPLICIT => Ok((out, None)),
        _ => Err(refuse(&scope, "is required")),
    }
}

fn check_enum(item: &[u8], features: Features, scope: &str) -> Result<(), Error> {
    let parts = split(item)?;
    let features = features.with(contents(item, &parts, 3), 7)?;
    let name = text(item, &parts, 1).unwrap_or_default();
    if features.open_enums == 1 {
        Ok(())
    } else {
        Err(refuse(&format!("{scope}.{name}"), "is a closed enum"))
    }
}

fn refuse(what: &str, why: &str) -> Error {
    let reason = format!("{what} {why}, for which no code is generated");
    Error::DescriptorSet { reason }
}

fn split(bytes: &[u8]) -> Result<Vec<RawField>, Error> {
    raw::fields(bytes).ok_or_else(|| Error::DescriptorSet {
        reason: "it is no encoded descriptor set".to_owned(),
    })
}

fn contents<'a>(bytes: &'a [u8], fields: &[RawField], number: u32) -> Option<&'a [u8]> {
    fields.iter().find_map(|field| match &field.value {
        RawValue::Bytes(range) if field.number == number => Some(&bytes[range.clone()]),
        _ => None,
    })
}

fn text<'a>(bytes: &'a [u8], fields: &[RawField], number: u32) -> Option<&'a str> {
    contents(bytes, fields, number).and_then(|bytes| std::str::from_utf8(bytes).ok())
}

// Field numbers of descriptor.proto.
const SET_FILE: u32 = 1;
const FILE_MESSAGE: u32 = 4;
const FILE_ENUM: u32 = 5;
const FILE_OPTIONS: u32 = 8;
const FILE_SYNTAX: u32 = 12;
const FILE_EDITION: u32 = 14;
const MESSAGE_FIELD: u32 = 2;
const MESSAGE_NESTED: u32 = 3;
const MESSAGE_ENUM: u32 = 4;
const MESSAGE_OPTIONS: u32 = 7;
const MESSAGE_ONEOF: u32 = 8;
const FIELD_LABEL: u32 = 4;
const FIELD_TYPE: u32 = 5;
const FIELD_DEFAULT: u32 = 7;
const FIELD_OPTIONS: u32 = 8;
const FIELD_ONEOF: u32 = 9;
const FIELD_PROTO3_OPTIONAL: u32 = 17;
// Values of its enums.
const LABEL_REPEATED: u64 = 3;
const TYPE_STRING: u64 = 9;
const TYPE_MESSAGE: u64 = 11;
const EXPLICIT: u64 = 1;
const IMPLICIT: u64 = 2;
const PACKED: u64 = 1;
/// Deeper than protobuf's own compiler lets messages nest.
const DEPTH_MAX: usize = 64;
