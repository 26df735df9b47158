//! The validator: one pass over the field table, linear in the message, without allocation.
//!
//! Children lie in front of their parent, in field order, in disjoint ranges. So one cursor, the
//! end of the last value accepted, is all the state there is: each value must start at or behind
//! it and end in front of the body that refers to it. Bytes in between are never looked at.

mod flat;

pub(crate) use self::flat::{Texts, accept};
use crate::error::WireError;
use crate::layout::{
    Class, Kind, LIST_SIZE, Layout, MapKey, ONEOF_SIZE, REF_SIZE, Shape, UNKNOWN_FLAG,
};
use crate::limits::Limits;

/// Validates a whole archive: where its root's body starts, and the root's size word.
#[inline]
pub(crate) fn root(
    layout: &'static Layout,
    archive: &[u8],
    limits: &Limits,
) -> Result<Root, WireError> {
    let mut fault = None;
    match whole(layout, archive, limits, &mut fault) {
        Ok(root) => Ok(Root(root)),
        Err(Refused) => Err(fault.unwrap_or(WireError::OutOfBounds)),
    }
}

/// An accepted root: where its body starts in the low half, its size word in the high half.
///
/// One word, as two halves that are stored apart and then moved together make the processor wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root(u64);

impl Root {
    /// The table of `size` bytes at `body`, both below 2 GiB.
    #[inline(always)]
    const fn new(body: usize, size: usize) -> Self {
        Self(body as u64 | (size as u64) << 32)
    }

    /// Where the body starts.
    #[inline(always)]
    pub(crate) const fn body(self) -> usize {
        self.0 as u32 as usize
    }

    /// The size word.
    #[inline(always)]
    pub(crate) const fn size(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

fn whole(
    layout: &'static Layout,
    archive: &[u8],
    limits: &Limits,
    fault: &mut Option<WireError>,
) -> Result<u64, Refused> {
    let mut validator = Validator {
        archive,
        cursor: 0,
        max_depth: limits.depth(),
        fault,
    };
    if archive.len() > limits.bytes() {
        return validator.refuse(WireError::TooLarge {
            max_bytes: limits.bytes(),
        });
    }
    let Some(at) = archive.len().checked_sub(REF_SIZE as usize) else {
        return Err(Refused);
    };
    let body = validator.root(layout, at)?;
    // The start is below the archive's length, which is below 2 GiB.
    Ok(body.start as u64 | u64::from(body.len) << 32)
}

struct Validator<'a> {
    archive: &'a [u8],
    /// The end of the last value accepted; `cursor <= archive.len()`.
    cursor: usize,
    max_depth: u32,
    /// Why the archive was refused.
    fault: &'a mut Option<WireError>,
}

/// The reason is in the validator, so that results on the hot path fit a register.
struct Refused;

/// Where a reference leads, not yet checked against anything.
#[derive(Clone, Copy)]
struct Reference {
    /// Wraps around where the pointer leads in front of the archive, so that no bound holds.
    start: usize,
    /// The length word, flag included.
    len: u32,
}

/// A list's region, found to lie between the cursor and the limit.
struct Strides {
    /// Where the region starts: in front of the first element's prefix.
    start: usize,
    /// Where the first element's body starts.
    first: usize,
    len: usize,
    stride: usize,
    end_word: u32,
    /// Where the region ends.
    end: usize,
}

impl Validator<'_> {
    fn root(&mut self, layout: &'static Layout, at: usize) -> Result<Reference, Refused> {
        let Some(body) = self.reference(at)? else {
            return self.refuse(WireError::Malformed("the root is null"));
        };
        self.table(layout, body, at, 1)?;
        Ok(body)
    }

    #[cold]
    #[inline(never)]
    fn refuse<T>(&mut self, fault: WireError) -> Result<T, Refused> {
        *self.fault = Some(fault);
        Err(Refused)
    }

    #[cold]
    #[inline(never)]
    fn misplaced<T>(&mut self, start: usize, limit: usize) -> Result<T, Refused> {
        let fault = if start < self.cursor && start < limit {
            WireError::Overlap
        } else {
            WireError::OutOfBounds
        };
        self.refuse(fault)
    }

    #[inline(always)]
    fn word(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.archive[at..at + 4]);
        u32::from_le_bytes(bytes)
    }

    #[inline(always)]
    fn wide(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.archive[at..at + 8]);
        u64::from_le_bytes(bytes)
    }

    /// Reads the reference at `at`; nothing if it is null.
    #[inline(always)]
    fn reference(&mut self, at: usize) -> Result<Option<Reference>, Refused> {
        let both = self.wide(at);
        let (back, len) = (both as u32 as usize, (both >> 32) as u32);
        if back == 0 {
            if len == 0 {
                return Ok(None);
            }
            return self.refuse(WireError::Malformed("a null pointer has a length"));
        }
        Ok(Some(Reference {
            start: (at + 4).wrapping_sub(back),
            len,
        }))
    }

    /// Takes the bytes from `start` on, which must end at or in front of `limit`.
    #[inline(always)]
    fn claim(&mut self, start: usize, len: usize, limit: usize) -> Result<(), Refused> {
        if start < self.cursor || start > limit || len > limit - start {
            return self.misplaced(start, limit);
        }
        self.cursor = start + len;
        Ok(())
    }

    /// Checks a table and everything it refers to; it must end in front of `limit`.
    fn table(
        &mut self,
        layout: &'static Layout,
        body: Reference,
        limit: usize,
        depth: u32,
    ) -> Result<(), Refused> {
        let size = body.len & !UNKNOWN_FLAG;
        let prefix = if body.len == size { 0 } else { 8 };
        let first = body.start.wrapping_sub(prefix);
        let cursor = self.cursor;
        self.claim(first, prefix + size as usize, limit)?;
        let end = core::mem::replace(&mut self.cursor, cursor);
        self.contents(layout, body.start, body.len, first, depth)?;
        self.cursor = end;
        Ok(())
    }

    /// Checks what the body at `start` refers to; all of it must end in front of `limit`.
    fn contents(
        &mut self,
        layout: &'static Layout,
        start: usize,
        size_word: u32,
        limit: usize,
        depth: u32,
    ) -> Result<(), Refused> {
        if depth > self.max_depth {
            return self.refuse(WireError::TooDeep {
                max_depth: self.max_depth,
            });
        }
        if size_word & UNKNOWN_FLAG != 0 {
            self.text(start - 8, limit, false)?;
        }
        let size = size_word & !UNKNOWN_FLAG;
        let mut followed = layout.followed();
        while followed != 0 {
            let index = followed.trailing_zeros() as usize;
            if !self.field(layout, index, start, size, limit, depth)? {
                return Ok(());
            }
            followed &= followed - 1;
        }
        for index in u64::BITS as usize..layout.fields.len() {
            if layout.is_followed(index) && !self.field(layout, index, start, size, limit, depth)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Checks what one slot refers to; whether it was recorded at all.
    ///
    /// Slots ascend, so nothing behind the first unrecorded one is recorded.
    #[inline(always)]
    fn field(
        &mut self,
        layout: &'static Layout,
        index: usize,
        start: usize,
        size: u32,
        limit: usize,
        depth: u32,
    ) -> Result<bool, Refused> {
        let field = &layout.fields[index];
        let recorded = |slot: u32| u64::from(field.offset) + u64::from(slot) <= u64::from(size);
        let at = start + field.offset as usize;
        match field.shape {
            Shape::Plain | Shape::Optional { .. } | Shape::Nullable => {
                if !recorded(REF_SIZE) {
                    return Ok(false);
                }
                self.value(&field.kind, at, limit, depth)?;
            }
            Shape::List | Shape::Map(_) => {
                if !recorded(LIST_SIZE) {
                    return Ok(false);
                }
                match field.shape {
                    Shape::Map(key) => self.map(key, &field.kind, at, limit, depth)?,
                    _ => self.list(&field.kind, at, limit, depth)?,
                }
            }
            Shape::Arm(oneof) => {
                if !recorded(ONEOF_SIZE) {
                    return Ok(false);
                }
                self.oneof(layout, oneof, at, limit, depth)?;
            }
        }
        Ok(true)
    }

    /// Checks what a single value refers to; scalars refer to nothing.
    #[inline(always)]
    fn value(&mut self, kind: &Kind, at: usize, limit: usize, depth: u32) -> Result<(), Refused> {
        match kind {
            Kind::String => self.text(at, limit, true),
            Kind::Bytes => self.text(at, limit, false),
            Kind::Message(layout) => match self.reference(at)? {
                Some(body) => self.table(layout, body, limit, depth + 1),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    #[inline(always)]
    fn text(&mut self, at: usize, limit: usize, utf8: bool) -> Result<(), Refused> {
        let Some(Reference { start, len }) = self.reference(at)? else {
            return Ok(());
        };
        self.claim(start, len as usize, limit)?;
        if utf8 && !is_utf8(&self.archive[start..start + len as usize]) {
            return self.refuse(WireError::Utf8);
        }
        Ok(())
    }

    /// Reads a list or map slot and finds room for its strides in front of `limit`.
    fn strides(
        &mut self,
        at: usize,
        limit: usize,
        fixed: Option<u32>,
    ) -> Result<Option<Strides>, Refused> {
        let Some(Reference { start: first, len }) = self.reference(at)? else {
            return Ok(None);
        };
        let (stride, end_word) = (self.word(at + 8), self.word(at + 12));
        let end = end_word & !UNKNOWN_FLAG;
        let prefix = if end == end_word { 0 } else { 8 };
        if fixed.is_some_and(|size| end_word != size) {
            return self.refuse(WireError::Malformed("the elements are of another size"));
        }
        if stride == 0 || u64::from(stride) < u64::from(end) + prefix {
            return self.refuse(WireError::Malformed(
                "the stride is shorter than an element",
            ));
        }
        let start = first.wrapping_sub(prefix as usize);
        let bytes = u64::from(len) * u64::from(stride);
        // A pointer that leads nowhere must not become an address, on 32 bits in particular.
        let wrapped = start > first || first > limit;
        if wrapped || start < self.cursor || start > limit || bytes > (limit - start) as u64 {
            return self.misplaced(start, limit);
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

    fn list(&mut self, kind: &Kind, at: usize, limit: usize, depth: u32) -> Result<(), Refused> {
        let fixed = if matches!(kind, Kind::Message(_)) {
            None
        } else {
            Some(kind.size())
        };
        let Some(list) = self.strides(at, limit, fixed)? else {
            return Ok(());
        };
        match kind {
            Kind::Message(layout) => {
                if depth >= self.max_depth {
                    return self.refuse(WireError::TooDeep {
                        max_depth: self.max_depth,
                    });
                }
                // Tables of which nothing was recorded refer to nothing.
                if list.end_word == 0 {
                } else if let Some(texts) = Texts::of(layout, list.end_word) {
                    self.text_elements(&list, &texts)?;
                } else {
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

    /// Checks elements that refer to text and bytes alone: most lists hold such tables.
    fn text_elements(&mut self, list: &Strides, texts: &Texts) -> Result<(), Refused> {
        let mut body = list.first;
        for _ in 0..list.len {
            for (offset, utf8) in texts.slots() {
                self.text(body + *offset as usize, list.start, *utf8)?;
            }
            body += list.stride;
        }
        Ok(())
    }

    fn map(
        &mut self,
        key: MapKey,
        kind: &Kind,
        at: usize,
        limit: usize,
        depth: u32,
    ) -> Result<(), Refused> {
        let key = key.kind();
        let fixed = key.size() + kind.size();
        let Some(entries) = self.strides(at, limit, Some(fixed))? else {
            return Ok(());
        };
        for index in 0..entries.len {
            let entry = entries.first + index * entries.stride;
            self.value(&key, entry, entries.start, depth)?;
            if index > 0 && !self.ascending(key.class(), entry - entries.stride, entry) {
                return self.refuse(WireError::MapOrder);
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
            _ => self.accepted_text(left) < self.accepted_text(right),
        }
    }

    /// The bytes behind a reference that was accepted before.
    fn accepted_text(&self, at: usize) -> &[u8] {
        let (back, len) = (self.word(at) as usize, self.word(at + 4) as usize);
        if back == 0 {
            return &[];
        }
        let start = at + 4 - back;
        &self.archive[start..start + len]
    }

    fn oneof(
        &mut self,
        layout: &'static Layout,
        oneof: u16,
        at: usize,
        limit: usize,
        depth: u32,
    ) -> Result<(), Refused> {
        // An arm that this schema does not know is reported as such and never followed.
        let Some(field) = layout.field(self.word(at)) else {
            return Ok(());
        };
        if field.shape != Shape::Arm(oneof) {
            return self.refuse(WireError::Malformed(
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
            return self.refuse(WireError::Malformed(
                "the oneof's scalar is of another size",
            ));
        }
        self.claim(start, len as usize, limit)
    }
}

/// Whether the bytes are UTF-8, most of which is ASCII and short: a few words at a time, the last
/// ones overlapping, beat the general routine, which aligns its pointer first.
#[inline(always)]
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    let seen = if bytes.len() >= 32 {
        bytes.as_chunks().0.iter().map(high_bits::<32>).fold(
            bytes.last_chunk().map_or(0, high_bits::<32>),
            core::ops::BitOr::bitor,
        )
    } else {
        match (bytes.first_chunk(), bytes.last_chunk()) {
            (Some(first), Some(last)) => high_bits::<16>(first) | high_bits::<16>(last),
            _ => match (bytes.first_chunk(), bytes.last_chunk()) {
                (Some(first), Some(last)) => high_bits::<8>(first) | high_bits::<8>(last),
                _ => bytes.iter().fold(0, |seen, byte| seen | u64::from(*byte)),
            },
        }
    };
    seen & HIGH_BITS == 0 || is_utf8_beyond_ascii(bytes)
}

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// All words of the bytes, one upon the other.
#[inline(always)]
fn high_bits<const LEN: usize>(bytes: &[u8; LEN]) -> u64 {
    bytes
        .as_chunks::<8>()
        .0
        .iter()
        .fold(0, |seen, word| seen | u64::from_le_bytes(*word))
}

#[inline(never)]
fn is_utf8_beyond_ascii(bytes: &[u8]) -> bool {
    core::str::from_utf8(bytes).is_ok()
}
