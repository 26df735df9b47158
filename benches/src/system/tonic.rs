//! tonic with prost, as its own examples set it up.
//!
//! Settings away from the defaults, all in its favour on this load: `TCP_NODELAY`, a stream window
//! of 1 MiB and a connection window of 4 MiB on both sides, so that flow control never stalls 64
//! outstanding calls. One `Channel` is cloned into every lane. The server hands back the message it
//! received instead of building another, which saves it every allocation of a response.

use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};
use tower_service::Service;

use crate::failure::Failure;
use crate::peer::bench_client::BenchClient;
use crate::peer::bench_server::{Bench, BenchServer};
use crate::peer::{Blob, Order, Small};
use crate::run::{Plan, Seen, drive};
use crate::system::{Address, Link, System, Work};
use crate::workload::{Digest, Workload, order, small};

/// tonic.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Tonic;

const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

impl System for Tonic {
    fn name(&self) -> &'static str {
        "tonic"
    }

    fn links(&self) -> &'static [Link] {
        &[Link::Tcp, Link::Unix]
    }

    fn serve<'a>(
        &'a self,
        link: Link,
        _workload: Workload,
        ready: Box<dyn FnOnce(Address) + 'a>,
    ) -> Work<'a, ()> {
        Box::pin(async move {
            let server = Server::builder()
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .add_service(BenchServer::new(Answers::prepare()));
            let served = match link {
                Link::Tcp => {
                    let listener = TcpListener::bind("127.0.0.1:0")
                        .await
                        .map_err(Failure::io("binding"))?;
                    ready(Address::Tcp(
                        listener.local_addr().map_err(Failure::io("binding"))?,
                    ));
                    // The builder's own setting does not reach a listener that is handed in, and
                    // without it delayed acknowledgements cost 40 ms a round trip.
                    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                    server.serve_with_incoming(incoming).await
                }
                Link::Unix => {
                    let path = Address::own_socket();
                    let listener = UnixListener::bind(&path).map_err(Failure::io("binding"))?;
                    ready(Address::Unix(path));
                    server
                        .serve_with_incoming(UnixListenerStream::new(listener))
                        .await
                }
            };
            served.map_err(Failure::call)
        })
    }

    fn load<'a>(&'a self, address: Address, workload: Workload, plan: Plan) -> Work<'a, Seen> {
        Box::pin(async move {
            let client = BenchClient::new(connect(address).await?);
            match workload {
                Workload::Small => load_small(client, plan).await,
                Workload::Order => load_order(client, plan).await,
            }
        })
    }
}

async fn connect(address: Address) -> Result<Channel, Failure> {
    let authority = match &address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(_) => "localhost".to_owned(),
    };
    let endpoint = Endpoint::from_shared(format!("http://{authority}"))
        .map_err(Failure::call)?
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    let channel = match address {
        Address::Tcp(_) => endpoint.connect().await,
        Address::Unix(path) => endpoint.connect_with_connector(SocketAt(path)).await,
    };
    channel.map_err(Failure::call)
}

async fn load_small(client: BenchClient<Channel>, plan: Plan) -> Result<Seen, Failure> {
    let (message, expected) = (small::prost(), small::digest());
    drive(plan, || {
        let (client, message) = (client.clone(), message.clone());
        move || {
            let (mut client, message) = (client.clone(), message.clone());
            async move {
                let answer = client.echo(message).await.map_err(Failure::call)?;
                small::read_prost(answer.get_ref()).expect(expected)
            }
        }
    })
    .await
}

async fn load_order(client: BenchClient<Channel>, plan: Plan) -> Result<Seen, Failure> {
    let (message, expected) = (order::prost(), order::digest());
    drive(plan, || {
        let (client, message) = (client.clone(), message.clone());
        move || {
            let (mut client, message) = (client.clone(), message.clone());
            async move {
                let answer = client.process(message).await.map_err(Failure::call)?;
                order::read_prost(answer.get_ref()).expect(expected)
            }
        }
    })
    .await
}

/// The handler: reads all of a request, checks it, and hands it back.
#[derive(Debug)]
struct Answers {
    small: Digest,
    order: Digest,
}

impl Answers {
    fn prepare() -> Self {
        Self {
            small: small::digest(),
            order: order::digest(),
        }
    }
}

#[tonic::async_trait]
impl Bench for Answers {
    async fn echo(&self, request: Request<Small>) -> Result<Response<Small>, Status> {
        let message = request.into_inner();
        small::read_prost(&message)
            .expect(self.small)
            .map_err(refuse)?;
        Ok(Response::new(message))
    }

    async fn process(&self, request: Request<Order>) -> Result<Response<Order>, Status> {
        let message = request.into_inner();
        order::read_prost(&message)
            .expect(self.order)
            .map_err(refuse)?;
        Ok(Response::new(message))
    }

    async fn bulk(&self, _request: Request<Small>) -> Result<Response<Blob>, Status> {
        Err(Status::unimplemented("no workload uses it yet"))
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
