//! Messages drawn from a string of bytes, for property tests and fuzzing alike.

use bytes::Bytes;

use crate::card::Card;
use crate::sample::{Color, Leaf, Sample, other::Place, sample::Choice};

/// A finite supply of decisions; once used up, every decision is nought.
pub struct Dice<'a> {
    left: &'a [u8],
}

impl<'a> Dice<'a> {
    /// Dice that roll these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.left.split_first() else {
            return 0;
        };
        self.left = rest;
        *first
    }

    /// Whether bytes are left.
    pub fn is_used_up(&self) -> bool {
        self.left.is_empty()
    }

    /// Eight bytes, often few of them set.
    pub fn wide(&mut self) -> u64 {
        let shift = u32::from(self.byte() % 64);
        let mut bytes = [0; 8];
        bytes.fill_with(|| self.byte());
        u64::from_le_bytes(bytes) >> shift
    }

    fn few(&mut self) -> usize {
        usize::from(self.byte() % 8).saturating_sub(3)
    }

    fn text(&mut self) -> String {
        (0..self.byte() % 9)
            .map(|_| char::from(self.byte()))
            .collect()
    }

    fn bytes(&mut self) -> Bytes {
        (0..self.byte() % 9).map(|_| self.byte()).collect()
    }

    fn many<T>(&mut self, mut draw: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.few()).map(|_| draw(self)).collect()
    }

    fn maybe<T>(&mut self, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.byte() & 1 == 1).then(|| draw(self))
    }

    fn float(&mut self) -> f64 {
        // A NaN is not equal to itself, which would spoil comparisons; it has a test of its own.
        let value = f64::from_bits(self.wide());
        if value.is_nan() { -0.0 } else { value }
    }

    fn small_float(&mut self) -> f32 {
        let value = f32::from_bits(self.wide() as u32);
        if value.is_nan() { -0.0 } else { value }
    }

    fn color(&mut self) -> Color {
        Color(self.wide() as i32)
    }

    /// Raw protobuf fields that no schema here knows.
    fn unknown(&mut self) -> dreammesh_wire::UnknownFields {
        dreammesh_wire::UnknownFields::from_raw(self.maybe(Self::bytes).unwrap_or_default())
    }

    /// A leaf, sometimes with further ones below.
    pub fn leaf(&mut self) -> Leaf {
        Leaf {
            id: self.wide() as i32,
            name: self.text(),
            next: if self.byte() % 4 == 3 {
                Some(Box::new(self.leaf()))
            } else {
                None
            },
            unknown_fields: self.unknown(),
        }
    }

    fn choice(&mut self) -> Option<Choice> {
        Some(match self.byte() % 8 {
            1 => Choice::CInt32(self.wide() as i32),
            2 => Choice::CString(self.text()),
            3 => Choice::CColor(self.color()),
            4 => Choice::CLeaf(self.leaf()),
            5 => Choice::CBytes(self.bytes()),
            6 => Choice::CBool(self.byte() & 1 == 1),
            _ => return None,
        })
    }

    fn place(&mut self) -> Place {
        Place {
            lat: self.float(),
            lon: self.float(),
            unknown_fields: self.unknown(),
        }
    }

    /// A message of text, bytes and a number.
    pub fn card(&mut self) -> Card {
        Card {
            name: self.text(),
            id: self.wide() as u32,
            key: self.bytes(),
            note: self.maybe(Self::text),
            unknown_fields: self.unknown(),
        }
    }

    /// A message of every kind of field.
    pub fn sample(&mut self) -> Sample {
        let mut value = Sample::default();
        self.scalars(&mut value);
        self.optionals(&mut value);
        value.leaf = self.maybe(Self::leaf);
        value.r_bool = self.many(|dice| dice.byte() & 1 == 1);
        value.r_int32 = self.many(|dice| dice.wide() as i32);
        value.r_uint64 = self.many(Self::wide);
        value.r_float = self.many(Self::small_float);
        value.r_double = self.many(Self::float);
        value.r_string = self.many(Self::text);
        value.r_bytes = self.many(Self::bytes);
        value.r_color = self.many(Self::color);
        value.r_leaf = self.many(Self::leaf);
        value.m_string = self
            .many(|dice| (dice.text(), dice.text()))
            .into_iter()
            .collect();
        value.m_int32 = self
            .many(|dice| (dice.wide() as i32, dice.wide() as i64))
            .into_iter()
            .collect();
        value.m_bool = self
            .many(|dice| (dice.byte() & 1 == 1, dice.color()))
            .into_iter()
            .collect();
        value.m_leaf = self
            .many(|dice| (dice.text(), dice.leaf()))
            .into_iter()
            .collect();
        value.m_uint64 = self
            .many(|dice| (dice.wide(), dice.bytes()))
            .into_iter()
            .collect();
        value.choice = self.choice();
        value.place = self.maybe(Self::place);
        value.late = self.maybe(|dice| dice.wide() as i32);
        value.unknown_fields = self.unknown();
        value
    }

    fn scalars(&mut self, value: &mut Sample) {
        value.f_bool = self.byte() & 1 == 1;
        value.f_int32 = self.wide() as i32;
        value.f_sint32 = self.wide() as i32;
        value.f_sfixed32 = self.wide() as i32;
        value.f_uint32 = self.wide() as u32;
        value.f_fixed32 = self.wide() as u32;
        value.f_int64 = self.wide() as i64;
        value.f_sint64 = self.wide() as i64;
        value.f_sfixed64 = self.wide() as i64;
        value.f_uint64 = self.wide();
        value.f_fixed64 = self.wide();
        value.f_float = self.small_float();
        value.f_double = self.float();
        value.f_string = self.text();
        value.f_bytes = self.bytes();
        value.f_color = self.color();
    }

    fn optionals(&mut self, value: &mut Sample) {
        value.o_bool = self.maybe(|dice| dice.byte() & 1 == 1);
        value.o_int32 = self.maybe(|dice| dice.wide() as i32);
        value.o_uint32 = self.maybe(|dice| dice.wide() as u32);
        value.o_int64 = self.maybe(|dice| dice.wide() as i64);
        value.o_uint64 = self.maybe(Self::wide);
        value.o_float = self.maybe(Self::small_float);
        value.o_double = self.maybe(Self::float);
        value.o_color = self.maybe(Self::color);
        value.o_string = self.maybe(Self::text);
        value.o_bytes = self.maybe(Self::bytes);
    }
}
