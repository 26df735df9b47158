//! What QUIC alone can do, and what can be done to it alone.

mod early;
mod hostile;
mod lanes;
mod paths;

use std::net::SocketAddr;

use dreammesh_core::channel::Channel;
use dreammesh_transport::link::Address;

use crate::media::Site;
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
