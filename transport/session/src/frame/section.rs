//! Sections: the optional, numbered parts of a head, and HELLO's settings (PROTOCOL.md §3.3).

use super::{CloseCode, Violation};

/// Response, request or trailing metadata.
pub const METADATA: u8 = 1;
/// Time remaining of the call, in microseconds.
pub const TIME_REMAINING: u8 = 2;
/// Trace context.
pub const TRACE: u8 = 3;
/// Priority of the call.
pub const PRIORITY: u8 = 4;
/// Which attempt of its call this is, the first being 0.
pub const ATTEMPT: u8 = 5;
/// The caller's idempotency key.
pub const IDEMPOTENCY_KEY: u8 = 6;
/// The message of a status.
pub const STATUS_MESSAGE: u8 = 7;
/// The path of a method.
pub const PATH: u8 = 8;
/// The closure hash of the sender's request layouts.
pub const REQUEST_HASH: u8 = 9;
/// The closure hash of the sender's response layouts.
pub const RESPONSE_HASH: u8 = 10;
/// The verdict on a method's layouts that the sender assumes or gives.
pub const VERDICT: u8 = 11;
/// The peer's request hash that an assumed verdict was found for.
pub const PEER_REQUEST_HASH: u8 = 12;
/// The peer's response hash that an assumed verdict was found for.
pub const PEER_RESPONSE_HASH: u8 = 13;
/// From here on a section or setting is ignorable.
pub const IGNORABLE: u8 = 128;

/// The bytes before the value of a section: its number, a zero, the length of the value.
const SECTION_HEADER_LEN: usize = 4;

/// Walks the sections of a head; they stand in ascending order, each at most once.
#[derive(Clone, Debug)]
pub struct Sections<'a> {
    rest: &'a [u8],
    last: u8,
}

impl<'a> Sections<'a> {
    /// The sections in what follows the fixed fields of a head.
    #[inline]
    pub fn new(rest: &'a [u8]) -> Self {
        Self { rest, last: 0 }
    }

    /// The next section: its number and value.
    ///
    /// # Errors
    /// When a section leads beyond the head, is out of order, or occurs twice.
    pub fn take(&mut self) -> Result<Option<(u8, &'a [u8])>, Violation> {
        let Some((&[number, zero, low, high], after)) =
            self.rest.split_first_chunk::<SECTION_HEADER_LEN>()
        else {
            return match self.rest {
                [] => Ok(None),
                _ => Err(Violation::protocol("a head ends within a section")),
            };
        };
        if number == 0 {
            // Number 0 is the padding at the end of a head (PROTOCOL.md §3.3).
            return match self.rest.iter().all(|byte| *byte == 0) && self.rest.len() < 8 {
                true => Ok(None),
                false => Err(Violation::protocol(
                    "a head is padded with something else than 0",
                )),
            };
        }
        if number <= self.last || zero != 0 {
            return Err(Violation::protocol("sections are not in ascending order"));
        }
        let length = usize::from(u16::from_le_bytes([low, high]));
        let Some(value) = after.get(..length) else {
            return Err(Violation::protocol("a section leads beyond its head"));
        };
        self.rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
        self.last = number;
        Ok(Some((number, value)))
    }

    /// Skips what remains.
    ///
    /// # Errors
    /// When a critical section remains, or what remains is malformed.
    pub fn finish(mut self) -> Result<(), Violation> {
        while let Some((number, _)) = self.take()? {
            unknown(number)?;
        }
        Ok(())
    }
}

/// Passes over a section that is not known, if it may be passed over.
///
/// # Errors
/// When the number is critical.
pub fn unknown(number: u8) -> Result<(), Violation> {
    if number >= IGNORABLE {
        return Ok(());
    }
    Err(Violation::new(
        CloseCode::UNKNOWN_CRITICAL,
        "unknown critical section",
    ))
}

/// The value of a section that holds a number: 1, 2, 4 or 8 bytes, little-endian.
///
/// # Errors
/// When it has another length.
pub fn integer(value: &[u8]) -> Result<u64, Violation> {
    let mut bytes = [0; 8];
    match value.len() {
        1 | 2 | 4 | 8 => bytes[..value.len()].copy_from_slice(value),
        _ => return Err(Violation::protocol("a number has 1, 2, 4 or 8 bytes")),
    }
    Ok(u64::from_le_bytes(bytes))
}

/// The value of a section that holds a hash.
///
/// # Errors
/// When it has another length than 16.
pub fn hash(value: &[u8]) -> Result<[u8; 16], Violation> {
    value
        .try_into()
        .map_err(|_| Violation::protocol("a hash has 16 bytes"))
}

/// Appends a section.
pub(crate) fn put(out: &mut Vec<u8>, number: u8, value: &[u8]) {
    put_header(out, number, value.len());
    out.extend_from_slice(value);
    put_padding(out, value.len());
}

/// Appends the header of a section whose value of `length` bytes follows.
pub(crate) fn put_header(out: &mut Vec<u8>, number: u8, length: usize) {
    debug_assert!(length <= usize::from(u16::MAX), "callers bound the value");
    let [low, high] = (length as u16).to_le_bytes();
    out.extend_from_slice(&[number, 0, low, high]);
}

/// Appends the padding behind a value of `length` bytes.
pub(crate) fn put_padding(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&[0; 3][..length.next_multiple_of(4) - length]);
}

/// A section that holds a number of four bytes.
#[inline]
pub(crate) fn short_integer(number: u8, value: u32) -> [u8; 8] {
    (u64::from(number) | 4 << 16 | u64::from(value) << 32).to_le_bytes()
}

/// Appends a section that holds a number, in four bytes where it fits.
#[inline]
pub(crate) fn put_integer(out: &mut Vec<u8>, number: u8, value: u64) {
    match u32::try_from(value) {
        Ok(short) => out.extend_from_slice(&short_integer(number, short)),
        Err(_) => put(out, number, &value.to_le_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(head: &[u8]) -> Result<Vec<(u8, Vec<u8>)>, Violation> {
        let mut sections = Sections::new(head);
        let mut found = Vec::new();
        while let Some((number, value)) = sections.take()? {
            found.push((number, value.to_vec()));
        }
        Ok(found)
    }

    #[test]
    fn sections_round_trip() {
        let mut head = Vec::new();
        put(&mut head, 1, b"abcde");
        put_integer(&mut head, 2, 7);
        put_integer(&mut head, 5, u64::MAX);
        put(&mut head, 200, b"");
        let want = [
            (1, b"abcde".to_vec()),
            (2, vec![7, 0, 0, 0]),
            (5, vec![255; 8]),
            (200, vec![]),
        ];
        assert_eq!(all(&head).unwrap(), want);
        assert_eq!(head.len(), 12 + 8 + 12 + 4);
        head.resize(head.len().next_multiple_of(8), 0);
        assert_eq!(all(&head).unwrap(), want);
        assert_eq!(integer(&[1, 1]).unwrap(), 257);
        assert!(integer(&[]).is_err() && integer(&[0; 3]).is_err() && integer(&[0; 9]).is_err());
    }

    #[test]
    fn disorder_repetition_and_overhang_are_refused() {
        let mut twice = Vec::new();
        put(&mut twice, 3, b"");
        put(&mut twice, 3, b"");
        let mut overhang = Vec::new();
        put(&mut overhang, 3, b"abcd");
        for bad in [
            &twice[..],
            &overhang[..7],
            &overhang[..3],
            &[0; 8],
            &[0, 1, 0, 0],
            &[1, 1, 0, 0],
        ] {
            assert_eq!(all(bad).unwrap_err().code, CloseCode::PROTOCOL, "{bad:?}");
        }
    }

    #[test]
    fn only_the_upper_half_is_ignorable() {
        assert_eq!(unknown(127).unwrap_err().code, CloseCode::UNKNOWN_CRITICAL);
        assert_eq!(unknown(128), Ok(()));
    }
}
