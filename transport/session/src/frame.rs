//! Frames: what the bytes of a session mean, one file a kind (PROTOCOL.md §3 and §4).
//!
//! Writing appends to a vector; parsing borrows from the read buffer and allocates nothing.

use std::fmt;

use dreammesh_core::port::WireMode;

pub mod cancel;
pub mod chunk;
pub mod close;
pub mod credit;
pub mod end;
pub mod goaway;
pub mod header;
pub mod headers;
pub mod hello;
pub mod layout_verdict;
pub mod message;
pub mod metadata;
pub mod method;
pub mod method_ack;
pub mod open;
pub mod ping;
pub mod section;

pub use header::{Frame, HEADER_LEN, Header};

/// The eight bytes each side sends before its first frame (PROTOCOL.md §2).
///
/// The first is neither a TLS record type nor a letter of an HTTP method, so that one port can
/// tell the protocols apart by it.
pub const PREFACE: [u8; 8] = *b"\xd7DMESH\r\n";

/// The largest payload of one frame, and so the largest chunk of a message (PROTOCOL.md §5.3).
///
/// 64 KiB keeps a large message from delaying a small call for longer than about 15 µs of a
/// 4 GB/s link, while the frame header stays below a thousandth of the bytes.
pub const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// The largest head a frame can have: the greatest multiple of eight in its 16-bit field.
pub const HEAD_BYTES_MAX: usize = 65_528;

/// The greatest `length` a frame may announce.
pub const FRAME_LENGTH_MAX: usize = HEAD_BYTES_MAX + CHUNK_BYTES_MAX;

/// The kinds of frames; numbers from 128 on are ignorable by a peer that does not know them.
pub mod kind {
    /// Version range, limits and settings.
    pub const HELLO: u8 = 1;
    /// A method's path, its index from now on, and the client's layouts.
    pub const METHOD: u8 = 2;
    /// What the server makes of a method's layouts.
    pub const METHOD_ACK: u8 = 3;
    /// What the client makes of the server's layouts.
    pub const LAYOUT_VERDICT: u8 = 4;
    /// The start of a call, possibly with its first message.
    pub const OPEN: u8 = 5;
    /// Response metadata.
    pub const HEADERS: u8 = 6;
    /// A whole message.
    pub const MESSAGE: u8 = 7;
    /// A part of a large message.
    pub const CHUNK: u8 = 8;
    /// The end of a call with its status.
    pub const END: u8 = 9;
    /// The client gave a call up.
    pub const CANCEL: u8 = 10;
    /// Credit for a stream or the connection.
    pub const CREDIT: u8 = 11;
    /// Asks for a PONG.
    pub const PING: u8 = 12;
    /// Answers a PING.
    pub const PONG: u8 = 13;
    /// No further calls, in two phases.
    pub const GOAWAY: u8 = 14;
    /// The end of the session with its reason.
    pub const CLOSE: u8 = 15;
    /// From here on a kind is ignorable.
    pub const IGNORABLE: u8 = 128;
}

/// The flags of frames; the lower six bits are critical, the upper two ignorable.
pub mod flag {
    /// The sender's half of the stream ends with this frame; from a server: in success.
    pub const END: u8 = 0x01;
    /// The payload is a message, or the first part of one; without it there is no payload
    /// (OPEN, MESSAGE) or a further part (CHUNK).
    pub const MESSAGE: u8 = 0x02;
    /// The payload is protobuf, not an archive.
    pub const PROTOBUF: u8 = 0x04;
    /// Reserved for compressed payloads.
    pub const COMPRESSED: u8 = 0x08;
    /// Reserved for a checksum behind the payload.
    pub const CHECKSUM: u8 = 0x10;
    /// Reserved for frames that also travel as datagrams.
    pub const DATAGRAM: u8 = 0x20;
    /// The bits a receiver must know.
    pub const CRITICAL: u8 = 0x3f;
}

/// The form of a payload that a frame's flags name.
#[inline]
pub const fn wire_mode(flags: u8) -> WireMode {
    if flags & flag::PROTOBUF == 0 {
        WireMode::Archive
    } else {
        WireMode::Protobuf
    }
}

/// The flag bits that name the form of a payload.
#[inline]
pub const fn mode_flags(mode: WireMode) -> u8 {
    match mode {
        WireMode::Archive => 0,
        WireMode::Protobuf => flag::PROTOBUF,
    }
}

/// Why a session was closed (PROTOCOL.md §8.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_structs,
    reason = "a number of the protocol, known or not"
)]
pub struct CloseCode(pub u32);

impl CloseCode {
    /// Nothing is wrong; the session has ended.
    pub const DONE: Self = Self(0);
    /// A frame was malformed or came where it must not.
    pub const PROTOCOL: Self = Self(1);
    /// The version ranges do not meet, or the preface is not ours.
    pub const VERSION: Self = Self(2);
    /// A critical frame kind, flag, section or setting is not known.
    pub const UNKNOWN_CRITICAL: Self = Self(3);
    /// A frame announced more than any frame may have.
    pub const FRAME_SIZE: Self = Self(4);
    /// The peer sent more than its credit, or returned credit it never had.
    pub const CREDIT: Self = Self(5);
    /// A slot or generation is out of range or order.
    pub const SLOT: Self = Self(6);
    /// A table announced as bounded would overflow.
    pub const LIMIT: Self = Self(7);
    /// Too many frames that do no work.
    pub const FLOOD: Self = Self(8);
    /// The peer did not answer a keepalive in time.
    pub const KEEPALIVE: Self = Self(9);
    /// The process that owned the session is shutting down.
    pub const SHUTDOWN: Self = Self(10);
    /// The link broke without a CLOSE; never on the wire.
    pub const LINK: Self = Self(u32::MAX);

    /// The name in PROTOCOL.md, if this version knows the code.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DONE => "DONE",
            Self::PROTOCOL => "PROTOCOL",
            Self::VERSION => "VERSION",
            Self::UNKNOWN_CRITICAL => "UNKNOWN_CRITICAL",
            Self::FRAME_SIZE => "FRAME_SIZE",
            Self::CREDIT => "CREDIT",
            Self::SLOT => "SLOT",
            Self::LIMIT => "LIMIT",
            Self::FLOOD => "FLOOD",
            Self::KEEPALIVE => "KEEPALIVE",
            Self::SHUTDOWN => "SHUTDOWN",
            Self::LINK => "LINK",
            _ => "unknown",
        }
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

/// A breach of the protocol by the peer, which ends the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The code that CLOSE will carry.
    pub code: CloseCode,
    /// What was wrong, for people.
    pub what: &'static str,
}

impl Violation {
    pub(crate) const fn new(code: CloseCode, what: &'static str) -> Self {
        Self { code, what }
    }

    pub(crate) const fn protocol(what: &'static str) -> Self {
        Self::new(CloseCode::PROTOCOL, what)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.what)
    }
}

impl std::error::Error for Violation {}

/// Splits the fixed fields off a head; what follows are sections.
#[inline]
pub(crate) fn fixed<'a, const N: usize>(
    head: &'a [u8],
    what: &'static str,
) -> Result<(&'a [u8; N], &'a [u8]), Violation> {
    head.split_first_chunk::<N>()
        .ok_or_else(|| Violation::protocol(what))
}

#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
