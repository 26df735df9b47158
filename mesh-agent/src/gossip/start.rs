//! Gossip as an agent was told to take part in it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use super::secret::{SecretError, Secrets};
use super::transport::{Guarded, ListenError};
use crate::config::Gossip;
use crate::source::gossip::{GossipSource, Membership};

/// The port of gossip if nothing is said of it.
pub const PORT: u16 = 7_946;
/// What a cluster is called if nothing is said of it.
pub const CLUSTER: &str = "dreammesh";

/// Binds the socket of gossip and reads the secret; the source that is given needs only to run.
///
/// # Errors
/// When the secret cannot be used, the address cannot be bound or needs a secret, or nobody knows
/// where others reach this agent.
pub async fn start(config: &Gossip) -> Result<GossipSource, GossipError> {
    let secrets = config.secret_file.as_deref().map(Secrets::read);
    let secrets = secrets.transpose().map_err(GossipError::Secret)?;
    let everywhere = match secrets {
        Some(_) => Ipv4Addr::UNSPECIFIED,
        None => Ipv4Addr::LOCALHOST,
    };
    let listen = config.listen.unwrap_or_else(|| (everywhere, PORT).into());
    let cluster = config.cluster.as_deref().unwrap_or(CLUSTER);
    if cluster.is_empty() || cluster.len() > CLUSTER_BYTES_MAX {
        return Err(GossipError::Cluster);
    }
    let guarded = Guarded::new(cluster, secrets);
    let bound = guarded.bind(listen).await.map_err(GossipError::Listen)?;
    let address = match config.advertise {
        Some(address) => address,
        None if !bound.ip().is_unspecified() => bound,
        None => {
            let own = own_address(&config.seeds);
            SocketAddr::new(own.ok_or(GossipError::NoAddress(bound))?, bound.port())
        }
    };
    let heard = guarded.heard();
    let membership = Membership::new(address, cluster, config.seeds.clone());
    tracing::info!(%address, listen = %bound, cluster, "gossips");
    Ok(GossipSource::new(membership, Box::new(guarded), heard))
}

/// The address from which this host would send to a seed, or to anywhere; nothing is sent.
fn own_address(seeds: &[String]) -> Option<IpAddr> {
    // An address for examples (RFC 5737): the way there is the way to everywhere.
    let anywhere = SocketAddr::from(([192, 0, 2, 1], 9));
    let seeds = seeds.iter().filter_map(|seed| seed.parse().ok());
    seeds.chain([anywhere]).find_map(|to: SocketAddr| {
        let from: IpAddr = match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((from, 0)).ok()?;
        socket.connect(to).ok()?;
        let own = socket.local_addr().ok()?.ip();
        (!own.is_unspecified()).then_some(own)
    })
}

/// Why gossip cannot start.
#[derive(Debug)]
#[non_exhaustive]
pub enum GossipError {
    /// The secret cannot be used.
    Secret(SecretError),
    /// The address cannot be listened at.
    Listen(ListenError),
    /// It is not known where others reach this agent.
    NoAddress(SocketAddr),
    /// The cluster's name is empty or too long.
    Cluster,
}

impl fmt::Display for GossipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(error) => error.fmt(f),
            Self::Listen(error) => error.fmt(f),
            Self::NoAddress(bound) => write!(
                f,
                "gossip listens at {bound}, which says nothing of where others reach it; say that"
            ),
            Self::Cluster => write!(
                f,
                "the name of the cluster is 1 to {CLUSTER_BYTES_MAX} bytes"
            ),
        }
    }
}

impl std::error::Error for GossipError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Secret(error) => Some(error),
            Self::Listen(error) => Some(error),
            _ => None,
        }
    }
}

/// It is in every message that begins an exchange.
const CLUSTER_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn gossip(listen: Option<&str>) -> Gossip {
        Gossip {
            listen: listen.map(|it| it.parse().unwrap()),
            ..Gossip::default()
        }
    }

    #[tokio::test]
    async fn what_it_was_told_wrongly_is_said() {
        let error = start(&gossip(Some("0.0.0.0:0"))).await.unwrap_err();
        assert!(
            matches!(error, GossipError::Listen(ListenError::NoSecret(_))),
            "{error}"
        );
        let error = start(&gossip(Some("192.0.2.1:0"))).await.unwrap_err();
        assert!(
            matches!(error, GossipError::Listen(ListenError::NoSecret(_))),
            "{error}"
        );
        for (length, fits) in [(0, false), (1, true), (255, true), (256, false)] {
            let mut config = gossip(Some("127.0.0.1:0"));
            config.cluster = Some("c".repeat(length));
            assert_eq!(start(&config).await.is_ok(), fits, "{length} bytes");
        }
        let mut config = gossip(Some("127.0.0.1:0"));
        config.secret_file = Some("/nowhere/at/all".into());
        let error = start(&config).await.unwrap_err();
        assert!(matches!(error, GossipError::Secret(_)), "{error}");
    }

    #[tokio::test]
    async fn a_taken_port_is_said() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let taken = taken.local_addr().unwrap().to_string();
        let error = start(&gossip(Some(&taken))).await.unwrap_err();
        assert!(error.to_string().contains(&taken), "{error}");
    }

    #[test]
    fn the_own_address_is_the_one_that_a_seed_sees() {
        let seeds = ["host.example:1".to_owned(), "127.0.0.2:1".to_owned()];
        assert!(own_address(&seeds).is_some_and(|own| own.is_loopback()));
    }
}
