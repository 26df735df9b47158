//! CLOSE: the session is over, and why (PROTOCOL.md §4.12).

use super::section::Sections;
use super::{CloseCode, Frame, Violation, fixed, header, kind, u32_at, u64_at};

/// The longest reason; what exceeds it is cut off.
pub const REASON_BYTES_MAX: usize = 1024;

/// The fields of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Close<'a> {
    /// Why.
    pub code: CloseCode,
    /// The ordinal of the last call that may have begun; from a client without meaning.
    pub last_begun: u64,
    /// What was wrong, for people.
    pub reason: &'a [u8],
}

impl<'a> Close<'a> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let start = header::begin(out, kind::CLOSE, 0, 0, 0);
        let reason = &self.reason[..self.reason.len().min(REASON_BYTES_MAX)];
        out.extend_from_slice(&u64::from(self.code.0).to_le_bytes());
        out.extend_from_slice(&self.last_begun.to_le_bytes());
        header::end_head(out, start, reason.len());
        out.extend_from_slice(reason);
        header::pad(out, start);
    }

    /// Reads the frame.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(frame: &Frame<'a>) -> Result<Self, Violation> {
        let (fields, rest) = fixed::<16>(frame.head, "CLOSE without its fields")?;
        Sections::new(rest).finish()?;
        let reason = &frame.payload[..frame.payload.len().min(REASON_BYTES_MAX)];
        let code = CloseCode(u32_at(fields, 0));
        Ok(Self {
            code,
            last_begun: u64_at(fields, 8),
            reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closes_round_trip_and_cut_their_reason() {
        for (length, want) in [(0, 0), (1024, 1024), (1025, 1024)] {
            let reason = vec![b'r'; length];
            let close = Close {
                code: CloseCode::FLOOD,
                last_begun: 9,
                reason: &reason,
            };
            let mut out = Vec::new();
            close.write(&mut out);
            let (frame, total) = Frame::split(&out).unwrap().unwrap();
            assert_eq!(total, out.len());
            let read = Close::parse(&frame).unwrap();
            assert_eq!(
                (read.code, read.last_begun, read.reason.len()),
                (close.code, 9, want)
            );
        }
    }
}
