//! LAYOUT_VERDICT: what the client makes of the server's layouts (PROTOCOL.md §4.2).

use super::method::Verdict;
use super::section::{self, Sections};
use super::{Frame, Violation, header, kind};

/// The frame; the method's index stands in the header's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayoutVerdict {
    /// Which method.
    pub index: u32,
    /// Which directions carry archives from now on.
    pub verdict: Verdict,
}

impl LayoutVerdict {
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let start = header::begin(out, kind::LAYOUT_VERDICT, 0, self.index, 0);
        section::put_integer(out, section::VERDICT, u64::from(self.verdict.bits()));
        header::end_head(out, start, 0);
    }

    /// Reads the frame.
    ///
    /// # Errors
    /// When the verdict is malformed or missing.
    pub fn parse(frame: &Frame<'_>) -> Result<Self, Violation> {
        let mut verdict = None;
        let mut sections = Sections::new(frame.head);
        while let Some((number, value)) = sections.take()? {
            match number {
                section::VERDICT => verdict = Some(Verdict::of_bits(section::integer(value)?)),
                other => section::unknown(other)?,
            }
        }
        let verdict = verdict.ok_or(Violation::protocol("LAYOUT_VERDICT without a verdict"))?;
        Ok(Self {
            index: frame.header.slot,
            verdict,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_round_trip() {
        for bits in 0..4 {
            let verdict = LayoutVerdict {
                index: 9,
                verdict: Verdict::of_bits(bits),
            };
            let mut out = Vec::new();
            verdict.write(&mut out);
            let (frame, _) = Frame::split(&out).unwrap().unwrap();
            assert_eq!(LayoutVerdict::parse(&frame), Ok(verdict));
        }
    }
}
