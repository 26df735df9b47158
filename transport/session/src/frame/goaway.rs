//! GOAWAY: no further calls, in two phases (PROTOCOL.md §7).

use super::section::Sections;
use super::{Frame, Violation, fixed, header, kind, u32_at, u64_at};

/// The two phases of a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the drain has exactly two phases")]
pub enum Phase {
    /// The client should open no more calls; those it opened meanwhile are still taken.
    Announced,
    /// No call after the named one was or will be begun.
    Final {
        /// The ordinal of the last call that may have begun, 0 if none; the first OPEN of the
        /// connection has ordinal 1.
        last_begun: u64,
    },
}

/// Appends the frame.
pub(crate) fn write(out: &mut Vec<u8>, phase: Phase) {
    let (number, last_begun) = match phase {
        Phase::Announced => (1_u64, u64::MAX),
        Phase::Final { last_begun } => (2, last_begun),
    };
    let start = header::begin(out, kind::GOAWAY, 0, 0, 0);
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&last_begun.to_le_bytes());
    header::end_head(out, start, 0);
}

/// The phase the frame states.
///
/// # Errors
/// When it is malformed or names no phase there is.
pub fn parse(frame: &Frame<'_>) -> Result<Phase, Violation> {
    let (fields, rest) = fixed::<16>(frame.head, "GOAWAY without its fields")?;
    Sections::new(rest).finish()?;
    match u32_at(fields, 0) {
        1 => Ok(Phase::Announced),
        2 => Ok(Phase::Final {
            last_begun: u64_at(fields, 8),
        }),
        _ => Err(Violation::protocol("GOAWAY of an unknown phase")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_phases_round_trip() {
        for phase in [Phase::Announced, Phase::Final { last_begun: 12 }] {
            let mut out = Vec::new();
            write(&mut out, phase);
            let (frame, _) = Frame::split(&out).unwrap().unwrap();
            assert_eq!(parse(&frame), Ok(phase));
            out[16] = 3;
            assert!(parse(&Frame::split(&out).unwrap().unwrap().0).is_err());
        }
    }
}
