//! DreamMesh through its front door: at its defaults, and with what costs something switched on.
//!
//! The server reads the request in place and answers with an owned message it keeps, archived
//! anew for every call; the client archives an owned message it keeps, likewise for every call.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "tls")]
use dreammesh::tls::{Certificate, ClientTls, Roots, ServerTls};
use dreammesh::{Connector, Metrics, Receiver, Request, Response, Sender, Server, Status};

use crate::client::{Client, STREAM_MESSAGES};
use crate::failure::Failure;
use crate::handler::Handler;
use crate::message::{Digest, blob, order, small};
use crate::meter::Meter;
use crate::ours::{
    Bench, BenchClient, BenchServer, Blob, Bulk, BulkClient, BulkServer, Order, Small, Wanted,
};
use crate::run::{self, Seen, Task};
use crate::system::{Ready, System, Work};
use crate::transport::{Address, Transport};
use crate::workload::{Shape, Workload};

/// DreamMesh.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct DreamMesh {
    /// Whether every call has a deadline and both sides count and time every call.
    full: bool,
}

impl DreamMesh {
    /// Everything as it is without saying anything.
    pub const DEFAULT: Self = Self { full: false };

    /// A deadline on every call and metrics on both sides.
    pub const FULL: Self = Self { full: true };
}

/// Long enough never to pass, so that it costs only its bookkeeping.
const DEADLINE: Duration = Duration::from_secs(60);

impl System for DreamMesh {
    fn name(&self) -> &'static str {
        if self.full {
            "dreammesh-full"
        } else {
            "dreammesh"
        }
    }

    fn packages(&self) -> &'static [&'static str] {
        &["dreammesh"]
    }

    fn settings(&self) -> &'static str {
        if self.full {
            "a deadline on every call, metrics on both sides; the rest is default"
        } else {
            "all default"
        }
    }

    fn transports(&self) -> &'static [Transport] {
        &[
            Transport::Tcp,
            Transport::Unix,
            Transport::H2,
            #[cfg(feature = "tls")]
            Transport::Tls,
            #[cfg(feature = "quic")]
            Transport::Quic,
        ]
    }

    fn skips(&self, _transport: Transport, workload: &Workload) -> Option<&'static str> {
        let unary = matches!(workload.shape, Shape::Unary | Shape::Open(_));
        (self.full && !unary).then_some("deadlines and metrics are compared on unary calls")
    }

    fn serve<'a>(
        &'a self,
        transport: Transport,
        _workload: &'static Workload,
        ready: Ready<'a>,
    ) -> Work<'a, ()> {
        Box::pin(async move {
            let path = Address::own_socket();
            let place = match transport {
                Transport::Unix => format!("unix://{}", path.display()),
                other => format!("{}://127.0.0.1:0", scheme(other)),
            };
            let mut server = Server::builder()
                .service(BenchServer::new(Answers::default()))
                .service(BulkServer::new(Payloads::default()));
            #[cfg(feature = "tls")]
            if is_encrypted(transport) {
                server = server.tls(server_tls()?);
            }
            if self.full {
                server = server.metrics(Metrics::new());
            }
            let server = server.bind(&place).await.map_err(Failure::call)?;
            ready(match server.local_addr() {
                Some(address) => Address::Port(address),
                None => Address::Path(path),
            });
            server.serve().await;
            Ok(())
        })
    }

    fn load<'a>(&'a self, task: &'a Task) -> Work<'a, Seen> {
        let (full, address, transport) = (self.full, task.address.clone(), task.transport);
        let metrics = Metrics::new();
        Box::pin(run::rpc(task, move || {
            let metrics = full.then(|| metrics.clone());
            let caller = Caller::connect(scheme(transport), transport, &address, metrics);
            async move { caller }
        }))
    }
}

/// Loads a server of plain gRPC, with all as by default.
pub(super) fn load_grpc(task: &Task) -> Work<'_, Seen> {
    let (address, transport) = (task.address.clone(), task.transport);
    let scheme = match transport {
        Transport::Tls => "grpcs",
        _ => "grpc",
    };
    Box::pin(run::rpc(task, move || {
        let caller = Caller::connect(scheme, transport, &address, None);
        async move { caller }
    }))
}

/// What targets on a port begin with.
const fn scheme(transport: Transport) -> &'static str {
    match transport {
        Transport::Tls => "dreammesh+tls",
        Transport::Quic => "dreammesh+quic",
        Transport::H2 => "dreammesh+h2c",
        _ => "dreammesh+tcp",
    }
}

#[cfg(feature = "tls")]
const fn is_encrypted(transport: Transport) -> bool {
    matches!(transport, Transport::Tls | Transport::Quic)
}

/// The same certificate as every other system's.
#[cfg(feature = "tls")]
fn server_tls() -> Result<ServerTls, Failure> {
    let own = crate::tls::Identity::own()?;
    let certificate = Certificate::from_pem(&own.certificate_pem, &own.key_pem);
    Ok(ServerTls::new(certificate.map_err(Failure::call)?))
}

#[cfg(feature = "tls")]
fn client_tls() -> Result<ClientTls, Failure> {
    let roots = Roots::from_pem(&crate::tls::Identity::own()?.certificate_pem);
    let tls = ClientTls::new(roots.map_err(Failure::call)?);
    tls.server_name(crate::tls::NAME).map_err(Failure::call)
}

#[cfg(feature = "tls")]
fn connector(transport: Transport) -> Result<Connector, Failure> {
    match is_encrypted(transport) {
        true => Ok(Connector::new().tls(client_tls()?)),
        false => Ok(Connector::new()),
    }
}

#[cfg(not(feature = "tls"))]
fn connector(_: Transport) -> Result<Connector, Failure> {
    Ok(Connector::new())
}

/// A channel of its own, and the messages it sends.
#[derive(Clone)]
struct Caller {
    client: BenchClient,
    bulk: BulkClient,
    timeout: Option<Duration>,
    messages: Arc<Messages>,
}

/// What is sent, and what the answers must be.
struct Messages {
    small: [Small; Handler::ALL.len()],
    answer: Digest,
    order: (Order, Digest),
    payloads: blob::Payloads,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            small: Handler::ALL.map(small::owned),
            answer: small::digest(),
            order: (order::owned(), order::digest()),
            payloads: blob::Payloads::default(),
        }
    }
}

impl Caller {
    fn connect(
        scheme: &str,
        transport: Transport,
        address: &Address,
        metrics: Option<Metrics>,
    ) -> Result<Self, Failure> {
        let target = match address {
            Address::Port(address) => format!("{scheme}://{address}"),
            Address::Path(path) => format!("unix://{}", path.display()),
        };
        let connector = connector(transport)?;
        let mut channel = connector.channel_builder(&target).map_err(Failure::call)?;
        let timeout = metrics.is_some().then_some(DEADLINE);
        if let Some(metrics) = metrics {
            channel = channel.metrics(metrics);
        }
        let channel = channel.build();
        Ok(Self {
            client: BenchClient::new(channel.clone()),
            bulk: BulkClient::new(channel),
            timeout,
            messages: Arc::default(),
        })
    }
}

/// Sends a call, with a deadline if there is one.
macro_rules! sent {
    ($call:expr, $timeout:expr) => {
        match $timeout {
            Some(timeout) => $call.timeout(timeout).into_future(),
            None => $call.into_future(),
        }
    };
}

impl Client for Caller {
    async fn small(&self, handler: Handler) -> Result<(), Failure> {
        let request = &self.messages.small[handler as usize];
        let answer = sent!(self.client.echo(request), self.timeout);
        let answer = answer.await.map_err(Failure::call)?;
        small::read_view(answer.view()).expect(self.messages.answer)
    }

    async fn order(&self) -> Result<(), Failure> {
        let (request, expected) = &self.messages.order;
        let answer = sent!(self.client.process(request), self.timeout);
        let answer = answer.await.map_err(Failure::call)?;
        order::read_view(answer.view()).expect(*expected)
    }

    async fn blob(&self, bytes: usize) -> Result<(), Failure> {
        let request = self.messages.payloads.owned(bytes);
        let answer = sent!(self.client.copy(&request), self.timeout);
        let answer = answer.await.map_err(Failure::call)?;
        blob::read(answer.view().data()).expect(blob::digest(bytes))
    }

    async fn fetch(&self, bytes: usize) -> Result<(), Failure> {
        let request = Wanted {
            bytes: bytes as u64,
            ..Default::default()
        };
        let answer = sent!(self.bulk.fetch(&request), self.timeout);
        let answer = answer.await.map_err(Failure::call)?;
        blob::read(answer.view().data()).expect(blob::digest(bytes))
    }

    async fn download(&self, meter: &mut Meter) -> Result<(), Failure> {
        let request = &self.messages.small[0];
        let mut answers = (self.client.download(request).await).map_err(Failure::call)?;
        while let Some(answer) = answers.next().await.map_err(Failure::call)? {
            small::read_view(answer.view()).expect(self.messages.answer)?;
            if !meter.took().await {
                break;
            }
        }
        Ok(())
    }

    async fn ping_pong(&self, meter: &mut Meter) -> Result<(), Failure> {
        let request = &self.messages.small[0];
        let (asks, mut answers) = self.client.ping_pong().await.map_err(Failure::call)?;
        loop {
            asks.send(request).await.map_err(Failure::call)?;
            let answer = answers.next().await.map_err(Failure::call)?;
            let answer = answer.ok_or(Failure::Unsupported("a stream that goes on"))?;
            small::read_view(answer.view()).expect(self.messages.answer)?;
            if !meter.took().await {
                return Ok(());
            }
        }
    }
}

/// The handlers: each reads all of a request, checks it, and archives an answer of the same size.
#[derive(Default)]
struct Answers {
    expected: small::Expected,
    messages: Messages,
}

impl Bench for Answers {
    async fn echo(&self, request: Request<Small>) -> Result<Response<Small>, Status> {
        let view = request.view();
        let handler = self.expected.handler(view.id(), small::read_view(view));
        handler.map_err(refuse)?.play().await;
        Ok(Response::new(&self.messages.small[0]))
    }

    async fn process(&self, request: Request<Order>) -> Result<Response<Order>, Status> {
        let (answer, expected) = &self.messages.order;
        order::read_view(request.view())
            .expect(*expected)
            .map_err(refuse)?;
        Ok(Response::new(answer))
    }

    async fn copy(&self, request: Request<Blob>) -> Result<Response<Blob>, Status> {
        let payload = request.view().data();
        let bytes = payload.len();
        blob::read(payload)
            .expect(blob::digest(bytes))
            .map_err(refuse)?;
        Ok(Response::new(self.messages.payloads.owned(bytes)))
    }

    async fn download(
        &self,
        _request: Request<Small>,
        answers: Sender<Small>,
    ) -> Result<(), Status> {
        for _ in 0..STREAM_MESSAGES {
            answers.send(&self.messages.small[0]).await?;
        }
        Ok(())
    }

    async fn ping_pong(
        &self,
        mut asks: Receiver<Small>,
        answers: Sender<Small>,
    ) -> Result<(), Status> {
        while let Some(ask) = asks.next().await? {
            let view = ask.view();
            let handler = self.expected.handler(view.id(), small::read_view(view));
            handler.map_err(refuse)?;
            answers.send(&self.messages.small[0]).await?;
        }
        Ok(())
    }
}

/// The handler that answers with payloads which it keeps.
#[derive(Default)]
struct Payloads(blob::Payloads);

impl Bulk for Payloads {
    async fn fetch(&self, request: Request<Wanted>) -> Result<Response<Blob>, Status> {
        let bytes = blob::wanted(request.view().bytes()).map_err(refuse)?;
        Ok(Response::new(self.0.owned(bytes)))
    }
}

fn refuse(failure: Failure) -> Status {
    Status::internal(failure.to_string())
}
