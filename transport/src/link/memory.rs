//! Links within a process, for tests and for parts of one program.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;

use super::{BoxLink, Link};

/// Makes both ends of a link that lives in memory and holds at most 256 KiB each way.
pub fn pair() -> (MemoryLink, MemoryLink) {
    // One read buffer's worth, so that a batch passes in one piece.
    let (left, right) = tokio::io::duplex(256 * 1024);
    (MemoryLink(left), MemoryLink(right))
}

/// One end of a link that lives in memory.
#[derive(Debug)]
pub struct MemoryLink(DuplexStream);

impl Link for MemoryLink {
    fn peer(&self) -> String {
        "memory".to_owned()
    }
}

impl AsyncRead for MemoryLink {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for MemoryLink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// The names behind `memory://name`: a value shared by the servers and clients that should meet.
#[derive(Clone, Default)]
pub struct MemoryHub {
    listeners: Arc<Mutex<HashMap<String, mpsc::Sender<MemoryLink>>>>,
}

impl MemoryHub {
    /// Makes a hub without names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a name until the listener is dropped.
    ///
    /// # Errors
    /// When somebody listens under that name.
    pub(crate) fn bind(&self, name: &str) -> io::Result<Listener> {
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if listeners
            .get(name)
            .is_some_and(|sender| !sender.is_closed())
        {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "the name is taken",
            ));
        }
        let (sender, links) = mpsc::channel(BACKLOG);
        listeners.insert(name.to_owned(), sender);
        Ok(Listener {
            name: name.to_owned(),
            links: tokio::sync::Mutex::new(links),
        })
    }

    /// Dials a name, as a channel does, and hands out the bare link: for tests of what speaks the
    /// protocol by itself, or breaks it.
    ///
    /// # Errors
    /// When nobody listens under that name, or too many links wait for who does.
    pub fn dial(&self, name: &str) -> io::Result<BoxLink> {
        let listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let refused = |what| io::Error::new(io::ErrorKind::ConnectionRefused, what);
        let sender = listeners
            .get(name)
            .ok_or_else(|| refused("nobody listens under that name"))?;
        let (ours, theirs) = pair();
        sender
            .try_send(theirs)
            .map_err(|_| refused("the listener is gone or overrun"))?;
        Ok(Box::new(ours))
    }
}

impl fmt::Debug for MemoryHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryHub").finish_non_exhaustive()
    }
}

/// Accepts the links that are dialled under one name of a hub.
#[derive(Debug)]
pub(crate) struct Listener {
    name: String,
    links: tokio::sync::Mutex<mpsc::Receiver<MemoryLink>>,
}

impl Listener {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) async fn accept(&self) -> io::Result<BoxLink> {
        match self.links.lock().await.recv().await {
            Some(link) => Ok(Box::new(link)),
            // The hub holds the sender, so this says that a later listener took the name.
            None => std::future::pending().await,
        }
    }
}

/// Links that may wait for the listener, as a socket's backlog.
const BACKLOG: usize = 1024;
