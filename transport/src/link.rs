//! Links: the byte-moving media that carry a session.
//!
//! A link moves bytes in order in both directions and knows who is at the other end; it knows
//! nothing of frames. Adding one is a file in `link/`, a line in [`SCHEMES`](address::SCHEMES) and
//! a run of the conformance suite.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dreammesh_core::call::{Identity, Process};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub mod address;
pub(crate) mod listener;
pub mod memory;
pub(crate) mod parting;
pub(crate) mod succession;
pub(crate) mod tcp;
pub(crate) mod tls;
pub(crate) mod tunnel;
pub(crate) mod unix;

pub use address::{Address, TargetError};

/// An ordered, reliable, two-way stream of bytes.
///
/// The driver calls it from one task only, reads into one large buffer and writes a whole batch
/// with one vectored write, so an implementation should answer `is_write_vectored` with `true`
/// where its medium can.
pub trait Link: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin + 'static {
    /// Says who is at the other end, for logs and for handlers.
    fn peer(&self) -> String;

    /// The name of who is at the other end, if the medium has verified it.
    fn identity(&self) -> Option<Identity> {
        None
    }

    /// The process at the other end, if the kernel names it.
    fn process(&self) -> Option<Process> {
        None
    }

    /// Says whether an eavesdropper on the medium could read the bytes.
    ///
    /// Media that never leave the host answer `false`.
    fn is_plaintext(&self) -> bool {
        false
    }

    /// Says whether what was read last may be a copy of what its sender sent once, as early data may
    /// be (RFC 8446 section 8); once it answers `false` it does so for good.
    fn may_be_replayed(&self) -> bool {
        false
    }

    /// Reads into several places in their order, some of which may be empty; 0 is the end.
    ///
    /// A large message is read so to where it stays, with what follows it going elsewhere. A
    /// medium that cannot do that in one step fills the first of them alone, as this does.
    ///
    /// # Errors
    /// When the link is broken.
    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        places: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(first) = places.iter_mut().find(|place| !place.is_empty()) else {
            return Poll::Ready(Ok(0));
        };
        let mut buffer = ReadBuf::new(first);
        ready!(self.poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Whether the link keeps what it is given until the peer has it, and so takes parts of large
    /// messages by reference count, by [`poll_write_kept`](Link::poll_write_kept).
    fn keeps_parts(&self) -> bool {
        false
    }

    /// Writes from the front of a part, which it may keep; how much that was.
    ///
    /// # Errors
    /// When the link is broken.
    fn poll_write_kept(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        part: &Bytes,
    ) -> Poll<io::Result<usize>> {
        self.poll_write(cx, part)
    }

    /// Hands out, once, what is ready when another link should take over from this one, for a
    /// medium on whose way somebody may end it: what runs may go on here, and should come to its
    /// end.
    fn retirement(&mut self) -> Option<Retirement> {
        None
    }
}

/// Ready with `true` when a link should be succeeded by another, and with `false` when it is over.
pub type Retirement = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Why a link failed that never was one: nothing that was written to it has arrived.
///
/// It is found inside of the [`io::Error`] of whatever fails.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) &'static str);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Refused {}

impl Refused {
    pub(crate) fn is_cause_of(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|cause| cause.is::<Self>())
    }
}

/// A link whose medium was chosen at run time.
pub type BoxLink = Box<dyn Link>;
