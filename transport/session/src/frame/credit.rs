//! CREDIT: room for more, on a stream or the whole connection (PROTOCOL.md §4.10).

use super::hello::CREDIT_MAX;
use super::section::Sections;
use super::{CloseCode, Frame, Header, Violation, fixed, kind, u64_at};

/// The slot that means the connection.
pub const CONNECTION_SLOT: u32 = u32::MAX;

/// Appends the frame.
pub(crate) fn write(out: &mut Vec<u8>, slot: u32, generation: u32, amount: u64) {
    let header = Header {
        length: 8,
        kind: kind::CREDIT,
        flags: 0,
        head_len: 8,
        slot,
        generation,
    };
    out.extend_from_slice(&header.bytes());
    out.extend_from_slice(&amount.to_le_bytes());
}

/// The bytes of credit the frame returns.
///
/// # Errors
/// When it is malformed, or the amount is zero or beyond any credit there can be.
pub fn parse(frame: &Frame<'_>) -> Result<u64, Violation> {
    let (fields, rest) = fixed::<8>(frame.head, "CREDIT without its amount")?;
    Sections::new(rest).finish()?;
    let amount = u64_at(fields, 0);
    if amount == 0 || amount > u64::from(CREDIT_MAX) {
        return Err(Violation::new(
            CloseCode::CREDIT,
            "an amount of credit that cannot be",
        ));
    }
    Ok(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_judged_at_their_limits() {
        let most = u64::from(CREDIT_MAX);
        for (amount, good) in [(0, false), (1, true), (most, true), (most + 1, false)] {
            let mut out = Vec::new();
            write(&mut out, CONNECTION_SLOT, 0, amount);
            let (frame, total) = Frame::split(&out).unwrap().unwrap();
            assert_eq!(total, 24);
            assert_eq!(parse(&frame).is_ok(), good, "{amount}");
        }
    }
}
