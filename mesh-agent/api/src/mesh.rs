//! A mesh, as an application sees it: where its services are, and where it is told of one's own.

use std::fmt;
use std::sync::{Arc, OnceLock};

use dreammesh_core::balance::Load;
use dreammesh_core::resolve::{Abilities, Knowledge, ResolveError, Resolver, Resolvers};
use tokio::sync::watch;

use crate::attachment::{self, Agents, Attachment, Dial, View};
use crate::chance;
use crate::endpoint::Rules;
use crate::instance::Locality;
use crate::member::Member;
use crate::name::{MeshTarget, ServiceName};
use crate::place::{AgentSocket, Environment, PlaceError};
use crate::proto;
use crate::resolver::MeshResolver;
#[cfg(feature = "yaml")]
use crate::watched_file::WatchedFile;

/// One attachment to a mesh, for as many channels and servers as like; a clone shares it.
#[derive(Clone, Debug)]
pub struct Mesh(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    environment: Environment,
    from: From,
    locality: Option<Locality>,
    plaintext: bool,
    program: String,
    dial: SharedDial,
    /// Begun when it is first needed, which is inside of a runtime.
    directory: OnceLock<Directory>,
}

/// What knows where services are.
#[derive(Clone, Debug)]
enum From {
    Agents(Vec<AgentSocket>),
    #[cfg(feature = "yaml")]
    File(std::path::PathBuf),
}

#[derive(Clone, Debug)]
enum Directory {
    Agent(Attachment),
    #[cfg(feature = "yaml")]
    File(WatchedFile),
}

#[derive(Clone)]
struct SharedDial(Arc<Dial>);

/// How a mesh is found.
#[derive(Debug)]
pub struct MeshBuilder {
    environment: Environment,
    socket: Option<AgentSocket>,
    locality: Option<Locality>,
    plaintext: bool,
    program: Option<String>,
}

impl Mesh {
    /// Begins with what the environment of this process says.
    pub fn builder() -> MeshBuilder {
        MeshBuilder::of(Environment::read())
    }

    /// A server of a service of this mesh; a name that is none is found when it is bound.
    pub fn member(&self, service: &str) -> Member {
        Member::new(service, self)
    }

    /// Whether there is an agent now; never where a file takes its place.
    pub fn is_attached(&self) -> bool {
        match self.0.directory.get() {
            Some(Directory::Agent(attachment)) => attachment.is_attached(),
            _ => false,
        }
    }

    /// Follows a service.
    pub(crate) fn follow(&self, service: &ServiceName) -> Following {
        match self.directory() {
            Directory::Agent(attachment) => Following::Agent(attachment.follow(service)),
            #[cfg(feature = "yaml")]
            Directory::File(file) => Following::File(file.follow(service)),
        }
    }

    /// The attachment to an agent, unless a file takes its place.
    pub(crate) fn attachment(&self) -> Option<&Attachment> {
        match self.directory() {
            Directory::Agent(attachment) => Some(attachment),
            #[cfg(feature = "yaml")]
            Directory::File(_) => None,
        }
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.0.environment
    }

    fn directory(&self) -> &Directory {
        let shared = &*self.0;
        shared.directory.get_or_init(|| match &shared.from {
            From::Agents(sockets) => {
                let dial = shared.dial.clone();
                let dial = move |target: &str, users: &[u32]| (dial.0)(target, users);
                let agents = Agents::new(sockets.clone(), shared.environment.user, dial);
                let (least, greatest) = attachment::VERSIONS;
                let hello = proto::Hello {
                    version_min: least,
                    version_max: greatest,
                    program: shared.program.clone(),
                    process: std::process::id(),
                    library: LIBRARY.to_owned(),
                    ..Default::default()
                };
                let seed = chance::number();
                Directory::Agent(Attachment::new(
                    agents,
                    hello,
                    shared.locality.clone(),
                    seed,
                ))
            }
            #[cfg(feature = "yaml")]
            From::File(path) => {
                Directory::File(WatchedFile::new(path.clone(), shared.locality.clone()))
            }
        })
    }
}

impl Resolvers for Mesh {
    fn resolver(
        &self,
        target: &str,
        abilities: Abilities,
    ) -> Result<Box<dyn Resolver>, ResolveError> {
        let target: MeshTarget = target
            .parse()
            .map_err(|error| ResolveError::new(format!("`{target}`: {error}")))?;
        let rules = Rules::default().encrypted(abilities.encrypted);
        let rules = rules.plaintext(self.0.plaintext);
        let following = self.follow(target.service());
        Ok(Box::new(MeshResolver::new(target, rules, following)))
    }
}

impl MeshBuilder {
    /// Begins with an environment.
    pub const fn of(environment: Environment) -> Self {
        Self {
            environment,
            socket: None,
            locality: None,
            plaintext: false,
            program: None,
        }
    }

    /// Sets the socket of the agent, in place of where one is looked for.
    ///
    /// A file that the environment names takes the agent's place all the same, unless this is said.
    #[must_use]
    pub fn socket(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.socket = Some(AgentSocket::told(path));
        self
    }

    /// Sets where this process is, in place of where the agent is.
    #[must_use]
    pub fn locality(mut self, region: &str, zone: &str) -> Self {
        self.locality = Some(Locality::new(region, zone));
        self
    }

    /// Lets calls travel to other hosts in plaintext where nothing else is offered, of which is
    /// warned once for each channel; only what instances permit by themselves by default.
    #[must_use]
    pub const fn permit_plaintext(mut self) -> Self {
        self.plaintext = true;
        self
    }

    /// Sets what the program is called, in place of the name of its file; for people.
    #[must_use]
    pub fn program(mut self, name: &str) -> Self {
        self.program = Some(name.to_owned());
        self
    }

    /// The mesh; nothing is dialled or read before it is used.
    ///
    /// `dial` makes a channel to the socket of an agent, whose process runs as one of the users; see
    /// [`Dial`].
    ///
    /// # Errors
    /// When what the environment says is wrong.
    pub fn build(
        self,
        dial: impl Fn(&str, &[u32]) -> Result<dreammesh_core::channel::Channel, String>
        + Send
        + Sync
        + 'static,
    ) -> Result<Mesh, MeshError> {
        let from = match (self.socket, &self.environment.services) {
            (Some(socket), _) => From::Agents(vec![socket]),
            #[cfg(feature = "yaml")]
            (None, Some(path)) => From::File(path.clone()),
            #[cfg(not(feature = "yaml"))]
            (None, Some(_)) => return Err(MeshError::NoYaml),
            (None, None) => From::Agents(self.environment.sockets().map_err(MeshError::Place)?),
        };
        Ok(Mesh(Arc::new(Shared {
            from,
            locality: self.locality,
            plaintext: self.plaintext,
            program: self.program.unwrap_or_else(program),
            environment: self.environment,
            dial: SharedDial(Arc::new(dial)),
            directory: OnceLock::new(),
        })))
    }
}

impl fmt::Debug for SharedDial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedDial")
    }
}

/// The name of the file that this process runs.
fn program() -> String {
    let path = std::env::current_exe().ok();
    let name = path.as_deref().and_then(std::path::Path::file_name);
    name.map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// A service that is followed, wherever that is known.
#[derive(Debug)]
pub(crate) enum Following {
    Agent(attachment::Following),
    #[cfg(feature = "yaml")]
    File(crate::watched_file::Following),
}

impl Following {
    pub(crate) fn views(&self) -> watch::Receiver<View> {
        match self {
            Self::Agent(following) => following.views(),
            #[cfg(feature = "yaml")]
            Self::File(following) => following.views(),
        }
    }

    pub(crate) fn knowledge(&self) -> Arc<Knowledge> {
        match self {
            Self::Agent(following) => following.knowledge(),
            #[cfg(feature = "yaml")]
            Self::File(following) => following.knowledge(),
        }
    }

    pub(crate) fn handle_load(&self, id: &str, load: &Arc<Load>) {
        match self {
            Self::Agent(following) => following.handle_load(id, load),
            // A file is told nothing.
            #[cfg(feature = "yaml")]
            Self::File(_) => {}
        }
    }
}

/// Why there is no mesh.
#[derive(Debug)]
#[non_exhaustive]
pub enum MeshError {
    /// The environment names no place where an agent can be.
    Place(PlaceError),
    /// The environment names a file of services, and this program was built without YAML.
    NoYaml,
}

impl fmt::Display for MeshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(error) => error.fmt(f),
            Self::NoYaml => f.write_str(
                "DREAMMESH_SERVICES names a file, and this program was built without the feature \
                 `yaml`",
            ),
        }
    }
}

impl std::error::Error for MeshError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Place(error) => Some(error),
            Self::NoYaml => None,
        }
    }
}

/// What this library is, for people who look at an agent.
const LIBRARY: &str = concat!("dreammesh ", env!("CARGO_PKG_VERSION"));
