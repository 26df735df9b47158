//! MESSAGE: a whole message in one frame (PROTOCOL.md §4.6).

use dreammesh_core::port::WireMode;

use super::{Header, flag, kind, mode_flags};

/// Appends the header of a frame that ends a client's half without a message.
pub(crate) fn write_bare_end(out: &mut Vec<u8>, slot: u32, generation: u32) {
    let kind = kind::MESSAGE;
    let header = Header {
        length: 0,
        kind,
        flags: flag::END,
        head_len: 0,
        slot,
        generation,
    };
    out.extend_from_slice(&header.bytes());
}

/// Appends the header of the frame; the payload of `length` bytes follows.
///
/// From a server, `end` makes the frame the whole of a successful unary answer.
#[inline]
pub(crate) fn write_header(
    out: &mut Vec<u8>,
    slot: u32,
    generation: u32,
    length: usize,
    mode: WireMode,
    end: bool,
) {
    let flags = flag::MESSAGE | mode_flags(mode) | if end { flag::END } else { 0 };
    let length = length as u32;
    let header = Header {
        length,
        kind: kind::MESSAGE,
        flags,
        head_len: 0,
        slot,
        generation,
    };
    out.extend_from_slice(&header.bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;

    #[test]
    fn a_message_round_trips() {
        for end in [false, true] {
            let mut out = Vec::new();
            write_header(&mut out, 1, 2, 8, WireMode::Archive, end);
            out.extend_from_slice(b"archived");
            let (frame, total) = Frame::split(&out).unwrap().unwrap();
            assert_eq!((frame.payload, total), (&b"archived"[..], 24));
            assert_eq!(frame.header.flags & flag::END != 0, end);
        }
    }
}
