//! The choice of lanes, against a server that allows as many as ours do and one that allows fewer.

use std::net::{Ipv4Addr, SocketAddr};

use dreammesh_core::call::Endpoint;

use super::*;
use crate::Server;
use crate::quic::dial::{Offer, Target, dial};
use crate::tls::test_certificates::Authority;
use crate::tls::{Certificate, ClientTls, Roots, ServerTls};

/// A server that serves nothing, and its lanes.
pub(in crate::connect) async fn lanes() -> (Lanes, tokio::task::JoinHandle<()>) {
    let authority = Authority::new("root");
    let made = authority.issue(&["127.0.0.1"]);
    let certificate = Certificate::from_pem(made.chain, made.key).unwrap();
    let server = Server::builder().tls(ServerTls::new(certificate));
    let server = server.bind("dreammesh+quic://127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let serving = tokio::spawn(server.serve());
    let tls = ClientTls::new(Roots::from_pem(authority.pem()).unwrap());
    (connect(address, tls).await, serving)
}

async fn connect(address: SocketAddr, tls: ClientTls) -> Lanes {
    let host = Ipv4Addr::LOCALHOST.to_string();
    let target = Target::new(host, address.port(), tls, None, None);
    let offer: Offer = Arc::new(|_| false);
    let connected = dial(&target, &offer).await.unwrap();
    // Its place is lane 0's, which is not used here.
    let first = connected.first_lane().await.unwrap();
    std::mem::forget(first);
    let peer = Peer::new(Endpoint::new("there"));
    let counts = Arc::new(ConnectionCounts::new(peer.endpoint().clone(), &["quic"]));
    let settings = Settings::default();
    Lanes::new(connected, peer, &settings, VerdictCache::new(), &counts)
}

const BULK_LANES: usize = quic::LANES_MAX as usize - 1;

fn is_one_of(lanes: &[Arc<Client>], lane: &Arc<Client>) -> bool {
    lanes.iter().any(|known| Arc::ptr_eq(known, lane))
}

#[tokio::test]
async fn each_call_has_a_lane_of_its_own_until_there_are_no_more() {
    let (lanes, serving) = lanes().await;
    let mut taken = Vec::new();
    for _ in 0..BULK_LANES {
        let lane = lanes.choose().unwrap();
        assert!(!is_one_of(&taken, &lane));
        taken.push(lane);
    }
    // One more shares a lane, and the next takes another, which is used less.
    let shared = lanes.choose().unwrap();
    assert!(is_one_of(&taken, &shared));
    let other = lanes.choose().unwrap();
    assert!(is_one_of(&taken, &other) && !Arc::ptr_eq(&shared, &other));
    drop((shared, other));
    // A lane that nobody uses any more is the one to take.
    let free = Arc::as_ptr(&taken.swap_remove(4));
    assert_eq!(Arc::as_ptr(&lanes.choose().unwrap()), free);
    serving.abort();
}

#[tokio::test]
async fn a_lane_that_is_over_makes_room_for_another() {
    let (lanes, serving) = lanes().await;
    let lane = lanes.choose().unwrap();
    lane.0.drain();
    let next = lanes.choose().unwrap();
    assert!(!Arc::ptr_eq(&lane, &next));
    assert_eq!(lanes.0.lock().bulk.len(), 1);
    serving.abort();
}

#[tokio::test]
async fn idle_lanes_are_closed_at_the_second_look() {
    let (lanes, serving) = lanes().await;
    let (used, idle) = (lanes.choose().unwrap(), lanes.choose().unwrap());
    drop(idle);
    let look = || {
        let over: Vec<_> = {
            let mut state = lanes.0.lock();
            state.bulk.extract_if(.., Bulk::is_over).collect()
        };
        over.len()
    };
    assert_eq!((look(), look(), look()), (0, 1, 0));
    drop(used);
    assert_eq!(look(), 0);
    // A call between two looks makes it count as used.
    drop(lanes.choose().unwrap());
    assert_eq!((look(), look()), (0, 1));
    serving.abort();
}

#[tokio::test]
async fn lanes_that_take_no_more_calls_are_known_until_their_last_call() {
    let (lanes, serving) = lanes().await;
    let connected = lanes.0.connection.clone();
    let lane = lanes.choose().unwrap();
    // As when the connection is succeeded or taken out of its place.
    drop(lanes);
    let [known] = connected.bulk_sessions().try_into().unwrap();
    assert!(std::ptr::eq(known.as_ptr(), Arc::as_ptr(&lane.0)));
    serving.abort();
}

#[tokio::test]
async fn lanes_that_are_over_are_forgotten() {
    let (lanes, serving) = lanes().await;
    for _ in 0..3 {
        let lane = lanes.choose().unwrap();
        let session = Arc::downgrade(&lane.0);
        lane.0.drain();
        drop(lane);
        drop(lanes.0.lock().bulk.drain(..).collect::<Vec<_>>());
        while session.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
    let _lane = lanes.choose().unwrap();
    assert_eq!(lanes.0.connection.bulk_sessions().len(), 1);
    serving.abort();
}
