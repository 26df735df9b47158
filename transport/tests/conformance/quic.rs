//! What QUIC alone can do, and what can be done to it alone.

mod early;
mod hostile;
mod lanes;
mod paths;

use std::net::SocketAddr;
use std::time::Duration;

use dreammesh_core::channel::Channel;
use dreammesh_transport::link::Address;

use crate::echo::{ask, call};
use crate::media::{Medium, Site};
use crate::udp_relay::UdpRelay;

/// The socket that a site listens on.
fn address_of(site: &Site) -> SocketAddr {
    match site.target.parse().unwrap() {
        Address::Quic { host, port } => (host.parse::<std::net::IpAddr>().unwrap(), port).into(),
        other => unreachable!("{other} is no QUIC"),
    }
}

/// A relay in front of a site, and a channel through it.
async fn through_relay(site: &Site, seed: u64) -> (UdpRelay, Channel) {
    let relay = UdpRelay::new(address_of(site), seed).await;
    let target = format!("dreammesh+quic://{}", relay.address);
    let channel = site.connector().connect(&target).await.unwrap();
    (relay, channel)
}

/// More than may have a handshake under way or wait for one, from one source.
#[tokio::test]
async fn many_clients_of_one_source_that_come_at_once_are_all_served() {
    let site = Site::new(Medium::Quic).await;
    let connector = site.connector().connect_timeout(Duration::from_secs(60));
    let connecting: Vec<_> = (0..300)
        .map(|_| {
            let (connector, target) = (connector.clone(), site.target.clone());
            tokio::spawn(async move {
                let channel = connector.connect(&target).await.unwrap();
                call(&channel, &ask("echo")).await.unwrap();
            })
        })
        .collect();
    for connecting in connecting {
        connecting.await.unwrap();
    }
}
