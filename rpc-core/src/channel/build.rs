//! Configuring a channel.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use dreammesh_wire::Limits;
use tower_layer::Layer;
use tower_service::Service;

use super::retry::Budget;
use super::{Channel, ClientCall, ClientReply, Core, Settings};
use crate::call::{Metadata, WireOption};
use crate::layer::{CallService, Metrics, layered_call};
use crate::port::ConnectionSource;

/// Configures a [`Channel`].
pub struct ChannelBuilder {
    source: Arc<dyn ConnectionSource>,
    settings: Settings,
    retries: bool,
    /// Outermost first, in the order they were added.
    layers: Vec<Box<dyn FnOnce(CallService) -> CallService>>,
}

impl ChannelBuilder {
    pub(super) fn new(source: Arc<dyn ConnectionSource>) -> Self {
        let settings = Settings {
            limits: Limits::default(),
            metadata_limit_bytes: Metadata::DEFAULT_LIMIT_BYTES,
            wait_for_ready: false,
            wire: WireOption::from_env(),
            metrics: None,
        };
        Self {
            source,
            settings,
            retries: true,
            layers: Vec::new(),
        }
    }

    /// Bounds each response message; 4 MiB and 100 levels by default.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Bounds the metadata of each call; 16 KiB by default.
    #[must_use]
    pub const fn metadata_limit_bytes(mut self, limit_bytes: usize) -> Self {
        self.settings.metadata_limit_bytes = limit_bytes;
        self
    }

    /// Says whether calls wait through failures to connect, instead of failing with the first.
    #[must_use]
    pub const fn wait_for_ready(mut self, wait_for_ready: bool) -> Self {
        self.settings.wait_for_ready = wait_for_ready;
        self
    }

    /// Says whether calls of methods with one request and one response that are declared to be
    /// idempotent, or free of side effects, are made again when their connection comes to its end;
    /// they are by default, within their deadline.
    ///
    /// Where calls are balanced over several endpoints, so they are when theirs says that it is
    /// unavailable, and go to another one.
    ///
    /// Where the server provably did not begin a call, that is all there is to it. Of those that it
    /// may have begun, up to a fifth of such calls is made again, and 100 more where there are few,
    /// which come back at 10 a second; each at most twice, and none on behalf of a call that is a
    /// repetition itself. [`ClientCallParts::attempt`](super::ClientCallParts::attempt) tells the
    /// server which try it is.
    ///
    /// The request is kept until the answer is there. Calls of other methods let go of theirs once
    /// it is sent, and are made again only if it was not;
    /// [`CallError::begun`](crate::call::CallError::begun) says what a caller needs to decide.
    #[must_use]
    pub const fn retries(mut self, retries: bool) -> Self {
        self.retries = retries;
        self
    }

    /// Says which form messages may take, in place of what `DREAMMESH_WIRE` says.
    #[must_use]
    pub const fn wire(mut self, wire: WireOption) -> Self {
        self.settings.wire = wire;
        self
    }

    /// Counts and times the channel's calls, and shows what becomes of its connections.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.settings.metrics = Some(metrics);
        self
    }

    /// Adds a layer; the one added first sees a call first.
    ///
    /// Each call runs on a clone of the wrapped service, so state that calls share belongs behind
    /// an `Arc`. An error that is a [`CallError`](crate::call::CallError) or a
    /// [`Status`](crate::call::Status), or has one among its sources, keeps its code; any other
    /// becomes `INTERNAL`.
    #[must_use]
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<CallService> + 'static,
        L::Service: Service<ClientCall, Response = ClientReply> + Clone + Send + Sync + 'static,
        <L::Service as Service<ClientCall>>::Error: Into<Box<dyn Error + Send + Sync>>,
        <L::Service as Service<ClientCall>>::Future: Send,
    {
        self.layers
            .push(Box::new(move |inner| layered_call(layer.layer(inner))));
        self
    }

    /// The channel. It connects when the first call needs a connection.
    pub fn build(self) -> Channel {
        let Self {
            source,
            settings,
            retries,
            layers,
        } = self;
        let retries = retries.then(Budget::new);
        if let Some(metrics) = &settings.metrics {
            metrics.watch(Arc::downgrade(&source));
        }
        let core = Arc::new(Core {
            source,
            settings,
            retries,
        });
        let mut service = None;
        for layer in layers.into_iter().rev() {
            let inner = service.unwrap_or_else(|| CallService::new(Arc::clone(&core)));
            service = Some(layer(inner));
        }
        Channel { core, service }
    }
}

impl fmt::Debug for ChannelBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelBuilder")
            .field("source", &self.source)
            .field("settings", &self.settings)
            .field("layers", &self.layers.len())
            .finish()
    }
}
