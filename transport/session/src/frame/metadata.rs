//! Metadata as the value of a section (PROTOCOL.md §4.4).
//!
//! Each entry is the length of the name and of the value, 16 bits each, then both.

use dreammesh_core::call::{Metadata, MetadataError};

use super::{Violation, section};

/// Why metadata that arrived is not handed on; the call ends, the connection goes on.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "either too much or not metadata")]
pub enum Refused {
    /// It exceeds the receiver's limit.
    TooLarge,
    /// A name or a value breaks the rules.
    Invalid(MetadataError),
}

/// The bytes of the section's value.
pub fn encoded_len(metadata: &Metadata) -> usize {
    // Each entry counts 32 bytes of overhead in its size, of which 4 travel.
    let overhead = metadata.len() * (Metadata::ENTRY_OVERHEAD_BYTES - ENTRY_HEADER_LEN);
    metadata.size_bytes() - overhead
}

/// Appends the section, if there are entries.
pub(crate) fn put(out: &mut Vec<u8>, metadata: &Metadata) {
    if metadata.is_empty() {
        return;
    }
    let length = encoded_len(metadata);
    section::put_header(out, section::METADATA, length);
    for (name, value) in metadata.iter() {
        let value = value.as_bytes();
        out.extend_from_slice(&(name.len() as u16).to_le_bytes());
        out.extend_from_slice(&(value.len() as u16).to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(value);
    }
    section::put_padding(out, length);
}

/// Reads the value of a section.
///
/// # Errors
/// The outer error when the value is malformed, which ends the session; the inner one when the
/// entries are not acceptable, which ends the call.
pub fn parse(value: &[u8], limit_bytes: usize) -> Result<Result<Metadata, Refused>, Violation> {
    let mut metadata = Metadata::new();
    let mut rest = value;
    let mut refused = None;
    while !rest.is_empty() {
        let (name, value) = entry(&mut rest)?;
        if refused.is_some() {
            continue;
        }
        if let Err(error) = metadata.append_received(name, value) {
            refused = Some(Refused::Invalid(error));
        } else if metadata.size_bytes() > limit_bytes {
            refused = Some(Refused::TooLarge);
        }
    }
    Ok(refused.map_or(Ok(metadata), Err))
}

fn entry<'a>(rest: &mut &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Violation> {
    const SHORT: Violation = Violation::protocol("a metadata entry leads beyond its section");
    let (&[n0, n1, v0, v1], after) = rest.split_first_chunk::<ENTRY_HEADER_LEN>().ok_or(SHORT)?;
    let name_len = usize::from(u16::from_le_bytes([n0, n1]));
    let value_len = usize::from(u16::from_le_bytes([v0, v1]));
    let (name, after) = after.split_at_checked(name_len).ok_or(SHORT)?;
    let (value, after) = after.split_at_checked(value_len).ok_or(SHORT)?;
    *rest = after;
    Ok((name, value))
}

const ENTRY_HEADER_LEN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::section::Sections;

    #[test]
    fn metadata_round_trips_within_its_limit() {
        let mut metadata = Metadata::new();
        metadata.append("tenant", "a").unwrap();
        metadata.append_bin("sum-bin", vec![0, 255]).unwrap();
        metadata.append("empty", "").unwrap();
        let mut head = Vec::new();
        put(&mut head, &metadata);
        let (number, value) = Sections::new(&head).take().unwrap().unwrap();
        assert_eq!(
            (number, value.len()),
            (section::METADATA, encoded_len(&metadata))
        );
        let limit = metadata.size_bytes();
        assert_eq!(parse(value, limit).unwrap().unwrap(), metadata);
        assert!(matches!(
            parse(value, limit - 1).unwrap(),
            Err(Refused::TooLarge)
        ));
        for short in 1..value.len() {
            let cut = parse(&value[..short], limit);
            assert!(cut.is_err() || cut.is_ok_and(|read| read.is_ok_and(|m| m.len() < 3)));
        }
    }

    #[test]
    fn bad_entries_end_the_call_only() {
        let bad = [1, 0, 1, 0, b':', b'x'];
        assert!(matches!(
            parse(&bad, 1024).unwrap(),
            Err(Refused::Invalid(_))
        ));
    }
}
