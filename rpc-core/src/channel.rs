//! The client side of calls: a cheap handle to a named service, and the calls made through it.

mod attempt;
mod build;
mod call;
mod calls;
mod in_flight;
mod retry;

use std::fmt;
use std::sync::Arc;

use dreammesh_wire::{Limits, Segment};

pub use attempt::Attempt;
pub use build::ChannelBuilder;
pub use call::{ClientCall, ClientCallParts, ClientReply};
pub(crate) use call::{ClientStream, Reply};
pub use calls::{
    BidiCall, CallFuture, ClientStreamingCall, DynamicCall, DynamicReceiver, DynamicReply,
    DynamicSender, Requests, ServerStreamingCall, UnaryCall,
};

use in_flight::Endpoints;
use retry::Budget;

use crate::call::{Compression, Extensions, Metadata, MethodInfo, WireOption};
use crate::context::CallContext;
use crate::layer::{CallService, ConnectionSnapshot, Metrics};
use crate::port::ConnectionSource;

/// A client's handle to a named service; clones share everything.
///
/// It decides nothing itself: it asks its source for a connection and hands the call to it,
/// through the layers when there are any.
#[derive(Clone)]
pub struct Channel {
    core: Arc<Core>,
    /// The user's layers around an attempt; none costs nothing.
    service: Option<CallService>,
}

/// What the calls of a channel share.
pub(crate) struct Core {
    pub(crate) source: Arc<dyn ConnectionSource>,
    pub(crate) settings: Settings,
    /// What may be repeated; none where nothing is.
    pub(crate) retries: Option<Budget>,
}

/// What is configured for a channel.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) metadata_limit_bytes: usize,
    pub(crate) wait_for_ready: bool,
    pub(crate) wire: WireOption,
    pub(crate) metrics: Option<Metrics>,
}

impl Channel {
    /// A channel over a source of connections, everything else as by default.
    pub fn new(source: Arc<dyn ConnectionSource>) -> Self {
        Self::builder(source).build()
    }

    /// Begins a channel over a source of connections.
    pub fn builder(source: Arc<dyn ConnectionSource>) -> ChannelBuilder {
        ChannelBuilder::new(source)
    }

    /// What became of the channel's connections so far, one for each endpoint.
    pub fn connections(&self) -> Vec<ConnectionSnapshot> {
        let counts = self.core.source.connections();
        counts.iter().map(|counts| counts.snapshot()).collect()
    }

    /// The call of a method, with what it inherits from the call being handled.
    pub(crate) fn call(&self, method: &'static MethodInfo, message: Option<Segment>) -> ClientCall {
        let context = CallContext::current();
        let settings = &self.core.settings;
        let wire = match method.options().wire {
            WireOption::Auto => settings.wire,
            declared => declared,
        };
        ClientCall::new(ClientCallParts {
            method,
            metadata: Metadata::new(),
            deadline: context.deadline,
            trace: context.trace,
            priority: context
                .priority
                .or_else(|| method.options().priority)
                .unwrap_or_default(),
            attempt: u32::from(context.repeated),
            idempotency_key: None,
            wait_for_ready: settings.wait_for_ready,
            wire,
            compression: Compression::Auto,
            extensions: Extensions::new(),
            message,
            endpoints: Endpoints::default(),
        })
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Channel").field(&self.core.source).finish()
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
