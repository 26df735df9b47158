//! The future of a call, the same for all four kinds.

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use dreammesh_wire::{Limits, Message};
use tower_service::Service;

use super::{Building, Requests};
use crate::call::{Begun, CallError, Endpoint, Initiator, Receiver, Response, Sender, Status};
use crate::channel::{Attempt, ClientReply, ClientStream, Reply, Settings};
use crate::clock;
use crate::layer::{CallServiceFuture, Observation, deadline};
use crate::message;

/// A call that was sent or is about to be; dropping it cancels the call.
///
/// The call begins, and its timeout runs, from when it is polled first.
#[must_use = "futures do nothing unless they are awaited"]
pub struct CallFuture<T> {
    stage: Stage,
    limits: Limits,
    observation: Option<Observation>,
    output: PhantomData<fn() -> T>,
}

enum Stage {
    Built(Building),
    Running(CallServiceFuture),
    Ended,
}

impl<T> CallFuture<T> {
    pub(super) fn new(building: Building) -> Self {
        Self {
            limits: building.channel.core.settings.limits,
            stage: Stage::Built(building),
            observation: None,
            output: PhantomData,
        }
    }

    fn start(&mut self, building: Building) -> Result<CallServiceFuture, CallError> {
        let Building {
            channel,
            mut call,
            own_deadline,
            timeout,
            failed,
        } = building;
        let settings = &channel.core.settings;
        let declared = call.method.options().deadline;
        // Whoever needs the time first reads the clock, for all.
        let mut read = None;
        let mut now = || *read.get_or_insert_with(clock::now);
        call.deadline =
            deadline::effective(own_deadline, timeout, declared, call.deadline, &mut now);
        self.observation = Observation::of_call(settings.metrics.as_ref(), &mut call, &mut now);
        if let Some(error) = failed.or_else(|| metadata_too_large(settings, &call.metadata)) {
            return Err(error);
        }
        Ok(match channel.service {
            None => CallServiceFuture::direct(Attempt::new(channel.core, call).at(read)),
            Some(mut service) => service.call(call),
        })
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<ClientReply, CallError>> {
        if matches!(self.stage, Stage::Built(_))
            && let Stage::Built(building) = mem::replace(&mut self.stage, Stage::Ended)
        {
            self.stage = Stage::Running(self.start(building)?);
        }
        let Stage::Running(running) = &mut self.stage else {
            let status = Status::internal("polled after its end");
            return Poll::Ready(Err(CallError::not_sent(status)));
        };
        match &self.observation {
            None => Pin::new(running).poll(cx),
            Some(observation) => observation.enter(|| Pin::new(running).poll(cx)),
        }
    }
}

fn metadata_too_large(settings: &Settings, metadata: &crate::call::Metadata) -> Option<CallError> {
    let error = metadata.check_size(settings.metadata_limit_bytes).err()?;
    Some(CallError::not_sent(Status::resource_exhausted(
        error.to_string(),
    )))
}

impl<T: FromReply> Future for CallFuture<T> {
    type Output = Result<T, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let reply = ready!(this.poll_reply(cx));
        let mut observation = this.observation.take();
        if let (Ok(reply), Some(observation)) = (&reply, &mut observation) {
            observation.replied(reply);
        }
        let output = reply.and_then(|reply| T::from_reply(reply, &this.limits, &mut observation));
        if let Some(observation) = observation {
            observation.finish(output.as_ref().err().map(CallError::status));
        }
        Poll::Ready(output)
    }
}

impl<T> fmt::Debug for CallFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallFuture")
    }
}

/// What a kind of call makes of its reply; a stream takes the observation along to its end.
#[expect(
    unnameable_types,
    reason = "nobody outside names it, which keeps the trait closed"
)]
pub trait FromReply: Sized {
    /// The caller's form of the reply.
    #[doc(hidden)]
    fn from_reply(
        reply: ClientReply,
        limits: &Limits,
        observation: &mut Option<Observation>,
    ) -> Result<Self, CallError>;
}

impl<A: Message> FromReply for Response<A> {
    fn from_reply(
        reply: ClientReply,
        limits: &Limits,
        _: &mut Option<Observation>,
    ) -> Result<Self, CallError> {
        let Reply::Answer(answer, connection) = reply.0 else {
            return Err(wrong_kind(&reply));
        };
        Self::received(answer, limits)
            .map_err(|error| unreadable(&error, connection.peer().endpoint().clone()))
    }
}

impl<A: Message> FromReply for Receiver<A, CallError> {
    fn from_reply(
        reply: ClientReply,
        limits: &Limits,
        observation: &mut Option<Observation>,
    ) -> Result<Self, CallError> {
        Ok(Self::of_caller(stream_of(reply, observation)?, *limits))
    }
}

impl<Q: Message, A: Message> FromReply for Requests<Q, A> {
    fn from_reply(
        reply: ClientReply,
        limits: &Limits,
        observation: &mut Option<Observation>,
    ) -> Result<Self, CallError> {
        Ok(Self::new(stream_of(reply, observation)?, *limits))
    }
}

impl<Q: Message, A: Message> FromReply for (Sender<Q, CallError>, Receiver<A, CallError>) {
    fn from_reply(
        reply: ClientReply,
        limits: &Limits,
        observation: &mut Option<Observation>,
    ) -> Result<Self, CallError> {
        let stream = stream_of(reply, observation)?;
        Ok((sender_of(&stream), Receiver::of_caller(stream, *limits)))
    }
}

pub(super) fn sender_of<Q>(stream: &ClientStream) -> Sender<Q, CallError> {
    let port = Arc::clone(stream.port());
    Sender::of_caller(port, stream.key(), stream.endpoint().clone())
}

pub(super) fn stream_of(
    reply: ClientReply,
    observation: &mut Option<Observation>,
) -> Result<ClientStream, CallError> {
    let Reply::Stream(mut stream) = reply.0 else {
        return Err(wrong_kind(&reply));
    };
    stream.observe(observation.take());
    Ok(stream)
}

/// A layer gave the reply of another call; nothing else can.
fn wrong_kind(reply: &ClientReply) -> CallError {
    let status = Status::internal("a layer gave the reply of another kind of call");
    CallError::new(status, Initiator::Library, Begun::Maybe).with_endpoint(reply.endpoint().clone())
}

pub(super) fn unreadable(error: &dreammesh_wire::WireError, endpoint: Endpoint) -> CallError {
    CallError::new(message::unreadable(error), Initiator::Library, Begun::Maybe)
        .with_endpoint(endpoint)
}
