//! Layouts for tests, put together at run time by the rules that the compiler follows.

use crate::layout::{EnumInfo, Field, Kind, Layout, LayoutHash, MapKey, Oneof, Shape};

/// How a sample field occurs.
#[derive(Clone, Copy)]
pub(crate) enum Label {
    Plain,
    Optional,
    Repeated,
    Map(MapKey),
    /// An arm of the oneof with this name.
    Arm(&'static str),
}

/// A message under construction.
pub(crate) struct Sample {
    name: &'static str,
    fields: Vec<Field>,
    oneofs: Vec<(&'static str, u32, Vec<u16>)>,
    size: u32,
    /// The next free presence bit, if a byte has one left.
    bit: u32,
}

pub(crate) const KIND: &EnumInfo = &EnumInfo {
    name: "sample.Kind",
    values: &[(0, "NONE"), (1, "ONE"), (-1, "MINUS"), (1, "UNO")],
};

impl Sample {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            fields: Vec::new(),
            oneofs: Vec::new(),
            size: 0,
            bit: 0,
        }
    }

    /// Adds a field; numbers ascend. The JSON name is the name as it is.
    pub(crate) fn field(
        mut self,
        number: u32,
        name: &'static str,
        kind: Kind,
        label: Label,
    ) -> Self {
        let index = u16::try_from(self.fields.len()).unwrap();
        let (shape, offset) = match label {
            Label::Arm(oneof) => {
                let at = self.oneofs.iter().position(|(name, ..)| *name == oneof);
                let at = at.unwrap_or_else(|| {
                    let offset = self.slot(12);
                    self.oneofs.push((oneof, offset, Vec::new()));
                    self.oneofs.len() - 1
                });
                self.oneofs[at].2.push(index);
                (Shape::Arm(u16::try_from(at).unwrap()), self.oneofs[at].1)
            }
            Label::Repeated => (Shape::List, self.slot(16)),
            Label::Map(key) => (Shape::Map(key), self.slot(16)),
            Label::Optional if kind.is_scalar() => {
                if self.bit.is_multiple_of(8) {
                    self.bit = 8 * self.slot(1);
                }
                let bit = self.bit;
                self.bit += 1;
                (Shape::Optional { bit }, self.slot(kind.size()))
            }
            Label::Optional => (Shape::Nullable, self.slot(kind.size())),
            Label::Plain if matches!(kind, Kind::Message(_)) => (Shape::Nullable, self.slot(8)),
            Label::Plain => (Shape::Plain, self.slot(kind.size())),
        };
        self.fields.push(Field {
            number,
            name,
            json_name: name,
            kind,
            shape,
            offset,
        });
        self
    }

    pub(crate) fn leak(self) -> &'static Layout {
        let oneofs = self.oneofs.into_iter().map(|(name, offset, arms)| Oneof {
            name,
            offset,
            arms: Vec::leak(arms),
        });
        let oneofs = Vec::leak(oneofs.collect());
        let layout = Layout::new(self.name, Vec::leak(self.fields), oneofs, self.size, CHAIN);
        Box::leak(Box::new(layout))
    }

    fn slot(&mut self, size: u32) -> u32 {
        let offset = self.size;
        self.size += size;
        offset
    }
}

/// Every kind of field in every shape, numbers as in [`all_kinds_number`].
pub(crate) fn all_kinds() -> &'static Layout {
    static LAYOUT: std::sync::OnceLock<&'static Layout> = std::sync::OnceLock::new();
    LAYOUT.get_or_init(|| {
        let node = node();
        let mut sample = Sample::new("sample.AllKinds");
        let kinds = || {
            KINDS
                .iter()
                .copied()
                .chain([Kind::Message(node)])
                .enumerate()
        };
        for (block, label) in [
            Label::Plain,
            Label::Optional,
            Label::Repeated,
            Label::Arm("one"),
        ]
        .into_iter()
        .enumerate()
        {
            for (index, kind) in kinds() {
                sample = sample.field(number(block, index), "f", kind, label);
            }
        }
        for (index, key) in KEYS.iter().enumerate() {
            let value = kinds().nth(index).unwrap().1;
            sample = sample.field(number(4, index), "f", value, Label::Map(*key));
        }
        for (index, kind) in kinds() {
            sample = sample.field(number(5, index), "f", kind, Label::Map(MapKey::String));
        }
        sample.leak()
    })
}

/// The number of the field in [`all_kinds`] of block (plain, optional, repeated, oneof, map by
/// key, map by value) and kind.
pub(crate) const fn number(block: usize, kind: usize) -> u32 {
    (1 + 20 * block + kind) as u32
}

pub(crate) const KINDS: [Kind; 16] = [
    Kind::Bool,
    Kind::Int32,
    Kind::Sint32,
    Kind::Sfixed32,
    Kind::Uint32,
    Kind::Fixed32,
    Kind::Int64,
    Kind::Sint64,
    Kind::Sfixed64,
    Kind::Uint64,
    Kind::Fixed64,
    Kind::Float,
    Kind::Double,
    Kind::Enum(KIND),
    Kind::String,
    Kind::Bytes,
];

const KEYS: [MapKey; 12] = [
    MapKey::Bool,
    MapKey::Int32,
    MapKey::Sint32,
    MapKey::Sfixed32,
    MapKey::Uint32,
    MapKey::Fixed32,
    MapKey::Int64,
    MapKey::Sint64,
    MapKey::Sfixed64,
    MapKey::Uint64,
    MapKey::Fixed64,
    MapKey::String,
];

/// A message that nests itself in every way; fields 1 id, 2 name, 3 next, 4 nodes, 5 by_name,
/// 6 note and 7 node in a oneof, 8 values.
pub(crate) fn node() -> &'static Layout {
    &NODE
}

static NODE: Layout = Layout::new(
    "sample.Node",
    &[
        plain(1, "id", Kind::Uint64, Shape::Plain, 0),
        plain(2, "name", Kind::String, Shape::Plain, 8),
        plain(3, "next", Kind::Message(&NODE), Shape::Nullable, 16),
        plain(4, "nodes", Kind::Message(&NODE), Shape::List, 24),
        plain(
            5,
            "by_name",
            Kind::Message(&NODE),
            Shape::Map(MapKey::String),
            40,
        ),
        plain(6, "note", Kind::String, Shape::Arm(0), 56),
        plain(7, "node", Kind::Message(&NODE), Shape::Arm(0), 56),
        plain(8, "values", Kind::Int32, Shape::List, 68),
    ],
    &[Oneof {
        name: "choice",
        offset: 56,
        arms: &[5, 6],
    }],
    84,
    CHAIN,
);

/// Tests compare no layouts, so any link will do.
const CHAIN: &[LayoutHash] = &[LayoutHash([0; 16])];

const fn plain(number: u32, name: &'static str, kind: Kind, shape: Shape, offset: u32) -> Field {
    Field {
        number,
        name,
        json_name: name,
        kind,
        shape,
        offset,
    }
}
