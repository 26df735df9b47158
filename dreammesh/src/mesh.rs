//! The mesh, put together: the transport's channels and servers, and what knows of the agent.

use std::path::PathBuf;

pub use dreammesh_agent_api::member::Member;
pub use dreammesh_agent_api::mesh::MeshError;
use dreammesh_agent_api::{mesh, place};
use dreammesh_core::announce::{AnnounceError, Announcement, Announcer, Served};
use dreammesh_core::channel::Channel;
use dreammesh_core::resolve::{Abilities, ResolveError, Resolver, Resolvers};
use dreammesh_transport::tls::ClientTls;
use dreammesh_transport::{ConnectError, Connector, ServerBuilder};

/// An attachment to the mesh, shared by as many channels and servers as like; a clone shares it too.
///
/// Channels and servers that are not given one make one for themselves.
///
/// ```no_run
/// use dreammesh::{Announce, Mesh, Server};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let mesh = Mesh::attach()?;
/// let cart = mesh.connect("mesh://cart").await?;
/// let server = Server::builder().mesh(mesh.member("catalog")).bind("0.0.0.0:7443").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Mesh {
    mesh: mesh::Mesh,
    tls: Option<ClientTls>,
}

impl Mesh {
    /// The mesh of this host, as the environment says where that is. The agent is dialled when the
    /// mesh is first used, and whenever it was gone.
    ///
    /// # Errors
    /// When a variable of the environment is wrong.
    pub fn attach() -> Result<Self, MeshError> {
        Self::builder().attach()
    }

    /// Begins with what the environment says.
    pub fn builder() -> MeshBuilder {
        MeshBuilder {
            builder: mesh::MeshBuilder::of(place::Environment::read()),
            tls: None,
        }
    }

    /// Connects to a target of the mesh, and waits until one of its endpoints has answered.
    ///
    /// # Errors
    /// When this is no target, there is no endpoint, or none of a few can be reached.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect(&self, target: &str) -> Result<Channel, ConnectError> {
        self.connector().connect(target).await
    }

    /// As [`connect`](Self::connect), but dials only when the first call needs it.
    ///
    /// # Errors
    /// When this is no target.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect_lazy(&self, target: &str) -> Result<Channel, ConnectError> {
        self.connector().connect_lazy(target)
    }

    /// A connector of this mesh, for settings of one's own.
    pub fn connector(&self) -> Connector {
        let connector = Connector::new().mesh(self);
        match &self.tls {
            Some(tls) => connector.tls(tls.clone()),
            None => connector,
        }
    }

    /// What is told of a server of a service, `name` or `name.namespace`; see [`Announce::mesh`].
    pub fn member(&self, service: &str) -> Member {
        self.mesh.member(service)
    }

    /// Whether there is an agent now.
    pub fn is_attached(&self) -> bool {
        self.mesh.is_attached()
    }
}

impl Resolvers for Mesh {
    fn resolver(&self, target: &str, can: Abilities) -> Result<Box<dyn Resolver>, ResolveError> {
        self.mesh.resolver(target, can)
    }
}

/// How a [`Mesh`] is found, and what its channels may do.
#[derive(Debug)]
pub struct MeshBuilder {
    builder: mesh::MeshBuilder,
    tls: Option<ClientTls>,
}

impl MeshBuilder {
    /// Sets the socket of the agent, in place of what the environment says.
    #[must_use]
    pub fn socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.builder = self.builder.socket(path);
        self
    }

    /// Sets where this process is, in place of where its agent is: calls stay near.
    #[must_use]
    pub fn locality(mut self, region: &str, zone: &str) -> Self {
        self.builder = self.builder.locality(region, zone);
        self
    }

    /// Lets calls travel to other hosts in plaintext where nothing else is offered, of which each
    /// channel warns once; only to instances that permit it themselves by default.
    #[must_use]
    pub fn permit_plaintext(mut self) -> Self {
        self.builder = self.builder.permit_plaintext();
        self
    }

    /// Sets what this program is called, for people who look at the agent.
    #[must_use]
    pub fn program(mut self, name: &str) -> Self {
        self.builder = self.builder.program(name);
        self
    }

    /// Sets whom to believe and what to present where instances are encrypted.
    #[must_use]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The mesh; nothing is dialled or read before it is used.
    ///
    /// # Errors
    /// When a variable of the environment is wrong.
    pub fn attach(self) -> Result<Mesh, MeshError> {
        let dial = |target: &str, users: &[u32]| {
            let connector = Connector::new().unix_users(users.iter().copied());
            let channel = connector.connect_lazy(target);
            channel.map_err(|error| error.to_string())
        };
        Ok(Mesh {
            mesh: self.builder.build(dial)?,
            tls: self.tls,
        })
    }
}

/// Connects a [`Channel`] with the settings that suit most programs.
///
/// ```no_run
/// use dreammesh::{Channel, Connect};
///
/// # async fn run() -> Result<(), dreammesh::ConnectError> {
/// let channel = Channel::connect("mesh://catalog").await?;
/// # Ok(())
/// # }
/// ```
pub trait Connect: Sized {
    /// Connects to a target, such as `mesh://service` or `dreammesh+tcp://host:port`, and waits for
    /// the link.
    ///
    /// Afterwards the channel dials again by itself whenever a link is lost. Dropping the future
    /// stops the attempt.
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
        Connector::new().mesh(&Own).connect(target).await
    }

    fn connect_lazy(target: &str) -> Result<Self, ConnectError> {
        Connector::new().mesh(&Own).connect_lazy(target)
    }
}

/// Gives each channel a mesh of its own.
#[derive(Clone, Copy, Debug)]
struct Own;

impl Resolvers for Own {
    fn resolver(&self, target: &str, can: Abilities) -> Result<Box<dyn Resolver>, ResolveError> {
        let mesh = Mesh::attach().map_err(|error| ResolveError::new(error.to_string()))?;
        mesh.resolver(target, can)
    }
}

/// Has a server be in the mesh.
pub trait Announce: Sized {
    /// Registers the server with the agent of its host as long as it serves: `"catalog"`, or a
    /// [`Member`] of a [`Mesh`] of one's own, with more to say.
    ///
    /// ```no_run
    /// use dreammesh::{Announce, Server};
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Server::builder().mesh("catalog").bind("0.0.0.0:7443").await?;
    /// server.serve().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What is wrong with it makes binding fail.
    #[must_use]
    fn mesh(self, member: impl IntoMember) -> Self;
}

impl Announce for ServerBuilder {
    fn mesh(self, member: impl IntoMember) -> Self {
        match member.into_member() {
            Ok(member) => self.announce(member),
            Err(error) => self.announce(Wrong(AnnounceError::new(error.to_string()))),
        }
    }
}

/// What can be a member of a mesh.
pub trait IntoMember {
    /// The member.
    ///
    /// # Errors
    /// When there is no mesh.
    fn into_member(self) -> Result<Member, MeshError>;
}

impl IntoMember for Member {
    fn into_member(self) -> Result<Member, MeshError> {
        Ok(self)
    }
}

impl IntoMember for &str {
    fn into_member(self) -> Result<Member, MeshError> {
        Ok(Mesh::attach()?.member(self))
    }
}

/// Tells of nothing but what is wrong.
#[derive(Debug)]
struct Wrong(AnnounceError);

impl Announcer for Wrong {
    fn check(&self) -> Result<(), AnnounceError> {
        Err(self.0.clone())
    }

    fn announce(self: Box<Self>, _: Served) -> Box<dyn Announcement> {
        unreachable!("a server whose announcer finds something wrong is not bound")
    }
}
