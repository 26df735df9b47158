//! Three revisions of one schema: each appends fields, the third also retires two.

use dreammesh_wire::{Field, Kind, Layout, LayoutHash, MapKey, Oneof, Shape};

/// The field table of `evolve.v1.Inner`.
pub static INNER_1: Layout = Layout::new(
    "evolve.v1.Inner",
    &[
        Field {
            number: 1,
            name: "a",
            json_name: "a",
            kind: Kind::Int32,
            shape: Shape::Plain,
            offset: 0,
        },
        Field {
            number: 2,
            name: "s",
            json_name: "s",
            kind: Kind::String,
            shape: Shape::Plain,
            offset: 4,
        },
    ],
    &[],
    12,
    &[
        LayoutHash([
            0x6b, 0xcb, 0x7d, 0xf6, 0xd4, 0x78, 0xf3, 0xa6, 0xcc, 0x55, 0xf6, 0x3d, 0x19, 0x95,
            0x42, 0xf8,
        ]),
        LayoutHash([
            0x07, 0x40, 0xb9, 0x65, 0xb5, 0x81, 0x89, 0x06, 0xdc, 0xcc, 0x35, 0x42, 0x67, 0xea,
            0x27, 0x9c,
        ]),
        LayoutHash([
            0xc0, 0x49, 0xd5, 0x20, 0xe2, 0xef, 0xb1, 0xf0, 0x8a, 0x35, 0x53, 0x19, 0x64, 0xc7,
            0x78, 0xe3,
        ]),
    ],
);

/// The field table of `evolve.v1.Outer`.
pub static OUTER_1: Layout = Layout::new(
    "evolve.v1.Outer",
    &[
        Field {
            number: 1,
            name: "inner",
            json_name: "inner",
            kind: Kind::Message(&INNER_1),
            shape: Shape::Nullable,
            offset: 0,
        },
        Field {
            number: 2,
            name: "items",
            json_name: "items",
            kind: Kind::Message(&INNER_1),
            shape: Shape::List,
            offset: 8,
        },
        Field {
            number: 3,
            name: "by_name",
            json_name: "byName",
            kind: Kind::Message(&INNER_1),
            shape: Shape::Map(MapKey::String),
            offset: 24,
        },
        Field {
            number: 4,
            name: "text",
            json_name: "text",
            kind: Kind::String,
            shape: Shape::Arm(0),
            offset: 40,
        },
        Field {
            number: 5,
            name: "n",
            json_name: "n",
            kind: Kind::Int32,
            shape: Shape::Plain,
            offset: 52,
        },
        Field {
            number: 6,
            name: "o",
            json_name: "o",
            kind: Kind::Int32,
            shape: Shape::Optional { bit: 448 },
            offset: 57,
        },
    ],
    &[Oneof {
        name: "pick",
        offset: 40,
        arms: &[3],
    }],
    61,
    &[
        LayoutHash([
            0x47, 0xbf, 0xd9, 0x67, 0xf3, 0x50, 0x93, 0xd1, 0xe2, 0xab, 0xea, 0xd8, 0xdd, 0xc5,
            0x8c, 0xed,
        ]),
        LayoutHash([
            0x89, 0x95, 0xc4, 0x2b, 0x3f, 0x47, 0x83, 0xe6, 0xf3, 0xd9, 0xe2, 0xae, 0x17, 0xef,
            0xae, 0x04,
        ]),
        LayoutHash([
            0x48, 0x72, 0xc2, 0x5f, 0x8f, 0x81, 0x6c, 0xa9, 0xf2, 0x22, 0xbe, 0x1f, 0x6f, 0xa6,
            0x5e, 0x1a,
        ]),
        LayoutHash([
            0x23, 0x32, 0x2a, 0xdb, 0xfa, 0x78, 0x7a, 0x7f, 0xdb, 0x85, 0x5e, 0xd6, 0x54, 0x95,
            0x38, 0x43,
        ]),
        LayoutHash([
            0x51, 0x38, 0x6f, 0x7a, 0xe8, 0xee, 0x3b, 0xbf, 0xf3, 0xbb, 0x23, 0x63, 0x38, 0x4f,
            0x0d, 0xff,
        ]),
        LayoutHash([
            0x4b, 0x7e, 0xa1, 0xa5, 0xc4, 0x12, 0xae, 0xbf, 0x33, 0xac, 0x3c, 0x9e, 0x92, 0x69,
            0xa9, 0xaa,
        ]),
        LayoutHash([
            0x7e, 0x5b, 0x00, 0x1e, 0xde, 0x52, 0xd2, 0x72, 0x97, 0xfa, 0x8c, 0x8f, 0xb6, 0x3d,
            0x97, 0x22,
        ]),
    ],
);

/// The field table of `evolve.v1.Inner`.
pub static INNER_2: Layout = Layout::new(
    "evolve.v1.Inner",
    &[
        Field {
            number: 1,
            name: "a",
            json_name: "a",
            kind: Kind::Int32,
            shape: Shape::Plain,
            offset: 0,
        },
        Field {
            number: 2,
            name: "s",
            json_name: "s",
            kind: Kind::String,
            shape: Shape::Plain,
            offset: 4,
        },
        Field {
            number: 3,
            name: "d",
            json_name: "d",
            kind: Kind::Double,
            shape: Shape::Plain,
            offset: 12,
        },
        Field {
            number: 4,
            name: "tags",
            json_name: "tags",
            kind: Kind::String,
            shape: Shape::List,
            offset: 20,
        },
    ],
    &[],
    36,
    &[
        LayoutHash([
            0x6b, 0xcb, 0x7d, 0xf6, 0xd4, 0x78, 0xf3, 0xa6, 0xcc, 0x55, 0xf6, 0x3d, 0x19, 0x95,
            0x42, 0xf8,
        ]),
        LayoutHash([
            0x07, 0x40, 0xb9, 0x65, 0xb5, 0x81, 0x89, 0x06, 0xdc, 0xcc, 0x35, 0x42, 0x67, 0xea,
            0x27, 0x9c,
        ]),
        LayoutHash([
            0xc0, 0x49, 0xd5, 0x20, 0xe2, 0xef, 0xb1, 0xf0, 0x8a, 0x35, 0x53, 0x19, 0x64, 0xc7,
            0x78, 0xe3,
        ]),
        LayoutHash([
            0xe3, 0xfa, 0xb0, 0xbb, 0x1d, 0x7f, 0x4e, 0xf7, 0x8b, 0xf6, 0xfd, 0x53, 0xc6, 0xee,
            0x46, 0x93,
        ]),
        LayoutHash([
            0x59, 0xba, 0xf2, 0x06, 0xd4, 0x8c, 0x81, 0x36, 0x73, 0xf5, 0xb3, 0x2a, 0xc9, 0x2a,
            0xae, 0x15,
        ]),
    ],
);

/// The field table of `evolve.v1.Outer`.
pub static OUTER_2: Layout = Layout::new(
    "evolve.v1.Outer",
    &[
        Field {
            number: 1,
            name: "inner",
            json_name: "inner",
            kind: Kind::Message(&INNER_2),
            shape: Shape::Nullable,
            offset: 0,
        },
        Field {
            number: 2,
            name: "items",
            json_name: "items",
            kind: Kind::Message(&INNER_2),
            shape: Shape::List,
            offset: 8,
        },
        Field {
            number: 3,
            name: "by_name",
            json_name: "byName",
            kind: Kind::Message(&INNER_2),
            shape: Shape::Map(MapKey::String),
            offset: 24,
        },
        Field {
            number: 4,
            name: "text",
            json_name: "text",
            kind: Kind::String,
            shape: Shape::Arm(0),
            offset: 40,
        },
        Field {
            number: 5,
            name: "n",
            json_name: "n",
            kind: Kind::Int32,
            shape: Shape::Plain,
            offset: 52,
        },
        Field {
            number: 6,
            name: "o",
            json_name: "o",
            kind: Kind::Int32,
            shape: Shape::Optional { bit: 448 },
            offset: 57,
        },
        Field {
            number: 7,
            name: "nested",
            json_name: "nested",
            kind: Kind::Message(&INNER_2),
            shape: Shape::Arm(0),
            offset: 40,
        },
        Field {
            number: 8,
            name: "extra",
            json_name: "extra",
            kind: Kind::String,
            shape: Shape::Nullable,
            offset: 61,
        },
    ],
    &[Oneof {
        name: "pick",
        offset: 40,
        arms: &[3, 6],
    }],
    69,
    &[
        LayoutHash([
            0x47, 0xbf, 0xd9, 0x67, 0xf3, 0x50, 0x93, 0xd1, 0xe2, 0xab, 0xea, 0xd8, 0xdd, 0xc5,
            0x8c, 0xed,
        ]),
        LayoutHash([
            0x89, 0x95, 0xc4, 0x2b, 0x3f, 0x47, 0x83, 0xe6, 0xf3, 0xd9, 0xe2, 0xae, 0x17, 0xef,
            0xae, 0x04,
        ]),
        LayoutHash([
            0x48, 0x72, 0xc2, 0x5f, 0x8f, 0x81, 0x6c, 0xa9, 0xf2, 0x22, 0xbe, 0x1f, 0x6f, 0xa6,
            0x5e, 0x1a,
        ]),
        LayoutHash([
            0x23, 0x32, 0x2a, 0xdb, 0xfa, 0x78, 0x7a, 0x7f, 0xdb, 0x85, 0x5e, 0xd6, 0x54, 0x95,
            0x38, 0x43,
        ]),
        LayoutHash([
            0x51, 0x38, 0x6f, 0x7a, 0xe8, 0xee, 0x3b, 0xbf, 0xf3, 0xbb, 0x23, 0x63, 0x38, 0x4f,
            0x0d, 0xff,
        ]),
        LayoutHash([
            0x4b, 0x7e, 0xa1, 0xa5, 0xc4, 0x12, 0xae, 0xbf, 0x33, 0xac, 0x3c, 0x9e, 0x92, 0x69,
            0xa9, 0xaa,
        ]),
        LayoutHash([
            0x7e, 0x5b, 0x00, 0x1e, 0xde, 0x52, 0xd2, 0x72, 0x97, 0xfa, 0x8c, 0x8f, 0xb6, 0x3d,
            0x97, 0x22,
        ]),
        LayoutHash([
            0x37, 0x99, 0x14, 0x4e, 0x5c, 0xf7, 0x6a, 0xa6, 0xe1, 0xd6, 0x22, 0xf7, 0xc3, 0x67,
            0xa1, 0x09,
        ]),
        LayoutHash([
            0x5b, 0xef, 0x53, 0xb3, 0xd1, 0x50, 0x46, 0x7e, 0x65, 0x63, 0xdc, 0x4e, 0xac, 0x88,
            0x1c, 0xf7,
        ]),
    ],
);

/// The field table of `evolve.v1.Inner`.
pub static INNER_3: Layout = Layout::new(
    "evolve.v1.Inner",
    &[
        Field {
            number: 1,
            name: "a",
            json_name: "a",
            kind: Kind::Int32,
            shape: Shape::Plain,
            offset: 0,
        },
        Field {
            number: 3,
            name: "d",
            json_name: "d",
            kind: Kind::Double,
            shape: Shape::Plain,
            offset: 12,
        },
        Field {
            number: 4,
            name: "tags",
            json_name: "tags",
            kind: Kind::String,
            shape: Shape::List,
            offset: 20,
        },
        Field {
            number: 5,
            name: "next",
            json_name: "next",
            kind: Kind::Message(&INNER_3),
            shape: Shape::Nullable,
            offset: 36,
        },
        Field {
            number: 6,
            name: "flag",
            json_name: "flag",
            kind: Kind::Bool,
            shape: Shape::Optional { bit: 352 },
            offset: 45,
        },
    ],
    &[],
    46,
    &[
        LayoutHash([
            0x6b, 0xcb, 0x7d, 0xf6, 0xd4, 0x78, 0xf3, 0xa6, 0xcc, 0x55, 0xf6, 0x3d, 0x19, 0x95,
            0x42, 0xf8,
        ]),
        LayoutHash([
            0x07, 0x40, 0xb9, 0x65, 0xb5, 0x81, 0x89, 0x06, 0xdc, 0xcc, 0x35, 0x42, 0x67, 0xea,
            0x27, 0x9c,
        ]),
        LayoutHash([
            0xc0, 0x49, 0xd5, 0x20, 0xe2, 0xef, 0xb1, 0xf0, 0x8a, 0x35, 0x53, 0x19, 0x64, 0xc7,
            0x78, 0xe3,
        ]),
        LayoutHash([
            0xe3, 0xfa, 0xb0, 0xbb, 0x1d, 0x7f, 0x4e, 0xf7, 0x8b, 0xf6, 0xfd, 0x53, 0xc6, 0xee,
            0x46, 0x93,
        ]),
        LayoutHash([
            0x59, 0xba, 0xf2, 0x06, 0xd4, 0x8c, 0x81, 0x36, 0x73, 0xf5, 0xb3, 0x2a, 0xc9, 0x2a,
            0xae, 0x15,
        ]),
        LayoutHash([
            0x11, 0x7b, 0x42, 0x11, 0x35, 0x7d, 0x46, 0xa1, 0xeb, 0xc8, 0x7f, 0x41, 0x1b, 0x7d,
            0xa3, 0xce,
        ]),
        LayoutHash([
            0x88, 0xa6, 0x0a, 0x67, 0x3c, 0xff, 0xbe, 0x6c, 0xa6, 0x66, 0x7d, 0xc9, 0x84, 0x7e,
            0x62, 0xe3,
        ]),
    ],
);

/// The field table of `evolve.v1.Outer`.
pub static OUTER_3: Layout = Layout::new(
    "evolve.v1.Outer",
    &[
        Field {
            number: 1,
            name: "inner",
            json_name: "inner",
            kind: Kind::Message(&INNER_3),
            shape: Shape::Nullable,
            offset: 0,
        },
        Field {
            number: 2,
            name: "items",
            json_name: "items",
            kind: Kind::Message(&INNER_3),
            shape: Shape::List,
            offset: 8,
        },
        Field {
            number: 3,
            name: "by_name",
            json_name: "byName",
            kind: Kind::Message(&INNER_3),
            shape: Shape::Map(MapKey::String),
            offset: 24,
        },
        Field {
            number: 4,
            name: "text",
            json_name: "text",
            kind: Kind::String,
            shape: Shape::Arm(0),
            offset: 40,
        },
        Field {
            number: 6,
            name: "o",
            json_name: "o",
            kind: Kind::Int32,
            shape: Shape::Optional { bit: 448 },
            offset: 57,
        },
        Field {
            number: 7,
            name: "nested",
            json_name: "nested",
            kind: Kind::Message(&INNER_3),
            shape: Shape::Arm(0),
            offset: 40,
        },
        Field {
            number: 8,
            name: "extra",
            json_name: "extra",
            kind: Kind::String,
            shape: Shape::Nullable,
            offset: 61,
        },
        Field {
            number: 9,
            name: "more",
            json_name: "more",
            kind: Kind::Message(&INNER_3),
            shape: Shape::List,
            offset: 69,
        },
        Field {
            number: 10,
            name: "late",
            json_name: "late",
            kind: Kind::Bool,
            shape: Shape::Optional { bit: 449 },
            offset: 85,
        },
        Field {
            number: 11,
            name: "number",
            json_name: "number",
            kind: Kind::Uint64,
            shape: Shape::Arm(0),
            offset: 40,
        },
    ],
    &[Oneof {
        name: "pick",
        offset: 40,
        arms: &[3, 5, 9],
    }],
    86,
    &[
        LayoutHash([
            0x47, 0xbf, 0xd9, 0x67, 0xf3, 0x50, 0x93, 0xd1, 0xe2, 0xab, 0xea, 0xd8, 0xdd, 0xc5,
            0x8c, 0xed,
        ]),
        LayoutHash([
            0x89, 0x95, 0xc4, 0x2b, 0x3f, 0x47, 0x83, 0xe6, 0xf3, 0xd9, 0xe2, 0xae, 0x17, 0xef,
            0xae, 0x04,
        ]),
        LayoutHash([
            0x48, 0x72, 0xc2, 0x5f, 0x8f, 0x81, 0x6c, 0xa9, 0xf2, 0x22, 0xbe, 0x1f, 0x6f, 0xa6,
            0x5e, 0x1a,
        ]),
        LayoutHash([
            0x23, 0x32, 0x2a, 0xdb, 0xfa, 0x78, 0x7a, 0x7f, 0xdb, 0x85, 0x5e, 0xd6, 0x54, 0x95,
            0x38, 0x43,
        ]),
        LayoutHash([
            0x51, 0x38, 0x6f, 0x7a, 0xe8, 0xee, 0x3b, 0xbf, 0xf3, 0xbb, 0x23, 0x63, 0x38, 0x4f,
            0x0d, 0xff,
        ]),
        LayoutHash([
            0x4b, 0x7e, 0xa1, 0xa5, 0xc4, 0x12, 0xae, 0xbf, 0x33, 0xac, 0x3c, 0x9e, 0x92, 0x69,
            0xa9, 0xaa,
        ]),
        LayoutHash([
            0x7e, 0x5b, 0x00, 0x1e, 0xde, 0x52, 0xd2, 0x72, 0x97, 0xfa, 0x8c, 0x8f, 0xb6, 0x3d,
            0x97, 0x22,
        ]),
        LayoutHash([
            0x37, 0x99, 0x14, 0x4e, 0x5c, 0xf7, 0x6a, 0xa6, 0xe1, 0xd6, 0x22, 0xf7, 0xc3, 0x67,
            0xa1, 0x09,
        ]),
        LayoutHash([
            0x5b, 0xef, 0x53, 0xb3, 0xd1, 0x50, 0x46, 0x7e, 0x65, 0x63, 0xdc, 0x4e, 0xac, 0x88,
            0x1c, 0xf7,
        ]),
        LayoutHash([
            0x97, 0x14, 0xe3, 0xf1, 0xef, 0x61, 0xde, 0xee, 0xc5, 0x3c, 0xe6, 0x27, 0xa8, 0x7e,
            0x99, 0x9f,
        ]),
        LayoutHash([
            0x80, 0xd5, 0x68, 0x22, 0xea, 0xff, 0xec, 0x6a, 0xd2, 0xbc, 0xa3, 0xd7, 0x4f, 0xc8,
            0x95, 0x51,
        ]),
        LayoutHash([
            0x87, 0xba, 0x87, 0xda, 0x7b, 0x81, 0x33, 0x6d, 0xf2, 0x63, 0x24, 0x1d, 0x08, 0x38,
            0x19, 0x30,
        ]),
    ],
);

/// The field table of `evolve.v1.Outer`.
pub static OUTER_BROKEN: Layout = Layout::new(
    "evolve.v1.Outer",
    &[
        Field {
            number: 1,
            name: "inner",
            json_name: "inner",
            kind: Kind::Message(&INNER_1),
            shape: Shape::Nullable,
            offset: 0,
        },
        Field {
            number: 2,
            name: "items",
            json_name: "items",
            kind: Kind::Message(&INNER_1),
            shape: Shape::List,
            offset: 8,
        },
        Field {
            number: 3,
            name: "by_name",
            json_name: "byName",
            kind: Kind::Message(&INNER_1),
            shape: Shape::Map(MapKey::String),
            offset: 24,
        },
        Field {
            number: 4,
            name: "text",
            json_name: "text",
            kind: Kind::String,
            shape: Shape::Arm(0),
            offset: 40,
        },
        Field {
            number: 5,
            name: "n",
            json_name: "n",
            kind: Kind::Int64,
            shape: Shape::Plain,
            offset: 52,
        },
        Field {
            number: 6,
            name: "o",
            json_name: "o",
            kind: Kind::Int32,
            shape: Shape::Optional { bit: 480 },
            offset: 61,
        },
    ],
    &[Oneof {
        name: "pick",
        offset: 40,
        arms: &[3],
    }],
    65,
    &[
        LayoutHash([
            0x47, 0xbf, 0xd9, 0x67, 0xf3, 0x50, 0x93, 0xd1, 0xe2, 0xab, 0xea, 0xd8, 0xdd, 0xc5,
            0x8c, 0xed,
        ]),
        LayoutHash([
            0x89, 0x95, 0xc4, 0x2b, 0x3f, 0x47, 0x83, 0xe6, 0xf3, 0xd9, 0xe2, 0xae, 0x17, 0xef,
            0xae, 0x04,
        ]),
        LayoutHash([
            0x48, 0x72, 0xc2, 0x5f, 0x8f, 0x81, 0x6c, 0xa9, 0xf2, 0x22, 0xbe, 0x1f, 0x6f, 0xa6,
            0x5e, 0x1a,
        ]),
        LayoutHash([
            0x23, 0x32, 0x2a, 0xdb, 0xfa, 0x78, 0x7a, 0x7f, 0xdb, 0x85, 0x5e, 0xd6, 0x54, 0x95,
            0x38, 0x43,
        ]),
        LayoutHash([
            0x51, 0x38, 0x6f, 0x7a, 0xe8, 0xee, 0x3b, 0xbf, 0xf3, 0xbb, 0x23, 0x63, 0x38, 0x4f,
            0x0d, 0xff,
        ]),
        LayoutHash([
            0xfc, 0x95, 0x4f, 0x08, 0x97, 0x26, 0xee, 0xc8, 0xd9, 0xe7, 0x08, 0x7d, 0xfe, 0x57,
            0x31, 0xed,
        ]),
        LayoutHash([
            0x34, 0xbd, 0x31, 0x0b, 0x1e, 0xe6, 0x28, 0x29, 0x5b, 0x0d, 0xfb, 0x72, 0xe8, 0xd6,
            0xd9, 0xb5,
        ]),
    ],
);
