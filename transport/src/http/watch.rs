//! An eye on the frames that a peer sends, and a hand on those that go out.
//!
//! `h2` bounds what frames make it remember: streams, headers, resets and small frames of data. It
//! answers each PING and each SETTINGS and skips what it does not know, however many there are, so
//! that a peer can have a core work for it for nothing. Those are counted here on their way in.
//! What also shows only here is that a frame does not come to its end.
//!
//! `h2` writes each frame of data by itself that is worth no copy, and flushes each time. What it
//! writes is therefore gathered here, and leaves when whoever drives the connection has nothing
//! more to do: an answer's head, message and trailers are one system call, and so are many answers.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::preface::Beginning;
use crate::driver::timer;
use crate::link::BoxLink;

/// A link whose incoming frames are watched, and whose outgoing ones are gathered.
#[derive(Debug)]
pub(super) struct Watched(Arc<Eye>);

/// The link and what was seen of it; shared with who serves the connection, whose task alone uses
/// either.
#[derive(Debug)]
pub(super) struct Eye(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    link: BoxLink,
    /// What the connection began with, as far as it has not been given.
    begun: Bytes,
    seen: Seen,
    /// What was written and has not left; at most [`GATHERED_BYTES`].
    gathered: BytesMut,
}

#[derive(Debug)]
struct Seen {
    /// The header of the frame at hand.
    header: [u8; HEADER_LEN],
    /// How much of that header is there; `header_bytes <= HEADER_LEN`.
    header_bytes: usize,
    /// How much of the frame at hand is still to come, behind its header.
    rest: usize,
    /// Whether a header block goes on in the next frame.
    in_block: bool,
    /// Since when something other than data has been incomplete.
    incomplete: Option<Instant>,
    received_bytes: u64,
    sent_bytes: u64,
    /// What is left for frames that bring nothing; `budget <= BUDGET_MAX`.
    budget: u64,
    /// When the budget was filled by the clock last.
    filled: Instant,
    /// What has been written since it was counted last, below [`BYTES_A_FRAME`].
    written: u64,
    flooded: bool,
}

impl Watched {
    pub(super) fn new(link: BoxLink, begun: Beginning) -> (Self, Arc<Eye>) {
        let mut seen = Seen::new(timer::now());
        seen.read(&begun.bytes[begun.settings_end..], timer::now);
        let eye = Arc::new(Eye(Mutex::new(Inner {
            link,
            begun: begun.bytes.into(),
            seen,
            gathered: BytesMut::new(),
        })));
        (Self(Arc::clone(&eye)), eye)
    }
}

/// What the eye has seen so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// The peer has sent more frames that bring nothing than any needs to.
    pub(super) flooded: bool,
    /// Since when something other than data has been incomplete.
    pub(super) incomplete: Option<Instant>,
    /// How much has come in.
    pub(super) received_bytes: u64,
    /// How much has left.
    pub(super) sent_bytes: u64,
}

impl Eye {
    pub(super) fn look(&self) -> Look {
        let seen = &self.lock().seen;
        Look {
            flooded: seen.flooded,
            incomplete: seen.incomplete,
            received_bytes: seen.received_bytes,
            sent_bytes: seen.sent_bytes,
        }
    }

    /// Has leave what was written.
    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_flush(cx)
    }

    /// Lets go of the memory in which writes are gathered, unless something is in it.
    ///
    /// While calls go on it is used again each time; a connection that rests may do so for hours.
    pub(super) fn shrink(&self) {
        let gathered = &mut self.lock().gathered;
        if gathered.is_empty() {
            *gathered = BytesMut::new();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Takes parts in, or writes them behind what was gathered if they are more than that.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        if total < COPIED_BYTES && self.gathered.len() + total <= GATHERED_BYTES {
            for part in parts {
                self.gathered.extend_from_slice(part);
            }
            return Poll::Ready(Ok(total));
        }
        while !self.gathered.is_empty() {
            let mut all = Vec::with_capacity(parts.len() + 1);
            all.push(io::IoSlice::new(&self.gathered));
            all.extend(parts.iter().map(|part| io::IoSlice::new(part)));
            let count = ready!(Pin::new(&mut self.link).poll_write_vectored(cx, &all))?;
            self.seen.wrote(count);
            let before = self.gathered.len();
            self.gathered.advance(count.min(before));
            match count.checked_sub(before) {
                None if count == 0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                None | Some(0) => {}
                Some(taken) => return Poll::Ready(Ok(taken)),
            }
        }
        let count = ready!(Pin::new(&mut self.link).poll_write_vectored(cx, parts))?;
        self.seen.wrote(count);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let count = ready!(Pin::new(&mut self.link).poll_write(cx, &self.gathered))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.seen.wrote(count);
            self.gathered.advance(count);
        }
        Pin::new(&mut self.link).poll_flush(cx)
    }
}

impl Seen {
    fn new(now: Instant) -> Self {
        Self {
            header: [0; HEADER_LEN],
            header_bytes: 0,
            rest: 0,
            in_block: false,
            incomplete: None,
            received_bytes: 0,
            sent_bytes: 0,
            budget: BUDGET_MAX,
            filled: now,
            written: 0,
            flooded: false,
        }
    }

    /// Takes in bytes as they come; `now` is asked for only if it matters.
    fn read(&mut self, mut bytes: &[u8], now: impl Fn() -> Instant) {
        self.received_bytes += bytes.len() as u64;
        while !bytes.is_empty() && !self.flooded {
            if self.header_bytes < HEADER_LEN {
                let count = bytes.len().min(HEADER_LEN - self.header_bytes);
                let (head, behind) = bytes.split_at(count);
                self.header[self.header_bytes..][..count].copy_from_slice(head);
                self.header_bytes += count;
                bytes = behind;
                if self.header_bytes == HEADER_LEN {
                    self.begin_frame(&now);
                }
            } else {
                let count = bytes.len().min(self.rest);
                self.rest -= count;
                bytes = &bytes[count..];
            }
            if self.header_bytes == HEADER_LEN && self.rest == 0 {
                self.header_bytes = 0;
                if !self.in_block {
                    self.incomplete = None;
                }
            }
        }
        let known = self.header_bytes > KIND_AT;
        let in_frame = self.header_bytes > 0 && !(known && self.header[KIND_AT] == kind::DATA);
        if in_frame || self.in_block {
            self.incomplete.get_or_insert_with(now);
        } else {
            self.incomplete = None;
        }
    }

    fn begin_frame(&mut self, now: impl Fn() -> Instant) {
        let [a, b, c, kind, flags, ..] = self.header;
        self.rest = u32::from_be_bytes([0, a, b, c]) as usize;
        match kind {
            kind::DATA if self.rest > 0 => self.earn(1),
            kind::HEADERS | kind::CONTINUATION => self.in_block = flags & END_HEADERS == 0,
            // How often a stream may end without data and without headers `h2` bounds.
            kind::DATA if flags & END_STREAM != 0 => {}
            _ => self.spend(now),
        }
    }

    fn earn(&mut self, frames: u64) {
        self.budget = (self.budget + frames).min(BUDGET_MAX);
    }

    fn spend(&mut self, now: impl Fn() -> Instant) {
        if self.budget == 0 {
            let now = now();
            let passed = now.saturating_duration_since(self.filled).as_secs();
            self.earn(passed.saturating_mul(BUDGET_PER_SECOND));
            self.filled = now;
        }
        match self.budget.checked_sub(1) {
            Some(left) => self.budget = left,
            None => self.flooded = true,
        }
    }

    /// Who is sent much acknowledges much.
    fn wrote(&mut self, bytes: usize) {
        self.sent_bytes += bytes as u64;
        self.written += bytes as u64;
        self.earn(self.written / BYTES_A_FRAME);
        self.written %= BYTES_A_FRAME;
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let inner = &mut *self.0.lock();
        if !inner.begun.is_empty() {
            let count = inner.begun.len().min(buffer.remaining());
            buffer.put_slice(&inner.begun.split_to(count));
            return Poll::Ready(Ok(()));
        }
        if inner.seen.flooded {
            // Nothing of it is taken in any more; who serves it looks, and ends it.
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut inner.link).poll_read(cx, buffer))?;
        inner.seen.read(&buffer.filled()[before..], timer::now);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().poll_write(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().poll_write(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Leaves it to [`Eye::poll_flush`].
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.0.lock();
        ready!(inner.poll_flush(cx))?;
        Pin::new(&mut inner.link).poll_shutdown(cx)
    }
}

/// The types of frames that are told apart, RFC 9113 section 6.
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const CONTINUATION: u8 = 9;
}

/// RFC 9113 section 4.1: length, type, flags, stream.
const HEADER_LEN: usize = 9;
const KIND_AT: usize = 3;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
/// A peer may send as many such frames at once; they are worked off in a millisecond or two.
const BUDGET_MAX: u64 = 4096;
/// And so many all the time, of which a resetting client may need the most.
const BUDGET_PER_SECOND: u64 = 1024;
/// A frame in return for so many bytes: less than any frame that could be asked for or
/// acknowledged, and more than the acknowledgements of PING and SETTINGS, which must not pay for
/// the next.
const BYTES_A_FRAME: u64 = 32;

/// What is gathered before it leaves in any case: some hundred small answers, and few enough that
/// the processor still has them at hand when they do.
const GATHERED_BYTES: usize = 64 * 1024;

/// What is longer than this leaves from where it lies, behind what was gathered.
const COPIED_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

    struct Peer {
        seen: Seen,
        now: Instant,
    }

    impl Peer {
        fn new() -> Self {
            let now = timer::now();
            Self {
                seen: Seen::new(now),
                now,
            }
        }

        fn sends(&mut self, bytes: &[u8]) -> &mut Self {
            self.seen.read(bytes, || self.now);
            self
        }

        fn pings(&mut self, count: u64) -> bool {
            for _ in 0..count {
                self.sends(&PING);
            }
            self.seen.flooded
        }
    }

    #[test]
    fn frames_that_bring_nothing_are_counted_up_to_the_bound() {
        let mut peer = Peer::new();
        assert!(!peer.pings(BUDGET_MAX));
        assert!(peer.pings(1));
    }

    #[test]
    fn time_data_and_what_is_written_pay_for_them() {
        let mut peer = Peer::new();
        peer.pings(BUDGET_MAX);
        peer.now += Duration::from_secs(2);
        assert!(!peer.pings(2 * BUDGET_PER_SECOND));
        peer.sends(&[0, 0, 1, 0, 0, 0, 0, 0, 1, 7]);
        peer.seen.wrote(BYTES_A_FRAME as usize - 1);
        peer.seen.wrote(1);
        assert!(!peer.pings(2));
        assert!(peer.pings(1));
    }

    #[test]
    fn a_pong_does_not_pay_for_a_ping() {
        let mut peer = Peer::new();
        for _ in 0..4 * BUDGET_MAX {
            peer.pings(1);
            peer.seen.wrote(PING.len());
        }
        assert!(peer.seen.flooded);
    }

    #[test]
    fn which_frames_bring_something_is_told_by_type_and_length() {
        let free = |frame: [u8; 9]| {
            let mut peer = Peer::new();
            peer.sends(&frame).seen.budget == BUDGET_MAX
        };
        assert!(free([0, 0, 0, 0, END_STREAM, 0, 0, 0, 1]));
        assert!(!free([0, 0, 0, 0, 0, 0, 0, 0, 1]));
        assert!(free([0, 0, 0, 1, END_HEADERS, 0, 0, 0, 1]));
        for kind in 2..=8 {
            assert!(!free([0, 0, 0, kind, 0, 0, 0, 0, 1]), "{kind}");
        }
        assert!(!free([0, 0, 0, 255, 0, 0, 0, 0, 1]));
    }

    #[test]
    fn however_it_is_cut_a_frame_begins_and_ends_where_it_does() {
        let headers = [0, 0, 2, 1, 0, 0, 0, 0, 1, 7, 7];
        let end = [0, 0, 1, 9, END_HEADERS, 0, 0, 0, 1, 7];
        let all = [&PING[..], &headers, &end, &PING].concat();
        for cut in 1..all.len() {
            let mut peer = Peer::new();
            peer.sends(&all[..cut]);
            let begun = peer.now;
            let whole = cut == PING.len() || cut == all.len() - PING.len();
            assert_eq!(peer.seen.incomplete.is_none(), whole, "{cut}");
            peer.now += Duration::from_secs(1);
            peer.sends(&all[cut..cut]);
            assert_eq!(peer.seen.incomplete, (!whole).then_some(begun));
            peer.sends(&all[cut..]);
            assert_eq!(peer.seen.incomplete, None, "{cut}");
            assert_eq!(peer.seen.budget, BUDGET_MAX - 2);
        }
    }

    #[test]
    fn each_frame_has_its_own_time() {
        let mut peer = Peer::new();
        for _ in 0..3 {
            peer.sends(&PING[..5]);
            assert_eq!(peer.seen.incomplete, Some(peer.now));
            peer.now += Duration::from_secs(4);
            // The end of one and the beginning of the next come together.
            let seam = [&PING[5..], &PING[..5]].concat();
            peer.sends(&seam);
            assert_eq!(peer.seen.incomplete, Some(peer.now));
            peer.sends(&PING[5..]);
        }
    }

    #[test]
    fn data_may_take_its_time() {
        let mut peer = Peer::new();
        peer.sends(&[0, 1, 0, 0, 0, 0, 0, 0, 1, 7]);
        assert_eq!(peer.seen.incomplete, None);
    }
}
