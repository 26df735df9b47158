//! What carries the bytes, and where a server is reached over it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Transport {
    /// TCP over the loopback interface, with `TCP_NODELAY`.
    Tcp,
    /// A Unix stream socket.
    Unix,
    /// TLS 1.3 over TCP.
    Tls,
    /// HTTP/2 without TLS, where it is not what the system speaks anyway.
    H2,
    /// QUIC over UDP on the loopback interface.
    Quic,
}

impl Transport {
    /// Every transport, in the order in which the report lists them.
    pub const ALL: [Self; 5] = [Self::Tcp, Self::Unix, Self::Tls, Self::H2, Self::Quic];

    /// The name used on the command line and in the report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Unix => "unix",
            Self::Tls => "tls",
            Self::H2 => "h2",
            Self::Quic => "quic",
        }
    }
}

/// Where a server can be reached, as one process tells another; the transport is known besides.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A port of the loopback interface, TCP or UDP as the transport has it.
    Port(SocketAddr),
    /// The path of a Unix socket.
    Path(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(address) => write!(f, "port:{address}"),
            Self::Path(path) => write!(f, "path:{}", path.display()),
        }
    }
}

impl Address {
    /// Reads what [`Display`](fmt::Display) wrote.
    ///
    /// # Errors
    /// When the text is neither an address nor a socket path.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = || Failure::Process(format!("not an address: {text:?}"));
        match text.split_once(':').ok_or_else(wrong)? {
            ("port", address) => address.parse().map(Self::Port).map_err(|_| wrong()),
            ("path", path) => Ok(Self::Path(path.into())),
            _ => Err(wrong()),
        }
    }

    /// The socket path of this process, which no other process uses; removed when it ends.
    #[must_use]
    pub fn own_socket() -> PathBuf {
        std::env::temp_dir().join(format!("dreammesh-compare-{}.sock", std::process::id()))
    }

    /// The address, from a server that was reached over a port.
    ///
    /// # Errors
    /// When it is a socket path.
    pub fn port(&self) -> Result<SocketAddr, Failure> {
        match self {
            Self::Port(address) => Ok(*address),
            Self::Path(path) => Err(Failure::Process(format!("{} is no port", path.display()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_back_as_it_was_written() {
        for address in [
            Address::Port("127.0.0.1:80".parse().unwrap()),
            Address::Path("/tmp/a:b.sock".into()),
        ] {
            assert_eq!(Address::parse(&address.to_string()).unwrap(), address);
        }
        for wrong in ["", "port", "port:1", "udp:127.0.0.1:1"] {
            assert!(Address::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
