//! A lane: one bidirectional stream of a QUIC connection, as a link.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use quinn::{
    ConnectionError, ReadError, RecvStream, SendStream, TransportErrorCode, VarInt, WriteError,
};
use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::link::Link;
use crate::tls::explain::{Explained, Side};

/// One bidirectional stream.
///
/// Dropping it ends what was not ended: the peer sees the end of what we sent, and is told to
/// stop sending.
#[derive(Debug)]
pub(crate) struct Lane {
    send: SendStream,
    receive: RecvStream,
    peer: String,
    side: Side,
}

impl Lane {
    pub(super) fn new(send: SendStream, receive: RecvStream, peer: String, side: Side) -> Self {
        Self {
            send,
            receive,
            peer,
            side,
        }
    }

    /// Has what is sent on this lane go before what is sent on the others.
    pub(super) fn first_served(self) -> Self {
        // It only fails for a stream that is over, which has nothing to send.
        let _ = self.send.set_priority(1);
        self
    }
}

impl Link for Lane {
    fn peer(&self) -> String {
        self.peer.clone()
    }
}

impl AsyncRead for Lane {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { receive, side, .. } = self.get_mut();
        let side = *side;
        receive
            .poll_read_buf(cx, buffer)
            .map_err(|error| read_error(error, side))
    }
}

impl AsyncWrite for Lane {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { send, side, .. } = self.get_mut();
        let side = *side;
        Pin::new(send)
            .poll_write(cx, bytes)
            .map_err(|error| write_error(error, side))
    }

    /// Writes part by part, since each is a copy into the stream and no system call.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { send, side, .. } = self.get_mut();
        let side = *side;
        let mut written = 0;
        for part in parts.iter().filter(|part| !part.is_empty()) {
            match Pin::new(&mut *send).poll_write(cx, part) {
                Poll::Ready(Ok(count)) => {
                    written += count;
                    if count < part.len() {
                        break;
                    }
                }
                // What was written before counts; the next write meets the error again.
                Poll::Ready(Err(_)) | Poll::Pending if written > 0 => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(write_error(error, side))),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A stream that is over needs no end.
        let _ = self.get_mut().send.finish();
        Poll::Ready(Ok(()))
    }
}

/// Why nothing more can be read, in words that name what the peer said.
fn read_error(error: ReadError, side: Side) -> io::Error {
    match error {
        ReadError::ConnectionLost(error) => connection_error(error, side),
        ReadError::Reset(code) => reset("the peer reset the lane", code),
        other => io::Error::new(io::ErrorKind::NotConnected, other),
    }
}

fn write_error(error: WriteError, side: Side) -> io::Error {
    match error {
        WriteError::ConnectionLost(error) => connection_error(error, side),
        WriteError::Stopped(code) => reset("the peer takes no more on the lane", code),
        other => io::Error::new(io::ErrorKind::NotConnected, other),
    }
}

fn reset(what: &str, code: VarInt) -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionReset,
        format!("{what} (code {code})"),
    )
}

/// An error of a whole connection, with the reason that the peer gave for it.
pub(super) fn connection_error(error: ConnectionError, side: Side) -> io::Error {
    let kind = io::Error::from(error.clone()).kind();
    let text = match error {
        ConnectionError::ApplicationClosed(close) => {
            format!("the peer closed the connection: {close}")
        }
        ConnectionError::ConnectionClosed(close) => match alert(close.error_code) {
            Some(alert) => {
                let cause = rustls::Error::AlertReceived(alert);
                Explained { side, cause }.to_string()
            }
            None => format!("the peer gave the connection up: {close}"),
        },
        ConnectionError::TransportError(error) if alert(error.code).is_some() => {
            format!("TLS failed: {}", error.reason)
        }
        ConnectionError::TimedOut => "the peer has fallen silent".to_owned(),
        ConnectionError::Reset => "the peer knows nothing of the connection".to_owned(),
        ConnectionError::LocallyClosed => "the connection was closed on this side".to_owned(),
        other => other.to_string(),
    };
    io::Error::new(kind, text)
}

/// The TLS alert in a code of QUIC's, RFC 9001 section 4.8.
fn alert(code: TransportErrorCode) -> Option<AlertDescription> {
    let alert = u64::from(code).checked_sub(0x100)?;
    u8::try_from(alert).ok().map(AlertDescription::from)
}
