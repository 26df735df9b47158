//! The whole agent, put together from its configuration.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dreammesh_agent_api::instance::{Host, InstanceError, Locality};
use dreammesh_agent_api::place::Environment;
use dreammesh_agent_api::proto::AgentServer;
use dreammesh_transport::{BindError, Server};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::attach::{Attachments, Bounds, Site};
use crate::config::Config;
use crate::gossip::start::GossipError;
use crate::health::Checks;
use crate::knowledge::{Here, Knowledge};
use crate::metrics::{self, Figures, Metrics};
use crate::place::{Place, PlaceError};
use crate::questions::{Alone, Members, Questions, Warnings};
use crate::service::AgentService;
use crate::settling::Awaited;
use crate::source::Source;
use crate::source::file::FileSource;
use crate::source::gossip::Neighbours;
use crate::state::{Found, Keeper};

/// An agent that has started and can be attached to.
#[derive(Debug)]
pub struct Daemon {
    place: Place,
    server: Server,
    attachments: Attachments,
    keeper: Keeper,
    tasks: JoinSet<()>,
    metrics: Option<SocketAddr>,
    neighbours: Option<Neighbours>,
}

/// What is known of the agent's place before it starts.
#[derive(Debug)]
struct Setting {
    here: Here,
    site: Site,
    directory: PathBuf,
    metrics: Option<SocketAddr>,
}

impl Daemon {
    /// Starts an agent as it was told to.
    ///
    /// # Errors
    /// When it was told what cannot be, or an agent runs there already.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn start(config: &Config, environment: &Environment) -> Result<Self, StartError> {
        let setting = Setting::new(config, environment)?;
        let place = Place::take(&setting.directory, config.group.as_deref())?;
        // What cannot be bound is said before anything else has begun.
        let gossip = match &config.gossip {
            Some(gossip) => Some(crate::gossip::start::start(gossip).await?),
            None => None,
        };
        let knowledge = Knowledge::new(setting.here);
        let mut tasks = JoinSet::new();
        let (warnings, found) = (Warnings::default(), Found::read(&place.state()));
        warnings.set("state", found.problem.as_deref());
        tasks.spawn(found.restore(&knowledge).run());
        for path in &config.files {
            let source = Box::new(FileSource::new(path));
            let sink = knowledge.sink(&source.name(), source.origin());
            tasks.spawn(source.run(sink));
        }
        // Files are read before anybody asks what is in them, if their disks answer.
        let read = knowledge.settling().over(&[Awaited::Files]);
        let _ = tokio::time::timeout(FILES_PATIENCE, read).await;
        let neighbours = gossip.as_ref().map(|gossip| gossip.neighbours());
        let checks = Checks::new(&knowledge, &setting.site.locality, neighbours.clone());
        let reports = Arc::new(checks.clone());
        let attachments = Attachments::new(&knowledge, setting.site, Bounds::default(), reports);
        match &found.state {
            Some(_) => attachments.remember_users(found.users()),
            None => attachments.forget(),
        }
        drop(found);
        let keeper = Keeper::new(place.state(), &attachments, &warnings);
        let figures = listen(setting.metrics).await?;
        let metrics = figures.as_ref().and_then(|it| it.local_addr().ok());
        let at = metrics.map(|at| format!("http://{at}/metrics"));
        let members: Arc<dyn Members> = match &neighbours {
            Some(neighbours) => Arc::new(neighbours.clone()),
            None => Arc::new(Alone),
        };
        if let Some(gossip) = gossip {
            let sink = knowledge.sink(&gossip.name(), gossip.origin());
            tasks.spawn(Box::new(gossip).run(sink));
        }
        let questions = Questions::new(&attachments, members, &warnings, at.unwrap_or_default());
        if let Some(listener) = figures {
            let figures = neighbours.iter().cloned();
            let figures = figures.map(|it| Arc::new(it) as Arc<dyn Figures>);
            let figures = figures.chain([Arc::new(checks.clone()) as Arc<dyn Figures>]);
            let metrics = Metrics::new(&questions, &keeper, figures.collect());
            tasks.spawn(metrics.serve(listener));
        }
        let server = serve(&place, questions).await?;
        let (ticking, keeping) = (attachments.clone(), keeper.clone());
        tasks.spawn(async move { ticking.run().await });
        tasks.spawn(async move { keeping.run().await });
        tasks.spawn(async move { checks.run().await });
        Ok(Self {
            place,
            server,
            attachments,
            keeper,
            tasks,
            metrics,
            neighbours,
        })
    }

    /// Where applications attach.
    pub fn socket(&self) -> PathBuf {
        self.place.socket()
    }

    /// Where the Prometheus text is, if it is served.
    pub const fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// The agent's name in the mesh.
    pub fn name(&self) -> &str {
        &self.attachments.knowledge().here().agent
    }

    /// Serves until `shutdown` is ready; then tells applications that it leaves, writes its state
    /// and ends. Nobody's instances go: the agent that comes after holds them.
    pub async fn run_until(self, shutdown: impl Future) {
        let Self {
            place,
            server,
            attachments,
            keeper,
            mut tasks,
            neighbours,
            ..
        } = self;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve_until(stopped));
        shutdown.await;
        tracing::info!("leaving");
        if let Some(neighbours) = neighbours {
            // From here on, other agents hear of nothing that ends with this one.
            neighbours.leave().await;
        }
        attachments.leave();
        // The state is written before any source takes back what it said.
        if tokio::time::timeout(PATIENCE, keeper.finish())
            .await
            .is_err()
        {
            tracing::warn!("the disk takes too long; the state is as it was written before");
        }
        // Whoever serves has ended if nobody listens.
        let _ = stop.send(());
        let _ = serving.await;
        tasks.shutdown().await;
        drop(place);
    }
}

impl Setting {
    fn new(config: &Config, environment: &Environment) -> Result<Self, StartError> {
        let host = match &config.host {
            Some(host) => host.clone(),
            None => host_name()?,
        };
        let name = config.name.clone().unwrap_or_else(|| host.clone());
        for (what, text) in [
            ("name", Some(&name)),
            ("host", Some(&host)),
            ("region", config.region.as_ref()),
            ("zone", config.zone.as_ref()),
        ] {
            let text = text.map_or("-", |text| text.as_str());
            if text.is_empty() || text.len() > TEXT_BYTES_MAX || text.contains(char::is_control) {
                return Err(StartError::Text(what));
            }
        }
        let directory = config.directory.clone();
        let directory = directory.unwrap_or_else(|| environment.directory());
        if !directory.is_absolute() {
            return Err(StartError::Relative(directory));
        }
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        let locality = Locality::new(of(&config.region), of(&config.zone));
        Ok(Self {
            here: Here::new(name, host),
            site: Site::new(locality, addresses(config, environment)?),
            directory,
            metrics: metrics_address(config.metrics.as_deref())?,
        })
    }
}

/// Where others reach this host: as it was told, or as gossip was.
fn addresses(config: &Config, environment: &Environment) -> Result<Vec<Host>, StartError> {
    let parse = |text: &str| {
        let host: Result<Host, InstanceError> = text.parse();
        host.map_err(StartError::Address)
    };
    if !config.advertise.is_empty() {
        return config.advertise.iter().map(|it| parse(it)).collect();
    }
    if let Some(text) = &environment.advertise {
        let host = match text.parse::<SocketAddr>() {
            Ok(address) => address.ip().to_string(),
            Err(_) => match text.rsplit_once(':') {
                Some((host, _)) if !host.contains(':') => host.to_owned(),
                _ => text.trim_matches(['[', ']']).to_owned(),
            },
        };
        return Ok(vec![parse(&host)?]);
    }
    let gossip = config.gossip.as_ref();
    let address = gossip.and_then(|it| it.advertise.or(it.listen));
    let address = address.map(|address| address.ip());
    let address = address.filter(|address| !address.is_unspecified());
    Ok(address.map(Host::Ip).into_iter().collect())
}

fn metrics_address(said: Option<&str>) -> Result<Option<SocketAddr>, StartError> {
    match said {
        Some("off") => Ok(None),
        None => Ok(Some((IpAddr::V4(Ipv4Addr::LOCALHOST), 0).into())),
        Some(text) => match text.parse() {
            Ok(address) => Ok(Some(address)),
            Err(_) => Err(StartError::Metrics(text.to_owned())),
        },
    }
}

async fn listen(
    address: Option<SocketAddr>,
) -> Result<Option<tokio::net::TcpListener>, StartError> {
    let Some(address) = address else {
        return Ok(None);
    };
    match metrics::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) => Err(StartError::Listen(address, error)),
    }
}

async fn serve(place: &Place, questions: Questions) -> Result<Server, StartError> {
    let path = place.socket();
    let service = AgentServer::new(AgentService::new(questions));
    let server = Server::builder()
        .service(service)
        // Sessions are all that our own programs speak; what HTTP may hold is no small bound.
        .http(false)
        .max_connections(CONNECTIONS_MAX)
        .max_connections_per_user(USER_CONNECTIONS_MAX)
        .max_concurrent_calls(CALLS_MAX)
        .max_message_bytes(MESSAGE_BYTES_MAX)
        .stream_credit_bytes(STREAM_CREDIT_BYTES)
        .connection_credit_bytes(MESSAGE_BYTES_MAX.into())
        .retained_output_bytes(RETAINED_BYTES)
        .drain_period(PATIENCE);
    let address = format!("unix://{}", path.display());
    let server = place.closed(server.bind(&address)).await;
    let server = server.map_err(StartError::Bind)?;
    place.open()?;
    Ok(server)
}

fn host_name() -> Result<String, StartError> {
    let name = nix::unistd::gethostname().map_err(|error| StartError::HostName(error.into()))?;
    Ok(name.to_string_lossy().into_owned())
}

/// Why an agent cannot start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A name is empty, too long or has control characters.
    Text(&'static str),
    /// The directory is not absolute.
    Relative(PathBuf),
    /// An address of this host is none.
    Address(InstanceError),
    /// The system does not say what the host is called.
    HostName(io::Error),
    /// The place of the figures is neither an address and a port nor `off`.
    Metrics(String),
    /// The figures cannot be served there.
    Listen(SocketAddr, io::Error),
    /// The directory cannot be had.
    Place(PlaceError),
    /// The socket cannot be made.
    Bind(BindError),
    /// It cannot speak to other agents.
    Gossip(GossipError),
}

impl StartError {
    /// Whether an agent runs there already.
    pub const fn is_running(&self) -> bool {
        matches!(self, Self::Place(PlaceError::Runs { .. }))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(what) => write!(
                f,
                "the {what} is 1 to {TEXT_BYTES_MAX} bytes without control characters"
            ),
            Self::Relative(path) => write!(f, "the directory {} is not absolute", path.display()),
            Self::Address(error) => write!(f, "the address to advertise: {error}"),
            Self::HostName(error) => write!(f, "the host has no name, so give it one: {error}"),
            Self::Metrics(text) => write!(
                f,
                "{text:?} is neither an address such as 127.0.0.1:9464 nor `off`"
            ),
            Self::Listen(address, error) => write!(f, "the figures at {address}: {error}"),
            Self::Place(error) => error.fmt(f),
            Self::Bind(error) => error.fmt(f),
            Self::Gossip(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address(error) => Some(error),
            Self::HostName(error) | Self::Listen(_, error) => Some(error),
            Self::Place(error) => Some(error),
            Self::Bind(error) => Some(error),
            Self::Gossip(error) => Some(error),
            _ => None,
        }
    }
}

impl From<GossipError> for StartError {
    fn from(error: GossipError) -> Self {
        Self::Gossip(error)
    }
}

impl From<PlaceError> for StartError {
    fn from(error: PlaceError) -> Self {
        Self::Place(error)
    }
}

/// How long the start waits for files; a disk takes no longer unless something is wrong with it.
const FILES_PATIENCE: Duration = Duration::from_millis(300);
/// How long the end may take, of what does not depend on the agent alone.
const PATIENCE: Duration = Duration::from_secs(1);
/// More programs than streams, so that people can ask while all are taken; the same of one user.
const CONNECTIONS_MAX: usize = 1_152;
const USER_CONNECTIONS_MAX: usize = 576;
/// An attachment is one call, and a question one. These are the least that a session may announce
/// (PROTOCOL.md §3): the largest message of a program, a report of a thousand endpoints, has a
/// fifth of a megabyte.
const CALLS_MAX: u32 = 64;
const MESSAGE_BYTES_MAX: u32 = 1 << 20;
const STREAM_CREDIT_BYTES: u32 = 128 << 10;
/// What a program is told at a time is small but for a service that it begins to watch; with what
/// that took kept for each, a hundred programs took ten megabytes.
const RETAINED_BYTES: usize = 4 << 10;
/// As long as an instance's own words.
const TEXT_BYTES_MAX: usize = dreammesh_agent_api::instance::TEXT_BYTES_MAX;
