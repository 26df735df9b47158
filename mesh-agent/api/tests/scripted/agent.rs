//! The agent: each stream is in the hands of the test.

use std::future::poll_fn;
use std::path::{Path, PathBuf};

use dreammesh_agent_api::mesh::{Mesh, MeshBuilder};
use dreammesh_agent_api::place::Environment;
use dreammesh_agent_api::proto::{self, Agent, AgentServer, from_agent, from_application};
use dreammesh_core::call::{Receiver, Request, Response, Sender, Status};
use dreammesh_core::resolve::{Abilities, ResolvedEndpoint, Resolver, Resolvers};
use dreammesh_transport::{Connector, MemoryHub, Server};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub(crate) use from_agent::Said;
pub(crate) use from_application::Said as To;

/// A host: what is at its agent's socket, and a directory for what is left there.
pub(crate) struct Host {
    hub: MemoryHub,
    pub(crate) directory: PathBuf,
}

impl Host {
    pub(crate) fn new(test: &str) -> Self {
        let name = format!("dreammesh-scripted-{}-{test}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        socket(&directory.join("agent.sock"));
        Self {
            hub: MemoryHub::new(),
            directory,
        }
    }

    pub(crate) fn environment(&self) -> Environment {
        let mut environment = Environment::read();
        let socket = self.directory.join("agent.sock");
        environment.agent = Some(format!("unix://{}", socket.display()));
        environment.services = None;
        environment.advertise = None;
        environment
    }

    pub(crate) fn mesh(&self) -> Mesh {
        self.mesh_of(MeshBuilder::of(self.environment()))
    }

    pub(crate) fn mesh_of(&self, builder: MeshBuilder) -> Mesh {
        let hub = self.hub.clone();
        let dial = move |_: &str, _: &[u32]| {
            let channel = Connector::new().memory(&hub).connect_lazy("memory://agent");
            channel.map_err(|error| error.to_string())
        };
        builder.build(dial).unwrap()
    }

    /// Starts an agent.
    pub(crate) async fn agent(&self) -> Scripted {
        let (streams, opened) = mpsc::unbounded_channel();
        let server = Server::builder().service(AgentServer::new(Playing {
            streams,
            refuses: None,
        }));
        let server = server
            .memory(&self.hub)
            .bind("memory://agent")
            .await
            .unwrap();
        let serving = tokio::spawn(async {
            server.serve().await;
        });
        Scripted { serving, opened }
    }

    /// Starts one that ends each stream for that reason.
    pub(crate) async fn refusing(&self, reason: &str) -> Scripted {
        let (streams, opened) = mpsc::unbounded_channel();
        let refuses = Some(Status::failed_precondition(reason.to_owned()));
        let server = Server::builder().service(AgentServer::new(Playing { streams, refuses }));
        let server = server
            .memory(&self.hub)
            .bind("memory://agent")
            .await
            .unwrap();
        let serving = tokio::spawn(async {
            server.serve().await;
        });
        Scripted { serving, opened }
    }
}

/// Makes the file of a socket. What is dialled is in memory; only its owner is looked at.
#[cfg(unix)]
fn socket(path: &Path) {
    // The file outlives its listener.
    std::os::unix::net::UnixListener::bind(path).unwrap();
}

#[cfg(not(unix))]
fn socket(path: &Path) {
    std::fs::write(path, "").unwrap();
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// An agent; dropping it is as killing it.
pub(crate) struct Scripted {
    serving: JoinHandle<()>,
    opened: mpsc::UnboundedReceiver<Stream>,
}

impl Scripted {
    /// The next stream that an application opens.
    pub(crate) async fn stream(&mut self) -> Stream {
        self.opened.recv().await.unwrap()
    }

    /// The next stream, after its hello and a welcome.
    pub(crate) async fn welcomed(&mut self, epoch: &str) -> Stream {
        let mut stream = self.stream().await;
        assert!(matches!(stream.hear().await, To::Hello(_)));
        stream.say(Said::Welcome(welcome(epoch)));
        stream
    }

    pub(crate) async fn kill(self) {
        self.serving.abort();
        let _ = self.serving.await;
    }
}

pub(crate) fn welcome(epoch: &str) -> proto::Welcome {
    proto::Welcome {
        version: 1,
        agent: "scripted".into(),
        epoch: epoch.into(),
        host: "here".into(),
        silence_ms: 3_000,
        ..Default::default()
    }
}

/// A stream; dropping it ends it.
pub(crate) struct Stream {
    heard: mpsc::UnboundedReceiver<proto::FromApplication>,
    said: mpsc::UnboundedSender<Said>,
}

impl Stream {
    /// What the application says next, heartbeats and reports aside.
    pub(crate) async fn hear(&mut self) -> To {
        loop {
            match self.heard.recv().await.unwrap().said.unwrap() {
                To::Heartbeat(_) | To::Load(_) => {}
                said => return said,
            }
        }
    }

    /// Waits until the application has ended it; gives what it said until then.
    pub(crate) async fn ended(mut self) -> Vec<To> {
        let mut said = Vec::new();
        while let Some(message) = self.heard.recv().await {
            said.extend(message.said);
        }
        said
    }

    pub(crate) fn say(&self, said: Said) {
        // It may have been ended from the other side.
        let _ = self.said.send(said);
    }

    /// What is watched next, by its key.
    pub(crate) async fn watched(&mut self) -> proto::Watch {
        match self.hear().await {
            To::Watch(watch) => watch,
            said => panic!("{said:?}"),
        }
    }

    /// What is registered next.
    pub(crate) async fn registered(&mut self) -> proto::Register {
        match self.hear().await {
            To::Register(register) => register,
            said => panic!("{said:?}"),
        }
    }
}

struct Playing {
    streams: mpsc::UnboundedSender<Stream>,
    refuses: Option<Status>,
}

impl Agent for Playing {
    async fn attach(
        &self,
        mut requests: Receiver<proto::FromApplication>,
        responses: Sender<proto::FromAgent>,
    ) -> Result<(), Status> {
        if let Some(status) = &self.refuses {
            return Err(status.clone());
        }
        let (hears, heard) = mpsc::unbounded_channel();
        let (said, mut says) = mpsc::unbounded_channel();
        let _ = self.streams.send(Stream { heard, said });
        loop {
            tokio::select! {
                message = requests.next() => match message? {
                    Some(message) => {
                        let _ = hears.send(message.into_owned());
                    }
                    None => return Ok(()),
                },
                said = says.recv() => match said {
                    Some(said) => {
                        let message = proto::FromAgent {
                            said: Some(said),
                            ..Default::default()
                        };
                        responses.send(message).await?;
                    }
                    None => return Ok(()),
                },
            }
        }
    }

    async fn status(
        &self,
        _: Request<proto::StatusRequest>,
    ) -> Result<Response<proto::StatusResponse>, Status> {
        Ok(Response::new(proto::StatusResponse::default()))
    }

    async fn services(
        &self,
        _: Request<proto::ServicesRequest>,
    ) -> Result<Response<proto::ServicesResponse>, Status> {
        Err(Status::unimplemented("it plays a part"))
    }

    async fn instances(
        &self,
        _: Request<proto::InstancesRequest>,
    ) -> Result<Response<proto::InstancesResponse>, Status> {
        Err(Status::unimplemented("it plays a part"))
    }

    async fn why(
        &self,
        _: Request<proto::WhyRequest>,
    ) -> Result<Response<proto::WhyResponse>, Status> {
        Err(Status::unimplemented("it plays a part"))
    }
}

/// A service to be called, which is an agent's own.
pub(crate) fn service() -> AgentServer<impl Agent> {
    let (streams, _) = mpsc::unbounded_channel();
    AgentServer::new(Playing {
        streams,
        refuses: None,
    })
}

pub(crate) fn instance(id: &str, port: u32) -> proto::Instance {
    proto::Instance {
        id: id.into(),
        service: "catalog".into(),
        addresses: vec!["127.0.0.1".into()],
        ports: vec![proto::Port {
            number: port,
            ..Default::default()
        }],
        host: "here".into(),
        ..Default::default()
    }
}

pub(crate) fn update(key: u32, version: u64, complete: bool, ids: &[&str]) -> proto::Update {
    proto::Update {
        key,
        version,
        complete,
        changed: ids.iter().map(|id| instance(id, 7443)).collect(),
        ..Default::default()
    }
}

/// What a channel to `mesh://catalog` would be told.
pub(crate) struct Asking(pub(crate) Box<dyn Resolver>);

impl Asking {
    pub(crate) fn new(mesh: &Mesh) -> Self {
        let resolver = mesh.resolver("mesh://catalog", Abilities::default());
        Self(resolver.unwrap())
    }

    pub(crate) async fn endpoints(&mut self) -> Vec<ResolvedEndpoint> {
        poll_fn(|cx| self.0.poll_endpoints(cx)).await.unwrap()
    }

    pub(crate) async fn ids(&mut self) -> Vec<String> {
        let endpoints = self.endpoints().await;
        endpoints.iter().map(|it| it.id.to_string()).collect()
    }
}
