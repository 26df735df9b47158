//! The calls of the four kinds as generated clients return them: built, then awaited.

mod dynamic;
mod future;
mod requests;

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use dreammesh_wire::{IntoMessage, Message};

pub use dynamic::{DynamicReceiver, DynamicReply, DynamicSender};
pub use future::CallFuture;
pub use requests::Requests;

use super::{Channel, ClientCall};
use crate::call::{
    CallError, Compression, Deadline, MethodInfo, Priority, Receiver, Response, Sender, Status,
    TraceContext, WireOption,
};
use crate::message;
use std::borrow::Cow;

/// A call being built: what all four kinds share.
struct Building {
    channel: Channel,
    call: ClientCall,
    own_deadline: Option<Deadline>,
    timeout: Option<Duration>,
    /// The first thing that was wrong with it, reported when it is awaited.
    failed: Option<CallError>,
}

impl Building {
    fn new(channel: &Channel, method: &'static MethodInfo) -> Self {
        let call = channel.call(method, None);
        Self {
            channel: channel.clone(),
            call,
            own_deadline: None,
            timeout: None,
            failed: None,
        }
    }

    fn with_message<Q: Message>(
        channel: &Channel,
        method: &'static MethodInfo,
        request: impl IntoMessage<Q>,
    ) -> Self {
        let mut building = Self::new(channel, method);
        match request.into_message(&message::send_limits()) {
            Ok(encoded) => building.call.message = Some(encoded.into_segment()),
            Err(error) => building.fail(message::unsendable(&error)),
        }
        building
    }

    fn fail(&mut self, status: Status) {
        self.failed
            .get_or_insert_with(|| CallError::not_sent(status));
    }
}

macro_rules! kind_of_call {
    ($(#[$doc:meta])* $name:ident<$($type:ident),*> => $output:ty) => {
        $(#[$doc])*
        #[must_use = "calls do nothing unless they are awaited"]
        pub struct $name<$($type),*> {
            building: Building,
            types: PhantomData<fn() -> ($($type,)*)>,
        }

        impl<$($type: Message),*> $name<$($type),*> {
            const fn of(building: Building) -> Self {
                Self { building, types: PhantomData }
            }

            /// Ends the call when it takes longer than this from its first poll, in place of what the
            /// method declares; the deadline of the call being handled holds all the same.
            pub const fn timeout(mut self, timeout: Duration) -> Self {
                self.building.timeout = Some(timeout);
                self
            }

            /// Ends the call when it has not ended by then; see [`Self::timeout`].
            pub const fn deadline(mut self, deadline: Deadline) -> Self {
                self.building.own_deadline = Some(deadline);
                self
            }

            /// Adds metadata of text; a bad name or value fails the call when it is awaited.
            pub fn metadata(
                mut self,
                name: impl Into<Cow<'static, str>>,
                value: impl Into<Cow<'static, str>>,
            ) -> Self {
                if let Err(error) = self.building.call.metadata.append(name, value) {
                    self.building.fail(Status::invalid_argument(error.to_string()));
                }
                self
            }

            /// Adds metadata of bytes under a name in `-bin`; a bad name fails the call when it
            /// is awaited.
            pub fn metadata_bin(
                mut self,
                name: impl Into<Cow<'static, str>>,
                value: impl Into<Bytes>,
            ) -> Self {
                if let Err(error) = self.building.call.metadata.append_bin(name, value) {
                    self.building.fail(Status::invalid_argument(error.to_string()));
                }
                self
            }

            /// Says how urgent the call is.
            pub fn priority(mut self, priority: Priority) -> Self {
                self.building.call.priority = priority;
                self
            }

            /// Says whether the call waits through failures to connect.
            pub fn wait_for_ready(mut self, wait: bool) -> Self {
                self.building.call.wait_for_ready = wait;
                self
            }

            /// Says which form the call's messages may take.
            pub fn wire(mut self, wire: WireOption) -> Self {
                self.building.call.wire = wire;
                self
            }

            /// Says whether the call's requests travel compressed, where its medium compresses
            /// messages; each of a stream may say otherwise.
            pub fn compression(mut self, compression: Compression) -> Self {
                self.building.call.compression = compression;
                self
            }

            /// Gives the call a key by which the server may tell its repetitions.
            pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
                self.building.call.idempotency_key = Some(key.into().into());
                self
            }

            /// Puts the call into a trace, in place of the one it inherits.
            pub fn trace(mut self, trace: TraceContext) -> Self {
                self.building.call.trace = Some(trace);
                self
            }

            /// Attaches a typed value for the layers.
            pub fn extension<X: Send + Sync + 'static>(mut self, value: X) -> Self {
                self.building.call.extensions.insert(value);
                self
            }
        }

        impl<$($type: Message),*> IntoFuture for $name<$($type),*> {
            type Output = Result<$output, CallError>;
            type IntoFuture = CallFuture<$output>;

            fn into_future(self) -> CallFuture<$output> {
                CallFuture::new(self.building)
            }
        }

        impl<$($type),*> fmt::Debug for $name<$($type),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.building.call.method.path()).finish()
            }
        }
    };
}

kind_of_call! {
    /// A call with one request and one response. Awaiting it sends it; dropping the future
    /// cancels it.
    UnaryCall<A> => Response<A>
}

kind_of_call! {
    /// A call with one request and many responses. Awaiting it opens it, and gives the receiver
    /// of the responses without waiting for the first; dropping that cancels it.
    ServerStreamingCall<A> => Receiver<A, CallError>
}

kind_of_call! {
    /// A call with many requests and one response. Awaiting it opens it, and gives the sender of
    /// the requests; dropping that before [`Requests::finish`] cancels it.
    ClientStreamingCall<Q, A> => Requests<Q, A>
}

kind_of_call! {
    /// A call with many requests and many responses. Awaiting it opens it, and gives both halves;
    /// dropping the receiver cancels it, dropping the sender ends the requests.
    BidiCall<Q, A> => (Sender<Q, CallError>, Receiver<A, CallError>)
}

kind_of_call! {
    /// A call of a method that is known only when the program runs, whose messages are archives
    /// that the caller makes and reads by their layouts. Awaiting it sends or opens it; dropping
    /// the future, or what comes of it before the end, cancels it.
    DynamicCall<> => DynamicReply
}

impl<A: Message> UnaryCall<A> {
    /// The call of a method; generated clients make it.
    pub fn new<Q: Message>(
        channel: &Channel,
        method: &'static MethodInfo,
        request: impl IntoMessage<Q>,
    ) -> Self {
        Self::of(Building::with_message(channel, method, request))
    }
}

impl<A: Message> ServerStreamingCall<A> {
    /// The call of a method; generated clients make it.
    pub fn new<Q: Message>(
        channel: &Channel,
        method: &'static MethodInfo,
        request: impl IntoMessage<Q>,
    ) -> Self {
        Self::of(Building::with_message(channel, method, request))
    }
}

impl<Q: Message, A: Message> ClientStreamingCall<Q, A> {
    /// The call of a method; generated clients make it.
    pub fn new(channel: &Channel, method: &'static MethodInfo) -> Self {
        Self::of(Building::new(channel, method))
    }
}

impl<Q: Message, A: Message> BidiCall<Q, A> {
    /// The call of a method; generated clients make it.
    pub fn new(channel: &Channel, method: &'static MethodInfo) -> Self {
        Self::of(Building::new(channel, method))
    }
}
