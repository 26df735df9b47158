//! Tables that refer to nothing but text and bytes, as most small messages and list elements do.

use super::{Root, UNKNOWN_FLAG, is_utf8};
use crate::layout::{Kind, Layout, REF_SIZE, Shape};
use crate::limits::Limits;

/// The slots of such a table, ascending.
#[derive(Debug)]
pub(crate) struct Texts {
    /// Offset, and whether it must be UTF-8.
    slots: [(u32, bool); Self::SLOTS],
    /// `len <= SLOTS`
    len: usize,
}

impl Texts {
    /// Few enough to be gathered anew for each list.
    const SLOTS: usize = 6;

    const NONE: Self = Self {
        slots: [(0, false); Self::SLOTS],
        len: 0,
    };

    /// The slots recorded in a table of this size word, if they are all of the table's references.
    pub(super) fn of(layout: &'static Layout, size: u32) -> Option<Self> {
        // A size word with the flag is greater than any slot's end, so it is told apart here.
        if size & UNKNOWN_FLAG != 0 || layout.fields.len() > u64::BITS as usize {
            return None;
        }
        let mut texts = Self::NONE;
        let mut followed = layout.followed();
        while followed != 0 {
            let index = followed.trailing_zeros() as usize;
            let field = &layout.fields[index];
            if u64::from(field.offset) + u64::from(field.slot_size()) > u64::from(size) {
                break;
            }
            if !texts.push(layout, index) {
                return None;
            }
            followed &= followed - 1;
        }
        Some(texts)
    }

    /// All slots of the layout that refer to something, if they are few and such.
    pub(crate) const fn all(layout: &Layout) -> Option<Self> {
        let mut texts = Self::NONE;
        let mut index = 0;
        while index < layout.fields.len() {
            if layout.is_followed(index) && !texts.push(layout, index) {
                return None;
            }
            index += 1;
        }
        Some(texts)
    }

    /// Takes in a field that is followed; whether it is text or bytes and there was room.
    const fn push(&mut self, layout: &Layout, index: usize) -> bool {
        let field = &layout.fields[index];
        let utf8 = match (field.shape, &field.kind) {
            (Shape::Plain | Shape::Nullable, Kind::String) => true,
            (Shape::Plain | Shape::Nullable, Kind::Bytes) => false,
            _ => return false,
        };
        let has_room = self.len < Self::SLOTS;
        if has_room {
            self.slots[self.len] = (field.offset, utf8);
            self.len += 1;
        }
        has_room
    }

    #[inline(always)]
    pub(super) fn slots(&self) -> &[(u32, bool)] {
        &self.slots[..self.len]
    }
}

/// Accepts an archive whose root has these slots and no unknown fields.
///
/// Nothing means that it takes the general validator to tell: it accepts all that is accepted
/// here, by the same rules, and says why where it does not.
#[inline(always)]
pub(crate) fn accept(texts: &Texts, archive: &[u8], limits: &Limits) -> Option<Root> {
    let limit = archive.len().checked_sub(REF_SIZE as usize)?;
    if archive.len() > limits.bytes() || limits.depth() == 0 {
        return None;
    }
    // A null reference leads behind itself, and a size word with the flag passes every limit.
    let (body, size) = reference(archive, limit)?;
    if body > limit || size > limit - body {
        return None;
    }
    let mut cursor = 0;
    for (offset, utf8) in texts.slots() {
        let offset = *offset as usize;
        if offset + REF_SIZE as usize > size {
            break;
        }
        let (start, len) = match reference(archive, body + offset)? {
            (start, 0) if start == body + offset + 4 => continue,
            reference => reference,
        };
        if start < cursor || start > body || len > body - start {
            return None;
        }
        cursor = start + len;
        if *utf8 && !is_utf8(archive.get(start..cursor)?) {
            return None;
        }
    }
    Some(Root::new(body, size))
}

/// Where the reference at `at` leads, and its length word.
#[inline(always)]
fn reference(archive: &[u8], at: usize) -> Option<(usize, usize)> {
    let both = u64::from_le_bytes(*archive.get(at..)?.first_chunk()?);
    let back = both as u32 as usize;
    Some(((at + 4).wrapping_sub(back), (both >> 32) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Label, Sample};
    use crate::validate::root;
    use crate::{Value, dynamic};

    fn layout() -> &'static Layout {
        Sample::new("flat.v1.Flat")
            .field(1, "a", Kind::String, Label::Plain)
            .field(2, "n", Kind::Uint32, Label::Plain)
            .field(3, "b", Kind::Bytes, Label::Optional)
            .field(4, "c", Kind::String, Label::Plain)
            .leak()
    }

    fn archive(fill: &[(usize, Value<'_>)], unknown: &[u8]) -> Vec<u8> {
        let built = dynamic::build(layout(), &Limits::default(), |table| {
            table.unknown_fields(unknown)?;
            fill.iter()
                .try_for_each(|(at, value)| table.set(*at, *value))
        });
        built.unwrap().into_vec()
    }

    /// What both make of an archive: whether it was accepted here.
    fn check(archive: &[u8], limits: &Limits) -> bool {
        let accepted = accept(&Texts::all(layout()).unwrap(), archive, limits);
        let general = root(layout(), archive, limits);
        if let Some(accepted) = accepted {
            assert_eq!(general.map(|root| root.0), Ok(accepted.0), "{archive:?}");
        }
        accepted.is_some()
    }

    #[test]
    fn what_the_writer_makes_is_accepted_at_once_unless_it_holds_unknown_fields() {
        let fields = [
            (0, Value::Str("one")),
            (1, Value::U32(7)),
            (2, Value::Bytes(&[0xff; 40])),
            (
                3,
                Value::Str("\u{2013}, of which each is three bytes, \u{2013}"),
            ),
        ];
        for chosen in 0..16 {
            let fill: Vec<_> = (0..4).filter(|at| chosen >> at & 1 == 1).collect();
            let fill: Vec<_> = fill.into_iter().map(|at: usize| fields[at]).collect();
            let limits = Limits::default();
            assert!(check(&archive(&fill, &[]), &limits));
            let unknown = archive(&fill, &[0x78, 1]);
            assert!(!check(&unknown, &limits) && root(layout(), &unknown, &limits).is_ok());
        }
    }

    #[test]
    fn nothing_is_accepted_that_the_general_validator_refuses() {
        let whole = archive(
            &[
                (0, Value::Str("ab")),
                (1, Value::U32(0x0101_0101)),
                (2, Value::Bytes(b"")),
                (3, Value::Str("cde")),
            ],
            &[],
        );
        let limits = Limits::default();
        for at in 0..whole.len() {
            for byte in 0..=255 {
                let mut broken = whole.clone();
                broken[at] = byte;
                check(&broken, &limits);
                check(&broken[at..], &limits);
            }
        }
    }

    #[test]
    fn the_limits_hold() {
        let whole = archive(&[(0, Value::Str("ab"))], &[]);
        let exact = Limits::default()
            .with_max_bytes(whole.len())
            .with_max_depth(1);
        assert!(check(&whole, &exact));
        assert!(!check(&whole, &exact.with_max_bytes(whole.len() - 1)));
        assert!(!check(&whole, &exact.with_max_depth(0)));
    }

    #[test]
    fn only_few_text_and_bytes_are_flat() {
        let many = |count: u32, kind: Kind, label: Label| {
            let names = ["a", "b", "c", "d", "e", "f", "g"];
            let sample = (1..=count).fold(Sample::new("flat.v1.Many"), |sample, number| {
                sample.field(number, names[number as usize - 1], kind, label)
            });
            Texts::all(sample.leak()).is_some()
        };
        assert!(many(0, Kind::String, Label::Plain));
        assert!(many(6, Kind::String, Label::Plain));
        assert!(!many(7, Kind::String, Label::Plain));
        assert!(many(7, Kind::Uint32, Label::Optional));
        assert!(!many(1, Kind::Uint32, Label::Repeated));
        assert!(!many(1, Kind::String, Label::Repeated));
        assert!(!many(1, Kind::Message(layout()), Label::Plain));
        assert!(!many(1, Kind::String, Label::Arm("arm")));
    }
}
