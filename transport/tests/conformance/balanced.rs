//! Channels whose calls go to several endpoints, as a resolver names them.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use dreammesh_core::balance::Policy;
use dreammesh_core::call::{Begun, Code, Endpoint, Response};
use dreammesh_core::channel::{CallFuture, Channel, UnaryCall};
use dreammesh_core::resolve::{Fixed, ResolvedEndpoint, Resolver};
use dreammesh_core::wkt::Any;
use dreammesh_transport::link::memory::MemoryHub;
use dreammesh_transport::{Connector, ServerBuilder, Stopped};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::certificates;
use crate::echo::{Echo, IDEMPOTENT, Probe, ask, call, list};
use crate::media::serve;
use crate::tcp_relay::{Conduct, TcpRelay};

/// Says what it is told to say.
#[derive(Debug)]
struct Told(mpsc::UnboundedReceiver<Vec<ResolvedEndpoint>>);

impl Resolver for Told {
    fn poll_endpoints(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<ResolvedEndpoint>>> {
        self.0.poll_recv(cx)
    }
}

/// A server, with what its handlers saw.
struct Replica {
    target: String,
    probe: Arc<Probe>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Stopped>,
}

impl Replica {
    async fn new(hub: &MemoryHub, address: &str) -> Self {
        let echo = Echo::default();
        let probe = Arc::clone(&echo.probe);
        let (target, stop, serving) = serve(hub, address, echo, |server| server).await;
        Self {
            target,
            probe,
            stop,
            serving,
        }
    }

    fn begun(&self) -> usize {
        self.probe.begun.load(Ordering::SeqCst)
    }

    fn resolved(&self) -> ResolvedEndpoint {
        resolved(&self.target)
    }
}

fn resolved(target: &str) -> ResolvedEndpoint {
    ResolvedEndpoint::new(target, Endpoint::new(target))
}

/// Replicas of one service, and a channel to them.
struct Mesh {
    replicas: Vec<Replica>,
    tell: mpsc::UnboundedSender<Vec<ResolvedEndpoint>>,
    channel: Channel,
}

impl Mesh {
    /// So many in the process, nobody told of them yet.
    async fn new(count: usize) -> Self {
        Self::with(count, Policy::default()).await
    }

    async fn with(count: usize, policy: Policy) -> Self {
        let hub = MemoryHub::new();
        let mut replicas = Vec::new();
        for at in 0..count {
            replicas.push(Replica::new(&hub, &format!("memory://{at}")).await);
        }
        let (tell, told) = mpsc::unbounded_channel();
        let connector = Connector::new().memory(&hub).tls(certificates::pair().1);
        let channel = connector.balanced("mesh://echo", policy, Told(told));
        Self {
            replicas,
            tell,
            channel: channel.build(),
        }
    }

    fn tell(&self, endpoints: Vec<ResolvedEndpoint>) {
        self.tell.send(endpoints).unwrap();
    }

    fn tell_of_all(&self) {
        self.tell(self.replicas.iter().map(Replica::resolved).collect());
    }

    fn begun(&self) -> Vec<usize> {
        self.replicas.iter().map(Replica::begun).collect()
    }
}

async fn calls(channel: &Channel, count: usize) {
    for _ in 0..count {
        call(channel, &ask("echo")).await.unwrap();
    }
}

/// Lets tasks run until they have nothing to do.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn calls_are_spread_over_the_endpoints_by_their_weights() {
    for (policy, weights, expected) in [
        (Policy::RoundRobin, [1, 1, 1], [100, 100, 100]),
        (Policy::RoundRobin, [2, 1, 0], [200, 100, 0]),
    ] {
        let mesh = Mesh::with(3, policy).await;
        let endpoints = mesh.replicas.iter().zip(weights);
        mesh.tell(
            endpoints
                .map(|(it, weight)| it.resolved().weight(weight))
                .collect(),
        );
        // The first ones go where there is a connection.
        calls(&mesh.channel, 30).await;
        let before = mesh.begun();
        calls(&mesh.channel, 300).await;
        let begun = mesh.begun();
        for (at, expected) in expected.into_iter().enumerate() {
            let begun = begun[at] - before[at];
            assert!(
                begun.abs_diff(expected) <= 2,
                "{weights:?}: {begun} for {expected}"
            );
        }
    }
}

#[tokio::test]
async fn calls_wait_for_the_resolver_and_for_an_endpoint() {
    let mesh = Mesh::new(1).await;
    let calling = tokio::spawn(call(&mesh.channel, &ask("echo")).into_future());
    settle().await;
    assert!(!calling.is_finished());
    mesh.tell(Vec::new());
    let error = calling.await.unwrap().unwrap_err();
    assert_eq!(
        (error.code(), error.begun()),
        (Code::Unavailable, Begun::No)
    );
    let text = error.status().message();
    assert_eq!(text, "mesh://echo has no endpoint at the moment");
    let patient = call(&mesh.channel, &ask("echo")).wait_for_ready(true);
    let patient = tokio::spawn(patient.into_future());
    settle().await;
    assert!(!patient.is_finished());
    mesh.tell_of_all();
    patient.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_deadline_passes_while_a_call_waits() {
    let mesh = Mesh::new(1).await;
    let timeout = Duration::from_millis(250);
    let waits = call(&mesh.channel, &ask("echo")).timeout(timeout).await;
    assert_eq!(waits.unwrap_err().code(), Code::DeadlineExceeded);
    mesh.tell(vec![resolved("memory://nobody")]);
    let waits = call(&mesh.channel, &ask("echo")).wait_for_ready(true);
    assert_eq!(
        waits.timeout(timeout).await.unwrap_err().code(),
        Code::DeadlineExceeded
    );
    // Nothing stays behind: the next ones find their way.
    mesh.tell_of_all();
    settle().await;
    calls(&mesh.channel, 10).await;
}

#[tokio::test]
async fn calls_that_are_given_up_while_they_wait_leave_nothing_behind() {
    let mesh = Mesh::new(2).await;
    for _ in 0..100 {
        let calling = tokio::spawn(call(&mesh.channel, &ask("echo")).into_future());
        tokio::task::yield_now().await;
        calling.abort();
        let _ = calling.await;
    }
    mesh.tell_of_all();
    calls(&mesh.channel, 100).await;
    assert_eq!(mesh.begun().iter().sum::<usize>(), 100);
}

#[tokio::test]
async fn endpoints_that_nobody_serves_fail_no_call() {
    for policy in [Policy::PeakEwma, Policy::RoundRobin, Policy::Random] {
        let mesh = Mesh::with(1, policy).await;
        let nobody = ["memory://a", "memory://b", "memory://c", "memory://d"];
        let endpoints = nobody.map(resolved).into_iter();
        mesh.tell(endpoints.chain([mesh.replicas[0].resolved()]).collect());
        calls(&mesh.channel, 200).await;
        assert_eq!(mesh.begun(), [200]);
    }
}

#[tokio::test]
async fn a_patient_call_looks_beyond_the_endpoints_that_it_asked_first() {
    let mesh = Mesh::new(1).await;
    let dead = (0..8).map(|at| resolved(&format!("memory://dead{at}")).weight(1_000));
    mesh.tell(dead.chain([mesh.replicas[0].resolved()]).collect());
    for _ in 0..20 {
        let patient = call(&mesh.channel, &ask("echo")).wait_for_ready(true);
        patient.await.unwrap();
    }
}

#[tokio::test]
async fn one_that_is_connected_is_found_among_many_that_cannot_be_reached() {
    for policy in [Policy::PeakEwma, Policy::RoundRobin, Policy::Random] {
        let mesh = Mesh::with(1, policy).await;
        mesh.tell_of_all();
        calls(&mesh.channel, 1).await;
        let dead = (0..60).map(|at| resolved(&format!("memory://dead{at}")));
        mesh.tell(dead.chain([mesh.replicas[0].resolved()]).collect());
        calls(&mesh.channel, 200).await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_go_to_the_endpoints_of_a_new_set() {
    let mesh = Mesh::new(1).await;
    for patient in [false, true] {
        // Nobody answers there, so that they stay in the midst of being dialled.
        let silent: Vec<_> = (0..4).map(silent).collect();
        mesh.tell(silent.iter().map(|(_, it)| it.clone()).collect());
        settle().await;
        let calling = call(&mesh.channel, &ask("echo")).wait_for_ready(patient);
        let calling = tokio::spawn(calling.into_future());
        settle().await;
        assert!(!calling.is_finished());
        let since = tokio::time::Instant::now();
        mesh.tell_of_all();
        calling.await.unwrap().unwrap();
        assert!(since.elapsed() < Duration::from_secs(1));
    }
}

/// A port that takes connections and says nothing on them.
fn silent(_: usize) -> (std::net::TcpListener, ResolvedEndpoint) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let target = format!("dreammesh+tls://{address}");
    (listener, resolved(&target))
}

#[tokio::test]
async fn when_nobody_can_be_reached_the_last_reason_is_told() {
    let mesh = Mesh::new(0).await;
    mesh.tell(vec![resolved("memory://a"), resolved("memory://b")]);
    let error = call(&mesh.channel, &ask("echo")).await.unwrap_err();
    assert_eq!(
        (error.code(), error.begun()),
        (Code::Unavailable, Begun::No)
    );
    assert!(error.status().message().contains("memory://"), "{error}");
}

#[tokio::test]
async fn an_endpoint_that_leaves_finishes_its_calls_and_gets_no_more() {
    let mesh = Mesh::with(2, Policy::RoundRobin).await;
    mesh.tell_of_all();
    calls(&mesh.channel, 20).await;
    let held: Vec<_> = (0..10)
        .map(|_| tokio::spawn(call(&mesh.channel, &ask("gate")).into_future()))
        .collect();
    let leaves = &mesh.replicas[0];
    leaves
        .probe
        .until(|| leaves.probe.alive.load(Ordering::SeqCst) > 0)
        .await;
    mesh.tell(vec![mesh.replicas[1].resolved()]);
    settle().await;
    let before = leaves.begun();
    calls(&mesh.channel, 50).await;
    assert_eq!(leaves.begun(), before);
    for replica in &mesh.replicas {
        replica.probe.gate.notify_waiters();
    }
    for held in held {
        held.await.unwrap().unwrap();
    }
    assert_eq!(mesh.channel.connections().len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_comes_gets_calls_and_the_others_keep_their_connections() {
    let mesh = Mesh::new(3).await;
    mesh.tell(mesh.replicas[..2].iter().map(Replica::resolved).collect());
    calls(&mesh.channel, 50).await;
    assert_eq!(mesh.replicas[2].begun(), 0);
    mesh.tell_of_all();
    settle().await;
    calls(&mesh.channel, 500).await;
    assert!(mesh.replicas[2].begun() > 0);
    for counts in mesh.channel.connections() {
        assert_eq!(counts.reconnects, 0, "{counts:?}");
        let open: u64 = counts.open.iter().map(|(_, count)| count).sum();
        assert_eq!(open, 1, "{counts:?}");
    }
}

#[tokio::test]
async fn a_server_that_stops_loses_no_call() {
    let mut mesh = Mesh::new(3).await;
    mesh.tell_of_all();
    calls(&mesh.channel, 30).await;
    let channel = mesh.channel.clone();
    let (stop, mut stopped) = oneshot::channel::<()>();
    let calling = tokio::spawn(async move {
        let mut count = 0;
        while stopped.try_recv().is_err() {
            calls(&channel, 10).await;
            count += 10;
        }
        count
    });
    // The resolver does not say anything of it.
    for _ in 0..2 {
        let replica = mesh.replicas.remove(0);
        replica.stop.send(()).unwrap();
        replica.serving.await.unwrap();
        settle().await;
    }
    stop.send(()).unwrap();
    assert!(calling.await.unwrap() > 0);
    calls(&mesh.channel, 30).await;
}

#[tokio::test]
async fn an_idempotent_call_whose_connection_is_cut_is_made_elsewhere() {
    let hub = MemoryHub::new();
    let (mut relays, mut endpoints, mut replicas) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..2 {
        let replica = Replica::new(&hub, "dreammesh+tcp://127.0.0.1:0").await;
        let (_, address) = replica.target.split_once("://").unwrap();
        let relay = TcpRelay::new(address.parse().unwrap(), Conduct::CALM, 1).await;
        endpoints.push(resolved(&relay.in_place_of(&replica.target)));
        relays.push(relay);
        replicas.push(replica);
    }
    let (tell, told) = mpsc::unbounded_channel();
    let channel = Connector::new().balanced("mesh://echo", Policy::RoundRobin, Told(told));
    let channel = channel.build();
    tell.send(endpoints).unwrap();
    calls(&channel, 20).await;
    let gate = |method| UnaryCall::<Any>::new(&channel, method, ask("gate"));
    for (method, is_made_again) in [(&IDEMPOTENT, true), (&crate::echo::UNARY, false)] {
        let calling = tokio::spawn(gate(method).into_future());
        let alive = |at: usize| replicas[at].probe.alive.load(Ordering::SeqCst);
        while alive(0) + alive(1) == 0 {
            tokio::task::yield_now().await;
        }
        let at = usize::from(alive(1) > 0);
        relays[at].cut();
        if is_made_again {
            // On the other one, since this one has failed.
            replicas[1 - at].probe.alive_is(1).await;
            replicas[1 - at].probe.gate.notify_waiters();
            calling.await.unwrap().unwrap();
        } else {
            let error = calling.await.unwrap().unwrap_err();
            assert_eq!(
                (error.code(), error.begun()),
                (Code::Unavailable, Begun::Maybe)
            );
        }
        replicas[at].probe.alive_is(0).await;
    }
    let repeated = |channel: &Channel| -> u64 {
        let counts = channel.connections();
        counts.iter().map(|counts| counts.calls_repeated).sum()
    };
    assert_eq!(repeated(&channel), 1);
}

#[tokio::test]
async fn what_a_handler_cannot_do_is_asked_of_every_endpoint_once() {
    for count in [1, 2] {
        let mesh = Mesh::with(count, Policy::RoundRobin).await;
        mesh.tell_of_all();
        calls(&mesh.channel, 10).await;
        let before: usize = mesh.begun().iter().sum();
        let busy = ask("busy in the end");
        let calling = UnaryCall::<Any>::new(&mesh.channel, &IDEMPOTENT, &busy);
        let calling = tokio::spawn(calling.into_future());
        while !calling.is_finished() {
            let gates = mesh.replicas.iter().map(|replica| &replica.probe.gate);
            gates.for_each(tokio::sync::Notify::notify_waiters);
            tokio::task::yield_now().await;
        }
        let error = calling.await.unwrap().unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
        assert_eq!(mesh.begun().iter().sum::<usize>() - before, count);
    }
}

#[tokio::test]
async fn streams_go_to_endpoints_too() {
    let mesh = Mesh::with(2, Policy::RoundRobin).await;
    mesh.tell_of_all();
    calls(&mesh.channel, 10).await;
    for _ in 0..10 {
        let mut items = list(&mesh.channel, 3, 10).await.unwrap();
        let mut count = 0;
        while items.next().await.unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 3);
    }
    for replica in &mesh.replicas {
        assert_eq!(replica.probe.sent.load(Ordering::SeqCst), 15);
    }
}

#[tokio::test]
async fn to_connect_waits_for_an_endpoint_and_says_why_there_is_none() {
    let hub = MemoryHub::new();
    let replica = Replica::new(&hub, "memory://there").await;
    let connector = Connector::new().memory(&hub);
    let connect = async |endpoints| {
        let (tell, told) = mpsc::unbounded_channel();
        tell.send(endpoints).unwrap();
        let connecting = connector.connect_balanced("mesh://echo", Policy::default(), Told(told));
        connecting.await.map_err(|error| error.to_string())
    };
    let channel = connect(vec![resolved("memory://a"), replica.resolved()]).await;
    calls(&channel.unwrap(), 10).await;
    let error = connect(Vec::new()).await.unwrap_err();
    assert_eq!(error, "mesh://echo has no endpoint at the moment");
    let error = connect(vec![resolved("memory://a"), resolved("what is this")]).await;
    assert!(error.unwrap_err().contains("memory://a"));
}

/// A call that is polled by hand, and whether it was woken since.
struct ByHand {
    calling: CallFuture<Response<Any>>,
    woken: Arc<Woken>,
}

#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl ByHand {
    /// One that stays until it is let go, and that has to wait.
    fn waits(channel: &Channel) -> Self {
        let mut waits = Self {
            calling: call(channel, &ask("gate")).into_future(),
            woken: Arc::default(),
        };
        waits.poll();
        waits
    }

    fn poll(&mut self) {
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut cx = Context::from_waker(&waker);
        assert!(Pin::new(&mut self.calling).poll(&mut cx).is_pending());
    }

    fn was_woken(&self) -> bool {
        self.woken.0.swap(false, Ordering::SeqCst)
    }
}

#[tokio::test]
async fn calls_that_wait_keep_their_places_and_hand_on_the_turns_that_they_had() {
    /// The least that a server may announce.
    const CALLS: usize = 64;
    let (hub, echo) = (MemoryHub::new(), Echo::default());
    let probe = Arc::clone(&echo.probe);
    let few = |server: ServerBuilder| server.max_concurrent_calls(CALLS as u32);
    let (target, _stop, _serving) = serve(&hub, "memory://full", echo, few).await;
    let connector = Connector::new().memory(&hub).tls(certificates::pair().1);
    // Where there may be one alone, calls wait there instead of at the channel.
    let connector = connector.max_connections_per_endpoint(2);
    let endpoints = Fixed::new([target.as_str()]);
    let channel = connector.balanced("mesh://echo", Policy::default(), endpoints);
    let channel = channel.build();
    calls(&channel, 1).await;
    let running: Vec<_> = (0..2 * CALLS)
        .map(|_| tokio::spawn(call(&channel, &ask("gate")).into_future()))
        .collect();
    probe.alive_is(2 * CALLS).await;
    let mut first = ByHand::waits(&channel);
    let mut second = ByHand::waits(&channel);
    let mut third = ByHand::waits(&channel);
    // One that gives up before its turn leaves nothing to the others.
    drop(ByHand::waits(&channel));
    settle().await;
    assert!(!first.was_woken() && !second.was_woken() && !third.was_woken());
    // The first takes the only room, and the second asks before anybody says that it is gone.
    running[0].abort();
    settle().await;
    assert!(first.was_woken());
    first.poll();
    second.poll();
    settle().await;
    assert!(!second.was_woken() && !third.was_woken());
    running[1].abort();
    settle().await;
    assert!(second.was_woken() && !third.was_woken());
    // Its turn goes to the next one when it is given up.
    drop(second);
    assert!(third.was_woken());
    third.poll();
    probe.alive_is(2 * CALLS).await;
}
