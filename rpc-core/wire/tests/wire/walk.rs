//! Reads everything a validated message holds, through every kind of accessor.

use dreammesh_wire::{DynTable, Encoded, Limits, Message, Msg, Value};

use crate::sample::{Sample, SampleView};

/// Reads all of `msg` twice, typed and by its field table, and archives it anew.
pub fn walk(msg: &Msg<Sample>) {
    let owned = msg.to_owned_message();
    let copied = msg.view().into_owned();
    typed(msg.view());
    let by_table = format!("{:?}", msg.table().dynamic());
    // Debug compares what PartialEq cannot: a NaN is not equal to itself.
    assert_eq!(format!("{owned:?}"), format!("{copied:?}"));
    let limits = Limits::default().with_max_bytes(64 << 20);
    for again in [
        Encoded::new(&owned, &limits),
        Encoded::new(&msg.view(), &limits),
    ] {
        let archive = again
            .expect("what was read fits the limits again")
            .into_segment();
        let again = Msg::<Sample>::from_archive(archive.into_bytes(), &limits)
            .expect("what is written validates");
        assert_eq!(by_table, format!("{:?}", again.table().dynamic()));
    }
    dynamic(msg.table().dynamic());
}

fn typed(view: SampleView<'_>) {
    if let Some(slice) = view.r_double().as_slice() {
        assert_eq!(slice.len(), view.r_double().len());
        assert!(
            slice
                .iter()
                .zip(view.r_double())
                .all(|(a, b)| a.to_bits() == b.to_bits())
        );
    }
    let _ = (
        view.r_int32().as_slice(),
        view.r_uint64().as_slice(),
        view.r_float().as_slice(),
    );
    for (key, value) in view.m_string() {
        assert_eq!(view.m_string().get(key), Some(value));
    }
    for (key, value) in view.m_int32() {
        assert_eq!(view.m_int32().get(key), Some(value));
    }
    for (key, value) in view.m_leaf() {
        assert_eq!(
            view.m_leaf().get(key).map(|leaf| leaf.id()),
            Some(value.id())
        );
    }
    let _ = Sample::table(view).unknown_fields().len();
}

/// Touches every byte that the field table leads to.
pub fn dynamic(table: DynTable<'_>) -> usize {
    let values = table.fields().map(|(_, read)| value(read));
    values.sum::<usize>() + value(Value::Bytes(table.unknown_fields()))
}

fn value(read: Value<'_>) -> usize {
    match read {
        Value::Str(text) => text.chars().map(|c| c as usize & 1).sum(),
        Value::Bytes(bytes) => bytes.iter().map(|byte| usize::from(*byte)).sum(),
        Value::Message(table) => dynamic(table),
        Value::List(list) => list.iter().map(value).sum(),
        Value::Map(map) => map.iter().map(|(key, item)| value(key) + value(item)).sum(),
        other => usize::from(other.is_default()),
    }
}
