//! A link that notes what comes over it, below HTTP/2.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::link::BoxLink;

/// What has come so far; written by the task that reads it too.
#[derive(Debug, Default)]
pub(super) struct Heard {
    reads: AtomicU64,
    bytes: AtomicU64,
    greeted: AtomicBool,
}

impl Heard {
    /// How often something came.
    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// How much came.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether the peer has begun with its settings, as a server of HTTP/2 does.
    pub(super) fn is_greeted(&self) -> bool {
        self.greeted.load(Ordering::Relaxed)
    }
}

/// A link and what has come over it.
#[derive(Debug)]
pub(super) struct Hearing {
    link: BoxLink,
    heard: Arc<Heard>,
    /// The head of the first frame, as far as it has come; all of it once the peer has greeted.
    head: Vec<u8>,
}

impl Hearing {
    pub(super) fn new(link: BoxLink) -> (Self, Arc<Heard>) {
        let heard = Arc::new(Heard::default());
        let hearing = Self {
            link,
            heard: Arc::clone(&heard),
            head: Vec::new(),
        };
        (hearing, heard)
    }

    #[cold]
    fn look(&mut self, bytes: &[u8]) -> io::Result<()> {
        let missing = FRAME_HEAD_BYTES - self.head.len();
        self.head.extend(bytes.iter().take(missing));
        if self.head.len() < FRAME_HEAD_BYTES {
            return Ok(());
        }
        if self.head[FRAME_TYPE_AT] == SETTINGS {
            self.heard.greeted.store(true, Ordering::Relaxed);
            return Ok(());
        }
        let what = "the server does not begin with the settings of HTTP/2";
        Err(io::Error::new(io::ErrorKind::InvalidData, what))
    }
}

impl AsyncRead for Hearing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.link).poll_read(cx, buffer))?;
        let came = &buffer.filled()[before..];
        if !came.is_empty() {
            let heard = &self.heard;
            let bytes = heard.bytes() + came.len() as u64;
            heard.bytes.store(bytes, Ordering::Relaxed);
            let reads = heard.reads().wrapping_add(1);
            heard.reads.store(reads, Ordering::Relaxed);
            if !self.heard.is_greeted() {
                self.look(came)?;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Hearing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.link).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.link).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.link.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_shutdown(cx)
    }
}

/// RFC 9113 section 4.1: a length of three bytes, the type, flags, and the stream.
const FRAME_HEAD_BYTES: usize = 9;
const FRAME_TYPE_AT: usize = 3;
const SETTINGS: u8 = 4;
