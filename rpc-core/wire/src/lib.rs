//! The archived form of DreamMesh messages: append-only tables that are read in place.
//!
//! A message travels as a tree of tables, children in front of their parents, addressed by
//! relative pointers; `docs/WIRE.md` gives every byte. Receiving is one validation pass and no
//! decoding; fields appended to a message are ignored by old readers and absent to new ones.
//!
//! What it deliberately does not do: it knows no call, no frame and no socket, it never trusts a
//! layout hash, and it compresses nothing.
//!
//! Generated code gives each message its types; what they do can be done by field table as well:
//!
//! ```
//! use dreammesh_wire::dynamic::build;
//! use dreammesh_wire::{
//!     DynTable, Field, Kind, Layout, LayoutHash, Limits, Shape, Value, WireError,
//! };
//!
//! static GREETING: Layout = Layout::new(
//!     "hello.v1.Greeting",
//!     &[Field {
//!         number: 1,
//!         name: "text",
//!         json_name: "text",
//!         kind: Kind::String,
//!         shape: Shape::Plain,
//!         offset: 0,
//!     }],
//!     &[],
//!     8,
//!     &[LayoutHash([0; 16]), LayoutHash([1; 16])],
//! );
//!
//! # fn main() -> Result<(), WireError> {
//! let limits = Limits::default();
//! let segment = build(&GREETING, &limits, |table| table.set(0, Value::Str("hello")))?;
//! let archive = segment.into_bytes();
//! let table = DynTable::from_archive(&GREETING, &archive, &limits)?;
//! assert_eq!(table.present(0), Some(Value::Str("hello")));
//! # Ok(())
//! # }
//! ```

#![allow(unsafe_code, reason = "reading in place is what this room is for")]

pub mod archived;
mod args;
pub mod builder;
pub mod closure;
pub mod dynamic;
pub mod element;
mod error;
#[cfg(feature = "json")]
pub mod json;
pub mod layout;
mod limits;
mod list;
mod map;
mod message;
mod msg;
pub mod protobuf;
mod raw;
#[cfg(test)]
mod sample;
mod segment;
mod table;
mod unknown;
mod validate;

#[doc(hidden)]
pub use rkyv;

pub use self::args::{KeySource, ListArg, MapArg};
pub use self::builder::{BytesSource, Source, TableWriter};
pub use self::dynamic::{DynTable, Value};
pub use self::element::{Element, via};
pub use self::error::WireError;
pub use self::layout::{EnumInfo, Field, Kind, Layout, LayoutHash, MapKey, Oneof, Shape};
pub use self::limits::Limits;
pub use self::list::{ListIter, ListView};
pub use self::map::{MapIter, MapView};
pub use self::message::{Encode, Encoded, IntoMessage, Message, OpenEnum, Origin};
pub use self::msg::Msg;
pub use self::segment::{Part, Segment};
pub use self::table::{Key, Table};
pub use self::unknown::UnknownFields;
