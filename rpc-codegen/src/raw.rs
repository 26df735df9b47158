//! Protobuf's wire format, as far as descriptors need it.
//!
//! Descriptors are kept as bytes where they are only passed on, so that custom options and fields
//! that no library knows survive.

use std::ops::Range;

/// One field of an encoded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawField {
    pub(crate) number: u32,
    pub(crate) value: RawValue,
    /// Where the field lies, its tag included.
    pub(crate) span: Range<usize>,
}

/// The value of a field by wire type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RawValue {
    Varint(u64),
    /// Where the contents lie.
    Bytes(Range<usize>),
    Fixed,
}

/// Splits an encoded message into its fields; `None` if it is malformed. Groups, which descriptors
/// do not use, count as malformed.
pub(crate) fn fields(bytes: &[u8]) -> Option<Vec<RawField>> {
    let mut list = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let tag = varint(bytes, &mut at)?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0)?;
        let value = match tag & 7 {
            0 => RawValue::Varint(varint(bytes, &mut at)?),
            1 => skip(bytes, &mut at, 8).map(|_| RawValue::Fixed)?,
            2 => {
                let length = usize::try_from(varint(bytes, &mut at)?).ok()?;
                RawValue::Bytes(skip(bytes, &mut at, length)?)
            }
            5 => skip(bytes, &mut at, 4).map(|_| RawValue::Fixed)?,
            _ => return None,
        };
        list.push(RawField {
            number,
            value,
            span: start..at,
        });
    }
    Some(list)
}

/// Appends a length-delimited field.
pub(crate) fn push_bytes(out: &mut Vec<u8>, number: u32, contents: &[u8]) {
    push_varint(out, u64::from(number) << 3 | 2);
    push_varint(out, contents.len() as u64);
    out.extend_from_slice(contents);
}

/// Appends a varint field.
pub(crate) fn push_number(out: &mut Vec<u8>, number: u32, value: u64) {
    push_varint(out, u64::from(number) << 3);
    push_varint(out, value);
}

/// Returns the message without the fields of this number.
pub(crate) fn without(bytes: &[u8], number: u32) -> Vec<u8> {
    let Some(list) = fields(bytes) else {
        return bytes.to_vec();
    };
    let kept = list.iter().filter(|field| field.number != number);
    kept.flat_map(|field| bytes[field.span.clone()].iter().copied())
        .collect()
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(0x80 | (value & 0x7f) as u8);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn skip(bytes: &[u8], at: &mut usize, length: usize) -> Option<Range<usize>> {
    let end = at.checked_add(length).filter(|end| *end <= bytes.len())?;
    let range = *at..end;
    *at = end;
    Some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        push_bytes(&mut bytes, 1, &[7; 300]);
        push_number(&mut bytes, 1000, u64::MAX);
        let list = fields(&bytes).unwrap();
        assert_eq!(list[0].value, RawValue::Bytes(3..303));
        assert_eq!(
            (list[1].number, &list[1].value),
            (1000, &RawValue::Varint(u64::MAX))
        );
        assert_eq!(fields(&without(&bytes, 1)).unwrap().len(), 1);
    }

    #[test]
    fn malformed_messages_are_refused() {
        for bytes in [
            &[0x0a][..],
            &[0x0a, 5, 1],
            &[0x80; 11],
            &[0x0b],
            &[0x00, 0x00],
            &[0x0d, 1],
        ] {
            assert_eq!(fields(bytes), None, "{bytes:?}");
        }
    }
}
