//! Archive in, JSON out.

mod well_known;

use core::fmt::Write;

use base64::Engine;

use crate::WireError;
use crate::dynamic::{DynMap, DynTable, Value};
use crate::json::number::non_finite_name;
use crate::json::well_known::is_null_value;
use crate::json::{BASE64, Options};
use crate::layout::{EnumInfo, Field, Kind, Shape};
use crate::limits::Limits;

pub(super) fn to_string(table: DynTable<'_>, options: &Options<'_>) -> Result<String, WireError> {
    let mut writer = Writer {
        out: String::new(),
        options,
        depth: 0,
    };
    writer.message(table)?;
    writer.check_size()?;
    Ok(writer.out)
}

struct Writer<'o> {
    out: String,
    options: &'o Options<'o>,
    /// How many messages the current one is in; those packed into an `Any` count too, as they
    /// are not bounded by the depth of the archive.
    depth: u32,
}

impl Writer<'_> {
    fn message(&mut self, table: DynTable<'_>) -> Result<(), WireError> {
        self.depth += 1;
        if self.depth > Limits::MAX_DEPTH {
            return Err(WireError::TooDeep {
                max_depth: Limits::MAX_DEPTH,
            });
        }
        match crate::json::well_known::well_known(table.layout()) {
            Some(form) => self.well_known(form, table)?,
            None => {
                self.out.push('{');
                self.fields(table, true)?;
                self.out.push('}');
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Writes the members of an object; `first` tells whether it has none yet.
    fn fields(&mut self, table: DynTable<'_>, mut first: bool) -> Result<(), WireError> {
        for (index, field) in table.layout().fields.iter().enumerate() {
            let value = match table.present(index) {
                Some(value) => value,
                None if self.options.emit_defaults && !has_presence(field) => table.value(index),
                None => continue,
            };
            if !first {
                self.out.push(',');
            }
            first = false;
            let names = (field.name, field.json_name);
            let name = if self.options.proto_names {
                names.0
            } else {
                names.1
            };
            self.string(name);
            self.out.push(':');
            self.value(&field.kind, value)?;
            self.check_size()?;
        }
        Ok(())
    }

    fn value(&mut self, kind: &Kind, value: Value<'_>) -> Result<(), WireError> {
        match value {
            Value::Message(table) => self.message(table)?,
            Value::List(list) => {
                self.out.push('[');
                for (index, element) in list.iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                    }
                    self.value(kind, element)?;
                    self.check_size()?;
                }
                self.out.push(']');
            }
            Value::Map(map) => self.map(kind, map)?,
            Value::Enum(number) => match kind {
                Kind::Enum(info) => self.enumeration(info, number),
                _ => self.display(number),
            },
            Value::Bool(value) => self.display(value),
            Value::I32(value) => self.display(value),
            Value::U32(value) => self.display(value),
            // JavaScript holds integers exactly only up to 53 bits.
            Value::I64(value) => self.display(format_args!("\"{value}\"")),
            Value::U64(value) => self.display(format_args!("\"{value}\"")),
            // The shortest form of the largest float is a little larger than it, so that readers
            // which read a double first find it out of range.
            Value::F32(value) if value.abs() == f32::MAX => {
                self.display(format_args!("{:?}", f64::from(value)));
            }
            Value::F32(value) => self.float(f64::from(value), format_args!("{value:?}")),
            Value::F64(value) => self.float(value, format_args!("{value:?}")),
            Value::Str(text) => self.string(text),
            Value::Bytes(bytes) => {
                self.out.push('"');
                BASE64.encode_string(bytes, &mut self.out);
                self.out.push('"');
            }
        }
        Ok(())
    }

    fn map(&mut self, kind: &Kind, map: DynMap<'_>) -> Result<(), WireError> {
        self.out.push('{');
        for (index, (key, value)) in map.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            match key {
                Value::Bool(key) => self.display(format_args!("\"{key}\"")),
                Value::I32(key) => self.display(format_args!("\"{key}\"")),
                Value::U32(key) => self.display(format_args!("\"{key}\"")),
                Value::I64(key) => self.display(format_args!("\"{key}\"")),
                Value::U64(key) => self.display(format_args!("\"{key}\"")),
                Value::Str(key) => self.string(key),
                _ => return Err(WireError::Mismatch("a map key of another type")),
            }
            self.out.push(':');
            self.value(kind, value)?;
            self.check_size()?;
        }
        self.out.push('}');
        Ok(())
    }

    fn enumeration(&mut self, info: &EnumInfo, number: i32) {
        if is_null_value(info.name) {
            self.out.push_str("null");
        } else if let Some(name) = info.name_of(number).filter(|_| !self.options.enum_numbers) {
            self.string(name);
        } else {
            self.display(number);
        }
    }

    /// Writes a float: the shortest digits that read back as the same value.
    fn float(&mut self, value: f64, shortest: core::fmt::Arguments<'_>) {
        match non_finite_name(value) {
            Some(name) => self.string(name),
            None => self.display(shortest),
        }
    }

    /// Writes a string in quotes; only what must be escaped is.
    fn string(&mut self, text: &str) {
        self.out.push('"');
        let mut rest = text;
        while let Some(at) = rest
            .bytes()
            .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
        {
            self.out.push_str(&rest[..at]);
            match rest.as_bytes()[at] {
                b'"' => self.out.push_str("\\\""),
                b'\\' => self.out.push_str("\\\\"),
                b'\n' => self.out.push_str("\\n"),
                b'\r' => self.out.push_str("\\r"),
                b'\t' => self.out.push_str("\\t"),
                control => self.display(format_args!("\\u{control:04x}")),
            }
            rest = &rest[at + 1..];
        }
        self.out.push_str(rest);
        self.out.push('"');
    }

    fn display(&mut self, value: impl core::fmt::Display) {
        write!(self.out, "{value}").expect("writing to a string cannot fail");
    }

    fn check_size(&self) -> Result<(), WireError> {
        let max_bytes = self.options.max_bytes;
        if self.out.len() > max_bytes {
            return Err(WireError::TooLarge { max_bytes });
        }
        Ok(())
    }
}

/// Whether absence can be told from the default, so that an absent field is never written.
fn has_presence(field: &Field) -> bool {
    match field.shape {
        Shape::Plain | Shape::List | Shape::Map(_) => false,
        Shape::Optional { .. } | Shape::Nullable | Shape::Arm(_) => true,
    }
}
