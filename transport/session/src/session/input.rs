//! Bytes that arrive: the preface, frames in any split, and what each kind leads to.

use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};

use super::{Drain, Role, Session, may_come_from};
use crate::event::Event;
use crate::frame::goaway::Phase;
use crate::frame::hello::Hello;
use crate::frame::section::Sections;
use crate::frame::{
    CloseCode, Frame, Header, PREFACE, Violation, close::Close, credit, flag, goaway, kind, ping,
};

/// The payload of a frame: borrowed from a batch, or a part of a buffer of its own.
#[derive(Debug)]
pub(crate) enum Payload<'a> {
    /// Small: copied out, so that it pins no buffer and starts aligned.
    Borrowed(&'a [u8]),
    /// Large: kept by reference count.
    Owned(Bytes),
}

impl Payload<'_> {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Borrowed(bytes) => bytes.len(),
            Self::Owned(bytes) => bytes.len(),
        }
    }

    #[inline]
    pub(crate) fn detach(self) -> Bytes {
        match self {
            Self::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Self::Owned(bytes) => bytes,
        }
    }
}

impl<U: Default> Session<U> {
    /// Takes all whole frames off `input`, and as much as there is of a chunk; any other incomplete
    /// frame stays at its front.
    ///
    /// A breach of the protocol closes the session. Input is left untouched while so much output
    /// is pending that no more should be read; see [`Session::wants_input`].
    pub fn handle_input(&mut self, now: Instant, input: &mut BytesMut) {
        self.tick(now);
        if !input.is_empty() {
            self.heard();
        }
        if let Err(violation) = self.take_frames(input) {
            self.fail(violation);
        }
        if self.closed {
            input.clear();
        }
    }

    /// Whether the driver should read: not while the peer leaves too much of our output unread.
    ///
    /// Frames may then remain in the input; once output was handed out, they are taken by calling
    /// [`Session::handle_input`] again, even if nothing was read.
    #[inline]
    pub fn wants_input(&self) -> bool {
        self.output.len() <= self.config.output_bytes_max && !self.closed
    }

    fn take_frames(&mut self, input: &mut BytesMut) -> Result<(), Violation> {
        if self.preface_left > 0 && !self.take_preface(input)? {
            return Ok(());
        }
        let slice_bytes_min = self.config.slice_bytes_min();
        let mut taken = 0;
        while self.wants_input() {
            if self.arriving.is_some() {
                taken += self.continue_chunk(&input[taken..]);
                if self.arriving.is_some() {
                    break;
                }
            }
            let Some((frame, total)) = Frame::split(&input[taken..])? else {
                taken += self.begin_arriving(&input[taken..])?;
                break;
            };
            if frame.payload.len() < slice_bytes_min || frame.header.kind == kind::CHUNK {
                let payload = Payload::Borrowed(frame.payload);
                self.handle_frame(&frame, payload)?;
                taken += total;
                continue;
            }
            // The buffer is given up to the frame, so that its payload needs no copy.
            input.advance(taken);
            let whole = input.split_to(total).freeze();
            taken = 0;
            if let Some((frame, _)) = Frame::split(&whole)? {
                let payload = Payload::Owned(whole.slice_ref(frame.payload));
                self.handle_frame(&frame, payload)?;
            }
        }
        input.advance(taken);
        Ok(())
    }

    /// PROTOCOL.md §2; the first wrong byte is enough to know that the peer speaks otherwise.
    fn take_preface(&mut self, input: &mut BytesMut) -> Result<bool, Violation> {
        let expected = &PREFACE[PREFACE.len() - self.preface_left..];
        let count = expected.len().min(input.len());
        if input[..count] != expected[..count] {
            return Err(Violation::new(
                CloseCode::VERSION,
                "the peer does not speak this protocol",
            ));
        }
        input.advance(count);
        self.preface_left -= count;
        Ok(self.preface_left == 0)
    }

    #[inline]
    fn handle_frame(&mut self, frame: &Frame<'_>, payload: Payload<'_>) -> Result<(), Violation> {
        let header = &frame.header;
        let message_flags = flag::END | flag::MESSAGE | flag::PROTOBUF;
        let critical = header.flags & flag::CRITICAL;
        match header.kind {
            kind::MESSAGE if self.connected && critical & !message_flags == 0 => {
                self.handle_message(frame, payload)
            }
            kind::OPEN if self.connected && critical & !message_flags == 0 => {
                if self.role == Role::Client {
                    return Err(wrong_side());
                }
                self.handle_open(frame, payload)
            }
            kind::CHUNK if self.takes_chunk(header) => self.handle_chunk(frame),
            _ => self.handle_control(frame),
        }
    }

    /// Whether a frame is a chunk without anything that would make it unlawful by itself.
    pub(crate) fn takes_chunk(&self, header: &Header) -> bool {
        let unknown = flag::CRITICAL & !(flag::END | flag::MESSAGE | flag::PROTOBUF);
        header.kind == kind::CHUNK && self.connected && header.flags & unknown == 0
    }

    fn handle_control(&mut self, frame: &Frame<'_>) -> Result<(), Violation> {
        let header = &frame.header;
        if header.kind >= kind::IGNORABLE {
            self.stats.frames_ignored += 1;
            return self.budget.spend(self.now);
        }
        if !self.connected && !matches!(header.kind, kind::HELLO | kind::CLOSE) {
            return Err(Violation::protocol("the first frame is not HELLO"));
        }
        if header.flags & flag::CRITICAL != 0 {
            let what = "a critical flag that is unknown or not negotiated";
            return Err(Violation::new(CloseCode::UNKNOWN_CRITICAL, what));
        }
        let sender = if self.role == Role::Client {
            Role::Server
        } else {
            Role::Client
        };
        if !may_come_from(sender, header.kind) {
            return Err(wrong_side());
        }
        match header.kind {
            kind::HELLO => self.handle_hello(frame),
            kind::METHOD => self.handle_method(frame),
            kind::METHOD_ACK => self.handle_method_ack(frame),
            kind::LAYOUT_VERDICT => self.handle_layout_verdict(frame),
            kind::HEADERS => self.handle_headers(frame),
            kind::END => self.handle_end(frame),
            kind::CANCEL => self.handle_cancel(frame),
            kind::CREDIT => self.handle_credit(frame),
            kind::PING => self.handle_ping(frame),
            kind::PONG => self.handle_pong(frame),
            kind::GOAWAY => self.handle_goaway(frame),
            kind::CLOSE => self.handle_close(frame),
            _ => {
                let what = "a critical frame kind that is unknown";
                Err(Violation::new(CloseCode::UNKNOWN_CRITICAL, what))
            }
        }
    }

    fn handle_hello(&mut self, frame: &Frame<'_>) -> Result<(), Violation> {
        if self.connected {
            return Err(Violation::protocol("a second HELLO"));
        }
        let hello = Hello::parse(frame.head)?;
        if self.local.version_with(&hello).is_none() {
            return Err(Violation::new(
                CloseCode::VERSION,
                "the version ranges do not meet",
            ));
        }
        self.connected = true;
        // Streams opened meanwhile were given the minimum (PROTOCOL.md §4.1).
        let raised = i64::from(hello.stream_credit) - i64::from(self.peer.stream_credit);
        self.peer = hello;
        self.send_pool.raise_to(hello.connection_credit);
        for index in self.slots.indexes() {
            self.slots.at(index).send_credit += raised;
            self.stream_credit_grew(index);
        }
        self.admit_large();
        self.events.push_back(Event::Connected);
        if self.room_wanted {
            self.events.push_back(Event::Room);
        }
        Ok(())
    }

    fn handle_credit(&mut self, frame: &Frame<'_>) -> Result<(), Violation> {
        let amount = credit::parse(frame)?;
        if amount < CREDIT_WORTH_A_FRAME {
            self.budget.spend(self.now)?;
        }
        if frame.header.slot == credit::CONNECTION_SLOT {
            self.send_pool.restore(amount)?;
            self.admit_large();
            return Ok(());
        }
        let Some(index) = self.locate(&frame.header)? else {
            return Ok(());
        };
        let slot = self.slots.at(index);
        slot.send_credit += amount as i64;
        if slot.send_credit > i64::from(self.peer.stream_credit) {
            return Err(Violation::new(
                CloseCode::CREDIT,
                "more credit returned than was used",
            ));
        }
        self.stream_credit_grew(index);
        self.admit_large();
        Ok(())
    }

    fn handle_ping(&mut self, frame: &Frame<'_>) -> Result<(), Violation> {
        self.budget.spend(self.now)?;
        let token = ping::parse(frame)?;
        ping::write(self.output.buffer(), true, token);
        Ok(())
    }

    fn handle_pong(&mut self, frame: &Frame<'_>) -> Result<(), Violation> {
        let token = ping::parse(frame)?;
        self.budget.spend(self.now)?;
        if token == super::lifecycle::DRAIN_TOKEN && self.drain == Drain::Announced {
            self.finalise_drain();
        } else if token & super::lifecycle::OWN_TOKENS == 0 {
            self.events.push_back(Event::Pong(token));
        }
        Ok(())
    }

    fn handle_goaway(&mut self, frame: &Frame<'_>) -> Result<(), Violation> {
        self.budget.spend(self.now)?;
        let phase = goaway::parse(frame)?;
        if self.drain == Drain::None {
            self.drain = Drain::Asked;
            self.events.push_back(Event::Draining);
        }
        if let Phase::Final { last_begun } = phase {
            self.handle_final_goaway(last_begun);
        }
        Ok(())
    }

    fn handle_close(&mut self, frame: &Frame<'_>) -> Result<(), Violation> {
        let close = Close::parse(frame)?;
        let reason = String::from_utf8_lossy(close.reason).into_owned();
        self.closed_by_peer(close.code, reason, close.last_begun);
        Ok(())
    }

    /// A frame that only carries fields and sections has no more to say.
    #[inline]
    pub(crate) fn only_ignorable_sections(frame: &Frame<'_>) -> Result<(), Violation> {
        if frame.head.is_empty() {
            return Ok(());
        }
        Sections::new(frame.head).finish()
    }
}

const fn wrong_side() -> Violation {
    Violation::protocol("a frame from the side that does not send it")
}

/// Credit is returned by half windows of at least 64 KiB; less than this is worth a token.
const CREDIT_WORTH_A_FRAME: u64 = 4096;
