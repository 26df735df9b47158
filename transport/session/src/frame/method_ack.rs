//! METHOD_ACK: what the server makes of a method's layouts (PROTOCOL.md §4.2).

use dreammesh_core::wire::LayoutHash;

use super::method::{Hashes, Verdict};
use super::section::{self, Sections};
use super::{CHUNK_BYTES_MAX, Frame, Violation, fixed, header, kind, u32_at};

/// The most bytes of chains an acknowledgement carries; beyond it the method stays protobuf.
pub const CHAINS_BYTES_MAX: usize = CHUNK_BYTES_MAX;

/// The frame; the method's index stands in the header's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodAck<'a> {
    /// Which method.
    pub index: u32,
    /// Whether the server has the method at all.
    pub known: bool,
    /// Which directions the server knows to be compatible.
    pub verdict: Verdict,
    /// The server's layouts.
    pub hashes: Hashes,
    /// The server's chains, for the client to judge; empty when there is nothing to judge.
    pub chains: Chains<'a>,
}

/// The closures of a method's two sides, in the form of WIRE.md.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a call has two directions")]
pub struct Chains<'a> {
    /// The chains of everything the request reaches.
    pub request: &'a [u8],
    /// The chains of everything the response reaches.
    pub response: &'a [u8],
}

impl Chains<'_> {
    /// Whether there is nothing to judge.
    pub fn is_empty(&self) -> bool {
        self.request.is_empty() && self.response.is_empty()
    }

    /// Both, and the length of the first before them.
    pub(crate) fn encoded_len(&self) -> usize {
        if self.is_empty() {
            0
        } else {
            4 + self.request.len() + self.response.len()
        }
    }
}

/// Set in the verdict's number when the server does not have the method.
const UNKNOWN_METHOD: u8 = 0x80;

impl<'a> MethodAck<'a> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let start = header::begin(out, kind::METHOD_ACK, 0, self.index, 0);
        section::put(out, section::REQUEST_HASH, &self.hashes.request.0);
        section::put(out, section::RESPONSE_HASH, &self.hashes.response.0);
        let unknown = if self.known { 0 } else { UNKNOWN_METHOD };
        section::put_integer(
            out,
            section::VERDICT,
            u64::from(self.verdict.bits() | unknown),
        );
        header::end_head(out, start, self.chains.encoded_len());
        if !self.chains.is_empty() {
            out.extend_from_slice(&(self.chains.request.len() as u32).to_le_bytes());
            out.extend_from_slice(self.chains.request);
            out.extend_from_slice(self.chains.response);
        }
        header::pad(out, start);
    }

    /// Reads the frame.
    ///
    /// # Errors
    /// When a section is malformed or missing.
    pub fn parse(frame: &Frame<'a>) -> Result<Self, Violation> {
        let (mut request, mut response, mut verdict) = (None, None, None);
        let mut sections = Sections::new(frame.head);
        while let Some((number, value)) = sections.take()? {
            match number {
                section::REQUEST_HASH => request = Some(LayoutHash(section::hash(value)?)),
                section::RESPONSE_HASH => response = Some(LayoutHash(section::hash(value)?)),
                section::VERDICT => verdict = Some(section::integer(value)?),
                other => section::unknown(other)?,
            }
        }
        let (Some(request), Some(response), Some(bits)) = (request, response, verdict) else {
            return Err(Violation::protocol("METHOD_ACK without verdict or hashes"));
        };
        Ok(Self {
            index: frame.header.slot,
            known: bits & u64::from(UNKNOWN_METHOD) == 0,
            verdict: Verdict::of_bits(bits),
            hashes: Hashes { request, response },
            chains: read_chains(frame.payload)?,
        })
    }
}

fn read_chains(payload: &[u8]) -> Result<Chains<'_>, Violation> {
    if payload.is_empty() {
        return Ok(Chains::default());
    }
    let (length, rest) = fixed::<4>(payload, "chains without their length")?;
    let split = rest.split_at_checked(u32_at(length, 0) as usize);
    let (request, response) = split.ok_or(Violation::protocol("chains beyond their frame"))?;
    Ok(Chains { request, response })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_round_trip() {
        let hashes = Hashes {
            request: LayoutHash([1; 16]),
            response: LayoutHash([2; 16]),
        };
        let half = Verdict {
            request: false,
            response: true,
        };
        for (known, verdict, request, response) in [
            (true, Verdict::BOTH, "", ""),
            (true, half, "chains", ""),
            (true, Verdict::NEITHER, "chains", "more"),
            (false, Verdict::NEITHER, "", ""),
        ] {
            let chains = Chains {
                request: request.as_bytes(),
                response: response.as_bytes(),
            };
            let ack = MethodAck {
                index: 3,
                known,
                verdict,
                hashes,
                chains,
            };
            let mut out = Vec::new();
            ack.write(&mut out);
            let (frame, total) = Frame::split(&out).unwrap().unwrap();
            assert_eq!(total, out.len());
            assert_eq!(MethodAck::parse(&frame), Ok(ack));
        }
    }
}
