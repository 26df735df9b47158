//! Reading any message by its field table at run time; what the codecs and `Debug` are built on.

mod writer;

use core::fmt;

pub(crate) use self::writer::copy_into;
pub use self::writer::{DynListWriter, DynMapWriter, DynWriter, build};
use crate::error::WireError;
use crate::layout::{Class, Field, Kind, LIST_SIZE, Layout, MapKey, ONEOF_SIZE, REF_SIZE, Shape};
use crate::limits::Limits;
use crate::raw::{self, RawList, RawTable};
use crate::validate;

/// A message read by its field table.
#[derive(Clone, Copy)]
pub struct DynTable<'a> {
    raw: RawTable<'a>,
    layout: &'static Layout,
}

/// One value of any type.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the archive has a closed set of forms"
)]
pub enum Value<'a> {
    /// `bool`
    Bool(bool),
    /// `int32`, `sint32`, `sfixed32`
    I32(i32),
    /// `uint32`, `fixed32`
    U32(u32),
    /// `int64`, `sint64`, `sfixed64`
    I64(i64),
    /// `uint64`, `fixed64`
    U64(u64),
    /// `float`
    F32(f32),
    /// `double`
    F64(f64),
    /// The number of an enum.
    Enum(i32),
    /// `string`
    Str(&'a str),
    /// `bytes`
    Bytes(&'a [u8]),
    /// A message.
    Message(DynTable<'a>),
    /// A repeated field.
    List(DynList<'a>),
    /// A map field.
    Map(DynMap<'a>),
}

impl<'a> DynTable<'a> {
    /// Validates an archive and reads it by `layout`.
    ///
    /// # Errors
    ///
    /// Says which rule of the archived form the bytes break, or which limit they pass.
    pub fn from_archive(
        layout: &'static Layout,
        archive: &'a [u8],
        limits: &Limits,
    ) -> Result<Self, WireError> {
        let root = validate::root(layout, archive, limits)?;
        // SAFETY: this body was just validated for the layout, and the pointer is derived from the
        // whole archive.
        unsafe {
            Ok(Self::from_raw(
                RawTable::new(archive.as_ptr().add(root.body()), root.size()),
                layout,
            ))
        }
    }

    /// A message all of whose fields are absent.
    #[must_use]
    pub const fn empty(layout: &'static Layout) -> Self {
        Self {
            raw: RawTable::empty(),
            layout,
        }
    }

    /// # Safety
    ///
    /// The validator accepted `raw` for `layout`.
    #[inline(always)]
    pub(crate) const unsafe fn from_raw(raw: RawTable<'a>, layout: &'static Layout) -> Self {
        Self { raw, layout }
    }

    /// The field table.
    #[must_use]
    #[inline]
    pub const fn layout(self) -> &'static Layout {
        self.layout
    }

    /// The recorded size of the body.
    #[must_use]
    #[inline]
    pub const fn recorded_size(self) -> u32 {
        self.raw.size()
    }

    /// Raw protobuf fields, tags included, that the writer's schema did not know.
    #[must_use]
    #[inline]
    pub fn unknown_fields(self) -> &'a [u8] {
        self.raw.unknown()
    }

    /// The value of the field at `index` of the layout, if it is present.
    ///
    /// A field with implicit presence is present when it differs from the default, a list or map
    /// when it is not empty, a oneof arm when it is the one that is set.
    ///
    /// # Panics
    ///
    /// If the layout has no such field.
    #[must_use]
    #[inline]
    pub fn present(self, index: usize) -> Option<Value<'a>> {
        let field = &self.layout.fields[index];
        match field.shape {
            Shape::Plain => self.slot_value(field).filter(|value| !value.is_default()),
            Shape::Optional { bit } => self.raw.present(bit).then(|| {
                self.slot_value(field)
                    .unwrap_or_else(|| Value::default_of(&field.kind))
            }),
            Shape::Nullable => {
                let at = self.raw.slot(field.offset, REF_SIZE)?;
                // SAFETY: the validator accepted the slot for this kind.
                unsafe { (raw::word(at) != 0).then(|| slot(&field.kind, at)) }
            }
            Shape::List => {
                let raw = self.elements(field);
                (raw.len() > 0).then_some(Value::List(DynList { raw, field }))
            }
            Shape::Map(key) => {
                let raw = self.elements(field);
                (raw.len() > 0).then_some(Value::Map(DynMap { raw, key, field }))
            }
            Shape::Arm(_) => self.arm(field),
        }
    }

    /// The value of the field at `index`, its default if it is absent.
    ///
    /// # Panics
    ///
    /// If the layout has no such field.
    #[must_use]
    pub fn value(self, index: usize) -> Value<'a> {
        let field = &self.layout.fields[index];
        self.present(index).unwrap_or_else(|| match field.shape {
            Shape::List => Value::List(DynList {
                raw: RawList::empty(),
                field,
            }),
            Shape::Map(key) => Value::Map(DynMap {
                raw: RawList::empty(),
                key,
                field,
            }),
            _ => Value::default_of(&field.kind),
        })
    }

    /// The present fields in ascending order of their numbers.
    pub fn fields(self) -> impl Iterator<Item = (&'static Field, Value<'a>)> {
        let fields = self.layout.fields.iter().enumerate();
        fields.filter_map(move |(index, field)| Some((field, self.present(index)?)))
    }

    /// The field number of the arm that is set in the oneof at `index`, known or not; nought if
    /// none is.
    ///
    /// # Panics
    ///
    /// If the layout has no such oneof.
    #[must_use]
    pub fn oneof(self, index: usize) -> u32 {
        let at = self.raw.slot(self.layout.oneofs[index].offset, ONEOF_SIZE);
        // SAFETY: twelve recorded bytes are there.
        at.map_or(0, |at| unsafe { raw::word(at) })
    }

    /// The bits of a recorded scalar in the low end of 64; nothing where the slot is not recorded.
    #[inline]
    pub(crate) fn scalar_bits(self, field: &Field) -> Option<u64> {
        if !field.kind.is_scalar() {
            return None;
        }
        let size = field.kind.size();
        let at = self.raw.slot(field.offset, size)?;
        // One load of the very size: gathering bytes first would stall on their way back.
        // SAFETY: `size` recorded bytes are there.
        Some(unsafe {
            match size {
                1 => u64::from(*at),
                4 => u64::from(raw::word(at)),
                _ => u64::from_le_bytes(*at.cast::<[u8; 8]>()),
            }
        })
    }

    fn slot_value(self, field: &'static Field) -> Option<Value<'a>> {
        let at = self.raw.slot(field.offset, field.kind.size())?;
        // SAFETY: the validator accepted the slot for this kind.
        Some(unsafe { slot(&field.kind, at) })
    }

    fn elements(self, field: &'static Field) -> RawList<'a> {
        match self.raw.slot(field.offset, LIST_SIZE) {
            // SAFETY: the validator accepted the list slot.
            Some(at) => unsafe { RawList::read(at) },
            None => RawList::empty(),
        }
    }

    fn arm(self, field: &'static Field) -> Option<Value<'a>> {
        let at = self.raw.slot(field.offset, ONEOF_SIZE)?;
        // SAFETY: the tag says that the validator accepted the reference for this arm's kind.
        unsafe {
            if raw::word(at) != field.number {
                return None;
            }
            if !field.kind.is_scalar() {
                return Some(slot(&field.kind, at.add(4)));
            }
            Some(match raw::follow(at.add(4)) {
                Some((target, _)) => slot(&field.kind, target),
                None => Value::default_of(&field.kind),
            })
        }
    }
}

impl fmt::Debug for DynTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.layout.name.rsplit('.').next().unwrap_or_default();
        let mut out = f.debug_struct(name);
        for (field, value) in self.fields() {
            match (value, &field.kind) {
                (Value::Enum(number), Kind::Enum(info)) => match info.name_of(number) {
                    Some(name) => out.field(field.name, &format_args!("{name}")),
                    None => out.field(field.name, &number),
                },
                (Value::Str(text), _) => out.field(field.name, &text),
                (Value::Message(table), _) => out.field(field.name, &table),
                (Value::List(list), _) => out.field(field.name, &list),
                (Value::Map(map), _) => out.field(field.name, &map),
                (other, _) => out.field(field.name, &other),
            };
        }
        if !self.unknown_fields().is_empty() {
            out.field("unknown_fields", &self.unknown_fields());
        }
        out.finish()
    }
}

/// Messages are equal when the same fields are present with equal values.
impl PartialEq for DynTable<'_> {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.layout, other.layout)
            && self.unknown_fields() == other.unknown_fields()
            && (0..self.layout.oneofs.len()).all(|index| self.oneof(index) == other.oneof(index))
            && (0..self.layout.fields.len())
                .all(|index| self.present(index) == other.present(index))
    }
}

impl Value<'_> {
    /// The value of an absent field of this kind.
    #[must_use]
    pub const fn default_of(kind: &Kind) -> Self {
        match kind.class() {
            Class::Bool => Self::Bool(false),
            Class::I32 => Self::I32(0),
            Class::U32 => Self::U32(0),
            Class::I64 => Self::I64(0),
            Class::U64 => Self::U64(0),
            Class::F32 => Self::F32(0.0),
            Class::F64 => Self::F64(0.0),
            Class::Enum => Self::Enum(0),
            Class::Str => Self::Str(""),
            Class::Bytes => Self::Bytes(&[]),
            Class::Message => match kind {
                Kind::Message(layout) => Self::Message(DynTable::empty(layout)),
                _ => Self::Bool(false),
            },
        }
    }

    /// Whether a field with implicit presence is left out for this value; a negative zero is not.
    #[must_use]
    pub fn is_default(&self) -> bool {
        match self {
            Self::Bool(value) => !value,
            Self::I32(value) | Self::Enum(value) => *value == 0,
            Self::U32(value) => *value == 0,
            Self::I64(value) => *value == 0,
            Self::U64(value) => *value == 0,
            Self::F32(value) => value.to_bits() == 0,
            Self::F64(value) => value.to_bits() == 0,
            Self::Str(value) => value.is_empty(),
            Self::Bytes(value) => value.is_empty(),
            Self::Message(_) => false,
            Self::List(list) => list.is_empty(),
            Self::Map(map) => map.is_empty(),
        }
    }
}

/// Reads the slot of one value.
///
/// # Safety
///
/// The validator accepted a slot of this kind at `at`, in an archive that lives for `'a`.
unsafe fn slot<'a>(kind: &Kind, at: *const u8) -> Value<'a> {
    use crate::element::{Access, via};
    // SAFETY: the caller's promise, for the class at hand.
    unsafe {
        match kind.class() {
            Class::Bool => Value::Bool(<via::Scalar as Access<bool>>::slot(at)),
            Class::I32 => Value::I32(<via::Scalar as Access<i32>>::slot(at)),
            Class::U32 => Value::U32(<via::Scalar as Access<u32>>::slot(at)),
            Class::I64 => Value::I64(<via::Scalar as Access<i64>>::slot(at)),
            Class::U64 => Value::U64(<via::Scalar as Access<u64>>::slot(at)),
            Class::F32 => Value::F32(<via::Scalar as Access<f32>>::slot(at)),
            Class::F64 => Value::F64(<via::Scalar as Access<f64>>::slot(at)),
            Class::Enum => Value::Enum(<via::Scalar as Access<i32>>::slot(at)),
            Class::Str => Value::Str(<via::Str as Access<str>>::slot(at)),
            Class::Bytes => Value::Bytes(<via::Bytes as Access<[u8]>>::slot(at)),
            Class::Message => match (kind, raw::follow(at)) {
                (Kind::Message(layout), Some((body, size))) => {
                    Value::Message(DynTable::from_raw(RawTable::new(body, size), layout))
                }
                _ => Value::default_of(kind),
            },
        }
    }
}

/// The elements of a repeated field.
#[derive(Clone, Copy)]
pub struct DynList<'a> {
    raw: RawList<'a>,
    field: &'static Field,
}

impl<'a> DynList<'a> {
    /// The number of elements.
    #[must_use]
    pub const fn len(self) -> usize {
        self.raw.len()
    }

    /// Whether there is no element.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.raw.len() == 0
    }

    /// The field the list belongs to.
    #[must_use]
    pub const fn field(self) -> &'static Field {
        self.field
    }

    /// The element at `index`, if there is one.
    #[must_use]
    pub fn get(self, index: usize) -> Option<Value<'a>> {
        if index >= self.len() {
            return None;
        }
        let at = self.raw.element(index);
        // SAFETY: the validator accepted every element for the field's kind.
        Some(unsafe {
            match &self.field.kind {
                Kind::Message(layout) => Value::Message(DynTable::from_raw(
                    RawTable::new(at, self.raw.element_end()),
                    layout,
                )),
                kind => slot(kind, at),
            }
        })
    }

    /// The elements in order.
    pub fn iter(self) -> impl Iterator<Item = Value<'a>> {
        (0..self.len()).filter_map(move |index| self.get(index))
    }
}

impl fmt::Debug for DynList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for DynList<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

/// The entries of a map field.
#[derive(Clone, Copy)]
pub struct DynMap<'a> {
    raw: RawList<'a>,
    key: MapKey,
    field: &'static Field,
}

impl<'a> DynMap<'a> {
    /// The number of entries.
    #[must_use]
    pub const fn len(self) -> usize {
        self.raw.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.raw.len() == 0
    }

    /// The field the map belongs to.
    #[must_use]
    pub const fn field(self) -> &'static Field {
        self.field
    }

    /// The type of the keys.
    #[must_use]
    pub const fn key(self) -> MapKey {
        self.key
    }

    /// The entry at `index` in the order of the keys, if there is one.
    #[must_use]
    pub fn get(self, index: usize) -> Option<(Value<'a>, Value<'a>)> {
        if index >= self.len() {
            return None;
        }
        let at = self.raw.element(index);
        let key = self.key.kind();
        // SAFETY: the validator accepted every entry for these kinds of key and value.
        Some(unsafe {
            (
                slot(&key, at),
                slot(&self.field.kind, at.add(key.size() as usize)),
            )
        })
    }

    /// The entries in ascending order of their keys.
    pub fn iter(self) -> impl Iterator<Item = (Value<'a>, Value<'a>)> {
        (0..self.len()).filter_map(move |index| self.get(index))
    }
}

impl fmt::Debug for DynMap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl PartialEq for DynMap<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}
