//! Frames: what it takes to read one, and to write a header.

use std::hint::black_box;

use dreammesh_session::frame::open::Open;
use dreammesh_session::frame::{Frame, Header, flag, kind};

use crate::{Body, Part, session};

/// The parts.
pub const PARTS: &[Part] = &[
    Part::new("frame: header written", header_written),
    Part::new("frame: message parsed", message_parsed),
    Part::new("frame: open parsed", || open_parsed(false)),
    Part::new("frame: open with a deadline parsed", || open_parsed(true)),
];

const HEADER: Header = Header {
    length: 64,
    kind: kind::MESSAGE,
    flags: flag::END | flag::MESSAGE,
    head_len: 0,
    slot: 5,
    generation: 9,
};

fn header_written() -> Body {
    let mut out = Vec::with_capacity(64);
    Box::new(move || {
        out.clear();
        out.extend_from_slice(&black_box(HEADER).bytes());
        black_box(&out);
    })
}

fn message_parsed() -> Body {
    let mut bytes = HEADER.bytes().to_vec();
    bytes.resize(bytes.len() + 64, 0);
    Box::new(move || {
        let frame = Frame::split(black_box(&bytes)).expect("a lawful frame");
        black_box(frame.expect("it is whole").1);
    })
}

/// The frame as a session writes it.
fn open_parsed(deadline: bool) -> Body {
    let bytes = session::Pair::new(deadline).opening();
    Box::new(move || {
        let frame = Frame::split(black_box(&bytes)).expect("a lawful frame");
        let (frame, _) = frame.expect("it is whole");
        black_box(Open::parse(&frame).expect("a lawful head").remaining_us);
    })
}
