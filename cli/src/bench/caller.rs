//! One call, of messages that were encoded before.

use std::time::Duration;

use bytes::Bytes;
use dreammesh_core::call::{CallError, MethodInfo};
use dreammesh_core::channel::{Channel, DynamicReceiver, DynamicSender};
use dreammesh_core::wire::Segment;

use crate::invocation::Terms;

/// What makes the calls.
pub(super) struct Caller {
    channels: Vec<Channel>,
    method: &'static MethodInfo,
    terms: Terms,
    requests: Vec<Bytes>,
}

/// What came of a call.
#[derive(Default)]
pub(super) struct Made {
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Of the responses, as they came.
    pub(super) bytes: u64,
    pub(super) failed: Option<CallError>,
}

impl Caller {
    pub(super) fn new(
        channels: Vec<Channel>,
        method: &'static MethodInfo,
        terms: Terms,
        requests: Vec<Segment>,
    ) -> Self {
        Self {
            channels,
            method,
            terms,
            requests: requests.into_iter().map(Segment::into_bytes).collect(),
        }
    }

    /// Makes a call to its end: sends every request, and takes every response.
    pub(super) async fn call(&self, lane: usize, timeout: Duration) -> Made {
        let channel = &self.channels[lane % self.channels.len()];
        let first = match self.method.kind().streams_requests() {
            true => None,
            false => self.requests.first().map(segment),
        };
        let mut made = Made {
            sent: u64::from(first.is_some()),
            ..Made::default()
        };
        let call = self.terms.call(channel, self.method, first);
        match call.timeout(timeout).await {
            Ok(reply) => match reply.split(self.method) {
                (None, receiver) => receive(receiver, &mut made).await,
                (Some(sender), receiver) => {
                    let sending = self.send(sender);
                    let (sent, ()) = tokio::join!(sending, receive(receiver, &mut made));
                    made.sent = sent;
                }
            },
            Err(error) => made.failed = Some(error),
        }
        made
    }

    async fn send(&self, sender: DynamicSender) -> u64 {
        let mut sent = 0;
        for request in &self.requests {
            // The responses say why a call has ended.
            if sender.send(segment(request)).await.is_err() {
                return sent;
            }
            sent += 1;
        }
        sender.finish();
        sent
    }
}

fn segment(request: &Bytes) -> Segment {
    if request.is_empty() {
        return Segment::default();
    }
    Segment::from_bytes(request.clone())
}

async fn receive(mut receiver: DynamicReceiver, made: &mut Made) {
    loop {
        match receiver.next().await {
            Ok(Some(response)) => {
                made.received += 1;
                made.bytes += response.bytes.len() as u64;
            }
            Ok(None) => return,
            Err(error) => {
                made.failed = Some(error);
                return;
            }
        }
    }
}
