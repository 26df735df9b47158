//! CANCEL: the client gave a call up (PROTOCOL.md §4.9).

use super::{Header, kind};

/// Appends the frame.
pub(crate) fn write(out: &mut Vec<u8>, slot: u32, generation: u32) {
    let header = Header {
        length: 0,
        kind: kind::CANCEL,
        flags: 0,
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
    fn a_cancel_is_a_bare_header() {
        let mut out = Vec::new();
        write(&mut out, 5, 6);
        let (frame, total) = Frame::split(&out).unwrap().unwrap();
        assert_eq!(
            (frame.header.kind, frame.header.slot, total),
            (kind::CANCEL, 5, 16)
        );
    }
}
