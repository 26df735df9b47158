//! The link that a finished handshake leaves.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use dreammesh_core::call::Identity;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::records::{self, RECORD_BYTES, Records, Stage};
use super::scratch::{self, PARTIAL_BYTES_MAX, READ_BYTES, Scratch, WRITE_BYTES};
use crate::link::{BoxLink, Link};

/// A link inside of which everything is encrypted.
pub(crate) struct TlsLink<C> {
    link: BoxLink,
    connection: C,
    identity: Option<Identity>,
    /// What has arrived of a record that is not complete; `len <= PARTIAL_BYTES_MAX`.
    partial: Vec<u8>,
    /// Received and not handed out; less than a read brought.
    plain: Plain,
    /// Encrypted, of which the wire has taken `sent`; empty as long as it takes everything.
    outgoing: Vec<u8>,
    sent: usize,
    /// The peer will send no more.
    ended: bool,
    /// What ended the link, once what had arrived before it is handed out.
    failure: Option<io::Error>,
    /// Our own notice of the end is in `outgoing` or further.
    closing: bool,
}

/// Decrypted bytes that found no room.
#[derive(Default)]
struct Plain {
    bytes: Vec<u8>,
    taken: usize,
}

impl<C: Records> TlsLink<C> {
    /// Takes over from the handshake, with what had arrived and not been used, and what was
    /// received already.
    pub(super) fn new(link: BoxLink, connection: C, partial: Vec<u8>, plain: Vec<u8>) -> Self {
        Self {
            link,
            connection,
            identity: None,
            partial,
            plain: Plain {
                bytes: plain,
                taken: 0,
            },
            outgoing: Vec::new(),
            sent: 0,
            ended: false,
            failure: None,
            closing: false,
        }
    }

    pub(super) fn identify(&mut self, identity: Option<Identity>) {
        self.identity = identity;
    }

    /// What the peer presented, its own certificate first; verified, if there is any.
    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        self.connection
            .common()
            .peer_certificates()
            .unwrap_or_default()
    }

    /// The protocol that was agreed on.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.connection.common().alpn_protocol()
    }

    /// Writes what is encrypted until the wire takes no more; ready when nothing is left.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.outgoing.len() {
            let rest = &self.outgoing[self.sent..];
            match ready!(Pin::new(&mut self.link).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        if self.sent > 0 {
            // Most connections are idle most of the time, and then hold nothing.
            self.outgoing = Vec::new();
            self.sent = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Brings what was received to where it goes; ready when there is some, or will be none.
    fn poll_fill(&mut self, cx: &mut Context<'_>, sink: &mut impl Sink) -> Poll<io::Result<()>> {
        if self.plain.take(sink) {
            return Poll::Ready(Ok(()));
        }
        let before = sink.room();
        while !self.ended {
            let held = self.outgoing.len();
            let more = scratch::with(|scratch| self.poll_take_in(cx, sink, scratch));
            match more {
                Poll::Ready(Ok(more)) => self.ended = !more,
                Poll::Ready(Err(error)) => {
                    self.ended = true;
                    self.failure = Some(error);
                }
                Poll::Pending => return Poll::Pending,
            }
            if self.outgoing.len() > held {
                // TLS has something of its own to say, such as why it gives up. Whatever becomes of
                // it, the link tells when it is next used.
                let _ = self.poll_send(cx);
            }
            if sink.room() < before {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Ready(self.failure.take().map_or(Ok(()), Err))
    }

    /// Reads once from the wire and takes in all of it; ready with whether more may follow.
    fn poll_take_in(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut impl Sink,
        scratch: &mut Scratch,
    ) -> Poll<io::Result<bool>> {
        let held = self.partial.len();
        // No more than fits, so that what is left over is at most what was left before.
        let wanted = sink.room().clamp(RECORD_BYTES, READ_BYTES);
        let mut room = ReadBuf::new(&mut scratch.incoming[held..held + wanted]);
        ready!(Pin::new(&mut self.link).poll_read(cx, &mut room))?;
        let count = room.filled().len();
        if count == 0 {
            return Poll::Ready(Ok(false));
        }
        scratch.incoming[..held].copy_from_slice(&self.partial);
        let incoming = &mut scratch.incoming[..held + count];
        let (connection, plain) = (&mut self.connection, &mut self.plain);
        let (used, stage) = records::advance(connection, incoming, &mut self.outgoing, |bytes| {
            let fits = sink.put(bytes);
            plain.bytes.extend_from_slice(&bytes[fits..]);
        });
        self.partial.clear();
        match stage {
            Ok(Stage::Ended) => Poll::Ready(Ok(false)),
            Ok(_) => Poll::Ready(self.keep(&incoming[used..]).map(|()| true)),
            Err(error) => Poll::Ready(Err(C::SIDE.explain(error))),
        }
    }

    /// Keeps what may be the beginning of a record.
    fn keep(&mut self, rest: &[u8]) -> io::Result<()> {
        if rest.len() > PARTIAL_BYTES_MAX {
            // Only a message of TLS's own may be spread over records, and none is so long.
            let what = "the peer sent a message of TLS that is too long";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        if rest.is_empty() {
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(rest);
        }
        Ok(())
    }

    /// Encrypts from the front of `parts` and writes at once; how much was taken of them.
    ///
    /// What the wire does not take is kept, and then nothing more is taken until it has gone.
    fn poll_encrypt(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
        scratch: &mut Scratch,
    ) -> Poll<io::Result<usize>> {
        let mut pieces = Pieces::new(parts);
        let (mut taken, mut filled) = (0, 0);
        while taken < WRITE_BYTES {
            let piece = pieces.next(WRITE_BYTES - taken, &mut scratch.gathered);
            if piece.is_empty() {
                break;
            }
            taken += piece.len();
            let room = &mut scratch.outgoing[filled..];
            let written = records::encrypt(&mut self.connection, &mut self.partial, piece, room);
            filled += written.map_err(|error| C::SIDE.explain(error))?;
        }
        let mut sent = 0;
        while sent < filled {
            match Pin::new(&mut self.link).poll_write(cx, &scratch.outgoing[sent..filled]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => sent += written,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.outgoing
                        .extend_from_slice(&scratch.outgoing[sent..filled]);
                    break;
                }
            }
        }
        Poll::Ready(Ok(taken))
    }
}

impl<C: Records> Link for TlsLink<C> {
    fn peer(&self) -> String {
        self.link.peer()
    }

    fn identity(&self) -> Option<Identity> {
        self.identity.clone()
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        places: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut places = Places {
            places,
            full: 0,
            filled: 0,
        };
        let before = places.room();
        ready!(self.poll_fill(cx, &mut places))?;
        Poll::Ready(Ok(before - places.room()))
    }
}

impl<C: Records> AsyncRead for TlsLink<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_fill(cx, buffer)
    }
}

impl<C: Records> AsyncWrite for TlsLink<C> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_send(cx))?;
        scratch::with(|scratch| this.poll_encrypt(cx, parts, scratch))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.link).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.closing {
            this.closing = true;
            records::close(&mut this.connection, &mut this.partial, &mut this.outgoing);
        }
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.link).poll_shutdown(cx)
    }
}

impl Plain {
    /// Moves as much as fits; whether there was anything.
    fn take(&mut self, sink: &mut impl Sink) -> bool {
        let rest = &self.bytes[self.taken..];
        if rest.is_empty() {
            return false;
        }
        self.taken += sink.put(rest);
        if self.taken == self.bytes.len() {
            *self = Self::default();
        }
        true
    }
}

/// Where received bytes go.
trait Sink {
    /// How many more it takes.
    fn room(&self) -> usize;

    /// Takes as many as fit from the front; how many that was.
    fn put(&mut self, bytes: &[u8]) -> usize;
}

impl Sink for ReadBuf<'_> {
    fn room(&self) -> usize {
        self.remaining()
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        let fits = self.remaining().min(bytes.len());
        self.put_slice(&bytes[..fits]);
        fits
    }
}

/// Several places that are filled in their order.
struct Places<'a, 'b> {
    places: &'a mut [IoSliceMut<'b>],
    /// How many of them are full.
    full: usize,
    /// How much of the next one is filled.
    filled: usize,
}

impl Sink for Places<'_, '_> {
    fn room(&self) -> usize {
        let rest = self.places[self.full..].iter();
        rest.map(|place| place.len()).sum::<usize>() - self.filled
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        let mut put = 0;
        while let Some(place) = self.places.get_mut(self.full) {
            let fits = (bytes.len() - put).min(place.len() - self.filled);
            place[self.filled..][..fits].copy_from_slice(&bytes[put..][..fits]);
            put += fits;
            self.filled += fits;
            if self.filled < place.len() {
                break;
            }
            (self.full, self.filled) = (self.full + 1, 0);
        }
        put
    }
}

/// Walks over the parts of a batch in pieces that make good records.
struct Pieces<'a, 'b> {
    parts: &'a [io::IoSlice<'b>],
    /// How much of the first part is used up.
    used: usize,
}

impl<'a, 'b> Pieces<'a, 'b> {
    fn new(parts: &'a [io::IoSlice<'b>]) -> Self {
        Self { parts, used: 0 }
    }

    /// The next piece, of at most so many bytes; empty at the end.
    ///
    /// What fills a record lies where it is; what does not is gathered with what follows it, since
    /// a record of its own would cost more than the copy.
    fn next<'c>(&mut self, bytes_max: usize, gathered: &'c mut Vec<u8>) -> &'c [u8]
    where
        'a: 'c,
    {
        gathered.clear();
        while let Some((part, others)) = self.parts.split_first() {
            let rest: &'a [u8] = &part[self.used..];
            if rest.is_empty() {
                (self.parts, self.used) = (others, 0);
                continue;
            }
            let last = others.is_empty();
            if gathered.is_empty() && (last || rest.len() >= RECORD_BYTES) {
                let whole = if last {
                    rest.len()
                } else {
                    rest.len() / RECORD_BYTES * RECORD_BYTES
                };
                let whole = whole.min(bytes_max);
                self.used += whole;
                return &rest[..whole];
            }
            let fits = rest.len().min(RECORD_BYTES.min(bytes_max) - gathered.len());
            if fits == 0 {
                break;
            }
            gathered.extend_from_slice(&rest[..fits]);
            self.used += fits;
        }
        gathered
    }
}

impl<C> fmt::Debug for TlsLink<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsLink")
            .field("link", &self.link)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts parts of these sizes into pieces of at most `bytes_max`, whose sizes are the result;
    /// nothing may be lost or change its place.
    fn cut(sizes: &[usize], bytes_max: usize) -> Vec<usize> {
        let mut number = 0_u32;
        let mut part = |size: &usize| -> Vec<u8> {
            let bytes = (0..*size).map(|_| {
                number += 1;
                (number % 251) as u8
            });
            bytes.collect()
        };
        let parts: Vec<Vec<u8>> = sizes.iter().map(&mut part).collect();
        let slices: Vec<_> = parts.iter().map(|part| io::IoSlice::new(part)).collect();
        let (mut pieces, mut gathered) = (Pieces::new(&slices), Vec::new());
        let (mut all, mut cut) = (Vec::new(), Vec::new());
        loop {
            let piece = pieces.next(bytes_max, &mut gathered);
            if piece.is_empty() {
                break;
            }
            cut.push(piece.len());
            all.extend_from_slice(piece);
        }
        assert!(all == parts.concat(), "{sizes:?}");
        cut
    }

    #[test]
    fn small_parts_share_a_record_and_large_ones_stay_where_they_are() {
        const R: usize = RECORD_BYTES;
        assert_eq!(cut(&[], R), [0_usize; 0]);
        assert_eq!(cut(&[0, 0], R), [0_usize; 0]);
        assert_eq!(cut(&[100], 4 * R), [100]);
        assert_eq!(cut(&[10, 0, 20, 30], 4 * R), [60]);
        assert_eq!(cut(&[3 * R + 5], 4 * R), [3 * R + 5]);
        // A header, a bulk message and its padding.
        assert_eq!(cut(&[40, 4 * R, 3], 4 * R), [R, 3 * R, 43]);
        assert_eq!(cut(&[2 * R + 1, 1], 4 * R), [2 * R, 2]);
        assert_eq!(cut(&[R - 1, 2], R), [R, 1]);
        // What may be taken at once bounds a piece, whatever it would make a good record with.
        assert_eq!(cut(&[10, 10], 15), [15, 5]);
        assert_eq!(cut(&[R + 10, 10], R / 2), [R / 2, R / 2, 20]);
    }
}
