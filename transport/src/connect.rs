//! The client's side: from a target to a channel.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use dreammesh_core::balance::Policy;
use dreammesh_core::call::Endpoint;
use dreammesh_core::channel::{Channel, ChannelBuilder};
use dreammesh_core::negotiate::VerdictCache;
use dreammesh_core::port::ConnectionSource;
use dreammesh_core::resolve::{Abilities, Resolver, Resolvers};
use dreammesh_core::wire::Limits;
use dreammesh_session::{Config, Keepalive};
use http::uri::Scheme;

use crate::driver::timer::NEVER;
use crate::grpc::client::{self as grpc, OpenedLink};
use crate::grpc::encoding::Encoding;
use crate::link::BoxLink;
use crate::link::address::{Address, is_resolved};
use crate::link::memory::MemoryHub;
use crate::link::tcp::TcpOptions;
use crate::link::{listener, tcp, tls, tunnel, unix};
use crate::quic::dial::{self, Connected, Offer};
use crate::tls::ClientTls;
use balanced::Balanced;
use error::Cause;
pub use error::ConnectError;
use kept::KeptLink;
pub use race::Medium;
use secured::Secured;

mod backoff;
mod balanced;
mod client;
mod error;
mod kept;
mod lanes;
mod race;
mod secured;

/// Connects a [`Channel`] with the settings that suit most programs.
///
/// ```no_run
/// use dreammesh_core::channel::Channel;
/// use dreammesh_transport::Connect;
///
/// # async fn run() -> Result<(), dreammesh_transport::ConnectError> {
/// let channel = Channel::connect("unix:///run/shop.sock").await?;
/// # Ok(()) }
/// ```
pub trait Connect: Sized {
    /// Connects to a target, such as `dreammesh+tcp://host:port`, and waits for the link.
    ///
    /// Afterwards the channel dials again by itself whenever the link is lost. Dropping the
    /// future stops the attempt.
    ///
    /// # Errors
    /// When the target names no place this version can reach, or nobody answers there.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    fn connect(target: &str) -> impl Future<Output = Result<Self, ConnectError>> + Send;

    /// As [`connect`](Self::connect), but dials only when the first call needs the link.
    ///
    /// # Errors
    /// When the target names no place this version can reach.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    fn connect_lazy(target: &str) -> Result<Self, ConnectError>;
}

impl Connect for Channel {
    async fn connect(target: &str) -> Result<Self, ConnectError> {
        Connector::new().connect(target).await
    }

    fn connect_lazy(target: &str) -> Result<Self, ConnectError> {
        Connector::new().connect_lazy(target)
    }
}

/// Connects channels with settings of one's own.
///
/// A server of plain gRPC is called in the same way, by `grpc://host:port` or, with [`tls`](Self::tls),
/// by `grpcs://host:port`; so is one that turns out to speak nothing else when it is named by
/// `dreammesh://` or `dreammesh+tls://`.
#[derive(Clone, Debug, Default)]
pub struct Connector {
    hub: MemoryHub,
    tcp: TcpOptions,
    tls: Option<ClientTls>,
    media: Option<Vec<Medium>>,
    mesh: Option<Arc<dyn Resolvers>>,
    policy: Policy,
    /// Whose processes are believed on Unix sockets; everybody's if it is not said.
    users: Option<Arc<[u32]>>,
    settings: Settings,
}

/// What every connection of a channel is made with.
#[derive(Clone, Debug)]
struct Settings {
    connect_timeout: Duration,
    session: Config,
    /// After how long without a call a connection is closed.
    idle_timeout: Duration,
    /// How many connections there are at most.
    connections_max: usize,
    /// How old a connection grows before a successor takes over.
    connection_age_max: Duration,
    /// The same of a tunnel, if it is less.
    tunnel_age_max: Duration,
    media_retry: Duration,
    /// What connections of this process learnt of the layouts of their servers.
    layouts: VerdictCache,
    /// What requests over plain gRPC are compressed with.
    grpc_encoding: Option<Encoding>,
    /// When a server of plain gRPC that is silent is asked for a sign of life.
    grpc_keepalive: Keepalive,
}

impl Default for Settings {
    fn default() -> Self {
        // Three SYNs fit into it (at 0, 1 and 3 s), and a user still waits.
        Self {
            connect_timeout: Duration::from_secs(5),
            session: Config::default(),
            idle_timeout: IDLE_TIMEOUT,
            connections_max: CONNECTIONS_MAX,
            connection_age_max: NEVER,
            tunnel_age_max: TUNNEL_AGE_MAX,
            // Short enough to come back soon after a network changed, long enough to cost nothing.
            media_retry: Duration::from_secs(30),
            layouts: VerdictCache::process(),
            grpc_encoding: None,
            grpc_keepalive: GRPC_KEEPALIVE,
        }
    }
}

impl Connector {
    /// Begins with the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long dialling and the peer's hello may take; 5 seconds by default.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout.min(NEVER);
        self
    }

    /// Sets after how much silence the peer is asked for a sign of life, and after how much more
    /// it counts as dead; 20 and 10 seconds by default.
    ///
    /// A server of plain gRPC is asked only while calls run, and after 5 minutes and 10 seconds by
    /// default: most end the connection of a client that asks more than every 5 minutes. One that
    /// says so is asked half as often from then on.
    #[must_use]
    pub fn keepalive(mut self, interval: Duration, timeout: Duration) -> Self {
        let keepalive = Keepalive {
            interval: interval.min(NEVER),
            timeout: timeout.min(NEVER),
        };
        self.settings.session.keepalive = Some(keepalive);
        self.settings.grpc_keepalive = keepalive;
        self
    }

    /// Compresses the requests of calls that go by plain gRPC; they are not compressed by default.
    ///
    /// A server that does not know the encoding answers UNIMPLEMENTED and says which it knows.
    /// Answers are taken in each of them, whatever is set here.
    #[must_use]
    pub fn compress_grpc(mut self, encoding: Encoding) -> Self {
        self.settings.grpc_encoding = Some(encoding);
        self
    }

    /// Sets how many connections there may be to the endpoint at a time; 4 by default.
    ///
    /// One is opened beside those that there are when calls wait because each of them has as many
    /// calls as the server serves on one (`ServerBuilder::max_concurrent_calls`). Calls that wait go
    /// there once the server has said hello on it; it goes when nobody has used it for half a
    /// minute. With 1, calls wait for the one connection. 0 counts as 1.
    #[must_use]
    pub fn max_connections_per_endpoint(mut self, connections: usize) -> Self {
        self.settings.connections_max = connections.max(1);
        self
    }

    /// Sets after how long without a call a connection is closed; 30 minutes by default.
    ///
    /// It may be up to a quarter more. The next call has another one made and waits for that. Less
    /// than a second counts as one; [`Duration::MAX`] keeps connections for ever.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = timeout.clamp(IDLE_TIMEOUT_MIN, NEVER);
        self
    }

    /// Sets how old a connection may grow; by default, as old as it gets.
    ///
    /// Then, or up to a tenth sooner, a new one takes the calls that begin, and the old one ends
    /// with its last call. If none can be made the old one goes on. Less than a second counts as
    /// one.
    #[must_use]
    pub fn max_connection_age(mut self, age: Duration) -> Self {
        self.settings.connection_age_max = age.min(NEVER);
        self
    }

    /// Sets how old a tunnel through proxies may grow, if that is less than
    /// [`max_connection_age`](Self::max_connection_age); 50 minutes by default.
    ///
    /// It should be less than the age at which a proxy on the way ends connections or streams.
    #[must_use]
    pub fn max_tunnel_age(mut self, age: Duration) -> Self {
        self.settings.tunnel_age_max = age.min(NEVER);
        self
    }

    /// Sets the largest message that is taken; 4 MiB by default.
    #[must_use]
    pub fn max_message_bytes(mut self, bytes: u32) -> Self {
        self.settings.session.message_bytes_max = bytes;
        self
    }

    /// Sets what a stream may receive ahead of its consumer; 128 KiB by default.
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

    /// Asks for socket buffers of that size instead of the kernel's automatic tuning.
    #[must_use]
    pub fn socket_buffer_bytes(mut self, bytes: usize) -> Self {
        self.tcp.buffer_bytes = Some(bytes);
        self
    }

    /// Sets where it is remembered which servers read which archives, in place of what all
    /// connectors of the process share.
    #[must_use]
    pub fn layouts(mut self, layouts: &VerdictCache) -> Self {
        self.settings.layouts = layouts.clone();
        self
    }

    /// Sets whom to believe and what to present on media that are encrypted.
    #[must_use]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets by which media `dreammesh://` targets are reached, in place of what suits their address:
    /// the first has a head start of a quarter of a second, and of one alone no other is tried.
    ///
    /// By default both are, TLS first for addresses of this host and of private networks, QUIC
    /// first for others. An empty list means the default.
    ///
    /// A path over which nothing comes back by QUIC any more is left within two seconds: calls go
    /// by TLS, those that are under way too if their methods are idempotent. The others wait for
    /// the path as long as [`keepalive`](Self::keepalive) allows.
    #[must_use]
    pub fn media(mut self, media: impl IntoIterator<Item = Medium>) -> Self {
        let mut media: Vec<_> = media.into_iter().collect();
        // The other one is there or not; more often than once says nothing more.
        if let Some(first) = media.first().copied() {
            media.retain({
                let mut seen = false;
                move |medium| *medium != first || !std::mem::replace(&mut seen, true)
            });
            media.truncate(2);
        }
        self.media = (!media.is_empty()).then_some(media);
        self
    }

    /// Sets after how long the medium that suits a `dreammesh://` target is tried again when it
    /// did not work; 30 seconds by default.
    ///
    /// It is twice as long each time that it does not come back, up to 20 times as long. When it
    /// is back, new calls go there, and those that run finish where they are.
    #[must_use]
    pub fn media_retry(mut self, period: Duration) -> Self {
        self.settings.media_retry = period.min(NEVER);
        self
    }

    /// Sets the users, by their numbers, as one of whom a server on a Unix socket has to run, by the
    /// word of the kernel of each connection; any by default.
    #[must_use]
    pub fn unix_users(mut self, users: impl IntoIterator<Item = u32>) -> Self {
        self.users = Some(users.into_iter().collect());
        self
    }

    /// Sets where `memory://` and `grpc+memory://` targets are looked up.
    #[must_use]
    pub fn memory(mut self, hub: &MemoryHub) -> Self {
        self.hub = hub.clone();
        self
    }

    /// Sets who finds the endpoints of `mesh://` targets.
    #[must_use]
    pub fn mesh(mut self, mesh: &(impl Resolvers + Clone)) -> Self {
        self.mesh = Some(Arc::new(mesh.clone()));
        self
    }

    /// Sets how calls to `mesh://` targets are balanced.
    #[must_use]
    pub const fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Connects to a target and waits for the link; see [`Connect::connect`].
    ///
    /// # Errors
    /// When the target names no place this version can reach, or nobody answers there.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect(&self, target: &str) -> Result<Channel, ConnectError> {
        let unreachable = |status| ConnectError(Cause::Unreachable(status));
        if let Some(resolver) = self.resolver(target)? {
            let source = Balanced::new(target, self.clone(), self.policy, resolver);
            source.ready().await.map_err(unreachable)?;
            return Ok(self.configured(source).build());
        }
        let source = self.source(target)?;
        source.ready().await.map_err(unreachable)?;
        Ok(self.configured(source).build())
    }

    /// As [`connect`](Self::connect), but dials only when the first call needs the link.
    ///
    /// # Errors
    /// When the target names no place this version can reach.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect_lazy(&self, target: &str) -> Result<Channel, ConnectError> {
        self.channel_builder(target).map(ChannelBuilder::build)
    }

    /// Begins a channel to a target that dials only when the first call needs the link, for
    /// settings and layers of the channel itself.
    ///
    /// # Errors
    /// When the target names no place this version can reach.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn channel_builder(&self, target: &str) -> Result<ChannelBuilder, ConnectError> {
        match self.resolver(target)? {
            Some(resolver) => {
                let source = Balanced::new(target, self.clone(), self.policy, resolver);
                Ok(self.configured(source))
            }
            None => Ok(self.configured(self.source(target)?)),
        }
    }

    /// A channel over links that the program makes itself, dialled when a call needs one.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect_with(&self, name: &str, dial: impl Dial) -> Channel {
        self.builder_with(name, dial).build()
    }

    /// As [`connect_with`](Self::connect_with), for settings and layers of the channel itself.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn builder_with(&self, name: &str, dial: impl Dial) -> ChannelBuilder {
        let (endpoint, place) = (Endpoint::new(name), Place::Custom(Box::new(dial)));
        self.configured(KeptLink::new(endpoint, place, self.settings.clone()))
    }

    /// Begins a channel whose calls are balanced over the endpoints that a resolver finds.
    ///
    /// Endpoints are dialled when a call is first given to them, and left when the resolver names
    /// them no more: the calls that run there finish. A call that was not sent, or whose method is
    /// idempotent, goes to another endpoint when one fails ([`ChannelBuilder::retries`]). `target` is what the endpoints are called in errors.
    ///
    /// ```no_run
    /// use dreammesh_core::balance::Policy;
    /// use dreammesh_core::resolve::Fixed;
    /// use dreammesh_transport::Connector;
    ///
    /// # async fn run() {
    /// let shops = Fixed::new(["dreammesh+tcp://10.0.0.7:7443", "dreammesh+tcp://10.0.0.8:7443"]);
    /// let channel = Connector::new().balanced("shops", Policy::default(), shops).build();
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn balanced(
        &self,
        target: &str,
        policy: Policy,
        resolver: impl Resolver,
    ) -> ChannelBuilder {
        let source = Balanced::new(target, self.clone(), policy, Box::new(resolver));
        self.configured(source)
    }

    /// As [`balanced`](Self::balanced), and waits until one of the endpoints has answered.
    ///
    /// # Errors
    /// When there is no endpoint, or none of a few can be reached.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect_balanced(
        &self,
        target: &str,
        policy: Policy,
        resolver: impl Resolver,
    ) -> Result<Channel, ConnectError> {
        let source = Balanced::new(target, self.clone(), policy, Box::new(resolver));
        let unreachable = |status| ConnectError(Cause::Unreachable(status));
        source.ready().await.map_err(unreachable)?;
        Ok(self.configured(source).build())
    }

    /// Who finds the endpoints of a target, if that names no place itself.
    fn resolver(&self, target: &str) -> Result<Option<Box<dyn Resolver>>, ConnectError> {
        if !is_resolved(target) {
            return Ok(None);
        }
        let mesh = self.mesh.as_ref().ok_or(ConnectError(Cause::NoMesh))?;
        let abilities = Abilities::default().encrypted(self.tls.is_some());
        let resolver = mesh.resolver(target, abilities);
        resolver
            .map(Some)
            .map_err(|error| ConnectError(Cause::Resolve(error)))
    }

    /// The same for endpoints beside which there are others.
    fn probing(mut self, probe: Keepalive) -> Self {
        self.settings.session.probe = Some(probe);
        self
    }

    fn source(&self, target: &str) -> Result<KeptLink, ConnectError> {
        let address: Address = target.parse().map_err(|e| ConnectError(Cause::Target(e)))?;
        let endpoint = Endpoint::new(address.to_string());
        let place = match address {
            Address::Quic { host, port } => Place::Quic(self.quic_target(host, port)?),
            Address::Secure { host, port } => Place::Secured(Box::new(Secured::new(
                checked(tls::Dialler::new(self.client_tls()?), &host)?,
                self.tcp.clone(),
                self.quic_target(host, port)?,
                self.media.clone(),
                self.settings.media_retry,
            ))),
            Address::Tls { host, port } => {
                let secure = checked(tls::Dialler::new(self.client_tls()?), &host)?;
                Place::Tls(secure, host, port, self.tcp.clone())
            }
            Address::H2 { host, port } => Place::Tunnel(Tunnel {
                secure: checked(tls::Dialler::for_http(self.client_tls()?), &host)?,
                tcp: self.tcp.clone(),
                host,
                port,
            }),
            Address::Grpc { host, port } => Place::Grpc(Box::new(Grpc::Port {
                secure: None,
                tcp: self.tcp.clone(),
                host,
                port,
            })),
            Address::Grpcs { host, port } => Place::Grpc(Box::new(Grpc::Port {
                secure: Some(checked(tls::Dialler::for_http(self.client_tls()?), &host)?),
                tcp: self.tcp.clone(),
                host,
                port,
            })),
            Address::GrpcUnix(path) => {
                Place::Grpc(Box::new(Grpc::Socket(path, self.users.clone())))
            }
            Address::GrpcMemory(name) => {
                Place::Grpc(Box::new(Grpc::Memory(self.hub.clone(), name)))
            }
            address => Place::Stream(Stream {
                address,
                hub: self.hub.clone(),
                tcp: self.tcp.clone(),
                users: self.users.clone(),
            }),
        };
        Ok(KeptLink::new(endpoint, place, self.settings.clone()))
    }

    fn quic_target(&self, host: String, port: u16) -> Result<dial::Target, ConnectError> {
        let (tls, keepalive) = (self.client_tls()?, self.settings.session.keepalive);
        let buffer_bytes = self.tcp.buffer_bytes;
        Ok(dial::Target::new(host, port, tls, keepalive, buffer_bytes))
    }

    fn client_tls(&self) -> Result<ClientTls, ConnectError> {
        self.tls.clone().ok_or(ConnectError(Cause::NoTls))
    }

    fn configured(&self, source: impl ConnectionSource + 'static) -> ChannelBuilder {
        let limits = Limits::default();
        let limits = limits.with_max_bytes(self.settings.session.message_bytes_max as usize);
        Channel::builder(Arc::new(source)).limits(limits)
    }
}

/// What secures links over TCP, if it can verify their host.
fn checked(dialler: tls::Dialler, host: &str) -> Result<tls::Dialler, ConnectError> {
    match dialler.check_host(host) {
        Ok(()) => Ok(dialler),
        Err(error) => Err(ConnectError(Cause::Host(error))),
    }
}

/// Makes links to one place.
pub trait Dial: Send + Sync + 'static {
    /// Makes a new link; dropping the future abandons it.
    fn dial(&self) -> Dialling<'_>;
}

impl<F, R> Dial for F
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = io::Result<BoxLink>> + Send + 'static,
{
    fn dial(&self) -> Dialling<'_> {
        Box::pin(self())
    }
}

/// A link being made.
pub type Dialling<'a> = Pin<Box<dyn Future<Output = io::Result<BoxLink>> + Send + 'a>>;

/// Where a channel's connections go.
enum Place {
    Custom(Box<dyn Dial>),
    Stream(Stream),
    Tls(tls::Dialler, String, u16, TcpOptions),
    Tunnel(Tunnel),
    Quic(dial::Target),
    Secured(Box<Secured>),
    Grpc(Box<Grpc>),
}

/// A place that is reached by one link.
struct Stream {
    address: Address,
    hub: MemoryHub,
    tcp: TcpOptions,
    users: Option<Arc<[u32]>>,
}

/// A place that is reached by a tunnel inside TLS.
struct Tunnel {
    secure: tls::Dialler,
    tcp: TcpOptions,
    host: String,
    port: u16,
}

/// Enough for thousands of calls at once with a server's default of 1,024 for each connection, and
/// few enough to leave the server's own bound its meaning.
const CONNECTIONS_MAX: usize = 4;

/// What channels of gRPC have by default.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Calls that waited for a connection have had their turn by then.
const IDLE_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// A place where a server of plain gRPC is.
enum Grpc {
    Port {
        /// Absent in plaintext.
        secure: Option<tls::Dialler>,
        tcp: TcpOptions,
        host: String,
        port: u16,
    },
    /// A Unix socket, and who may listen there.
    Socket(PathBuf, Option<Arc<[u32]>>),
    /// A name within a hub.
    Memory(MemoryHub, String),
}

impl Grpc {
    async fn dial(&self) -> io::Result<OpenedLink> {
        let (secure, tcp, host, port) = match self {
            Self::Port {
                secure,
                tcp,
                host,
                port,
            } => (secure, tcp, host, port),
            Self::Socket(path, users) => {
                let link = unix::dial(path, users.as_deref()).await?;
                return grpc::open_as(link, Scheme::HTTP, SOCKET_AUTHORITY).await;
            }
            Self::Memory(hub, name) => {
                return grpc::open_as(hub.dial(name)?, Scheme::HTTP, SOCKET_AUTHORITY).await;
            }
        };
        let (link, scheme) = match secure {
            None => (tcp::dial(host, *port, tcp).await?, Scheme::HTTP),
            Some(secure) => (secure.dial(host, *port, tcp).await?.0, Scheme::HTTPS),
        };
        grpc::open(link, scheme, host, *port).await
    }
}

/// What gRPC's own clients say where a name has no host.
const SOCKET_AUTHORITY: &str = "localhost";

/// Longer than the 5 minutes that servers of gRPC have their clients keep between pings by default,
/// by more than clocks and queues bring; and as long for the answer as their clients wait.
const GRPC_KEEPALIVE: Keepalive = Keepalive {
    interval: Duration::from_secs(310),
    timeout: Duration::from_secs(20),
};

/// Below the hour after which load balancers commonly end a connection whatever it carries.
const TUNNEL_AGE_MAX: Duration = Duration::from_secs(50 * 60);

/// What dialling gives.
enum Dialled {
    Link(BoxLink),
    /// Lane 0, unless it is in use since before the handshake, and what opens more of them.
    Quic(Option<BoxLink>, Connected),
    /// The server speaks plain gRPC.
    Grpc(Box<OpenedLink>),
}

impl Dialled {
    /// What a link inside of TLS is, by what the server has agreed to speak there.
    ///
    /// One that chose HTTP/2 over the session, which it was offered first, is a server of plain
    /// gRPC, or a proxy in front of servers that speak that too.
    async fn spoken(link: BoxLink, spoken: tls::Spoken, host: &str, port: u16) -> io::Result<Self> {
        match spoken {
            tls::Spoken::Session => Ok(Self::Link(link)),
            tls::Spoken::Http => {
                let opened = grpc::open(link, Scheme::HTTPS, host, port).await?;
                Ok(Self::Grpc(Box::new(opened)))
            }
        }
    }

    async fn quic(target: &dial::Target, offer: &Offer) -> io::Result<Self> {
        let connected = dial::dial(target, offer).await?;
        let lane = connected.first_lane().await?;
        let lane = lane.map(|lane| Box::new(lane) as BoxLink);
        Ok(Self::Quic(lane, connected))
    }
}

impl Place {
    /// By what media the place may be reached, for those who count.
    fn media(&self) -> &'static [&'static str] {
        match self {
            Self::Custom(_) => &["custom"],
            Self::Stream(to) => match to.address {
                Address::Unix(_) => &["unix"],
                Address::Memory(_) => &["memory"],
                Address::H2c { .. } => &["h2c"],
                _ => &["tcp"],
            },
            Self::Tls(..) => &["tls", "grpcs"],
            Self::Tunnel(_) => &["h2"],
            Self::Quic(_) => &["quic"],
            Self::Secured(_) => &["tls", "quic", "grpcs"],
            Self::Grpc(to) => match **to {
                Grpc::Port { secure: None, .. } => &["grpc"],
                Grpc::Port { .. } => &["grpcs"],
                Grpc::Socket(..) => &["grpc+unix"],
                Grpc::Memory(..) => &["grpc+memory"],
            },
        }
    }

    /// Whether connections there are tunnels through proxies.
    fn is_tunnel(&self) -> bool {
        match self {
            Self::Stream(to) => matches!(to.address, Address::H2c { .. }),
            Self::Tunnel(_) => true,
            _ => false,
        }
    }

    /// Which of them a connection is of.
    fn medium(&self, is_quic: bool) -> usize {
        usize::from(is_quic && matches!(self, Self::Secured(_)))
    }

    /// Which of them a connection is of that carries plain gRPC, the last if others are possible.
    fn grpc_medium(&self) -> usize {
        self.media().len() - 1
    }

    /// Makes a new connection, and offers one that can be used before that is done; dropping the
    /// future abandons it.
    async fn dial(&self, offer: &Offer) -> io::Result<Dialled> {
        let is_secure = match self {
            Self::Custom(_) | Self::Stream(_) => false,
            Self::Grpc(to) => !matches!(**to, Grpc::Socket(..)),
            _ => true,
        };
        if is_secure {
            crate::tls::seeded().await;
        }
        match self {
            Self::Custom(dial) => dial.dial().await.map(Dialled::Link),
            Self::Stream(to) => {
                let link = listener::dial(&to.address, &to.hub, &to.tcp, to.users.as_deref());
                let link = link.await?;
                Ok(Dialled::Link(link))
            }
            Self::Tls(secure, host, port, options) => {
                let (link, spoken) = secure.dial(host, *port, options).await?;
                Dialled::spoken(link, spoken, host, *port).await
            }
            Self::Tunnel(to) => {
                let (link, _) = to.secure.dial(&to.host, to.port, &to.tcp).await?;
                let to = tunnel::To {
                    host: &to.host,
                    port: to.port,
                    scheme: "https",
                };
                tunnel::open(link, &to).await.map(Dialled::Link)
            }
            Self::Quic(target) => Dialled::quic(target, offer).await,
            Self::Secured(secured) => secured.dial(offer).await,
            Self::Grpc(to) => Ok(Dialled::Grpc(Box::new(to.dial().await?))),
        }
    }
}
