//! Lists: elements gathered aside until the list ends, scalars written straight to the output.

use crate::layout::{Field, Kind, Shape, UNKNOWN_FLAG};
use crate::protobuf::reader::{Reader, WireType};
use crate::protobuf::wire_type_of;

use super::body::{Body, UNKNOWN_BYTES, relocate};
use super::{Decoder, Fault, Frame, reference, scalar};

/// A list or map that is being gathered; closed when another field with children comes.
///
/// Scalars go straight to the output from `first` on. Strings and bytes wait in `elements` as
/// place and length. Tables wait in `elements` too, each as its size word, its unknown fields'
/// place and length where the size word is flagged, and its body. Maps wait in `entries`.
pub(super) struct OpenList {
    pub(super) field: &'static Field,
    /// Where its part of each stack begins.
    pub(super) elements: usize,
    pub(super) entries: usize,
    links: usize,
    /// Where a list of scalars begins in the output.
    first: usize,
    pub(super) count: usize,
    /// The largest size of an element.
    end: usize,
    /// Whether any element has unknown fields.
    unknown: bool,
    /// What the list will add to the output; counted in the decoder's `pending`.
    total: usize,
}

impl OpenList {
    #[inline]
    pub(super) fn offset(&self) -> u32 {
        self.field.offset
    }

    fn prefix(&self) -> usize {
        if self.unknown { UNKNOWN_BYTES } else { 0 }
    }

    fn stride(&self) -> usize {
        self.prefix() + self.end.max(1)
    }
}

impl<'a> Decoder<'a> {
    #[inline]
    pub(super) fn open_list<'f>(
        &mut self,
        frame: &'f mut Frame,
        field: &'static Field,
    ) -> Result<&'f mut OpenList, Fault> {
        if frame.open.is_none() {
            let mut first = self.out.len();
            if field.shape == Shape::List && field.kind.is_scalar() && field.kind.size() > 1 {
                // Lists of scalars are aligned so that they can be borrowed as slices.
                first = self.out.len().next_multiple_of(LIST_ALIGNMENT);
                self.reserve(first - self.out.len())?;
                self.out.resize(first, 0);
            }
            frame.open = Some(OpenList {
                field,
                elements: self.elements.len(),
                entries: self.entries.len(),
                links: self.links.len(),
                first,
                count: 0,
                end: 0,
                unknown: false,
                total: 0,
            });
        }
        Ok(frame.open.as_mut().expect("it was opened just now"))
    }

    /// Adds one element.
    #[inline]
    pub(super) fn push_element(
        &mut self,
        frame: &mut Frame,
        field: &'static Field,
        reader: &mut Reader<'a>,
    ) -> Result<(), Fault> {
        let depth = frame.depth + 1;
        let open = self.open_list(frame, field)?;
        match field.kind {
            Kind::Message(layout) => {
                let span = self.delimited(reader)?;
                let body = self.table(layout, span, depth)?;
                self.push_table(open, body)
            }
            Kind::String | Kind::Bytes => {
                self.grow_list(open, 8, false)?;
                let span = self.delimited(reader)?;
                let (target, size) = self.place_blob(&field.kind, span)?;
                self.elements.extend_from_slice(&target.to_le_bytes());
                self.elements.extend_from_slice(&size.to_le_bytes());
                Ok(())
            }
            _ => {
                let size = field.kind.size() as usize;
                self.reserve(size)?;
                let value = scalar::read(reader, &field.kind)?;
                self.out.extend_from_slice(&value.to_le_bytes()[..size]);
                open.count += 1;
                Ok(())
            }
        }
    }

    /// Adds the scalars of one packed occurrence.
    pub(super) fn push_packed(
        &mut self,
        frame: &mut Frame,
        field: &'static Field,
        reader: &mut Reader<'a>,
    ) -> Result<(), Fault> {
        let open = self.open_list(frame, field)?;
        let span = self.delimited(reader)?;
        let bytes = self.bytes(span);
        let size = field.kind.size() as usize;
        let mut values = self.reader(span);
        if wire_type_of(&field.kind) != WireType::Varint {
            if !bytes.len().is_multiple_of(size) {
                return Err(values
                    .malformed("a packed list ends in the middle of a value")
                    .into());
            }
            self.reserve(bytes.len())?;
            self.out.extend_from_slice(bytes);
            open.count += bytes.len() / size;
            return Ok(());
        }
        // Each varint has one byte without the continuation bit, so counting needs no decoding.
        let count = bytes.iter().filter(|byte| **byte < 0x80).count();
        self.reserve(count.saturating_mul(size))?;
        self.out.reserve(count * size);
        while !values.is_empty() {
            let value = scalar::from_varint(&field.kind, values.varint()?);
            self.out.extend_from_slice(&value.to_le_bytes()[..size]);
        }
        open.count += count;
        Ok(())
    }

    /// Counts one more element of `size` bytes, if the limit allows the list that results.
    #[inline]
    fn grow_list(&mut self, open: &mut OpenList, size: usize, unknown: bool) -> Result<(), Fault> {
        open.count += 1;
        open.end = open.end.max(size);
        open.unknown |= unknown;
        let total = open.count.saturating_mul(open.stride());
        self.reserve(total - open.total)?;
        self.pending += total - open.total;
        open.total = total;
        Ok(())
    }

    /// Turns the body on top of `bodies` into an element.
    #[inline]
    fn push_table(&mut self, open: &mut OpenList, body: Body) -> Result<(), Fault> {
        let size = self.bodies.len() - body.start;
        let unknown = body.unknown.1 > 0;
        self.grow_list(open, size, unknown)?;
        let flag = if unknown { UNKNOWN_FLAG } else { 0 };
        self.elements
            .extend_from_slice(&(size as u32 | flag).to_le_bytes());
        if unknown {
            self.elements
                .extend_from_slice(&body.unknown.0.to_le_bytes());
            self.elements
                .extend_from_slice(&body.unknown.1.to_le_bytes());
        }
        let start = self.elements.len();
        self.elements.extend_from_slice(&self.bodies[body.start..]);
        for link in &mut self.links[body.links..] {
            *link = (start + (*link as usize - body.start)) as u32;
        }
        self.bodies.truncate(body.start);
        Ok(())
    }

    /// Writes the open list to the output and refers to it from the table's body.
    pub(super) fn close_list(&mut self, frame: &mut Frame) -> Result<(), Fault> {
        let Some(open) = frame.open.take() else {
            return Ok(());
        };
        let field = open.field;
        if matches!(field.shape, Shape::Map(_)) {
            return self.close_map(frame, open);
        }
        if open.count == 0 {
            return Ok(());
        }
        self.pending -= open.total;
        let (first, stride, end) = match field.kind {
            Kind::Message(_) => {
                let first = self.place_tables(&open);
                let flag = if open.unknown { UNKNOWN_FLAG } else { 0 };
                (first, open.stride(), open.end as u32 | flag)
            }
            Kind::String | Kind::Bytes => {
                let first = self.out.len();
                for element in self.elements[open.elements..].chunks_exact(8) {
                    let at = self.out.len();
                    self.out
                        .extend_from_slice(&reference(at, word(element), word(&element[4..])));
                }
                (first, 8, 8)
            }
            _ => (open.first, field.kind.size() as usize, field.kind.size()),
        };
        self.elements.truncate(open.elements);
        self.links.truncate(open.links);
        self.link_list(frame, field, first, open.count, stride, end);
        Ok(())
    }

    pub(super) fn link_list(
        &mut self,
        frame: &mut Frame,
        field: &Field,
        first: usize,
        count: usize,
        stride: usize,
        end: u32,
    ) {
        let tail = self.slot::<8>(frame, field.offset + 8);
        tail[..4].copy_from_slice(&(stride as u32).to_le_bytes());
        tail[4..].copy_from_slice(&end.to_le_bytes());
        self.link(frame, field.offset, first as u32, count as u32);
    }

    /// Writes gathered tables side by side, all with the stride of the largest.
    fn place_tables(&mut self, open: &OpenList) -> usize {
        let (prefix, stride) = (open.prefix(), open.stride());
        let first = self.out.len() + prefix;
        self.out.resize(self.out.len() + open.total, 0);
        let mut links = self.links[open.links..].iter().peekable();
        let mut from = open.elements;
        for index in 0..open.count {
            let to = first + index * stride;
            let size_word = word(&self.elements[from..]);
            from += 4;
            if size_word & UNKNOWN_FLAG != 0 {
                let (target, size) = (
                    word(&self.elements[from..]),
                    word(&self.elements[from + 4..]),
                );
                self.out[to - UNKNOWN_BYTES..to].copy_from_slice(&reference(
                    to - UNKNOWN_BYTES,
                    target,
                    size,
                ));
                from += UNKNOWN_BYTES;
            }
            let end = from + (size_word & !UNKNOWN_FLAG) as usize;
            self.out[to..to + (end - from)].copy_from_slice(&self.elements[from..end]);
            while let Some(link) = links.next_if(|link| (**link as usize) < end) {
                relocate(&mut self.out, to + (*link as usize - from));
            }
            from = end;
        }
        first
    }

    /// Forgets what an open list has gathered.
    pub(super) fn drop_list(&mut self, open: OpenList) {
        self.pending -= open.total;
        self.elements.truncate(open.elements);
        self.entries.truncate(open.entries);
    }
}

#[inline]
pub(super) fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(*bytes.first_chunk().expect("gathered elements are whole"))
}

/// The alignment of lists of scalars within the archive.
pub(super) const LIST_ALIGNMENT: usize = 8;
