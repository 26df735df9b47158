//! Bounds: concurrency, credit, sizes, and handlers that take their time.

use std::collections::HashSet;
use std::iter::repeat_n;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use dreammesh_core::call::{Begun, Code};
use dreammesh_core::wkt::Any;
use dreammesh_transport::{Connector, ServerBuilder};

use crate::echo::{Echo, ask, call, chat, list};
use crate::media::{Medium, Site};
use crate::table::media;

/// The least that a server may announce, which a client assumes before it knows.
const CALLS: usize = 64;

fn few_calls(server: ServerBuilder) -> ServerBuilder {
    server.max_concurrent_calls(CALLS as u32)
}

fn one_connection(connector: Connector) -> Connector {
    connector.max_connections_per_endpoint(1)
}

#[tokio::test]
async fn the_longest_durations_bound_nothing() {
    let most = Duration::MAX;
    for medium in media!() {
        let patient = |server: ServerBuilder| {
            let server = server.hello_timeout(most).drain_period(most);
            server.max_connection_age(most).keepalive(most, most)
        };
        let connecting = |connector: Connector| {
            let connector = connector.connect_timeout(most).keepalive(most, most);
            let connector = connector.max_tunnel_age(most).media_retry(most);
            connector.max_connection_age(most).idle_timeout(most)
        };
        let mut site = Site::with(medium, Echo::default(), patient, connecting).await;
        assert!(
            call(&site.channel, &ask("echo")).await.is_ok(),
            "{medium:?}"
        );
        site.stop();
        site.serving.await.unwrap();
    }
}

#[tokio::test]
async fn calls_beyond_the_servers_maximum_wait_at_the_client() {
    for medium in media!() {
        let site = Site::with(medium, Echo::default(), few_calls, one_connection).await;
        // HTTP/2 asks for no fewer than these.
        let most = if medium.is_grpc() { 100 } else { CALLS };
        assert!(call(&site.channel, &ask("echo")).await.is_ok());
        let begun = site.probe.begun.load(Ordering::SeqCst);
        let calling = (0..=most).map(|_| {
            let channel = site.channel.clone();
            tokio::spawn(async move { call(&channel, &ask("gate")).await })
        });
        let calling: Vec<_> = calling.collect();
        site.probe.alive_is(most).await;
        assert_eq!(
            site.probe.begun.load(Ordering::SeqCst) - begun,
            most,
            "{medium:?}"
        );
        site.probe.gate.notify_one();
        site.probe
            .until(|| site.probe.begun.load(Ordering::SeqCst) - begun == most + 1)
            .await;
        for _ in 0..most {
            site.probe.gate.notify_one();
            tokio::task::yield_now().await;
        }
        while site.probe.alive.load(Ordering::SeqCst) > 0 {
            site.probe.gate.notify_one();
            tokio::task::yield_now().await;
        }
        for done in calling {
            assert!(done.await.unwrap().is_ok(), "{medium:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_room_ends_at_its_deadline() {
    let site = Site::with(Medium::Memory, Echo::default(), few_calls, one_connection).await;
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
    let holding = (0..CALLS).map(|_| {
        let channel = site.channel.clone();
        tokio::spawn(async move { call(&channel, &ask("never")).await })
    });
    let holding: Vec<_> = holding.collect();
    site.probe.alive_is(CALLS).await;
    let late = call(&site.channel, &ask("echo")).timeout(Duration::from_secs(1));
    let error = late.await.unwrap_err();
    assert_eq!(
        (error.code(), error.begun()),
        (Code::DeadlineExceeded, Begun::No)
    );
    holding.iter().for_each(tokio::task::JoinHandle::abort);
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
}

/// A waker that only notes that it was woken.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One poll of a call by a caller of its own, who is told apart by the flag.
fn poll_once<F: Future + Unpin>(future: &mut F, flag: &Arc<Flag>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(flag));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

/// Lets the connections' tasks run until they have nothing to do.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn room_that_was_reported_twice_is_not_forgotten_for_those_that_come_later() {
    let site = Site::with(Medium::Memory, Echo::default(), few_calls, one_connection).await;
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
    let flag = || Arc::new(Flag::default());
    let new_call = || call(&site.channel, &ask("never")).into_future();
    let open = |flag: &Arc<Flag>| {
        let mut future = new_call();
        assert!(poll_once(&mut future, flag).is_pending());
        future
    };
    let mut running: Vec<_> = (0..CALLS).map(|_| open(&flag())).collect();
    site.probe.alive_is(CALLS).await;
    // Somebody waits and gives up, a call ends, and a newcomer takes its room before the driver
    // has looked at the report of it.
    drop(open(&flag()));
    drop(running.pop());
    running.push(open(&flag()));
    let first = flag();
    let mut waits = open(&first);
    // So here is room for one, and two reports of room.
    drop(running.pop());
    settle().await;
    assert!(first.0.load(Ordering::SeqCst));
    let second = flag();
    let mut waits_behind = open(&second);
    assert!(poll_once(&mut waits, &first).is_pending());
    settle().await;
    assert!(!second.0.load(Ordering::SeqCst), "there is no room left");
    drop(running.pop());
    settle().await;
    assert!(second.0.load(Ordering::SeqCst), "nobody told it of room");
    assert!(poll_once(&mut waits_behind, &second).is_pending());
    site.probe.alive_is(CALLS).await;
}

#[tokio::test]
async fn small_calls_pass_a_message_of_the_largest_size() {
    const LARGEST: usize = 4 * 1024 * 1024;
    for medium in media!() {
        let site = Site::new(medium).await;
        let big = Any {
            value: vec![3; LARGEST - 64].into(),
            ..ask("echo")
        };
        let channel = site.channel.clone();
        let large = tokio::spawn(async move { call(&channel, &big).await });
        let mut during = 0;
        while !large.is_finished() {
            assert!(call(&site.channel, &ask("echo")).await.is_ok());
            during += 1;
        }
        assert_eq!(
            large.await.unwrap().unwrap().view().value().len(),
            LARGEST - 64
        );
        assert!(during > 1, "{medium:?}");
    }
}

#[tokio::test]
async fn a_message_beyond_the_limit_fails_its_call_alone_in_either_direction() {
    for medium in media!() {
        let site = Site::new(medium).await;
        let over = Any {
            value: vec![3; 4 * 1024 * 1024 + 1].into(),
            ..ask("echo")
        };
        let error = call(&site.channel, &over).await.unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted, "{medium:?}");
        let bytes = (4 * 1024 * 1024_u32 + 1).to_le_bytes().to_vec().into();
        let error = call(
            &site.channel,
            &Any {
                value: bytes,
                ..ask("big")
            },
        )
        .await
        .unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted, "{medium:?}");
        assert!(call(&site.channel, &ask("echo")).await.is_ok());
    }
}

#[tokio::test]
async fn a_consumer_that_stalls_stalls_only_itself() {
    for medium in media!() {
        let site = Site::new(medium).await;
        let mut stalled = list(&site.channel, 2_000, 3_000).await.unwrap();
        assert!(stalled.next().await.unwrap().is_some());
        for _ in 0..100 {
            assert!(call(&site.channel, &ask("echo")).await.is_ok());
        }
        let mut other = list(&site.channel, 2_000, 1_000).await.unwrap();
        while other.next().await.unwrap().is_some() {}
        // Its six megabytes did not fit the stream's credit, so its handler still waits.
        assert_eq!(site.probe.alive.load(Ordering::SeqCst), 1, "{medium:?}");
        let mut rest = 1;
        while stalled.next().await.unwrap().is_some() {
            rest += 1;
        }
        assert_eq!(rest, 2_000, "{medium:?}");
    }
}

#[tokio::test]
async fn a_sender_waits_for_a_handler_that_does_not_read() {
    for medium in media!() {
        let site = Site::new(medium).await;
        let (notes, mut answers) = chat(&site.channel).await.unwrap();
        notes.send(ask("stop reading")).await.unwrap();
        site.probe.alive_is(1).await;
        let sender = tokio::spawn(async move {
            for _ in 0..500 {
                notes
                    .send(Any {
                        value: vec![4; 20_000].into(),
                        ..ask("")
                    })
                    .await
                    .unwrap();
            }
        });
        assert!(call(&site.channel, &ask("echo")).await.is_ok());
        assert!(!sender.is_finished(), "{medium:?}");
        site.probe.gate.notify_one();
        let mut count = 0;
        while answers.next().await.unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 501, "{medium:?}");
        sender.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_whose_polls_are_long_leaves_its_connections_task_until_they_are_short_again() {
    let site = Site::new(Medium::Memory).await;
    let begin = ["quick", "quick", "slow", "slow"];
    let spawned = ["slow"].into_iter().chain(repeat_n("quick", 1024));
    for what in begin.into_iter().chain(spawned).chain(["quick"]) {
        assert!(call(&site.channel, &ask(what)).await.is_ok());
    }
    let tasks = site.probe.tasks.lock().unwrap();
    let connection = tasks[0];
    assert!(
        tasks[..4].iter().all(|task| *task == connection),
        "{tasks:?}"
    );
    let spawned = &tasks[4..4 + 1025];
    assert!(spawned.iter().all(|task| *task != connection), "{tasks:?}");
    let distinct: HashSet<_> = spawned.iter().collect();
    assert_eq!(distinct.len(), spawned.len());
    assert_eq!(tasks[4 + 1025..], [connection]);
}
