//! What the compiler emits for the messages below, written by hand: every kind of field once.
//!
//! ```proto
//! syntax = "proto3";
//! package sample.v1;
//!
//! enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; COLOR_BLUE = 2; }
//! message Leaf { int32 id = 1; string name = 2; Leaf next = 3; }
//! message Sample {
//!   option (dreammesh.retired) = { number: 27 type: "string" };
//!   bool f_bool = 1;                     // … one of each scalar type up to 15
//!   Color f_color = 16;
//!   optional bool o_bool = 17;           // … optional of several types up to 26
//!   Leaf leaf = 28;
//!   repeated bool r_bool = 29;           // … repeated of several types up to 37
//!   map<string, string> m_string = 38;   // … maps of several types up to 42
//!   oneof choice {
//!     int32 c_int32 = 43; string c_string = 44; Color c_color = 45; Leaf c_leaf = 46;
//!     bytes c_bytes = 47; bool c_bool = 48;
//!   }
//!   other.v1.Place place = 49;           // from another crate
//!   optional sint32 late = 50;           // takes a second presence byte
//! }
//! ```

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use dreammesh_wire::{
    Element, Encode, EnumInfo, Field, Kind, Layout, LayoutHash, ListArg, ListView, MapArg, MapKey,
    MapView, Message, Oneof, OpenEnum, Origin, Shape, Table, TableWriter, UnknownFields, via,
};

/// The names of `sample.v1.Color`.
pub static COLOR_INFO: EnumInfo = EnumInfo {
    name: "sample.v1.Color",
    values: &[
        (0, "COLOR_UNSPECIFIED"),
        (1, "COLOR_RED"),
        (2, "COLOR_BLUE"),
    ],
};

/// Enum `sample.v1.Color`; any number is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Color(pub i32);

impl Color {
    /// The unset value.
    pub const UNSPECIFIED: Self = Self(0);
    /// `COLOR_RED`
    pub const RED: Self = Self(1);
    /// `COLOR_BLUE`
    pub const BLUE: Self = Self(2);
}

impl From<i32> for Color {
    #[inline]
    fn from(number: i32) -> Self {
        Self(number)
    }
}

impl From<Color> for i32 {
    #[inline]
    fn from(value: Color) -> Self {
        value.0
    }
}

impl Element for Color {
    type Via = via::Enum;
}

impl OpenEnum for Color {
    const INFO: &'static EnumInfo = &COLOR_INFO;
}

/// The field table of `sample.v1.Leaf`.
pub static LEAF_LAYOUT: Layout = Layout::new(
    "sample.v1.Leaf",
    &[
        Field {
            number: 1,
            name: "id",
            json_name: "id",
            kind: Kind::Int32,
            shape: Shape::Plain,
            offset: 0,
        },
        Field {
            number: 2,
            name: "name",
            json_name: "name",
            kind: Kind::String,
            shape: Shape::Plain,
            offset: 4,
        },
        Field {
            number: 3,
            name: "next",
            json_name: "next",
            kind: Kind::Message(&LEAF_LAYOUT),
            shape: Shape::Nullable,
            offset: 12,
        },
    ],
    &[],
    20,
    &[
        LayoutHash([
            0xa7, 0x1f, 0xd9, 0x89, 0x0d, 0x6e, 0xb6, 0x1f, 0x28, 0x40, 0xe8, 0xa0, 0xf6, 0x4a,
            0xf3, 0x11,
        ]),
        LayoutHash([
            0x4b, 0x9a, 0x17, 0x00, 0xe9, 0xd2, 0x59, 0x63, 0xab, 0xc4, 0x45, 0x86, 0x0b, 0xe5,
            0x0a, 0xac,
        ]),
        LayoutHash([
            0x2c, 0xc5, 0xd4, 0x37, 0xc8, 0xe2, 0x81, 0x95, 0xf5, 0x69, 0x09, 0x5e, 0x99, 0xd3,
            0x33, 0x5e,
        ]),
        LayoutHash([
            0x53, 0xd9, 0x92, 0x99, 0x79, 0xe6, 0x72, 0x45, 0x68, 0xca, 0x98, 0x74, 0x83, 0xb9,
            0xa5, 0x11,
        ]),
    ],
);

/// Message `sample.v1.Leaf`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leaf {
    /// Field `id`.
    pub id: i32,
    /// Field `name`.
    pub name: String,
    /// Field `next`; boxed because the message contains itself.
    pub next: Option<Box<Leaf>>,
    /// Fields that a peer sent and this schema does not know.
    pub unknown_fields: UnknownFields,
}

/// Reads a [`Leaf`] in place.
#[derive(Clone, Copy, PartialEq)]
pub struct LeafView<'a>(Table<'a, Leaf>);

impl<'a> LeafView<'a> {
    /// Field `id`.
    #[must_use]
    #[inline]
    pub fn id(self) -> i32 {
        self.0.plain::<0, i32>()
    }

    /// Field `name`.
    #[must_use]
    #[inline]
    pub fn name(self) -> &'a str {
        self.0.plain::<1, str>()
    }

    /// Field `next`.
    #[must_use]
    #[inline]
    pub fn next(self) -> Option<LeafView<'a>> {
        self.0.nullable::<2, Leaf>()
    }

    /// Copies everything out.
    #[must_use]
    pub fn into_owned(self) -> Leaf {
        Leaf::from_view(self, &Origin::COPY)
    }
}

/// Borrowed contents of a [`Leaf`].
#[derive(Default)]
pub struct LeafArgs<'a> {
    /// Field `id`.
    pub id: i32,
    /// Field `name`.
    pub name: &'a str,
    /// Field `next`.
    pub next: Option<&'a dyn Encode<Leaf>>,
}

impl Element for Leaf {
    type Via = via::Message;
}

impl Message for Leaf {
    type View<'a> = LeafView<'a>;

    const LAYOUT: &'static Layout = &LEAF_LAYOUT;

    #[inline]
    fn view(table: Table<'_, Self>) -> LeafView<'_> {
        LeafView(table)
    }

    #[inline]
    fn table<'a>(view: Self::View<'a>) -> Table<'a, Self> {
        view.0
    }

    fn from_view(view: LeafView<'_>, origin: &Origin<'_>) -> Self {
        Self {
            id: view.id(),
            name: view.name().to_owned(),
            next: view
                .next()
                .map(|view| Box::new(Leaf::from_view(view, origin))),
            unknown_fields: origin.unknown_fields(view.0.unknown_fields()),
        }
    }
}

impl Encode<Self> for Leaf {
    fn encode(&self, table: &mut TableWriter<'_, Self>) {
        table.unknown_fields(&self.unknown_fields);
        table.plain::<0, i32>(&self.id);
        table.plain::<1, str>(&self.name);
        table.nullable::<2, Leaf>(self.next.as_ref());
    }
}

impl Encode<Leaf> for LeafArgs<'_> {
    fn encode(&self, table: &mut TableWriter<'_, Leaf>) {
        table.plain::<0, i32>(&self.id);
        table.plain::<1, str>(&self.name);
        table.nullable::<2, Leaf>(self.next.as_ref());
    }
}

impl Encode<Leaf> for LeafView<'_> {
    fn encode(&self, table: &mut TableWriter<'_, Leaf>) {
        table.copy(self.0);
    }
}

impl fmt::Debug for LeafView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The field table of `sample.v1.Sample`.
pub static SAMPLE_LAYOUT: Layout = Layout::new(
    "sample.v1.Sample",
    &[
        Field {
            number: 1,
            name: "f_bool",
            json_name: "fBool",
            kind: Kind::Bool,
            shape: Shape::Plain,
            offset: 0,
        },
        Field {
            number: 2,
            name: "f_int32",
            json_name: "fInt32",
            kind: Kind::Int32,
            shape: Shape::Plain,
            offset: 1,
        },
        Field {
            number: 3,
            name: "f_sint32",
            json_name: "fSint32",
            kind: Kind::Sint32,
            shape: Shape::Plain,
            offset: 5,
        },
        Field {
            number: 4,
            name: "f_sfixed32",
            json_name: "fSfixed32",
            kind: Kind::Sfixed32,
            shape: Shape::Plain,
            offset: 9,
        },
        Field {
            number: 5,
            name: "f_uint32",
            json_name: "fUint32",
            kind: Kind::Uint32,
            shape: Shape::Plain,
            offset: 13,
        },
        Field {
            number: 6,
            name: "f_fixed32",
            json_name: "fFixed32",
            kind: Kind::Fixed32,
            shape: Shape::Plain,
            offset: 17,
        },
        Field {
            number: 7,
            name: "f_int64",
            json_name: "fInt64",
            kind: Kind::Int64,
            shape: Shape::Plain,
            offset: 21,
        },
        Field {
            number: 8,
            name: "f_sint64",
            json_name: "fSint64",
            kind: Kind::Sint64,
            shape: Shape::Plain,
            offset: 29,
        },
        Field {
            number: 9,
            name: "f_sfixed64",
            json_name: "fSfixed64",
            kind: Kind::Sfixed64,
            shape: Shape::Plain,
            offset: 37,
        },
        Field {
            number: 10,
            name: "f_uint64",
            json_name: "fUint64",
            kind: Kind::Uint64,
            shape: Shape::Plain,
            offset: 45,
        },
        Field {
            number: 11,
            name: "f_fixed64",
            json_name: "fFixed64",
            kind: Kind::Fixed64,
            shape: Shape::Plain,
            offset: 53,
        },
        Field {
            number: 12,
            name: "f_float",
            json_name: "fFloat",
            kind: Kind::Float,
            shape: Shape::Plain,
            offset: 61,
        },
        Field {
            number: 13,
            name: "f_double",
            json_name: "fDouble",
            kind: Kind::Double,
            shape: Shape::Plain,
            offset: 65,
        },
        Field {
            number: 14,
            name: "f_string",
            json_name: "fString",
            kind: Kind::String,
            shape: Shape::Plain,
            offset: 73,
        },
        Field {
            number: 15,
            name: "f_bytes",
            json_name: "fBytes",
            kind: Kind::Bytes,
            shape: Shape::Plain,
            offset: 81,
        },
        Field {
            number: 16,
            name: "f_color",
            json_name: "fColor",
            kind: Kind::Enum(&COLOR_INFO),
            shape: Shape::Plain,
            offset: 89,
        },
        Field {
            number: 17,
            name: "o_bool",
            json_name: "oBool",
            kind: Kind::Bool,
            shape: Shape::Optional { bit: 744 },
            offset: 94,
        },
        Field {
            number: 18,
            name: "o_int32",
            json_name: "oInt32",
            kind: Kind::Int32,
            shape: Shape::Optional { bit: 745 },
            offset: 95,
        },
        Field {
            number: 19,
            name: "o_uint32",
            json_name: "oUint32",
            kind: Kind::Uint32,
            shape: Shape::Optional { bit: 746 },
            offset: 99,
        },
        Field {
            number: 20,
            name: "o_int64",
            json_name: "oInt64",
            kind: Kind::Int64,
            shape: Shape::Optional { bit: 747 },
            offset: 103,
        },
        Field {
            number: 21,
            name: "o_uint64",
            json_name: "oUint64",
            kind: Kind::Uint64,
            shape: Shape::Optional { bit: 748 },
            offset: 111,
        },
        Field {
            number: 22,
            name: "o_float",
            json_name: "oFloat",
            kind: Kind::Float,
            shape: Shape::Optional { bit: 749 },
            offset: 119,
        },
        Field {
            number: 23,
            name: "o_double",
            json_name: "oDouble",
            kind: Kind::Double,
            shape: Shape::Optional { bit: 750 },
            offset: 123,
        },
        Field {
            number: 24,
            name: "o_color",
            json_name: "oColor",
            kind: Kind::Enum(&COLOR_INFO),
            shape: Shape::Optional { bit: 751 },
            offset: 131,
        },
        Field {
            number: 25,
            name: "o_string",
            json_name: "oString",
            kind: Kind::String,
            shape: Shape::Nullable,
            offset: 135,
        },
        Field {
            number: 26,
            name: "o_bytes",
            json_name: "oBytes",
            kind: Kind::Bytes,
            shape: Shape::Nullable,
            offset: 143,
        },
        Field {
            number: 28,
            name: "leaf",
            json_name: "leaf",
            kind: Kind::Message(&LEAF_LAYOUT),
            shape: Shape::Nullable,
            offset: 159,
        },
        Field {
            number: 29,
            name: "r_bool",
            json_name: "rBool",
            kind: Kind::Bool,
            shape: Shape::List,
            offset: 167,
        },
        Field {
            number: 30,
            name: "r_int32",
            json_name: "rInt32",
            kind: Kind::Int32,
            shape: Shape::List,
            offset: 183,
        },
        Field {
            number: 31,
            name: "r_uint64",
            json_name: "rUint64",
            kind: Kind::Uint64,
            shape: Shape::List,
            offset: 199,
        },
        Field {
            number: 32,
            name: "r_float",
            json_name: "rFloat",
            kind: Kind::Float,
            shape: Shape::List,
            offset: 215,
        },
        Field {
            number: 33,
            name: "r_double",
            json_name: "rDouble",
            kind: Kind::Double,
            shape: Shape::List,
            offset: 231,
        },
        Field {
            number: 34,
            name: "r_string",
            json_name: "rString",
            kind: Kind::String,
            shape: Shape::List,
            offset: 247,
        },
        Field {
            number: 35,
            name: "r_bytes",
            json_name: "rBytes",
            kind: Kind::Bytes,
            shape: Shape::List,
            offset: 263,
        },
        Field {
            number: 36,
            name: "r_color",
            json_name: "rColor",
            kind: Kind::Enum(&COLOR_INFO),
            shape: Shape::List,
            offset: 279,
        },
        Field {
            number: 37,
            name: "r_leaf",
            json_name: "rLeaf",
            kind: Kind::Message(&LEAF_LAYOUT),
            shape: Shape::List,
            offset: 295,
        },
        Field {
            number: 38,
            name: "m_string",
            json_name: "mString",
            kind: Kind::String,
            shape: Shape::Map(MapKey::String),
            offset: 311,
        },
        Field {
            number: 39,
            name: "m_int32",
            json_name: "mInt32",
            kind: Kind::Int64,
            shape: Shape::Map(MapKey::Int32),
            offset: 327,
        },
        Field {
            number: 40,
            name: "m_bool",
            json_name: "mBool",
            kind: Kind::Enum(&COLOR_INFO),
            shape: Shape::Map(MapKey::Bool),
            offset: 343,
        },
        Field {
            number: 41,
            name: "m_leaf",
            json_name: "mLeaf",
            kind: Kind::Message(&LEAF_LAYOUT),
            shape: Shape::Map(MapKey::String),
            offset: 359,
        },
        Field {
            number: 42,
            name: "m_uint64",
            json_name: "mUint64",
            kind: Kind::Bytes,
            shape: Shape::Map(MapKey::Uint64),
            offset: 375,
        },
        Field {
            number: 43,
            name: "c_int32",
            json_name: "cInt32",
            kind: Kind::Int32,
            shape: Shape::Arm(0),
            offset: 391,
        },
        Field {
            number: 44,
            name: "c_string",
            json_name: "cString",
            kind: Kind::String,
            shape: Shape::Arm(0),
            offset: 391,
        },
        Field {
            number: 45,
            name: "c_color",
            json_name: "cColor",
            kind: Kind::Enum(&COLOR_INFO),
            shape: Shape::Arm(0),
            offset: 391,
        },
        Field {
            number: 46,
            name: "c_leaf",
            json_name: "cLeaf",
            kind: Kind::Message(&LEAF_LAYOUT),
            shape: Shape::Arm(0),
            offset: 391,
        },
        Field {
            number: 47,
            name: "c_bytes",
            json_name: "cBytes",
            kind: Kind::Bytes,
            shape: Shape::Arm(0),
            offset: 391,
        },
        Field {
            number: 48,
            name: "c_bool",
            json_name: "cBool",
            kind: Kind::Bool,
            shape: Shape::Arm(0),
            offset: 391,
        },
        Field {
            number: 49,
            name: "place",
            json_name: "place",
            kind: Kind::Message(<other::Place as Message>::LAYOUT),
            shape: Shape::Nullable,
            offset: 403,
        },
        Field {
            number: 50,
            name: "late",
            json_name: "late",
            kind: Kind::Sint32,
            shape: Shape::Optional { bit: 3288 },
            offset: 412,
        },
    ],
    &[Oneof {
        name: "choice",
        offset: 391,
        arms: &[41, 42, 43, 44, 45, 46],
    }],
    416,
    &[
        LayoutHash([
            0x55, 0x07, 0xd1, 0xfc, 0x89, 0x70, 0xd9, 0xf7, 0xba, 0x65, 0x93, 0x80, 0x70, 0x83,
            0x88, 0x35,
        ]),
        LayoutHash([
            0xd3, 0x7f, 0x25, 0x29, 0x4d, 0x27, 0xf4, 0x88, 0x41, 0x59, 0xfe, 0x65, 0x96, 0xcd,
            0x36, 0x17,
        ]),
        LayoutHash([
            0x24, 0x88, 0x15, 0xf0, 0xff, 0x5f, 0x09, 0x3e, 0xbf, 0xa3, 0x20, 0x1e, 0x23, 0x76,
            0x80, 0xfb,
        ]),
        LayoutHash([
            0x6e, 0xc1, 0x62, 0xa0, 0x96, 0x25, 0x60, 0xd7, 0x99, 0x9c, 0xcf, 0xd1, 0x5f, 0xc9,
            0xac, 0xf8,
        ]),
        LayoutHash([
            0xc9, 0x00, 0x7b, 0x16, 0xec, 0xb1, 0xb6, 0xe6, 0x4c, 0xe2, 0xd3, 0x8d, 0xea, 0x82,
            0xd3, 0xa2,
        ]),
        LayoutHash([
            0x2a, 0x60, 0x50, 0x59, 0x22, 0xce, 0x47, 0x02, 0xf2, 0x4a, 0x55, 0xd1, 0xff, 0x92,
            0x6a, 0x70,
        ]),
        LayoutHash([
            0x53, 0x95, 0xd6, 0xa8, 0xa7, 0xcf, 0xf2, 0x09, 0xea, 0x47, 0xb9, 0xf6, 0xac, 0x8d,
            0x0b, 0xc5,
        ]),
        LayoutHash([
            0xb9, 0x4b, 0xd1, 0x9e, 0xe4, 0x7b, 0x6c, 0x6c, 0xd0, 0x8f, 0x2d, 0x9f, 0xc0, 0x57,
            0x48, 0xc6,
        ]),
        LayoutHash([
            0x2f, 0x71, 0x38, 0x1b, 0xfe, 0xe8, 0xe3, 0x55, 0xef, 0x8e, 0xcd, 0xc3, 0xd2, 0xcb,
            0xd3, 0x1f,
        ]),
        LayoutHash([
            0x4e, 0xf0, 0xdc, 0x96, 0x06, 0x5d, 0x96, 0x38, 0x75, 0xbc, 0x11, 0x50, 0x2a, 0xc6,
            0xc1, 0x57,
        ]),
        LayoutHash([
            0xeb, 0x8e, 0xa3, 0x94, 0x45, 0x79, 0xb4, 0xf5, 0x4d, 0xa4, 0x6b, 0x21, 0x6d, 0x29,
            0xed, 0x75,
        ]),
        LayoutHash([
            0x0e, 0x5a, 0xb6, 0x6e, 0x2a, 0x69, 0x00, 0xfb, 0x50, 0x2e, 0x5e, 0x1d, 0x53, 0x12,
            0xf0, 0x36,
        ]),
        LayoutHash([
            0x80, 0xaa, 0x44, 0x30, 0x28, 0x45, 0xe0, 0x36, 0xe2, 0xff, 0x70, 0xea, 0x68, 0x46,
            0x2e, 0x21,
        ]),
        LayoutHash([
            0x1e, 0xed, 0xed, 0x96, 0x33, 0x95, 0x12, 0x16, 0x62, 0x90, 0xda, 0xfe, 0xe5, 0xbe,
            0x90, 0x77,
        ]),
        LayoutHash([
            0x12, 0xc9, 0xd3, 0xfc, 0x8e, 0xa7, 0x12, 0x4d, 0x2c, 0x24, 0x2c, 0x95, 0x33, 0x92,
            0xf4, 0x44,
        ]),
        LayoutHash([
            0xad, 0xb6, 0x84, 0xad, 0x51, 0x0a, 0x11, 0x06, 0xc8, 0xa4, 0x05, 0x58, 0x9a, 0x4c,
            0x3f, 0x43,
        ]),
        LayoutHash([
            0xdc, 0xfb, 0x71, 0xb5, 0xff, 0x48, 0x99, 0xcc, 0x0f, 0x88, 0xaf, 0xb2, 0x22, 0x6a,
            0x97, 0x3a,
        ]),
        LayoutHash([
            0xf9, 0xa9, 0xab, 0xd4, 0x16, 0xf3, 0x05, 0xeb, 0x0b, 0xb1, 0xab, 0x40, 0x37, 0xd0,
            0x1a, 0xe4,
        ]),
        LayoutHash([
            0xab, 0x82, 0xc3, 0xa9, 0x28, 0x04, 0x9c, 0x56, 0x5a, 0xfb, 0x6e, 0x2a, 0x87, 0xbc,
            0xff, 0x4f,
        ]),
        LayoutHash([
            0x10, 0x04, 0xe9, 0xfa, 0x30, 0x35, 0x78, 0x23, 0xd6, 0x9b, 0x6b, 0x74, 0xf0, 0x94,
            0x8c, 0xe4,
        ]),
        LayoutHash([
            0xc9, 0xcb, 0xc1, 0x7e, 0x87, 0x64, 0x05, 0xce, 0xe7, 0x07, 0xc8, 0x0a, 0xc3, 0x8a,
            0xe4, 0x45,
        ]),
        LayoutHash([
            0x20, 0x7e, 0xef, 0x81, 0x16, 0x10, 0x29, 0x5b, 0x73, 0xd3, 0x41, 0x60, 0x9d, 0x73,
            0xc7, 0xfc,
        ]),
        LayoutHash([
            0xc2, 0x0a, 0x8d, 0x99, 0x13, 0x8a, 0xbb, 0x6e, 0xf0, 0xab, 0x77, 0x42, 0x1a, 0xcb,
            0x01, 0x48,
        ]),
        LayoutHash([
            0xfe, 0xa0, 0xa5, 0x9a, 0xd1, 0xf7, 0x4c, 0x48, 0x18, 0xba, 0x98, 0x49, 0x48, 0x2f,
            0x75, 0x87,
        ]),
        LayoutHash([
            0x0e, 0xcf, 0x30, 0x85, 0x6f, 0xfd, 0xd3, 0x4b, 0x00, 0xc5, 0x9d, 0x63, 0x26, 0x8a,
            0x6f, 0xbf,
        ]),
        LayoutHash([
            0x82, 0xeb, 0xa7, 0x3d, 0xde, 0xb0, 0x4d, 0xec, 0x5f, 0x66, 0x26, 0x41, 0x35, 0x42,
            0x8c, 0x46,
        ]),
        LayoutHash([
            0x2a, 0xe3, 0x5c, 0x54, 0x74, 0x5e, 0x66, 0x49, 0xd5, 0xa0, 0x48, 0x49, 0x2d, 0x0f,
            0x99, 0xa3,
        ]),
        LayoutHash([
            0x30, 0x75, 0xe8, 0xe3, 0x32, 0x00, 0x8b, 0x28, 0x74, 0x55, 0x0d, 0x6f, 0x54, 0xef,
            0x5d, 0x77,
        ]),
        LayoutHash([
            0x17, 0x3b, 0x99, 0x20, 0x8e, 0xc3, 0xe0, 0x8b, 0x0f, 0xfc, 0x71, 0x40, 0x5d, 0x84,
            0x71, 0xc3,
        ]),
        LayoutHash([
            0xe6, 0xb3, 0x5e, 0x33, 0x81, 0xa1, 0xf4, 0xd4, 0x60, 0x66, 0xab, 0xab, 0x6e, 0x50,
            0x41, 0x83,
        ]),
        LayoutHash([
            0x4c, 0x0e, 0x36, 0xb2, 0xfd, 0x60, 0x17, 0xda, 0x52, 0xf7, 0x44, 0xb3, 0x89, 0x57,
            0x8c, 0x78,
        ]),
        LayoutHash([
            0x80, 0x88, 0x73, 0xc3, 0x4c, 0x03, 0x7d, 0xae, 0x9e, 0x7b, 0x1f, 0x67, 0xb6, 0x14,
            0x3b, 0x42,
        ]),
        LayoutHash([
            0x9a, 0xca, 0x32, 0xe6, 0x51, 0x9d, 0xb7, 0x31, 0x27, 0x75, 0x32, 0x8f, 0xcf, 0x7a,
            0xcd, 0xdb,
        ]),
        LayoutHash([
            0x89, 0xa3, 0xb8, 0xa1, 0x22, 0x68, 0xc5, 0xda, 0xaa, 0x02, 0x60, 0xb9, 0x10, 0x8d,
            0xb3, 0xc2,
        ]),
        LayoutHash([
            0x18, 0xa2, 0x18, 0xf6, 0x82, 0x68, 0x5d, 0x35, 0x60, 0xeb, 0xf1, 0x2e, 0xbd, 0x5e,
            0xb5, 0xaf,
        ]),
        LayoutHash([
            0x69, 0x43, 0x6e, 0x32, 0xf7, 0xa9, 0x38, 0x21, 0xb0, 0x2e, 0x3b, 0xc3, 0xaa, 0xf4,
            0x29, 0x24,
        ]),
        LayoutHash([
            0x2d, 0x06, 0x1a, 0x3e, 0x61, 0x9f, 0xe1, 0x59, 0xf0, 0xd6, 0x2d, 0xe8, 0x87, 0x67,
            0xe7, 0x08,
        ]),
        LayoutHash([
            0x7b, 0xba, 0x02, 0xef, 0x62, 0x91, 0x4a, 0xd6, 0x61, 0x93, 0x4d, 0xbf, 0xc5, 0x50,
            0x70, 0x87,
        ]),
        LayoutHash([
            0x31, 0x40, 0xf4, 0x3f, 0x23, 0xcb, 0x42, 0x04, 0x55, 0x07, 0x14, 0xd8, 0x2f, 0x10,
            0xd6, 0x7d,
        ]),
        LayoutHash([
            0x68, 0xd8, 0x87, 0xb3, 0x5c, 0xa7, 0x2c, 0xd2, 0xb1, 0x41, 0x46, 0x66, 0x6b, 0x60,
            0xc2, 0x11,
        ]),
        LayoutHash([
            0xd3, 0xb7, 0x47, 0xf5, 0x62, 0xc5, 0x01, 0x9a, 0xe0, 0xc8, 0xfb, 0xdd, 0x6e, 0x2c,
            0x28, 0x5c,
        ]),
        LayoutHash([
            0x59, 0xda, 0x89, 0xef, 0x66, 0x6e, 0x15, 0xe0, 0x56, 0xcf, 0xd4, 0x52, 0x8e, 0xe3,
            0x18, 0x99,
        ]),
        LayoutHash([
            0xbe, 0x8d, 0x7f, 0xfe, 0x1a, 0x22, 0x46, 0x6d, 0xcf, 0xf0, 0x08, 0x37, 0xb6, 0x52,
            0xf6, 0x19,
        ]),
        LayoutHash([
            0x8e, 0x59, 0x42, 0xaa, 0x68, 0xf4, 0x25, 0x77, 0x45, 0x41, 0x38, 0xcc, 0x13, 0x85,
            0x39, 0x80,
        ]),
        LayoutHash([
            0x88, 0x63, 0xd4, 0x2f, 0x10, 0x1a, 0xac, 0xb4, 0x6d, 0xe5, 0x61, 0xf7, 0x8e, 0x68,
            0xce, 0xe1,
        ]),
        LayoutHash([
            0xa5, 0xb5, 0xde, 0x27, 0x87, 0x0f, 0x44, 0x50, 0xb6, 0xab, 0x86, 0xd7, 0x7f, 0xb4,
            0x99, 0xb6,
        ]),
        LayoutHash([
            0x51, 0x52, 0x58, 0x8b, 0xe8, 0x85, 0xcf, 0x0e, 0x5e, 0x6e, 0xa6, 0xe3, 0xa7, 0x48,
            0x3f, 0x6c,
        ]),
        LayoutHash([
            0x9a, 0x41, 0xa4, 0x07, 0x20, 0x87, 0x2b, 0xf6, 0x4a, 0x56, 0xdb, 0x29, 0x62, 0xc4,
            0x9e, 0x6e,
        ]),
        LayoutHash([
            0xfb, 0x8a, 0x3c, 0xba, 0x84, 0xa8, 0x10, 0x51, 0xc0, 0xd0, 0xf6, 0xfe, 0x22, 0x61,
            0x43, 0xb8,
        ]),
        LayoutHash([
            0x4e, 0x8e, 0x60, 0x9f, 0x67, 0x56, 0x28, 0xe2, 0xc5, 0xfe, 0x8a, 0x15, 0xc0, 0x7b,
            0x65, 0x47,
        ]),
        LayoutHash([
            0x24, 0x02, 0x41, 0x55, 0xc2, 0xe2, 0x68, 0x95, 0x11, 0x92, 0x9a, 0x3f, 0xe0, 0x73,
            0x1b, 0x63,
        ]),
    ],
);

/// Message `sample.v1.Sample`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Field `f_bool`.
    pub f_bool: bool,
    /// Field `f_int32`.
    pub f_int32: i32,
    /// Field `f_sint32`.
    pub f_sint32: i32,
    /// Field `f_sfixed32`.
    pub f_sfixed32: i32,
    /// Field `f_uint32`.
    pub f_uint32: u32,
    /// Field `f_fixed32`.
    pub f_fixed32: u32,
    /// Field `f_int64`.
    pub f_int64: i64,
    /// Field `f_sint64`.
    pub f_sint64: i64,
    /// Field `f_sfixed64`.
    pub f_sfixed64: i64,
    /// Field `f_uint64`.
    pub f_uint64: u64,
    /// Field `f_fixed64`.
    pub f_fixed64: u64,
    /// Field `f_float`.
    pub f_float: f32,
    /// Field `f_double`.
    pub f_double: f64,
    /// Field `f_string`.
    pub f_string: String,
    /// Field `f_bytes`.
    pub f_bytes: Bytes,
    /// Field `f_color`.
    pub f_color: Color,
    /// Field `o_bool`.
    pub o_bool: Option<bool>,
    /// Field `o_int32`.
    pub o_int32: Option<i32>,
    /// Field `o_uint32`.
    pub o_uint32: Option<u32>,
    /// Field `o_int64`.
    pub o_int64: Option<i64>,
    /// Field `o_uint64`.
    pub o_uint64: Option<u64>,
    /// Field `o_float`.
    pub o_float: Option<f32>,
    /// Field `o_double`.
    pub o_double: Option<f64>,
    /// Field `o_color`.
    pub o_color: Option<Color>,
    /// Field `o_string`.
    pub o_string: Option<String>,
    /// Field `o_bytes`.
    pub o_bytes: Option<Bytes>,
    /// Field `leaf`.
    pub leaf: Option<Leaf>,
    /// Field `r_bool`.
    pub r_bool: Vec<bool>,
    /// Field `r_int32`.
    pub r_int32: Vec<i32>,
    /// Field `r_uint64`.
    pub r_uint64: Vec<u64>,
    /// Field `r_float`.
    pub r_float: Vec<f32>,
    /// Field `r_double`.
    pub r_double: Vec<f64>,
    /// Field `r_string`.
    pub r_string: Vec<String>,
    /// Field `r_bytes`.
    pub r_bytes: Vec<Bytes>,
    /// Field `r_color`.
    pub r_color: Vec<Color>,
    /// Field `r_leaf`.
    pub r_leaf: Vec<Leaf>,
    /// Field `m_string`.
    pub m_string: BTreeMap<String, String>,
    /// Field `m_int32`.
    pub m_int32: BTreeMap<i32, i64>,
    /// Field `m_bool`.
    pub m_bool: BTreeMap<bool, Color>,
    /// Field `m_leaf`.
    pub m_leaf: BTreeMap<String, Leaf>,
    /// Field `m_uint64`.
    pub m_uint64: BTreeMap<u64, Bytes>,
    /// Field `choice`.
    pub choice: Option<sample::Choice>,
    /// Field `place`.
    pub place: Option<other::Place>,
    /// Field `late`.
    pub late: Option<i32>,
    /// Fields that a peer sent and this schema does not know.
    pub unknown_fields: UnknownFields,
}

/// Reads a [`Sample`] in place.
#[derive(Clone, Copy, PartialEq)]
pub struct SampleView<'a>(Table<'a, Sample>);

impl<'a> SampleView<'a> {
    /// Field `f_bool`.
    #[must_use]
    #[inline]
    pub fn f_bool(self) -> bool {
        self.0.plain::<0, bool>()
    }

    /// Field `f_int32`.
    #[must_use]
    #[inline]
    pub fn f_int32(self) -> i32 {
        self.0.plain::<1, i32>()
    }

    /// Field `f_sint32`.
    #[must_use]
    #[inline]
    pub fn f_sint32(self) -> i32 {
        self.0.plain::<2, i32>()
    }

    /// Field `f_sfixed32`.
    #[must_use]
    #[inline]
    pub fn f_sfixed32(self) -> i32 {
        self.0.plain::<3, i32>()
    }

    /// Field `f_uint32`.
    #[must_use]
    #[inline]
    pub fn f_uint32(self) -> u32 {
        self.0.plain::<4, u32>()
    }

    /// Field `f_fixed32`.
    #[must_use]
    #[inline]
    pub fn f_fixed32(self) -> u32 {
        self.0.plain::<5, u32>()
    }

    /// Field `f_int64`.
    #[must_use]
    #[inline]
    pub fn f_int64(self) -> i64 {
        self.0.plain::<6, i64>()
    }

    /// Field `f_sint64`.
    #[must_use]
    #[inline]
    pub fn f_sint64(self) -> i64 {
        self.0.plain::<7, i64>()
    }

    /// Field `f_sfixed64`.
    #[must_use]
    #[inline]
    pub fn f_sfixed64(self) -> i64 {
        self.0.plain::<8, i64>()
    }

    /// Field `f_uint64`.
    #[must_use]
    #[inline]
    pub fn f_uint64(self) -> u64 {
        self.0.plain::<9, u64>()
    }

    /// Field `f_fixed64`.
    #[must_use]
    #[inline]
    pub fn f_fixed64(self) -> u64 {
        self.0.plain::<10, u64>()
    }

    /// Field `f_float`.
    #[must_use]
    #[inline]
    pub fn f_float(self) -> f32 {
        self.0.plain::<11, f32>()
    }

    /// Field `f_double`.
    #[must_use]
    #[inline]
    pub fn f_double(self) -> f64 {
        self.0.plain::<12, f64>()
    }

    /// Field `f_string`.
    #[must_use]
    #[inline]
    pub fn f_string(self) -> &'a str {
        self.0.plain::<13, str>()
    }

    /// Field `f_bytes`.
    #[must_use]
    #[inline]
    pub fn f_bytes(self) -> &'a [u8] {
        self.0.plain::<14, [u8]>()
    }

    /// Field `f_color`.
    #[must_use]
    #[inline]
    pub fn f_color(self) -> Color {
        self.0.plain::<15, Color>()
    }

    /// Field `o_bool`.
    #[must_use]
    #[inline]
    pub fn o_bool(self) -> Option<bool> {
        self.0.optional::<16, bool>()
    }

    /// Field `o_int32`.
    #[must_use]
    #[inline]
    pub fn o_int32(self) -> Option<i32> {
        self.0.optional::<17, i32>()
    }

    /// Field `o_uint32`.
    #[must_use]
    #[inline]
    pub fn o_uint32(self) -> Option<u32> {
        self.0.optional::<18, u32>()
    }

    /// Field `o_int64`.
    #[must_use]
    #[inline]
    pub fn o_int64(self) -> Option<i64> {
        self.0.optional::<19, i64>()
    }

    /// Field `o_uint64`.
    #[must_use]
    #[inline]
    pub fn o_uint64(self) -> Option<u64> {
        self.0.optional::<20, u64>()
    }

    /// Field `o_float`.
    #[must_use]
    #[inline]
    pub fn o_float(self) -> Option<f32> {
        self.0.optional::<21, f32>()
    }

    /// Field `o_double`.
    #[must_use]
    #[inline]
    pub fn o_double(self) -> Option<f64> {
        self.0.optional::<22, f64>()
    }

    /// Field `o_color`.
    #[must_use]
    #[inline]
    pub fn o_color(self) -> Option<Color> {
        self.0.optional::<23, Color>()
    }

    /// Field `o_string`.
    #[must_use]
    #[inline]
    pub fn o_string(self) -> Option<&'a str> {
        self.0.nullable::<24, str>()
    }

    /// Field `o_bytes`.
    #[must_use]
    #[inline]
    pub fn o_bytes(self) -> Option<&'a [u8]> {
        self.0.nullable::<25, [u8]>()
    }

    /// Field `leaf`.
    #[must_use]
    #[inline]
    pub fn leaf(self) -> Option<LeafView<'a>> {
        self.0.nullable::<26, Leaf>()
    }

    /// Field `r_bool`.
    #[must_use]
    #[inline]
    pub fn r_bool(self) -> ListView<'a, bool> {
        self.0.list::<27, bool>()
    }

    /// Field `r_int32`.
    #[must_use]
    #[inline]
    pub fn r_int32(self) -> ListView<'a, i32> {
        self.0.list::<28, i32>()
    }

    /// Field `r_uint64`.
    #[must_use]
    #[inline]
    pub fn r_uint64(self) -> ListView<'a, u64> {
        self.0.list::<29, u64>()
    }

    /// Field `r_float`.
    #[must_use]
    #[inline]
    pub fn r_float(self) -> ListView<'a, f32> {
        self.0.list::<30, f32>()
    }

    /// Field `r_double`.
    #[must_use]
    #[inline]
    pub fn r_double(self) -> ListView<'a, f64> {
        self.0.list::<31, f64>()
    }

    /// Field `r_string`.
    #[must_use]
    #[inline]
    pub fn r_string(self) -> ListView<'a, str> {
        self.0.list::<32, str>()
    }

    /// Field `r_bytes`.
    #[must_use]
    #[inline]
    pub fn r_bytes(self) -> ListView<'a, [u8]> {
        self.0.list::<33, [u8]>()
    }

    /// Field `r_color`.
    #[must_use]
    #[inline]
    pub fn r_color(self) -> ListView<'a, Color> {
        self.0.list::<34, Color>()
    }

    /// Field `r_leaf`.
    #[must_use]
    #[inline]
    pub fn r_leaf(self) -> ListView<'a, Leaf> {
        self.0.list::<35, Leaf>()
    }

    /// Field `m_string`.
    #[must_use]
    #[inline]
    pub fn m_string(self) -> MapView<'a, str, str> {
        self.0.map::<36, str, str>()
    }

    /// Field `m_int32`.
    #[must_use]
    #[inline]
    pub fn m_int32(self) -> MapView<'a, i32, i64> {
        self.0.map::<37, i32, i64>()
    }

    /// Field `m_bool`.
    #[must_use]
    #[inline]
    pub fn m_bool(self) -> MapView<'a, bool, Color> {
        self.0.map::<38, bool, Color>()
    }

    /// Field `m_leaf`.
    #[must_use]
    #[inline]
    pub fn m_leaf(self) -> MapView<'a, str, Leaf> {
        self.0.map::<39, str, Leaf>()
    }

    /// Field `m_uint64`.
    #[must_use]
    #[inline]
    pub fn m_uint64(self) -> MapView<'a, u64, [u8]> {
        self.0.map::<40, u64, [u8]>()
    }

    /// Field `choice`.
    #[must_use]
    #[inline]
    pub fn choice(self) -> Option<sample::ChoiceView<'a>> {
        match self.0.oneof::<0>() {
            0 => None,
            43 => Some(sample::ChoiceView::CInt32(self.0.arm::<41, i32>())),
            44 => Some(sample::ChoiceView::CString(self.0.arm::<42, str>())),
            45 => Some(sample::ChoiceView::CColor(self.0.arm::<43, Color>())),
            46 => Some(sample::ChoiceView::CLeaf(self.0.arm::<44, Leaf>())),
            47 => Some(sample::ChoiceView::CBytes(self.0.arm::<45, [u8]>())),
            48 => Some(sample::ChoiceView::CBool(self.0.arm::<46, bool>())),
            number => Some(sample::ChoiceView::Unknown(number)),
        }
    }

    /// Field `place`.
    #[must_use]
    #[inline]
    pub fn place(self) -> Option<other::PlaceView<'a>> {
        self.0.nullable::<47, other::Place>()
    }

    /// Field `late`.
    #[must_use]
    #[inline]
    pub fn late(self) -> Option<i32> {
        self.0.optional::<48, i32>()
    }

    /// Copies everything out.
    #[must_use]
    pub fn into_owned(self) -> Sample {
        Sample::from_view(self, &Origin::COPY)
    }
}

/// Borrowed contents of a [`Sample`].
#[derive(Default)]
pub struct SampleArgs<'a> {
    /// Field `f_bool`.
    pub f_bool: bool,
    /// Field `f_int32`.
    pub f_int32: i32,
    /// Field `f_sint32`.
    pub f_sint32: i32,
    /// Field `f_sfixed32`.
    pub f_sfixed32: i32,
    /// Field `f_uint32`.
    pub f_uint32: u32,
    /// Field `f_fixed32`.
    pub f_fixed32: u32,
    /// Field `f_int64`.
    pub f_int64: i64,
    /// Field `f_sint64`.
    pub f_sint64: i64,
    /// Field `f_sfixed64`.
    pub f_sfixed64: i64,
    /// Field `f_uint64`.
    pub f_uint64: u64,
    /// Field `f_fixed64`.
    pub f_fixed64: u64,
    /// Field `f_float`.
    pub f_float: f32,
    /// Field `f_double`.
    pub f_double: f64,
    /// Field `f_string`.
    pub f_string: &'a str,
    /// Field `f_bytes`.
    pub f_bytes: &'a [u8],
    /// Field `f_color`.
    pub f_color: Color,
    /// Field `o_bool`.
    pub o_bool: Option<bool>,
    /// Field `o_int32`.
    pub o_int32: Option<i32>,
    /// Field `o_uint32`.
    pub o_uint32: Option<u32>,
    /// Field `o_int64`.
    pub o_int64: Option<i64>,
    /// Field `o_uint64`.
    pub o_uint64: Option<u64>,
    /// Field `o_float`.
    pub o_float: Option<f32>,
    /// Field `o_double`.
    pub o_double: Option<f64>,
    /// Field `o_color`.
    pub o_color: Option<Color>,
    /// Field `o_string`.
    pub o_string: Option<&'a str>,
    /// Field `o_bytes`.
    pub o_bytes: Option<&'a [u8]>,
    /// Field `leaf`.
    pub leaf: Option<&'a dyn Encode<Leaf>>,
    /// Field `r_bool`.
    pub r_bool: ListArg<'a, bool>,
    /// Field `r_int32`.
    pub r_int32: ListArg<'a, i32>,
    /// Field `r_uint64`.
    pub r_uint64: ListArg<'a, u64>,
    /// Field `r_float`.
    pub r_float: ListArg<'a, f32>,
    /// Field `r_double`.
    pub r_double: ListArg<'a, f64>,
    /// Field `r_string`.
    pub r_string: ListArg<'a, str>,
    /// Field `r_bytes`.
    pub r_bytes: ListArg<'a, [u8]>,
    /// Field `r_color`.
    pub r_color: ListArg<'a, Color>,
    /// Field `r_leaf`.
    pub r_leaf: ListArg<'a, Leaf>,
    /// Field `m_string`.
    pub m_string: MapArg<'a, str, str>,
    /// Field `m_int32`.
    pub m_int32: MapArg<'a, i32, i64>,
    /// Field `m_bool`.
    pub m_bool: MapArg<'a, bool, Color>,
    /// Field `m_leaf`.
    pub m_leaf: MapArg<'a, str, Leaf>,
    /// Field `m_uint64`.
    pub m_uint64: MapArg<'a, u64, [u8]>,
    /// Field `choice`.
    pub choice: Option<sample::ChoiceArgs<'a>>,
    /// Field `place`.
    pub place: Option<&'a dyn Encode<other::Place>>,
    /// Field `late`.
    pub late: Option<i32>,
}

impl Element for Sample {
    type Via = via::Message;
}

impl Message for Sample {
    type View<'a> = SampleView<'a>;

    const LAYOUT: &'static Layout = &SAMPLE_LAYOUT;

    #[inline]
    fn view(table: Table<'_, Self>) -> SampleView<'_> {
        SampleView(table)
    }

    #[inline]
    fn table<'a>(view: Self::View<'a>) -> Table<'a, Self> {
        view.0
    }

    fn from_view(view: SampleView<'_>, origin: &Origin<'_>) -> Self {
        Self {
            f_bool: view.f_bool(),
            f_int32: view.f_int32(),
            f_sint32: view.f_sint32(),
            f_sfixed32: view.f_sfixed32(),
            f_uint32: view.f_uint32(),
            f_fixed32: view.f_fixed32(),
            f_int64: view.f_int64(),
            f_sint64: view.f_sint64(),
            f_sfixed64: view.f_sfixed64(),
            f_uint64: view.f_uint64(),
            f_fixed64: view.f_fixed64(),
            f_float: view.f_float(),
            f_double: view.f_double(),
            f_string: view.f_string().to_owned(),
            f_bytes: origin.bytes(view.f_bytes()),
            f_color: view.f_color(),
            o_bool: view.o_bool(),
            o_int32: view.o_int32(),
            o_uint32: view.o_uint32(),
            o_int64: view.o_int64(),
            o_uint64: view.o_uint64(),
            o_float: view.o_float(),
            o_double: view.o_double(),
            o_color: view.o_color(),
            o_string: view.o_string().map(str::to_owned),
            o_bytes: view.o_bytes().map(|bytes| origin.bytes(bytes)),
            leaf: view.leaf().map(|view| Leaf::from_view(view, origin)),
            r_bool: view.r_bool().to_vec(),
            r_int32: view.r_int32().to_vec(),
            r_uint64: view.r_uint64().to_vec(),
            r_float: view.r_float().to_vec(),
            r_double: view.r_double().to_vec(),
            r_string: view.r_string().iter().map(str::to_owned).collect(),
            r_bytes: view
                .r_bytes()
                .iter()
                .map(|bytes| origin.bytes(bytes))
                .collect(),
            r_color: view.r_color().iter().collect(),
            r_leaf: view
                .r_leaf()
                .iter()
                .map(|view| Leaf::from_view(view, origin))
                .collect(),
            m_string: view
                .m_string()
                .iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            m_int32: view
                .m_int32()
                .iter()
                .map(|(key, value)| (key, value))
                .collect(),
            m_bool: view
                .m_bool()
                .iter()
                .map(|(key, value)| (key, value))
                .collect(),
            m_leaf: view
                .m_leaf()
                .iter()
                .map(|(key, value)| (key.to_owned(), Leaf::from_view(value, origin)))
                .collect(),
            m_uint64: view
                .m_uint64()
                .iter()
                .map(|(key, value)| (key, origin.bytes(value)))
                .collect(),
            choice: view.choice().and_then(|choice| match choice {
                sample::ChoiceView::CInt32(value) => Some(sample::Choice::CInt32(value)),
                sample::ChoiceView::CString(value) => {
                    Some(sample::Choice::CString(value.to_owned()))
                }
                sample::ChoiceView::CColor(value) => Some(sample::Choice::CColor(value)),
                sample::ChoiceView::CLeaf(value) => {
                    Some(sample::Choice::CLeaf(Leaf::from_view(value, origin)))
                }
                sample::ChoiceView::CBytes(value) => {
                    Some(sample::Choice::CBytes(origin.bytes(value)))
                }
                sample::ChoiceView::CBool(value) => Some(sample::Choice::CBool(value)),
                sample::ChoiceView::Unknown(_) => None,
            }),
            place: view
                .place()
                .map(|view| other::Place::from_view(view, origin)),
            late: view.late(),
            unknown_fields: origin.unknown_fields(view.0.unknown_fields()),
        }
    }
}

impl Encode<Self> for Sample {
    fn encode(&self, table: &mut TableWriter<'_, Self>) {
        table.unknown_fields(&self.unknown_fields);
        table.plain::<0, bool>(&self.f_bool);
        table.plain::<1, i32>(&self.f_int32);
        table.plain::<2, i32>(&self.f_sint32);
        table.plain::<3, i32>(&self.f_sfixed32);
        table.plain::<4, u32>(&self.f_uint32);
        table.plain::<5, u32>(&self.f_fixed32);
        table.plain::<6, i64>(&self.f_int64);
        table.plain::<7, i64>(&self.f_sint64);
        table.plain::<8, i64>(&self.f_sfixed64);
        table.plain::<9, u64>(&self.f_uint64);
        table.plain::<10, u64>(&self.f_fixed64);
        table.plain::<11, f32>(&self.f_float);
        table.plain::<12, f64>(&self.f_double);
        table.plain::<13, str>(&self.f_string);
        table.plain::<14, [u8]>(&self.f_bytes);
        table.plain::<15, Color>(&self.f_color);
        table.optional::<16, bool>(self.o_bool);
        table.optional::<17, i32>(self.o_int32);
        table.optional::<18, u32>(self.o_uint32);
        table.optional::<19, i64>(self.o_int64);
        table.optional::<20, u64>(self.o_uint64);
        table.optional::<21, f32>(self.o_float);
        table.optional::<22, f64>(self.o_double);
        table.optional::<23, Color>(self.o_color);
        table.nullable::<24, str>(self.o_string.as_ref());
        table.nullable::<25, [u8]>(self.o_bytes.as_ref());
        table.nullable::<26, Leaf>(self.leaf.as_ref());
        table.list::<27, bool>(&self.r_bool);
        table.list::<28, i32>(&self.r_int32);
        table.list::<29, u64>(&self.r_uint64);
        table.list::<30, f32>(&self.r_float);
        table.list::<31, f64>(&self.r_double);
        table.list::<32, str>(&self.r_string);
        table.list::<33, [u8]>(&self.r_bytes);
        table.list::<34, Color>(&self.r_color);
        table.list::<35, Leaf>(&self.r_leaf);
        table.map::<36, str, str>(&self.m_string);
        table.map::<37, i32, i64>(&self.m_int32);
        table.map::<38, bool, Color>(&self.m_bool);
        table.map::<39, str, Leaf>(&self.m_leaf);
        table.map::<40, u64, [u8]>(&self.m_uint64);
        match &self.choice {
            None => {}
            Some(sample::Choice::CInt32(value)) => table.arm::<41, i32>(value),
            Some(sample::Choice::CString(value)) => table.arm::<42, str>(value),
            Some(sample::Choice::CColor(value)) => table.arm::<43, Color>(value),
            Some(sample::Choice::CLeaf(value)) => table.arm::<44, Leaf>(value),
            Some(sample::Choice::CBytes(value)) => table.arm::<45, [u8]>(value),
            Some(sample::Choice::CBool(value)) => table.arm::<46, bool>(value),
        }
        table.nullable::<47, other::Place>(self.place.as_ref());
        table.optional::<48, i32>(self.late);
    }
}

impl Encode<Sample> for SampleArgs<'_> {
    fn encode(&self, table: &mut TableWriter<'_, Sample>) {
        table.plain::<0, bool>(&self.f_bool);
        table.plain::<1, i32>(&self.f_int32);
        table.plain::<2, i32>(&self.f_sint32);
        table.plain::<3, i32>(&self.f_sfixed32);
        table.plain::<4, u32>(&self.f_uint32);
        table.plain::<5, u32>(&self.f_fixed32);
        table.plain::<6, i64>(&self.f_int64);
        table.plain::<7, i64>(&self.f_sint64);
        table.plain::<8, i64>(&self.f_sfixed64);
        table.plain::<9, u64>(&self.f_uint64);
        table.plain::<10, u64>(&self.f_fixed64);
        table.plain::<11, f32>(&self.f_float);
        table.plain::<12, f64>(&self.f_double);
        table.plain::<13, str>(&self.f_string);
        table.plain::<14, [u8]>(&self.f_bytes);
        table.plain::<15, Color>(&self.f_color);
        table.optional::<16, bool>(self.o_bool);
        table.optional::<17, i32>(self.o_int32);
        table.optional::<18, u32>(self.o_uint32);
        table.optional::<19, i64>(self.o_int64);
        table.optional::<20, u64>(self.o_uint64);
        table.optional::<21, f32>(self.o_float);
        table.optional::<22, f64>(self.o_double);
        table.optional::<23, Color>(self.o_color);
        table.nullable::<24, str>(self.o_string.as_ref());
        table.nullable::<25, [u8]>(self.o_bytes.as_ref());
        table.nullable::<26, Leaf>(self.leaf.as_ref());
        table.list_with::<27, bool>(|list| self.r_bool.write(list));
        table.list_with::<28, i32>(|list| self.r_int32.write(list));
        table.list_with::<29, u64>(|list| self.r_uint64.write(list));
        table.list_with::<30, f32>(|list| self.r_float.write(list));
        table.list_with::<31, f64>(|list| self.r_double.write(list));
        table.list_with::<32, str>(|list| self.r_string.write(list));
        table.list_with::<33, [u8]>(|list| self.r_bytes.write(list));
        table.list_with::<34, Color>(|list| self.r_color.write(list));
        table.list_with::<35, Leaf>(|list| self.r_leaf.write(list));
        table.map_with::<36, str, str>(|map| self.m_string.write(map));
        table.map_with::<37, i32, i64>(|map| self.m_int32.write(map));
        table.map_with::<38, bool, Color>(|map| self.m_bool.write(map));
        table.map_with::<39, str, Leaf>(|map| self.m_leaf.write(map));
        table.map_with::<40, u64, [u8]>(|map| self.m_uint64.write(map));
        match &self.choice {
            None => {}
            Some(sample::ChoiceArgs::CInt32(value)) => table.arm::<41, i32>(value),
            Some(sample::ChoiceArgs::CString(value)) => table.arm::<42, str>(value),
            Some(sample::ChoiceArgs::CColor(value)) => table.arm::<43, Color>(value),
            Some(sample::ChoiceArgs::CLeaf(value)) => table.arm::<44, Leaf>(*value),
            Some(sample::ChoiceArgs::CBytes(value)) => table.arm::<45, [u8]>(value),
            Some(sample::ChoiceArgs::CBool(value)) => table.arm::<46, bool>(value),
        }
        table.nullable::<47, other::Place>(self.place.as_ref());
        table.optional::<48, i32>(self.late);
    }
}

impl Encode<Sample> for SampleView<'_> {
    fn encode(&self, table: &mut TableWriter<'_, Sample>) {
        table.copy(self.0);
    }
}

impl fmt::Debug for SampleView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is nested in `sample.v1.Sample`.
pub mod sample {
    use super::{Bytes, Color, Encode, Leaf, LeafView};

    /// Oneof `choice`.
    #[derive(Clone, Debug, PartialEq)]
    pub enum Choice {
        /// Field `c_int32`.
        CInt32(i32),
        /// Field `c_string`.
        CString(String),
        /// Field `c_color`.
        CColor(Color),
        /// Field `c_leaf`.
        CLeaf(Leaf),
        /// Field `c_bytes`.
        CBytes(Bytes),
        /// Field `c_bool`.
        CBool(bool),
    }

    /// Oneof `choice`, borrowed.
    pub enum ChoiceArgs<'a> {
        /// Field `c_int32`.
        CInt32(i32),
        /// Field `c_string`.
        CString(&'a str),
        /// Field `c_color`.
        CColor(Color),
        /// Field `c_leaf`.
        CLeaf(&'a dyn Encode<Leaf>),
        /// Field `c_bytes`.
        CBytes(&'a [u8]),
        /// Field `c_bool`.
        CBool(bool),
    }

    /// Oneof `choice`, read in place.
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[non_exhaustive]
    pub enum ChoiceView<'a> {
        /// Field `c_int32`.
        CInt32(i32),
        /// Field `c_string`.
        CString(&'a str),
        /// Field `c_color`.
        CColor(Color),
        /// Field `c_leaf`.
        CLeaf(LeafView<'a>),
        /// Field `c_bytes`.
        CBytes(&'a [u8]),
        /// Field `c_bool`.
        CBool(bool),
        /// An arm that this schema does not know, by its field number.
        Unknown(u32),
    }
}

/// What another crate's generated code holds.
pub mod other {
    use std::fmt;

    use dreammesh_wire::{
        Element, Encode, Field, Kind, Layout, LayoutHash, Message, Origin, Shape, Table,
        TableWriter, UnknownFields, via,
    };

    /// The field table of `other.v1.Place`.
    pub static PLACE_LAYOUT: Layout = Layout::new(
        "other.v1.Place",
        &[
            Field {
                number: 1,
                name: "lat",
                json_name: "lat",
                kind: Kind::Double,
                shape: Shape::Plain,
                offset: 0,
            },
            Field {
                number: 2,
                name: "lon",
                json_name: "lon",
                kind: Kind::Double,
                shape: Shape::Plain,
                offset: 8,
            },
        ],
        &[],
        16,
        &[
            LayoutHash([
                0x78, 0xa0, 0x38, 0x28, 0x1b, 0xd2, 0xc7, 0xaf, 0xf7, 0x1a, 0xa7, 0xc0, 0xf6, 0x9d,
                0xf1, 0x2d,
            ]),
            LayoutHash([
                0x0e, 0x14, 0x41, 0xe2, 0xf9, 0x48, 0x88, 0xb5, 0x58, 0x12, 0x65, 0x07, 0xa1, 0x56,
                0x1c, 0x71,
            ]),
            LayoutHash([
                0x1c, 0x16, 0x61, 0xf7, 0x00, 0x8c, 0x9a, 0xb6, 0xfa, 0x8d, 0xb6, 0xc8, 0xfc, 0x8a,
                0x24, 0x95,
            ]),
        ],
    );

    /// Message `other.v1.Place`.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Place {
        /// Field `lat`.
        pub lat: f64,
        /// Field `lon`.
        pub lon: f64,
        /// Fields that a peer sent and this schema does not know.
        pub unknown_fields: UnknownFields,
    }

    /// Reads a [`Place`] in place.
    #[derive(Clone, Copy, PartialEq)]
    pub struct PlaceView<'a>(Table<'a, Place>);

    impl<'a> PlaceView<'a> {
        /// Field `lat`.
        #[must_use]
        #[inline]
        pub fn lat(self) -> f64 {
            self.0.plain::<0, f64>()
        }

        /// Field `lon`.
        #[must_use]
        #[inline]
        pub fn lon(self) -> f64 {
            self.0.plain::<1, f64>()
        }

        /// Copies everything out.
        #[must_use]
        pub fn into_owned(self) -> Place {
            Place::from_view(self, &Origin::COPY)
        }
    }

    /// Borrowed contents of a [`Place`].
    #[derive(Default)]
    pub struct PlaceArgs {
        /// Field `lat`.
        pub lat: f64,
        /// Field `lon`.
        pub lon: f64,
    }

    impl Element for Place {
        type Via = via::Message;
    }

    impl Message for Place {
        type View<'a> = PlaceView<'a>;

        const LAYOUT: &'static Layout = &PLACE_LAYOUT;

        #[inline]
        fn view(table: Table<'_, Self>) -> PlaceView<'_> {
            PlaceView(table)
        }

        #[inline]
        fn table<'a>(view: Self::View<'a>) -> Table<'a, Self> {
            view.0
        }

        fn from_view(view: PlaceView<'_>, origin: &Origin<'_>) -> Self {
            Self {
                lat: view.lat(),
                lon: view.lon(),
                unknown_fields: origin.unknown_fields(view.0.unknown_fields()),
            }
        }
    }

    impl Encode<Self> for Place {
        fn encode(&self, table: &mut TableWriter<'_, Self>) {
            table.unknown_fields(&self.unknown_fields);
            table.plain::<0, f64>(&self.lat);
            table.plain::<1, f64>(&self.lon);
        }
    }

    impl Encode<Place> for PlaceArgs {
        fn encode(&self, table: &mut TableWriter<'_, Place>) {
            table.plain::<0, f64>(&self.lat);
            table.plain::<1, f64>(&self.lon);
        }
    }

    impl Encode<Place> for PlaceView<'_> {
        fn encode(&self, table: &mut TableWriter<'_, Place>) {
            table.copy(self.0);
        }
    }

    impl fmt::Debug for PlaceView<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)
        }
    }
}
