//! Writing any message by its field table at run time.

use crate::builder::{Body, Builder, Elements, Entries, Target, pool};
use crate::dynamic::{DynTable, Value};
use crate::error::WireError;
use crate::layout::{Field, Kind, LIST_SIZE, Layout, MapKey, ONEOF_SIZE, REF_SIZE, Shape};
use crate::limits::Limits;
use crate::segment::Segment;

/// Archives a message of type `layout` whose fields a closure writes.
///
/// # Errors
///
/// Whatever the closure returns, [`WireError::TooLarge`] or [`WireError::TooDeep`] if a limit is
/// passed.
pub fn build<E: From<WireError>>(
    layout: &'static Layout,
    limits: &Limits,
    fill: impl FnOnce(&mut DynWriter<'_>) -> Result<(), E>,
) -> Result<Segment, E> {
    let mut outcome = Ok(());
    // The buffers go back to the pool even where the closure failed.
    let segment = pool::archive(limits, |builder| {
        message(builder, layout, fill).unwrap_or_else(|error| {
            outcome = Err(error);
            Target::NULL
        })
    });
    outcome?;
    Ok(segment?)
}

/// Writes the fields of a table; each call is checked against the layout.
///
/// Unknown fields come first, then every pointer field (`string`, `bytes`, message, list, map,
/// oneof) in ascending order of slots; scalars may come at any time. Writing a field twice is an
/// error.
#[derive(Debug)]
pub struct DynWriter<'b> {
    builder: &'b mut Builder,
    body: Body,
    layout: &'static Layout,
    /// The end of the last slot whose value lies out of line.
    ordered: u32,
}

impl DynWriter<'_> {
    /// The field table.
    #[must_use]
    pub const fn layout(&self) -> &'static Layout {
        self.layout
    }

    /// Keeps raw protobuf fields, tags included, that the layout does not know.
    ///
    /// # Errors
    ///
    /// [`WireError::Mismatch`] if a value out of line was written before.
    pub fn unknown_fields(&mut self, raw: &[u8]) -> Result<(), WireError> {
        if self.ordered != 0 || self.body.has_unknown() {
            return Err(WireError::Mismatch("unknown fields come first, once"));
        }
        if !raw.is_empty() {
            let target = self.builder.bytes(raw);
            self.body.set_unknown(target);
        }
        self.builder.check()
    }

    /// A single value, a oneof's included: a scalar, enum, `string` or `bytes`, or a message to be
    /// copied.
    ///
    /// # Errors
    ///
    /// [`WireError::Mismatch`] if the field at `index` is another, or is out of order.
    pub fn set(&mut self, index: usize, value: Value<'_>) -> Result<(), WireError> {
        let field = self.field(index)?;
        if let Value::Message(table) = value {
            return self.message(index, |writer| copy_fields(writer, table));
        }
        check_kind(&field.kind, &value)?;
        match field.shape {
            Shape::Plain if value.is_default() => Ok(()),
            Shape::Plain => self.put(field, value),
            Shape::Optional { bit } => {
                self.builder.set_bit(&self.body, bit);
                self.put(field, value)
            }
            Shape::Nullable | Shape::Arm(_) => {
                self.in_order(field)?;
                let target = out_of_line(self.builder, value);
                self.refer(field, target);
                self.builder.check()
            }
            Shape::List | Shape::Map(_) => Err(WireError::Mismatch("the field is repeated")),
        }
    }

    /// A message field, a oneof's included.
    ///
    /// # Errors
    ///
    /// [`WireError::Mismatch`] if the field at `index` is another, or is out of order; whatever
    /// the closure returns.
    pub fn message<E: From<WireError>>(
        &mut self,
        index: usize,
        fill: impl FnOnce(&mut DynWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let field = self.field(index)?;
        let (Kind::Message(layout), Shape::Nullable | Shape::Arm(_)) = (field.kind, field.shape)
        else {
            return Err(WireError::Mismatch("the field is not a single message").into());
        };
        self.in_order(field)?;
        let target = message(self.builder, layout, fill)?;
        self.refer(field, target);
        Ok(self.builder.check()?)
    }

    /// A repeated field.
    ///
    /// # Errors
    ///
    /// [`WireError::Mismatch`] if the field at `index` is another, or is out of order; whatever
    /// the closure returns.
    pub fn list<E: From<WireError>>(
        &mut self,
        index: usize,
        fill: impl FnOnce(&mut DynListWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let field = self.field(index)?;
        if field.shape != Shape::List {
            return Err(WireError::Mismatch("the field is not a list").into());
        }
        self.in_order(field)?;
        let elements = Elements::new(self.builder, field.kind.class());
        let mut list = DynListWriter {
            builder: self.builder,
            elements,
            kind: &field.kind,
        };
        fill(&mut list)?;
        let elements = list.elements;
        if let Some(list) = elements.finish(self.builder) {
            self.builder.put_list(self.body.at(field.offset), &list);
            self.body.wrote(field.offset + LIST_SIZE);
        }
        Ok(self.builder.check()?)
    }

    /// A map field, keys strictly ascending.
    ///
    /// # Errors
    ///
    /// [`WireError::Mismatch`] if the field at `index` is another, or is out of order; whatever
    /// the closure returns.
    pub fn map<E: From<WireError>>(
        &mut self,
        index: usize,
        fill: impl FnOnce(&mut DynMapWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let field = self.field(index)?;
        let Shape::Map(key) = field.shape else {
            return Err(WireError::Mismatch("the field is not a map").into());
        };
        self.in_order(field)?;
        let entries = Entries::new(self.builder, key.kind().size() + field.kind.size());
        let mut map = DynMapWriter {
            builder: self.builder,
            entries,
            key,
            kind: &field.kind,
        };
        fill(&mut map)?;
        let entries = map.entries;
        if let Some(map) = entries.finish(self.builder) {
            self.builder.put_list(self.body.at(field.offset), &map);
            self.body.wrote(field.offset + LIST_SIZE);
        }
        Ok(self.builder.check()?)
    }

    fn field(&self, index: usize) -> Result<&'static Field, WireError> {
        self.layout
            .fields
            .get(index)
            .ok_or(WireError::Mismatch("the layout has no such field"))
    }

    /// Values out of line lie in the order of their slots; the validator insists.
    fn in_order(&mut self, field: &Field) -> Result<(), WireError> {
        if field.offset < self.ordered {
            return Err(WireError::Mismatch(
                "the field is written twice or out of order",
            ));
        }
        self.ordered = field.offset + field.slot_size();
        Ok(())
    }

    /// Writes the slot of a scalar, `string` or `bytes`.
    fn put(&mut self, field: &Field, value: Value<'_>) -> Result<(), WireError> {
        if field.kind.is_scalar() {
            let (bytes, len) = scalar(value);
            self.builder
                .put_bytes(self.body.at(field.offset), &bytes[..len]);
        } else {
            self.in_order(field)?;
            let target = out_of_line(self.builder, value);
            self.builder
                .put_reference(self.body.at(field.offset), target);
        }
        self.body.wrote(field.offset + field.kind.size());
        self.builder.check()
    }

    /// Writes the reference of a nullable field or a oneof.
    fn refer(&mut self, field: &Field, target: Target) {
        let at = self.body.at(field.offset);
        if matches!(field.shape, Shape::Arm(_)) {
            self.builder.put_word(at, field.number);
            self.builder.put_reference(at + 4, target);
            self.body.wrote(field.offset + ONEOF_SIZE);
        } else {
            self.builder.put_reference(at, target);
            self.body.wrote(field.offset + REF_SIZE);
        }
    }
}

/// Writes the elements of a repeated field.
#[derive(Debug)]
pub struct DynListWriter<'b> {
    builder: &'b mut Builder,
    elements: Elements,
    kind: &'static Kind,
}

impl DynListWriter<'_> {
    /// Appends a value.
    ///
    /// # Errors
    ///
    /// [`WireError::Mismatch`] if it is of another type than the elements.
    pub fn push(&mut self, value: Value<'_>) -> Result<(), WireError> {
        if let Value::Message(table) = value {
            return self.push_message(|writer| copy_fields(writer, table));
        }
        check_kind(self.kind, &value)?;
        if self.kind.is_scalar() {
            let (bytes, len) = scalar(value);
            self.elements.push_scalar(self.builder, &bytes[..len]);
        } else {
            let target = if value.is_default() {
                Target::default()
            } else {
                out_of_line(self.builder, value)
            };
            self.elements.push_reference(self.builder, target);
        }
        self.builder.check()
    }

    /// Appends a message.
    ///
    /// # Errors
    ///
    /// [`WireError::Mismatch`] if the elements are no messages; whatever the closure returns.
    pub fn push_message<E: From<WireError>>(
        &mut self,
        fill: impl FnOnce(&mut DynWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Kind::Message(layout) = self.kind else {
            return Err(WireError::Mismatch("the elements are no messages").into());
        };
        let Some(body) = self.elements.open_table(self.builder, layout.size as usize) else {
            return Ok(self.builder.check()?);
        };
        let mut writer = DynWriter {
            builder: self.builder,
            body,
            layout,
            ordered: 0,
        };
        fill(&mut writer)?;
        let body = writer.body;
        self.elements.close_table(self.builder, body);
        Ok(self.builder.check()?)
    }
}

/// Writes the entries of a map field.
#[derive(Debug)]
pub struct DynMapWriter<'b> {
    builder: &'b mut Builder,
    entries: Entries,
    key: MapKey,
    kind: &'static Kind,
}

impl DynMapWriter<'_> {
    /// Appends an entry whose key is greater than all before.
    ///
    /// # Errors
    ///
    /// [`WireError::Mismatch`] if key or value is of another type.
    pub fn push(&mut self, key: Value<'_>, value: Value<'_>) -> Result<(), WireError> {
        if let Value::Message(table) = value {
            return self.push_message(key, |writer| copy_fields(writer, table));
        }
        check_kind(self.kind, &value)?;
        let Some(at) = self.push_key(key)? else {
            return self.builder.check();
        };
        self.put(at, value);
        self.builder.check()
    }

    /// Appends an entry with a message, whose key is greater than all before.
    ///
    /// # Errors
    ///
    /// [`WireError::Mismatch`] if the key is of another type or the values are no messages;
    /// whatever the closure returns.
    pub fn push_message<E: From<WireError>>(
        &mut self,
        key: Value<'_>,
        fill: impl FnOnce(&mut DynWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Kind::Message(layout) = self.kind else {
            return Err(WireError::Mismatch("the values are no messages").into());
        };
        let Some(at) = self.push_key(key)? else {
            return Ok(self.builder.check()?);
        };
        let target = message(self.builder, layout, fill)?;
        self.builder.put_reference(at, target);
        Ok(self.builder.check()?)
    }

    /// Writes the key of a new entry: where its value goes.
    fn push_key(&mut self, key: Value<'_>) -> Result<Option<usize>, WireError> {
        let kind = self.key.kind();
        check_kind(&kind, &key)?;
        let Some(at) = self.entries.push(self.builder) else {
            return Ok(None);
        };
        self.put(at, key);
        Ok(Some(at + kind.size() as usize))
    }

    fn put(&mut self, at: usize, value: Value<'_>) {
        if matches!(value, Value::Str(_) | Value::Bytes(_)) {
            if !value.is_default() {
                let target = out_of_line(self.builder, value);
                self.builder.put_reference(at, target);
            }
        } else {
            let (bytes, len) = scalar(value);
            self.builder.put_bytes(at, &bytes[..len]);
        }
    }
}

/// Writes all fields of `table`, which must be of the writer's type.
pub(crate) fn copy_fields(
    writer: &mut DynWriter<'_>,
    table: DynTable<'_>,
) -> Result<(), WireError> {
    if !core::ptr::eq(writer.layout, table.layout()) {
        return Err(WireError::Mismatch("the message is of another type"));
    }
    writer.unknown_fields(table.unknown_fields())?;
    let layout = writer.layout;
    for (index, field) in layout.fields.iter().enumerate() {
        if let Shape::Arm(oneof) = field.shape {
            // Arms lie at the slot of their first one, so the one that is set is written there.
            if layout.opens_slot(index) {
                let set = table.oneof(oneof.into());
                if let Some((index, value)) = layout
                    .index_of(set)
                    .and_then(|index| Some((index, table.present(index)?)))
                {
                    writer.set(index, value)?;
                }
            }
            continue;
        }
        match table.present(index) {
            None => {}
            Some(Value::List(list)) => writer.list(index, |out| {
                list.iter().try_for_each(|value| out.push(value))
            })?,
            Some(Value::Map(map)) => writer.map(index, |out| {
                map.iter().try_for_each(|(key, value)| out.push(key, value))
            })?,
            Some(value) => writer.set(index, value)?,
        }
    }
    Ok(())
}

/// Copies a table of type `layout` into the open `body`.
pub(crate) fn copy_into(builder: &mut Builder, body: Body, table: DynTable<'_>) -> Body {
    let mut writer = DynWriter {
        builder,
        body,
        layout: table.layout(),
        ordered: 0,
    };
    let result = copy_fields(&mut writer, table);
    let DynWriter { builder, body, .. } = writer;
    if let Err(error) = result {
        builder.fail(error);
    }
    body
}

fn message<E: From<WireError>>(
    builder: &mut Builder,
    layout: &'static Layout,
    fill: impl FnOnce(&mut DynWriter<'_>) -> Result<(), E>,
) -> Result<Target, E> {
    let Some(body) = builder.open_table(layout.size as usize) else {
        builder.check()?;
        return Ok(Target::default());
    };
    let mut writer = DynWriter {
        builder,
        body,
        layout,
        ordered: 0,
    };
    fill(&mut writer)?;
    let body = writer.body;
    Ok(builder.close_table(body))
}

/// Writes a value behind the ones before; never null.
fn out_of_line(builder: &mut Builder, value: Value<'_>) -> Target {
    match value {
        Value::Str(text) => builder.bytes(text.as_bytes()),
        Value::Bytes(bytes) => builder.bytes(bytes),
        other => {
            let (bytes, len) = scalar(other);
            builder.bytes(&bytes[..len])
        }
    }
}

/// The bytes of a scalar, and how many of them count; none for other values.
fn scalar(value: Value<'_>) -> ([u8; 8], usize) {
    use crate::element::Scalar;
    match value {
        Value::Bool(value) => (value.to_le(), 1),
        Value::I32(value) | Value::Enum(value) => (Scalar::to_le(value), 4),
        Value::U32(value) => (Scalar::to_le(value), 4),
        Value::I64(value) => (Scalar::to_le(value), 8),
        Value::U64(value) => (Scalar::to_le(value), 8),
        Value::F32(value) => (Scalar::to_le(value), 4),
        Value::F64(value) => (Scalar::to_le(value), 8),
        Value::Str(_) | Value::Bytes(_) | Value::Message(_) | Value::List(_) | Value::Map(_) => {
            ([0; 8], 0)
        }
    }
}

fn check_kind(kind: &Kind, value: &Value<'_>) -> Result<(), WireError> {
    use crate::layout::Class;
    let fits = match value {
        Value::Bool(_) => kind.class() == Class::Bool,
        Value::I32(_) => kind.class() == Class::I32,
        Value::U32(_) => kind.class() == Class::U32,
        Value::I64(_) => kind.class() == Class::I64,
        Value::U64(_) => kind.class() == Class::U64,
        Value::F32(_) => kind.class() == Class::F32,
        Value::F64(_) => kind.class() == Class::F64,
        Value::Enum(_) => kind.class() == Class::Enum,
        Value::Str(_) => kind.class() == Class::Str,
        Value::Bytes(_) => kind.class() == Class::Bytes,
        Value::Message(_) | Value::List(_) | Value::Map(_) => false,
    };
    if fits {
        Ok(())
    } else {
        Err(WireError::Mismatch("the value is of another type"))
    }
}
