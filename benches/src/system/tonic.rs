//! tonic with prost, as its own examples set it up.
//!
//! Settings away from the defaults, all in its favour: `TCP_NODELAY`, a stream window of 1 MiB and
//! a connection window of 4 MiB on both sides, so that flow control never stalls 64 outstanding
//! calls, and payloads as `Bytes`, so that large ones are not copied once more. One `Channel` is
//! cloned into every lane. The server hands back the message it received instead of building
//! another, which saves it every allocation of a response.

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use tower_service::Service;

use crate::client::{Client, STREAM_MESSAGES};
use crate::failure::Failure;
use crate::handler::Handler;
use crate::message::{Digest, blob, order, small};
use crate::meter::Meter;
use crate::peer::bench_client::BenchClient;
use crate::peer::bench_server::{Bench, BenchServer};
use crate::peer::bulk_client::BulkClient;
use crate::peer::bulk_server::{Bulk, BulkServer};
use crate::peer::{Blob, Order, Small, Wanted};
use crate::run::{self, Seen, Task};
use crate::system::{Ready, System, Work};
use crate::transport::{Address, Transport};
use crate::workload::Workload;

/// tonic.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Tonic;

#[cfg(feature = "tls")]
const TRANSPORTS: &[Transport] = &[Transport::Tcp, Transport::Unix, Transport::Tls];
#[cfg(not(feature = "tls"))]
const TRANSPORTS: &[Transport] = &[Transport::Tcp, Transport::Unix];

const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// Messages that wait between a streaming handler and its connection.
const STREAM_QUEUE: usize = 64;

impl System for Tonic {
    fn name(&self) -> &'static str {
        "tonic"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["tonic", "prost", "hyper", "h2"]
    }

    fn settings(&self) -> &'static str {
        "TCP_NODELAY; windows of 1 MiB a stream and 4 MiB a connection, so that they never stall \
         a call; payloads as Bytes; the server hands back the message that it received"
    }

    fn transports(&self) -> &'static [Transport] {
        TRANSPORTS
    }

    fn skips(&self, _: Transport, _: &Workload) -> Option<&'static str> {
        None
    }

    fn serve<'a>(
        &'a self,
        transport: Transport,
        _workload: &'static Workload,
        ready: Ready<'a>,
    ) -> Work<'a, ()> {
        Box::pin(async move {
            let builder = Server::builder();
            #[cfg(feature = "tls")]
            let builder = match transport {
                Transport::Tls => secure::server(builder)?,
                _ => builder,
            };
            let server = builder
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .add_service(BenchServer::new(Answers::default()))
                .add_service(BulkServer::new(Payloads::default()));
            let served = if transport == Transport::Unix {
                let path = Address::own_socket();
                let listener = UnixListener::bind(&path).map_err(Failure::io("binding"))?;
                ready(Address::Path(path));
                server
                    .serve_with_incoming(UnixListenerStream::new(listener))
                    .await
            } else {
                let listener = TcpListener::bind("127.0.0.1:0")
                    .await
                    .map_err(Failure::io("binding"))?;
                ready(Address::Port(
                    listener.local_addr().map_err(Failure::io("binding"))?,
                ));
                // The builder's own setting does not reach a listener that is handed in, and
                // without it delayed acknowledgements cost 40 ms a round trip.
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                server.serve_with_incoming(incoming).await
            };
            served.map_err(Failure::call)
        })
    }

    fn load<'a>(&'a self, task: &'a Task) -> Work<'a, Seen> {
        let (transport, address) = (task.transport, task.address.clone());
        Box::pin(run::rpc(task, move || {
            Caller::connect(transport, address.clone())
        }))
    }
}

/// tonic's own TLS, which is rustls; its provider is the one that the process has.
#[cfg(feature = "tls")]
mod secure {
    use tonic::transport::ServerTlsConfig;
    use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Server};

    use crate::failure::Failure;
    use crate::tls;

    pub(super) fn server(builder: Server) -> Result<Server, Failure> {
        tls::choose_provider();
        let own = tls::Identity::own()?;
        let identity = Identity::from_pem(&own.certificate_pem, &own.key_pem);
        let config = ServerTlsConfig::new().identity(identity);
        builder.tls_config(config).map_err(Failure::call)
    }

    pub(super) fn client(endpoint: Endpoint) -> Result<Endpoint, Failure> {
        tls::choose_provider();
        let root = Certificate::from_pem(&tls::Identity::own()?.certificate_pem);
        let config = ClientTlsConfig::new().ca_certificate(root);
        let config = config.domain_name(tls::NAME);
        endpoint.tls_config(config).map_err(Failure::call)
    }
}

/// A channel of its own, and the messages it sends.
#[derive(Clone)]
struct Caller {
    client: BenchClient<Channel>,
    bulk: BulkClient<Channel>,
    small: [Small; Handler::ALL.len()],
    answer: Digest,
    order: (Order, Digest),
    payloads: Arc<blob::Payloads>,
}

impl Caller {
    async fn connect(transport: Transport, address: Address) -> Result<Self, Failure> {
        let authority = match &address {
            Address::Port(address) => address.to_string(),
            Address::Path(_) => "localhost".to_owned(),
        };
        let scheme = match transport {
            Transport::Tls => "https",
            _ => "http",
        };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{authority}"))
            .map_err(Failure::call)?
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        #[cfg(feature = "tls")]
        let endpoint = match transport {
            Transport::Tls => secure::client(endpoint)?,
            _ => endpoint,
        };
        let channel = match address {
            Address::Port(_) => endpoint.connect().await,
            Address::Path(path) => endpoint.connect_with_connector(SocketAt(path)).await,
        };
        let channel = channel.map_err(Failure::call)?;
        Ok(Self {
            client: BenchClient::new(channel.clone()),
            bulk: BulkClient::new(channel),
            small: Handler::ALL.map(small::prost),
            answer: small::digest(),
            order: (order::prost(), order::digest()),
            payloads: Arc::default(),
        })
    }
}

impl Client for Caller {
    async fn small(&self, handler: Handler) -> Result<(), Failure> {
        let (mut client, request) = (self.client.clone(), self.small[handler as usize].clone());
        let answer = client.echo(request).await.map_err(Failure::call)?;
        small::read_prost(answer.get_ref()).expect(self.answer)
    }

    async fn order(&self) -> Result<(), Failure> {
        let (mut client, request) = (self.client.clone(), self.order.0.clone());
        let answer = client.process(request).await.map_err(Failure::call)?;
        order::read_prost(answer.get_ref()).expect(self.order.1)
    }

    async fn blob(&self, bytes: usize) -> Result<(), Failure> {
        let (mut client, request) = (self.client.clone(), self.payloads.prost(bytes));
        let answer = client.copy(request).await.map_err(Failure::call)?;
        blob::read(&answer.get_ref().data).expect(blob::digest(bytes))
    }

    async fn fetch(&self, bytes: usize) -> Result<(), Failure> {
        let request = Wanted {
            bytes: bytes as u64,
        };
        let answer = self.bulk.clone().fetch(request).await;
        let answer = answer.map_err(Failure::call)?;
        blob::read(&answer.get_ref().data).expect(blob::digest(bytes))
    }

    async fn download(&self, meter: &mut Meter) -> Result<(), Failure> {
        let (mut client, request) = (self.client.clone(), self.small[0].clone());
        let answers = client.download(request).await.map_err(Failure::call)?;
        let mut answers = answers.into_inner();
        while let Some(answer) = answers.message().await.map_err(Failure::call)? {
            small::read_prost(&answer).expect(self.answer)?;
            if !meter.took().await {
                break;
            }
        }
        Ok(())
    }

    async fn ping_pong(&self, meter: &mut Meter) -> Result<(), Failure> {
        let mut client = self.client.clone();
        let (asks, waiting) = mpsc::channel(1);
        let asked = ReceiverStream::new(waiting);
        // The first message goes out with the call: the server may answer headers only after it.
        let gone = |_| Failure::Unsupported("a stream that goes on");
        asks.send(self.small[0].clone()).await.map_err(gone)?;
        let answers = client.ping_pong(asked).await.map_err(Failure::call)?;
        let mut answers = answers.into_inner();
        loop {
            let answer = answers.message().await.map_err(Failure::call)?;
            let answer = answer.ok_or(Failure::Unsupported("a stream that goes on"))?;
            small::read_prost(&answer).expect(self.answer)?;
            if !meter.took().await {
                return Ok(());
            }
            asks.send(self.small[0].clone()).await.map_err(gone)?;
        }
    }
}

/// The handlers: each reads all of a request, checks it, and hands it back.
struct Answers {
    expected: small::Expected,
    order: Digest,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            expected: small::Expected::default(),
            order: order::digest(),
        }
    }
}

impl Answers {
    /// Checks a request and finds out what it asks for.
    fn handler(&self, message: &Small) -> Result<Handler, Status> {
        let handler = self
            .expected
            .handler(message.id, small::read_prost(message));
        handler.map_err(refuse)
    }
}

#[tonic::async_trait]
impl Bench for Answers {
    async fn echo(&self, request: Request<Small>) -> Result<Response<Small>, Status> {
        let mut message = request.into_inner();
        self.handler(&message)?.play().await;
        message.id = small::ID;
        Ok(Response::new(message))
    }

    async fn process(&self, request: Request<Order>) -> Result<Response<Order>, Status> {
        let message = request.into_inner();
        order::read_prost(&message)
            .expect(self.order)
            .map_err(refuse)?;
        Ok(Response::new(message))
    }

    async fn copy(&self, request: Request<Blob>) -> Result<Response<Blob>, Status> {
        let message = request.into_inner();
        blob::read(&message.data)
            .expect(blob::digest(message.data.len()))
            .map_err(refuse)?;
        Ok(Response::new(message))
    }

    type DownloadStream = ReceiverStream<Result<Small, Status>>;

    async fn download(
        &self,
        request: Request<Small>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        let message = request.into_inner();
        let (answers, waiting) = mpsc::channel(STREAM_QUEUE);
        tokio::spawn(async move {
            for _ in 0..STREAM_MESSAGES {
                // A caller that has gone away wants no more.
                if answers.send(Ok(message.clone())).await.is_err() {
                    break;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(waiting)))
    }

    type PingPongStream = ReceiverStream<Result<Small, Status>>;

    async fn ping_pong(
        &self,
        request: Request<Streaming<Small>>,
    ) -> Result<Response<Self::PingPongStream>, Status> {
        let (mut asks, expected) = (request.into_inner(), self.expected);
        let (answers, waiting) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Ok(Some(ask)) = asks.message().await {
                let handler = expected.handler(ask.id, small::read_prost(&ask));
                let answer = handler.map(|_| ask).map_err(refuse);
                if answers.send(answer).await.is_err() {
                    break;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(waiting)))
    }
}

/// The handler that answers with payloads which it keeps.
#[derive(Default)]
struct Payloads(blob::Payloads);

#[tonic::async_trait]
impl Bulk for Payloads {
    async fn fetch(&self, request: Request<Wanted>) -> Result<Response<Blob>, Status> {
        let bytes = blob::wanted(request.get_ref().bytes).map_err(refuse)?;
        Ok(Response::new(self.0.prost(bytes)))
    }
}

fn refuse(failure: Failure) -> Status {
    Status::internal(failure.to_string())
}

/// Opens a Unix socket wherever tonic asks to connect to.
#[derive(Clone, Debug)]
struct SocketAt(std::path::PathBuf);

impl Service<tonic::transport::Uri> for SocketAt {
    type Response = TokioIo<UnixStream>;
    type Error = std::io::Error;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = std::io::Result<TokioIo<UnixStream>>> + Send>>;

    fn poll_ready(
        &mut self,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: tonic::transport::Uri) -> Self::Future {
        let path = self.0.clone();
        Box::pin(async move { UnixStream::connect(path).await.map(TokioIo::new) })
    }
}
