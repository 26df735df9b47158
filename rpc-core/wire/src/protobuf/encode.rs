//! Archive in, protobuf out: fields ascending, lists packed, maps in key order, unknown fields last.

use crate::dynamic::{DynList, DynMap, DynTable, Value};
use crate::layout::{Field, Kind, Shape};
use crate::protobuf::backward::{Backward, varint_len, zigzag};
use crate::protobuf::reader::WireType;
use crate::protobuf::wire_type_of;

/// Writes a message in front of what has been written, last field first.
pub(super) fn table(out: &mut Backward<'_>, table: DynTable<'_>) {
    out.put(table.unknown_fields());
    let fields = table.layout().fields;
    for (index, field) in fields.iter().enumerate().rev() {
        if matches!(field.shape, Shape::Plain) && field.kind.is_scalar() {
            // Most fields of most messages: no need to go by way of a value.
            match table.scalar_bits(field) {
                None | Some(0) => {}
                Some(bits) => raw_scalar(out, field, bits),
            }
            continue;
        }
        match table.present(index) {
            None => {}
            Some(Value::List(list)) => put_list(out, field, list),
            Some(Value::Map(map)) => put_map(out, field, map),
            Some(value) => single(out, field.number, &field.kind, value),
        }
    }
}

/// Writes one value and the tag in front of it.
#[inline]
fn single(out: &mut Backward<'_>, number: u32, kind: &Kind, value: Value<'_>) {
    match value {
        Value::Str(text) => {
            out.put_value(text.as_bytes());
            out.put_varint(text.len() as u64);
        }
        Value::Bytes(bytes) => {
            out.put_value(bytes);
            out.put_varint(bytes.len() as u64);
        }
        Value::Message(nested) => {
            let before = out.written();
            table(out, nested);
            out.put_varint((out.written() - before) as u64);
        }
        value => scalar(out, kind, value),
    }
    out.put_varint(tag(number, wire_type_of(kind)));
}

/// Writes a scalar given as its archived bits, and the tag in front of it.
#[inline]
fn raw_scalar(out: &mut Backward<'_>, field: &Field, bits: u64) {
    let wire_type = wire_type_of(&field.kind);
    match (wire_type, &field.kind) {
        (WireType::Fixed32, _) => out.put(&(bits as u32).to_le_bytes()),
        (WireType::Fixed64, _) => out.put(&bits.to_le_bytes()),
        (_, Kind::Bool) => out.put_varint(u64::from(bits != 0)),
        (_, Kind::Sint32) => out.put_varint(zigzag(i64::from(bits as i32))),
        (_, Kind::Int32 | Kind::Enum(_)) => out.put_varint(i64::from(bits as i32) as u64),
        (_, Kind::Sint64) => out.put_varint(zigzag(bits as i64)),
        _ => out.put_varint(bits),
    }
    out.put_varint(tag(field.number, wire_type));
}

fn put_list(out: &mut Backward<'_>, field: &Field, list: DynList<'_>) {
    if !field.kind.is_scalar() {
        for index in (0..list.len()).rev() {
            if let Some(value) = list.get(index) {
                single(out, field.number, &field.kind, value);
            }
        }
        return;
    }
    let before = out.written();
    for index in (0..list.len()).rev() {
        if let Some(value) = list.get(index) {
            scalar(out, &field.kind, value);
        }
    }
    out.put_varint((out.written() - before) as u64);
    out.put_varint(tag(field.number, WireType::Delimited));
}

/// Writes entries with both key and value, defaults too, as protobuf implementations do.
fn put_map(out: &mut Backward<'_>, field: &Field, map: DynMap<'_>) {
    let key_kind = map.key().kind();
    for index in (0..map.len()).rev() {
        let Some((key, value)) = map.get(index) else {
            continue;
        };
        let before = out.written();
        single(out, VALUE_NUMBER, &field.kind, value);
        single(out, KEY_NUMBER, &key_kind, key);
        out.put_varint((out.written() - before) as u64);
        out.put_varint(tag(field.number, WireType::Delimited));
    }
}

#[inline]
fn scalar(out: &mut Backward<'_>, kind: &Kind, value: Value<'_>) {
    match wire_type_of(kind) {
        WireType::Fixed32 => out.put(&(bits(kind, value) as u32).to_le_bytes()),
        WireType::Fixed64 => out.put(&bits(kind, value).to_le_bytes()),
        _ => out.put_varint(bits(kind, value)),
    }
}

/// What a scalar's varint or fixed-width form holds.
#[inline]
fn bits(kind: &Kind, value: Value<'_>) -> u64 {
    match value {
        Value::Bool(value) => u64::from(value),
        Value::I32(value) if matches!(kind, Kind::Sint32) => zigzag(i64::from(value)),
        // Negative numbers are extended to 64 bits, so that a reader may widen the field's type.
        Value::I32(value) | Value::Enum(value) => i64::from(value) as u64,
        Value::U32(value) => u64::from(value),
        Value::I64(value) if matches!(kind, Kind::Sint64) => zigzag(value),
        Value::I64(value) => value as u64,
        Value::U64(value) => value,
        Value::F32(value) => u64::from(value.to_bits()),
        Value::F64(value) => value.to_bits(),
        // The others are no scalars, and callers ask for scalars only.
        Value::Str(_) | Value::Bytes(_) | Value::Message(_) | Value::List(_) | Value::Map(_) => 0,
    }
}

/// How many bytes [`table`] writes.
pub(super) fn table_len(table: DynTable<'_>) -> usize {
    let fields = table.layout().fields.iter().enumerate();
    let known = fields.map(|(index, field)| match table.present(index) {
        None => 0,
        Some(Value::List(list)) => list_len(field, list),
        Some(Value::Map(map)) => map_len(field, map),
        Some(value) => single_len(field.number, &field.kind, value),
    });
    known.sum::<usize>() + table.unknown_fields().len()
}

fn single_len(number: u32, kind: &Kind, value: Value<'_>) -> usize {
    let content = match value {
        Value::Str(text) => delimited_len(text.len()),
        Value::Bytes(bytes) => delimited_len(bytes.len()),
        Value::Message(nested) => delimited_len(table_len(nested)),
        value => scalar_len(kind, value),
    };
    varint_len(tag(number, WireType::Varint)) + content
}

fn list_len(field: &Field, list: DynList<'_>) -> usize {
    if field.kind.is_scalar() {
        let content = list
            .iter()
            .map(|value| scalar_len(&field.kind, value))
            .sum();
        varint_len(tag(field.number, WireType::Delimited)) + delimited_len(content)
    } else {
        list.iter()
            .map(|value| single_len(field.number, &field.kind, value))
            .sum()
    }
}

fn map_len(field: &Field, map: DynMap<'_>) -> usize {
    let key_kind = map.key().kind();
    map.iter()
        .map(|(key, value)| {
            let content = single_len(KEY_NUMBER, &key_kind, key)
                + single_len(VALUE_NUMBER, &field.kind, value);
            varint_len(tag(field.number, WireType::Delimited)) + delimited_len(content)
        })
        .sum()
}

fn scalar_len(kind: &Kind, value: Value<'_>) -> usize {
    match wire_type_of(kind) {
        WireType::Fixed32 => 4,
        WireType::Fixed64 => 8,
        _ => varint_len(bits(kind, value)),
    }
}

fn delimited_len(content: usize) -> usize {
    varint_len(content as u64) + content
}

#[inline]
pub(crate) fn tag(number: u32, wire_type: WireType) -> u64 {
    let low = match wire_type {
        WireType::Varint => 0,
        WireType::Fixed64 => 1,
        WireType::Delimited => 2,
        WireType::StartGroup => 3,
        WireType::EndGroup => 4,
        WireType::Fixed32 => 5,
    };
    u64::from(number) << 3 | low
}

/// An entry is a message of two fields, which protobuf numbers thus.
const KEY_NUMBER: u32 = 1;
const VALUE_NUMBER: u32 = 2;
