//! How many connections a channel has to its endpoint: more while one is full, none while nobody
//! calls, and new ones in place of old ones.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use dreammesh_core::call::{Begun, Code};
use dreammesh_core::channel::Channel;
use dreammesh_core::layer::{ConnectFailure, ConnectionEnd, ConnectionSnapshot};
use dreammesh_transport::link::memory::{self, MemoryLink};
use dreammesh_transport::link::{BoxLink, Link, Retirement};
use dreammesh_transport::{Connector, ServerBuilder};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::echo::{Echo, Probe, ask, call, chat};
use crate::media::{Medium, Site, serve};
use crate::table::media;

/// The least that a server may announce.
const CALLS: usize = 64;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn few_calls(server: ServerBuilder) -> ServerBuilder {
    server.max_concurrent_calls(CALLS as u32)
}

fn counts(channel: &Channel) -> ConnectionSnapshot {
    let [counts] = channel.connections().try_into().unwrap();
    counts
}

fn open(channel: &Channel) -> u64 {
    counts(channel).open.iter().map(|(_, count)| count).sum()
}

/// Waits until the channel has so many connections.
async fn open_is(channel: &Channel, count: u64) {
    while open(channel) != count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

type Calling = JoinHandle<Result<(), (Code, Begun)>>;

/// Makes so many calls that stay until they are let go.
fn hold(channel: &Channel, count: usize) -> Vec<Calling> {
    let calling = (0..count).map(|_| {
        let channel = channel.clone();
        tokio::spawn(async move {
            let answer = call(&channel, &ask("gate")).wait_for_ready(true).await;
            let failed = |error: dreammesh_core::call::CallError| (error.code(), error.begun());
            answer.map(drop).map_err(failed)
        })
    });
    calling.collect()
}

/// Lets all calls go, those that begin meanwhile too.
async fn let_go(probe: &Probe, calling: Vec<Calling>) {
    for calling in calling {
        while !calling.is_finished() {
            probe.gate.notify_waiters();
            tokio::task::yield_now().await;
        }
        assert_eq!(calling.await.unwrap(), Ok(()));
    }
}

/// Lets the connections' tasks run until they have nothing to do.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

async fn busy(medium: Medium, max: usize) -> Site {
    let connector = |it: Connector| it.max_connections_per_endpoint(max);
    let site = Site::with(medium, Echo::default(), few_calls, connector).await;
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
    site
}

#[tokio::test]
async fn calls_beyond_the_servers_maximum_have_another_connection_opened() {
    for medium in media!() {
        let site = busy(medium, 4).await;
        let calling = hold(&site.channel, CALLS);
        site.probe.alive_is(CALLS).await;
        assert_eq!(open(&site.channel), 1, "{medium:?}");
        let more = hold(&site.channel, 2 * CALLS);
        site.probe.alive_is(3 * CALLS).await;
        assert_eq!(open(&site.channel), 3, "{medium:?}");
        assert_eq!(counts(&site.channel).reconnects, 0, "{medium:?}");
        let_go(&site.probe, calling).await;
        let_go(&site.probe, more).await;
        let failed: u64 = counts(&site.channel).failed.iter().map(|(_, n)| n).sum();
        assert_eq!(failed, 0, "{medium:?}");
    }
}

/// Before its hello a server is taken to serve 64 calls, and those beyond wait at the connection.
#[tokio::test(start_paused = true)]
async fn calls_that_came_before_the_hello_have_another_connection_opened() {
    const MAX: usize = 100;
    let many = |server: ServerBuilder| server.max_concurrent_calls(MAX as u32);
    let site = Site::with(Medium::Memory, Echo::default(), many, |it| it).await;
    let hub = site.hub.clone();
    let channel = Connector::new().connect_with("lazy", move || {
        let link = hub.dial("test");
        async move { link }
    });
    let calling = hold(&channel, 2 * MAX);
    let running = tokio::time::timeout(MINUTE, site.probe.alive_is(2 * MAX)).await;
    assert!(running.is_ok(), "{:?}", counts(&channel));
    assert_eq!(open(&channel), 2);
    let_go(&site.probe, calling).await;
}

#[tokio::test(start_paused = true)]
async fn there_are_no_more_connections_than_allowed_and_calls_beyond_them_wait() {
    for max in [1, 2, 3] {
        let site = busy(Medium::Memory, max).await;
        let calling = hold(&site.channel, max * CALLS + 1);
        site.probe.alive_is(max * CALLS).await;
        tokio::time::sleep(MINUTE).await;
        assert_eq!(site.probe.alive.load(Ordering::SeqCst), max * CALLS);
        assert_eq!(open(&site.channel), max as u64);
        // One that waits for room ends at its deadline, and leaves the others their places.
        let late = call(&site.channel, &ask("echo")).timeout(SECOND).await;
        let error = late.unwrap_err();
        let ended = (error.code(), error.begun());
        assert_eq!(ended, (Code::DeadlineExceeded, Begun::No));
        // Each that ends makes room for one.
        site.probe.gate.notify_one();
        let total = max * CALLS + 2;
        let begun = || site.probe.begun.load(Ordering::SeqCst) == total;
        site.probe.until(begun).await;
        let_go(&site.probe, calling).await;
        assert!(call(&site.channel, &ask("echo")).await.is_ok());
        assert_eq!(counts(&site.channel).opened_in_all(), max as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_take_room_wherever_there_is_some() {
    let site = busy(Medium::Memory, 2).await;
    let first = hold(&site.channel, CALLS);
    site.probe.alive_is(CALLS).await;
    let second = hold(&site.channel, CALLS);
    site.probe.alive_is(2 * CALLS).await;
    // Those that wait found the one or the other full.
    let waiting = hold(&site.channel, CALLS);
    settle().await;
    // All calls of one connection go, and then of the other.
    for calling in first.iter().chain(&second) {
        calling.abort();
    }
    site.probe
        .until(|| site.probe.begun.load(Ordering::SeqCst) == 3 * CALLS + 1)
        .await;
    let_go(&site.probe, waiting).await;
}

/// A call that waits is woken for room on one connection, and before it comes the other one has
/// room too: that is for the call behind it.
#[tokio::test(start_paused = true)]
async fn room_on_two_connections_is_for_two_calls() {
    let site = busy(Medium::Memory, 2).await;
    let first = hold(&site.channel, CALLS);
    site.probe.alive_is(CALLS).await;
    let second = hold(&site.channel, CALLS);
    site.probe.alive_is(2 * CALLS).await;
    let mut slow = call(&site.channel, &ask("gate")).into_future();
    let mut poll_slow = || {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut slow).poll(&mut cx).is_pending());
    };
    poll_slow();
    for calling in [&first[0], &second[0]] {
        calling.abort();
        settle().await;
    }
    let behind = hold(&site.channel, 1);
    settle().await;
    poll_slow();
    let begun = || site.probe.begun.load(Ordering::SeqCst) == 2 * CALLS + 2 + 1;
    let both = tokio::time::timeout(MINUTE, site.probe.until(begun)).await;
    assert!(both.is_ok(), "{:?}", counts(&site.channel));
    let_go(&site.probe, behind).await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_give_up_while_they_wait_leave_the_room_to_others() {
    let site = busy(Medium::Memory, 2).await;
    let running = hold(&site.channel, 2 * CALLS);
    site.probe.alive_is(2 * CALLS).await;
    let impatient = hold(&site.channel, CALLS);
    settle().await;
    let patient = hold(&site.channel, 3);
    settle().await;
    impatient.iter().for_each(JoinHandle::abort);
    running[..3].iter().for_each(JoinHandle::abort);
    running[2 * CALLS - 3..].iter().for_each(JoinHandle::abort);
    let begun = 2 * CALLS + 3 + 1;
    site.probe
        .until(|| site.probe.begun.load(Ordering::SeqCst) == begun)
        .await;
    let_go(&site.probe, patient).await;
}

/// Calls that come, wait, are answered and give up on several threads: none is forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_that_waits_is_forgotten() {
    const CALLERS: u64 = 600;
    for max in [1, 2, 4] {
        let site = busy(Medium::Memory, max).await;
        let calling = (0..CALLERS).map(|caller| {
            let channel = site.channel.clone();
            tokio::spawn(async move {
                for round in 0..60 {
                    let mut calling = call(&channel, &ask("echo")).into_future();
                    // Some give up after a few polls, wherever they are then.
                    let polls = match (caller + round) % 5 {
                        0 => (caller * 7 + round * 3) % 4,
                        _ => u64::MAX,
                    };
                    let mut left = polls;
                    let answer = poll_fn(|cx| match left.checked_sub(1) {
                        None => Poll::Ready(None),
                        Some(less) => {
                            left = less;
                            Pin::new(&mut calling).poll(cx).map(Some)
                        }
                    });
                    if let Some(answer) = answer.await {
                        assert!(answer.is_ok(), "{caller} {round}: {answer:?}");
                    }
                }
            })
        });
        let calling: Vec<_> = calling.collect();
        for calling in calling {
            let ended = tokio::time::timeout(MINUTE, calling).await;
            ended.expect("a call was forgotten").unwrap();
        }
        let seen = counts(&site.channel);
        assert_eq!(seen.opened_in_all(), max as u64, "{seen:?}");
        assert!(call(&site.channel, &ask("echo")).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_are_needed_no_more_go_and_come_back() {
    let site = busy(Medium::Memory, 4).await;
    for round in 1..=2 {
        let calling = hold(&site.channel, 4 * CALLS);
        site.probe.alive_is(4 * CALLS).await;
        assert_eq!(open(&site.channel), 4);
        let_go(&site.probe, calling).await;
        tokio::time::sleep(29 * SECOND).await;
        assert_eq!(open(&site.channel), 4);
        tokio::time::sleep(10 * SECOND).await;
        assert_eq!(open(&site.channel), 1);
        let counts = counts(&site.channel);
        assert_eq!(counts.ended_by(ConnectionEnd::Done), 3 * round);
        assert_eq!(
            (counts.reconnects, counts.opened_in_all()),
            (0, 3 * round + 1)
        );
        assert!(call(&site.channel, &ask("echo")).await.is_ok());
    }
}

/// How a place treats connections beyond the first.
#[derive(Clone, Copy, Debug)]
enum Beyond {
    /// Nobody answers.
    Refused,
    /// The link is made and ended before a hello.
    Cut,
    /// The link is made and nothing is said.
    Silent,
}

impl Beyond {
    /// Makes such a link, whose far end stays with those that are silent.
    fn dial(self, silent: &Mutex<Vec<MemoryLink>>) -> io::Result<BoxLink> {
        let (near, far) = memory::pair();
        match self {
            Self::Refused => return Err(io::ErrorKind::ConnectionRefused.into()),
            Self::Cut => {}
            Self::Silent => silent.lock().unwrap().push(far),
        }
        Ok(Box::new(near))
    }

    const fn failure(self) -> ConnectFailure {
        match self {
            Self::Refused => ConnectFailure::Dial,
            Self::Cut | Self::Silent => ConnectFailure::Hello,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_that_takes_one_connection_alone_harms_no_call() {
    for beyond in [Beyond::Refused, Beyond::Cut, Beyond::Silent] {
        let site = Site::with(Medium::Memory, Echo::default(), few_calls, |it| it).await;
        let (hub, dialled) = (site.hub.clone(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&dialled);
        let silent = Arc::new(Mutex::new(Vec::new()));
        let dial = move || {
            let link = match count.fetch_add(1, Ordering::SeqCst) {
                0 => hub.dial("test"),
                _ => beyond.dial(&silent),
            };
            async move { link }
        };
        let channel = Connector::new().connect_with("one alone", dial);
        assert!(call(&channel, &ask("echo")).await.is_ok());
        let calling = hold(&channel, CALLS + 5);
        site.probe.alive_is(CALLS).await;
        tokio::time::sleep(10 * MINUTE).await;
        // It is asked again, at ever longer intervals up to 20 s.
        let tries = dialled.load(Ordering::SeqCst) - 1;
        assert!((15..100).contains(&tries), "{beyond:?}: {tries}");
        let seen = counts(&channel);
        assert_eq!((seen.open[0].1, seen.opened_in_all()), (1, 1), "{beyond:?}");
        assert!(
            seen.failed_by(beyond.failure()) + 1 >= tries as u64,
            "{beyond:?}: {seen:?}"
        );
        let_go(&site.probe, calling).await;
        assert!(call(&channel, &ask("echo")).await.is_ok());
        // Nobody waits, so nobody asks.
        let tries = dialled.load(Ordering::SeqCst);
        tokio::time::sleep(10 * MINUTE).await;
        assert!(dialled.load(Ordering::SeqCst) <= tries + 1, "{beyond:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_go_on_where_the_server_restarts() {
    let mut site = busy(Medium::Memory, 2).await;
    let calling = hold(&site.channel, 2 * CALLS + 10);
    site.probe.alive_is(2 * CALLS).await;
    settle().await;
    site.stop();
    let echo = Echo::default();
    let probe = Arc::clone(&echo.probe);
    settle().await;
    let _serving = serve(&site.hub, "memory://test", echo, few_calls).await;
    let waited = tokio::time::timeout(MINUTE, probe.alive_is(10)).await;
    assert!(waited.is_ok(), "{:?}", counts(&site.channel));
    while calling.iter().any(|calling| !calling.is_finished()) {
        site.probe.gate.notify_waiters();
        probe.gate.notify_waiters();
        tokio::task::yield_now().await;
    }
    for calling in calling {
        assert_eq!(calling.await.unwrap(), Ok(()));
    }
}

#[tokio::test]
async fn a_connection_without_calls_is_closed_and_the_next_call_makes_another() {
    for medium in media!() {
        let idle = |it: Connector| it.idle_timeout(Duration::ZERO);
        let site = Site::with(medium, Echo::default(), |it| it, idle).await;
        assert!(call(&site.channel, &ask("echo")).await.is_ok());
        open_is(&site.channel, 0).await;
        let seen = counts(&site.channel);
        assert_eq!(
            seen.ended_by(ConnectionEnd::Done),
            1,
            "{medium:?}: {seen:?}"
        );
        assert!(
            call(&site.channel, &ask("echo")).await.is_ok(),
            "{medium:?}"
        );
        assert_eq!(counts(&site.channel).opened_in_all(), 2, "{medium:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_idle_after_the_time_and_up_to_a_quarter_more() {
    for timeout in [MINUTE, 30 * MINUTE] {
        let idle = |it: Connector| match timeout == 30 * MINUTE {
            true => it,
            false => it.idle_timeout(timeout),
        };
        let site = Site::with(Medium::Memory, Echo::default(), |it| it, idle).await;
        let calling = hold(&site.channel, 1);
        site.probe.alive_is(1).await;
        // A call that takes its time is use, and so are calls that come and go.
        tokio::time::sleep(3 * timeout).await;
        assert_eq!(open(&site.channel), 1);
        let_go(&site.probe, calling).await;
        for _ in 0..5 {
            tokio::time::sleep(timeout - SECOND).await;
            assert!(call(&site.channel, &ask("echo")).await.is_ok());
        }
        assert_eq!(counts(&site.channel).opened_in_all(), 1);
        tokio::time::sleep(timeout - Duration::from_millis(1)).await;
        assert_eq!(open(&site.channel), 1);
        tokio::time::sleep(timeout / 4 + Duration::from_millis(2)).await;
        assert_eq!(open(&site.channel), 0);
        assert!(call(&site.channel, &ask("echo")).await.is_ok());
        let seen = counts(&site.channel);
        assert_eq!((seen.opened_in_all(), seen.reconnects), (2, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_for_ever_if_that_is_asked() {
    let ever = |it: Connector| it.idle_timeout(Duration::MAX);
    let site = Site::with(Medium::Memory, Echo::default(), |it| it, ever).await;
    tokio::time::sleep(24 * 60 * MINUTE).await;
    assert_eq!(
        (open(&site.channel), counts(&site.channel).opened_in_all()),
        (1, 1)
    );
}

/// What runs on a bulk lane is nothing that lane 0 knows of.
#[tokio::test]
async fn a_stream_keeps_its_connection_on_a_medium_with_lanes() {
    let idle = |it: Connector| it.idle_timeout(SECOND);
    let site = Site::with(Medium::Quic, Echo::default(), |it| it, idle).await;
    let (notes, mut answers) = chat(&site.channel).await.unwrap();
    notes.send(ask("one")).await.unwrap();
    assert!(answers.next().await.unwrap().is_some());
    // Another channel with the same settings says when the time has passed, twice.
    let connector = site.connector().idle_timeout(SECOND);
    let other = connector.connect(&site.target).await.unwrap();
    for _ in 0..2 {
        assert!(call(&other, &ask("echo")).await.is_ok());
        open_is(&other, 0).await;
    }
    assert_eq!(open(&site.channel), 1);
    notes.send(ask("two")).await.unwrap();
    assert!(answers.next().await.unwrap().is_some());
    assert_eq!(counts(&site.channel).opened_in_all(), 1);
}

/// Calls that begin just when the connection is closed because nobody used it.
#[tokio::test(start_paused = true)]
async fn no_call_is_lost_to_a_connection_that_is_closed_because_it_was_idle() {
    let idle = |it: Connector| it.idle_timeout(SECOND);
    let site = Site::with(Medium::Memory, Echo::default(), |it| it, idle).await;
    for round in 0..2_000_u64 {
        // Every moment of the look and of the closing has its turn.
        tokio::time::sleep(Duration::from_micros(999_000 + round * 150)).await;
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
        let answer = call(&site.channel, &ask("echo")).await;
        assert!(answer.is_ok(), "{round}: {answer:?}");
    }
    let seen = counts(&site.channel);
    assert!(seen.opened_in_all() > 500, "{seen:?}");
    assert!(seen.ended_by(ConnectionEnd::Done) + 1 >= seen.opened_in_all());
}

#[tokio::test]
async fn a_connection_of_the_greatest_age_is_succeeded_and_ends_with_its_last_call() {
    for medium in media!() {
        let aged = |it: Connector| it.max_connection_age(Duration::ZERO);
        let site = Site::with(medium, Echo::default(), |it| it, aged).await;
        let calling = hold(&site.channel, 1);
        site.probe.alive_is(1).await;
        while counts(&site.channel).opened_in_all() < 3 {
            assert!(
                call(&site.channel, &ask("echo")).await.is_ok(),
                "{medium:?}"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The first one is still there, beside the one that is in use.
        let seen = counts(&site.channel);
        assert_eq!(seen.reconnects, 0, "{medium:?}: {seen:?}");
        assert!(open(&site.channel) >= 2, "{medium:?}: {seen:?}");
        let_go(&site.probe, calling).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_old_up_to_a_tenth_before_its_age() {
    let age = 10 * MINUTE;
    let aged = |it: Connector| it.max_connection_age(age);
    let mut seen_at = Vec::new();
    for _ in 0..8 {
        let site = Site::with(Medium::Memory, Echo::default(), |it| it, aged).await;
        tokio::time::sleep(9 * MINUTE - Duration::from_millis(2)).await;
        assert_eq!(counts(&site.channel).opened_in_all(), 1);
        let begun = tokio::time::Instant::now();
        while counts(&site.channel).opened_in_all() == 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(begun.elapsed() <= MINUTE + Duration::from_millis(5));
        seen_at.push(begun.elapsed());
        open_is(&site.channel, 1).await;
        assert_eq!(counts(&site.channel).ended_by(ConnectionEnd::Done), 1);
    }
    seen_at.sort();
    seen_at.dedup();
    assert!(
        seen_at.len() > 1,
        "they all came back together: {seen_at:?}"
    );
}

/// However short the age, a successor is made no sooner than a second after the one before it.
#[tokio::test(start_paused = true)]
async fn a_connection_is_a_second_old_before_it_is_succeeded() {
    let aged = |it: Connector| it.max_connection_age(Duration::ZERO);
    let site = Site::with(Medium::Memory, Echo::default(), |it| it, aged).await;
    let mut last = tokio::time::Instant::now();
    for made in 2..=6 {
        while counts(&site.channel).opened_in_all() < made {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let lived = last.elapsed();
        last = tokio::time::Instant::now();
        let slack = Duration::from_millis(5);
        assert!(
            (SECOND - slack..SECOND + slack).contains(&lived),
            "{lived:?}"
        );
    }
}

/// A link that asks for a successor as soon as it is told to.
#[derive(Debug)]
struct Retiring {
    link: MemoryLink,
    told: Option<oneshot::Receiver<()>>,
}

impl AsyncRead for Retiring {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Retiring {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.link).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_shutdown(cx)
    }
}

impl Link for Retiring {
    fn peer(&self) -> String {
        self.link.peer()
    }

    fn retirement(&mut self) -> Option<Retirement> {
        let told = self.told.take()?;
        Some(Box::pin(async move { told.await.is_ok() }))
    }
}

/// What tells the links of a channel to ask for successors, in the order in which they were made.
type Tell = Arc<Mutex<Vec<Option<oneshot::Sender<()>>>>>;

/// A channel whose links can be told to ask for successors.
async fn retiring(site: &Site) -> (Channel, Tell) {
    let (hub, tell) = (site.hub.clone(), Tell::default());
    let senders = Arc::clone(&tell);
    let dial = move || {
        let (sender, told) = oneshot::channel();
        senders.lock().unwrap().push(Some(sender));
        let (near, far) = memory::pair();
        let far_end = hub.dial("test");
        async move {
            let mut far_end = far_end?;
            let mut far = far;
            tokio::spawn(async move { copy_bidirectional(&mut far, &mut far_end).await });
            Ok(Box::new(Retiring {
                link: near,
                told: Some(told),
            }) as BoxLink)
        }
    };
    let channel = Connector::new().connect_with("retiring", dial);
    assert!(call(&channel, &ask("echo")).await.is_ok());
    (channel, tell)
}

/// However soon a link asks for a successor, that comes a second after it at the earliest.
#[tokio::test(start_paused = true)]
async fn a_link_that_asks_for_a_successor_is_a_second_old_before_that() {
    let site = Site::new(Medium::Memory).await;
    let (channel, tell) = retiring(&site).await;
    let slack = Duration::from_millis(5);
    for (asked_after, succeeded_after) in [
        (Duration::ZERO, SECOND),
        (SECOND / 2, SECOND),
        (SECOND, SECOND),
        (3 * SECOND, 3 * SECOND),
    ] {
        let made = counts(&channel).opened_in_all();
        let begun = tokio::time::Instant::now();
        tokio::time::sleep(asked_after).await;
        let last = tell.lock().unwrap().last_mut().unwrap().take().unwrap();
        last.send(()).unwrap();
        while counts(&channel).opened_in_all() == made {
            assert!(begun.elapsed() < MINUTE);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let after = begun.elapsed();
        let expected = succeeded_after - slack..succeeded_after + slack;
        assert!(expected.contains(&after), "{asked_after:?}: {after:?}");
        open_is(&channel, 1).await;
    }
}

/// Of several connections the one that is to go is no longer given calls, and needs no successor.
#[tokio::test(start_paused = true)]
async fn of_several_connections_each_may_go_and_its_calls_finish() {
    for goes in [0, 1] {
        let site = Site::with(Medium::Memory, Echo::default(), few_calls, |it| it).await;
        let (channel, tell) = retiring(&site).await;
        let calling = hold(&channel, 2 * CALLS);
        site.probe.alive_is(2 * CALLS).await;
        assert_eq!(open(&channel), 2);
        tokio::time::sleep(2 * SECOND).await;
        let told = tell.lock().unwrap()[goes].take().unwrap();
        told.send(()).unwrap();
        tokio::time::sleep(SECOND).await;
        // Both are full still, and whoever comes now has another one.
        let more = hold(&channel, CALLS);
        site.probe.alive_is(3 * CALLS).await;
        assert_eq!(open(&channel), 3, "{goes}");
        let_go(&site.probe, calling).await;
        let_go(&site.probe, more).await;
        assert_eq!(counts(&channel).failed_by(ConnectFailure::Dial), 0);
    }
}

/// There are as many connections as allowed until one of them is to go.
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_has_another_opened_for_one_that_goes() {
    const MAX: usize = 4;
    let site = Site::with(Medium::Memory, Echo::default(), few_calls, |it| it).await;
    let (channel, tell) = retiring(&site).await;
    let calling = hold(&channel, MAX * CALLS + 1);
    site.probe.alive_is(MAX * CALLS).await;
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(site.probe.alive.load(Ordering::SeqCst), MAX * CALLS);
    let told = tell.lock().unwrap()[0].take().unwrap();
    told.send(()).unwrap();
    let all = tokio::time::timeout(MINUTE, site.probe.alive_is(MAX * CALLS + 1)).await;
    assert!(all.is_ok(), "{:?}", counts(&channel));
    let_go(&site.probe, calling).await;
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_goes_on_where_no_other_can_be_made() {
    for beyond in [Beyond::Refused, Beyond::Cut, Beyond::Silent] {
        let site = Site::new(Medium::Memory).await;
        let (hub, dialled) = (site.hub.clone(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&dialled);
        let silent = Arc::new(Mutex::new(Vec::new()));
        let dial = move || {
            let may = !(1..10).contains(&count.fetch_add(1, Ordering::SeqCst));
            let link = match may {
                true => hub.dial("test"),
                false => beyond.dial(&silent),
            };
            async move { link }
        };
        let channel = Connector::new()
            .max_connection_age(MINUTE)
            .connect_with("unwilling", dial);
        while dialled.load(Ordering::SeqCst) <= 10 {
            let answer = call(&channel, &ask("echo")).await;
            assert!(answer.is_ok(), "{beyond:?}: {answer:?}");
            tokio::time::sleep(SECOND).await;
        }
        let seen = counts(&channel);
        assert_eq!(seen.failed_by(beyond.failure()), 9, "{beyond:?}");
        assert_eq!((seen.opened_in_all(), seen.reconnects), (2, 0));
    }
}
