//! One listening place, whatever its medium.

use std::io;

use tokio::net::TcpListener;

use super::address::Address;
use super::memory::MemoryHub;
use super::tcp::TcpOptions;
use super::{BoxLink, memory, tcp, unix};

/// A bound address from which links are accepted.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener, TcpOptions),
    Unix(unix::Listener),
    Memory(memory::Listener),
}

impl Listener {
    pub(crate) async fn bind(
        address: &Address,
        hub: &MemoryHub,
        options: &TcpOptions,
    ) -> io::Result<Self> {
        match address {
            Address::Tcp { host, port } => Ok(Self::Tcp(
                tcp::bind(host, *port, options).await?,
                options.clone(),
            )),
            Address::Unix(path) => unix::bind(path).await.map(Self::Unix),
            Address::Memory(name) => hub.bind(name).map(Self::Memory),
        }
    }

    /// Waits for the next link. Dropping the future loses none.
    pub(crate) async fn accept(&self) -> io::Result<BoxLink> {
        match self {
            Self::Tcp(listener, options) => {
                let (stream, _) = listener.accept().await?;
                tcp::adopt(stream, options)
            }
            Self::Unix(listener) => listener.accept().await,
            Self::Memory(listener) => listener.accept().await,
        }
    }

    /// The address as clients may dial it, with the port that the kernel chose.
    pub(crate) fn address(&self) -> Address {
        match self {
            Self::Tcp(listener, _) => match listener.local_addr() {
                Ok(address) => Address::Tcp {
                    host: address.ip().to_string(),
                    port: address.port(),
                },
                Err(_) => Address::Tcp {
                    host: "0.0.0.0".to_owned(),
                    port: 0,
                },
            },
            Self::Unix(listener) => Address::Unix(listener.path().to_owned()),
            Self::Memory(listener) => Address::Memory(listener.name().to_owned()),
        }
    }

    /// The bound socket address, unless the medium has none.
    pub(crate) fn local_addr(&self) -> Option<std::net::SocketAddr> {
        match self {
            Self::Tcp(listener, _) => listener.local_addr().ok(),
            Self::Unix(_) | Self::Memory(_) => None,
        }
    }

    /// Says whether bytes may cross a network unencrypted.
    pub(crate) fn is_plaintext(&self) -> bool {
        match self {
            Self::Tcp(listener, _) => !listener
                .local_addr()
                .is_ok_and(|address| address.ip().is_loopback()),
            Self::Unix(_) | Self::Memory(_) => false,
        }
    }
}

/// Dials an address.
pub(crate) async fn dial(
    address: &Address,
    hub: &MemoryHub,
    options: &TcpOptions,
) -> io::Result<BoxLink> {
    match address {
        Address::Tcp { host, port } => tcp::dial(host, *port, options).await,
        Address::Unix(path) => unix::dial(path).await,
        Address::Memory(name) => hub.dial(name),
    }
}
