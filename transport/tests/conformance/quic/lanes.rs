//! Calls of all kinds side by side on one connection.

use std::sync::atomic::Ordering;

use dreammesh_core::wkt::Any;

use crate::echo::{ask, call, chat, list};
use crate::media::{Medium, Site};

/// More than a connection has bulk lanes.
const STREAMS: usize = 20;

fn large(bytes: usize) -> Any {
    Any {
        value: vec![7; bytes].into(),
        ..ask("echo")
    }
}

#[tokio::test]
async fn calls_pass_while_more_streams_are_stalled_than_there_are_lanes() {
    let site = Site::new(Medium::Quic).await;
    let mut stalled = Vec::new();
    for _ in 0..STREAMS {
        let (notes, answers) = chat(&site.channel).await.unwrap();
        notes.send(ask("stop reading")).await.unwrap();
        stalled.push((notes, answers));
    }
    site.probe.alive_is(STREAMS).await;
    // What their credit allows is under way, and nobody reads it.
    let mut passing = Vec::new();
    for (notes, mut answers) in stalled {
        passing.push(tokio::spawn(async move {
            let fill = async {
                for _ in 0..10 {
                    notes.send(large(60_000)).await.unwrap();
                }
            };
            let read = async {
                for _ in 0..=10 {
                    assert!(answers.next().await.unwrap().is_some());
                }
            };
            tokio::join!(fill, read);
        }));
    }
    for _ in 0..50 {
        assert!(call(&site.channel, &ask("echo")).await.is_ok());
    }
    // These find no idle lane and share one.
    for _ in 0..5 {
        let answer = call(&site.channel, &large(1_000_000)).await.unwrap();
        assert_eq!(answer.view().value().len(), 1_000_000);
    }
    assert!(passing.iter().all(|passing| !passing.is_finished()));
    while site.probe.alive.load(Ordering::SeqCst) > 0 {
        site.probe.gate.notify_one();
        tokio::task::yield_now().await;
    }
    for passed in passing {
        passed.await.unwrap();
    }
}

#[tokio::test]
async fn streams_that_are_given_up_leave_no_lane_behind() {
    let site = Site::new(Medium::Quic).await;
    // Each is cancelled amid its answers; far more than there are lanes or streams allowed.
    for _ in 0..10 * STREAMS {
        let mut items = list(&site.channel, u32::MAX, 10_000).await.unwrap();
        assert!(items.next().await.unwrap().is_some());
    }
    site.probe.alive_is(0).await;
    let answer = call(&site.channel, &large(1_000_000)).await.unwrap();
    assert_eq!(answer.view().value().len(), 1_000_000);
}
