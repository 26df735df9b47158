//! Callers that do not read or send: they hold their own calls back and nothing else.

use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dreammesh_core::wkt::Any;

use super::caller::{CHAT, Caller, LIST, RECORD, UNARY, framed};
use crate::brake::brake;
use crate::echo::ask;
use crate::media::{Medium, Site};

fn of(what: impl Into<String>, value: Vec<u8>) -> Any {
    Any {
        type_url: what.into(),
        value: value.into(),
        ..Any::default()
    }
}

/// Lets everything happen that can, on a clock that moves on only when nothing else does.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_reads_hold_further_calls_back() {
    const CALLS: usize = 100;
    const ANSWER_BYTES: u32 = 3_000_000;
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let request = framed(&of("big", ANSWER_BYTES.to_le_bytes().to_vec()));
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        let mut going = caller.begin(UNARY, &[]).await;
        going.send(request.clone(), true);
        calls.push(going);
    }
    settle().await;
    // Calls begin as long as less than 16 MiB wait.
    let held = (16 << 20) / ANSWER_BYTES as usize + 1;
    assert_eq!(site.probe.begun.load(Ordering::SeqCst), held);
    // Another connection is none the worse for it.
    assert!(Caller::new(&site).await.is_well().await);
    // Those that were held back are not lost.
    for going in calls {
        let answered = going.end().await;
        assert_eq!(answered.status(), 0);
        assert!(answered.messages[0].1.len() > ANSWER_BYTES as usize);
    }
    assert!(caller.is_well().await);
}

#[tokio::test(start_paused = true)]
async fn calls_that_were_held_back_and_given_up_do_not_begin() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let request = framed(&of("big", 17_000_000_u32.to_le_bytes().to_vec()));
    let mut first = caller.begin(UNARY, &[]).await;
    first.send(request.clone(), true);
    first.head().await;
    let mut timed = caller.begin(UNARY, &[("grpc-timeout", "3S")]).await;
    timed.send(request.clone(), true);
    let mut reset = caller.begin(UNARY, &[]).await;
    reset.send(request, true);
    settle().await;
    assert_eq!(site.probe.begun.load(Ordering::SeqCst), 1);
    reset.send.send_reset(h2::Reason::CANCEL);
    // A call that waits ends with its time, too.
    assert_eq!(timed.end().await.status(), 4);
    assert_eq!(first.end().await.status(), 0);
    settle().await;
    assert_eq!(site.probe.begun.load(Ordering::SeqCst), 1);
    assert!(caller.is_well().await);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_holds_its_handler_back_and_no_other() {
    const STREAMS: usize = 20;
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let mut unread = Vec::new();
    for _ in 0..STREAMS {
        let mut going = caller.begin(LIST, &[]).await;
        going.send(framed(&of("100", vec![1; 1_000_000])), true);
        unread.push(going);
    }
    settle().await;
    // One is under way, and none is ahead of it.
    assert_eq!(site.probe.sent.load(Ordering::SeqCst), STREAMS);
    assert!(caller.is_well().await);
    let first = unread.swap_remove(0);
    let answered = first.end().await;
    assert_eq!((answered.status(), answered.messages.len()), (0, 100));
    drop(unread);
    site.probe.alive_is(0).await;
    assert!(caller.is_well().await);
}

#[tokio::test(start_paused = true)]
async fn small_messages_that_nobody_reads_are_bounded_too() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let mut going = caller.begin(LIST, &[]).await;
    going.send(framed(&of("100000", vec![1; 1000])), true);
    settle().await;
    // What the client's window takes, and as much again.
    let sent = site.probe.sent.load(Ordering::SeqCst);
    assert!((120..=135).contains(&sent), "{sent}");
    drop(going);
    site.probe.alive_is(0).await;
}

#[tokio::test(start_paused = true)]
async fn requests_that_no_handler_reads_hold_their_caller_back_and_no_other() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let mut going = caller.begin(CHAT, &[]).await;
    going.send(framed(&ask("stop reading")), false);
    site.probe.alive_is(1).await;
    let message = framed(&of("", vec![1; 1_000_000]));
    (0..10).for_each(|_| going.send(message.clone(), false));
    settle().await;
    // It has room for 2 MiB on this stream; the rest is still here.
    going.send.reserve_capacity(20_000_000);
    settle().await;
    assert_eq!(going.send.capacity(), 0);
    assert!(caller.is_well().await);
    site.probe.gate.notify_one();
    going.send("", true);
    assert_eq!(going.end().await.messages.len(), 11);
}

#[tokio::test(start_paused = true)]
async fn small_requests_that_no_handler_reads_come_to_the_end_of_the_window() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let mut going = caller.begin(CHAT, &[]).await;
    going.send(framed(&ask("stop reading")), false);
    site.probe.alive_is(1).await;
    // One a frame, more than the 2 MiB that there is room for.
    let message = bytes::Bytes::from(framed(&of("", vec![1; 22])));
    assert_eq!(message.len(), 29);
    (0..73_000).for_each(|_| going.send(message.clone(), false));
    settle().await;
    assert!(caller.is_well().await);
    assert!(!caller.driven.is_finished());
    drop(going);
    site.probe.alive_is(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_far_away_and_fast_has_the_windows_opened_up_to_the_bound() {
    const MOST: usize = 16 << 20;
    let site = Site::new(Medium::Memory).await;
    // Every round trip brings whatever the windows let through, however wide they are.
    let way = brake(site.hub.dial("test").unwrap(), 0, 2 * MOST as u64);
    let mut settings = h2::client::Builder::new();
    settings.max_send_buffer_size(4 * MOST);
    let caller = Caller::on(way, &settings).await;
    let mut unread = caller.begin(CHAT, &[]).await;
    unread.send(framed(&ask("stop reading")), false);
    site.probe.alive_is(1).await;
    let mut read = caller.begin(RECORD, &[]).await;
    let message = bytes::Bytes::from(framed(&of("", vec![1; 1 << 20])));
    unread.send.reserve_capacity(2 * MOST);
    let mut most = 0;
    for _ in 0..400 {
        read.send.reserve_capacity(message.len());
        while read.send.capacity() < message.len() {
            poll_fn(|cx| read.send.poll_capacity(cx)).await;
        }
        read.send(message.clone(), false);
        most = unread.send.capacity().max(most);
    }
    // What was sent before has been given back to the window of the connection alone.
    let asked = framed(&ask("stop reading")).len();
    assert_eq!(most, MOST - asked);
    assert!(caller.is_well().await);
}

#[tokio::test(start_paused = true)]
async fn answers_of_handlers_that_end_together_are_bounded_in_sum() {
    const CALLS: usize = 70;
    const ANSWER_BYTES: usize = 4_000_000;
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let request = bytes::Bytes::from(framed(&of("gate", vec![1; ANSWER_BYTES])));
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        let mut going = caller.begin(UNARY, &[]).await;
        going.send(request.clone(), true);
        calls.push(going);
    }
    // None has answered, so that all could begin.
    site.probe.alive_is(CALLS).await;
    site.probe.gate.notify_waiters();
    site.probe.alive_is(0).await;
    settle().await;
    let mut kept = 0;
    for going in calls {
        let answered = going.end().await;
        match answered.status() {
            0 => kept += 1,
            8 => assert!(answered.trailers_only, "{answered:?}"),
            other => panic!("{other}"),
        }
    }
    // One begins as long as there are fewer than 256 MiB.
    assert_eq!(kept, (256 << 20) / ANSWER_BYTES + 1);
    assert!(caller.is_well().await);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_answers_nobody_reads_is_not_kept() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    let request = framed(&of("big", 1_000_000_u32.to_le_bytes().to_vec()));
    let mut going = caller.begin(UNARY, &[]).await;
    going.send(request, true);
    going.head().await;
    let begun = tokio::time::Instant::now();
    // While anything runs beside it, it is.
    let mut beside = caller.begin(UNARY, &[]).await;
    beside.send(framed(&ask("gate")), true);
    site.probe.alive_is(1).await;
    tokio::time::sleep(Duration::from_secs(1_000)).await;
    assert!(!caller.driven.is_finished());
    site.probe.gate.notify_one();
    assert_eq!(beside.end().await.status(), 0);
    // A call that waits for them to be read does not keep it.
    let request = framed(&of("big", 17_000_000_u32.to_le_bytes().to_vec()));
    let mut unread: Vec<_> = Vec::new();
    for _ in 0..2 {
        let mut going = caller.begin(UNARY, &[]).await;
        going.send(request.clone(), true);
        unread.push(going);
    }
    let ended = caller.driven.await.unwrap().unwrap_err();
    assert_eq!(ended.reason(), Some(h2::Reason::ENHANCE_YOUR_CALM));
    let waited = begun.elapsed().as_secs();
    assert!((1_300..1_302).contains(&waited), "{waited}");
}
