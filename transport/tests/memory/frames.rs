//! Frames written by hand, since the library refuses to write the lies that are wanted here.

use dreammesh_session::frame::{Header, flag, kind, section};

/// A well-formed frame; the head is padded.
pub(crate) fn frame(
    kind: u8,
    flags: u8,
    (slot, generation): (u32, u32),
    head: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let head_len = head.len().next_multiple_of(8);
    let length = head_len + payload.len();
    let mut out = header(
        length as u32,
        kind,
        flags,
        head_len as u16,
        (slot, generation),
    );
    out.extend_from_slice(head);
    out.resize(16 + head_len, 0);
    out.extend_from_slice(payload);
    out.resize(out.len().next_multiple_of(8), 0);
    out
}

/// A header alone, whatever it claims.
pub(crate) fn header(
    length: u32,
    kind: u8,
    flags: u8,
    head_len: u16,
    (slot, generation): (u32, u32),
) -> Vec<u8> {
    let header = Header {
        length,
        kind,
        flags,
        head_len,
        slot,
        generation,
    };
    header.bytes().to_vec()
}

/// A section that claims `length` bytes of value.
pub(crate) fn section_of(number: u8, length: u16, value: &[u8]) -> Vec<u8> {
    let [low, high] = length.to_le_bytes();
    let mut out = vec![number, 0, low, high];
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

/// An honest section.
pub(crate) fn section(number: u8, value: &[u8]) -> Vec<u8> {
    section_of(number, value.len() as u16, value)
}

/// A HELLO with these settings besides the versions.
pub(crate) fn hello(settings: &[(u8, u64)]) -> Vec<u8> {
    let mut head = vec![1, 0, 1, 0, 0, 0, 0, 0];
    for (number, value) in settings {
        head.extend(section(*number, &value.to_le_bytes()));
    }
    frame(kind::HELLO, 0, (0, 0), &head, &[])
}

/// METHOD with hashes that equal those of [`crate::child::MASK`] and its like.
pub(crate) fn method(index: u32, path: &str) -> Vec<u8> {
    let head = [
        section(section::PATH, path.as_bytes()),
        section(section::REQUEST_HASH, &crate::child::HASH.0),
        section(section::RESPONSE_HASH, &crate::child::HASH.0),
    ];
    frame(kind::METHOD, 0, (index, 0), &head.concat(), &[])
}

/// OPEN of a method by its index, with these sections and a first message if `flags` say so.
pub(crate) fn open(
    method: u32,
    id: (u32, u32),
    flags: u8,
    sections: &[u8],
    message: &[u8],
) -> Vec<u8> {
    let head = [&u64::from(method).to_le_bytes()[..], sections].concat();
    frame(kind::OPEN, flags, id, &head, message)
}

/// The first chunk of a message of `total` bytes.
pub(crate) fn chunk(id: (u32, u32), total: u32, part: &[u8]) -> Vec<u8> {
    let head = u64::from(total).to_le_bytes();
    frame(kind::CHUNK, flag::MESSAGE | flag::PROTOBUF, id, &head, part)
}

/// A PING, whose PONG says that everything before it was taken in.
pub(crate) fn ping() -> Vec<u8> {
    frame(kind::PING, 0, (0, 0), &7_u64.to_le_bytes(), &[])
}
