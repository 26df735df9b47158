//! Fields in any order and any number of times.

use super::*;

#[test]
fn the_last_scalar_wins() {
    check(&Pb::new().int(1, 5).int(1, 6), &Pb::new().int(1, 6));
    check(&Pb::new().int(1, 5).int(1, 0), &Pb::new());
    check(
        &Pb::new().bytes(2, b"a").bytes(2, b"b"),
        &Pb::new().bytes(2, b"b"),
    );
    check(&Pb::new().bytes(2, b"a").bytes(2, b""), &Pb::new());
    let archive = to_archive(node(), &Pb::new().int(1, 5).int(1, 0).0, &Limits::default()).unwrap();
    assert_eq!(
        archive.len(),
        8,
        "a reset field is dropped like one never set"
    );
}

#[test]
fn a_reset_field_keeps_those_before_it() {
    let layout = all_kinds();
    let (first, last) = (number(1, 0), number(1, 1));
    let input = Pb::new()
        .int(number(0, 0), 1)
        .int(number(0, 6), 1)
        .int(first, 0)
        .int(number(0, 6), 0);
    let expected = Pb::new().int(number(0, 0), 1).int(first, 0);
    assert_eq!(canonical(layout, &input.0).unwrap(), expected.0);
    let input = Pb::new()
        .int(last, 0)
        .int(number(0, 1), 2)
        .int(number(0, 1), 0);
    assert_eq!(
        canonical(layout, &input.0).unwrap(),
        Pb::new().int(last, 0).0
    );
}

#[test]
fn a_reset_field_keeps_an_empty_message_at_the_very_start() {
    check(
        &Pb::new().int(1, 5).message(3, &Pb::new()).int(1, 0),
        &Pb::new().message(3, &Pb::new()),
    );
}

#[test]
fn descending_fields_are_sorted() {
    let inner = Pb::new().bytes(2, b"n").int(1, 4);
    let ordered = Pb::new().int(1, 4).bytes(2, b"n");
    check(
        &Pb::new()
            .bytes(8, &[7])
            .message(4, &inner)
            .message(3, &inner)
            .bytes(2, b"x")
            .int(1, 1),
        &Pb::new()
            .int(1, 1)
            .bytes(2, b"x")
            .message(3, &ordered)
            .message(4, &ordered)
            .bytes(8, &[7]),
    );
}

#[test]
fn messages_merge() {
    let first = Pb::new()
        .int(1, 1)
        .bytes(2, b"a")
        .int(8, 1)
        .message(4, &Pb::new().int(1, 8));
    let second = Pb::new().int(1, 2).bytes(8, &[2, 3]).message(4, &Pb::new());
    let third = Pb::new().int(50, 1).message(3, &Pb::new().int(1, 9));
    let fourth = Pb::new()
        .int(51, 2)
        .message(3, &Pb::new().bytes(2, b"deep"));
    let merged = Pb::new()
        .int(1, 2)
        .bytes(2, b"a")
        .message(3, &Pb::new().int(1, 9).bytes(2, b"deep"))
        .message(4, &Pb::new().int(1, 8))
        .message(4, &Pb::new())
        .bytes(8, &[1, 2, 3])
        .int(50, 1)
        .int(51, 2);
    let pieces = [&first, &second, &third, &fourth];
    let input = pieces
        .into_iter()
        .fold(Pb::new(), |input, piece| input.message(3, piece));
    check(&input, &Pb::new().message(3, &merged));
    let input = pieces
        .into_iter()
        .fold(Pb::new(), |input, piece| input.message(3, piece).int(1, 3));
    check(&input, &Pb::new().int(1, 3).message(3, &merged));
    // In a oneof the same holds, as long as no other arm comes between.
    let input = pieces
        .into_iter()
        .fold(Pb::new(), |input, piece| input.message(7, piece));
    check(&input, &Pb::new().message(7, &merged));
}

#[test]
fn the_last_arm_wins() {
    let (one, two) = (Pb::new().int(1, 1), Pb::new().bytes(2, b"two"));
    check(
        &Pb::new().message(7, &one).bytes(6, b"x"),
        &Pb::new().bytes(6, b"x"),
    );
    check(
        &Pb::new().bytes(6, b"x").message(7, &one),
        &Pb::new().message(7, &one),
    );
    check(
        &Pb::new().message(7, &one).bytes(6, b"x").message(7, &two),
        &Pb::new().message(7, &two),
    );
    check(
        &Pb::new().bytes(6, b"x").bytes(6, b""),
        &Pb::new().bytes(6, b""),
    );
    let layout = all_kinds();
    let input = Pb::new()
        .int(number(3, 0), 1)
        .int(number(3, 6), 9)
        .int(number(3, 0), 0);
    assert_eq!(
        canonical(layout, &input.0).unwrap(),
        Pb::new().int(number(3, 0), 0).0
    );
}

#[test]
fn lists_append_in_any_form() {
    let element = Pb::new().int(1, 1);
    check(
        &Pb::new()
            .int(8, 1)
            .message(4, &element)
            .bytes(8, &[2, 3])
            .bytes(8, &[])
            .message(4, &Pb::new())
            .int(8, 4),
        &Pb::new()
            .message(4, &element)
            .message(4, &Pb::new())
            .bytes(8, &[1, 2, 3, 4]),
    );
    check(&Pb::new().bytes(8, &[]), &Pb::new());
}

#[test]
fn map_entries_sort_and_the_last_wins() {
    let entry = |key: &[u8], id| Pb::new().bytes(1, key).message(2, &Pb::new().int(1, id));
    check(
        &Pb::new()
            .message(5, &entry(b"b", 1))
            .message(5, &entry(b"a", 2))
            .bytes(2, b"between")
            .message(5, &entry(b"b", 3))
            .message(5, &Pb::new()),
        &Pb::new()
            .bytes(2, b"between")
            .message(5, &Pb::new().bytes(1, b"").message(2, &Pb::new()))
            .message(5, &entry(b"a", 2))
            .message(5, &entry(b"b", 3)),
    );
    // Within one entry the usual rules hold; fields that an entry does not have are dropped.
    check(
        &Pb::new().message(
            5,
            &Pb::new()
                .message(2, &Pb::new().int(1, 1))
                .bytes(1, b"x")
                .int(9, 9)
                .message(2, &Pb::new().bytes(2, b"n"))
                .bytes(1, b"k"),
        ),
        &Pb::new().message(
            5,
            &Pb::new()
                .bytes(1, b"k")
                .message(2, &Pb::new().int(1, 1).bytes(2, b"n")),
        ),
    );
}

#[test]
fn map_keys_order_by_value() {
    let layout = all_kinds();
    let field = number(4, 1);
    let entry = |key: i64| Pb::new().int(1, key as u64).int(2, 1);
    let all = |keys: &[i64]| {
        keys.iter()
            .fold(Pb::new(), |all, key| all.message(field, &entry(*key)))
    };
    let input = all(&[3, -1, 0, i64::from(i32::MIN), i64::from(i32::MAX), -1]);
    let expected = all(&[i64::from(i32::MIN), -1, 0, 3, i64::from(i32::MAX)]);
    assert_eq!(canonical(layout, &input.0).unwrap(), expected.0);
}

/// Counts how often bytes are read by how much work a message of a size makes; what matters is
/// that the hostile orders below end at all, as exponential work never would.
#[test]
fn hostile_orders_end() {
    // Each level is out of order at its very end.
    let chain = (1..100).fold(Pb::new().int(1, 1), |inner, level| {
        let tail = if level % 2 == 0 {
            Pb::new().bytes(2, b"x")
        } else {
            Pb::new().int(9, 9)
        };
        Pb::new().message(3, &inner).raw(&tail.0).bytes(2, b"y")
    });
    assert!(canonical(node(), &chain.0).is_ok());
    let twice = (1..100).fold(Pb::new(), |inner, _| {
        Pb::new().message(3, &inner).message(3, &Pb::new())
    });
    assert!(canonical(node(), &twice.0).is_ok());
    let alternating =
        (0..100_000).fold(Pb::new(), |input, _| input.int(8, 1).message(4, &Pb::new()));
    assert!(canonical(node(), &alternating.0).is_ok());
    let arms = (0..100_000).fold(Pb::new(), |input, _| input.bytes(6, b"").bytes(7, b""));
    assert_eq!(
        canonical(node(), &arms.0).unwrap(),
        Pb::new().bytes(7, b"").0
    );
    let entries = (0..100_000).fold(Pb::new(), |input, _| input.bytes(5, b"").int(1, 1));
    assert!(canonical(node(), &entries.0).is_ok());
    let singles = (0..100_000).fold(Pb::new(), |input, _| input.bytes(3, b"").bytes(7, b""));
    assert!(canonical(node(), &singles.0).is_ok());
    let unknown = (1..100).fold(Pb::new().bytes(2, &[b'x'; 100_000]), |inner, _| {
        Pb::new().message(3, &inner).int(77, 7)
    });
    assert_eq!(canonical(node(), &unknown.0).unwrap(), unknown.0);
}
