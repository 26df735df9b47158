//! A channel that loses its connection gets another one by itself, and its metrics tell of it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dreammesh_core::call::{Begun, Code};
use dreammesh_core::channel::{Channel, UnaryCall};
use dreammesh_core::layer::{ConnectFailure, ConnectionEnd, ConnectionSnapshot, Metrics};
use dreammesh_core::wkt::Any;
use dreammesh_transport::link::{BoxLink, memory};
use dreammesh_transport::tls::{Certificate, ClientTls, Roots, ServerTls};
use dreammesh_transport::{Connector, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpListener;

use crate::authority::Authority;
use crate::echo::{Echo, EchoServer, IDEMPOTENT, ask, call};
use crate::media::{Medium, Site, serve};

/// What was counted of a channel with one endpoint.
fn counts(channel: &Channel) -> ConnectionSnapshot {
    let [counts] = channel.connections().try_into().unwrap();
    counts
}

/// Links to a site, each of which can be made to swallow what is sent.
#[derive(Clone, Default)]
struct Wires(Arc<Mutex<Vec<Arc<AtomicBool>>>>);

impl Wires {
    fn dial(&self, site: &Site) -> io::Result<BoxLink> {
        let swallows = Arc::new(AtomicBool::new(false));
        self.0.lock().unwrap().push(Arc::clone(&swallows));
        let (near, far) = memory::pair();
        let (near_end, far_end) = (tokio::io::split(far), site.hub.dial("test")?);
        let far_end = tokio::io::split(far_end);
        tokio::spawn(pump(near_end.0, far_end.1, Arc::clone(&swallows)));
        tokio::spawn(pump(far_end.0, near_end.1, swallows));
        Ok(Box::new(near))
    }

    /// Nothing comes through those that there are, and neither side is told.
    fn swallow(&self) {
        for wire in self.0.lock().unwrap().iter() {
            wire.store(true, Ordering::SeqCst);
        }
    }
}

async fn pump<R, W>(mut from: ReadHalf<R>, mut to: WriteHalf<W>, swallows: Arc<AtomicBool>)
where
    R: tokio::io::AsyncRead,
    W: tokio::io::AsyncWrite,
{
    let mut bytes = vec![0; 4096];
    loop {
        let Ok(count) = from.read(&mut bytes).await else {
            return;
        };
        if swallows.load(Ordering::SeqCst) {
            // The end of one side is swallowed too.
            match count {
                0 => std::future::pending().await,
                _ => continue,
            }
        }
        if count == 0 || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_finds_its_half_open_peer_and_reconnects() {
    let site = Site::new(Medium::Memory).await;
    let hub = site.hub.clone();
    let wires = Wires::default();
    let metrics = Metrics::new();
    let site = Arc::new(site);
    let channel = {
        let (wires, site) = (wires.clone(), Arc::clone(&site));
        let dial = move || {
            let dialled = wires.dial(&site);
            async move { dialled }
        };
        let builder = Connector::new().memory(&hub).builder_with("wires", dial);
        builder.metrics(metrics.clone()).build()
    };
    assert!(call(&channel, &ask("echo")).await.is_ok());
    for slept in 1..=3 {
        wires.swallow();
        tokio::time::advance(Duration::from_secs(8 * 3600)).await;
        let once = call(&channel, &ask("echo"));
        let repeatable = UnaryCall::<Any>::new(&channel, &IDEMPOTENT, ask("echo"));
        let (once, repeatable) = tokio::join!(once, repeatable);
        let error = once.unwrap_err();
        assert_eq!(
            (error.code(), error.begun()),
            (Code::Unavailable, Begun::Maybe)
        );
        assert!(repeatable.is_ok());
        assert!(call(&channel, &ask("echo")).await.is_ok());
        let counts = counts(&channel);
        assert_eq!(counts.ended_by(ConnectionEnd::Silent), slept);
        assert_eq!((counts.reconnects, counts.calls_repeated), (slept, slept));
        assert_eq!(counts.open, [("custom", 1)]);
        assert_eq!(metrics.connections(), [counts]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_restarts_is_found_again() {
    let mut site = Site::new(Medium::Memory).await;
    let channel = site.channel.clone();
    assert!(call(&channel, &ask("echo")).await.is_ok());
    site.stop();
    (&mut site.serving).await.unwrap();
    let error = call(&channel, &ask("echo")).await.unwrap_err();
    assert_eq!(
        (error.code(), error.begun()),
        (Code::Unavailable, Begun::No)
    );
    let before = counts(&channel);
    assert_eq!(before.ended_by(ConnectionEnd::Done), 1);
    assert!(before.failed_by(ConnectFailure::Dial) > 0);
    assert_eq!(
        (before.reconnects, &before.open[..]),
        (0, &[("memory", 0)][..])
    );
    let again = serve(&site.hub, "memory://test", Echo::default(), |server| server);
    let _again = again.await;
    let answer = call(&channel, &ask("echo")).wait_for_ready(true).await;
    assert!(answer.is_ok());
    let after = counts(&channel);
    assert_eq!(
        (after.reconnects, &after.open[..]),
        (1, &[("memory", 1)][..])
    );
    assert_eq!(after.calls_repeated, 0);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_breaks_is_counted_as_that() {
    let site = Site::new(Medium::Memory).await;
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
    site.serving.abort();
    site.probe.alive_is(0).await;
    while counts(&site.channel).ended_by(ConnectionEnd::Link) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(counts(&site.channel).opened_in_all(), 1);
}

/// With TLS 1.3 a client's handshake is done before the server has looked at its certificate.
#[tokio::test]
async fn connecting_fails_where_the_server_does_not_believe_the_client() {
    let authority = Authority::new("root");
    let made = authority.issue(&["127.0.0.1"]);
    let certificate = Certificate::from_pem(&made.chain, &made.key).unwrap();
    let roots = Roots::from_pem(authority.pem()).unwrap();
    let tls = ServerTls::new(certificate).client_roots(roots.clone());
    let server = Server::builder()
        .service(EchoServer(Arc::new(Echo::default())))
        .tls(tls)
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let bound = server.target();
    let serving = tokio::spawn(server.serve());
    for scheme in [
        "dreammesh://",
        "dreammesh+tls://",
        "dreammesh+h2://",
        "dreammesh+quic://",
    ] {
        let target = bound.replace("dreammesh://", scheme);
        let connector = Connector::new().tls(ClientTls::new(roots.clone()));
        let error = connector.connect(&target).await.unwrap_err();
        let text = error.to_string();
        let why = "it requires a certificate, and none was presented";
        assert!(text.contains(why), "{scheme}: {text}");
    }
    serving.abort();
}

#[tokio::test]
async fn connecting_fails_where_nobody_says_hello() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("dreammesh+tcp://{}", listener.local_addr().unwrap());
    let connector = Connector::new().connect_timeout(Duration::from_millis(50));
    let error = connector.connect(&target).await.unwrap_err();
    assert!(error.to_string().contains("no hello in time"), "{error}");
    let channel = connector.connect_lazy(&target).unwrap();
    assert!(call(&channel, &ask("echo")).await.is_err());
    let counts = counts(&channel);
    assert_eq!(counts.failed_by(ConnectFailure::Hello), 1);
    assert_eq!(counts.opened_in_all(), 0);
}
