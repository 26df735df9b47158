//! A request and its answer, whatever carries them.

use std::fmt;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dreammesh_core::call::{Metadata, Status};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Response};

use crate::grpc::encoding::Encoding;
use crate::grpc::status;
use crate::http::rest::swallow;

/// One request as it comes in.
pub(crate) trait Receive: fmt::Debug + Send + 'static {
    /// The next piece of the request's body, or none at its end.
    ///
    /// An error says how the caller gave the call up.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>>;

    /// Lets the peer send as much more as has been taken.
    fn release(&mut self, bytes: usize);

    /// Whether the whole body has come and been taken.
    fn is_end(&self) -> bool;

    /// Waits until nobody wants the answer any more; gives how that came about.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Status>;
}

/// A call as its protocol has it: one request, and the answer as it goes out.
///
/// Nothing here waits to send: what is handed over is kept until the peer has room for it, and its
/// bytes are dropped when they are on their way. Whoever hands it over bounds it by that.
/// Dropping an exchange that is not over cancels it.
pub(crate) trait Exchange: Receive {
    /// How its protocol says why a request cannot be read; gRPC says it as it is.
    fn fault(&self, status: Status) -> Status {
        status
    }

    /// Begins the answer with what stands before its messages, which may be compressed with that.
    fn begin(&mut self, encoding: Option<Encoding>, headers: &Metadata) -> Result<(), Gone>;

    /// Goes on with it, by a message or a part of one.
    fn send_data(&mut self, data: Bytes) -> Result<(), Gone>;

    /// Ends it.
    fn end(&mut self, status: &Status, trailers: &Metadata) -> Result<(), Gone>;

    /// Answers with nothing but how the call ended.
    fn fail(
        &mut self,
        status: &Status,
        headers: &Metadata,
        trailers: &Metadata,
    ) -> Result<(), Gone>;

    /// Answers a call that never had a handler.
    fn refuse(&mut self, status: &Status);
}

/// A request of HTTP and its answer, whatever carries them; what is sent is kept as an [`Exchange`]
/// keeps it.
pub(crate) trait Transfer: Receive {
    /// Begins the answer; `ends` if it is nothing but its head.
    fn send_head(&mut self, head: Response<()>, ends: bool) -> Result<(), Gone>;

    /// Goes on with it; `ends` if nothing follows.
    fn send_body(&mut self, data: Bytes, ends: bool) -> Result<(), Gone>;

    /// Has what is still to come of a request that has been answered read and forgotten.
    fn leave_rest(&mut self);
}

/// Nobody is there any more to whom something could be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// A stream of HTTP/2.
#[derive(Debug)]
pub(crate) struct Http2 {
    /// None once somebody else takes the rest.
    receive: Option<RecvStream>,
    respond: SendResponse<Bytes>,
    /// There is one once the head has been sent.
    send: Option<SendStream<Bytes>>,
}

impl Http2 {
    pub(crate) const fn new(receive: RecvStream, respond: SendResponse<Bytes>) -> Self {
        Self {
            receive: Some(receive),
            respond,
            send: None,
        }
    }

    /// Tells the caller that its call did not begin and can be made again.
    pub(super) fn turn_away(mut self) {
        self.respond.send_reset(Reason::REFUSED_STREAM);
    }

    pub(super) fn send_trailers(&mut self, trailers: HeaderMap) -> Result<(), Gone> {
        let send = self.send.as_mut().ok_or(Gone)?;
        send.send_trailers(trailers).map_err(|_| Gone)
    }
}

impl Receive for Http2 {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        let Some(receive) = &mut self.receive else {
            return Poll::Ready(None);
        };
        let data = ready!(receive.poll_data(cx));
        Poll::Ready(data.map(|data| data.map_err(|error| of_error(&error))))
    }

    fn release(&mut self, bytes: usize) {
        if let Some(receive) = &mut self.receive {
            // It fails only for more than has been taken.
            let _ = receive.flow_control().release_capacity(bytes);
        }
    }

    fn is_end(&self) -> bool {
        self.receive.as_ref().is_none_or(RecvStream::is_end_stream)
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        let reset = ready!(match &mut self.send {
            Some(send) => send.poll_reset(cx),
            None => self.respond.poll_reset(cx),
        });
        Poll::Ready(match reset {
            Ok(reason) => status::of_reset(reason),
            Err(error) => of_error(&error),
        })
    }
}

impl Transfer for Http2 {
    fn send_head(&mut self, head: Response<()>, ends: bool) -> Result<(), Gone> {
        let send = self.respond.send_response(head, ends).map_err(|_| Gone)?;
        self.send = Some(send);
        Ok(())
    }

    fn send_body(&mut self, data: Bytes, ends: bool) -> Result<(), Gone> {
        let send = self.send.as_mut().ok_or(Gone)?;
        send.send_data(data, ends).map_err(|_| Gone)
    }

    fn leave_rest(&mut self) {
        let rest = self.receive.take().filter(|rest| !rest.is_end_stream());
        if let Some(rest) = rest {
            swallow(rest);
        }
    }
}

fn of_error(error: &h2::Error) -> Status {
    match error.reason() {
        Some(reason) => status::of_reset(reason),
        None => Status::unavailable(format!("the connection is lost: {error}")),
    }
}
