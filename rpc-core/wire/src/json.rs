//! The proto3 JSON mapping, in both directions, driven by field tables.
//!
//! All of the mapping is here: 64-bit integers as strings, `NaN` and the infinities, base64 in
//! both alphabets, enum names or numbers, `lowerCamelCase` and original field names, `null`, and
//! the special forms of `Timestamp`, `Duration`, `FieldMask`, `Struct`, `Value`, `ListValue`,
//! `NullValue`, `Any` and the wrappers. Fields that a protobuf peer sent and the layout does not
//! know have no JSON form and are left out.
//!
//! Reading writes protobuf and lets [`protobuf`](crate::protobuf) transcode that: JSON members
//! come in any order, which protobuf allows and an archive does not, so the one place that sorts
//! fields serves both.

#![deny(unsafe_code)]

mod decode;
mod encode;
mod field_mask;
mod lexer;
mod number;
#[cfg(test)]
mod tests;
mod time;
mod well_known;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::WireError;
use crate::dynamic::DynTable;
use crate::layout::Layout;
use crate::limits::Limits;

/// How JSON is written and what is accepted; the default is what the mapping prescribes.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    ignore_unknown: bool,
    proto_names: bool,
    emit_defaults: bool,
    enum_numbers: bool,
    types: &'a [&'static Layout],
    max_bytes: usize,
}

impl<'a> Options<'a> {
    /// The bound for written text unless another is set: 64 MiB.
    pub const DEFAULT_MAX_BYTES: usize = 64 << 20;

    /// What the mapping prescribes.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ignore_unknown: false,
            proto_names: false,
            emit_defaults: false,
            enum_numbers: false,
            types: &[],
            max_bytes: Self::DEFAULT_MAX_BYTES,
        }
    }

    /// Whether members and enum names that the layout does not know are skipped when reading.
    #[must_use]
    pub const fn ignore_unknown(mut self, ignore: bool) -> Self {
        self.ignore_unknown = ignore;
        self
    }

    /// Whether fields are written under their names in the `.proto` file.
    #[must_use]
    pub const fn proto_names(mut self, proto_names: bool) -> Self {
        self.proto_names = proto_names;
        self
    }

    /// Whether fields without presence are written when they have their default.
    #[must_use]
    pub const fn emit_defaults(mut self, emit: bool) -> Self {
        self.emit_defaults = emit;
        self
    }

    /// Whether enums are written as numbers.
    #[must_use]
    pub const fn enum_numbers(mut self, numbers: bool) -> Self {
        self.enum_numbers = numbers;
        self
    }

    /// The messages that a `google.protobuf.Any` may hold; others have no JSON form.
    #[must_use]
    pub const fn types(mut self, types: &'a [&'static Layout]) -> Self {
        self.types = types;
        self
    }

    /// The bound for written text: defaults and escapes can make it longer than the archive.
    #[must_use]
    pub const fn max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Finds the layout that a type URL names.
    fn resolve(&self, type_url: &str) -> Option<&'static Layout> {
        let (_, name) = type_url.rsplit_once('/')?;
        self.types
            .iter()
            .copied()
            .find(|layout| layout.name == name)
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes an archived message as JSON, without white space.
///
/// # Errors
///
/// [`WireError::Mismatch`] where the mapping has no form for a value: a timestamp or duration out
/// of range, a field mask that does not survive the change of case, a `Value` that is not finite,
/// an `Any` of a type that [`Options::types`] does not list. [`WireError::TooLarge`] when the
/// text passes [`Options::max_bytes`].
pub fn to_string(table: DynTable<'_>, options: &Options<'_>) -> Result<String, WireError> {
    encode::to_string(table, options)
}

/// Turns JSON into an archive.
///
/// Working memory is bounded by a small multiple of the text and of `limits.max_bytes`; the
/// archive is bounded before it is allocated.
///
/// # Errors
///
/// [`WireError::Decode`] says where the text is malformed or does not fit the layout;
/// [`WireError::TooLarge`] and [`WireError::TooDeep`] name the limit that it passes.
pub fn to_archive(
    layout: &'static Layout,
    text: &str,
    options: &Options<'_>,
    limits: &Limits,
) -> Result<Vec<u8>, WireError> {
    let message = decode::to_protobuf(layout, text, options, limits)?;
    crate::protobuf::to_archive(layout, &message, limits)
}

/// What is written; read with or without padding, whatever the unused bits of the last digit are.
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, BASE64_CONFIG);
/// The other alphabet, accepted when reading.
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, BASE64_CONFIG);
const BASE64_CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
