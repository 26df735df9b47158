//! Three revisions of one schema, each as client and as server of each other, over a connection.
//!
//! The first call of a connection travels as protobuf while the layouts are compared; every later
//! one must be an archive both ways, and read the same as in protobuf except for what only the
//! archive can say: that an arm is set which this revision does not know.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test are outside of its test functions"
)]

#[path = "evolution/revisions.rs"]
mod revisions;

use dreammesh::{Connector, MemoryHub, Metrics, Server, WireMode};
use dreammesh_golden::evolution::{v1, v2, v3};
use revisions::Revision;

/// How many calls follow the first one of each pair.
const CALLS: u64 = 4;

fn modes(metrics: &Metrics) -> (u64, u64) {
    let snapshot = metrics.snapshot();
    let of = |mode| snapshot.iter().map(|method| method.count_in(mode)).sum();
    (of(WireMode::Archive), of(WireMode::Protobuf))
}

/// Has a client of one revision call a server of another at an address, and counts wire modes.
async fn pair<C: Revision, S: Revision>(address: &str) {
    let (hub, handled, made) = (MemoryHub::new(), Metrics::new(), Metrics::new());
    let server = S::serve(Server::builder().metrics(handled.clone()).memory(&hub));
    let server = server.bind(address).await.unwrap();
    let connector = Connector::new().memory(&hub).layouts(&Default::default());
    let channel = connector.channel_builder(&server.target()).unwrap();
    let channel = channel.metrics(made.clone()).build();
    let serving = tokio::spawn(server.serve());
    for call in 0..=CALLS {
        C::call(channel.clone(), S::NUMBER, call > 0).await;
    }
    let pair = format!("v{} calls v{} at {address}", C::NUMBER, S::NUMBER);
    assert_eq!(modes(&handled), (CALLS, 1), "requests: {pair}");
    // The answer to the first call may already be an archive, since the server knows by then.
    let (archives, protobuf) = modes(&made);
    assert!(
        archives >= CALLS && archives + protobuf == CALLS + 1,
        "responses: {pair}"
    );
    serving.abort();
}

async fn all_pairs(address: &str) {
    pair::<v1::Order, v1::Order>(address).await;
    pair::<v1::Order, v2::Order>(address).await;
    pair::<v1::Order, v3::Order>(address).await;
    pair::<v2::Order, v1::Order>(address).await;
    pair::<v2::Order, v2::Order>(address).await;
    pair::<v2::Order, v3::Order>(address).await;
    pair::<v3::Order, v1::Order>(address).await;
    pair::<v3::Order, v2::Order>(address).await;
    pair::<v3::Order, v3::Order>(address).await;
}

#[tokio::test]
async fn all_pairs_within_one_process() {
    all_pairs("memory://evolution").await;
}

#[tokio::test]
async fn all_pairs_over_tcp() {
    all_pairs("dreammesh+tcp://127.0.0.1:0").await;
}
