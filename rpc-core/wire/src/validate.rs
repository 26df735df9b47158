//! The validator: one pass over the field table, linear in the message, without allocation.
//!
//! Children lie in front of their parent, in field order, in disjoint ranges. So one cursor, the
//! end of the last value accepted, is all the state there is: each value must start at or behind
//! it and end in front of the body that refers to it. Bytes in between are never looked at.

use crate::error::WireError;
use crate::layout::{Class, Kind, Layout, MapKey, REF_SIZE, Shape, UNKNOWN_FLAG};
use crate::limits::Limits;

/// Validates a whole archive: where its root's body starts, and the root's size word.
pub(crate) fn root(
    layout: &'static Layout,
    archive: &[u8],
    limits: &Limits,
) -> Result<(u32, u32), WireError> {
    if archive.len() > limits.bytes() {
        return Err(WireError::TooLarge {
            max_bytes: limits.bytes(),
        });
    }
    let Some(at) = archive.len().checked_sub(REF_SIZE as usize) else {
        return Err(WireError::OutOfBounds);
    };
    let mut validator = Validator {
        archive,
        cursor: 0,
        max_depth: limits.depth(),
    };
    let Some(target) = validator.reference(at)? else {
        return Err(WireError::Malformed("the root is null"));
    };
    validator.table(layout, target, at, 1)?;
    // Both are below the archive's length, which is below 2 GiB.
    Ok((target.start as u32, target.len))
}

struct Validator<'a> {
    archive: &'a [u8],
    /// The end of the last value accepted; `cursor <= archive.len()`.
    cursor: usize,
    max_depth: u32,
}

/// Where a reference leads, not yet checked against anything.
#[derive(Clone, Copy)]
struct Reference {
    start: usize,
    /// The length word, flag included.
    len: u32,
}

impl Validator<'_> {
    #[inline(always)]
    fn word(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.archive[at..at + 4]);
        u32::from_le_bytes(bytes)
    }

    /// Reads the reference at `at`; nothing if it is null.
    #[inline(always)]
    fn reference(&self, at: usize) -> Result<Option<Reference>, WireError> {
        let (back, len) = (self.word(at) as usize, self.word(at + 4));
        if back == 0 {
            return if len == 0 {
                Ok(None)
            } else {
                Err(null_with_length())
            };
        }
        match (at + 4).checked_sub(back) {
            Some(start) => Ok(Some(Reference { start, len })),
            None => Err(WireError::OutOfBounds),
        }
    }

    /// Takes the bytes from `start` on, which must end at or in front of `limit`.
    #[inline(always)]
    fn claim(&mut self, start: usize, len: usize, limit: usize) -> Result<(), WireError> {
        if start < self.cursor {
            return Err(WireError::Overlap);
        }
        if start > limit || len > limit - start {
            return Err(WireError::OutOfBounds);
        }
        self.cursor = start + len;
        Ok(())
    }

    /// Checks a table and everything it refers to; it must end in front of `limit`.
    fn table(
        &mut self,
        layout: &'static Layout,
        target: Reference,
        limit: usize,
        depth: u32,
    ) -> Result<(), WireError> {
        let size = target.len & !UNKNOWN_FLAG;
        let prefix = if target.len == size { 0 } else { 8 };
        let Some(first) = target.start.checked_sub(prefix) else {
            return Err(WireError::OutOfBounds);
        };
        let cursor = self.cursor;
        self.claim(first, prefix + size as usize, limit)?;
        let end = core::mem::replace(&mut self.cursor, cursor);
        self.contents(layout, target.start, target.len, first, depth)?;
        self.cursor = end;
        Ok(())
    }

    /// Checks what the body at `start` refers to; all of it must end in front of `limit`.
    fn contents(
        &mut self,
        layout: &'static Layout,
        start: usize,
        size: u32,
        limit: usize,
        depth: u32,
    ) -> Result<(), WireError> {
        if depth > self.max_depth {
            return Err(WireError::TooDeep {
                max_depth: self.max_depth,
            });
        }
        if size & UNKNOWN_FLAG != 0 {
            self.text(start - 8, limit, false)?;
        }
        let size = size & !UNKNOWN_FLAG;
        for (index, field) in layout.fields.iter().enumerate() {
            if matches!(field.shape, Shape::Arm(_)) && !layout.opens_slot(index) {
                continue;
            }
            // Slots ascend, so nothing behind the first unrecorded one is recorded.
            if u64::from(field.offset) + u64::from(field.slot_size()) > u64::from(size) {
                break;
            }
            let at = start + field.offset as usize;
            match field.shape {
                Shape::Plain | Shape::Optional { .. } | Shape::Nullable => {
                    self.value(&field.kind, at, limit, depth)?;
                }
                Shape::List => self.list(&field.kind, at, limit, depth)?,
                Shape::Map(key) => self.map(key, &field.kind, at, limit, depth)?,
                Shape::Arm(index) => self.oneof(layout, index, at, limit, depth)?,
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn value(&mut self, kind: &Kind, at: usize, limit: usize, depth: u32) -> Result<(), WireError> {
        match kind {
            Kind::String => self.text(at, limit, true),
            Kind::Bytes => self.text(at, limit, false),
            Kind::Message(layout) => match self.reference(at)? {
                Some(target) => self.table(layout, target, limit, depth + 1),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    #[inline(always)]
    fn text(&mut self, at: usize, limit: usize, utf8: bool) -> Result<(), WireError> {
        let Some(Reference { start, len }) = self.reference(at)? else {
            return Ok(());
        };
        self.claim(start, len as usize, limit)?;
        if utf8 && core::str::from_utf8(&self.archive[start..start + len as usize]).is_err() {
            return Err(WireError::Utf8);
        }
        Ok(())
    }

    /// Reads a list or map slot and finds room for its strides in front of `limit`.
    fn strides(
        &self,
        at: usize,
        limit: usize,
        fixed: Option<u32>,
    ) -> Result<Option<Strides>, WireError> {
        let Some(Reference { start: first, len }) = self.reference(at)? else {
            return Ok(None);
        };
        let (stride, end_word) = (self.word(at + 8), self.word(at + 12));
        let end = end_word & !UNKNOWN_FLAG;
        let prefix = if end == end_word { 0 } else { 8 };
        match fixed {
            Some(size) if end_word != size => {
                return Err(WireError::Malformed("the elements are of another size"));
            }
            _ => {}
        }
        if stride == 0 || u64::from(stride) < u64::from(end) + prefix {
            return Err(WireError::Malformed(
                "the stride is shorter than an element",
            ));
        }
        let Some(start) = first.checked_sub(prefix as usize) else {
            return Err(WireError::OutOfBounds);
        };
        if start < self.cursor {
            return Err(WireError::Overlap);
        }
        let bytes = u64::from(len) * u64::from(stride);
        if start > limit || bytes > (limit - start) as u64 {
            return Err(WireError::OutOfBounds);
        }
        let end = start + bytes as usize;
        Ok(Some(Strides {
            start,
            first,
            len: len as usize,
            stride: stride as usize,
            end_word,
            end,
        }))
    }

    fn list(&mut self, kind: &Kind, at: usize, limit: usize, depth: u32) -> Result<(), WireError> {
        let fixed = match kind {
            Kind::Message(_) => None,
            other => Some(other.size()),
        };
        let Some(list) = self.strides(at, limit, fixed)? else {
            return Ok(());
        };
        match kind {
            Kind::Message(layout) => {
                if depth >= self.max_depth {
                    return Err(WireError::TooDeep {
                        max_depth: self.max_depth,
                    });
                }
                if list.end_word != 0 {
                    for index in 0..list.len {
                        let body = list.first + index * list.stride;
                        self.contents(layout, body, list.end_word, list.start, depth + 1)?;
                    }
                }
            }
            Kind::String | Kind::Bytes => {
                let utf8 = matches!(kind, Kind::String);
                for index in 0..list.len {
                    self.text(list.first + index * list.stride, list.start, utf8)?;
                }
            }
            _ => {}
        }
        self.cursor = list.end;
        Ok(())
    }

    fn map(
        &mut self,
        key: MapKey,
        kind: &Kind,
        at: usize,
        limit: usize,
        depth: u32,
    ) -> Result<(), WireError> {
        let key = key.kind();
        let fixed = key.size() + kind.size();
        let Some(entries) = self.strides(at, limit, Some(fixed))? else {
            return Ok(());
        };
        for index in 0..entries.len {
            let entry = entries.first + index * entries.stride;
            self.value(&key, entry, entries.start, depth)?;
            if index > 0 && !self.ascending(key.class(), entry - entries.stride, entry) {
                return Err(WireError::MapOrder);
            }
            self.value(kind, entry + key.size() as usize, entries.start, depth)?;
        }
        self.cursor = entries.end;
        Ok(())
    }

    /// Whether the key at `left` is smaller than the one at `right`, both already accepted.
    fn ascending(&self, class: Class, left: usize, right: usize) -> bool {
        match class {
            Class::Bool => self.archive[left] == 0 && self.archive[right] != 0,
            Class::I32 => self.word(left).cast_signed() < self.word(right).cast_signed(),
            Class::U32 => self.word(left) < self.word(right),
            Class::I64 => self.wide(left).cast_signed() < self.wide(right).cast_signed(),
            Class::U64 => self.wide(left) < self.wide(right),
            _ => self.key_text(left) < self.key_text(right),
        }
    }

    fn wide(&self, at: usize) -> u64 {
        u64::from(self.word(at)) | u64::from(self.word(at + 4)) << 32
    }

    fn key_text(&self, at: usize) -> &[u8] {
        match self.reference(at) {
            Ok(Some(Reference { start, len })) => &self.archive[start..start + len as usize],
            _ => &[],
        }
    }

    fn oneof(
        &mut self,
        layout: &'static Layout,
        oneof: u16,
        at: usize,
        limit: usize,
        depth: u32,
    ) -> Result<(), WireError> {
        let tag = self.word(at);
        // An arm that this schema does not know is reported as such and never followed.
        let Some(field) = layout.field(tag) else {
            return Ok(());
        };
        if field.shape != Shape::Arm(oneof) {
            return Err(WireError::Malformed(
                "the tag names a field outside of the oneof",
            ));
        }
        if !field.kind.is_scalar() {
            return self.value(&field.kind, at + 4, limit, depth);
        }
        let Some(Reference { start, len }) = self.reference(at + 4)? else {
            return Ok(());
        };
        if len != field.kind.size() {
            return Err(WireError::Malformed(
                "the scalar in the oneof is of another size",
            ));
        }
        self.claim(start, len as usize, limit)
    }
}

/// A list's region, found to lie between the cursor and the limit.
struct Strides {
    start: usize,
    first: usize,
    len: usize,
    stride: usize,
    end_word: u32,
    end: usize,
}

#[cold]
fn null_with_length() -> WireError {
    WireError::Malformed("a null pointer has a length")
}
