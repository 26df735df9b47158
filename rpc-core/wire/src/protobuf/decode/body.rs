//! Table bodies: gathered on a stack, then placed in the output, where their pointers turn relative.

use crate::layout::{Layout, Shape, UNKNOWN_FLAG};

use super::list::{LIST_ALIGNMENT, word};
use super::{Decoder, Fault, Frame, reference};

/// A range of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Positions fit 32 bits because longer input is refused at the door.
    #[inline]
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self {
            start: start as u32,
            end: end as u32,
        }
    }

    #[inline]
    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    #[inline]
    pub(super) fn end(self) -> usize {
        self.end as usize
    }

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// A finished body: the top of `bodies` from `start`, with its links from `links`.
pub(super) struct Body {
    pub(super) start: usize,
    pub(super) links: usize,
    /// Where its unknown fields were placed, and how many bytes they are; none if nought.
    pub(super) unknown: (u32, u32),
}

impl Decoder<'_> {
    /// The `N` bytes of the body at `offset`, which from now on count as written.
    #[inline]
    pub(super) fn slot<const N: usize>(&mut self, frame: &mut Frame, offset: u32) -> &mut [u8; N] {
        let end = offset as usize + N;
        let start = frame.body + offset as usize;
        frame.end = frame.end.max(end);
        if self.bodies.len() < start + N {
            self.grow_body(frame, end);
        }
        self.bodies[start..]
            .first_chunk_mut()
            .expect("the body was grown to hold the slot")
    }

    /// Grows the body on top to `end` at least; a small one at once to all it can be.
    #[cold]
    fn grow_body(&mut self, frame: &Frame, end: usize) {
        let ahead = (frame.layout.size as usize).min(GROWN_AHEAD_BYTES);
        self.bodies.resize(frame.body + end.max(ahead), 0);
    }

    /// Stores a reference in the body at `offset`, to be made relative when the body is placed.
    #[inline]
    pub(super) fn link(&mut self, frame: &mut Frame, offset: u32, target: u32, size: u32) {
        let slot = self.slot::<8>(frame, offset);
        slot[..4].copy_from_slice(&target.to_le_bytes());
        slot[4..].copy_from_slice(&size.to_le_bytes());
        self.links.push((frame.body + offset as usize) as u32);
    }

    /// Ends a table: closes its list, places its unknown fields, drops trailing defaults.
    pub(super) fn close_frame(&mut self, mut frame: Frame) -> Result<Body, Fault> {
        if frame.open.is_some() {
            self.close_list(&mut frame)?;
        }
        let mut unknown = (0, 0);
        if self.unknown.len() > frame.unknown {
            unknown = self.place_unknown(&frame)?;
        }
        self.bodies.truncate(frame.body + frame.end);
        if frame.lowered {
            let size = significant_size(frame.layout, &self.bodies[frame.body..]);
            // What leads to an empty message at the very start of the archive is all zero, yet set.
            let linked = self.links[frame.links..].iter().max();
            let linked = linked.map_or(frame.body, |link| *link as usize + REFERENCE_BYTES);
            self.bodies.truncate(linked.max(frame.body + size));
        }
        Ok(Body {
            start: frame.body,
            links: frame.links,
            unknown,
        })
    }

    /// Writes the unknown fields in front of the table's children, where an archive has them.
    ///
    /// The children are there already and move: their pointers are relative to each other, and
    /// moving by a multiple of eight keeps lists aligned. Only what the table itself refers to is
    /// still absolute. Each level of nesting moves a byte at most once.
    fn place_unknown(&mut self, frame: &Frame) -> Result<(u32, u32), Fault> {
        let spans = &self.unknown[frame.unknown..];
        let size: usize = spans.iter().map(|span| span.end() - span.start()).sum();
        let room = size.next_multiple_of(LIST_ALIGNMENT);
        self.reserve(room)?;
        let end = self.out.len();
        self.out.resize(end + room, 0);
        self.out.copy_within(frame.out..end, frame.out + room);
        for &link in &self.links[frame.links..] {
            let target = word(&self.bodies[link as usize..]) + room as u32;
            self.bodies[link as usize..][..4].copy_from_slice(&target.to_le_bytes());
        }
        let mut at = frame.out;
        for span in &self.unknown[frame.unknown..] {
            let bytes = &self.input[span.start()..span.end()];
            self.out[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        }
        self.unknown.truncate(frame.unknown);
        Ok((frame.out as u32, size as u32))
    }

    /// Moves a body to the output and returns what refers to it: its place and its size word.
    pub(super) fn place(&mut self, body: Body) -> Result<(u32, u32), Fault> {
        let size = self.bodies.len() - body.start;
        let prefix = if body.unknown.1 > 0 { UNKNOWN_BYTES } else { 0 };
        self.reserve(prefix + size)?;
        let mut size_word = size as u32;
        if prefix > 0 {
            let at = self.out.len();
            self.out
                .extend_from_slice(&reference(at, body.unknown.0, body.unknown.1));
            size_word |= UNKNOWN_FLAG;
        }
        let target = self.out.len();
        self.out.extend_from_slice(&self.bodies[body.start..]);
        for &link in &self.links[body.links..] {
            relocate(&mut self.out, target + (link as usize - body.start));
        }
        self.bodies.truncate(body.start);
        self.links.truncate(body.links);
        Ok((target as u32, size_word))
    }

    /// Forgets everything that a table in progress has put anywhere.
    pub(super) fn roll_back(&mut self, frame: Frame) {
        if let Some(open) = frame.open {
            self.drop_list(open);
        }
        self.out.truncate(frame.out);
        self.bodies.truncate(frame.body);
        self.links.truncate(frame.links);
        self.unknown.truncate(frame.unknown);
    }
}

/// Turns the absolute target at `at` into the distance from the pointer's end.
#[inline]
pub(super) fn relocate(out: &mut [u8], at: usize) {
    let pointer: &mut [u8; 4] = out[at..]
        .first_chunk_mut()
        .expect("links stand inside the body they belong to");
    let target = u32::from_le_bytes(*pointer);
    *pointer = (at as u32 + 4 - target).to_le_bytes();
}

/// The end of the last field that is not default, for bodies in which one was reset.
fn significant_size(layout: &Layout, body: &[u8]) -> usize {
    layout
        .fields
        .iter()
        .filter(|field| {
            let slot = body.get(field.offset as usize..(field.offset + field.slot_size()) as usize);
            slot.is_some_and(|slot| match field.shape {
                Shape::Optional { bit } => body[bit as usize / 8] & (1 << (bit % 8)) != 0,
                _ => slot.iter().any(|byte| *byte != 0),
            })
        })
        .map(|field| (field.offset + field.slot_size()) as usize)
        .max()
        .unwrap_or(0)
}

/// Clearing this much ahead costs less than growing slot by slot, and is not worth a bound of its
/// own for a message of two bytes.
const GROWN_AHEAD_BYTES: usize = 128;
/// A pointer and a length.
const REFERENCE_BYTES: usize = 8;
/// The reference to raw unknown fields that stands in front of a body that has some.
pub(super) const UNKNOWN_BYTES: usize = 8;
