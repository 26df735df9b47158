//! UDP is blocked, from the start or while calls run, and comes back.

use std::time::{Duration, Instant};

use dreammesh_core::channel::Channel;

use crate::echo::{IDEMPOTENT, UNARY, ask, chat};
use crate::network::{Blocked, Operator, datagrams_sent};
use crate::site::{PERIOD, SLACK, Site, counts, judge, meanwhile, one, save_up};

/// Whether the calls that [`meanwhile`] makes go by UDP.
async fn goes_by_udp() -> bool {
    let before = datagrams_sent();
    tokio::time::sleep(20 * PERIOD).await;
    datagrams_sent() - before > 10
}

/// Waits until the channel says that it uses a medium, and the kernel too.
async fn until(channel: &Channel, medium: &'static str) {
    while counts(channel).medium != Some(medium) || goes_by_udp().await != (medium == "quic") {
        tokio::time::sleep(PERIOD).await;
    }
}

/// Changes the firewall while the client goes on.
async fn set(operator: &Operator, blocked: Option<Blocked>) -> Instant {
    let operator = operator.clone();
    let set = tokio::task::spawn_blocking(move || match blocked {
        Some(which) => operator.block(which),
        None => operator.open(),
    });
    set.await.unwrap();
    Instant::now()
}

#[test]
#[ignore = "needs namespaces, see DREAMMESH_TEST_NAMESPACES"]
fn where_udp_is_blocked_from_the_start_the_first_call_goes_by_tcp() {
    let site = Site::new();
    site.client(|client| async move {
        set(&client.operator, Some(Blocked::Both)).await;
        let channel = client.channel();
        let first = one(&channel, &UNARY).await;
        let delay = judge("the first by TCP", &[first]);
        assert!(delay < HEAD_START + SLACK, "{delay:?}");
        let calls = meanwhile(&channel, &UNARY, async {
            assert!(!goes_by_udp().await);
            set(&client.operator, None).await;
            until(&channel, "quic").await;
        });
        let longest = judge("until UDP is used", &calls.await);
        assert!(longest < SLACK, "{longest:?}");
    });
}

#[test]
#[ignore = "needs namespaces, see DREAMMESH_TEST_NAMESPACES"]
fn when_udp_comes_to_be_blocked_idempotent_calls_are_made_by_tcp() {
    let site = Site::new();
    site.client(|client| async move {
        for which in [Blocked::Both, Blocked::ToServer, Blocked::ToClient] {
            let channel = client.channel();
            save_up(&channel).await;
            let calls = meanwhile(&channel, &IDEMPOTENT, async {
                until(&channel, "quic").await;
                set(&client.operator, Some(which)).await;
                until(&channel, "tls").await;
                set(&client.operator, None).await;
                until(&channel, "quic").await;
            });
            let calls = calls.await;
            let longest = judge(&format!("{which:?} blocked"), &calls);
            assert!(longest < STALL + SLACK, "{longest:?}");
            let counts = counts(&channel);
            assert_eq!(
                (counts.medium, counts.stalls),
                (Some("quic"), 1),
                "{counts:?}"
            );
            let switched = [("tls", 1), ("quic", 1), ("grpcs", 0)];
            assert_eq!(counts.switched, switched);
            let late = calls.iter().filter(|it| it.took > SLACK).count() as u64;
            assert!(counts.calls_repeated >= late && late > 0, "{counts:?}");
        }
    });
}

/// Nobody knows whether the server has begun a call whose request was sent and never answered, so
/// it is not made again; it waits for the path.
#[test]
#[ignore = "needs namespaces, see DREAMMESH_TEST_NAMESPACES"]
fn when_udp_comes_to_be_blocked_other_calls_wait_for_it_or_go_by_tcp() {
    let site = Site::new();
    site.client(|client| async move {
        let channel = client.channel();
        let (notes, mut answers) = chat(&channel).await.unwrap();
        let (mut blocked, mut opened) = (Instant::now(), Instant::now());
        let calls = meanwhile(&channel, &UNARY, async {
            until(&channel, "quic").await;
            blocked = set(&client.operator, Some(Blocked::Both)).await;
            notes.send(ask("note")).await.unwrap();
            until(&channel, "tls").await;
            tokio::time::sleep(OUTAGE).await;
            opened = set(&client.operator, None).await;
            assert!(answers.next().await.unwrap().is_some());
            until(&channel, "quic").await;
        });
        let calls = calls.await;
        judge("all", &calls);
        let (caught, later): (Vec<_>, Vec<_>) = calls.into_iter().partition(|it| it.took > SLACK);
        judge("caught on the path", &caught);
        judge("by another", &later);
        for call in caught {
            assert!(call.begun < blocked + STALL + SLACK);
            assert!(call.begun + call.took > opened - SLACK);
        }
    });
}

/// How long it is blocked beyond what it takes to leave it.
const OUTAGE: Duration = Duration::from_secs(2);
/// How long the suited medium is tried alone.
const HEAD_START: Duration = Duration::from_millis(250);
/// How long it may take to find that nothing comes back.
const STALL: Duration = Duration::from_secs(2);
