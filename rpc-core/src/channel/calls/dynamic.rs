//! Calls of methods that are known only when the program runs, as a command line or a gateway
//! makes them: messages are archives, and layouts made from descriptors take the place of types.

use std::future::poll_fn;
use std::mem;

use dreammesh_wire::{Limits, Segment};

use super::future::{FromReply, sender_of, stream_of};
use super::{Building, DynamicCall};
use crate::call::{
    CallError, Metadata, MethodInfo, MethodKind, Receiver, Sender, Status, StreamError as _,
};
use crate::channel::{Channel, ClientReply, ClientStream, Reply};
use crate::layer::Observation;
use crate::port::{Answer, Received};

impl DynamicCall {
    /// The call of a method.
    ///
    /// `request` is an archive by the method's layout of requests, for methods that take one;
    /// those of the others go through [`DynamicSender`]. With the wrong one of the two the call
    /// fails as `INVALID_ARGUMENT` when it is awaited.
    pub fn new(channel: &Channel, method: &'static MethodInfo, request: Option<Segment>) -> Self {
        let mut building = Building::new(channel, method);
        if request.is_some() == method.kind().streams_requests() {
            let text = "a request goes with the call unless the method takes a stream of them";
            building.fail(Status::invalid_argument(text));
        }
        building.call.message = request;
        Self::of(building)
    }
}

/// An open call, or the answer to one with one request and one response.
#[derive(Debug)]
pub struct DynamicReply(Answers);

#[derive(Debug)]
enum Answers {
    /// The answer, until it is taken.
    One(Metadata, Option<Received>, Metadata),
    /// The answer of a call with many requests is yet to come.
    Waiting(ClientStream),
    Many(Receiver<(), CallError>),
    Ended,
}

impl DynamicReply {
    /// The halves of the call: what sends requests, for a method that takes a stream of them, and
    /// what receives responses.
    pub fn split(self, method: &MethodInfo) -> (Option<DynamicSender>, DynamicReceiver) {
        match self.0 {
            Answers::Waiting(stream) => {
                let streams = method.kind().streams_requests();
                let sender = streams.then(|| DynamicSender(sender_of(&stream)));
                let answers = if method.kind() == MethodKind::ClientStreaming {
                    Answers::Waiting(stream)
                } else {
                    Answers::Many(Receiver::of_caller(stream, Limits::default()))
                };
                (sender, DynamicReceiver(answers))
            }
            answers => (None, DynamicReceiver(answers)),
        }
    }
}

impl FromReply for DynamicReply {
    fn from_reply(
        reply: ClientReply,
        _: &Limits,
        observation: &mut Option<Observation>,
    ) -> Result<Self, CallError> {
        Ok(Self(match reply.0 {
            Reply::Answer(answer, _) => answered(answer),
            Reply::Stream(_) => Answers::Waiting(stream_of(reply, observation)?),
        }))
    }
}

fn answered(answer: Answer) -> Answers {
    Answers::One(answer.headers, Some(answer.message), answer.trailers)
}

/// The half of an open call that sends requests; dropping it ends the requests.
#[derive(Debug)]
pub struct DynamicSender(Sender<(), CallError>);

impl DynamicSender {
    /// Sends an archive by the method's layout of requests, waiting for credit.
    ///
    /// # Errors
    /// How the call ended, when it did; the receiver tells more.
    pub async fn send(&self, archive: Segment) -> Result<(), CallError> {
        self.0.sending_archive(archive).await
    }

    /// Ends the requests. Never waits.
    pub fn finish(self) {
        self.0.finish();
    }
}

/// The half of a call that receives responses; dropping it before the end cancels the call.
#[derive(Debug)]
pub struct DynamicReceiver(Answers);

impl DynamicReceiver {
    /// The metadata that precedes the responses, waiting for it.
    ///
    /// # Errors
    /// How the call ended, when it did before any metadata.
    pub async fn metadata(&mut self) -> Result<&Metadata, CallError> {
        self.await_answer().await?;
        match &mut self.0 {
            Answers::One(headers, ..) => Ok(headers),
            Answers::Many(receiver) => receiver.metadata().await,
            Answers::Waiting(_) | Answers::Ended => Err(no_answer()),
        }
    }

    /// The next response as it came, or none at the end; see
    /// [`receive_dynamic`](crate::message::receive_dynamic).
    ///
    /// # Errors
    /// How the call ended, unless well.
    pub async fn next(&mut self) -> Result<Option<Received>, CallError> {
        self.await_answer().await?;
        match &mut self.0 {
            Answers::One(_, message, _) => Ok(message.take()),
            Answers::Many(receiver) => poll_fn(|cx| receiver.poll_next_received(cx)).await,
            Answers::Waiting(_) | Answers::Ended => Ok(None),
        }
    }

    /// The metadata that follows the responses, none until the last was received.
    pub const fn trailers(&self) -> Option<&Metadata> {
        match &self.0 {
            Answers::One(_, _, trailers) => Some(trailers),
            Answers::Many(receiver) => Some(receiver.trailers()),
            Answers::Waiting(_) | Answers::Ended => None,
        }
    }

    /// Waits for the one answer of a call with many requests.
    async fn await_answer(&mut self) -> Result<(), CallError> {
        let Answers::Waiting(stream) = &mut self.0 else {
            return Ok(());
        };
        let answer = poll_fn(|cx| stream.port().poll_unary(stream.key(), cx)).await;
        // The port let go of the stream with its answer.
        stream.forget();
        if let Err(ended) = &answer {
            stream.failed(ended);
        }
        let Answers::Waiting(mut stream) = mem::replace(&mut self.0, Answers::Ended) else {
            return Ok(());
        };
        let observation = stream.observation.take();
        let ended = |ended| CallError::ended(ended, Some(stream.endpoint()));
        let answer = answer.map_err(ended);
        if let Some(mut observation) = observation {
            observation.received(answer.as_ref().ok().map(|answer| answer.message.mode));
            observation.finish(answer.as_ref().err().map(CallError::status));
        }
        self.0 = answered(answer?);
        Ok(())
    }
}

fn no_answer() -> CallError {
    CallError::not_sent(Status::internal("the call has ended"))
}
