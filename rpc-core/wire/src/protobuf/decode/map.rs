//! Maps: entries listed as they come, then sorted, the last of equal keys kept.

use core::cmp::Ordering;

use crate::layout::{Field, Kind, MapKey, Shape};
use crate::protobuf::reader::Reader;
use crate::protobuf::wire_type_of;

use super::body::Span;
use super::list::{OpenList, word};
use super::{Decoder, Fault, Frame, reference, scalar};

/// One occurrence of a map field.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// The key: a span of text, or a number as bits that order as the key type does.
    key: u64,
    /// The whole entry.
    span: Span,
}

/// The value of an entry, before its place in the archive is known.
enum MapValue {
    Scalar(u64),
    /// Place and length of what was written for it; null where it is an empty string.
    Placed(u32, u32),
}

impl<'a> Decoder<'a> {
    /// Lists one occurrence; values are read when the map closes.
    pub(super) fn push_entry(
        &mut self,
        frame: &mut Frame,
        field: &'static Field,
        reader: &mut Reader<'a>,
    ) -> Result<(), Fault> {
        let depth = frame.depth;
        let Shape::Map(key_type) = field.shape else {
            unreachable!("the field is a map")
        };
        let open = self.open_list(frame, field)?;
        let span = self.delimited(reader)?;
        let key = self.entry_key(key_type, span, depth)?;
        open.count += 1;
        self.entries.push(Entry { key, span });
        Ok(())
    }

    fn entry_key(&self, key_type: MapKey, span: Span, depth: u32) -> Result<u64, Fault> {
        let kind = key_type.kind();
        let mut reader = self.reader(span);
        let mut key = ordered(key_type, 0);
        while !reader.is_empty() {
            let (number, wire_type) = reader.tag()?;
            if number != KEY_NUMBER || wire_type != wire_type_of(&kind) {
                reader.skip(number, wire_type, depth, self.max_depth)?;
            } else if key_type == MapKey::String {
                let text = self.delimited(&mut reader)?;
                self.check_text(&kind, text)?;
                key = (text.start() as u64) << 32 | text.end() as u64;
            } else {
                key = ordered(key_type, scalar::read(&mut reader, &kind)?);
            }
        }
        Ok(key)
    }

    /// Sorts the entries, writes keys and values, then the list of entries itself.
    pub(super) fn close_map(&mut self, frame: &mut Frame, open: OpenList) -> Result<(), Fault> {
        let field = open.field;
        let Shape::Map(key_type) = field.shape else {
            unreachable!("the field is a map")
        };
        let count = self.sort_entries(key_type, open.entries);
        let stride = (key_type.kind().size() + field.kind.size()) as usize;
        let total = count.saturating_mul(stride);
        self.reserve(total)?;
        self.pending += total;
        for index in open.entries..self.entries.len() {
            let entry = self.entries[index];
            let next = self.entries.get(index + 1);
            if next.is_some_and(|next| self.compare(key_type, &entry, next).is_eq()) {
                self.drop_entry(field, entry, frame.depth)?;
            } else {
                self.place_entry(field, key_type, entry, frame.depth)?;
            }
        }
        self.entries.truncate(open.entries);
        self.pending -= total;
        let first = self.out.len();
        self.place_entries(field, key_type, open.elements);
        self.link_list(frame, field, first, count, stride, stride as u32);
        Ok(())
    }

    /// Sorts by key, then by occurrence; returns how many keys are different.
    fn sort_entries(&mut self, key_type: MapKey, from: usize) -> usize {
        let mut entries = core::mem::take(&mut self.entries);
        entries[from..].sort_unstable_by(|left, right| {
            self.compare(key_type, left, right)
                .then_with(|| left.span.start().cmp(&right.span.start()))
        });
        let changes = entries[from..]
            .windows(2)
            .filter(|pair| self.compare(key_type, &pair[0], &pair[1]).is_ne());
        let count = changes.count() + 1;
        self.entries = entries;
        count
    }

    #[inline]
    fn compare(&self, key_type: MapKey, left: &Entry, right: &Entry) -> Ordering {
        if key_type == MapKey::String {
            self.bytes(text_span(left.key))
                .cmp(self.bytes(text_span(right.key)))
        } else {
            left.key.cmp(&right.key)
        }
    }

    /// Reads an entry that a later one replaces, only to find out whether it is well-formed.
    fn drop_entry(&mut self, field: &Field, entry: Entry, depth: u32) -> Result<(), Fault> {
        let out = self.out.len();
        self.entry_value(field, entry.span, depth)?;
        self.out.truncate(out);
        Ok(())
    }

    /// Writes what key and value refer to, and gathers the entry itself in `elements`.
    fn place_entry(
        &mut self,
        field: &Field,
        key_type: MapKey,
        entry: Entry,
        depth: u32,
    ) -> Result<(), Fault> {
        let key_kind = key_type.kind();
        let key = if key_type == MapKey::String {
            let text = text_span(entry.key);
            let target = self.out.len();
            self.reserve(text.end() - text.start())?;
            self.out.extend_from_slice(self.bytes(text));
            MapValue::Placed(target as u32, (text.end() - text.start()) as u32)
        } else {
            MapValue::Scalar(unordered(key_type, entry.key))
        };
        let value = self.entry_value(field, entry.span, depth)?;
        self.gather(&key_kind, key);
        self.gather(&field.kind, value);
        Ok(())
    }

    fn gather(&mut self, kind: &Kind, value: MapValue) {
        match value {
            MapValue::Scalar(bits) => {
                self.elements
                    .extend_from_slice(&bits.to_le_bytes()[..kind.size() as usize]);
            }
            MapValue::Placed(target, size) => {
                self.elements.extend_from_slice(&target.to_le_bytes());
                self.elements.extend_from_slice(&size.to_le_bytes());
            }
        }
    }

    /// Writes the gathered entries, their references now relative.
    fn place_entries(&mut self, field: &Field, key_type: MapKey, from: usize) {
        let kinds = [key_type.kind(), field.kind];
        let mut at = from;
        while at < self.elements.len() {
            for kind in &kinds {
                let size = kind.size() as usize;
                let bytes = &self.elements[at..at + size];
                if kind.is_scalar() {
                    self.out.extend_from_slice(bytes);
                } else {
                    let place = self.out.len();
                    self.out
                        .extend_from_slice(&reference(place, word(bytes), word(&bytes[4..])));
                }
                at += size;
            }
        }
        self.elements.truncate(from);
    }

    /// Reads the value of an entry as a field that occurs any number of times.
    fn entry_value(&mut self, field: &Field, span: Span, depth: u32) -> Result<MapValue, Fault> {
        let mut reader = self.reader(span);
        let mut bits = 0;
        let mut last = Span::new(0, 0);
        let mut earlier = Vec::new();
        while !reader.is_empty() {
            let (number, wire_type) = reader.tag()?;
            if number != VALUE_NUMBER || wire_type != wire_type_of(&field.kind) {
                reader.skip(number, wire_type, depth, self.max_depth)?;
            } else if field.kind.is_scalar() {
                bits = scalar::read(&mut reader, &field.kind)?;
            } else {
                if !last.is_empty() && matches!(field.kind, Kind::Message(_)) {
                    earlier.push(last);
                }
                last = self.delimited(&mut reader)?;
                self.check_text(&field.kind, last)?;
            }
        }
        let (target, size) = match field.kind {
            Kind::Message(layout) => {
                earlier.push(last);
                let body = self.merged_table(layout, &earlier, depth + 1)?;
                self.place(body)?
            }
            Kind::String | Kind::Bytes => self.place_blob(&field.kind, last)?,
            _ => return Ok(MapValue::Scalar(bits)),
        };
        Ok(MapValue::Placed(target, size))
    }
}

/// Maps a key's bits so that unsigned comparison orders them as the key type does.
fn ordered(key_type: MapKey, bits: u64) -> u64 {
    match key_type {
        MapKey::Int32 | MapKey::Sint32 | MapKey::Sfixed32 => bits ^ SIGN_32,
        MapKey::Int64 | MapKey::Sint64 | MapKey::Sfixed64 => bits ^ SIGN_64,
        // The empty span, for entries without a key.
        MapKey::String => 0,
        _ => bits,
    }
}

/// Undoes [`ordered`].
fn unordered(key_type: MapKey, key: u64) -> u64 {
    ordered(key_type, key)
}

fn text_span(key: u64) -> Span {
    Span::new((key >> 32) as usize, key as u32 as usize)
}

const SIGN_32: u64 = 1 << 31;
const SIGN_64: u64 = 1 << 63;

/// An entry is a message of two fields, which protobuf numbers thus.
const KEY_NUMBER: u32 = 1;
const VALUE_NUMBER: u32 = 2;
