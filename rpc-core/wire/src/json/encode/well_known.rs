//! The messages whose JSON form is not an object of their fields.

use super::Writer;
use crate::WireError;
use crate::dynamic::{DynTable, Value};
use crate::json::field_mask::push_camel;
use crate::json::time::{Parts, write_duration, write_timestamp};
use crate::json::well_known::{TYPE_KEY, VALUE_KEY, WellKnown, well_known};
use crate::layout::Kind;
use crate::limits::Limits;

impl Writer<'_> {
    pub(super) fn well_known(
        &mut self,
        form: WellKnown,
        table: DynTable<'_>,
    ) -> Result<(), WireError> {
        match form {
            WellKnown::Any => self.any(table),
            WellKnown::FieldMask => self.field_mask(table),
            WellKnown::Value => self.dynamic_value(table),
            WellKnown::Duration => self.time(table, write_duration, "a duration is out of range"),
            WellKnown::Timestamp => {
                self.time(table, write_timestamp, "a timestamp is out of range")
            }
            // All three have one field, whose value is the whole.
            WellKnown::ListValue | WellKnown::Struct | WellKnown::Wrapper => {
                match table.layout().field(1) {
                    Some(field) => self.value(&field.kind, value(table, 1)),
                    None => Err(MISSHAPEN),
                }
            }
        }
    }

    fn time(
        &mut self,
        table: DynTable<'_>,
        write: impl FnOnce(&mut String, Parts) -> bool,
        out_of_range: &'static str,
    ) -> Result<(), WireError> {
        let (Value::I64(seconds), Value::I32(nanos)) = (value(table, 1), value(table, 2)) else {
            return Err(MISSHAPEN);
        };
        self.out.push('"');
        if !write(&mut self.out, (seconds, nanos)) {
            return Err(WireError::Mismatch(out_of_range));
        }
        self.out.push('"');
        Ok(())
    }

    fn field_mask(&mut self, table: DynTable<'_>) -> Result<(), WireError> {
        let Value::List(paths) = value(table, 1) else {
            return Err(MISSHAPEN);
        };
        let mut mask = String::new();
        for (index, path) in paths.iter().enumerate() {
            if index > 0 {
                mask.push(',');
            }
            let Value::Str(path) = path else {
                return Err(MISSHAPEN);
            };
            if !push_camel(&mut mask, path) {
                return Err(WireError::Mismatch(
                    "a field mask's path has no form in JSON",
                ));
            }
        }
        self.string(&mask);
        Ok(())
    }

    /// Writes a `google.protobuf.Value`; one that holds nothing is null.
    fn dynamic_value(&mut self, table: DynTable<'_>) -> Result<(), WireError> {
        let Some((field, value)) = table.fields().next() else {
            self.out.push_str("null");
            return Ok(());
        };
        match value {
            Value::F64(number) if !number.is_finite() => Err(WireError::Mismatch(
                "a dynamic value that is not finite has no form in JSON",
            )),
            value => self.value(&field.kind, value),
        }
    }

    /// Writes what an `Any` holds, with its type among the members.
    fn any(&mut self, table: DynTable<'_>) -> Result<(), WireError> {
        let (Value::Str(type_url), Value::Bytes(packed)) = (value(table, 1), value(table, 2))
        else {
            return Err(MISSHAPEN);
        };
        if type_url.is_empty() && packed.is_empty() {
            self.out.push_str("{}");
            return Ok(());
        }
        let Some(layout) = self.options.resolve(type_url) else {
            return Err(WireError::Mismatch("the type in an Any is not known here"));
        };
        // A packed message is within the limits if the archive is, but for what its own archive
        // adds; the text it becomes is bounded in any case.
        let limits = Limits::default()
            .with_max_bytes(self.options.max_bytes)
            .with_max_depth(Limits::DEFAULT_DEPTH.saturating_sub(self.depth));
        let archive = crate::protobuf::to_archive(layout, packed, &limits)?;
        let held = DynTable::from_archive(layout, &archive, &limits)?;
        self.out.push('{');
        self.string(TYPE_KEY);
        self.out.push(':');
        self.string(type_url);
        if well_known(layout).is_some() {
            self.out.push(',');
            self.string(VALUE_KEY);
            self.out.push(':');
            self.message(held)?;
        } else {
            self.depth += 1;
            self.fields(held, false)?;
            self.depth -= 1;
        }
        self.out.push('}');
        Ok(())
    }
}

/// The value of a field by its number; a message without it fits no form.
fn value(table: DynTable<'_>, number: u32) -> Value<'_> {
    match table.layout().index_of(number) {
        Some(index) => table.value(index),
        None => Value::default_of(&Kind::Bool),
    }
}

const MISSHAPEN: WireError =
    WireError::Mismatch("a message with a well-known name has other fields");
