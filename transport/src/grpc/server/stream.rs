//! One call whose handler reads or writes as it goes, or takes its time.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::{iter, mem};

use bytes::Bytes;
use dreammesh_core::call::{Begun, Compression, Deadline, Metadata, Status};
use dreammesh_core::port::{
    Answer, Ended, HandlerFuture, Outcome, Received, StreamKey, StreamPort,
};
use dreammesh_core::wire::{Layout, Limits, Segment};

use super::answer::send_whole;
use super::exchange::Exchange;
use super::handling::overdue;
use super::held::Held;
use super::running::{Close, Place};
use super::sum::{Share, Sum};
use crate::grpc::encoding::{self, Encoding};
use crate::grpc::form::Form;
use crate::grpc::prefix::{Framed, Reader};
use crate::listen::carrier::OVERDUE;

/// Finds the messages in the body of a request.
#[derive(Debug)]
pub(crate) struct Incoming {
    reader: Reader,
    encoding: Option<Encoding>,
    limit_bytes: usize,
    /// Reading one may take long for another reason than that it is compressed.
    takes_long: bool,
    /// What is kept of a message, where that is counted.
    share: Option<Share>,
}

/// What the messages of a request are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requests {
    pub(super) layout: &'static Layout,
    pub(super) limits: Limits,
}

/// A call; as a port it is the handler's end, and its keys say nothing.
#[derive(Debug)]
pub(super) struct Stream<E> {
    form: Form,
    requests: Requests,
    /// What has been sent on this stream and is not on its way.
    held: Arc<Held>,
    /// The same of the answers of all calls of the connection that have one response.
    answers: Arc<Held>,
    state: Mutex<State<E>>,
}

#[derive(Debug)]
struct State<E> {
    /// None when the call is over.
    exchange: Option<E>,
    incoming: Incoming,
    /// The head has been sent.
    begun: bool,
    /// What it says that messages are compressed with.
    named: Option<Encoding>,
    /// The handler wants no more requests.
    discarding: bool,
    /// The server ends the call.
    closed: bool,
    /// The task that runs the handler.
    task: Option<Waker>,
}

impl Incoming {
    pub(crate) const fn new(limit_bytes: usize, encoding: Option<Encoding>) -> Self {
        Self {
            reader: Reader::new(limit_bytes),
            encoding,
            limit_bytes,
            takes_long: false,
            share: None,
        }
    }

    /// Counts what is kept of a message that is not whole with that of other calls.
    pub(super) fn count_in(&mut self, sum: &Arc<Sum>) {
        let share = || Share::new(Arc::clone(sum));
        self.share.get_or_insert_with(share);
    }

    /// The same, where reading a message may take long even if it is not compressed.
    pub(crate) const fn long(mut self, takes_long: bool) -> Self {
        self.takes_long = takes_long;
        self
    }

    /// The next message, or none at the end of the body.
    ///
    /// Nothing is taken from the exchange beyond what the message needs, so that who reads slowly
    /// holds its own caller back and nobody else.
    pub(super) fn poll_message<E: Exchange>(
        &mut self,
        exchange: &mut E,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Framed>, Status>> {
        loop {
            if let Some(framed) = self.reader.poll_message()? {
                if let Some(share) = &mut self.share {
                    share.clear();
                }
                let (compressed, limit) = (framed.compressed, self.limit_bytes);
                let opened = encoding::opened(compressed, self.encoding, framed.bytes, limit);
                let framed = |bytes| Some(Framed { compressed, bytes });
                return Poll::Ready(opened.map(framed));
            }
            self.count()?;
            match ready!(exchange.poll_data(cx)).transpose()? {
                Some(data) => self.handle_data(data, exchange),
                None => return Poll::Ready(self.reader.handle_end().map(|()| None)),
            }
        }
    }

    /// Counts what is kept of a message that is not whole.
    fn count(&mut self) -> Result<(), Status> {
        match &mut self.share {
            Some(share) => share.reach(self.reader.kept()),
            None => Ok(()),
        }
    }

    /// Takes in what came of the body behind a message.
    pub(super) fn handle_data<E: Exchange>(&mut self, data: Bytes, exchange: &mut E) {
        exchange.release(data.len());
        self.reader.handle_data(data);
    }

    /// Whether reading a message may take so long that it is done in a task.
    pub(super) const fn takes_long(&self) -> bool {
        self.takes_long || self.is_compressed()
    }

    /// Whether messages may have to be decompressed.
    pub(super) const fn is_compressed(&self) -> bool {
        self.encoding.is_some()
    }

    /// Whether all that has come has been taken as messages.
    pub(super) fn is_between(&self) -> bool {
        self.reader.is_between()
    }
}

impl<E: Exchange> Stream<E> {
    pub(super) fn new(
        exchange: E,
        incoming: Incoming,
        form: Form,
        requests: Requests,
        answers: Arc<Held>,
    ) -> Self {
        Self {
            form,
            requests,
            held: Arc::default(),
            answers,
            state: Mutex::new(State {
                exchange: Some(exchange),
                incoming,
                begun: false,
                named: None,
                discarding: false,
                closed: false,
                task: None,
            }),
        }
    }

    /// Runs a handler to its end and answers.
    ///
    /// It ends early when its caller gives it up, when its time is over and when the server ends
    /// it; the handler is dropped then.
    pub(super) async fn run(
        self: Arc<Self>,
        mut future: HandlerFuture,
        deadline: Option<Deadline>,
        place: Place,
    ) {
        let mut alarm = deadline.map(|deadline| {
            let at = tokio::time::Instant::from_std(deadline.instant());
            Box::pin(tokio::time::sleep_until(at))
        });
        let outcome = std::future::poll_fn(|cx| {
            if let Poll::Ready(outcome) = self.poll_ended(cx) {
                return Poll::Ready(outcome);
            }
            if let Poll::Ready(outcome) = Pin::new(&mut future).poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            match &mut alarm {
                Some(alarm) => alarm
                    .as_mut()
                    .poll(cx)
                    .map(|()| Some(Outcome::of(overdue()))),
                None => Poll::Pending,
            }
        });
        let outcome = outcome.await;
        // What a handler leaves is dropped before its caller hears of the end.
        drop(future);
        match outcome {
            Some(outcome) => self.finish(outcome),
            None => drop(self.lock().exchange.take()),
        }
        drop(place);
    }

    /// Ends the call with what its handler left.
    pub(super) fn finish(&self, outcome: Outcome) {
        let (exchange, begun) = {
            let mut state = self.lock();
            (state.exchange.take(), state.begun)
        };
        let Some(mut exchange) = exchange else { return };
        // Whoever is gone needs no answer.
        let _ = match begun {
            false => send_whole(&mut exchange, outcome, &self.form, &self.answers),
            true => exchange.end(&outcome.status, &outcome.trailers),
        };
    }

    /// Waits until the call ends without its handler; with an outcome, that is to be sent.
    fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        let mut state = self.lock();
        if state.closed {
            return Poll::Ready(Some(Outcome::of(Status::unavailable(OVERDUE))));
        }
        if !state
            .task
            .as_ref()
            .is_some_and(|task| task.will_wake(cx.waker()))
        {
            state.task = Some(cx.waker().clone());
        }
        let discarding = state.discarding;
        let Some(exchange) = &mut state.exchange else {
            return Poll::Ready(None);
        };
        if exchange.poll_gone(cx).is_ready() {
            return Poll::Ready(None);
        }
        if discarding {
            while let Poll::Ready(Some(Ok(data))) = exchange.poll_data(cx) {
                exchange.release(data.len());
            }
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Exchange> State<E> {
    /// Sends the head unless that has been done.
    fn begin(&mut self, named: Option<Encoding>, headers: &Metadata) -> Result<&mut E, Ended> {
        let exchange = self.exchange.as_mut().ok_or_else(cancelled)?;
        if !mem::replace(&mut self.begun, true) {
            self.named = named;
            exchange.begin(named, headers).map_err(|_| cancelled())?;
        }
        Ok(exchange)
    }
}

impl<E: Exchange> Close for Stream<E> {
    fn close(&self) {
        let task = {
            let mut state = self.lock();
            state.closed = true;
            state.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl<E: Exchange> StreamPort for Stream<E> {
    fn poll_send(
        &self,
        _: StreamKey,
        cx: &mut Context<'_>,
        message: &mut Option<Segment>,
        _: bool,
        compression: Compression,
    ) -> Poll<Result<(), Ended>> {
        let named = {
            let state = self.lock();
            match state.exchange {
                None => return Poll::Ready(Err(cancelled())),
                Some(_) if state.begun => state.named,
                Some(_) => self.form.named(compression),
            }
        };
        ready!(self.held.poll_below(STREAM_BYTES, cx));
        let Some(message) = message.take() else {
            return Poll::Ready(Ok(()));
        };
        // What the head did not name cannot be used any more.
        let encoding = named.and_then(|_| self.form.encoding(compression));
        let formed = self.form.message_by(encoding, message, compression);
        let formed = formed.map_err(|status| Ended::by_library(status, Begun::Maybe));
        let (first, rest) = formed?;
        let mut state = self.lock();
        let exchange = state.begin(named, &Metadata::new())?;
        for part in iter::once(first).chain(rest) {
            let sent = exchange.send_data(self.held.count(part));
            sent.map_err(|_| cancelled())?;
        }
        Poll::Ready(Ok(()))
    }

    // Nothing can be said of the end before the status of the call.
    fn close_send(&self, _: StreamKey) {}

    fn poll_message(
        &self,
        _: StreamKey,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Received>, Ended>> {
        let mut state = self.lock();
        let State {
            exchange, incoming, ..
        } = &mut *state;
        let Some(exchange) = exchange else {
            return Poll::Ready(Err(cancelled()));
        };
        let message = ready!(incoming.poll_message(exchange, cx));
        let message = message.map_err(|status| exchange.fault(status));
        drop(state);
        let Requests { layout, limits } = self.requests;
        let received = |message| self.form.codec.received(message, layout, &limits);
        let message = message.and_then(|message| message.map(received).transpose());
        Poll::Ready(message.map_err(|status| Ended::by_peer(status, Begun::Maybe, Metadata::new())))
    }

    fn poll_headers(&self, _: StreamKey, _: &mut Context<'_>) -> Poll<Result<Metadata, Ended>> {
        Poll::Ready(Err(Ended::no_stream()))
    }

    fn poll_unary(&self, _: StreamKey, _: &mut Context<'_>) -> Poll<Result<Answer, Ended>> {
        Poll::Ready(Err(Ended::no_stream()))
    }

    fn take_trailers(&self, _: StreamKey) -> Metadata {
        Metadata::new()
    }

    fn send_headers(&self, _: StreamKey, headers: Metadata) {
        // It is not known yet what the messages ask for. Whoever is gone needs no head.
        let _ = self.lock().begin(self.form.asked, &headers);
    }

    fn discard(&self, _: StreamKey) {
        let task = {
            let mut state = self.lock();
            state.discarding = true;
            state.task.take()
        };
        // It takes in what comes from then on.
        if let Some(task) = task {
            task.wake();
        }
    }

    fn release(&self, _: StreamKey) {}
}

fn cancelled() -> Ended {
    let status = Status::cancelled("the caller cancelled");
    Ended::by_peer(status, Begun::Maybe, Metadata::new())
}

/// What a stream may have handed over that is not on its way: a handler that sends small messages
/// need not be woken for each, and one that sends large ones is one ahead of the wire.
const STREAM_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use dreammesh_core::call::Code;

    use super::super::sum::BYTES_MAX;
    use super::*;

    #[test]
    fn what_is_kept_of_a_message_counts_with_that_of_other_calls() {
        let sum = Arc::<Sum>::default();
        let mut others = Share::new(Arc::clone(&sum));
        others.add(BYTES_MAX - 3).expect("it is within the bound");
        let mut incoming = Incoming::new(100, None);
        incoming.count_in(&sum);
        let mut come = |bytes: &'static [u8]| {
            incoming.reader.handle_data(Bytes::from_static(bytes));
            let whole = incoming.reader.poll_message().expect("it is lawful");
            assert_eq!(whole, None);
            incoming.count().map_err(|status| status.code())
        };
        assert_eq!(come(&[0, 0, 0, 0, 10, 1, 2, 3]), Ok(()));
        assert_eq!(come(&[4]), Err(Code::ResourceExhausted));
    }
}
