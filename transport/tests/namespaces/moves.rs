//! The client's host sleeps, or gets another address.

use std::time::Duration;

use dreammesh_core::layer::ConnectionEnd;
use dreammesh_transport::Medium;

use crate::echo::{IDEMPOTENT, UNARY, ask, chat};
use crate::network::CLIENT;
use crate::site::{SLACK, Site, counts, judge, meanwhile, save_up};

#[test]
#[ignore = "needs namespaces, see DREAMMESH_TEST_NAMESPACES"]
fn a_client_that_gets_another_address_keeps_its_connection_over_quic() {
    let site = Site::new();
    site.client(|client| async move {
        let channel = client.channel();
        let (notes, mut answers) = chat(&channel).await.unwrap();
        let mut from = CLIENT;
        for to in [MOVED, CLIENT] {
            let operator = client.operator.clone();
            let calls = meanwhile(&channel, &UNARY, async {
                let moved = tokio::task::spawn_blocking(move || operator.move_client(from, to));
                moved.await.unwrap();
                notes.send(ask("note")).await.unwrap();
                assert!(answers.next().await.unwrap().is_some());
            });
            let longest = judge("with another address", &calls.await);
            assert!(longest < SLACK, "{longest:?}");
            from = to;
        }
        let counts = counts(&channel);
        assert_eq!(
            (counts.opened_in_all(), counts.stalls),
            (1, 0),
            "{counts:?}"
        );
    });
}

#[test]
#[ignore = "needs namespaces, see DREAMMESH_TEST_NAMESPACES"]
fn a_client_that_gets_another_address_reconnects_over_tls() {
    let site = Site::new();
    site.client(|client| async move {
        let channel = client.channel_with(|connector| {
            let connector = connector.media([Medium::Tls]);
            connector.keepalive(KEEPALIVE, KEEPALIVE)
        });
        save_up(&channel).await;
        let operator = client.operator.clone();
        let calls = meanwhile(&channel, &IDEMPOTENT, async {
            let moved = tokio::task::spawn_blocking(move || operator.move_client(CLIENT, MOVED));
            moved.await.unwrap();
            while counts(&channel).opened_in_all() < 2 {
                tokio::time::sleep(KEEPALIVE).await;
            }
        });
        let longest = judge("with another address, by TLS", &calls.await);
        assert!(longest < 2 * KEEPALIVE + SLACK, "{longest:?}");
        let counts = counts(&channel);
        assert_eq!(counts.ended_by(ConnectionEnd::Silent), 1, "{counts:?}");
        assert_eq!(counts.reconnects, 1);
    });
}

#[test]
#[ignore = "needs namespaces, see DREAMMESH_TEST_NAMESPACES"]
fn calls_that_wait_outlive_a_wire_that_is_pulled_out() {
    let site = Site::new();
    site.client(|client| async move {
        let channel = client.channel();
        let (notes, mut answers) = chat(&channel).await.unwrap();
        for _ in 0..2 {
            let operator = client.operator.clone();
            let calls = meanwhile(&channel, &UNARY, async {
                let pulled = tokio::task::spawn_blocking(move || {
                    operator.wire(false);
                    std::thread::sleep(ASLEEP);
                    operator.wire(true);
                });
                notes.send(ask("note")).await.unwrap();
                assert!(answers.next().await.unwrap().is_some());
                pulled.await.unwrap();
            });
            judge("with a wire that is out for 3 s", &calls.await);
        }
        println!("{:?}", counts(&channel));
    });
}

/// Another address of the same network.
const MOVED: &str = "192.0.2.9";
/// How long the wire is out.
const ASLEEP: Duration = Duration::from_secs(3);
const KEEPALIVE: Duration = Duration::from_millis(500);
