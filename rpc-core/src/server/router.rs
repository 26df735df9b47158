//! Which handler a path belongs to.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use super::Drain;
use super::watched::Watched;
use crate::announce::ServedService;
use crate::call::{Status, WireOption};
use crate::layer::{HandlerService, LayeredHandler, Metrics};
use crate::port::{Handler, Lookup, Outcome, ServerCall};
use crate::wire::LayoutHash;

/// A service: its name and a handler for each of its methods. Generated code implements it.
pub trait Service: Send + Sync + 'static {
    /// The full name, `package.Service`.
    fn name(&self) -> &'static str;

    /// One handler a method.
    fn handlers(&self) -> Vec<Arc<dyn Handler>>;

    /// The serialised `FileDescriptorSet` of the files the service was compiled from.
    fn file_descriptor_set(&self) -> &'static [u8] {
        &[]
    }
}

/// The services of one server; a clone shares them.
#[derive(Clone)]
pub struct Router(Arc<Routes>);

struct Routes {
    handlers: HashMap<&'static str, Arc<dyn Handler>>,
    services: Vec<(&'static str, &'static [u8])>,
    drain: Drain,
    wire: WireOption,
}

impl Router {
    /// Begins a router without services.
    pub fn builder() -> RouterBuilder {
        RouterBuilder::default()
    }

    /// The router of one service.
    pub fn of(service: &impl Service) -> Self {
        Self::builder().service(service).build()
    }

    /// The state that refuses new calls once the server drains.
    pub fn drain(&self) -> &Drain {
        &self.0.drain
    }

    /// Every handler, in no particular order.
    pub fn handlers(&self) -> impl Iterator<Item = &Arc<dyn Handler>> {
        self.0.handlers.values()
    }

    /// Each service with a hash over everything that the messages of its methods reach.
    pub fn served(&self) -> Vec<ServedService> {
        let served = self.services().map(|(name, _)| {
            let of_service = |path: &&str| {
                let path = path.strip_prefix('/').unwrap_or(path);
                path.rsplit_once('/').is_some_and(|(it, _)| it == name)
            };
            let mut paths: Vec<_> = self.0.handlers.keys().copied().filter(of_service).collect();
            paths.sort_unstable();
            let hash = paths.into_iter().fold(FNV_OFFSET, |hash, path| {
                let method = self.0.handlers[path].method();
                let hash = fnv(hash, path.as_bytes());
                let hash = fnv(hash, &method.request_closure().0);
                fnv(hash, &method.response_closure().0)
            });
            ServedService::new(name, LayoutHash(hash.to_le_bytes()))
        });
        served.collect()
    }

    /// The name and the serialised descriptor set of each service.
    pub fn services(&self) -> impl Iterator<Item = (&'static str, &'static [u8])> + '_ {
        self.0.services.iter().copied()
    }
}

impl Lookup for Router {
    fn lookup(&self, path: &str) -> Result<Arc<dyn Handler>, Status> {
        if self.0.drain.is_draining() {
            return Err(Status::unavailable("the server is draining"));
        }
        if let Some(handler) = self.0.handlers.get(path) {
            return Ok(Arc::clone(handler));
        }
        let service = path.strip_prefix('/').and_then(|rest| rest.split_once('/'));
        let known = |name: &str| self.0.services.iter().any(|(known, _)| *known == name);
        // The path is the peer's and may be long; what goes back is bounded.
        let shown: String = path.chars().take(PATH_SHOWN_CHARS).collect();
        Err(Status::unimplemented(match service {
            Some((service, _)) if known(service) => format!("no method {shown}"),
            Some(_) => format!("no service for {shown}"),
            None => format!("{shown:?} is not a path of service and method"),
        }))
    }

    fn wire(&self) -> WireOption {
        self.0.wire
    }
}

/// FNV-1a over 128 bits, a step.
fn fnv(hash: u128, bytes: &[u8]) -> u128 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
    })
}

const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;

/// Long enough for any real path, short enough for a status message.
const PATH_SHOWN_CHARS: usize = 200;

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.services.iter().map(|(name, _)| name);
        f.debug_tuple("Router")
            .field(&names.collect::<Vec<_>>())
            .finish()
    }
}

/// A layer, its type forgotten.
type Wrap = dyn Fn(Arc<dyn Handler>) -> Arc<dyn Handler>;

/// Collects the services and layers of a router.
#[derive(Default)]
pub struct RouterBuilder {
    handlers: HashMap<&'static str, Arc<dyn Handler>>,
    services: Vec<(&'static str, &'static [u8])>,
    /// Outermost first, in the order they were added.
    layers: Vec<Box<Wrap>>,
    metrics: Option<Metrics>,
    wire: Option<WireOption>,
}

impl RouterBuilder {
    /// Adds a service; one of the same name is replaced method by method.
    #[must_use]
    pub fn service(mut self, service: &impl Service) -> Self {
        self.services.retain(|(name, _)| *name != service.name());
        self.services
            .push((service.name(), service.file_descriptor_set()));
        for handler in service.handlers() {
            self.handlers.insert(handler.method().path(), handler);
        }
        self
    }

    /// Adds a service, unless there is one of its name.
    #[must_use]
    pub fn service_unless_there(self, service: &impl Service) -> Self {
        let is_there = self.services().any(|(name, _)| name == service.name());
        match is_there {
            true => self,
            false => self.service(service),
        }
    }

    /// The name and the serialised descriptor set of each service that was added so far.
    pub fn services(&self) -> impl Iterator<Item = (&'static str, &'static [u8])> + '_ {
        self.services.iter().copied()
    }

    /// Adds a layer around every method; the one added first sees a call first.
    ///
    /// Each call runs on a clone of the wrapped service, so state that calls share belongs behind
    /// an `Arc`. An error that is a [`Status`], or has one among its sources, keeps its code; any
    /// other becomes `INTERNAL`.
    #[must_use]
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<HandlerService> + 'static,
        L::Service:
            tower_service::Service<ServerCall, Response = Outcome> + Clone + Send + Sync + 'static,
        <L::Service as tower_service::Service<ServerCall>>::Error:
            Into<Box<dyn Error + Send + Sync>>,
        <L::Service as tower_service::Service<ServerCall>>::Future: Send,
    {
        self.layers.push(Box::new(move |handler| {
            let method = handler.method();
            let service = layer.layer(HandlerService::new(handler));
            Arc::new(LayeredHandler { service, method })
        }));
        self
    }

    /// Counts and times the calls of every method.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Says which form messages may take, in place of what `DREAMMESH_WIRE` says.
    #[must_use]
    pub const fn wire(mut self, wire: WireOption) -> Self {
        self.wire = Some(wire);
        self
    }

    /// The router of the services added so far.
    pub fn build(self) -> Router {
        let Self {
            mut handlers,
            services,
            layers,
            metrics,
            wire,
        } = self;
        for handler in handlers.values_mut() {
            for layer in layers.iter().rev() {
                *handler = layer(Arc::clone(handler));
            }
            *handler = Watched::around(Arc::clone(handler), metrics.as_ref());
        }
        Router(Arc::new(Routes {
            handlers,
            services,
            drain: Drain::new(),
            wire: wire.unwrap_or_else(WireOption::from_env),
        }))
    }
}

impl fmt::Debug for RouterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterBuilder")
            .field("services", &self.services.len())
            .field("layers", &self.layers.len())
            .finish_non_exhaustive()
    }
}
