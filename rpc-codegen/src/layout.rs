//! Where each value of a message lies in its archive, and the hashes that tell revisions apart.
//!
//! A layout is append-only: what a slot gets depends on the lower-numbered slots alone, so a message
//! that only gains higher numbers keeps every earlier offset.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::model::{Field, Message, Retired, Scalar, Shape, Type};

/// The slots of a message in ascending field number, retired ones included.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    pub(crate) slots: Vec<Slot>,
    /// The end of the last slot.
    pub(crate) size: u32,
    /// `chain[k]` identifies the first `k` slots.
    pub(crate) chain: Vec<LayoutHash>,
}

/// The place of one field.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) number: u32,
    pub(crate) ty: Type,
    pub(crate) shape: Shape,
    /// Where the slot begins; for an arm, where its oneof does.
    pub(crate) offset: u32,
    /// The presence bit, counted from the start of the body.
    pub(crate) bit: Option<u32>,
    /// The index of the oneof it is an arm of.
    pub(crate) oneof: Option<usize>,
    /// The index of the field that lives in the slot; `None` for a retired one.
    pub(crate) field: Option<usize>,
}

/// 128 bits of a SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LayoutHash(pub(crate) [u8; 16]);

/// Computes the layout of a message from its live and retired fields.
pub(crate) fn lay_out(full_name: &str, fields: &[Field], retired: &[Retired]) -> Layout {
    let mut slots: Vec<Slot> = fields.iter().enumerate().map(Slot::live).collect();
    slots.extend(retired.iter().map(Slot::retired));
    slots.sort_by_key(|slot| slot.number);
    let mut body = Body::default();
    let mut chain = Chain::begin(full_name);
    for slot in &mut slots {
        body.place(slot);
        chain.add(slot);
    }
    Layout {
        slots,
        size: body.end,
        chain: chain.links,
    }
}

/// Hashes the layouts of a message and of everything reachable from it, sorted by name.
pub(crate) fn closure_hash(messages: &[&Message]) -> LayoutHash {
    let mut hash = Sha256::new_with_prefix(CLOSURE_TAG);
    for message in messages {
        hash.update(message.full_name.as_bytes());
        hash.update(b"\n");
        hash.update(message.layout.tip().0);
    }
    LayoutHash::truncate(hash)
}

impl Layout {
    /// Returns the hash of all slots.
    pub(crate) fn tip(&self) -> LayoutHash {
        *self
            .chain
            .last()
            .expect("a chain begins with the link of the name")
    }

    /// Finds a oneof whose slot lies before that of a lower-numbered live field, which a reader that
    /// goes by the live fields alone would look for in the wrong place.
    pub(crate) fn displaced_oneof(&self) -> Option<usize> {
        let mut opened = Vec::new();
        let mut last = 0;
        for (slot, _) in self.live() {
            if slot.oneof.is_some_and(|oneof| opened.contains(&oneof)) {
                continue;
            }
            opened.extend(slot.oneof);
            if slot.offset < last {
                return slot.oneof;
            }
            last = slot.offset;
        }
        None
    }

    /// Finds the index that the generated field table gives the field: retired slots do not count.
    pub(crate) fn live(&self) -> impl Iterator<Item = (&Slot, usize)> {
        self.slots
            .iter()
            .filter_map(|slot| slot.field.map(|field| (slot, field)))
    }
}

impl Slot {
    fn live((index, field): (usize, &Field)) -> Self {
        Self {
            number: field.number,
            ty: field.ty.clone(),
            shape: field.shape,
            offset: 0,
            bit: None,
            oneof: field.oneof,
            field: Some(index),
        }
    }

    fn retired(retired: &Retired) -> Self {
        Self {
            number: retired.number,
            ty: retired.ty.clone(),
            shape: retired.shape,
            offset: 0,
            bit: None,
            oneof: retired.oneof,
            field: None,
        }
    }

    /// Says whether absence is told by a presence bit.
    fn needs_bit(&self) -> bool {
        self.shape == Shape::Optional && self.ty.is_inline()
    }

    fn size(&self) -> u32 {
        match self.shape {
            Shape::List { .. } | Shape::Map { .. } => LIST_SIZE,
            Shape::Arm => ONEOF_SIZE,
            Shape::Plain | Shape::Optional => self.ty.size(),
        }
    }

    /// Returns the word that names the slot's form in the chain and in reports.
    pub(crate) fn form(&self) -> &'static str {
        match self.shape {
            Shape::Plain if !matches!(self.ty, Type::Message(_)) => "plain",
            Shape::Plain => "nullable",
            Shape::Optional if self.ty.is_inline() => "optional",
            Shape::Optional => "nullable",
            Shape::List { .. } => "list",
            Shape::Map { .. } => "map",
            Shape::Arm => "arm",
        }
    }
}

/// The packed body of a table while it grows.
#[derive(Default)]
struct Body {
    end: u32,
    /// Where the current presence byte is, and how many of its bits are given out.
    presence: Option<(u32, u32)>,
    /// Where each oneof lies, by its index.
    oneofs: BTreeMap<usize, u32>,
}

impl Body {
    fn place(&mut self, slot: &mut Slot) {
        if let Some(placed) = slot.oneof.and_then(|oneof| self.oneofs.get(&oneof)) {
            slot.offset = *placed;
            return;
        }
        if slot.needs_bit() {
            slot.bit = Some(self.next_bit());
        }
        slot.offset = self.end;
        self.end += slot.size();
        if let Some(oneof) = slot.oneof {
            self.oneofs.insert(oneof, slot.offset);
        }
    }

    fn next_bit(&mut self) -> u32 {
        let (byte, used) = match self.presence {
            Some((byte, used)) if used < 8 => (byte, used),
            _ => {
                self.end += 1;
                (self.end - 1, 0)
            }
        };
        self.presence = Some((byte, used + 1));
        byte * 8 + used
    }
}

/// A hash over a growing text, one link a slot.
struct Chain {
    hash: Sha256,
    links: Vec<LayoutHash>,
}

impl Chain {
    fn begin(full_name: &str) -> Self {
        let mut hash = Sha256::new_with_prefix(CHAIN_TAG);
        hash.update(full_name.as_bytes());
        hash.update(b"\n");
        Self {
            links: vec![LayoutHash::truncate(hash.clone())],
            hash,
        }
    }

    /// Adds `number kind form offset bit oneof-offset type`, with `-` for what does not apply.
    fn add(&mut self, slot: &Slot) {
        self.hash.update(record(slot).as_bytes());
        self.links.push(LayoutHash::truncate(self.hash.clone()));
    }
}

fn record(slot: &Slot) -> String {
    let mut text = format!("{} {} {}", slot.number, slot.ty.kind_name(), slot.form());
    if let Shape::Map { key } = slot.shape {
        // The key's type belongs to the form: entries of another key do not compare.
        let _ = write!(text, ":{}", key.proto_name());
    }
    let _ = write!(text, " {}", slot.offset);
    match slot.bit {
        Some(bit) => {
            let _ = write!(text, " {bit}");
        }
        None => text.push_str(" -"),
    }
    match slot.shape {
        Shape::Arm => {
            let _ = write!(text, " {}", slot.offset);
        }
        _ => text.push_str(" -"),
    }
    let _ = writeln!(text, " {}", slot.ty.name().unwrap_or("-"));
    text
}

impl LayoutHash {
    fn truncate(hash: Sha256) -> Self {
        let full = hash.finalize();
        let mut short = [0; 16];
        short.copy_from_slice(&full[..16]);
        Self(short)
    }
}

impl fmt::Display for LayoutHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Type {
    /// Says whether the value itself lies in the slot.
    fn is_inline(&self) -> bool {
        match self {
            Self::Scalar(scalar) => !matches!(scalar, Scalar::String | Scalar::Bytes),
            Self::Enum(_) => true,
            Self::Message(_) => false,
        }
    }

    fn size(&self) -> u32 {
        match self {
            Self::Scalar(scalar) => scalar.size(),
            Self::Enum(_) => 4,
            Self::Message(_) => REFERENCE_SIZE,
        }
    }

    /// Returns the word for the kind of value: a scalar's name, `enum` or `message`.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self {
            Self::Scalar(scalar) => scalar.proto_name(),
            Self::Enum(_) => "enum",
            Self::Message(_) => "message",
        }
    }
}

impl Scalar {
    fn size(self) -> u32 {
        match self {
            Self::Bool => 1,
            Self::Float
            | Self::Int32
            | Self::Uint32
            | Self::Sint32
            | Self::Fixed32
            | Self::Sfixed32 => 4,
            Self::Double
            | Self::Int64
            | Self::Uint64
            | Self::Sint64
            | Self::Fixed64
            | Self::Sfixed64 => 8,
            Self::String | Self::Bytes => REFERENCE_SIZE,
        }
    }
}

/// Pointer and length.
const REFERENCE_SIZE: u32 = 8;
/// Pointer, length, stride and element end.
const LIST_SIZE: u32 = 16;
/// Tag, pointer and length.
const ONEOF_SIZE: u32 = 12;
/// Opens the text of every chain; a changed rule for slots needs another number here.
const CHAIN_TAG: &str = "dreammesh layout 1\n";
/// Opens the text of every closure.
const CLOSURE_TAG: &str = "dreammesh closure 1\n";

#[cfg(test)]
mod tests;
