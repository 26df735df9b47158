//! Scalars, enums and bytes as JSON writes them.

use base64::Engine;

use super::Decoder;
use crate::WireError;
use crate::json::lexer::{Lexer, Next};
use crate::json::number::{double, float, integer, non_finite};
use crate::json::well_known::is_null_value;
use crate::json::{BASE64, BASE64_URL};
use crate::layout::{EnumInfo, Kind};

impl Decoder<'_> {
    /// Reads a scalar or enum as the bits that [`Output::scalar`](super::Output::scalar) takes;
    /// nothing for an unknown enum name that is to be ignored.
    pub(super) fn scalar(&mut self, kind: &Kind) -> Result<Option<u64>, WireError> {
        match kind {
            Kind::Bool => self.bool().map(Some),
            Kind::Enum(info) => self.enumeration(info),
            Kind::Float | Kind::Double => self.float(kind).map(Some),
            _ => self.integer(kind).map(Some),
        }
    }

    fn bool(&mut self) -> Result<u64, WireError> {
        match self.lexer.peek()? {
            Next::True => self.lexer.literal("true").map(|()| 1),
            Next::False => self.lexer.literal("false").map(|()| 0),
            _ => Err(self.lexer.error("expected true or false")),
        }
    }

    fn integer(&mut self, kind: &Kind) -> Result<u64, WireError> {
        let next = self.lexer.peek()?;
        let at = self.lexer.position();
        let bits = match next {
            Next::Number => integer_bits(kind, self.lexer.number()?),
            Next::String => integer_bits(kind, &self.lexer.string()?),
            _ => None,
        };
        bits.ok_or_else(|| Lexer::error_at(at, "expected an integer within the field's range"))
    }

    fn float(&mut self, kind: &Kind) -> Result<u64, WireError> {
        let next = self.lexer.peek()?;
        let at = self.lexer.position();
        let bits = match next {
            Next::Number => float_bits(kind, self.lexer.number()?),
            Next::String => {
                let text = self.lexer.string()?;
                match non_finite(&text) {
                    Some(value) if matches!(kind, Kind::Float) => {
                        Some(u64::from((value as f32).to_bits()))
                    }
                    Some(value) => Some(value.to_bits()),
                    None => float_bits(kind, &text),
                }
            }
            _ => None,
        };
        bits.ok_or_else(|| Lexer::error_at(at, "expected a number within the field's range"))
    }

    fn enumeration(&mut self, info: &EnumInfo) -> Result<Option<u64>, WireError> {
        let next = self.lexer.peek()?;
        let at = self.lexer.position();
        let number = match next {
            Next::Null if is_null_value(info.name) => {
                self.lexer.literal("null")?;
                Some(0)
            }
            Next::Number => integer_bits(&Kind::Int32, self.lexer.number()?),
            Next::String => {
                let name = self.lexer.string()?;
                let number = info.number_of(&name).map(|number| i64::from(number) as u64);
                let number = number.or_else(|| integer_bits(&Kind::Int32, &name));
                if number.is_none() && self.options.ignore_unknown {
                    return Ok(None);
                }
                number
            }
            _ => None,
        };
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(Lexer::error_at(at, "expected a name or number of the enum")),
        }
    }

    /// Reads bytes in either alphabet.
    pub(super) fn base64(&mut self) -> Result<Vec<u8>, WireError> {
        let at = self.lexer.position();
        let text = self.text("expected bytes as a string in base64")?;
        let engine = if text.contains(['-', '_']) {
            BASE64_URL
        } else {
            BASE64
        };
        engine
            .decode(text.as_bytes())
            .map_err(|_| Lexer::error_at(at, "expected bytes in base64"))
    }
}

/// An integer of this kind, extended to 64 bits; nothing if the text is none or out of range.
pub(super) fn integer_bits(kind: &Kind, text: &str) -> Option<u64> {
    let value = integer(text)?;
    match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => i32::try_from(value)
            .ok()
            .map(|value| i64::from(value) as u64),
        Kind::Uint32 | Kind::Fixed32 => u32::try_from(value).ok().map(u64::from),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            i64::try_from(value).ok().map(i64::cast_unsigned)
        }
        _ => u64::try_from(value).ok(),
    }
}

fn float_bits(kind: &Kind, text: &str) -> Option<u64> {
    if matches!(kind, Kind::Float) {
        float(text).map(|value| u64::from(value.to_bits()))
    } else {
        double(text).map(f64::to_bits)
    }
}
