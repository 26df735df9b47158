//! What is written is what is read.

use bytes::Bytes;
use dreammesh_wire::{Encoded, Limits, Msg};

use crate::card::{self, Card};
use crate::dice::Dice;
use crate::sample::{Leaf, Sample};
use crate::walk::walk;

#[test]
fn an_empty_message_is_its_root_reference() {
    let encoded = Encoded::<Sample>::new(&Sample::default(), &Limits::default()).unwrap();
    assert_eq!(encoded.segment().len(), 8);
    let msg = Msg::<Sample>::try_from(encoded).unwrap();
    assert_eq!(msg.into_owned(), Sample::default());
}

#[test]
fn a_list_of_tables_keeps_what_each_holds() {
    let value = Sample {
        r_leaf: vec![
            Leaf::default(),
            Leaf {
                id: 7,
                ..Leaf::default()
            },
            Leaf {
                name: "x".into(),
                next: Some(Box::new(Leaf {
                    id: 9,
                    ..Leaf::default()
                })),
                ..Leaf::default()
            },
            Leaf::default(),
        ],
        ..Sample::default()
    };
    let encoded = Encoded::<Sample>::new(&value, &Limits::default()).unwrap();
    let msg = Msg::<Sample>::try_from(encoded).unwrap();
    assert_eq!(msg.into_owned(), value);
}

proptest::proptest! {
    #[test]
    fn both_validators_agree_on_a_card(
        seed in proptest::collection::vec(proptest::num::u8::ANY, 0..100),
        at: proptest::sample::Index,
        byte: u8,
    ) {
        let value = Dice::new(&seed).card();
        let limits = Limits::default();
        let mut archive = Encoded::<Card>::new(&value, &limits).unwrap().into_segment().into_vec();
        proptest::prop_assert_eq!(card::read(&Bytes::from(archive.clone()), &limits), Some(value));
        for len in 0..archive.len() {
            let _ = card::read(&Bytes::from(archive[..len].to_vec()), &limits);
        }
        let at = at.index(archive.len());
        for byte in [byte, 0, 0xff, archive[at] ^ 1, archive[at] ^ 0x80] {
            archive[at] = byte;
            let _ = card::read(&Bytes::from(archive.clone()), &limits);
        }
    }

    #[test]
    fn any_message_survives(seed in proptest::collection::vec(proptest::num::u8::ANY, 0..2000)) {
        let value = Dice::new(&seed).sample();
        let encoded = Encoded::<Sample>::new(&value, &Limits::default()).unwrap();
        let msg = Msg::<Sample>::try_from(encoded).unwrap();
        walk(&msg);
        proptest::prop_assert_eq!(msg.into_owned(), value);
    }
}
