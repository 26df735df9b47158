//! A stream whose bytes are counted.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use dreammesh_wire::Segment;

use super::metrics::Tally;
use crate::call::{Compression, Metadata};
use crate::port::{Answer, Ended, Received, StreamKey, StreamPort};

/// A port in front of another that counts the bytes of the messages it hands over.
///
/// Only streaming calls of those who count have one, so others pay nothing for it.
pub(crate) struct Counted<P: ?Sized> {
    tally: Tally,
    port: Arc<P>,
}

impl<P: ?Sized> Counted<P> {
    pub(crate) const fn new(tally: Tally, port: Arc<P>) -> Self {
        Self { tally, port }
    }
}

impl<P: StreamPort + ?Sized> StreamPort for Counted<P> {
    fn poll_send(
        &self,
        key: StreamKey,
        cx: &mut Context<'_>,
        message: &mut Option<Segment>,
        last: bool,
        compression: Compression,
    ) -> Poll<Result<(), Ended>> {
        let bytes = message.as_ref().map_or(0, Segment::len);
        let sent = ready!(self.port.poll_send(key, cx, message, last, compression));
        if sent.is_ok() {
            self.tally.add_bytes(0, bytes);
        }
        Poll::Ready(sent)
    }

    fn close_send(&self, key: StreamKey) {
        self.port.close_send(key);
    }

    fn poll_message(
        &self,
        key: StreamKey,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Received>, Ended>> {
        let received = ready!(self.port.poll_message(key, cx));
        if let Ok(Some(message)) = &received {
            self.tally.add_bytes(message.bytes.len(), 0);
        }
        Poll::Ready(received)
    }

    fn poll_headers(&self, key: StreamKey, cx: &mut Context<'_>) -> Poll<Result<Metadata, Ended>> {
        self.port.poll_headers(key, cx)
    }

    fn poll_unary(&self, key: StreamKey, cx: &mut Context<'_>) -> Poll<Result<Answer, Ended>> {
        let answer = ready!(self.port.poll_unary(key, cx));
        if let Ok(answer) = &answer {
            self.tally.add_bytes(answer.message.bytes.len(), 0);
        }
        Poll::Ready(answer)
    }

    fn take_trailers(&self, key: StreamKey) -> Metadata {
        self.port.take_trailers(key)
    }

    fn send_headers(&self, key: StreamKey, headers: Metadata) {
        self.port.send_headers(key, headers);
    }

    fn discard(&self, key: StreamKey) {
        self.port.discard(key);
    }

    fn release(&self, key: StreamKey) {
        self.port.release(key);
    }
}

impl<P: fmt::Debug + ?Sized> fmt::Debug for Counted<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.port.fmt(f)
    }
}
