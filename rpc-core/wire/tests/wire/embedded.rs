//! Messages inside of rkyv archives.

use core::num::NonZeroUsize;

use dreammesh_wire::archived::ArchivedMessage;
use dreammesh_wire::rkyv::Serialize;
use dreammesh_wire::rkyv::api::{access_with_context, serialize_using};
use dreammesh_wire::rkyv::rancor::{Error, Strategy};
use dreammesh_wire::rkyv::ser::writer::Buffer;
use dreammesh_wire::rkyv::validation::archive::ArchiveValidator;
use dreammesh_wire::{Limits, archive_message};

use crate::dice::Dice;
use crate::sample::{Leaf, Sample};

archive_message!(Sample => Sample);
archive_message!(Leaf => Leaf);

/// What rkyv's writer makes of a value.
fn archive<T>(value: &T) -> Vec<u8>
where
    T: for<'a> Serialize<Strategy<Buffer<'a>, Error>>,
{
    let mut space = vec![0; 1 << 20];
    let mut buffer = Buffer::from(space.as_mut_slice());
    serialize_using::<_, Error>(value, &mut buffer).unwrap();
    let len = buffer.len();
    space.truncate(len);
    space
}

fn check(bytes: &[u8], depth: usize) -> Result<&ArchivedMessage<Sample>, Error> {
    let mut context = ArchiveValidator::with_max_depth(bytes, NonZeroUsize::new(depth));
    access_with_context::<ArchivedMessage<Sample>, _, Error>(bytes, &mut context)
}

#[test]
fn rkyv_writes_and_checks_what_the_validator_accepts() {
    for seed in 0..50_u32 {
        let bytes: Vec<u8> = (0..1500_u32)
            .map(|at| (at.wrapping_mul(seed).wrapping_mul(2_654_435_761) >> 19) as u8)
            .collect();
        let value = Dice::new(&bytes).sample();
        let archived = archive(&value);
        let message = check(&archived, 100).unwrap();
        let table = message.table(&archived, &Limits::default()).unwrap();
        let again = <Sample as dreammesh_wire::Message>::view(table).into_owned();
        assert_eq!(again, value, "seed {seed}");
        assert!(message.table(&[0; 64], &Limits::default()).is_err());
        for at in 0..archived.len() {
            let mut broken = archived.clone();
            broken[at] ^= 1 << (seed % 8);
            let accepted = dreammesh_wire::Msg::<Sample>::from_archive(
                broken.clone().into(),
                &Limits::default(),
            );
            assert_eq!(
                check(&broken, 1000).is_ok(),
                accepted.is_ok(),
                "seed {seed} byte {at}"
            );
        }
    }
}

#[test]
fn rkyvs_depth_limit_is_obeyed() {
    let leaf = (0..20).fold(Leaf::default(), |next, _| Leaf {
        next: Some(Box::new(next)),
        ..Leaf::default()
    });
    let archived = archive(&Sample {
        leaf: Some(leaf),
        ..Sample::default()
    });
    assert!(check(&archived, 100).is_ok());
    assert!(check(&archived, 10).is_err());
}
