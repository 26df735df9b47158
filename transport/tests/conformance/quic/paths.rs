//! Bad paths: loss, reordering, and addresses that change.

use std::sync::atomic::Ordering;
use std::time::Duration;

use dreammesh_core::wkt::Any;

use super::through_relay;
use crate::echo::{ask, call, chat, list};
use crate::media::{Medium, Site};
use crate::udp_relay::Weather;

fn large(bytes: usize) -> Any {
    Any {
        value: (0..bytes).map(|at| at as u8).collect::<Vec<_>>().into(),
        ..ask("echo")
    }
}

/// The bulk call's request lacks a datagram when the small call is sent. To send it again takes a
/// round trip, so the small call is answered first, unless it has to wait for those bytes.
#[tokio::test]
async fn a_datagram_lost_by_a_large_call_holds_up_no_small_one() {
    let site = Site::new(Medium::Quic).await;
    let (relay, channel) = through_relay(&site, 1).await;
    // Methods are settled, and the path is known.
    assert!(call(&channel, &ask("echo")).await.is_ok());
    assert!(call(&channel, &large(200_000)).await.is_ok());
    let far = Weather {
        delay: Duration::from_millis(100),
        ..Weather::default()
    };
    let lossy = Weather {
        full_lost: 1,
        ..far
    };
    relay.set_each(lossy, far);
    let before = site.probe.begun.load(Ordering::SeqCst);
    let bulk = tokio::spawn({
        let channel = channel.clone();
        async move { call(&channel, &large(100_000)).await }
    });
    while relay.full_left() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(call(&channel, &ask("echo")).await.is_ok());
    assert_eq!(site.probe.begun.load(Ordering::SeqCst), before + 1);
    let answer = bulk.await.unwrap().unwrap();
    assert_eq!(answer.view().value(), &*large(100_000).value);
}

#[tokio::test]
async fn every_call_gets_through_bad_weather() {
    let site = Site::new(Medium::Quic).await;
    let (relay, channel) = through_relay(&site, 20_261_123).await;
    relay.set(Weather {
        lost_per_mille: 20,
        jitter: Duration::from_millis(3),
        ..Weather::default()
    });
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..30 {
        let caller = channel.clone();
        calls.spawn(async move {
            let request = large(if number % 6 == 0 { 100_000 } else { number });
            let answer = call(&caller, &request).await.unwrap();
            assert_eq!(answer.view().value(), &*request.value);
        });
        if number % 10 == 0 {
            let channel = channel.clone();
            calls.spawn(async move {
                let mut items = list(&channel, 50, 2_000).await.unwrap();
                let mut count = 0;
                while items.next().await.unwrap().is_some() {
                    count += 1;
                }
                assert_eq!(count, 50);
            });
        }
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
    assert!(relay.to_server().datagrams() > 0);
}

#[tokio::test]
async fn calls_survive_a_change_of_the_clients_address() {
    let site = Site::new(Medium::Quic).await;
    let (relay, channel) = through_relay(&site, 2).await;
    let (notes, mut answers) = chat(&channel).await.unwrap();
    for _ in 0..3 {
        notes.send(ask("before")).await.unwrap();
        assert!(answers.next().await.unwrap().is_some());
        relay.forget_addresses();
        // The stream that was open stays open, so it is the same connection.
        notes.send(ask("after")).await.unwrap();
        let answer = answers.next().await.unwrap().unwrap();
        assert_eq!(answer.view().type_url(), "after");
        assert!(call(&channel, &large(100_000)).await.is_ok());
    }
}

/// A router that drops one flow for good lets another one pass.
#[tokio::test]
async fn a_client_whose_flow_is_blocked_takes_another_socket() {
    let site = Site::new(Medium::Quic).await;
    let (relay, channel) = through_relay(&site, 3).await;
    let (notes, mut answers) = chat(&channel).await.unwrap();
    for stalls in 1..=2 {
        notes.send(ask("before")).await.unwrap();
        assert!(answers.next().await.unwrap().is_some());
        relay.shun_addresses();
        notes.send(ask("after")).await.unwrap();
        let answer = answers.next().await.unwrap().unwrap();
        assert_eq!(answer.view().type_url(), "after");
        assert!(call(&channel, &large(100_000)).await.is_ok());
        let [counts] = channel.connections().try_into().unwrap();
        assert_eq!((counts.stalls, counts.opened_in_all()), (stalls, 1));
    }
}
