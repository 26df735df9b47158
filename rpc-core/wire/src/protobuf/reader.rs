//! Reads the protobuf wire format: varints, tags, length prefixes, and how to step over a field.

use crate::WireError;

/// The largest field number that the wire format can carry, 2^29 - 1.
pub(crate) const NUMBER_MAX: u32 = (1 << 29) - 1;

/// How the value of a field is laid out on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint,
    Fixed64,
    Delimited,
    StartGroup,
    EndGroup,
    Fixed32,
}

/// A cursor over protobuf bytes; positions are offsets into the whole input.
///
/// The end is a field rather than the end of the slice, so that nested messages and merged pieces
/// of one message are read through the same slice and every position means the same byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    input: &'a [u8],
    /// The next byte to read; `position <= input.len()`.
    position: usize,
}

impl<'a> Reader<'a> {
    /// Reads `input` from `start` to its end; the caller cuts `input` where the message ends.
    pub(crate) fn new(input: &'a [u8], start: usize) -> Self {
        Self {
            input,
            position: start,
        }
    }

    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.position >= self.input.len()
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        match self.input.get(self.position) {
            Some(&byte) if byte < 0x80 => {
                self.position += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let rest = self.input.get(self.position..).unwrap_or_default();
        let mut value = 0_u64;
        for (index, &byte) in rest.iter().take(VARINT_BYTES_MAX).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                // What the tenth byte has beyond 64 bits falls away, as in Google's parsers.
                self.position += index + 1;
                return Ok(value);
            }
        }
        if rest.len() < VARINT_BYTES_MAX {
            Err(self.truncated())
        } else {
            Err(self.malformed("a varint is longer than ten bytes"))
        }
    }

    /// Reads a varint of at most five bytes, which is all that tags and lengths may take.
    #[inline]
    fn short_varint(&mut self) -> Result<u64, WireError> {
        let start = self.position;
        let value = self.varint()?;
        if self.position - start > SHORT_VARINT_BYTES_MAX {
            return Err(Self::malformed_at(
                start,
                "a tag or length is longer than five bytes",
            ));
        }
        Ok(value)
    }

    /// Reads a tag: the field's number and wire type.
    #[inline]
    pub(crate) fn tag(&mut self) -> Result<(u32, WireType), WireError> {
        let start = self.position;
        let tag = self.short_varint()?;
        let wire_type = match tag & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Delimited,
            3 => WireType::StartGroup,
            4 => WireType::EndGroup,
            5 => WireType::Fixed32,
            _ => {
                return Err(Self::malformed_at(
                    start,
                    "a field has an unknown wire type",
                ));
            }
        };
        match u32::try_from(tag >> 3) {
            Ok(number @ 1..=NUMBER_MAX) => Ok((number, wire_type)),
            _ => Err(Self::malformed_at(start, "a field number is out of range")),
        }
    }

    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<[u8; 4], WireError> {
        self.fixed()
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<[u8; 8], WireError> {
        self.fixed()
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        match self
            .input
            .get(self.position..)
            .and_then(|rest| rest.first_chunk::<N>())
        {
            Some(bytes) => {
                self.position += N;
                Ok(*bytes)
            }
            None => Err(self.truncated()),
        }
    }

    /// Reads a length prefix and the bytes that it announces.
    #[inline]
    pub(crate) fn delimited(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.short_varint()?;
        let rest = &self.input[self.position..];
        match usize::try_from(length)
            .ok()
            .and_then(|length| rest.get(..length))
        {
            Some(bytes) => {
                self.position += bytes.len();
                Ok(bytes)
            }
            None => Err(self.truncated()),
        }
    }

    /// Steps over the value that follows a tag, a group up to its matching end.
    ///
    /// `depth` is that of the message which the field is in: groups nest as messages do, and a
    /// chain of a million openings must not pass only because no field of ours is a group.
    pub(crate) fn skip(
        &mut self,
        number: u32,
        wire_type: WireType,
        depth: u32,
        max_depth: u32,
    ) -> Result<(), WireError> {
        match wire_type {
            WireType::Varint => self.varint().map(drop),
            WireType::Fixed64 => self.fixed64().map(drop),
            WireType::Fixed32 => self.fixed32().map(drop),
            WireType::Delimited => self.delimited().map(drop),
            WireType::StartGroup => self.skip_group(number, depth, max_depth),
            WireType::EndGroup => Err(self.malformed("a group ends that never started")),
        }
    }

    /// Steps over a group by a stack of open numbers, which `max_depth` bounds.
    fn skip_group(&mut self, number: u32, depth: u32, max_depth: u32) -> Result<(), WireError> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            if depth as usize + open.len() > max_depth as usize {
                return Err(WireError::TooDeep { max_depth });
            }
            let (number, wire_type) = self.tag()?;
            match wire_type {
                WireType::StartGroup => open.push(number),
                WireType::EndGroup if number == innermost => drop(open.pop()),
                WireType::EndGroup => {
                    return Err(self.malformed("a group ends with another group's number"));
                }
                _ => self.skip(number, wire_type, depth, max_depth)?,
            }
        }
        Ok(())
    }

    #[cold]
    pub(crate) fn malformed(&self, what: &'static str) -> WireError {
        Self::malformed_at(self.position, what)
    }

    #[cold]
    fn malformed_at(offset: usize, what: &'static str) -> WireError {
        WireError::Decode {
            reason: what,
            position: offset,
        }
    }

    #[cold]
    fn truncated(&self) -> WireError {
        self.malformed("the message ends in the middle of a field")
    }
}

/// 64 bits in groups of seven.
const VARINT_BYTES_MAX: usize = 10;
/// 32 bits in groups of seven.
const SHORT_VARINT_BYTES_MAX: usize = 5;

/// Undoes zigzag, which maps small negative numbers to small varints.
#[inline]
pub(crate) fn unzigzag(value: u64) -> i64 {
    // Casts keep the bits, which is the point of the mapping.
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(bytes: &[u8]) -> Result<u64, WireError> {
        Reader::new(bytes, 0).varint()
    }

    #[test]
    fn varints_up_to_ten_bytes() {
        assert_eq!(varint(&[0]).unwrap(), 0);
        assert_eq!(varint(&[0x96, 0x01]).unwrap(), 150);
        assert_eq!(
            varint(&[0x80, 0x80, 0x00]).unwrap(),
            0,
            "overlong forms are allowed"
        );
        let mut max = [0xff; 10];
        max[9] = 1;
        assert_eq!(varint(&max).unwrap(), u64::MAX);
        max[9] = 0x7f;
        assert_eq!(
            varint(&max).unwrap(),
            u64::MAX,
            "bits beyond the 64th fall away"
        );
        assert!(varint(&[0x80; 10]).is_err());
        assert!(varint(&[0x80; 11]).is_err());
        assert!(varint(&[0x80; 3]).is_err());
        assert!(varint(&[]).is_err());
    }

    #[test]
    fn tags_within_the_number_range() {
        let tag = |bytes: &[u8]| Reader::new(bytes, 0).tag();
        assert_eq!(tag(&[0x08]).unwrap(), (1, WireType::Varint));
        assert_eq!(
            tag(&[0xfa, 0xff, 0xff, 0xff, 0x0f]).unwrap(),
            (NUMBER_MAX, WireType::Delimited)
        );
        assert!(
            tag(&[0x82, 0x80, 0x80, 0x80, 0x10]).is_err(),
            "one past the largest number"
        );
        assert_eq!(
            tag(&[0x88, 0x80, 0x80, 0x80, 0]).unwrap(),
            (1, WireType::Varint)
        );
        assert!(
            tag(&[0x88, 0x80, 0x80, 0x80, 0x80, 0]).is_err(),
            "six bytes"
        );
        assert!(tag(&[0x00]).is_err(), "number zero");
        assert!(tag(&[0x0e]).is_err(), "wire type six");
        assert!(tag(&[0x0f]).is_err(), "wire type seven");
    }

    #[test]
    fn groups_end_with_their_own_number() {
        let skip = |bytes: &[u8], max_depth| {
            let mut reader = Reader::new(bytes, 0);
            let (number, wire_type) = reader.tag()?;
            reader.skip(number, wire_type, 1, max_depth)?;
            assert!(reader.is_empty());
            Ok::<_, WireError>(())
        };
        skip(&[0x0b, 0x10, 0x05, 0x0c], 2).unwrap();
        skip(&[0x0b, 0x13, 0x14, 0x0c], 3).unwrap();
        assert!(matches!(
            skip(&[0x0b, 0x13, 0x14, 0x0c], 2),
            Err(WireError::TooDeep { max_depth: 2 })
        ));
        assert!(
            skip(&[0x0b, 0x10, 0x05, 0x14], 9).is_err(),
            "another number"
        );
        assert!(skip(&[0x0b, 0x10, 0x05], 9).is_err(), "no end");
        assert!(skip(&[0x0c], 9).is_err(), "no start");
    }

    #[test]
    fn lengths_stay_inside_the_input() {
        assert_eq!(Reader::new(&[2, 7, 8], 0).delimited().unwrap(), [7, 8]);
        assert!(Reader::new(&[3, 7, 8], 0).delimited().is_err());
        assert!(
            Reader::new(&[0x81, 0x80, 0x80, 0x80, 0, 7], 0)
                .delimited()
                .is_ok()
        );
        assert!(
            Reader::new(&[0x81, 0x80, 0x80, 0x80, 0x80, 0, 7], 0)
                .delimited()
                .is_err()
        );
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert!(Reader::new(&huge, 0).delimited().is_err());
    }

    #[test]
    fn zigzag_covers_the_range() {
        assert_eq!(unzigzag(0), 0);
        assert_eq!(unzigzag(1), -1);
        assert_eq!(unzigzag(2), 1);
        assert_eq!(unzigzag(u64::MAX), i64::MIN);
        assert_eq!(unzigzag(u64::MAX - 1), i64::MAX);
    }
}
