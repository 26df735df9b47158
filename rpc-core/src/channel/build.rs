//! Configuring a channel.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use dreammesh_wire::Limits;
use tower_layer::Layer;
use tower_service::Service;

use super::{Channel, ClientCall, ClientReply, Core, Settings};
use crate::call::{Metadata, WireOption};
use crate::layer::{CallService, Metrics, layered_call};
use crate::port::ConnectionSource;

/// Configures a [`Channel`].
pub struct ChannelBuilder {
    source: Arc<dyn ConnectionSource>,
    settings: Settings,
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

    /// Says which form messages may take, in place of what `DREAMMESH_WIRE` says.
    #[must_use]
    pub const fn wire(mut self, wire: WireOption) -> Self {
        self.settings.wire = wire;
        self
    }

    /// Counts and times the channel's calls.
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
            layers,
        } = self;
        let core = Arc::new(Core { source, settings });
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
