//! CHUNK: a part of a message larger than a frame carries (PROTOCOL.md §4.7).
//!
//! The first chunk announces the size of the whole; it is sent only when credit for all of it is
//! reserved, so that an announced message always completes.

use dreammesh_core::port::WireMode;

use super::section::Sections;
use super::{
    CHUNK_BYTES_MAX, Frame, Header, Violation, fixed, flag, header, kind, mode_flags, u32_at,
};

/// Appends the frame up to its payload of `length` bytes.
pub(crate) fn write_header(
    out: &mut Vec<u8>,
    stream: (u32, u32),
    announced: Option<(u32, WireMode)>,
    length: usize,
    end: bool,
) {
    let flags = if end { flag::END } else { 0 }
        | announced.map_or(0, |(_, mode)| flag::MESSAGE | mode_flags(mode));
    let start = header::begin(out, kind::CHUNK, flags, stream.0, stream.1);
    if let Some((total, _)) = announced {
        out.extend_from_slice(&u64::from(total).to_le_bytes());
    }
    header::end_head(out, start, length);
}

/// The announced size of the whole message, if this is its first chunk.
///
/// Its payload may be missing, as long as its head is there.
///
/// # Errors
/// When the announcement is malformed, or would have fitted a MESSAGE frame, or the chunk is
/// empty.
pub fn announced(frame: &Frame<'_>) -> Result<Option<u32>, Violation> {
    if payload_len(&frame.header) == 0 {
        return Err(Violation::protocol("an empty chunk"));
    }
    if frame.header.flags & flag::MESSAGE == 0 {
        Sections::new(frame.head).finish()?;
        return Ok(None);
    }
    let (fields, rest) = fixed::<8>(frame.head, "an announcement without a size")?;
    Sections::new(rest).finish()?;
    let total = u32_at(fields, 0);
    if total as usize <= CHUNK_BYTES_MAX {
        return Err(Violation::protocol("a small message travels in one frame"));
    }
    Ok(Some(total))
}

/// The bytes of a chunk's payload, whether they have arrived or not.
#[inline]
pub(crate) const fn payload_len(header: &Header) -> usize {
    (header.length as usize).saturating_sub(header.head_len as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reparse(announce: Option<u32>, length: usize) -> Result<Option<u32>, Violation> {
        let mut out = Vec::new();
        let announce = announce.map(|total| (total, WireMode::Archive));
        write_header(&mut out, (1, 2), announce, length, false);
        out.resize(out.len() + header::padded(length), 7);
        let (frame, total) = Frame::split(&out).unwrap().unwrap();
        assert_eq!(total, out.len());
        announced(&frame)
    }

    #[test]
    fn only_what_needs_chunks_is_announced() {
        assert_eq!(reparse(Some(65_537), 8), Ok(Some(65_537)));
        assert!(reparse(Some(65_536), 8).is_err());
        assert_eq!(reparse(None, 8), Ok(None));
        assert!(reparse(None, 0).is_err());
    }
}
