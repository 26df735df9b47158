//! Places, ages and peers that do not read: what a server bounds beside its calls.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use dreammesh_core::wkt::Any;
use dreammesh_transport::link::{BoxLink, memory};
use dreammesh_transport::{Connector, MemoryHub, Server, ServerBuilder};
use h2::Reason;
use h2::client::{ResponseFuture, SendRequest};
use http::{Method, Request};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::echo::{Echo, EchoServer, ask, call};
use crate::media::{Medium, Site};

const BOUND: Duration = Duration::from_secs(5);
const MOMENT: Duration = Duration::from_millis(1);

/// A site whose server waits so long for a peer.
async fn patient(more: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Site {
    let server = |server: ServerBuilder| more(server.hello_timeout(BOUND));
    Site::with(Medium::Memory, Echo::default(), server, |it| it).await
}

/// Asks by HTTP/1 without end, and gives the half on which the answers come, and when the server
/// has closed.
fn asks_without_end(site: &Site) -> (ReadHalf<BoxLink>, impl Future<Output = Duration>) {
    let link: BoxLink = site.hub.dial("test").unwrap();
    let begun = Instant::now();
    let (read, mut write) = tokio::io::split(link);
    let asking = tokio::spawn(async move {
        let some = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(64);
        while write.write_all(&some).await.is_ok() {}
        begun.elapsed()
    });
    (read, async { asking.await.unwrap() })
}

#[tokio::test(start_paused = true)]
async fn a_peer_of_http_1_that_does_not_read_is_closed_in_time() {
    let site = patient(|it| it).await;
    let (_read, closed) = asks_without_end(&site);
    let lived = timeout(BOUND * 10, closed).await.unwrap();
    assert!((BOUND..BOUND + 2 * MOMENT).contains(&lived), "{lived:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_of_http_1_that_reads_in_time_is_served() {
    let site = patient(|it| it).await;
    let (mut read, closed) = asks_without_end(&site);
    let mut closed = std::pin::pin!(closed);
    let mut answers = vec![0; 1 << 20];
    for _ in 0..5 {
        tokio::select! {
            () = tokio::time::sleep(BOUND - MOMENT) => {}
            lived = &mut closed => panic!("it was closed after {lived:?}"),
        }
        let count = read.read(&mut answers).await.unwrap();
        assert!(
            answers[..count]
                .windows(12)
                .any(|some| some == b"HTTP/1.1 404")
        );
    }
    // From here on it reads no more.
    let last = Instant::now();
    closed.await;
    let lived = last.elapsed();
    assert!((BOUND..BOUND + 2 * MOMENT).contains(&lived), "{lived:?}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_go_when_it_is_retired_is_ended() {
    let (age, drain) = (Duration::from_secs(10), Duration::from_secs(3));
    /// `CLOSE_PERIOD` of the accept loop.
    const CLOSE: Duration = Duration::from_secs(2);
    let site = patient(|it| it.max_connection_age(age).drain_period(drain)).await;
    let (mut read, closed) = asks_without_end(&site);
    // So slowly that the answers under way alone would take hours.
    let reading = async move {
        loop {
            tokio::time::sleep(BOUND - MOMENT).await;
            let _ = read.read_u8().await;
        }
    };
    let lived = tokio::select! {
        lived = timeout(age * 10, closed) => lived.unwrap(),
        () = reading => unreachable!("it goes on"),
    };
    // A connection lives up to a tenth less than it may.
    let end = age + drain + CLOSE;
    assert!(
        (end - age / 10..=end + 2 * MOMENT).contains(&lived),
        "{lived:?}"
    );
}

/// Begins a tunnel.
async fn tunnel(requests: &SendRequest<Bytes>) -> (ResponseFuture, h2::SendStream<Bytes>) {
    let request = Request::builder()
        .method(Method::POST)
        .uri("http://x/dreammesh.Tunnel/Session")
        .header("content-type", "application/dreammesh-session");
    let mut ready = requests.clone().ready().await.unwrap();
    ready
        .send_request(request.body(()).unwrap(), false)
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_takes_a_place_and_one_beyond_is_refused() {
    // One for the site's channel, one for the connection of HTTP/2, and one that is kept for
    // whoever connects next.
    const TUNNELS: usize = 2;
    let server = |it: ServerBuilder| it.max_connections(3 + TUNNELS);
    let site = Site::with(Medium::Memory, Echo::default(), server, |it| it).await;
    let link = site.hub.dial("test").unwrap();
    let (requests, connection) = h2::client::handshake(link).await.unwrap();
    let driven = tokio::spawn(async move { drop(connection.await) });
    let mut tunnels = Vec::new();
    for _ in 0..TUNNELS {
        let (answer, send) = tunnel(&requests).await;
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        tunnels.push((answer, send));
    }
    let refused = tunnel(&requests).await.0.await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::REFUSED_STREAM));
    // The place of one that has ended is free again.
    tunnels.pop();
    let mut attempts = 0;
    while tunnel(&requests).await.0.await.is_err() {
        attempts += 1;
        assert!(attempts < 1_000, "the place is not free again");
    }
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
    driven.abort();
}

#[tokio::test(start_paused = true)]
async fn a_listener_to_which_nobody_comes_takes_no_place_of_anothers() {
    for target in ["memory://one", "memory://other"] {
        let hub = MemoryHub::new();
        let builder = Server::builder().service(EchoServer(Arc::new(Echo::default())));
        let builder = builder.memory(&hub).max_connections(1);
        let server = builder.bind("memory://one").await.unwrap();
        let server = server.bind("memory://other").await.unwrap();
        let serving = tokio::spawn(server.serve());
        let connect = async || {
            let connector = Connector::new().memory(&hub).connect_timeout(BOUND);
            connector.connect(target).await
        };
        // While nobody comes to the other one, its place serves here.
        let mut channels = Vec::new();
        for _ in 0..3 {
            channels.extend(connect().await);
        }
        assert!((1..=2).contains(&channels.len()), "{target}");
        assert!(call(&channels[0], &ask("echo")).await.is_ok());
        // Who had to wait is served when a place is free.
        channels.clear();
        assert!(connect().await.is_ok());
        serving.abort();
    }
}

/// Passes bytes on as long as it is open.
async fn pump<R, W>(mut from: ReadHalf<R>, mut to: WriteHalf<W>, mut open: watch::Receiver<bool>)
where
    R: AsyncRead,
    W: AsyncWrite,
{
    let mut bytes = vec![0; 4096];
    while open.wait_for(|open| *open).await.is_ok() {
        let count = from.read(&mut bytes).await.unwrap_or(0);
        if count == 0 || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_answers_are_taken_again_reads_on() {
    const CALLS: usize = 600;
    let site = Site::new(Medium::Memory).await;
    let (gate, open) = watch::channel(true);
    let (_kept, always) = watch::channel(true);
    let hub = site.hub.clone();
    let dial = move || {
        let (near, far) = memory::pair();
        let server = hub.dial("test").map(|server| {
            let ((from_client, to_client), (from_server, to_server)) =
                (tokio::io::split(far), tokio::io::split(server));
            tokio::spawn(pump(from_client, to_server, always.clone()));
            tokio::spawn(pump(from_server, to_client, open.clone()));
        });
        async move { server.map(|()| Box::new(near) as BoxLink) }
    };
    let channel = Connector::new().builder_with("gated", dial).build();
    assert!(call(&channel, &ask("echo")).await.is_ok());
    gate.send_replace(false);
    let begun = site.probe.begun.load(Ordering::SeqCst);
    let request = Any {
        value: vec![7; 8 << 10].into(),
        ..ask("echo")
    };
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let (channel, request) = (channel.clone(), request.clone());
            tokio::spawn(async move { call(&channel, &request).await })
        })
        .collect();
    // Until nobody can do anything more.
    tokio::time::sleep(MOMENT).await;
    let begun = site.probe.begun.load(Ordering::SeqCst) - begun;
    assert!((1..CALLS).contains(&begun), "{begun} of {CALLS}");
    gate.send_replace(true);
    for call in calls {
        let answer = timeout(BOUND, call).await.expect("the server reads on");
        assert_eq!(answer.unwrap().unwrap().view().value().len(), 8 << 10);
    }
}
