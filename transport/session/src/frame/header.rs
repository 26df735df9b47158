//! The 16 bytes that start every frame (PROTOCOL.md §3).

use super::{CloseCode, FRAME_LENGTH_MAX, Violation, u32_at};

/// The bytes of a frame header.
pub const HEADER_LEN: usize = 16;

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the sixteen bytes of the protocol"
)]
pub struct Header {
    /// Bytes after the header: head and payload, without the padding behind them.
    pub length: u32,
    /// What the frame is; see [`super::kind`].
    pub kind: u8,
    /// See [`super::flag`].
    pub flags: u8,
    /// Bytes of fixed fields and sections before the payload; a multiple of eight.
    pub head_len: u16,
    /// The stream's slot, or what the kind says.
    pub slot: u32,
    /// The generation of the slot, or what the kind says.
    pub generation: u32,
}

impl Header {
    /// Reads the sixteen bytes without judging them.
    #[inline]
    pub fn read(bytes: &[u8; HEADER_LEN]) -> Self {
        Self {
            length: u32_at(bytes, 0),
            kind: bytes[4],
            flags: bytes[5],
            head_len: u16::from_le_bytes([bytes[6], bytes[7]]),
            slot: u32_at(bytes, 8),
            generation: u32_at(bytes, 12),
        }
    }

    /// Reads the header of a frame if it is there, and judges its lengths.
    #[inline]
    fn judge(input: &[u8]) -> Result<Option<Self>, Violation> {
        let Some(header) = input.first_chunk::<HEADER_LEN>().map(Self::read) else {
            return Ok(None);
        };
        let (length, head_len) = (header.length as usize, usize::from(header.head_len));
        if length > FRAME_LENGTH_MAX {
            return Err(Violation::new(
                CloseCode::FRAME_SIZE,
                "frame length beyond the maximum",
            ));
        }
        if !head_len.is_multiple_of(8) || head_len > length {
            return Err(Violation::protocol(
                "head length is not a multiple of 8 in the frame",
            ));
        }
        Ok(Some(header))
    }

    /// The sixteen bytes.
    #[inline]
    pub fn bytes(self) -> [u8; HEADER_LEN] {
        let low = u64::from(self.length)
            | u64::from(self.kind) << 32
            | u64::from(self.flags) << 40
            | u64::from(self.head_len) << 48;
        let high = u64::from(self.slot) | u64::from(self.generation) << 32;
        (u128::from(low) | u128::from(high) << 64).to_le_bytes()
    }

    /// The bytes the whole frame occupies, padding included.
    #[inline]
    pub fn frame_len(self) -> usize {
        HEADER_LEN + padded(self.length as usize)
    }
}

/// Rounds up to the multiple of eight that every frame occupies (PROTOCOL.md §3.1).
#[inline]
pub const fn padded(length: usize) -> usize {
    (length + 7) & !7
}

/// A frame in the read buffer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Frame<'a> {
    /// Its header.
    pub header: Header,
    /// Its fixed fields and sections.
    pub head: &'a [u8],
    /// Its payload.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Cuts the first frame off `input`; none while it is incomplete.
    ///
    /// The length is judged as soon as the header is there, so that a lie about it never makes
    /// anybody wait for, or reserve, what will not be accepted.
    ///
    /// # Errors
    /// When the length exceeds [`FRAME_LENGTH_MAX`], or the head is not a multiple of eight
    /// within it.
    #[inline]
    pub fn split(input: &'a [u8]) -> Result<Option<(Self, usize)>, Violation> {
        let Some(header) = Header::judge(input)? else {
            return Ok(None);
        };
        let (length, head_len) = (header.length as usize, usize::from(header.head_len));
        let total = header.frame_len();
        if input.len() < total {
            return Ok(None);
        }
        let (head, payload) = input[HEADER_LEN..HEADER_LEN + length].split_at(head_len);
        Ok(Some((
            Self {
                header,
                head,
                payload,
            },
            total,
        )))
    }

    /// The header and head of the first frame, whose payload has arrived in part or not at all;
    /// none while those are incomplete.
    ///
    /// # Errors
    /// As [`Frame::split`].
    pub(crate) fn begun(input: &'a [u8]) -> Result<Option<Self>, Violation> {
        let Some(header) = Header::judge(input)? else {
            return Ok(None);
        };
        let rest = &input[HEADER_LEN..];
        let Some((head, payload)) = rest.split_at_checked(usize::from(header.head_len)) else {
            return Ok(None);
        };
        let length = header.length as usize - head.len();
        let payload = &payload[..length.min(payload.len())];
        Ok(Some(Self {
            header,
            head,
            payload,
        }))
    }
}

/// Starts a frame whose head is appended next; [`end_head`] fills the lengths in.
pub(crate) fn begin(out: &mut Vec<u8>, kind: u8, flags: u8, slot: u32, generation: u32) -> usize {
    let start = out.len();
    let header = Header {
        length: 0,
        kind,
        flags,
        head_len: 0,
        slot,
        generation,
    };
    out.extend_from_slice(&header.bytes());
    start
}

/// Pads the head of the frame at `start` and states its length and that of the payload to come.
pub(crate) fn end_head(out: &mut Vec<u8>, start: usize, payload_len: usize) {
    pad(out, start);
    let head_len = out.len() - start - HEADER_LEN;
    debug_assert!(
        head_len <= super::HEAD_BYTES_MAX,
        "callers check the parts of a head"
    );
    let length = (head_len + payload_len) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 6..start + 8].copy_from_slice(&(head_len as u16).to_le_bytes());
}

/// Pads a finished frame that began at `start`; frames are multiples of eight throughout.
#[inline]
pub(crate) fn pad(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start;
    out.resize(start + padded(length), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: Header = Header {
        length: 11,
        kind: 7,
        flags: 5,
        head_len: 8,
        slot: 3,
        generation: 0x0102_0304,
    };

    #[test]
    fn headers_round_trip() {
        assert_eq!(Header::read(&SAMPLE.bytes()), SAMPLE);
        assert_eq!(SAMPLE.frame_len(), 32);
    }

    #[test]
    fn a_frame_is_cut_only_when_its_padding_is_there() {
        let mut bytes = SAMPLE.bytes().to_vec();
        bytes.extend_from_slice(&[9; 16]);
        for short in 0..32 {
            assert!(Frame::split(&bytes[..short]).unwrap().is_none(), "{short}");
        }
        let (frame, total) = Frame::split(&bytes).unwrap().unwrap();
        assert_eq!((frame.head.len(), frame.payload.len(), total), (8, 3, 32));
    }

    #[test]
    fn the_length_is_judged_at_the_limit_and_one_past_it() {
        let with = |length: u32| {
            Header {
                length,
                head_len: 0,
                ..SAMPLE
            }
            .bytes()
        };
        assert!(
            Frame::split(&with(FRAME_LENGTH_MAX as u32))
                .unwrap()
                .is_none()
        );
        for length in [FRAME_LENGTH_MAX as u32 + 1, u32::MAX] {
            let violation = Frame::split(&with(length)).unwrap_err();
            assert_eq!(violation.code, CloseCode::FRAME_SIZE);
        }
    }

    #[test]
    fn a_head_is_a_multiple_of_eight_within_the_frame() {
        for (length, head_len) in [(16, 4), (4, 8), (0, 8)] {
            let bytes = Header {
                length,
                head_len,
                ..SAMPLE
            }
            .bytes();
            assert_eq!(Frame::split(&bytes).unwrap_err().code, CloseCode::PROTOCOL);
        }
    }
}
