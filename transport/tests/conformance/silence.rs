//! Endpoints that give no sign of life for a while, beside others.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dreammesh_core::balance::Policy;
use dreammesh_core::call::{CallError, MethodInfo, Response};
use dreammesh_core::channel::{Channel, UnaryCall};
use dreammesh_core::resolve::Fixed;
use dreammesh_core::wkt::Any;
use dreammesh_transport::link::memory::MemoryHub;
use dreammesh_transport::{Connector, Stopped};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::echo::{Echo, IDEMPOTENT, Probe, UNARY, ask};
use crate::media::serve;

/// A server that can be stopped: what is sent to it, and what it sends, waits until it goes on.
struct Stoppable {
    target: String,
    probe: Arc<Probe>,
    stopped: watch::Sender<bool>,
    _relaying: JoinSet<()>,
    _serving: (oneshot::Sender<()>, JoinHandle<Stopped>),
}

impl Stoppable {
    async fn new(hub: &MemoryHub, name: &'static str) -> Self {
        let echo = Echo::default();
        let probe = Arc::clone(&echo.probe);
        let (_, stop, serving) = serve(hub, &format!("memory://{name}"), echo, |it| it).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!("dreammesh+tcp://{}", listener.local_addr().unwrap());
        let stopped = watch::Sender::new(false);
        let (hub, told) = (hub.clone(), stopped.subscribe());
        let mut relaying = JoinSet::new();
        relaying.spawn(async move {
            let mut wires = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = tokio::io::split(hub.dial(name).unwrap());
                wires.spawn(pass_on(near_in, far_out, told.clone()));
                wires.spawn(pass_on(far_in, near_out, told.clone()));
            }
        });
        Self {
            target,
            probe,
            stopped,
            _relaying: relaying,
            _serving: (stop, serving),
        }
    }

    fn stop(&self, stops: bool) {
        self.stopped.send_replace(stops);
    }

    fn begun(&self) -> usize {
        self.probe.begun.load(Ordering::SeqCst)
    }
}

async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut stopped: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if stopped.wait_for(|stopped| !stopped).await.is_err() {
            return;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
    // The end, too, is told only by those who run.
    let _ = stopped.wait_for(|stopped| !stopped).await;
    let _ = to.shutdown().await;
}

/// A channel to some servers, each of which is connected and has begun no call that is counted.
async fn channel(hub: &MemoryHub, servers: &[&Stoppable]) -> Channel {
    let connector = Connector::new().memory(hub);
    let endpoints = Fixed::new(servers.iter().map(|it| it.target.as_str()));
    let channel = connector.balanced("mesh://echo", Policy::RoundRobin, endpoints);
    let channel = channel.build();
    // The first calls go to whoever is connected first.
    while servers.iter().any(|it| it.begun() == 0) {
        make(&channel, &UNARY, "echo").await.unwrap().unwrap();
    }
    for server in servers {
        server.probe.begun.store(0, Ordering::SeqCst);
    }
    channel
}

type Made = JoinHandle<Result<Response<Any>, CallError>>;

fn make(channel: &Channel, method: &'static MethodInfo, what: &str) -> Made {
    tokio::spawn(UnaryCall::<Any>::new(channel, method, ask(what)).into_future())
}

/// Longer than it takes to find out that somebody is silent, and shorter than the keepalive's time.
const LONG: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn calls_that_may_be_made_again_leave_a_server_that_is_silent_and_others_wait_for_it() {
    let hub = MemoryHub::new();
    let well = Stoppable::new(&hub, "well").await;
    let stopped = Stoppable::new(&hub, "stopped").await;
    let channel = channel(&hub, &[&well, &stopped]).await;
    stopped.stop(true);
    let began = Instant::now();
    let repeatable: Vec<_> = (0..6)
        .map(|_| make(&channel, &IDEMPOTENT, "echo"))
        .collect();
    let others: Vec<_> = (0..6).map(|_| make(&channel, &UNARY, "echo")).collect();
    for made in repeatable {
        made.await.unwrap().unwrap();
    }
    let took = began.elapsed();
    assert!(
        (Duration::from_secs(1)..Duration::from_millis(1_500)).contains(&took),
        "{took:?}"
    );
    // Nobody is given to it any more, by any policy.
    for _ in 0..20 {
        make(&channel, &UNARY, "echo").await.unwrap().unwrap();
    }
    assert!(began.elapsed() - took < Duration::from_millis(100));
    tokio::time::sleep(LONG).await;
    let waiting = others.iter().filter(|made| !made.is_finished()).count();
    assert_eq!((waiting, stopped.begun()), (3, 0));
    let stalls: u64 = channel.connections().iter().map(|it| it.stalls).sum();
    assert_eq!(stalls, 1);
    // When it goes on, whoever waited is answered, and it has its part again.
    stopped.stop(false);
    for made in others {
        made.await.unwrap().unwrap();
    }
    let before = stopped.begun();
    for _ in 0..40 {
        make(&channel, &UNARY, "echo").await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(stopped.begun() > before);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_long_and_lives_is_left_by_nobody() {
    let hub = MemoryHub::new();
    let servers = [
        Stoppable::new(&hub, "one").await,
        Stoppable::new(&hub, "other").await,
    ];
    let channel = channel(&hub, &[&servers[0], &servers[1]]).await;
    let made: Vec<_> = (0..4)
        .map(|_| make(&channel, &IDEMPOTENT, "gate"))
        .collect();
    tokio::time::sleep(6 * LONG).await;
    assert!(made.iter().all(|made| !made.is_finished()));
    for server in &servers {
        assert_eq!(server.begun(), 2);
        server.probe.gate.notify_waiters();
    }
    for made in made {
        made.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_a_server_beside_which_there_is_no_other() {
    let hub = MemoryHub::new();
    let only = Stoppable::new(&hub, "only").await;
    let channel = channel(&hub, &[&only]).await;
    only.stop(true);
    let made = make(&channel, &IDEMPOTENT, "echo");
    tokio::time::sleep(LONG).await;
    assert!(!made.is_finished());
    only.stop(false);
    made.await.unwrap().unwrap();
    assert_eq!(only.begun(), 1);
    assert_eq!(channel.connections()[0].reconnects, 0);
}
