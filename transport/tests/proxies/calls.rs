//! A server, a channel through a proxy, and what is sent through it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dreammesh_core::channel::Channel;
use dreammesh_core::wkt::Any;
use dreammesh_transport::tls::{ClientTls, Roots};
use dreammesh_transport::{Connector, Server, Stopped};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::echo::{Echo, EchoServer, Probe, ask, call, chat, list, record};

/// How long a proxy of these tests lets a connection be silent; its default is a minute or more.
pub(crate) const SILENCE: Duration = Duration::from_secs(2);
/// How often both sides say something, as 20 seconds are to a minute.
const KEEPALIVE: Duration = Duration::from_millis(600);

/// A server behind a proxy.
pub(crate) struct Behind {
    pub(crate) address: SocketAddr,
    pub(crate) probe: Arc<Probe>,
    _stop: oneshot::Sender<()>,
    _serving: JoinHandle<Stopped>,
}

impl Behind {
    pub(crate) async fn new() -> Self {
        let echo = Echo::default();
        let probe = Arc::clone(&echo.probe);
        let builder = Server::builder()
            .service(EchoServer(Arc::new(echo)))
            .keepalive(KEEPALIVE, Duration::from_secs(10));
        let server = builder.bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        Self {
            address,
            probe,
            _stop: stop,
            _serving: tokio::spawn(server.serve_until(stopped)),
        }
    }
}

/// What a proxy presents to its clients, if it speaks TLS with them.
#[derive(Clone, Debug)]
pub(crate) struct Pem {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Pem {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let pem = |what: &str, der: &[u8]| {
            let text = BASE64_STANDARD.encode(der);
            format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
        };
        Self {
            certificate: pem("CERTIFICATE", made.cert.der()),
            key: pem("PRIVATE KEY", made.signing_key.serialized_der()),
        }
    }
}

/// A channel through the proxy, inside TLS if it has something to present.
pub(crate) fn channel(proxy: SocketAddr, pem: Option<&Pem>) -> Channel {
    let connector = Connector::new().keepalive(KEEPALIVE, Duration::from_secs(10));
    let connected = match pem {
        None => connector.connect_lazy(&format!("dreammesh+h2c://{proxy}")),
        Some(pem) => {
            let roots = Roots::from_pem(&pem.certificate).unwrap();
            let connector = connector.tls(ClientTls::new(roots));
            connector.connect_lazy(&format!("dreammesh+h2://{proxy}"))
        }
    };
    connected.unwrap()
}

async fn echo(channel: &Channel, bytes: usize) {
    let request = Any {
        value: vec![3; bytes].into(),
        ..ask("echo")
    };
    let answer = call(channel, &request).wait_for_ready(true).await.unwrap();
    assert_eq!(answer.view().value().len(), bytes);
}

/// Every kind of call, many at once and large ones.
pub(crate) async fn all_kinds(channel: &Channel) {
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let channel = channel.clone();
        callers.spawn(async move {
            for _ in 0..CALLS / CALLERS {
                echo(&channel, 64).await;
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    let rate = CALLS as f64 / begun.elapsed().as_secs_f64();
    println!("{CALLS} calls, {rate:.0} a second");
    for _ in 0..16 {
        echo(channel, 2 << 20).await;
    }
    println!("and 32 MiB each way after {:?}", begun.elapsed());
    let mut items = list(channel, 2000, 10).await.unwrap();
    let mut count = 0;
    while items.next().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 2000);
    let points = record(channel).await.unwrap();
    for _ in 0..2000 {
        points.send(ask("point")).await.unwrap();
    }
    let answer = points.finish().await.unwrap();
    assert!(answer.view().type_url().starts_with("2000 of "));
    conversation(channel, 2000, Duration::ZERO).await;
}

const CALLERS: usize = 64;
/// Enough for a rate where the build is one to take rates of.
const CALLS: usize = if cfg!(debug_assertions) {
    6_400
} else {
    640_000
};

/// A stream with a pause in its middle, in which nobody calls.
pub(crate) async fn conversation(channel: &Channel, notes: u32, pause: Duration) {
    let (sender, mut answers) = chat(channel).await.unwrap();
    let heard = tokio::spawn(async move {
        let mut heard = 0;
        while answers.next().await.unwrap().is_some() {
            heard += 1;
        }
        heard
    });
    for index in 0..notes {
        if index == notes / 2 && pause > Duration::ZERO {
            tokio::time::sleep(pause).await;
        }
        sender.send(ask("note")).await.unwrap();
    }
    sender.finish();
    assert_eq!(heard.await.unwrap(), notes);
}

/// Calls without a break for so long; none may fail.
pub(crate) async fn without_a_break(channel: &Channel, time: Duration) {
    let begun = Instant::now();
    let mut calls = 0;
    while begun.elapsed() < time {
        echo(channel, 64).await;
        calls += 1;
    }
    println!("{calls} calls, none lost");
}
