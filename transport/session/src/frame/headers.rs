//! HEADERS: response metadata, before the first message (PROTOCOL.md §4.5).

use dreammesh_core::call::Metadata;

use super::section::{self, Sections};
use super::{Frame, Violation, header, kind, metadata};

/// Appends the frame.
pub(crate) fn write(out: &mut Vec<u8>, slot: u32, generation: u32, entries: &Metadata) {
    let start = header::begin(out, kind::HEADERS, 0, slot, generation);
    metadata::put(out, entries);
    header::end_head(out, start, 0);
}

/// The value of the frame's metadata section; empty when there is none.
///
/// # Errors
/// When the head is malformed or holds an unknown critical section.
pub fn parse<'a>(frame: &Frame<'a>) -> Result<&'a [u8], Violation> {
    let mut found: &[u8] = &[];
    let mut sections = Sections::new(frame.head);
    while let Some((number, value)) = sections.take()? {
        match number {
            section::METADATA => found = value,
            other => section::unknown(other)?,
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_round_trip() {
        let mut entries = Metadata::new();
        for count in 0..3 {
            let mut out = Vec::new();
            write(&mut out, 1, 2, &entries);
            let (frame, total) = Frame::split(&out).unwrap().unwrap();
            assert_eq!(total, out.len());
            let value = parse(&frame).unwrap();
            assert_eq!(metadata::parse(value, 1024).unwrap().unwrap(), entries);
            entries.append("name", "v".repeat(count)).unwrap();
        }
    }
}
