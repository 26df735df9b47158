//! A lane: one bidirectional stream of a QUIC connection, as a link.

use std::io::{self, IoSliceMut};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use quinn::{
    ConnectionError, ReadError, RecvStream, SendStream, TransportErrorCode, VarInt, WriteError,
};
use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::link::{Link, Refused};
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
    /// Server: whether the handshake is done, if the lane was opened before.
    handshake: Option<Arc<AtomicBool>>,
}

impl Lane {
    pub(super) fn new(send: SendStream, receive: RecvStream, peer: String, side: Side) -> Self {
        Self {
            send,
            receive,
            peer,
            side,
            handshake: None,
        }
    }

    /// Marks what is read as early data until the handshake is done.
    pub(super) fn before(mut self, handshake: &Arc<AtomicBool>) -> Self {
        self.handshake = Some(Arc::clone(handshake));
        self
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

    fn may_be_replayed(&self) -> bool {
        let handshake = self.handshake.as_ref();
        handshake.is_some_and(|done| !done.load(Ordering::Acquire))
    }

    /// Reads place by place, since each is a copy out of the stream and no system call.
    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        places: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { receive, side, .. } = self.get_mut();
        let mut total = 0;
        for place in places.iter_mut().filter(|place| !place.is_empty()) {
            let mut buffer = ReadBuf::new(place);
            match receive.poll_read_buf(cx, &mut buffer) {
                Poll::Ready(Ok(())) => {}
                // What was read before counts; the next read meets the error again.
                Poll::Ready(Err(_)) | Poll::Pending if total > 0 => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(read_error(error, *side))),
                Poll::Pending => return Poll::Pending,
            }
            let read = buffer.filled().len();
            total += read;
            if read == 0 || buffer.remaining() > 0 {
                break;
            }
        }
        Poll::Ready(Ok(total))
    }

    fn keeps_parts(&self) -> bool {
        true
    }

    fn poll_write_kept(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        part: &Bytes,
    ) -> Poll<io::Result<usize>> {
        let Self { send, side, .. } = self.get_mut();
        let side = *side;
        let mut parts = [part.clone()];
        // The future holds nothing but what it is made of, so it may be dropped at any time.
        let written = pin!(send.write_chunks(&mut parts)).poll(cx);
        written.map(|written| match written {
            Ok(written) => Ok(written.bytes),
            Err(error) => Err(write_error(error, side)),
        })
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
        ReadError::ZeroRttRejected => refused(),
        other => io::Error::new(io::ErrorKind::NotConnected, other),
    }
}

fn write_error(error: WriteError, side: Side) -> io::Error {
    match error {
        WriteError::ConnectionLost(error) => connection_error(error, side),
        WriteError::Stopped(code) => reset("the peer takes no more on the lane", code),
        WriteError::ZeroRttRejected => refused(),
        other => io::Error::new(io::ErrorKind::NotConnected, other),
    }
}

fn refused() -> io::Error {
    io::Error::other(Refused("the server takes no early data"))
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
            // In the words of `told`.
            error.reason
        }
        ConnectionError::TimedOut => "the peer has fallen silent".to_owned(),
        ConnectionError::Reset => "the peer knows nothing of the connection".to_owned(),
        ConnectionError::LocallyClosed => "the connection was closed on this side".to_owned(),
        other => other.to_string(),
    };
    io::Error::new(kind, text)
}

/// The TLS alert in a code of QUIC's, RFC 9001 section 4.8.
pub(super) fn alert(code: TransportErrorCode) -> Option<AlertDescription> {
    let alert = u64::from(code).checked_sub(0x100)?;
    u8::try_from(alert).ok().map(AlertDescription::from)
}
