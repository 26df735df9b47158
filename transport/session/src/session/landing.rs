//! Chunks that arrive in part, and where the rest of them goes.
//!
//! A large message is copied once on its way in if its bytes go through a read buffer. So the
//! driver may ask, while a chunk is incomplete, where its rest belongs, and have the link put it
//! there: PROTOCOL.md §4.7 says how much of it is to come.

use std::io::IoSliceMut;
use std::time::Instant;

use bytes::BytesMut;
use dreammesh_core::port::StreamKey;

use super::Session;
use super::bulk::{Buffer, TURN_BYTES};
use super::slots::key_of;
use crate::frame::header::padded;
use crate::frame::{CHUNK_BYTES_MAX, Frame, HEADER_LEN, Header, Violation, chunk, flag, kind};

/// The chunk at the front of the input, of which some has been taken.
#[derive(Debug)]
pub(super) struct Arriving {
    /// The stream it belongs to; none if it is passed over.
    key: Option<StreamKey>,
    flags: u8,
    /// The bytes of its payload that are missing.
    left: usize,
    /// The padding behind them.
    padding: usize,
    /// A landing is out.
    lent: bool,
}

/// The place of the next bytes of a large message, lent to a driver.
///
/// That is the rest of a chunk, and as long as its message goes on in its turn, the chunks behind
/// it, with their headers set apart. If something else comes between them, what has landed where
/// it does not belong becomes input after all.
#[derive(Debug)]
pub struct Landing {
    key: StreamKey,
    wire: (u32, u32),
    buffer: Buffer,
    /// How much of the chunk that is arriving is missing.
    left: usize,
    /// The headers that are expected behind it.
    headers: [[u8; HEADER_LEN]; FURTHER_CHUNKS_MAX],
    /// How many of them, each before a chunk of the full length.
    further: usize,
    /// How many of them have been found to be what was expected.
    taken: usize,
    /// What came, in the order of the places, and was not taken.
    landed: usize,
}

impl Landing {
    /// The places that the next bytes go to, to be filled in their order; what comes behind goes
    /// to `behind`. Some may be empty.
    ///
    /// Memory that is new is cleared, and becomes resident by that: no more than one chunk.
    pub fn places<'a>(&'a mut self, behind: &'a mut [u8]) -> [IoSliceMut<'a>; PLACES] {
        let mut places = [const { None }; PLACES];
        let (rest, mut further) = self
            .buffer
            .room(self.left + self.further * CHUNK_BYTES_MAX)
            .split_at_mut(self.left);
        places[0] = Some(rest);
        for (at, header) in self.headers[..self.further].iter_mut().enumerate() {
            let (payload, others) = further.split_at_mut(CHUNK_BYTES_MAX);
            places[2 * at + 1] = Some(header);
            places[2 * at + 2] = Some(payload);
            further = others;
        }
        places[PLACES - 1] = Some(behind);
        places.map(|place| IoSliceMut::new(place.unwrap_or_default()))
    }

    /// Notes that so many bytes were put into the [`places`](Self::places); gives how many of
    /// them are in the last one.
    pub fn fill(&mut self, bytes: usize) -> usize {
        let room = self.left + self.further * (HEADER_LEN + CHUNK_BYTES_MAX);
        self.landed = bytes.min(room);
        bytes - self.landed
    }
}

impl Landing {
    /// Takes what came of the chunk that was arriving; gives how much that is.
    fn take_first(&mut self) -> usize {
        let first = self.landed.min(self.left);
        self.landed -= first;
        self.buffer.fill(first);
        first
    }

    /// Takes what came of the next chunk if it is what was expected; gives its flags and how much
    /// of it is missing.
    fn take_further(&mut self, total: usize) -> Option<(u8, usize)> {
        let payload = self.landed.checked_sub(HEADER_LEN)?.min(CHUNK_BYTES_MAX);
        let header = Header::read(self.headers.get(self.taken)?);
        let last = self.buffer.filled() + CHUNK_BYTES_MAX == total;
        let expected = Header {
            length: CHUNK_BYTES_MAX as u32,
            kind: kind::CHUNK,
            flags: header.flags & if last { flag::END } else { 0 },
            head_len: 0,
            slot: self.wire.0,
            generation: self.wire.1,
        };
        if header != expected {
            return None;
        }
        self.taken += 1;
        self.landed -= HEADER_LEN + payload;
        self.buffer.fill(payload);
        Some((header.flags, CHUNK_BYTES_MAX - payload))
    }

    /// Puts what came and was not taken to the front of the input.
    fn put_before(&mut self, input: &mut BytesMut) {
        if self.landed == 0 {
            return;
        }
        let mut bytes = Vec::with_capacity(self.landed + input.len());
        let mut payloads = self.buffer.behind();
        for header in &self.headers[self.taken..] {
            let header = &header[..HEADER_LEN.min(self.landed)];
            self.landed -= header.len();
            let (payload, others) = payloads.split_at(CHUNK_BYTES_MAX.min(self.landed));
            self.landed -= payload.len();
            bytes.extend_from_slice(header);
            bytes.extend_from_slice(payload);
            payloads = others;
        }
        bytes.extend_from_slice(input);
        input.clear();
        input.extend_from_slice(&bytes);
    }
}

impl<U: Default> Session<U> {
    /// Where the next bytes from the link belong, if that is a large message: the driver fills
    /// the landing's room from its front, and only what comes behind goes to the input.
    ///
    /// It asks with an empty input only. As long as it has the landing, no input is taken;
    /// [`Session::handle_landed`] brings it back.
    pub fn poll_landing(&mut self) -> Option<Landing> {
        let arriving = self.arriving.as_mut()?;
        let key = arriving.key?;
        if arriving.left == 0 || arriving.lent || self.closed {
            return None;
        }
        let (_, slot) = self.slots.live(key)?;
        let wire = slot.wire;
        let incoming = slot.incoming()?;
        let next = incoming.received()? + arriving.left;
        let turn_end = next.next_multiple_of(TURN_BYTES).min(incoming.total());
        let buffer = incoming.lend()?;
        // Only memory that has been used before is offered for what may not come.
        let ahead = (turn_end - next).min(buffer.behind().len().saturating_sub(arriving.left));
        let further = match arriving.padding {
            0 => ahead / CHUNK_BYTES_MAX,
            _ => 0,
        };
        arriving.lent = true;
        Some(Landing {
            key,
            wire,
            buffer,
            left: arriving.left,
            headers: [[0; HEADER_LEN]; FURTHER_CHUNKS_MAX],
            further,
            taken: 0,
            landed: 0,
        })
    }

    /// Brings a landing back with what was put there, and `input` with what came behind.
    ///
    /// [`Session::handle_input`] is to follow.
    pub fn handle_landed(&mut self, now: Instant, mut landing: Landing, input: &mut BytesMut) {
        self.tick(now);
        if self.arriving.is_some() && landing.landed > 0 {
            self.heard();
        }
        let Some(arriving) = &mut self.arriving else {
            return;
        };
        arriving.lent = false;
        arriving.left -= landing.take_first();
        // The call may be over by now, and what was announced for it with it.
        let Some((index, slot)) = self.slots.live(landing.key) else {
            landing.put_before(input);
            return;
        };
        let Some(incoming) = slot.incoming() else {
            landing.put_before(input);
            return;
        };
        while let Some((flags, left)) = landing.take_further(incoming.total()) {
            (arriving.flags, arriving.left) = (flags, left);
        }
        landing.put_before(input);
        incoming.take_back(landing.buffer);
        let (flags, left) = (arriving.flags, arriving.left);
        if left == 0 && arriving.padding == 0 {
            self.arriving = None;
        }
        if left == 0 {
            self.large_arrived(index, flags);
        }
    }

    /// Takes what there is of a chunk at the front of `input` whose end is missing; gives how
    /// much it took.
    pub(super) fn begin_arriving(&mut self, input: &[u8]) -> Result<usize, Violation> {
        let Some(frame) = Frame::begun(input)? else {
            return Ok(0);
        };
        if !self.takes_chunk(&frame.header) {
            return Ok(0);
        }
        let index = self.begin_chunk(&frame)?;
        let length = chunk::payload_len(&frame.header);
        let key = index.map(|index| key_of(index, self.slots.at(index).generation));
        self.arriving = Some(Arriving {
            key,
            flags: frame.header.flags,
            left: length,
            padding: padded(length) - length,
            lent: false,
        });
        let begin = HEADER_LEN + frame.head.len();
        Ok(begin + self.continue_chunk(&input[begin..]))
    }

    /// Takes more of the chunk that is arriving, and no further.
    pub(super) fn continue_chunk(&mut self, input: &[u8]) -> usize {
        let Some(arriving) = self.arriving.as_mut().filter(|arriving| !arriving.lent) else {
            return 0;
        };
        let (payload, behind) = input.split_at(arriving.left.min(input.len()));
        let padding = arriving.padding.min(behind.len());
        arriving.left -= payload.len();
        // As long as payload is missing there is nothing behind it.
        arriving.padding -= padding;
        let (key, flags, left) = (arriving.key, arriving.flags, arriving.left);
        if left == 0 && arriving.padding == 0 {
            self.arriving = None;
        }
        if !payload.is_empty()
            && let Some((index, _)) = key.and_then(|key| self.slots.live(key))
        {
            self.add_to_large(index, payload);
            if left == 0 {
                self.large_arrived(index, flags);
            }
        }
        payload.len() + padding
    }
}

/// The chunks behind the first one of a turn.
const FURTHER_CHUNKS_MAX: usize = TURN_BYTES / CHUNK_BYTES_MAX - 1;

/// The rest of a chunk, further ones with their headers, and what comes behind.
const PLACES: usize = 2 + 2 * FURTHER_CHUNKS_MAX;
