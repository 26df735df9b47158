//! Links: the byte-moving media that carry a session.
//!
//! A link moves bytes in order in both directions and knows who is at the other end; it knows
//! nothing of frames. Adding one is a file in `link/`, a line in [`SCHEMES`](address::SCHEMES) and
//! a run of the conformance suite.

use std::fmt;

use tokio::io::{AsyncRead, AsyncWrite};

pub mod address;
pub(crate) mod listener;
pub mod memory;
pub(crate) mod tcp;
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

    /// Says whether an eavesdropper on the medium could read the bytes.
    ///
    /// Media that never leave the host answer `false`.
    fn is_plaintext(&self) -> bool {
        false
    }
}

/// A link whose medium was chosen at run time.
pub type BoxLink = Box<dyn Link>;
