//! Constant field tables: where each field of a message sits in its archive.
//!
//! The compiler computes a [`Layout`] per message and emits it as a `static`; everything that is
//! not on the hottest path (validation, the protobuf and JSON codecs, `Debug`) is driven by it.

use core::fmt;

use crate::message::{Message, OpenEnum};

/// The field table of one message type.
///
/// Identity is the address of the `static`: two layouts are the same only if they are one object.
#[derive(Debug)]
#[non_exhaustive]
pub struct Layout {
    /// The full protobuf name, without a leading dot.
    pub name: &'static str,
    // The tables are not public fields: whoever could exchange them behind the constructor's back
    // could have slots read that validation never visited.
    /// The live fields in ascending field number; retired slots are gaps.
    pub(crate) fields: &'static [Field],
    /// The oneofs, in the order of their slots.
    pub(crate) oneofs: &'static [Oneof],
    /// The end of the last slot: the recorded size of a body that drops nothing.
    pub size: u32,
    /// `chain[k]` identifies the first `k` fields (retired ones included); never empty.
    pub chain: &'static [LayoutHash],
    /// Which of the first 64 fields open a slot that leads elsewhere: what validation visits.
    followed: u64,
}

/// One live field.
#[derive(Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "generated code writes it as a constant"
)]
pub struct Field {
    /// The protobuf field number.
    pub number: u32,
    /// The name in the `.proto` file.
    pub name: &'static str,
    /// The lowerCamelCase name of the JSON mapping.
    pub json_name: &'static str,
    /// The type of the value, of each list element, or of each map value.
    pub kind: Kind,
    /// How often the value occurs, and how absence is told.
    pub shape: Shape,
    /// Where the slot begins, counted from the start of the table body.
    pub offset: u32,
}

/// A group of fields of which at most one is set.
#[derive(Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "generated code writes it as a constant"
)]
pub struct Oneof {
    /// The name in the `.proto` file.
    pub name: &'static str,
    /// Where the 12-byte slot begins.
    pub offset: u32,
    /// Indices into [`Layout::fields`], ascending; never empty.
    pub arms: &'static [u16],
}

/// The type of a single value.
#[derive(Clone, Copy)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the set of protobuf types is closed"
)]
pub enum Kind {
    /// `bool`
    Bool,
    /// `int32`
    Int32,
    /// `sint32`
    Sint32,
    /// `sfixed32`
    Sfixed32,
    /// `uint32`
    Uint32,
    /// `fixed32`
    Fixed32,
    /// `int64`
    Int64,
    /// `sint64`
    Sint64,
    /// `sfixed64`
    Sfixed64,
    /// `uint64`
    Uint64,
    /// `fixed64`
    Fixed64,
    /// `float`
    Float,
    /// `double`
    Double,
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// An enum, archived as its number.
    Enum(&'static EnumInfo),
    /// A nested message.
    Message(&'static Layout),
}

/// How a field's value occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the set of protobuf labels is closed"
)]
pub enum Shape {
    /// One value with implicit presence: scalars, enums, `string` and `bytes`.
    Plain,
    /// One scalar or enum with explicit presence; `bit` is `8 * byte offset + bit in the byte`.
    Optional {
        /// Where the presence bit is, counted in bits from the start of the table body.
        bit: u32,
    },
    /// One value whose absence is a null pointer: messages, and `optional` `string` and `bytes`.
    Nullable,
    /// Any number of values.
    List,
    /// A map; the field's kind is that of the values.
    Map(MapKey),
    /// An arm of `oneofs[index]`; its offset is the oneof's.
    Arm(u16),
}

/// The type of a map's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "protobuf's key types are a closed set"
)]
pub enum MapKey {
    /// `bool`
    Bool,
    /// `int32`
    Int32,
    /// `sint32`
    Sint32,
    /// `sfixed32`
    Sfixed32,
    /// `uint32`
    Uint32,
    /// `fixed32`
    Fixed32,
    /// `int64`
    Int64,
    /// `sint64`
    Sint64,
    /// `sfixed64`
    Sfixed64,
    /// `uint64`
    Uint64,
    /// `fixed64`
    Fixed64,
    /// `string`
    String,
}

/// The names of an enum's numbers.
#[derive(Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "generated code writes it as a constant"
)]
pub struct EnumInfo {
    /// The full protobuf name, without a leading dot.
    pub name: &'static str,
    /// Number and name of each value in the order of declaration, aliases included.
    pub values: &'static [(i32, &'static str)],
}

/// 128 bits that stand for a prefix of a message's fields, or for a closure of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
#[allow(
    clippy::exhaustive_structs,
    reason = "generated code writes it as a constant"
)]
pub struct LayoutHash(pub [u8; 16]);

/// How the bytes of a value are laid out, which is all that reading one in place depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the archive has a closed set of forms"
)]
pub enum Class {
    /// One byte, nought or one.
    Bool,
    /// A signed 32-bit integer.
    I32,
    /// An unsigned 32-bit integer.
    U32,
    /// A signed 64-bit integer.
    I64,
    /// An unsigned 64-bit integer.
    U64,
    /// A 32-bit float.
    F32,
    /// A 64-bit float.
    F64,
    /// A signed 32-bit integer with names.
    Enum,
    /// Pointer and length of UTF-8 text.
    Str,
    /// Pointer and length of bytes.
    Bytes,
    /// Pointer and recorded size of a table.
    Message,
}

impl Layout {
    /// A checked layout; in a `static` the checks run at compile time.
    ///
    /// # Panics
    ///
    /// If numbers do not ascend, slots overlap or pass `size`, or an arm and its oneof disagree.
    #[must_use]
    pub const fn new(
        name: &'static str,
        fields: &'static [Field],
        oneofs: &'static [Oneof],
        size: u32,
        chain: &'static [LayoutHash],
    ) -> Self {
        let mut layout = Self {
            name,
            fields,
            oneofs,
            size,
            chain,
            followed: 0,
        };
        layout.assert_valid();
        let mut index = 0;
        while index < fields.len() && index < u64::BITS as usize {
            if layout.is_followed(index) {
                layout.followed |= 1 << index;
            }
            index += 1;
        }
        layout
    }

    /// The first 64 fields that [`is_followed`](Self::is_followed) holds for, one bit each.
    #[inline(always)]
    pub(crate) const fn followed(&self) -> u64 {
        self.followed
    }

    /// Whether the field opens a slot with a pointer in it.
    pub(crate) const fn is_followed(&self, index: usize) -> bool {
        let field = &self.fields[index];
        match field.shape {
            Shape::Plain | Shape::Optional { .. } | Shape::Nullable => !field.kind.is_scalar(),
            Shape::List | Shape::Map(_) => true,
            Shape::Arm(_) => self.opens_slot(index),
        }
    }

    /// The index of the field with this number.
    #[must_use]
    pub fn index_of(&self, number: u32) -> Option<usize> {
        self.fields
            .binary_search_by_key(&number, |field| field.number)
            .ok()
    }

    /// The field with this number.
    #[must_use]
    pub fn field(&self, number: u32) -> Option<&'static Field> {
        self.index_of(number).map(|index| &self.fields[index])
    }

    /// The live fields in ascending field number; retired slots are gaps.
    pub const fn fields(&self) -> &'static [Field] {
        self.fields
    }

    /// The oneofs, in the order of their slots.
    pub const fn oneofs(&self) -> &'static [Oneof] {
        self.oneofs
    }

    /// The hash of all fields: the chain's last link.
    #[must_use]
    pub const fn tip(&self) -> LayoutHash {
        self.chain[self.chain.len() - 1]
    }

    /// Checks what reading in place relies on, so that soundness does not rest on the generator.
    const fn assert_valid(&self) {
        assert!(self.size < UNKNOWN_FLAG, "a body stays below 2 GiB");
        assert!(
            !self.chain.is_empty(),
            "a layout has at least the chain's first link"
        );
        let mut end = 0;
        let mut last_number = 0;
        let mut index = 0;
        while index < self.fields.len() {
            let field = &self.fields[index];
            assert!(
                field.offset < self.size,
                "slots begin within the recorded size"
            );
            assert!(field.number > last_number, "field numbers ascend");
            last_number = field.number;
            if self.opens_slot(index) {
                assert!(field.offset >= end, "slots ascend and do not overlap");
                end = field.offset + field.slot_size();
                assert!(end <= self.size, "slots end within the recorded size");
            }
            field.assert_shape();
            if let Shape::Arm(oneof) = field.shape {
                assert!(
                    self.oneofs[oneof as usize].has_arm(index),
                    "a oneof lists all its arms"
                );
            }
            index += 1;
        }
        self.assert_oneofs();
    }

    /// Whether the slot of this field begins here in slot order: true but for later oneof arms.
    #[must_use]
    pub const fn opens_slot(&self, index: usize) -> bool {
        match self.fields[index].shape {
            Shape::Arm(oneof) => self.oneofs[oneof as usize].arms[0] as usize == index,
            _ => true,
        }
    }

    const fn assert_oneofs(&self) {
        let mut at = 0;
        while at < self.oneofs.len() {
            let oneof = &self.oneofs[at];
            let mut arm = 0;
            while arm < oneof.arms.len() {
                assert!(
                    arm == 0 || oneof.arms[arm - 1] < oneof.arms[arm],
                    "arms ascend"
                );
                let field = &self.fields[oneof.arms[arm] as usize];
                assert!(
                    field.offset == oneof.offset,
                    "an arm sits where its oneof does"
                );
                assert!(
                    matches!(field.shape, Shape::Arm(index) if index as usize == at),
                    "an arm names its oneof"
                );
                arm += 1;
            }
            at += 1;
        }
    }
}

impl Oneof {
    /// Whether the field at this index is one of the arms.
    const fn has_arm(&self, index: usize) -> bool {
        let mut arm = 0;
        while arm < self.arms.len() {
            if self.arms[arm] as usize == index {
                return true;
            }
            arm += 1;
        }
        false
    }
}

impl LayoutHash {
    /// The hash that `number` writes in big-endian bytes, as the compiler prints it.
    #[must_use]
    pub const fn from_u128(number: u128) -> Self {
        Self(number.to_be_bytes())
    }

    /// The hashes that `numbers` write, each as by [`from_u128`](Self::from_u128).
    #[must_use]
    pub const fn chain<const N: usize>(numbers: [u128; N]) -> [Self; N] {
        let mut chain = [Self([0; 16]); N];
        let mut at = 0;
        while at < N {
            chain[at] = Self::from_u128(numbers[at]);
            at += 1;
        }
        chain
    }
}

impl Field {
    /// A field, from what its members say.
    #[must_use]
    pub const fn new(
        number: u32,
        name: &'static str,
        json_name: &'static str,
        kind: Kind,
        shape: Shape,
        offset: u32,
    ) -> Self {
        Self {
            number,
            name,
            json_name,
            kind,
            shape,
            offset,
        }
    }

    /// The bytes of the slot in the table body.
    #[must_use]
    pub const fn slot_size(&self) -> u32 {
        match self.shape {
            Shape::Plain | Shape::Optional { .. } | Shape::Nullable => self.kind.size(),
            Shape::List | Shape::Map(_) => LIST_SIZE,
            Shape::Arm(_) => ONEOF_SIZE,
        }
    }

    const fn assert_shape(&self) {
        match self.shape {
            Shape::Plain => {
                assert!(
                    !matches!(self.kind, Kind::Message(_)),
                    "messages are nullable"
                );
            }
            Shape::Optional { bit } => {
                assert!(self.kind.is_scalar(), "presence bits are for scalars");
                assert!(bit / 8 < self.offset, "presence precedes the value");
            }
            Shape::Nullable => {
                assert!(!self.kind.is_scalar(), "a null pointer tells absence");
            }
            Shape::List | Shape::Map(_) | Shape::Arm(_) => {}
        }
    }
}

impl Kind {
    /// The kind of a field that holds an `M` of another crate.
    ///
    /// Within one crate a table names another's static, since messages may contain each other and
    /// constants may not.
    #[must_use]
    pub const fn of<M: Message>() -> Self {
        Self::Message(M::LAYOUT)
    }

    /// The kind of a field that holds an enum.
    #[must_use]
    pub const fn open<E: OpenEnum>() -> Self {
        Self::Enum(E::INFO)
    }

    /// How the bytes of such a value are laid out.
    #[must_use]
    #[inline]
    pub const fn class(&self) -> Class {
        match self {
            Self::Bool => Class::Bool,
            Self::Int32 | Self::Sint32 | Self::Sfixed32 => Class::I32,
            Self::Uint32 | Self::Fixed32 => Class::U32,
            Self::Int64 | Self::Sint64 | Self::Sfixed64 => Class::I64,
            Self::Uint64 | Self::Fixed64 => Class::U64,
            Self::Float => Class::F32,
            Self::Double => Class::F64,
            Self::String => Class::Str,
            Self::Bytes => Class::Bytes,
            Self::Enum(_) => Class::Enum,
            Self::Message(_) => Class::Message,
        }
    }

    /// The bytes of such a value in a slot, a list of it or a map entry.
    #[must_use]
    #[inline]
    pub const fn size(&self) -> u32 {
        self.class().size()
    }

    /// Whether the value itself sits in the slot, so that no pointer is followed.
    #[must_use]
    #[inline]
    pub const fn is_scalar(&self) -> bool {
        self.class().is_scalar()
    }

    /// The name of the message or enum type, empty for others.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Enum(info) => info.name,
            Self::Message(layout) => layout.name,
            _ => "",
        }
    }
}

impl fmt::Debug for Kind {
    // Nested layouts may be recursive, so a message is shown by its name alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enum(info) => write!(f, "Enum({})", info.name),
            Self::Message(layout) => write!(f, "Message({})", layout.name),
            other => other.class().fmt(f),
        }
    }
}

impl MapKey {
    /// The key type as a kind.
    #[must_use]
    #[inline]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Bool => Kind::Bool,
            Self::Int32 => Kind::Int32,
            Self::Sint32 => Kind::Sint32,
            Self::Sfixed32 => Kind::Sfixed32,
            Self::Uint32 => Kind::Uint32,
            Self::Fixed32 => Kind::Fixed32,
            Self::Int64 => Kind::Int64,
            Self::Sint64 => Kind::Sint64,
            Self::Sfixed64 => Kind::Sfixed64,
            Self::Uint64 => Kind::Uint64,
            Self::Fixed64 => Kind::Fixed64,
            Self::String => Kind::String,
        }
    }
}

impl Class {
    /// The bytes of such a value in a slot.
    #[must_use]
    #[inline]
    pub const fn size(self) -> u32 {
        match self {
            Self::Bool => 1,
            Self::I32 | Self::U32 | Self::F32 | Self::Enum => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
            Self::Str | Self::Bytes | Self::Message => REF_SIZE,
        }
    }

    /// Whether the value itself sits in the slot.
    #[must_use]
    #[inline]
    pub const fn is_scalar(self) -> bool {
        !matches!(self, Self::Str | Self::Bytes | Self::Message)
    }
}

impl EnumInfo {
    /// The first declared name of a number.
    #[must_use]
    pub fn name_of(&self, number: i32) -> Option<&'static str> {
        self.values
            .iter()
            .find(|(value, _)| *value == number)
            .map(|(_, name)| *name)
    }

    /// The number of a name.
    #[must_use]
    pub fn number_of(&self, name: &str) -> Option<i32> {
        self.values
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(value, _)| *value)
    }
}

/// Whether two type names are the same, usable in a `const`.
pub(crate) const fn same_name(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The bytes of a string, bytes or table reference: pointer and length.
pub(crate) const REF_SIZE: u32 = 8;
/// The bytes of a list or map slot: pointer, length, stride, element end.
pub(crate) const LIST_SIZE: u32 = 16;
/// The bytes of a oneof slot: tag, pointer, length.
pub(crate) const ONEOF_SIZE: u32 = 12;
/// Set in a recorded size (or element end) when raw unknown fields precede the body.
pub(crate) const UNKNOWN_FLAG: u32 = 1 << 31;
