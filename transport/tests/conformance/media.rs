//! A server and a channel to it over each medium.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dreammesh_core::channel::Channel;
use dreammesh_transport::{Connector, MemoryHub, Server, ServerBuilder, Stopped};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::certificates;
use crate::echo::{Echo, EchoServer, Probe};
use crate::tcp_relay::{Conduct, TcpRelay};

/// A medium that links are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    Tcp,
    Tls,
    Quic,
    Secure,
    Unix,
    Memory,
    Tunnel,
    TlsTunnel,
    /// Plain gRPC from end to end, in plaintext.
    Grpc,
    Grpcs,
    /// Through a relay that hands on late and in pieces.
    RelayedTcp,
    RelayedTls,
    RelayedTunnel,
}

pub(crate) const ALL: [Medium; 13] = [
    Medium::Tcp,
    Medium::Tls,
    Medium::Quic,
    Medium::Secure,
    Medium::Unix,
    Medium::Memory,
    Medium::Tunnel,
    Medium::TlsTunnel,
    Medium::Grpc,
    Medium::Grpcs,
    Medium::RelayedTcp,
    Medium::RelayedTls,
    Medium::RelayedTunnel,
];

impl Medium {
    fn address(self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        match self {
            Self::Tcp | Self::Tunnel | Self::Grpc | Self::RelayedTcp | Self::RelayedTunnel => {
                "dreammesh+tcp://127.0.0.1:0".to_owned()
            }
            Self::Tls | Self::TlsTunnel | Self::Grpcs | Self::RelayedTls => {
                "dreammesh+tls://127.0.0.1:0".to_owned()
            }
            Self::Quic => "dreammesh+quic://127.0.0.1:0".to_owned(),
            Self::Secure => "dreammesh://127.0.0.1:0".to_owned(),
            Self::Unix => {
                let name = format!("dreammesh-{}-{number}.sock", std::process::id());
                format!("unix://{}", std::env::temp_dir().join(name).display())
            }
            Self::Memory => "memory://test".to_owned(),
        }
    }

    /// Whether calls go as plain gRPC.
    pub(crate) const fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc | Self::Grpcs)
    }

    /// What is in front of a server.
    async fn relay(self, bound: &str) -> Option<TcpRelay> {
        let is_relayed = matches!(
            self,
            Self::RelayedTcp | Self::RelayedTls | Self::RelayedTunnel
        );
        let (_, server) = bound.split_once("://").unwrap();
        match is_relayed {
            true => Some(TcpRelay::new(server.parse().unwrap(), Conduct::ROUGH, 1).await),
            false => None,
        }
    }

    /// How a client names what the server says it was bound to.
    pub(crate) fn target(self, bound: &str) -> String {
        match self {
            Self::Tunnel | Self::RelayedTunnel => bound.replace("dreammesh+tcp", "dreammesh+h2c"),
            Self::TlsTunnel => bound.replace("dreammesh+tls", "dreammesh+h2"),
            Self::Grpc => bound.replace("dreammesh+tcp", "grpc"),
            Self::Grpcs => bound.replace("dreammesh+tls", "grpcs"),
            _ => bound.to_owned(),
        }
    }
}

/// A running server and the means to reach it.
pub(crate) struct Site {
    pub(crate) target: String,
    /// What the server says it was bound to.
    pub(crate) bound: String,
    /// What is between the two, if there is anything.
    pub(crate) relay: Option<TcpRelay>,
    pub(crate) channel: Channel,
    pub(crate) probe: Arc<Probe>,
    pub(crate) hub: MemoryHub,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) serving: JoinHandle<Stopped>,
}

impl Site {
    pub(crate) async fn new(medium: Medium) -> Self {
        Self::with(
            medium,
            Echo::default(),
            |server| server,
            |connector| connector,
        )
        .await
    }

    pub(crate) async fn with(
        medium: Medium,
        echo: Echo,
        server: impl FnOnce(ServerBuilder) -> ServerBuilder,
        connector: impl FnOnce(Connector) -> Connector,
    ) -> Self {
        let hub = MemoryHub::new();
        let probe = Arc::clone(&echo.probe);
        let (bound, stop, serving) = serve(&hub, &medium.address(), echo, server).await;
        let relay = medium.relay(&bound).await;
        let target = medium.target(&match &relay {
            Some(relay) => relay.in_place_of(&bound),
            None => bound.clone(),
        });
        let (_, tls) = certificates::pair();
        let connector = connector(Connector::new().memory(&hub).tls(tls));
        let channel = connector.connect(&target).await.unwrap();
        Self {
            target,
            bound,
            relay,
            channel,
            probe,
            hub,
            stop: Some(stop),
            serving,
        }
    }

    /// What reaches the server.
    pub(crate) fn connector(&self) -> Connector {
        Connector::new()
            .memory(&self.hub)
            .tls(certificates::pair().1)
    }

    /// Asks the server to drain.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }
}

/// Serves an echo on an address; returns its target, and what stops it.
pub(crate) async fn serve(
    hub: &MemoryHub,
    address: &str,
    echo: Echo,
    settings: impl FnOnce(ServerBuilder) -> ServerBuilder,
) -> (String, oneshot::Sender<()>, JoinHandle<Stopped>) {
    let builder = Server::builder()
        .service(EchoServer(Arc::new(echo)))
        .memory(hub);
    let plain = ["dreammesh+tcp:", "dreammesh+h2c:"];
    let builder = match plain.iter().any(|scheme| address.starts_with(scheme)) {
        true => builder,
        false => builder.tls(certificates::pair().0),
    };
    let server = settings(builder).bind(address).await.unwrap();
    let target = server.addresses().next().unwrap().to_string();
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(server.serve_until(stopped));
    (target, stop, serving)
}
