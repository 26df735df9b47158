//! JSON in, protobuf out, in one pass over the text.
//!
//! The protobuf is for our own transcoder alone: lengths, which are not known when their place
//! is written, are varints of fixed width.

mod output;
mod scalar;
mod well_known;

use std::borrow::Cow;

use crate::WireError;
use crate::json::Options;
use crate::json::lexer::{Lexer, Next};
use crate::json::well_known::{TYPE_KEY, has_null, well_known};
use crate::layout::{Field, Kind, Layout, MapKey, Shape};
use crate::limits::Limits;
use output::Output;

/// Reads a whole message.
pub(super) fn to_protobuf(
    layout: &'static Layout,
    text: &str,
    options: &Options<'_>,
    limits: &Limits,
) -> Result<Vec<u8>, WireError> {
    let mut decoder = Decoder {
        lexer: Lexer::new(text),
        out: Output::default(),
        options,
        limits,
        seen: Vec::new(),
        lookahead_left: text.len().saturating_mul(LOOKAHEAD_FACTOR),
    };
    decoder.message(layout, 1)?;
    decoder.lexer.end()?;
    Ok(decoder.out.into_bytes())
}

struct Decoder<'a> {
    lexer: Lexer<'a>,
    out: Output,
    options: &'a Options<'a>,
    limits: &'a Limits,
    /// Per message in progress one bit for each field, then one for each oneof.
    seen: Vec<u64>,
    /// How many bytes may still be read in search of a type URL.
    lookahead_left: usize,
}

/// An `Any` may name its type last, and may hold another; searching each level's text may not
/// add up to more than a few readings of the whole.
const LOOKAHEAD_FACTOR: usize = 4;

/// Whether a value was written; it is not where an unknown enum name is ignored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Yes,
    No,
}

impl<'a> Decoder<'a> {
    /// Reads the value of a message, whatever its JSON form.
    fn message(&mut self, layout: &'static Layout, depth: u32) -> Result<(), WireError> {
        let max_depth = self.limits.depth();
        if depth > max_depth {
            return Err(WireError::TooDeep { max_depth });
        }
        match well_known(layout) {
            Some(form) => self.well_known(form, layout, depth),
            None => self.object(layout, depth, false),
        }
    }

    /// Reads an object whose members are the fields of a message, its type URL too if `in_any`.
    fn object(
        &mut self,
        layout: &'static Layout,
        depth: u32,
        in_any: bool,
    ) -> Result<(), WireError> {
        self.lexer.expect(b'{', "expected an object")?;
        let seen = self.seen.len();
        let bits = layout.fields.len() + layout.oneofs.len();
        self.seen.resize(seen + bits.div_ceil(64), 0);
        let (mut cursor, mut type_expected) = (0, in_any);
        let mut more = !self.lexer.accept(b'}');
        while more {
            let at = self.lexer.position();
            let name = self.lexer.name()?;
            if type_expected && name == TYPE_KEY {
                type_expected = false;
                self.lexer.skip_value(depth, self.limits.depth())?;
            } else if let Some(index) = find(layout, &name, &mut cursor) {
                self.member(layout, index, seen, at, depth)?;
            } else if self.options.ignore_unknown {
                self.lexer.skip_value(depth, self.limits.depth())?;
            } else {
                return Err(Lexer::error_at(at, "the message has no field of this name"));
            }
            more = self.lexer.more(b'}')?;
        }
        self.seen.truncate(seen);
        Ok(())
    }

    /// Reads the value of a field, which is at `at` for the first time in its object.
    fn member(
        &mut self,
        layout: &'static Layout,
        index: usize,
        seen: usize,
        at: usize,
        depth: u32,
    ) -> Result<(), WireError> {
        let field = &layout.fields[index];
        if !self.mark(seen, index) {
            return Err(Lexer::error_at(at, "a field occurs twice"));
        }
        let repeated = matches!(field.shape, Shape::List | Shape::Map(_));
        if self.lexer.peek()? == Next::Null && (repeated || !has_null(&field.kind)) {
            return self.lexer.literal("null");
        }
        match field.shape {
            Shape::List => return self.list(field, depth),
            Shape::Map(key) => return self.map(field, key, depth),
            Shape::Arm(oneof) => {
                if !self.mark(seen, layout.fields.len() + usize::from(oneof)) {
                    return Err(Lexer::error_at(at, "two fields of one oneof are set"));
                }
            }
            Shape::Plain | Shape::Optional { .. } | Shape::Nullable => {}
        }
        self.single(field.number, &field.kind, depth).map(drop)
    }

    /// Sets a bit of the object whose bits begin at `seen`; false if it was set.
    fn mark(&mut self, seen: usize, bit: usize) -> bool {
        let word = &mut self.seen[seen + bit / 64];
        let mask = 1 << (bit % 64);
        let fresh = *word & mask == 0;
        *word |= mask;
        fresh
    }

    /// Reads one value and writes it as field `number`.
    fn single(&mut self, number: u32, kind: &Kind, depth: u32) -> Result<Written, WireError> {
        match kind {
            Kind::Message(layout) => {
                let mark = self.out.open(number);
                self.message(layout, depth + 1)?;
                self.out.close(mark);
            }
            Kind::String => {
                let text = self.text("expected a string")?;
                self.out.delimited(number, text.as_bytes());
            }
            Kind::Bytes => {
                let bytes = self.base64()?;
                self.out.delimited(number, &bytes);
            }
            _ => {
                let Some(bits) = self.scalar(kind)? else {
                    return Ok(Written::No);
                };
                self.out.tagged_scalar(number, kind, bits);
            }
        }
        Ok(Written::Yes)
    }

    fn list(&mut self, field: &Field, depth: u32) -> Result<(), WireError> {
        self.lexer.expect(b'[', "expected an array")?;
        let packed = field.kind.is_scalar().then(|| self.out.open(field.number));
        let mut more = !self.lexer.accept(b']');
        while more {
            self.refuse_null(&field.kind)?;
            if packed.is_none() {
                self.single(field.number, &field.kind, depth)?;
            } else if let Some(bits) = self.scalar(&field.kind)? {
                self.out.scalar(&field.kind, bits);
            }
            more = self.lexer.more(b']')?;
        }
        if let Some(mark) = packed {
            self.out.close(mark);
        }
        Ok(())
    }

    fn map(&mut self, field: &Field, key: MapKey, depth: u32) -> Result<(), WireError> {
        self.lexer.expect(b'{', "expected an object")?;
        let start = self.lexer.position();
        let mut keys = Vec::new();
        let mut more = !self.lexer.accept(b'}');
        while more {
            let name = self.lexer.name()?;
            let entry = self.out.open(field.number);
            let from = self.out.len();
            self.map_key(key, &name)?;
            keys.push((from as u32, self.out.len() as u32));
            self.refuse_null(&field.kind)?;
            match self.single(VALUE_NUMBER, &field.kind, depth)? {
                Written::Yes => self.out.close(entry),
                Written::No => {
                    keys.pop();
                    self.out.abandon(entry, field.number);
                }
            }
            more = self.lexer.more(b'}')?;
        }
        if self.out.has_duplicates(&mut keys) {
            return Err(Lexer::error_at(start, "a key occurs twice"));
        }
        Ok(())
    }

    fn map_key(&mut self, key: MapKey, name: &str) -> Result<(), WireError> {
        let kind = key.kind();
        if key == MapKey::String {
            self.out.delimited(KEY_NUMBER, name.as_bytes());
            return Ok(());
        }
        let bits = match (key, name) {
            (MapKey::Bool, "true") => Some(1),
            (MapKey::Bool, "false") => Some(0),
            (MapKey::Bool, _) => None,
            _ => scalar::integer_bits(&kind, name),
        };
        match bits {
            Some(bits) => {
                self.out.tagged_scalar(KEY_NUMBER, &kind, bits);
                Ok(())
            }
            None => Err(self.lexer.error("a map key does not fit its type")),
        }
    }

    /// Null stands for absence, which elements and map values do not have.
    fn refuse_null(&mut self, kind: &Kind) -> Result<(), WireError> {
        if self.lexer.peek()? == Next::Null && !has_null(kind) {
            return Err(self.lexer.error("null is no element of a list or map"));
        }
        Ok(())
    }

    fn text(&mut self, expected: &'static str) -> Result<Cow<'a, str>, WireError> {
        if self.lexer.peek()? != Next::String {
            return Err(self.lexer.error(expected));
        }
        self.lexer.string()
    }
}

/// Finds a field by either of its names, guessing that members come in field order.
fn find(layout: &Layout, name: &str, cursor: &mut usize) -> Option<usize> {
    let fields = layout.fields;
    let matches = |index: &usize| fields[*index].json_name == name || fields[*index].name == name;
    let index = (*cursor..fields.len()).chain(0..*cursor).find(matches)?;
    *cursor = index + 1;
    Some(index)
}

/// An entry is a message of two fields, which protobuf numbers thus.
const KEY_NUMBER: u32 = 1;
const VALUE_NUMBER: u32 = 2;
