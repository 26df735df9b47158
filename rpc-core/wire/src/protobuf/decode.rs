//! Protobuf in, archive out: one pass over well-ordered input, a bounded few over any other.
//!
//! An archive wants children before parents and in field order, which is how protobuf writers
//! write: a string is copied to the output when it is met, the table's own body is gathered aside
//! and follows when its message ends. Two things break this order, both legal: fields that come
//! out of order, and a field that comes again after others. The table is then read again the
//! *careful* way: its occurrences are first listed and sorted by slot. Reading again is paid from
//! a budget of one input length; when that is spent, everything starts once more, all of it
//! careful. So no input costs more than three readings of it.

mod body;
mod careful;
mod list;
mod map;
mod pool;
mod scalar;

use crate::WireError;
use crate::layout::{Field, Kind, Layout, Shape};
use crate::limits::Limits;
use crate::protobuf::reader::{Reader, WireType};
use crate::protobuf::wire_type_of;
use body::{Body, Span};
use careful::Run;
use list::OpenList;
use map::Entry;

/// Transcodes one message; see the module for how.
pub(super) fn to_archive(
    layout: &'static Layout,
    input: &[u8],
    limits: &Limits,
    room: impl FnOnce(usize) -> Vec<u8>,
) -> Result<Vec<u8>, WireError> {
    if input.len() > Limits::MAX_BYTES {
        return Err(WireError::TooLarge {
            max_bytes: limits.bytes(),
        });
    }
    let whole = Span::new(0, input.len());
    // Archives of ordinary messages are a fifth larger than protobuf.
    let expected = (input.len() + input.len() / 2 + 64).min(limits.bytes());
    let mut out = room(expected);
    out.clear();
    let mut decoder = Decoder::new(input, limits, out);
    let mut done = decoder.root(layout, whole);
    if matches!(done, Err(Fault::Again)) {
        let mut out = decoder.out;
        out.clear();
        decoder = Decoder::new(input, limits, out);
        decoder.careful = true;
        done = decoder.root(layout, whole);
    }
    done.map(|()| decoder.finish())
        .map_err(|fault| match fault {
            Fault::Wire(error) => error,
            Fault::Again => unreachable!("careful reading takes fields in any order"),
        })
}

/// Why reading stopped.
enum Fault {
    /// The message is bad or too large.
    Wire(WireError),
    /// The fields are not in order, and the budget for reading a part again is spent.
    Again,
}

impl From<WireError> for Fault {
    #[inline]
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

/// The output and what is gathered aside until its place is known.
///
/// All vectors but `out` are stacks: a table takes off what it put on.
struct Decoder<'a> {
    input: &'a [u8],
    /// The archive so far; `out.len() + pending <= max_bytes`.
    out: Vec<u8>,
    max_bytes: usize,
    max_depth: u32,
    /// Bodies of the tables in progress, innermost last.
    bodies: Vec<u8>,
    /// Elements of the open lists, see [`list`].
    elements: Vec<u8>,
    /// Where pointers stand: in `bodies`, or in `elements` once their table became an element.
    /// Each holds the absolute place of its target until its own place is known.
    links: Vec<u32>,
    /// Bytes that the open lists will add to `out` when they close.
    pending: usize,
    /// Unknown fields of the tables in progress.
    unknown: Vec<Span>,
    /// Occurrences of fields in tables that are read the careful way.
    runs: Vec<Run>,
    /// Entries of the open maps.
    entries: Vec<Entry>,
    /// Whether every table is read the careful way from its start.
    careful: bool,
    /// How many bytes of input may still be read a second time.
    budget: usize,
}

/// A table in progress.
struct Frame {
    layout: &'static Layout,
    /// How deep the table is; the root is at one.
    depth: u32,
    /// Where its children begin in `out`.
    out: usize,
    /// Where its body begins in `bodies`.
    body: usize,
    /// The end of the last slot written, counted from the body's start.
    end: usize,
    /// Where its links begin in `links`.
    links: usize,
    /// Where its unknown fields begin in `unknown`.
    unknown: usize,
    /// The list or map whose occurrences are being gathered.
    open: Option<OpenList>,
    /// The first offset that may still receive children; slots fill in ascending order.
    next_offset: u32,
    /// A field was set and then reset to its default, so the body may end in defaults.
    lowered: bool,
}

impl<'a> Decoder<'a> {
    fn new(input: &'a [u8], limits: &Limits, out: Vec<u8>) -> Self {
        let max_bytes = limits.bytes();
        let stacks = pool::take();
        Self {
            input,
            out,
            max_bytes,
            max_depth: limits.depth(),
            bodies: stacks.bodies,
            elements: stacks.elements,
            links: stacks.links,
            pending: 0,
            unknown: stacks.unknown,
            runs: stacks.runs,
            entries: stacks.entries,
            careful: false,
            budget: input.len(),
        }
    }

    /// Hands the archive out and the working memory back.
    fn finish(self) -> Vec<u8> {
        pool::give_back(pool::Stacks {
            bodies: self.bodies,
            elements: self.elements,
            links: self.links,
            unknown: self.unknown,
            runs: self.runs,
            entries: self.entries,
        });
        self.out
    }

    fn root(&mut self, layout: &'static Layout, whole: Span) -> Result<(), Fault> {
        let body = self.table(layout, whole, 1)?;
        let (target, size) = self.place(body)?;
        let at = self.out.len();
        self.reserve(ROOT_BYTES)?;
        self.out.extend_from_slice(&reference(at, target, size));
        Ok(())
    }

    /// Reads one occurrence of a message; the body it returns is on top of `bodies`.
    fn table(&mut self, layout: &'static Layout, span: Span, depth: u32) -> Result<Body, Fault> {
        let mut frame = self.open_frame(layout, depth)?;
        if self.careful {
            self.careful_fields(&mut frame, &[span])?;
            return self.close_frame(frame);
        }
        match self.ordered_fields(&mut frame, span)? {
            Order::Kept => self.close_frame(frame),
            Order::Broken { consumed } => {
                self.budget = self.budget.checked_sub(consumed).ok_or(Fault::Again)?;
                self.roll_back(frame);
                let mut frame = self.open_frame(layout, depth)?;
                self.careful_fields(&mut frame, &[span])?;
                self.close_frame(frame)
            }
        }
    }

    /// Reads a message that occurs in several pieces, as if they were one.
    fn merged_table(
        &mut self,
        layout: &'static Layout,
        pieces: &[Span],
        depth: u32,
    ) -> Result<Body, Fault> {
        if let [span] = pieces {
            return self.table(layout, *span, depth);
        }
        let mut frame = self.open_frame(layout, depth)?;
        self.careful_fields(&mut frame, pieces)?;
        self.close_frame(frame)
    }

    fn open_frame(&self, layout: &'static Layout, depth: u32) -> Result<Frame, Fault> {
        if depth > self.max_depth {
            return Err(WireError::TooDeep {
                max_depth: self.max_depth,
            }
            .into());
        }
        Ok(Frame {
            layout,
            depth,
            out: self.out.len(),
            body: self.bodies.len(),
            end: 0,
            links: self.links.len(),
            unknown: self.unknown.len(),
            open: None,
            next_offset: 0,
            lowered: false,
        })
    }

    /// Reads fields as they come, as long as those with children come in slot order.
    fn ordered_fields(&mut self, frame: &mut Frame, span: Span) -> Result<Order, Fault> {
        let mut reader = self.reader(span);
        let mut cursor = 0;
        while !reader.is_empty() {
            let start = reader.position();
            let (number, wire_type) = reader.tag()?;
            let Some(field) = next_field(frame.layout, number, &mut cursor) else {
                self.skip_unknown(frame, &mut reader, start, number, wire_type)?;
                continue;
            };
            match Form::of(field, wire_type) {
                Form::Scalar => self.scalar_field(frame, field, &mut reader)?,
                Form::Foreign => self.skip_unknown(frame, &mut reader, start, number, wire_type)?,
                form => {
                    if !self.turn_to(frame, field)? {
                        return Ok(Order::Broken {
                            consumed: start - span.start(),
                        });
                    }
                    self.child(frame, field, form, &mut reader)?;
                }
            }
        }
        Ok(Order::Kept)
    }

    /// Makes `field` the one whose children may be written now; false if its turn is over.
    #[inline]
    fn turn_to(&mut self, frame: &mut Frame, field: &'static Field) -> Result<bool, Fault> {
        if let Some(open) = &frame.open {
            if open.offset() == field.offset {
                return Ok(true);
            }
            self.close_list(frame)?;
        }
        if field.offset < frame.next_offset {
            return Ok(false);
        }
        frame.next_offset = field.offset + 1;
        Ok(true)
    }

    /// Reads one occurrence of a field that has children, whose turn it is.
    #[inline]
    fn child(
        &mut self,
        frame: &mut Frame,
        field: &'static Field,
        form: Form,
        reader: &mut Reader<'a>,
    ) -> Result<(), Fault> {
        match form {
            Form::Single => {
                let span = self.delimited(reader)?;
                self.put_single(frame, field, &[span])
            }
            Form::Arm => {
                let value = scalar::read(reader, &field.kind)?;
                self.put_scalar_arm(frame, field, value)
            }
            Form::Element => self.push_element(frame, field, reader),
            Form::Packed => self.push_packed(frame, field, reader),
            Form::Entry => self.push_entry(frame, field, reader),
            Form::Scalar | Form::Foreign => unreachable!("these have no children"),
        }
    }

    /// Writes a string, bytes or message that is no list element, and refers to it.
    fn put_single(
        &mut self,
        frame: &mut Frame,
        field: &'static Field,
        pieces: &[Span],
    ) -> Result<(), Fault> {
        let Some(&last) = pieces.last() else {
            return Ok(());
        };
        let (target, size) = match field.kind {
            Kind::Message(layout) => {
                let body = self.merged_table(layout, pieces, frame.depth + 1)?;
                self.place(body)?
            }
            _ => {
                if last.is_empty() && field.shape == Shape::Plain {
                    return Ok(());
                }
                self.place_blob(&field.kind, last)?
            }
        };
        let at = match field.shape {
            Shape::Arm(_) => {
                self.slot::<12>(frame, field.offset)[..4]
                    .copy_from_slice(&field.number.to_le_bytes());
                field.offset + 4
            }
            _ => field.offset,
        };
        self.link(frame, at, target, size);
        Ok(())
    }

    /// Copies the bytes of a string or of bytes to the output.
    #[inline]
    fn place_blob(&mut self, kind: &Kind, span: Span) -> Result<(u32, u32), Fault> {
        let bytes = self.bytes(span);
        self.check_text(kind, span)?;
        self.reserve(bytes.len())?;
        let target = self.out.len();
        self.out.extend_from_slice(bytes);
        Ok((target as u32, bytes.len() as u32))
    }

    #[inline]
    fn check_text(&self, kind: &Kind, span: Span) -> Result<(), Fault> {
        if matches!(kind, Kind::String) && core::str::from_utf8(self.bytes(span)).is_err() {
            return Err(WireError::Decode {
                reason: "a string is not valid UTF-8",
                position: span.start(),
            }
            .into());
        }
        Ok(())
    }

    /// Writes the value of a scalar oneof arm out of line, and refers to it.
    fn put_scalar_arm(
        &mut self,
        frame: &mut Frame,
        field: &'static Field,
        value: u64,
    ) -> Result<(), Fault> {
        let size = field.kind.size();
        self.reserve(size as usize)?;
        let target = self.out.len();
        self.out
            .extend_from_slice(&value.to_le_bytes()[..size as usize]);
        self.slot::<4>(frame, field.offset)
            .copy_from_slice(&field.number.to_le_bytes());
        self.link(frame, field.offset + 4, target as u32, size);
        Ok(())
    }

    #[cold]
    fn skip_unknown(
        &mut self,
        frame: &Frame,
        reader: &mut Reader<'a>,
        start: usize,
        number: u32,
        wire_type: WireType,
    ) -> Result<(), Fault> {
        reader.skip(number, wire_type, frame.depth, self.max_depth)?;
        let span = Span::new(start, reader.position());
        match self.unknown[frame.unknown..].last_mut() {
            Some(last) if last.end() == start => *last = Span::new(last.start(), span.end()),
            _ => self.unknown.push(span),
        }
        Ok(())
    }

    fn delimited(&self, reader: &mut Reader<'a>) -> Result<Span, Fault> {
        let bytes = reader.delimited()?;
        let end = reader.position();
        Ok(Span::new(end - bytes.len(), end))
    }

    fn reader(&self, span: Span) -> Reader<'a> {
        Reader::new(&self.input[..span.end()], span.start())
    }

    fn bytes(&self, span: Span) -> &'a [u8] {
        &self.input[span.start()..span.end()]
    }

    /// Makes sure that the limit leaves room for `count` more bytes of output.
    #[inline]
    fn reserve(&self, count: usize) -> Result<(), Fault> {
        // Each summand is below 2^32 as the input is, so this cannot overflow 64 bits; where
        // addresses have 32, saturating is what an overflow should come to.
        let total = self
            .out
            .len()
            .saturating_add(self.pending)
            .saturating_add(count);
        if total > self.max_bytes {
            return Err(WireError::TooLarge {
                max_bytes: self.max_bytes,
            }
            .into());
        }
        Ok(())
    }
}

/// How the ordered reading of a table ended.
enum Order {
    Kept,
    /// A field came whose turn was over, after `consumed` bytes.
    Broken {
        consumed: usize,
    },
}

/// What an occurrence of a field asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A scalar in the table body: no children, so it may come at any time.
    Scalar,
    /// A string, bytes or message that is no list element, oneof arms among them.
    Single,
    /// A scalar oneof arm, kept out of line.
    Arm,
    /// One element of a list.
    Element,
    /// Several scalars of a list.
    Packed,
    /// One entry of a map.
    Entry,
    /// Another wire type than the field's: kept as an unknown field.
    Foreign,
}

impl Form {
    #[inline(always)]
    fn of(field: &Field, wire_type: WireType) -> Self {
        let fits = wire_type_of(&field.kind) == wire_type;
        match field.shape {
            Shape::Plain | Shape::Optional { .. } | Shape::Nullable | Shape::Arm(_) if !fits => {
                Self::Foreign
            }
            Shape::Plain | Shape::Optional { .. } if field.kind.is_scalar() => Self::Scalar,
            Shape::Arm(_) if field.kind.is_scalar() => Self::Arm,
            Shape::Plain | Shape::Optional { .. } | Shape::Nullable | Shape::Arm(_) => Self::Single,
            Shape::List if fits => Self::Element,
            Shape::List if field.kind.is_scalar() && wire_type == WireType::Delimited => {
                Self::Packed
            }
            Shape::Map(_) if wire_type == WireType::Delimited => Self::Entry,
            Shape::List | Shape::Map(_) => Self::Foreign,
        }
    }
}

/// Finds the field with this number, guessing that it is the last one again or its successor.
#[inline(always)]
fn next_field(layout: &'static Layout, number: u32, cursor: &mut usize) -> Option<&'static Field> {
    let fields = layout.fields;
    for guess in [*cursor, *cursor + 1] {
        if let Some(field) = fields.get(guess).filter(|field| field.number == number) {
            *cursor = guess;
            return Some(field);
        }
    }
    let index = layout.index_of(number)?;
    *cursor = index;
    Some(&fields[index])
}

/// A reference that will stand at `at`: how far back its target lies, and the target's length.
///
/// Distance is counted from the end of the pointer, so that it is never nought.
#[inline]
fn reference(at: usize, target: u32, size: u32) -> [u8; 8] {
    let back = (at as u32 + 4) - target;
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&back.to_le_bytes());
    bytes[4..].copy_from_slice(&size.to_le_bytes());
    bytes
}

/// The reference to the root that ends every archive.
const ROOT_BYTES: usize = 8;
