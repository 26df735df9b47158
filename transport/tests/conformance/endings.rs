//! How calls end before their time: deadlines, cancellation, and links that fail.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dreammesh_core::call::{Begun, Code, Initiator};
use dreammesh_transport::Connector;
use dreammesh_transport::link::{BoxLink, memory};
use tokio::io::AsyncReadExt;

use crate::echo::{Echo, ask, call, chat, list};
use crate::media::{Medium, Site, serve};
use crate::table::media;

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_ends_is_ended_by_the_deadline_on_both_sides() {
    let site = Site::new(Medium::Memory).await;
    let error = call(&site.channel, &ask("never"))
        .timeout(Duration::from_secs(3))
        .await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert_eq!(error.begun(), Begun::Maybe);
    assert_eq!(site.probe.begun.load(Ordering::SeqCst), 1);
    site.probe.alive_is(0).await;
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
}

#[tokio::test]
async fn a_handler_sees_the_deadline_of_its_call() {
    for medium in media!() {
        let site = Site::new(medium).await;
        let with = call(&site.channel, &ask("remaining")).timeout(Duration::from_secs(60));
        assert_eq!(with.await.unwrap().view().type_url(), "some", "{medium:?}");
        let without = call(&site.channel, &ask("remaining")).await.unwrap();
        assert_eq!(without.view().type_url(), "none", "{medium:?}");
    }
}

#[tokio::test]
async fn dropping_a_call_cancels_its_handler() {
    for medium in media!() {
        let site = Site::new(medium).await;
        let channel = site.channel.clone();
        let calling = tokio::spawn(async move { call(&channel, &ask("never")).await });
        site.probe.alive_is(1).await;
        calling.abort();
        site.probe.alive_is(0).await;
        assert!(
            call(&site.channel, &ask("echo")).await.is_ok(),
            "{medium:?}"
        );
    }
}

#[tokio::test]
async fn dropping_a_receiver_cancels_its_handler() {
    for medium in media!() {
        let site = Site::new(medium).await;
        let mut items = list(&site.channel, u32::MAX, 1_000).await.unwrap();
        assert!(items.next().await.unwrap().is_some());
        site.probe.alive_is(1).await;
        drop(items);
        site.probe.alive_is(0).await;
    }
}

/// A server whose handlers call a second one over the same medium.
async fn chain(medium: Medium) -> (Site, Site) {
    let last = Site::new(medium).await;
    let next = Some(last.channel.clone());
    let echo = Echo {
        next,
        ..Echo::default()
    };
    let first = Site::with(medium, echo, |server| server, |connector| connector).await;
    (first, last)
}

fn next(what: &str) -> dreammesh_core::wkt::Any {
    dreammesh_core::wkt::Any {
        value: what.as_bytes().to_vec().into(),
        ..ask("next")
    }
}

#[tokio::test]
async fn cancellation_reaches_the_end_of_a_chain() {
    for medium in media!() {
        let (first, last) = chain(medium).await;
        let channel = first.channel.clone();
        let calling = tokio::spawn(async move { call(&channel, &next("never")).await });
        last.probe.alive_is(1).await;
        calling.abort();
        last.probe.alive_is(0).await;
        first.probe.alive_is(0).await;
    }
}

#[tokio::test]
async fn a_deadline_reaches_the_end_of_a_chain_without_being_passed_on() {
    for medium in media!() {
        let (first, _last) = chain(medium).await;
        let with = call(&first.channel, &next("remaining")).timeout(Duration::from_secs(60));
        assert_eq!(with.await.unwrap().view().type_url(), "some", "{medium:?}");
        let without = call(&first.channel, &next("remaining")).await.unwrap();
        assert_eq!(without.view().type_url(), "none", "{medium:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_whole_chain() {
    let (first, last) = chain(Medium::Memory).await;
    let error = call(&first.channel, &next("never"))
        .timeout(Duration::from_secs(2))
        .await;
    assert_eq!(error.unwrap_err().code(), Code::DeadlineExceeded);
    first.probe.alive_is(0).await;
    last.probe.alive_is(0).await;
}

#[tokio::test]
async fn calls_find_the_server_again_after_it_restarted() {
    for medium in media!() {
        let mut site = Site::new(medium).await;
        assert!(call(&site.channel, &ask("echo")).await.is_ok());
        site.stop();
        (&mut site.serving).await.unwrap();
        let address = site.bound.clone();
        let (_, _stop, _serving) = serve(&site.hub, &address, Echo::default(), |it| it).await;
        let again = call(&site.channel, &ask("echo")).wait_for_ready(true).await;
        assert!(again.is_ok(), "{medium:?}: {again:?}");
    }
}

#[tokio::test]
async fn without_a_server_calls_fail_as_not_begun() {
    for medium in media!() {
        let mut site = Site::new(medium).await;
        site.stop();
        (&mut site.serving).await.unwrap();
        let error = call(&site.channel, &ask("echo")).await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable, "{medium:?}");
        assert_eq!(
            (error.initiator(), error.begun()),
            (Initiator::Library, Begun::No)
        );
        assert!(error.message().contains("cannot be reached"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_server_ends_at_its_deadline() {
    let mut site = Site::new(Medium::Memory).await;
    site.stop();
    (&mut site.serving).await.unwrap();
    let waiting = call(&site.channel, &ask("echo")).wait_for_ready(true);
    let error = waiting.timeout(Duration::from_secs(60)).await.unwrap_err();
    assert_eq!(
        (error.code(), error.begun()),
        (Code::DeadlineExceeded, Begun::No)
    );
}

#[tokio::test]
async fn a_draining_server_finishes_the_calls_it_has() {
    for medium in media!() {
        let mut site = Site::new(medium).await;
        let channel = site.channel.clone();
        let calling = tokio::spawn(async move { call(&channel, &ask("gate")).await });
        site.probe.alive_is(1).await;
        site.stop();
        tokio::task::yield_now().await;
        site.probe.gate.notify_one();
        assert!(calling.await.unwrap().is_ok(), "{medium:?}");
        (&mut site.serving).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_drain_period_what_is_left_is_ended() {
    let period = Duration::from_secs(7);
    let server = |it: dreammesh_transport::ServerBuilder| it.drain_period(period);
    let mut site = Site::with(Medium::Memory, Echo::default(), server, |it| it).await;
    let channel = site.channel.clone();
    let calling = tokio::spawn(async move { call(&channel, &ask("never")).await });
    site.probe.alive_is(1).await;
    site.stop();
    (&mut site.serving).await.unwrap();
    assert_eq!(
        calling.await.unwrap().unwrap_err().code(),
        Code::Unavailable
    );
    site.probe.alive_is(0).await;
}

#[tokio::test]
async fn no_call_is_lost_when_servers_take_turns() {
    for medium in media!() {
        let mut site = Site::new(medium).await;
        let channel = site.channel.clone();
        let calling = tokio::spawn(async move {
            let mut failed = Vec::new();
            for _ in 0..200 {
                let done = call(&channel, &ask("echo")).wait_for_ready(true).await;
                failed.extend(done.err().filter(|error| error.begun() == Begun::Maybe));
                tokio::task::yield_now().await;
            }
            failed
        });
        tokio::task::yield_now().await;
        site.stop();
        (&mut site.serving).await.unwrap();
        let address = site.bound.clone();
        let (_, _stop, _serving) = serve(&site.hub, &address, Echo::default(), |it| it).await;
        let failed = calling.await.unwrap();
        assert!(failed.is_empty(), "{medium:?}: {failed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_is_found_dead() {
    // The far end takes everything and never says a word after the server's first.
    let dial = || async {
        let (near, far) = memory::pair();
        tokio::spawn(async move {
            let mut far = far;
            let mut bytes = [0; 4096];
            while far.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
        });
        Ok(Box::new(near) as BoxLink)
    };
    let connector = Connector::new().keepalive(Duration::from_secs(5), Duration::from_secs(3));
    let connector = connector.connect_timeout(Duration::from_secs(60));
    let channel = connector.connect_with("memory://silent", dial);
    let started = tokio::time::Instant::now();
    let error = call(&channel, &ask("echo")).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(error.begun(), Begun::Maybe);
    assert_eq!(started.elapsed().as_secs(), 8);
}

#[tokio::test]
async fn a_stream_ends_when_its_server_is_gone() {
    for medium in media!() {
        let site = Site::new(medium).await;
        let (notes, mut answers) = chat(&site.channel).await.unwrap();
        notes.send(ask("one")).await.unwrap();
        assert!(answers.next().await.unwrap().is_some());
        site.serving.abort();
        let error = answers.next().await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable, "{medium:?}");
        assert!(notes.send(ask("two")).await.is_err());
    }
}

#[tokio::test]
async fn a_link_outlives_its_channel_until_its_calls_are_done() {
    for medium in media!() {
        let Site {
            channel,
            probe,
            serving,
            relay: _relay,
            stop: _stop,
            ..
        } = Site::new(medium).await;
        let calling = tokio::spawn({
            let calling = call(&channel, &ask("gate"));
            async move { calling.await }
        });
        probe.alive_is(1).await;
        drop(channel);
        probe.gate.notify_one();
        assert!(calling.await.unwrap().is_ok(), "{medium:?}");
        let _keep = Arc::new(serving);
    }
}
