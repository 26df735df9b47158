//! A session inside one request of HTTP/2, which goes where proxies only let HTTP through.
//!
//! The bytes of the session are the bodies of the request and of its response, both of which last
//! as long as the session. Frames of HTTP/2 have no meaning of their own in it: each write, which is
//! a batch of the driver's, becomes as few as the peer's settings allow, because small ones cost
//! both sides and are taken for an attack when there are many.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Uri};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::{BoxLink, Link, Retirement};
use crate::http::answer::{TUNNEL_PATH, TUNNEL_TYPE, is_tunnel};
use crate::http::limits;

/// A link over the two bodies of a request.
pub(crate) struct Tunnel {
    send: SendStream<Bytes>,
    receive: Receive,
    /// Received and not yet read.
    rest: Bytes,
    /// Where writes are put together; its memory is used again once they are sent.
    batch: BytesMut,
    /// The connection below, on the side that dialled it for this tunnel alone.
    own: Option<Box<Own>>,
    peer: String,
    is_plaintext: bool,
    has_ended: bool,
}

/// Where bytes come from.
enum Receive {
    /// The head of the answer is still to come; the session does not wait for it.
    Head(ResponseFuture),
    Body(RecvStream),
}

/// A connection that carries one tunnel and is driven by whoever uses that.
struct Own {
    connection: Connection<BoxLink, Bytes>,
    /// Says when the peer takes no more requests.
    requests: SendRequest<Bytes>,
    /// Taken when that is so.
    retire: Option<oneshot::Sender<()>>,
    retirement: Option<Retirement>,
}

impl Tunnel {
    /// The accepting side of a tunnel, on a connection that somebody else drives.
    pub(crate) fn accepted(
        send: SendStream<Bytes>,
        receive: RecvStream,
        peer: String,
        is_plaintext: bool,
    ) -> Self {
        Self::new(send, Receive::Body(receive), peer, is_plaintext)
    }

    fn new(send: SendStream<Bytes>, receive: Receive, peer: String, is_plaintext: bool) -> Self {
        Self {
            send,
            receive,
            rest: Bytes::new(),
            batch: BytesMut::new(),
            own: None,
            peer,
            is_plaintext,
            has_ended: false,
        }
    }

    /// Has the connection below make what progress it can.
    fn drive(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(own) = &mut self.own else {
            return Ok(());
        };
        match Pin::new(&mut own.connection).poll(cx) {
            Poll::Pending => {
                if own.retire.is_some()
                    && matches!(own.requests.poll_ready(cx), Poll::Ready(Err(_)))
                {
                    own.retire.take().map(|retire| retire.send(()));
                }
                Ok(())
            }
            // What it brought last can still be read.
            Poll::Ready(Ok(())) => {
                self.own = None;
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(broken(error)),
        }
    }

    /// The next bytes of the body; none at its end.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            match &mut self.receive {
                Receive::Head(answer) => {
                    let answer = ready!(Pin::new(answer).poll(cx)).map_err(broken)?;
                    let (head, body) = answer.into_parts();
                    if head.status != http::StatusCode::OK || !is_tunnel(&head.headers) {
                        return Poll::Ready(Err(refused(&head)));
                    }
                    self.receive = Receive::Body(body);
                }
                Receive::Body(body) => {
                    let bytes = match ready!(body.poll_data(cx)) {
                        None => return Poll::Ready(Ok(None)),
                        Some(bytes) => bytes.map_err(broken)?,
                    };
                    // The driver reads only what it has room for, so that what is taken from here
                    // may come again.
                    let flow = body.flow_control();
                    flow.release_capacity(bytes.len()).map_err(broken)?;
                    if !bytes.is_empty() {
                        return Poll::Ready(Ok(Some(bytes)));
                    }
                }
            }
        }
    }

    /// Hands out what is there until `put`, which says how much it took, takes nothing more; 0 is
    /// the end.
    fn poll_hand_out(
        &mut self,
        cx: &mut Context<'_>,
        mut put: impl FnMut(&[u8]) -> usize,
    ) -> Poll<io::Result<usize>> {
        let driven = self.drive(cx);
        let mut total = 0;
        loop {
            if self.rest.is_empty() {
                match self.poll_data(cx) {
                    Poll::Ready(Ok(Some(bytes))) => self.rest = bytes,
                    // What was read comes first; the end is there to be found again.
                    _ if total > 0 => return Poll::Ready(Ok(total)),
                    Poll::Ready(Ok(None)) => return Poll::Ready(Ok(0)),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {
                        driven?;
                        return Poll::Pending;
                    }
                }
            }
            match put(&self.rest) {
                0 => return Poll::Ready(Ok(total)),
                count => {
                    self.rest.advance(count);
                    total += count;
                }
            }
        }
    }

    /// How much the peer takes now, of so much.
    fn poll_room(&mut self, cx: &mut Context<'_>, bytes: usize) -> Poll<io::Result<usize>> {
        self.send.reserve_capacity(bytes);
        loop {
            let room = self.send.capacity();
            if room > 0 {
                return Poll::Ready(Ok(room.min(bytes)));
            }
            if let Poll::Ready(room) = self.send.poll_capacity(cx) {
                room.ok_or(io::ErrorKind::BrokenPipe)?.map_err(broken)?;
                continue;
            }
            if self.own.is_none() {
                return Poll::Pending;
            }
            // Room comes from what this reads; if it did, the stream has been told.
            self.drive(cx)?;
            if self.send.capacity() == 0 {
                return Poll::Pending;
            }
        }
    }
}

/// Asks for a tunnel on a link to a server, or to a proxy that leads to one.
///
/// It does not wait for the answer, because some proxies hold it back until the session sends.
/// It asks for a successor when the connection below takes no more requests.
///
/// # Errors
/// When the link fails.
pub(crate) async fn open(link: BoxLink, to: &To<'_>) -> io::Result<BoxLink> {
    let (peer, is_plaintext) = (link.peer(), link.is_plaintext());
    let opened = limits::client().handshake(link).await.map_err(broken)?;
    let (requests, connection) = opened;
    let mut requests = requests.ready().await.map_err(broken)?;
    let (answer, send) = requests
        .send_request(to.request()?, false)
        .map_err(broken)?;
    let (retire, retired) = oneshot::channel();
    let retirement = async move { retired.await.is_ok() };
    let mut tunnel = Tunnel::new(send, Receive::Head(answer), peer, is_plaintext);
    tunnel.own = Some(Box::new(Own {
        connection,
        requests,
        retire: Some(retire),
        retirement: Some(Box::pin(retirement)),
    }));
    Ok(Box::new(tunnel))
}

/// Where a tunnel leads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct To<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// `http` or `https`, as the link below is.
    pub(crate) scheme: &'static str,
}

impl To<'_> {
    fn request(&self) -> io::Result<Request<()>> {
        let Self {
            host, port, scheme, ..
        } = *self;
        let authority = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(authority)
            .path_and_query(TUNNEL_PATH);
        let uri = uri.build().map_err(io::Error::other)?;
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let session = HeaderValue::from_static(TUNNEL_TYPE);
        request.headers_mut().insert(CONTENT_TYPE, session);
        Ok(request)
    }
}

fn broken(error: h2::Error) -> io::Error {
    if error.is_io() {
        return error
            .into_io()
            .unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
    }
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

/// Something answered that is no server of ours: a proxy that reaches none, or that leads elsewhere.
fn refused(head: &http::response::Parts) -> io::Error {
    let status = head.status;
    let what = if status == http::StatusCode::OK {
        "the tunnel leads to something else, which answered with another content type".to_owned()
    } else {
        format!("the tunnel was refused: HTTP status {status}")
    };
    io::Error::new(io::ErrorKind::ConnectionRefused, what)
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The buffer is large and stays untouched beyond what is put into it.
        let put = |bytes: &[u8]| {
            let count = bytes.len().min(buffer.remaining());
            buffer.put_slice(&bytes[..count]);
            count
        };
        ready!(self.poll_hand_out(cx, put))?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
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
        let bytes = parts.iter().map(|part| part.len()).sum();
        if bytes == 0 {
            return Poll::Ready(Ok(0));
        }
        let room = ready!(this.poll_room(cx, bytes))?;
        this.batch.reserve(room);
        let mut left = room;
        for part in parts {
            let count = left.min(part.len());
            this.batch.put_slice(&part[..count]);
            left -= count;
        }
        let batch = this.batch.split().freeze();
        this.send.send_data(batch, false).map_err(broken)?;
        this.drive(cx)?;
        Poll::Ready(Ok(room))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.drive(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.has_ended {
            self.has_ended = true;
            self.send.send_data(Bytes::new(), true).map_err(broken)?;
        }
        Poll::Ready(self.drive(cx))
    }
}

impl Link for Tunnel {
    fn peer(&self) -> String {
        self.peer.clone()
    }

    fn is_plaintext(&self) -> bool {
        self.is_plaintext
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        places: &mut [io::IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut places = places.iter_mut().flat_map(|place| {
            let place = &mut place[..];
            (!place.is_empty()).then_some(place)
        });
        let mut place = places.next().unwrap_or_default();
        self.poll_hand_out(cx, |bytes| {
            if place.is_empty() {
                place = places.next().unwrap_or_default();
            }
            let count = bytes.len().min(place.len());
            let (filled, rest) = std::mem::take(&mut place).split_at_mut(count);
            filled.copy_from_slice(&bytes[..count]);
            place = rest;
            count
        })
    }

    fn retirement(&mut self) -> Option<Retirement> {
        self.own.as_mut()?.retirement.take()
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
