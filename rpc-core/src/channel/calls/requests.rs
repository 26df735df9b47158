//! The caller's side of a call with many requests and one response.

use std::future::poll_fn;

use dreammesh_wire::{IntoMessage, Limits, Message};

use super::future::{sender_of, unreadable};
use crate::call::{CallError, Response, Sender, Sending, StreamError};
use crate::channel::ClientStream;

/// An open call with many requests and one response.
///
/// Dropping it before [`Self::finish`] was awaited cancels the call.
#[derive(Debug)]
pub struct Requests<Q, A> {
    sender: Sender<Q, CallError>,
    stream: ClientStream,
    limits: Limits,
    response: std::marker::PhantomData<fn() -> A>,
}

impl<Q: Message, A: Message> Requests<Q, A> {
    pub(super) fn new(stream: ClientStream, limits: Limits) -> Self {
        let sender = sender_of(&stream).left_open();
        Self {
            sender,
            stream,
            limits,
            response: std::marker::PhantomData,
        }
    }

    /// Sends a request, waiting for credit.
    ///
    /// # Errors
    /// How the call ended, when it did; [`Self::finish`] tells more.
    pub fn send(&self, request: impl IntoMessage<Q>) -> Sending<'_, Q, CallError> {
        self.sender.send(request)
    }

    /// Ends the requests and waits for the response.
    ///
    /// # Errors
    /// How the call ended, unless with a response.
    pub async fn finish(mut self) -> Result<Response<A>, CallError> {
        let (port, key) = (self.stream.port(), self.stream.key());
        port.close_send(key);
        let answer = poll_fn(|cx| port.poll_unary(key, cx)).await;
        self.stream.forget();
        if let Err(ended) = &answer {
            self.stream.failed(ended);
        }
        let endpoint = self.stream.endpoint();
        let wire = answer.as_ref().ok().map(|answer| answer.message.mode);
        let response = match answer {
            Ok(answer) => Response::received(answer, &self.limits)
                .map_err(|error| unreadable(&error, endpoint.clone())),
            Err(ended) => Err(CallError::ended(ended, Some(endpoint))),
        };
        if let Some(mut observation) = self.stream.observation.take() {
            observation.received(wire);
            observation.finish(response.as_ref().err().map(CallError::status));
        }
        response
    }
}
