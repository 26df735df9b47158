//! Calls that are made again when their connection comes to its end, and those that are not.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dreammesh_core::call::{Begun, Code};
use dreammesh_core::channel::{Channel, ChannelBuilder, UnaryCall};
use dreammesh_core::wkt::Any;
use dreammesh_session::frame::{CloseCode, Frame, HEADER_LEN, Header, PREFACE, kind};
use dreammesh_session::{Config, Output, Session};
use dreammesh_transport::Connector;
use dreammesh_transport::link::BoxLink;
use dreammesh_transport::link::memory::{MemoryLink, pair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::echo::{Echo, IDEMPOTENT, ask, call};
use crate::media::{Medium, Site};
use crate::table::media;
use crate::tcp_relay::Conduct;

/// How a server ends a connection on which a call has arrived.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Without a word.
    Lost,
    /// With the word that no call has begun.
    NothingBegun,
    /// With the word that the call may have begun.
    MayHaveBegun,
}

/// Speaks as a server until a call has arrived, then ends the connection.
async fn cut(mut link: MemoryLink, how: Cut) -> io::Result<()> {
    let now = tokio::time::Instant::now().into_std();
    let mut hello = Output::new();
    Session::<()>::server(Config::default(), now).poll_output(&mut hello, usize::MAX);
    link.write_all_buf(&mut hello).await?;
    let mut input = Vec::new();
    loop {
        if link.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        let mut at = PREFACE.len().min(input.len());
        while let Some((frame, length)) = Frame::split(&input[at..]).unwrap() {
            if frame.header.kind == kind::OPEN {
                return end(link, how).await;
            }
            at += length;
        }
    }
}

async fn end(mut link: MemoryLink, how: Cut) -> io::Result<()> {
    let last_begun: u64 = match how {
        Cut::Lost => return Ok(()),
        Cut::NothingBegun => 0,
        Cut::MayHaveBegun => 1,
    };
    let close = Header {
        length: 16,
        kind: kind::CLOSE,
        flags: 0,
        head_len: 16,
        slot: 0,
        generation: 0,
    };
    let mut frame = [0; HEADER_LEN + 16];
    frame[..HEADER_LEN].copy_from_slice(&close.bytes());
    frame[HEADER_LEN..HEADER_LEN + 4].copy_from_slice(&CloseCode::DONE.0.to_le_bytes());
    frame[HEADER_LEN + 8..].copy_from_slice(&last_begun.to_le_bytes());
    link.write_all(&frame).await?;
    link.shutdown().await
}

/// A channel whose first so many connections are cut when a call has arrived, and whose later
/// ones lead to a server; and how many it made.
fn flaky(site: &Site, cuts: usize, how: Cut) -> (Channel, Arc<AtomicUsize>) {
    let (channel, dialled) = flaky_builder(site, cuts, how);
    (channel.build(), dialled)
}

fn flaky_builder(site: &Site, cuts: usize, how: Cut) -> (ChannelBuilder, Arc<AtomicUsize>) {
    let (hub, dialled) = (site.hub.clone(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&dialled);
    let dial = move || {
        let link: io::Result<BoxLink> = if count.fetch_add(1, Ordering::SeqCst) < cuts {
            let (ours, theirs) = pair();
            tokio::spawn(cut(theirs, how));
            Ok(Box::new(ours))
        } else {
            hub.dial("test")
        };
        std::future::ready(link)
    };
    (Connector::new().builder_with("flaky", dial), dialled)
}

fn idempotent(channel: &Channel, request: &Any) -> UnaryCall<Any> {
    UnaryCall::new(channel, &IDEMPOTENT, request)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_did_not_begin_is_no_repetition() {
    let site = Site::new(Medium::Memory).await;
    let (channel, dialled) = flaky(&site, 1, Cut::NothingBegun);
    let answer = idempotent(&channel, &ask("attempt")).await.unwrap();
    assert_eq!(answer.view().type_url(), "0");
    assert_eq!(dialled.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_begins_fails_in_the_end() {
    let site = Site::new(Medium::Memory).await;
    let (channel, dialled) = flaky(&site, usize::MAX, Cut::NothingBegun);
    let error = idempotent(&channel, &ask("echo")).await.unwrap_err();
    assert_eq!(
        (error.code(), error.begun()),
        (Code::Unavailable, Begun::No)
    );
    assert_eq!(dialled.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_have_begun_is_repeated_if_its_method_is_idempotent() {
    let site = Site::new(Medium::Memory).await;
    for how in [Cut::Lost, Cut::MayHaveBegun] {
        let (channel, _) = flaky(&site, 2, how);
        let answer = idempotent(&channel, &ask("attempt")).await.unwrap();
        assert_eq!(answer.view().type_url(), "2", "{how:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_third_repetition_is_not_made() {
    let site = Site::new(Medium::Memory).await;
    let (channel, dialled) = flaky(&site, 3, Cut::Lost);
    let error = idempotent(&channel, &ask("echo")).await.unwrap_err();
    assert_eq!(
        (error.code(), error.begun()),
        (Code::Unavailable, Begun::Maybe)
    );
    assert_eq!(dialled.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_of_another_method_is_its_callers_to_repeat() {
    let site = Site::new(Medium::Memory).await;
    for (how, begun) in [
        (Cut::Lost, Begun::Maybe),
        (Cut::MayHaveBegun, Begun::Maybe),
        (Cut::NothingBegun, Begun::No),
    ] {
        let (channel, dialled) = flaky(&site, 1, how);
        let error = call(&channel, &ask("echo")).await.unwrap_err();
        assert_eq!(
            (error.code(), error.begun()),
            (Code::Unavailable, begun),
            "{how:?}"
        );
        assert_eq!(dialled.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_made_again_where_that_is_turned_off() {
    let site = Site::new(Medium::Memory).await;
    for how in [Cut::Lost, Cut::NothingBegun] {
        let (builder, dialled) = flaky_builder(&site, 1, how);
        let channel = builder.retries(false).build();
        let error = idempotent(&channel, &ask("echo")).await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable, "{how:?}");
        assert_eq!(dialled.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_to_connect_again_does_not_unsay_that_the_call_may_have_begun() {
    let (first, second) = (AtomicUsize::new(0), "nobody is there any more");
    let dial = move || {
        let link: io::Result<BoxLink> = match first.fetch_add(1, Ordering::SeqCst) {
            0 => {
                let (ours, theirs) = pair();
                tokio::spawn(cut(theirs, Cut::Lost));
                Ok(Box::new(ours))
            }
            _ => Err(io::Error::other(second)),
        };
        std::future::ready(link)
    };
    let channel = Connector::new().connect_with("flaky", dial);
    let error = idempotent(&channel, &ask("echo")).await.unwrap_err();
    assert!(error.message().contains(second), "{error}");
    assert_eq!(error.begun(), Begun::Maybe);
}

#[tokio::test(start_paused = true)]
async fn what_a_repeated_call_makes_is_not_repeated_too() {
    let last = Site::new(Medium::Memory).await;
    let (next, _) = flaky(&last, 1, Cut::Lost);
    let echo = Echo {
        next: Some(next),
        ..Echo::default()
    };
    let first = Site::with(Medium::Memory, echo, |it| it, |it| it).await;
    let (channel, _) = flaky(&first, 1, Cut::Lost);
    let request = Any {
        value: b"echo"[..].into(),
        ..ask("next idempotent")
    };
    let error = idempotent(&channel, &request).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    // By itself the same call is repeated where it was lost.
    let (next, _) = flaky(&last, 1, Cut::Lost);
    assert!(idempotent(&next, &ask("echo")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_large_request_is_sent_again_whole() {
    let site = Site::new(Medium::Memory).await;
    let (channel, _) = flaky(&site, 1, Cut::Lost);
    let request = Any {
        value: vec![7; 300_000].into(),
        ..ask("echo")
    };
    let answer = idempotent(&channel, &request).await.unwrap();
    assert_eq!(answer.view().value(), &request.value[..]);
}

#[tokio::test]
async fn what_a_handler_says_during_a_drain_is_no_reason_to_repeat() {
    for medium in media!() {
        let mut site = Site::new(medium).await;
        let channel = site.channel.clone();
        let request = ask("busy in the end");
        let calling = tokio::spawn(async move { idempotent(&channel, &request).await });
        site.probe.alive_is(1).await;
        // One that keeps clients waiting for a server would have the loop below wait, too.
        let relay = site.relay.as_ref();
        relay.inspect(|relay| relay.set(Conduct::CALM));
        site.stop();
        // The client knows of the drain once a call that begins finds no connection.
        let again = || call(&site.channel, &ask("echo")).timeout(Duration::from_secs(1));
        while again().await.is_ok() {}
        site.probe.gate.notify_one();
        let error = calling.await.unwrap().unwrap_err();
        // A repetition would have found nobody, and would say so.
        assert_eq!(error.message(), "ask somebody else", "{medium:?}");
        (&mut site.serving).await.unwrap();
    }
}
