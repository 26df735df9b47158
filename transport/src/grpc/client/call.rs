//! One call on its stream.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use dreammesh_core::call::{Begun, Compression, Deadline, Metadata, MethodInfo, Status};
use dreammesh_core::port::{Answer, Ended, Received, WireMode};
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::header::HeaderMap;

use super::super::encoding::{self, Encoding};
use super::super::prefix::{Framed, Reader};
use super::ending::{self, Head};

/// A call of a client.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: &'static MethodInfo,
    /// Whether messages are compressed that say nothing else of themselves.
    pub(super) compression: Compression,
    send: SendStream<Bytes>,
    receive: Receive,
    reader: Reader,
    limits: CallLimits,
    /// What the server compresses with, or why that is not known here.
    encoding: Result<Option<Encoding>, Status>,
    /// The metadata before the messages, until somebody takes it.
    headers: Option<Metadata>,
    /// The message of a method with one response.
    first: Option<Framed>,
    /// Received and not given back to the window.
    unreleased: usize,
    /// How it ended; the trailers until somebody takes them.
    over: Option<Result<Metadata, Ended>>,
    /// Our half has ended.
    send_closed: bool,
    /// How much was handed over to be sent.
    sent_bytes: usize,
    /// The server has begun to answer.
    pub(super) answered: bool,
    /// Nobody wants what the server sends.
    pub(super) discards: bool,
    pub(super) deadline: Option<Deadline>,
    /// Whom the deadline wakes that waits for what the server sends, and whom the end wakes that
    /// waits to send.
    pub(super) reads: Option<Waker>,
    pub(super) writes: Option<Waker>,
}

/// What bounds each answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallLimits {
    pub(super) message_bytes: usize,
    pub(super) metadata_bytes: usize,
}

/// Where the server's half is.
#[derive(Debug)]
enum Receive {
    Head(ResponseFuture),
    Body(RecvStream),
    /// There is nothing more to come.
    Over,
}

/// A message that was received, and how to bring it into its form outside of the lock.
#[derive(Debug)]
pub(super) struct Coded {
    framed: Framed,
    encoding: Result<Option<Encoding>, Status>,
    limit_bytes: usize,
}

impl Coded {
    /// The message as it was meant.
    pub(super) fn open(self) -> Result<Received, Ended> {
        let Self {
            framed,
            encoding,
            limit_bytes,
        } = self;
        let by_library = |status| Ended::by_library(status, Begun::Maybe);
        let compressed = framed.compressed;
        let bytes = match compressed {
            false => framed.bytes,
            true => {
                let encoding = encoding.map_err(by_library)?;
                encoding::opened(true, encoding, framed.bytes, limit_bytes).map_err(by_library)?
            }
        };
        Ok(Received {
            bytes,
            mode: WireMode::Protobuf,
            compressed,
        })
    }
}

/// The answer of a method with one response, its message still to be opened.
#[derive(Debug)]
pub(super) struct CodedAnswer {
    headers: Metadata,
    message: Coded,
    trailers: Metadata,
}

impl CodedAnswer {
    pub(super) fn open(self) -> Result<Answer, Ended> {
        Ok(Answer {
            headers: self.headers,
            message: self.message.open()?,
            trailers: self.trailers,
        })
    }
}

impl Call {
    pub(super) fn new(
        method: &'static MethodInfo,
        answer: ResponseFuture,
        send: SendStream<Bytes>,
        send_closed: bool,
        deadline: Option<Deadline>,
        limits: CallLimits,
    ) -> Self {
        Self {
            method,
            compression: Compression::Auto,
            send,
            receive: Receive::Head(answer),
            reader: Reader::new(limits.message_bytes),
            limits,
            encoding: Ok(None),
            headers: None,
            first: None,
            unreleased: 0,
            over: None,
            send_closed,
            sent_bytes: 0,
            answered: false,
            discards: false,
            deadline,
            reads: None,
            writes: None,
        }
    }

    /// Keeps whom the deadline wakes that waits for what the server sends.
    pub(super) fn note_reader(&mut self, cx: &Context<'_>) {
        if self.deadline.is_some() {
            note(&mut self.reads, cx);
        }
    }

    /// Keeps whom the end wakes that waits to send.
    pub(super) fn note_writer(&mut self, cx: &Context<'_>) {
        note(&mut self.writes, cx);
    }

    /// Begins to wait for the answer, which nothing is taken of.
    pub(super) fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_head(cx)
    }

    /// Ends it at its deadline, and says whom to wake.
    pub(super) fn expire(&mut self) -> [Option<Waker>; 2] {
        self.end_with(Ended::deadline_exceeded(Begun::Maybe));
        [self.reads.take(), self.writes.take()]
    }

    /// Ends it on this side, which the server is told.
    fn end_with(&mut self, ended: Ended) {
        self.deadline = None;
        if self.over.is_none() {
            self.over = Some(Err(ended));
            self.reset(Reason::CANCEL);
        }
        self.receive = Receive::Over;
    }

    fn reset(&mut self, reason: Reason) {
        self.send_closed = true;
        self.send.send_reset(reason);
    }

    /// Tells the server that nothing more comes, if it has not been told; asked for before a call
    /// is dropped.
    pub(super) fn let_go(&mut self) {
        match &self.over {
            // It has ended, and what was sent has left or soon will.
            Some(_) if self.send_closed && self.sent_bytes < STUCK_BYTES => {}
            // The server has ended while this side still could send, or may have more to send than
            // the server takes: nobody is to wait for that, nor to keep it.
            Some(Ok(_)) => self.reset(Reason::NO_ERROR),
            _ => self.reset(Reason::CANCEL),
        }
    }

    /// Goes on until a message is there; none at the end of the answer.
    pub(super) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Coded>, Ended>> {
        match ready!(self.poll_framed(cx)) {
            Some(framed) => Poll::Ready(Ok(Some(self.coded(framed)))),
            None => Poll::Ready(self.ended().map(|()| None)),
        }
    }

    /// The whole answer of a method with one response.
    pub(super) fn poll_unary(&mut self, cx: &mut Context<'_>) -> Poll<Result<CodedAnswer, Ended>> {
        loop {
            match ready!(self.poll_framed(cx)) {
                Some(framed) if self.first.is_none() => self.first = Some(framed),
                Some(_) => return Poll::Ready(Err(Ended::second_message())),
                None => break,
            }
        }
        self.ended()?;
        let Some(framed) = self.first.take() else {
            return Poll::Ready(Err(Ended::no_message()));
        };
        Poll::Ready(Ok(CodedAnswer {
            headers: self.headers.take().unwrap_or_default(),
            message: self.coded(framed),
            trailers: self.take_trailers(),
        }))
    }

    /// The metadata before the first message, once.
    pub(super) fn poll_headers(&mut self, cx: &mut Context<'_>) -> Poll<Result<Metadata, Ended>> {
        if let (Receive::Head(_), None) = (&self.receive, &self.over) {
            ready!(self.poll_head(cx));
        }
        match (self.headers.take(), &self.over) {
            (Some(headers), _) => Poll::Ready(Ok(headers)),
            (None, Some(Err(ended))) => Poll::Ready(Err(ended.clone())),
            (None, _) => Poll::Ready(Ok(Metadata::new())),
        }
    }

    pub(super) fn take_trailers(&mut self) -> Metadata {
        match &mut self.over {
            Some(Ok(trailers)) => std::mem::take(trailers),
            _ => Metadata::new(),
        }
    }

    /// Whether there is room for another message.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        if self.send_closed || self.over.is_some() {
            return Poll::Ready(Err(self.end_for_sender()));
        }
        // Nothing that was sent before waits when there is room for one byte more.
        self.send.reserve_capacity(1);
        loop {
            if self.send.capacity() > 0 {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(Err(self.end_for_sender())),
            }
        }
    }

    /// Sends what there is room for.
    pub(super) fn send(
        &mut self,
        (first, rest): (Bytes, Vec<Bytes>),
        last: bool,
    ) -> Result<(), Ended> {
        if self.send_closed {
            return Err(self.end_for_sender());
        }
        self.send_closed = last;
        let bytes = first.len() + rest.iter().map(Bytes::len).sum::<usize>();
        self.sent_bytes = self.sent_bytes.saturating_add(bytes);
        let mut sent = self.send.send_data(first, last && rest.is_empty());
        let mut rest = rest.into_iter().peekable();
        while let (Ok(()), Some(part)) = (&sent, rest.next()) {
            sent = self.send.send_data(part, last && rest.peek().is_none());
        }
        sent.map_err(|_| self.end_for_sender())
    }

    pub(super) fn close_send(&mut self) {
        if !self.send_closed {
            self.send_closed = true;
            // One that has ended cannot be told, and needs not.
            let _ = self.send.send_data(Bytes::new(), true);
        }
    }

    /// Throws away what is there and gives the window back; ready when there is no more to come.
    pub(super) fn drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_framed(cx).map(drop)
    }

    /// Why this side can send no more.
    fn end_for_sender(&mut self) -> Ended {
        if self.over.is_none() && matches!(self.receive, Receive::Head(_)) {
            // What the server said is there, unless the connection is only just being lost.
            let _ = self.poll_head(&mut Context::from_waker(Waker::noop()));
        }
        match &self.over {
            Some(Err(ended)) => ended.clone(),
            _ => Ended::no_stream(),
        }
    }

    fn coded(&self, framed: Framed) -> Coded {
        Coded {
            framed,
            encoding: self.encoding.clone(),
            limit_bytes: self.limits.message_bytes,
        }
    }

    fn ended(&self) -> Result<(), Ended> {
        match &self.over {
            Some(Err(ended)) => Err(ended.clone()),
            _ => Ok(()),
        }
    }

    /// The next message as it came; none when it is known how the call ended.
    fn poll_framed(&mut self, cx: &mut Context<'_>) -> Poll<Option<Framed>> {
        loop {
            match &mut self.receive {
                Receive::Over => return Poll::Ready(None),
                Receive::Head(_) => ready!(self.poll_head(cx)),
                Receive::Body(body) => {
                    match self.reader.poll_message() {
                        Ok(Some(_)) if self.discards => continue,
                        Ok(Some(framed)) => return Poll::Ready(Some(framed)),
                        Ok(None) => {}
                        Err(status) => {
                            self.end_with(Ended::by_library(status, Begun::Maybe));
                            continue;
                        }
                    }
                    match ready!(body.poll_data(cx)) {
                        Some(Ok(data)) => self.take_in(data),
                        Some(Err(error)) => self.lose(&error),
                        None => match ready!(body.poll_trailers(cx)) {
                            Ok(trailers) => self.finish(trailers.as_ref()),
                            Err(error) => self.lose(&error),
                        },
                    }
                }
            }
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Receive::Head(answer) = &mut self.receive else {
            return Poll::Ready(());
        };
        let response = match ready!(Pin::new(answer).poll(cx)) {
            Ok(response) => response,
            Err(error) => {
                self.lose(&error);
                return Poll::Ready(());
            }
        };
        self.answered = true;
        let (parts, body) = response.into_parts();
        let limit = self.limits.metadata_bytes;
        match ending::read_head(&parts, body.is_end_stream(), limit) {
            Head::Over(Ok(trailers)) => {
                self.end_well(trailers);
            }
            Head::Over(Err(ended)) => self.fail(ended, body.is_end_stream()),
            Head::Answer => {
                if let Some(value) = parts.headers.get(encoding::ENCODING) {
                    let known = encoding::read(value);
                    self.encoding = known.map_err(|error| Status::internal(error.to_string()));
                }
                match ending::read_metadata(&parts.headers, limit) {
                    Ok(headers) => {
                        self.headers = Some(headers);
                        self.receive = Receive::Body(body);
                    }
                    Err(ended) => self.fail(ended, false),
                }
            }
        }
        Poll::Ready(())
    }

    fn take_in(&mut self, data: Bytes) {
        self.unreleased += data.len();
        self.reader.handle_data(data);
        // The rest goes back with the stream.
        if self.unreleased >= RELEASE_BYTES {
            if let Receive::Body(body) = &mut self.receive {
                // It fails for a stream that has ended, whose window is of no use.
                let _ = body.flow_control().release_capacity(self.unreleased);
            }
            self.unreleased = 0;
        }
    }

    /// The server has ended its answer.
    fn finish(&mut self, trailers: Option<&HeaderMap>) {
        let end = ending::read_end(trailers, self.limits.metadata_bytes);
        let whole = self.reader.handle_end();
        let end = end.and_then(|trailers| match whole {
            Ok(()) => Ok(trailers),
            Err(status) => Err(Ended::by_library(status, Begun::Maybe)),
        });
        match end {
            Ok(trailers) => {
                self.end_well(trailers);
            }
            Err(ended) => self.fail(ended, true),
        }
    }

    fn end_well(&mut self, trailers: Metadata) {
        self.over = Some(Ok(trailers));
        self.receive = Receive::Over;
        self.writes.take().into_iter().for_each(Waker::wake);
    }

    /// The stream or its connection came to an end.
    fn lose(&mut self, error: &h2::Error) {
        self.send_closed = true;
        let mut ended = ending::of_error(error);
        if !matches!(self.receive, Receive::Head(_)) {
            // Whatever the server says of a call that it has answered, it has begun.
            ended.begun = Begun::Maybe;
        }
        self.fail(ended, true);
    }

    /// The call failed; what the server still sends is of no use.
    fn fail(&mut self, ended: Ended, is_end: bool) {
        let is_late = ending::is_cancelled_by_server(&ended)
            && self
                .deadline
                .is_some_and(|it| it.is_past(crate::driver::timer::now()));
        let ended = match is_late {
            // The server was only the first to find that out.
            true => Ended::deadline_exceeded(Begun::Maybe),
            false => ended,
        };
        self.over = Some(Err(ended));
        self.receive = Receive::Over;
        self.writes.take().into_iter().for_each(Waker::wake);
        if !is_end {
            self.reset(Reason::CANCEL);
        }
    }
}

fn note(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(known) if known.will_wake(cx.waker()) => {}
        _ => *place = Some(cx.waker().clone()),
    }
}

/// A call that has ended and whose request was as long as that is reset, since the request may wait
/// for a window that the server never opens: by default it has room for four times as much. To
/// reset every call would have `h2` keep each for a second.
const STUCK_BYTES: usize = 16 * 1024;
/// What is read is given back in pieces of that size, far below the window: each gives the
/// connection something to think about.
const RELEASE_BYTES: usize = 64 * 1024;
