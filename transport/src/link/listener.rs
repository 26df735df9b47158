//! One listening place, whatever its medium.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Interval;

use super::address::Address;
use super::memory::MemoryHub;
use super::tcp::TcpOptions;
use super::{BoxLink, memory, succession, tcp, tunnel, unix};
use crate::quic::handshake::Handshake;
use crate::quic::listen as quic;

/// A bound address from which links are accepted.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener, TcpOptions),
    /// TCP, for TLS inside of it.
    Tls(TcpListener, TcpOptions),
    Quic(quic::Listener),
    Unix(unix::Listener),
    Memory(memory::Listener),
}

/// What came to a bound address.
#[derive(Debug)]
pub(crate) enum Accepted {
    Link(BoxLink),
    Quic(Handshake),
}

impl Listener {
    /// Binds an address, which takes two listeners where it is served over TCP and UDP; and gives
    /// the address as clients may dial it, with the port that the kernel chose.
    pub(crate) async fn bind_all(
        address: &Address,
        hub: &MemoryHub,
        options: &TcpOptions,
        quic: Option<&quic::Options>,
    ) -> io::Result<(Address, Vec<Self>)> {
        let Address::Secure { host, port } = address else {
            let one = Self::bind(address, hub, options, quic).await?;
            return Ok((one.address(), vec![one]));
        };
        let quic = quic.ok_or_else(no_certificate)?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let over_tcp = tcp::bind(host, *port, options).await?;
            let chosen = over_tcp.local_addr()?;
            match quic::Listener::bind(chosen, quic) {
                Ok(over_udp) => {
                    let address = Address::Secure {
                        host: chosen.ip().to_string(),
                        port: chosen.port(),
                    };
                    let over_tcp = Self::Tls(over_tcp, options.clone());
                    return Ok((address, vec![over_tcp, Self::Quic(over_udp)]));
                }
                // A port that the kernel chose for TCP may be in use for UDP.
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse
                        && *port == 0
                        && attempts < PORT_ATTEMPTS_MAX => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn bind(
        address: &Address,
        hub: &MemoryHub,
        options: &TcpOptions,
        quic: Option<&quic::Options>,
    ) -> io::Result<Self> {
        match address {
            Address::Quic { host, port } => {
                let quic = quic.ok_or_else(no_certificate)?;
                tcp::first_of(host, *port, |address| quic::Listener::bind(address, quic))
                    .await
                    .map(Self::Quic)
            }
            Address::Tcp { host, port } => Ok(Self::Tcp(
                tcp::bind(host, *port, options).await?,
                options.clone(),
            )),
            Address::Tls { host, port }
            | Address::H2 { host, port }
            | Address::Grpcs { host, port } => Ok(Self::Tls(
                tcp::bind(host, *port, options).await?,
                options.clone(),
            )),
            // The port tells by the first bytes what a connection speaks.
            Address::H2c { host, port } | Address::Grpc { host, port } => Ok(Self::Tcp(
                tcp::bind(host, *port, options).await?,
                options.clone(),
            )),
            Address::Secure { .. } => {
                let text = "one listener serves one medium";
                Err(io::Error::new(io::ErrorKind::InvalidInput, text))
            }
            Address::Unix(path) | Address::GrpcUnix(path) => {
                unix::bind(path, options.take_over).await.map(Self::Unix)
            }
            Address::Memory(name) | Address::GrpcMemory(name) => hub.bind(name).map(Self::Memory),
        }
    }

    /// Waits for the next link. Dropping the future loses none.
    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        let link = match self {
            Self::Tcp(listener, options) | Self::Tls(listener, options) => {
                let (stream, _) = listener.accept().await?;
                tcp::adopt(&stream, options)?;
                Ok(Box::new(stream) as BoxLink)
            }
            Self::Unix(listener) => listener.accept().await,
            Self::Memory(listener) => listener.accept().await,
            Self::Quic(listener) => return listener.accept().await.map(Accepted::Quic),
        };
        link.map(Accepted::Link)
    }

    /// Leaves new connections to a successor, if there is one, and gives for how long some may
    /// still come here: those that are under way.
    pub(crate) async fn hand_over(&self) -> Duration {
        let is_succeeded = match self {
            Self::Tcp(listener, _) | Self::Tls(listener, _) => {
                let address = listener.local_addr();
                let is_succeeded =
                    address.is_ok_and(|it| succession::is_succeeded(it, succession::Protocol::Tcp));
                if is_succeeded {
                    succession::give_way(listener);
                }
                is_succeeded
            }
            Self::Quic(listener) => listener.hand_over().await,
            Self::Unix(listener) => listener.is_succeeded(),
            Self::Memory(_) => false,
        };
        match is_succeeded {
            true => HANDSHAKE_PERIOD,
            false => Duration::ZERO,
        }
    }

    /// Waits for the next of those who come while the server drains, and a place for it. Dropping
    /// the future loses none.
    pub(crate) async fn accept_last(
        &self,
        room: &Arc<Semaphore>,
        looks: &mut Interval,
    ) -> (Accepted, OwnedSemaphorePermit) {
        if let Self::Quic(listener) = self {
            // It has to turn others away, and to hand over, when there is no place, too.
            let (handshake, place) = listener.accept_last(room, looks).await;
            return (Accepted::Quic(handshake), place);
        }
        let Ok(place) = Arc::clone(room).acquire_owned().await else {
            return std::future::pending().await;
        };
        loop {
            match self.accept().await {
                Ok(accepted) => return (accepted, place),
                Err(error) => {
                    tracing::debug!(%error, "a last connection cannot be accepted");
                    // It may be the lack of descriptors, which does not go away by itself.
                    tokio::time::sleep(FAILURE_PERIOD).await;
                }
            }
        }
    }

    /// Whether its connections share its socket, so that it has to stay as long as they.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self, Self::Quic(_))
    }

    /// Frees the address, once the last connection is over.
    pub(crate) async fn released(self) {
        if let Self::Quic(listener) = self {
            listener.released().await;
        }
    }

    /// The address as clients may dial it, with the port that the kernel chose.
    pub(crate) fn address(&self) -> Address {
        match self {
            Self::Tcp(listener, _) => {
                let (host, port) = host_and_port(listener);
                Address::Tcp { host, port }
            }
            Self::Tls(listener, _) => {
                let (host, port) = host_and_port(listener);
                Address::Tls { host, port }
            }
            Self::Quic(listener) => Address::Quic {
                host: listener.local_addr().ip().to_string(),
                port: listener.local_addr().port(),
            },
            Self::Unix(listener) => Address::Unix(listener.path().to_owned()),
            Self::Memory(listener) => Address::Memory(listener.name().to_owned()),
        }
    }

    /// The bound socket address, unless the medium has none.
    pub(crate) fn local_addr(&self) -> Option<std::net::SocketAddr> {
        match self {
            Self::Tcp(listener, _) | Self::Tls(listener, _) => listener.local_addr().ok(),
            Self::Quic(listener) => Some(listener.local_addr()),
            Self::Unix(_) | Self::Memory(_) => None,
        }
    }

    /// Says whether bytes may cross a network unencrypted.
    pub(crate) fn is_plaintext(&self) -> bool {
        match self {
            Self::Tcp(listener, _) => !listener
                .local_addr()
                .is_ok_and(|address| address.ip().is_loopback()),
            Self::Tls(..) | Self::Quic(_) | Self::Unix(_) | Self::Memory(_) => false,
        }
    }

    /// Says whether it is meant for what is encrypted.
    pub(crate) fn is_secure(&self) -> bool {
        matches!(self, Self::Tls(..) | Self::Quic(_))
    }
}

fn no_certificate() -> io::Error {
    let text = "QUIC needs a certificate (`ServerBuilder::tls`)";
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// How long a connection that is being made may take to arrive: the round trip of most clients.
const HANDSHAKE_PERIOD: Duration = Duration::from_secs(1);

/// A descriptor is often freed within milliseconds when many short connections end.
const FAILURE_PERIOD: Duration = Duration::from_millis(10);

/// How often another port is asked for that is free for both TCP and UDP.
const PORT_ATTEMPTS_MAX: u32 = 16;

fn host_and_port(listener: &TcpListener) -> (String, u16) {
    match listener.local_addr() {
        Ok(address) => (address.ip().to_string(), address.port()),
        Err(_) => ("0.0.0.0".to_owned(), 0),
    }
}

/// Dials an address.
pub(crate) async fn dial(
    address: &Address,
    hub: &MemoryHub,
    options: &TcpOptions,
    users: Option<&[u32]>,
) -> io::Result<BoxLink> {
    match address {
        Address::Tcp { host, port } => tcp::dial(host, *port, options).await,
        Address::H2c { host, port } => {
            let link = tcp::dial(host, *port, options).await?;
            let to = tunnel::To {
                host,
                port: *port,
                scheme: "http",
            };
            tunnel::open(link, &to).await
        }
        Address::Unix(path) => unix::dial(path, users).await,
        Address::Memory(name) => hub.dial(name),
        Address::Quic { .. }
        | Address::Tls { .. }
        | Address::H2 { .. }
        | Address::Grpc { .. }
        | Address::Grpcs { .. }
        | Address::GrpcUnix(_)
        | Address::GrpcMemory(_)
        | Address::Secure { .. } => Err(io::ErrorKind::Unsupported.into()),
    }
}
