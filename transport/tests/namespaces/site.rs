//! A server and a client on hosts of their own, and calls between them.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dreammesh_core::call::{CallError, MethodInfo};
use dreammesh_core::channel::{Channel, UnaryCall};
use dreammesh_core::layer::ConnectionSnapshot;
use dreammesh_core::wkt::Any;
use dreammesh_transport::tls::{Certificate, ClientTls, Roots, ServerTls};
use dreammesh_transport::{Connector, Server};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::echo::{Echo, EchoServer, IDEMPOTENT, ask};
use crate::network::{Network, Operator, SERVER};

/// A server by TLS and QUIC under one number, and what its clients need.
pub(crate) struct Site {
    /// The last to go.
    network: Network,
    serving: Option<std::thread::JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
    target: String,
    roots: String,
}

impl Site {
    pub(crate) fn new() -> Self {
        let network = Network::new();
        let made = rcgen::generate_simple_self_signed([SERVER.to_owned()]).unwrap();
        let chain = pem("CERTIFICATE", made.cert.der());
        let key = pem("PRIVATE KEY", made.signing_key.serialized_der());
        let certificate = Certificate::from_pem(&chain, key).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (say, said) = std::sync::mpsc::channel();
        let serving = network.on_server(move || {
            runtime().block_on(async {
                let server = Server::builder()
                    .service(EchoServer(Arc::new(Echo::default())))
                    .tls(ServerTls::new(certificate))
                    .bind(&format!("{SERVER}:0"))
                    .await
                    .unwrap();
                say.send(server.target()).unwrap();
                // What is left of connections goes with it.
                tokio::select! {
                    () = server.serve() => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            network,
            serving: Some(serving),
            stop: Some(stop),
            target: said.recv().unwrap(),
            roots: chain,
        }
    }

    /// Runs a client on its host.
    pub(crate) fn client<F>(&self, run: impl FnOnce(Client) -> F + Send + 'static)
    where
        F: Future<Output = ()>,
    {
        let client = Client {
            target: self.target.clone(),
            roots: self.roots.clone(),
            operator: self.network.operator(),
        };
        let running = self
            .network
            .on_client(move || runtime().block_on(run(client)));
        if let Err(panic) = running.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.serving.take().map(std::thread::JoinHandle::join);
    }
}

/// What a client knows.
pub(crate) struct Client {
    target: String,
    roots: String,
    pub(crate) operator: Operator,
}

impl Client {
    /// A channel that looks for QUIC again after a second.
    pub(crate) fn channel(&self) -> Channel {
        self.channel_with(|connector| connector)
    }

    pub(crate) fn channel_with(&self, set: impl FnOnce(Connector) -> Connector) -> Channel {
        let roots = Roots::from_pem(&self.roots).unwrap();
        let connector = Connector::new()
            .tls(ClientTls::new(roots))
            .media_retry(RETRY);
        let builder = set(connector).channel_builder(&self.target).unwrap();
        builder.wait_for_ready(true).build()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
}

/// A call that was made.
pub(crate) struct Done {
    pub(crate) begun: Instant,
    pub(crate) took: Duration,
    pub(crate) ended: Result<(), CallError>,
}

/// Begins calls at a steady rate, whatever becomes of those before, for as long as something else
/// goes on; then waits for all of them.
pub(crate) async fn meanwhile(
    channel: &Channel,
    method: &'static MethodInfo,
    other: impl Future<Output = ()>,
) -> Vec<Done> {
    let mut calls = JoinSet::new();
    let mut tick = tokio::time::interval(PERIOD);
    let mut other = pin!(other);
    loop {
        tokio::select! {
            () = &mut other => return calls.join_all().await,
            _ = tick.tick() => {
                let channel = channel.clone();
                calls.spawn(async move { one(&channel, method).await });
            }
        }
    }
}

pub(crate) async fn one(channel: &Channel, method: &'static MethodInfo) -> Done {
    let begun = Instant::now();
    let ended = UnaryCall::<Any>::new(channel, method, ask("echo")).await;
    Done {
        begun,
        took: begun.elapsed(),
        ended: ended.map(drop),
    }
}

/// Prints what the calls came to, and fails if one of them did.
pub(crate) fn judge(what: &str, calls: &[Done]) -> Duration {
    let failed: Vec<_> = calls
        .iter()
        .filter_map(|it| it.ended.as_ref().err())
        .collect();
    let longest = calls.iter().map(|it| it.took).max().unwrap_or_default();
    println!(
        "{what}: {} calls, the longest took {longest:?}",
        calls.len()
    );
    assert!(
        failed.is_empty(),
        "{} failed, the first with {}",
        failed.len(),
        failed[0]
    );
    longest
}

/// Makes as many calls as pay for the repetition of all that can be under way in these tests.
pub(crate) async fn save_up(channel: &Channel) {
    for _ in 0..SAVED {
        assert!(one(channel, &IDEMPOTENT).await.ended.is_ok());
    }
}

/// What was counted of a channel with one endpoint.
pub(crate) fn counts(channel: &Channel) -> ConnectionSnapshot {
    let [counts] = channel.connections().try_into().unwrap();
    counts
}

/// A fifth of them may be repeated, and 100 more.
const SAVED: usize = 2_000;
/// How often a call begins.
pub(crate) const PERIOD: Duration = Duration::from_millis(5);
/// After how long UDP is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// What a busy machine may add.
pub(crate) const SLACK: Duration = Duration::from_millis(500);
