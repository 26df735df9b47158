//! The server's side: from services and addresses to running calls.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dreammesh_core::announce::{AnnounceError, Announcer, Served, ServedService};
use dreammesh_core::call::WireOption;
use dreammesh_core::layer::{HandlerService, Metrics};
use dreammesh_core::port::{Outcome, ServerCall};
use dreammesh_core::server::{Router, RouterBuilder, Service};
use dreammesh_services::{Health, ReflectionError};
use dreammesh_session::{Config, Keepalive};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower_layer::Layer;

use crate::driver::timer::NEVER;
use crate::grpc::encoding::Encoding;
use crate::link::address::{Address, TargetError};
use crate::link::listener::Listener;
use crate::link::memory::MemoryHub;
use crate::link::tcp::TcpOptions;
use crate::quic;
use crate::tls::ServerTls;
use crate::web::origins::Origins;
use accept::accept_loop;
use announcing::Announcing;
use serving::Serving;
use stop::{Phase, Stop};
use tooling::Tooling;

mod accept;
mod announcing;
pub(crate) mod carrier;
mod detect;
mod refusal;
pub(crate) mod serving;
mod stop;
mod tooling;
mod users;

/// Collects the services and settings of a server.
#[derive(Debug)]
pub struct ServerBuilder {
    router: RouterBuilder,
    tooling: Tooling,
    hub: MemoryHub,
    tcp: TcpOptions,
    tls: Option<ServerTls>,
    settings: Settings,
    /// What was given as an origin and is none.
    wrong_origin: Option<String>,
    announcer: Option<Box<dyn Announcer>>,
}

/// A server with at least one bound address.
#[derive(Debug)]
pub struct Server {
    router: Router,
    health: Health,
    announcer: Option<Box<dyn Announcer>>,
    /// Those of the program.
    services: Vec<ServedService>,
    /// What was bound, as clients dial it.
    addresses: Vec<Address>,
    /// One or two for each address.
    listeners: Vec<Listener>,
    hub: MemoryHub,
    tcp: TcpOptions,
    tls: Option<ServerTls>,
    settings: Settings,
}

#[derive(Clone, Debug)]
struct Settings {
    session: Config,
    connections_max: usize,
    /// Of each user over Unix sockets; without a bound of its own by default.
    connections_per_user_max: usize,
    /// Whether HTTP is served beside the session.
    http: bool,
    /// Whether calls may come as gRPC where HTTP is served.
    grpc: bool,
    /// Whether calls may come as Connect and gRPC-Web where HTTP is served.
    web: bool,
    /// Whose scripts may make such calls from other origins.
    origins: Origins,
    /// What answers to such calls are compressed with.
    grpc_encoding: Option<Encoding>,
    hello_timeout: Duration,
    drain_period: Duration,
    permit_plaintext: bool,
    /// None by default: a connection that goes away is noticed, so whoever rotates certificates or
    /// moves services asks for it.
    connection_age_max: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            session: Config::default(),
            // An idle connection that has made small calls keeps some 12 KiB resident, so these are
            // 120 MB; one that took in bulk keeps its read buffer of up to 256 KiB besides.
            connections_max: 10_000,
            connections_per_user_max: usize::MAX,
            http: true,
            grpc: true,
            web: true,
            origins: Origins::default(),
            grpc_encoding: None,
            // The client sends its hello with its first bytes, so even a slow link needs little.
            hello_timeout: Duration::from_secs(5),
            // What orchestrators commonly wait between asking a process to end and killing it.
            drain_period: Duration::from_secs(30),
            permit_plaintext: false,
            connection_age_max: None,
        }
    }
}

impl Server {
    /// Begins a server without services.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            router: Router::builder(),
            tooling: Tooling::default(),
            hub: MemoryHub::new(),
            tcp: TcpOptions::default(),
            tls: None,
            settings: Settings::default(),
            wrong_origin: None,
            announcer: None,
        }
    }

    /// Listens on one more address; see [`ServerBuilder::bind`].
    ///
    /// # Errors
    /// When the string names no place to listen on, or it cannot be bound.
    pub async fn bind(mut self, address: &str) -> Result<Self, BindError> {
        if self.tls.is_some() {
            crate::tls::seeded().await;
        }
        let quic = quic_options(self.tls.as_ref(), &self.tcp, &self.settings);
        let address = place(address, self.tls.is_some(), self.settings.permit_plaintext)?;
        let (address, listeners) = bind(&address, &self.hub, &self.tcp, quic.as_ref()).await?;
        self.addresses.push(address);
        self.listeners.extend(listeners);
        Ok(self)
    }

    /// The addresses as clients may dial them, in the order they were bound, with the ports that
    /// the kernel chose.
    pub fn addresses(&self) -> impl Iterator<Item = Address> + '_ {
        self.addresses.iter().cloned()
    }

    /// The first address that was bound, as clients dial it, with the port that the kernel chose.
    pub fn target(&self) -> String {
        let first = self.addresses.first();
        first
            .expect("a server comes from binding an address")
            .to_string()
    }

    /// The first TCP or UDP address that was bound, with the port that the kernel chose.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listeners.iter().find_map(Listener::local_addr)
    }

    /// Serves until the process ends.
    ///
    /// Dropping the future closes every connection at once.
    pub async fn serve(self) {
        self.serve_until(std::future::pending::<()>()).await;
    }

    /// Serves until `shutdown` is ready, then drains: new links and calls are refused, those that
    /// run may finish within the drain period, and what is left is ended, as `UNAVAILABLE` with a
    /// message that says to resume elsewhere.
    ///
    /// A successor that waits for the addresses ([`ServerBuilder::take_over`]) is given all new
    /// links before clients are told to go.
    ///
    /// Dropping the future closes every connection at once.
    pub async fn serve_until(self, shutdown: impl Future) -> Stopped {
        let served = Served::new(
            self.addresses.iter().map(ToString::to_string).collect(),
            self.services,
        );
        let Self {
            router,
            health,
            announcer,
            listeners,
            tls,
            settings,
            ..
        } = self;
        for listener in listeners.iter().filter(|listener| listener.is_plaintext()) {
            tracing::warn!(address = %listener.address(), "serving in plaintext");
        }
        if tls.is_none() {
            tracing::info!("without a certificate there is no encryption and no QUIC");
        }
        let (drain_period, permit_plaintext) = (settings.drain_period, settings.permit_plaintext);
        let stop = Arc::new(Stop::new());
        // Each listener holds a place while it waits for the next connection, so the last places
        // must not all be held by one that nobody comes to.
        let places = settings.connections_max.saturating_add(listeners.len() - 1);
        let room = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        let serving = Serving::new(router.clone(), tls.as_ref(), settings, Arc::clone(&room));
        let serving = Arc::new(serving);
        let mut loops = JoinSet::new();
        for listener in listeners {
            let (serving, users) = (Arc::clone(&serving), serving.users());
            let plaintext = !listener.is_secure() || permit_plaintext;
            let serve =
                move |it, carrier| serving::serve(Arc::clone(&serving), carrier, it, plaintext);
            loops.spawn(accept_loop(
                listener,
                Arc::clone(&room),
                Arc::clone(&stop),
                users,
                serve,
            ));
        }
        let mut announcing = announcer.map(|it| Announcing::begin(it, served, &health));
        announcing::until(announcing.as_mut(), shutdown).await;
        health.shut_down();
        announcing::drained(announcing.as_mut()).await;
        stop.advance(Phase::Draining);
        let mut stopped = Stopped { calls_ended: 0 };
        let ended = async {
            while let Some(ended) = loops.join_next().await {
                stopped.calls_ended += ended.unwrap_or(0);
            }
        };
        let overrun = async {
            tokio::time::sleep(drain_period).await;
            stop.advance(Phase::Closed);
            std::future::pending().await
        };
        tokio::select! {
            () = ended => {}
            () = overrun => {}
        }
        router.drain().begin();
        if stopped.calls_ended > 0 {
            let calls = stopped.calls_ended;
            tracing::warn!(
                calls,
                "the drain period was over before calls were, which it ended"
            );
        }
        stopped
    }
}

/// How a server stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// Calls that still ran when the drain period was over, and ended with it.
    pub calls_ended: u64,
}

impl ServerBuilder {
    /// Adds a service.
    #[must_use]
    pub fn service(mut self, service: impl Service) -> Self {
        self.router = self.router.service(&service);
        self
    }

    /// Adds a layer around every handler; the one added first sees a call first.
    #[must_use]
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<HandlerService> + 'static,
        L::Service:
            tower_service::Service<ServerCall, Response = Outcome> + Clone + Send + Sync + 'static,
        <L::Service as tower_service::Service<ServerCall>>::Error:
            Into<Box<dyn std::error::Error + Send + Sync>>,
        <L::Service as tower_service::Service<ServerCall>>::Future: Send,
    {
        self.router = self.router.layer(layer);
        self
    }

    /// Counts and times the calls that are served.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.router = self.router.metrics(metrics);
        self
    }

    /// Says which form messages may take, in place of what `DREAMMESH_WIRE` says.
    #[must_use]
    pub fn wire(mut self, wire: WireOption) -> Self {
        self.router = self.router.wire(wire);
        self
    }

    /// Sets how many connections are served at once; 10,000 by default.
    ///
    /// Those beyond it wait in the kernel's backlog until one ends.
    #[must_use]
    pub fn max_connections(mut self, count: usize) -> Self {
        self.settings.connections_max = count.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Sets how many connections each user of this host may have over Unix sockets, so that no one of
    /// several takes all places; as many as there are places by default.
    ///
    /// Those beyond it are closed as soon as they are made, with a warning for the first of them.
    #[must_use]
    pub fn max_connections_per_user(mut self, count: usize) -> Self {
        self.settings.connections_per_user_max = count.max(1);
        self
    }

    /// Sets whether HTTP is served on the same addresses: tunnels and gRPC over HTTP/2, Connect and
    /// gRPC-Web over HTTP/1.1 too, and a proper answer to every other request; on by default.
    #[must_use]
    pub fn http(mut self, served: bool) -> Self {
        self.settings.http = served;
        self
    }

    /// Sets whether calls may come as plain gRPC over HTTP/2, from clients of any gRPC library; on
    /// by default where HTTP is served.
    #[must_use]
    pub fn grpc(mut self, served: bool) -> Self {
        self.settings.grpc = served;
        self
    }

    /// Sets whether calls may come as Connect and gRPC-Web, over HTTP/1.1 and HTTP/2, from browsers
    /// and from tools such as curl; on by default where HTTP is served.
    #[must_use]
    pub fn web(mut self, served: bool) -> Self {
        self.settings.web = served;
        self
    }

    /// Sets the origins whose scripts a browser lets call this server, as CORS has it: `*` for any,
    /// or such as `https://shop.example`, with the port if it is not the usual one. None by default
    /// but the server's own.
    ///
    /// Scripts may send any metadata and read all of it; cookies are not sent to another origin.
    /// What is no origin makes [`Self::bind`] fail.
    #[must_use]
    pub fn browser_origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let origins = Origins::of(origins.into_iter().map(Into::into));
        match origins {
            Ok(origins) => self.settings.origins = origins,
            Err(wrong) => self.wrong_origin = Some(wrong),
        }
        self
    }

    /// Sets what answers to calls of gRPC, Connect and gRPC-Web are compressed with, where the
    /// caller takes that; nothing by default.
    ///
    /// A call whose requests are compressed is answered with what they are compressed with, if this
    /// does not apply. Small messages never are, nor those that would not become shorter.
    #[must_use]
    pub fn grpc_compression(mut self, encoding: Encoding) -> Self {
        self.settings.grpc_encoding = Some(encoding);
        self
    }

    /// Sets where the states of the services are, as `grpc.health.v1.Health` tells them to load
    /// balancers and operators; by default each service serves until the server drains.
    ///
    /// What nothing has been said of serves, and nothing does once the server drains. A program
    /// that adds a service of that name itself has that one alone.
    #[must_use]
    pub fn health(mut self, health: &Health) -> Self {
        self.tooling.health = health.clone();
        self
    }

    /// Sets whether tools such as grpcurl may learn the services and their messages from the server
    /// (`grpc.reflection.v1.ServerReflection`, and `v1alpha`); off by default.
    #[must_use]
    pub fn reflection(mut self, served: bool) -> Self {
        self.tooling.reflection = served;
        self
    }

    /// Sets how many calls a connection may run at once; 1024 by default.
    ///
    /// What one connection can make the server hold is this times the stream credit, and the
    /// connection credit.
    /// A channel whose calls wait for more opens another connection, up to four in all unless it was
    /// made otherwise.
    #[must_use]
    pub fn max_concurrent_calls(mut self, count: u32) -> Self {
        self.settings.session.calls_max = count;
        self
    }

    /// Sets the largest message that is taken; 4 MiB by default.
    #[must_use]
    pub fn max_message_bytes(mut self, bytes: u32) -> Self {
        self.settings.session.message_bytes_max = bytes;
        self
    }

    /// Sets what a stream may receive ahead of its handler; 128 KiB by default.
    #[must_use]
    pub fn stream_credit_bytes(mut self, bytes: u32) -> Self {
        self.settings.session.stream_credit = bytes;
        self
    }

    /// Sets what all large messages of a connection may occupy together; 16 MiB by default.
    #[must_use]
    pub fn connection_credit_bytes(mut self, bytes: u64) -> Self {
        self.settings.session.connection_credit = bytes;
        self
    }

    /// Sets how much of the memory that its output took a connection keeps when that is sent, twice;
    /// 512 KiB by default, so that a steady load allocates nothing.
    ///
    /// Less suits a server of many connections that have something to say now and then.
    #[must_use]
    pub fn retained_output_bytes(mut self, bytes: usize) -> Self {
        self.settings.session.output_retained_bytes_max = bytes;
        self
    }

    /// Sets after how much silence the peer is asked for a sign of life, and after how much more
    /// it counts as dead; 20 and 10 seconds by default.
    #[must_use]
    pub fn keepalive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.settings.session.keepalive = Some(Keepalive {
            interval: interval.min(NEVER),
            timeout: timeout.min(NEVER),
        });
        self
    }

    /// Sets how long a new connection may take to say what it speaks, and hello; 5 seconds by
    /// default.
    #[must_use]
    pub fn hello_timeout(mut self, timeout: Duration) -> Self {
        self.settings.hello_timeout = timeout.min(NEVER);
        self
    }

    /// Sets how long calls may go on after shutdown was asked for; 30 seconds by default.
    #[must_use]
    pub fn drain_period(mut self, period: Duration) -> Self {
        self.settings.drain_period = period.min(NEVER);
        self
    }

    /// Asks for socket buffers of that size instead of the kernel's automatic tuning.
    #[must_use]
    pub fn socket_buffer_bytes(mut self, bytes: usize) -> Self {
        self.tcp.buffer_bytes = Some(bytes);
        self
    }

    /// Sets how many new TCP connections may wait to be accepted; 1024 by default.
    #[must_use]
    pub fn backlog(mut self, count: u32) -> Self {
        self.tcp.backlog = count;
        self
    }

    /// Sets the certificate that the server presents, and whether clients must have one.
    ///
    /// A bare `host:port` that is bound afterwards takes TLS and QUIC, and refuses plaintext.
    #[must_use]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Lets clients speak plaintext to a server that has a certificate, as while a mesh moves from
    /// one to the other; refused by default.
    #[must_use]
    pub fn permit_plaintext(mut self) -> Self {
        self.settings.permit_plaintext = true;
        self
    }

    /// Sets after how long a connection is drained: new calls go to a new one, and those that run
    /// may finish within the drain period. Without end by default.
    ///
    /// A connection keeps what its handshake settled, so this is what retires old certificates and
    /// lets clients find servers that came later. Each connection lives up to a tenth less, so
    /// that those that began together do not end together.
    #[must_use]
    pub fn max_connection_age(mut self, age: Duration) -> Self {
        self.settings.connection_age_max = Some(age.min(NEVER));
        self
    }

    /// Says whether addresses that are bound afterwards are taken over from another process of the
    /// same user that may serve them, instead of failing because they are in use; off by default.
    ///
    /// Until that process drains ([`Server::serve_until`]), it alone is given new connections. Then
    /// they come here, while it finishes what it has, and no call is lost that ends within its
    /// drain period. So a server is replaced by starting its successor, waiting until `bind` has
    /// given a server, and then telling the old one to stop. Without a predecessor, the address is
    /// bound as ever.
    ///
    /// TCP and UDP ports are taken over on Linux alone, and only by number. Unix sockets are
    /// on all systems that have them.
    #[must_use]
    pub fn take_over(mut self, take_over: bool) -> Self {
        self.tcp.take_over = take_over;
        self
    }

    /// Sets where `memory://` addresses are made known.
    #[must_use]
    pub fn memory(mut self, hub: &MemoryHub) -> Self {
        self.hub = hub.clone();
        self
    }

    /// Sets who tells others of the server as long as it serves.
    ///
    /// They are told once it listens, and follow its health ([`health`](Self::health)): it can be
    /// called while the server as a whole serves, and one of its services does if it has any. When
    /// it is to stop they are told first.
    #[must_use]
    pub fn announce(mut self, announcer: impl Announcer) -> Self {
        self.announcer = Some(Box::new(announcer));
        self
    }

    /// Listens on an address: `host:port`, `dreammesh://host:port`, `dreammesh+tcp://host:port`,
    /// `dreammesh+tls://host:port`, `dreammesh+quic://host:port`, `unix:///path` or
    /// `memory://name`. Port 0 lets the kernel choose.
    ///
    /// A bare `host:port` is `dreammesh://` if the server has a certificate: TLS over TCP and QUIC
    /// over UDP, under one port number. Without one it is plaintext over TCP, and there is no QUIC.
    ///
    /// The socket file of a dead process is replaced; no other file is touched.
    ///
    /// # Errors
    /// When the string names no place to listen on, or it cannot be bound.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn bind(self, address: &str) -> Result<Server, BindError> {
        let Self {
            router,
            tooling,
            hub,
            tcp,
            tls,
            settings,
            wrong_origin,
            announcer,
        } = self;
        if let Some(origin) = wrong_origin {
            return Err(BindError {
                address: address.to_owned(),
                cause: Cause::Origin(origin),
            });
        }
        if let Some(Err(error)) = announcer.as_ref().map(|it| it.check()) {
            return Err(BindError {
                address: address.to_owned(),
                cause: Cause::Announce(error),
            });
        }
        let own: Vec<_> = router.services().map(|(name, _)| name).collect();
        let router = tooling.add_to(router).map_err(|error| BindError {
            address: address.to_owned(),
            cause: Cause::Descriptors(error),
        })?;
        let router = router.build();
        let mut services = router.served();
        services.retain(|service| own.contains(&service.name));
        if tls.is_some() {
            crate::tls::seeded().await;
        }
        let quic = quic_options(tls.as_ref(), &tcp, &settings);
        let address = place(address, tls.is_some(), settings.permit_plaintext)?;
        let (address, listeners) = bind(&address, &hub, &tcp, quic.as_ref()).await?;
        Ok(Server {
            router,
            health: tooling.health,
            announcer,
            services,
            addresses: vec![address],
            listeners,
            hub,
            tcp,
            tls,
            settings,
        })
    }
}

fn quic_options(
    tls: Option<&ServerTls>,
    tcp: &TcpOptions,
    settings: &Settings,
) -> Option<quic::listen::Options> {
    tls.map(|tls| quic::listen::Options {
        tls: tls.clone(),
        keepalive: settings.session.keepalive,
        buffer_bytes: tcp.buffer_bytes,
        take_over: tcp.take_over,
    })
}

/// What a bind string means to a server, which may have a certificate.
fn place(text: &str, has_tls: bool, permit_plaintext: bool) -> Result<Address, BindError> {
    let wrong = |cause| BindError {
        address: text.to_owned(),
        cause,
    };
    let address = Address::parse_bind(text).map_err(|error| wrong(Cause::Address(error)))?;
    match address {
        Address::Tls { .. }
        | Address::H2 { .. }
        | Address::Grpcs { .. }
        | Address::Secure { .. }
            if !has_tls =>
        {
            Err(wrong(Cause::NoTls))
        }
        Address::Tcp { host, port } if has_tls && !text.contains("://") => {
            Ok(Address::Secure { host, port })
        }
        Address::Tcp { .. } | Address::H2c { .. } | Address::Grpc { .. }
            if has_tls && !permit_plaintext =>
        {
            Err(wrong(Cause::Plaintext))
        }
        address => Ok(address),
    }
}

async fn bind(
    address: &Address,
    hub: &MemoryHub,
    tcp: &TcpOptions,
    quic: Option<&quic::listen::Options>,
) -> Result<(Address, Vec<Listener>), BindError> {
    Listener::bind_all(address, hub, tcp, quic)
        .await
        .map_err(|error| BindError {
            address: address.to_string(),
            cause: Cause::Io(error),
        })
}

/// Why an address could not be bound.
#[derive(Debug)]
pub struct BindError {
    address: String,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Address(TargetError),
    NoTls,
    Plaintext,
    Descriptors(ReflectionError),
    Origin(String),
    Announce(AnnounceError),
    Io(io::Error),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Address(error) => write!(f, "{error}"),
            Cause::NoTls => write!(
                f,
                "cannot listen on `{}`: it takes a certificate; see `ServerBuilder::tls`",
                self.address
            ),
            Cause::Plaintext => write!(
                f,
                "cannot listen on `{}`: a server with a certificate refuses plaintext; \
                 see `ServerBuilder::permit_plaintext`",
                self.address
            ),
            Cause::Descriptors(error) => write!(f, "reflection cannot be served: {error}"),
            Cause::Origin(origin) => write!(
                f,
                "`{origin}` is no origin: write a scheme and a host, and no path, as in \
                 `https://shop.example`; see `ServerBuilder::browser_origins`"
            ),
            Cause::Announce(error) => write!(f, "the server cannot be announced: {error}"),
            Cause::Io(error) => write!(f, "cannot listen on `{}`: {error}", self.address),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Address(error) => Some(error),
            Cause::NoTls | Cause::Plaintext | Cause::Origin(_) => None,
            Cause::Descriptors(error) => Some(error),
            Cause::Announce(error) => Some(error),
            Cause::Io(error) => Some(error),
        }
    }
}
