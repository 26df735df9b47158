//! Writing archives: children first, each body right behind its children, the root last.
//!
//! A body in progress lies in `scratch`, its pointer words holding absolute targets; `fixups` says
//! where those words are. Finishing a body copies it to `out` and makes the pointers relative.

mod list;
mod local;
mod out;
pub(crate) mod pool;
mod put;
mod table;

use bytes::Bytes;

#[doc(hidden)]
pub use self::list::Elements;
pub(crate) use self::list::{Entries, ListSlot};
pub use self::list::{ListWriter, MapWriter};
use self::local::Pointers;
use self::out::Out;
pub use self::put::{BytesSource, Put, Source};
#[doc(hidden)]
pub use self::put::{Slot, Written};
pub use self::table::TableWriter;
use crate::element::{Access, Element};
use crate::error::WireError;
use crate::layout::UNKNOWN_FLAG;
use crate::limits::Limits;
use crate::message::{Encode, Message};
use crate::segment::{Content, Segment};

/// The buffers of one archive in the making.
#[derive(Debug, Default)]
pub struct Builder {
    /// Finished bytes, without the external ones.
    out: Out,
    /// Bodies, list elements and map entries in progress, innermost last.
    scratch: Vec<u8>,
    /// Where in `scratch` pointer words stand that hold an absolute target, ascending.
    fixups: Vec<u32>,
    /// The bytes spliced into `out`, which are not among its own.
    external_bytes: usize,
    /// How many tables are open.
    depth: u32,
    limits: Limits,
    /// The first error; once set, writing goes on without effect.
    error: Option<WireError>,
    /// Buffers to be written next.
    #[allow(clippy::vec_box, reason = "a segment holds the box it was taken from")]
    spare: Vec<Box<Content>>,
}

/// A table body in progress.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Body {
    /// Where in `scratch` the body starts; nought for one beside it, as for `fixups`.
    base: usize,
    /// How many fixups belong to outer bodies.
    fixups: usize,
    /// The end of the last slot written.
    end: u32,
    /// Target and length of the raw unknown fields; the length is nought without any.
    unknown: (u32, u32),
}

/// A finished value: its position plus one (nought is null) and its length word.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Target {
    word: u32,
    len: u32,
}

/// `bytes` of at least this many bytes are shared instead of copied. From about here a vectored
/// write of its own costs less than copying twice.
pub(crate) const EXTERNAL_MIN: usize = 16 << 10;

impl Target {
    pub(crate) const NULL: Self = Self { word: 0, len: 0 };

    #[inline(always)]
    pub(crate) const fn is_null(self) -> bool {
        self.word == 0
    }
}

impl Target {
    /// The reference as it stands in scratch: pointer word, length word.
    #[inline(always)]
    fn to_le_bytes(self) -> [u8; 8] {
        (u64::from(self.word) | u64::from(self.len) << 32).to_le_bytes()
    }
}

impl Body {
    /// Where in scratch the slot at `offset` is.
    #[inline(always)]
    pub(crate) const fn at(&self, offset: u32) -> usize {
        self.base + offset as usize
    }

    /// Notes that a slot ending at `end` differs from the default.
    #[inline(always)]
    pub(crate) fn wrote(&mut self, end: u32) {
        self.end = self.end.max(end);
    }

    pub(crate) const fn has_unknown(&self) -> bool {
        self.unknown.1 != 0
    }

    pub(crate) const fn set_unknown(&mut self, target: Target) {
        self.unknown = (target.word, target.len);
    }
}

impl Builder {
    /// Archives one message into a pooled segment.
    #[inline]
    pub(crate) fn archive<M: Message, T: Encode<M> + ?Sized>(
        value: &T,
        limits: &Limits,
    ) -> Result<Segment, WireError> {
        pool::archive(limits, |builder| builder.message(value))
    }

    #[inline]
    pub(crate) fn message<M: Message, T: Encode<M> + ?Sized>(&mut self, value: &T) -> Target {
        match const { local::size_class(M::LAYOUT) } {
            local::SMALL => self.local_message::<M, T, { local::SMALL }>(value),
            local::MEDIUM => self.local_message::<M, T, { local::MEDIUM }>(value),
            local::LARGE => self.local_message::<M, T, { local::LARGE }>(value),
            _ => {
                let Some(mut body) = self.open_table(const { M::LAYOUT.size as usize }) else {
                    return Target::NULL;
                };
                value.encode(&mut TableWriter::new(self, &mut [], &mut body));
                self.close_table(body)
            }
        }
    }

    #[inline]
    fn local_message<M: Message, T: Encode<M> + ?Sized, const SIZE: usize>(
        &mut self,
        value: &T,
    ) -> Target {
        let mut local = [0; SIZE];
        let Some(mut body) = self.open_local() else {
            return Target::NULL;
        };
        value.encode(&mut TableWriter::new(self, &mut local, &mut body));
        self.close_local(body, &mut local, const { &Pointers::of(M::LAYOUT) })
    }

    /// Appends the root reference.
    #[inline]
    fn put_root(&mut self, root: Target) {
        let root = Target {
            word: relative(root.word, self.position()),
            len: root.len,
        };
        if self.out.append(&root.to_le_bytes()).is_none() {
            self.too_large();
        }
    }

    /// The bytes written so far, external ones included: where the next byte goes.
    #[inline(always)]
    pub(crate) fn position(&self) -> usize {
        self.out.len() + self.external_bytes
    }

    /// Whether `len` more bytes fit the limit; notes the error if not.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, len: usize) -> bool {
        if !self.out.fits(len) {
            self.too_large();
            return false;
        }
        true
    }

    #[cold]
    pub(crate) fn too_large(&mut self) {
        let max_bytes = self.limits.max_bytes;
        self.fail(WireError::TooLarge { max_bytes });
    }

    /// The first error so far.
    pub(crate) fn check(&self) -> Result<(), WireError> {
        self.error.clone().map_or(Ok(()), Err)
    }

    /// Sets a presence bit of a body in progress.
    #[inline(always)]
    pub(crate) fn set_bit(&mut self, body: &Body, bit: u32) {
        self.scratch[body.at(bit / 8)] |= 1 << (bit % 8);
    }

    /// Notes an error; from here on nothing fits.
    #[cold]
    pub(crate) fn fail(&mut self, error: WireError) {
        self.error.get_or_insert(error);
        self.limits.max_bytes = 0;
        self.limits.max_depth = 0;
        self.out.set_len_max(0);
    }

    /// Appends bytes and says where they are; null only after an error.
    #[inline(always)]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Target {
        let Some(at) = self.out.append(bytes) else {
            self.too_large();
            return Target::NULL;
        };
        Target {
            word: (at + self.external_bytes) as u32 + 1,
            len: bytes.len() as u32,
        }
    }

    /// Appends bytes, which are not empty, and says what belongs into their slot.
    #[inline(always)]
    fn slot_of(&mut self, bytes: &[u8]) -> Slot {
        let at = self.out.append(bytes);
        if at.is_none() {
            self.too_large();
        }
        let target = at.map_or(Target::NULL, |at| Target {
            word: (at + self.external_bytes) as u32 + 1,
            len: bytes.len() as u32,
        });
        Slot {
            bytes: target.to_le_bytes(),
            is_default: at.is_none(),
        }
    }

    /// Shares `bytes` if they are large, else appends a copy.
    #[inline]
    pub(crate) fn shared(&mut self, bytes: &Bytes) -> Target {
        if bytes.len() < EXTERNAL_MIN {
            self.bytes(bytes)
        } else {
            self.external(bytes)
        }
    }

    #[inline(never)]
    fn external(&mut self, bytes: &Bytes) -> Target {
        if !self.reserve(bytes.len()) {
            return Target::NULL;
        }
        let target = Target {
            word: self.position() as u32 + 1,
            len: bytes.len() as u32,
        };
        self.out.splice(bytes.clone());
        self.external_bytes += bytes.len();
        // Not below nought, as the bytes were just found to fit.
        self.out
            .set_len_max(self.limits.max_bytes - self.external_bytes);
        target
    }

    /// Pads so that the next byte is 8-aligned within the archive.
    pub(crate) fn align(&mut self) {
        if !self.out.pad(self.position().wrapping_neg() % 8) {
            self.too_large();
        }
    }

    /// Writes a reference into scratch at `at`.
    #[inline(always)]
    pub(crate) fn put_reference(&mut self, at: usize, target: Target) {
        self.put_bytes(at, &target.to_le_bytes());
        if target.word != 0 {
            self.fixups.push(at as u32);
        }
    }

    /// Writes a slot into scratch at `at`.
    #[inline(always)]
    pub(crate) fn put_slot<T: Element + ?Sized>(&mut self, at: usize, slot: &Slot) {
        let class = const { <T::Via as Access<T>>::CLASS };
        self.put_bytes(at, &slot.bytes[..class.size() as usize]);
        if !class.is_scalar() && !slot.is_default {
            self.fixups.push(at as u32);
        }
    }

    /// Writes the slot of a list or map into scratch at `at`.
    pub(crate) fn put_list(&mut self, at: usize, list: &ListSlot) {
        self.put_reference(at, list.target);
        self.put_word(at + 8, list.stride);
        self.put_word(at + 12, list.end);
    }

    #[inline(always)]
    pub(crate) fn put_word(&mut self, at: usize, word: u32) {
        self.put_bytes(at, &word.to_le_bytes());
    }

    #[inline(always)]
    pub(crate) fn put_bytes(&mut self, at: usize, bytes: &[u8]) {
        self.scratch[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Opens a table body of `size` bytes at the end of scratch, all zero.
    #[inline]
    pub(crate) fn open_table(&mut self, size: usize) -> Option<Body> {
        // After any error the limit is nought.
        if self.depth >= self.limits.max_depth {
            self.too_deep();
            return None;
        }
        self.depth += 1;
        let base = self.scratch.len();
        self.scratch.resize(base + size, 0);
        Some(Body {
            base,
            fixups: self.fixups.len(),
            end: 0,
            unknown: (0, 0),
        })
    }

    /// Opens a table body beside scratch.
    #[inline(always)]
    pub(crate) fn open_local(&mut self) -> Option<Body> {
        if self.depth >= self.limits.max_depth {
            self.too_deep();
            return None;
        }
        self.depth += 1;
        Some(Body {
            base: 0,
            fixups: 0,
            end: 0,
            unknown: (0, 0),
        })
    }

    /// Copies a body that was written beside scratch behind its children.
    #[inline(always)]
    fn close_local<const SIZE: usize>(
        &mut self,
        body: Body,
        local: &mut [u8; SIZE],
        pointers: &Pointers,
    ) -> Target {
        self.depth -= 1;
        let Some(len) = self.put_prefix(body) else {
            return Target::NULL;
        };
        let position = self.position();
        pointers.each(local, |at, word| make_relative(word, position + at));
        match self.out.append_first(local, body.end as usize) {
            Some(_) => Target {
                word: position as u32 + 1,
                len,
            },
            None => {
                self.too_large();
                Target::NULL
            }
        }
    }

    /// Writes the reference to a body's unknown fields, if it has any: its size word.
    #[inline]
    fn put_prefix(&mut self, body: Body) -> Option<u32> {
        if body.unknown.1 == 0 {
            return Some(body.end);
        }
        let prefix = Target {
            word: relative(body.unknown.0, self.position()),
            len: body.unknown.1,
        };
        if self.out.append(&prefix.to_le_bytes()).is_none() {
            self.too_large();
            return None;
        }
        Some(body.end | UNKNOWN_FLAG)
    }

    #[cold]
    fn too_deep(&mut self) {
        let max_depth = self.limits.max_depth;
        self.fail(WireError::TooDeep { max_depth });
    }

    /// Copies a body behind its children and drops it from scratch.
    #[inline]
    pub(crate) fn close_table(&mut self, body: Body) -> Target {
        self.depth -= 1;
        let mut target = Target::NULL;
        if let Some(len) = self.put_prefix(body) {
            let position = self.position();
            for at in &self.fixups[body.fixups..] {
                let at = *at as usize;
                make_relative_at(&mut self.scratch, at, position + (at - body.base));
            }
            let recorded = body.base..body.base + body.end as usize;
            let at = self.out.append(&self.scratch[recorded]);
            match at {
                Some(_) => {
                    target = Target {
                        word: position as u32 + 1,
                        len,
                    }
                }
                None => self.too_large(),
            }
        }
        self.fixups.truncate(body.fixups);
        self.scratch.truncate(body.base);
        target
    }
}

/// The distance from the end of the pointer word at `at` back to the target.
#[inline(always)]
fn relative(word: u32, at: usize) -> u32 {
    if word == 0 {
        return 0;
    }
    // Positions stay below 2 GiB, and a target never lies behind its pointer.
    (at as u32 + 4).wrapping_sub(word - 1)
}

/// Turns the absolute target in a word, never null, into a distance from `position`.
#[inline(always)]
fn make_relative(word: &mut [u8; 4], position: usize) {
    *word = relative(u32::from_le_bytes(*word), position).to_le_bytes();
}

/// The same for the word at `at`.
#[inline(always)]
fn make_relative_at(scratch: &mut [u8], at: usize, position: usize) {
    if let Some(word) = scratch[at..].first_chunk_mut() {
        make_relative(word, position);
    }
}
