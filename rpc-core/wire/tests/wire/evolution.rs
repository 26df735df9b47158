//! Old readers and new writers, new readers and old writers: every pair of three revisions.

use dreammesh_wire::closure::{Closure, chains_agree, reachable};
use dreammesh_wire::dynamic::{DynWriter, build};
use dreammesh_wire::{DynTable, Field, Kind, Layout, Limits, Shape, Value, WireError};

use crate::evolve::{INNER_1, INNER_2, INNER_3, OUTER_1, OUTER_2, OUTER_3, OUTER_BROKEN};

const REVISIONS: [&Layout; 3] = [&OUTER_1, &OUTER_2, &OUTER_3];

#[test]
fn every_revision_reads_every_other_through_nesting_repetition_and_maps() {
    for writer in REVISIONS {
        for arm in writer.oneofs()[0].arms {
            let archive = archive(writer, *arm);
            for reader in REVISIONS {
                let table = DynTable::from_archive(reader, &archive, &Limits::default()).unwrap();
                check(table, writer, writer.fields()[usize::from(*arm)].number, 0);
            }
        }
    }
}

#[test]
fn an_unknown_arm_is_reported_and_not_followed() {
    let nested = archive(&OUTER_2, *OUTER_2.oneofs()[0].arms.last().unwrap());
    let table = DynTable::from_archive(&OUTER_1, &nested, &Limits::default()).unwrap();
    assert_eq!(table.oneof(0), 7);
    assert_eq!(
        table
            .fields()
            .filter(|(field, _)| matches!(field.shape, Shape::Arm(_)))
            .count(),
        0
    );
}

#[test]
fn chains_tell_which_revisions_agree() {
    for left in REVISIONS {
        for right in REVISIONS {
            assert!(chains_agree(left.chain, right.chain));
            assert!(Closure::of(left).agrees_with(right));
        }
    }
    assert!(!chains_agree(OUTER_1.chain, OUTER_BROKEN.chain));
    assert!(!chains_agree(OUTER_1.chain, INNER_1.chain));
    assert!(!chains_agree(&[], OUTER_1.chain));
    assert!(!Closure::of(&OUTER_BROKEN).agrees_with(&OUTER_3));
    assert!(!Closure::of(&INNER_1).agrees_with(&OUTER_1));
    assert!(
        chains_agree(INNER_1.chain, INNER_3.chain) && chains_agree(INNER_2.chain, INNER_3.chain)
    );
}

#[test]
fn a_closure_holds_each_reachable_message_once() {
    let names: Vec<_> = reachable(&OUTER_3)
        .iter()
        .map(|layout| layout.name)
        .collect();
    assert_eq!(names, ["evolve.v1.Inner", "evolve.v1.Outer"]);
}

#[test]
fn closures_survive_the_wire_and_refuse_what_is_malformed() {
    let closure = Closure::of(&OUTER_3);
    let bytes = closure.to_bytes();
    assert_eq!(Closure::from_bytes(&bytes).unwrap(), closure);
    for len in 0..bytes.len() {
        assert!(matches!(
            Closure::from_bytes(&bytes[..len]),
            Err(WireError::Decode { .. })
        ));
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(Closure::from_bytes(&longer).is_err());
    assert!(Closure::from_bytes(&u32::MAX.to_le_bytes()).is_err());
    let mut twice = 2_u32.to_le_bytes().to_vec();
    for _ in 0..2 {
        twice.extend([1, 0, 0, 0, b'a', 0, 0, 0, 0]);
    }
    assert!(Closure::from_bytes(&twice).is_err());
}

fn archive(layout: &'static Layout, arm: u16) -> Vec<u8> {
    let fill = |writer: &mut DynWriter<'_>| fill(writer, usize::from(arm), 0);
    build::<WireError>(layout, &Limits::default(), fill)
        .unwrap()
        .into_vec()
}

/// Writes every field; what it holds depends on its number and the depth alone.
fn fill(writer: &mut DynWriter<'_>, arm: usize, depth: u32) -> Result<(), WireError> {
    for (index, field) in writer.layout().fields().iter().enumerate() {
        match (field.shape, field.kind) {
            (Shape::Arm(oneof), _) => {
                // The arm that is set is written where the first one would be.
                let first = writer.layout().oneofs()[usize::from(oneof)].arms[0];
                if usize::from(first) == index {
                    match writer.layout().fields()[arm].kind {
                        Kind::Message(_) => writer.message(arm, |it| fill(it, 0, depth + 1))?,
                        _ => writer.set(arm, scalar(&writer.layout().fields()[arm], depth))?,
                    }
                }
            }
            (Shape::List, Kind::Message(_)) => writer.list(index, |list| {
                (0..3).try_for_each(|_| list.push_message(|it| fill(it, 0, depth + 1)))
            })?,
            (Shape::List, _) => {
                writer.list(index, |list| list.push(scalar(field, depth)))?;
            }
            (Shape::Map(_), _) => writer.map(index, |map| {
                ["a", "b"].into_iter().try_for_each(|key| {
                    map.push_message(Value::Str(key), |it| fill(it, 0, depth + 1))
                })
            })?,
            (_, Kind::Message(_)) if depth > 3 => {}
            (_, Kind::Message(_)) => writer.message(index, |it| fill(it, 0, depth + 1))?,
            _ => writer.set(index, scalar(field, depth))?,
        }
    }
    Ok(())
}

fn scalar(field: &Field, depth: u32) -> Value<'static> {
    let number = field.number + depth;
    match field.kind {
        Kind::Bool => Value::Bool(true),
        Kind::Int32 => Value::I32(-(number.cast_signed())),
        Kind::Uint64 => Value::U64(u64::from(number) << 33),
        Kind::Double => Value::F64(f64::from(number) / 2.0),
        _ => Value::Str(&"abcdefghijklmnopqrstuvwxyz"[..number as usize]),
    }
}

/// Checks that a reader finds what the writer knew, and nothing else.
fn check(table: DynTable<'_>, writer: &Layout, arm: u32, depth: u32) {
    for (index, field) in table.layout().fields().iter().enumerate() {
        let found = table.present(index);
        let Some(written) = writer.field(field.number) else {
            assert_eq!(found, None, "{} was not written", field.name);
            continue;
        };
        if matches!(field.shape, Shape::Arm(_)) && field.number != arm {
            assert_eq!(found, None, "{} is not set", field.name);
            continue;
        }
        match (found, written.kind) {
            (Some(Value::List(list)), Kind::Message(inner)) => {
                assert_eq!(list.len(), 3);
                list.iter().for_each(|item| nested(item, inner, depth + 1));
            }
            (Some(Value::List(list)), _) => assert_eq!(list.get(0), Some(scalar(field, depth))),
            (Some(Value::Map(map)), Kind::Message(inner)) => {
                assert_eq!(map.len(), 2);
                map.iter()
                    .for_each(|(_, item)| nested(item, inner, depth + 1));
            }
            (Some(item), Kind::Message(inner)) => nested(item, inner, depth + 1),
            (None, Kind::Message(_)) => assert!(depth > 3),
            (found, _) => assert_eq!(found, Some(scalar(field, depth)), "{}", field.name),
        }
    }
}

fn nested(item: Value<'_>, writer: &Layout, depth: u32) {
    let Value::Message(table) = item else {
        panic!("a message was expected")
    };
    check(table, writer, 0, depth);
}
