//! PING and PONG: is anybody there (PROTOCOL.md §4.11).

use super::section::Sections;
use super::{Frame, Header, Violation, fixed, kind, u64_at};

/// Appends a PING or, when it answers one, a PONG.
pub(crate) fn write(out: &mut Vec<u8>, answer: bool, token: u64) {
    let kind = if answer { kind::PONG } else { kind::PING };
    let header = Header {
        length: 8,
        kind,
        flags: 0,
        head_len: 8,
        slot: 0,
        generation: 0,
    };
    out.extend_from_slice(&header.bytes());
    out.extend_from_slice(&token.to_le_bytes());
}

/// The token, which a PONG repeats.
///
/// # Errors
/// When the frame is malformed.
pub fn parse(frame: &Frame<'_>) -> Result<u64, Violation> {
    let (fields, rest) = fixed::<8>(frame.head, "PING or PONG without its token")?;
    Sections::new(rest).finish()?;
    Ok(u64_at(fields, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip() {
        let mut out = Vec::new();
        write(&mut out, true, 77);
        let (frame, _) = Frame::split(&out).unwrap().unwrap();
        assert_eq!((frame.header.kind, parse(&frame)), (kind::PONG, Ok(77)));
    }
}
