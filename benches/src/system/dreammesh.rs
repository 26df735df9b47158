//! DreamMesh through its front door: at its defaults, and with what costs something switched on.
//!
//! The server reads the request in place and answers with an owned message it keeps, archived
//! anew for every call; the client archives an owned message it keeps, likewise for every call.

use std::time::Duration;

use dreammesh::{Connector, Metrics, Request, Response, Server, Status};

use crate::failure::Failure;
use crate::ours::{Bench, BenchClient, BenchServer, Blob, Order, Small};
use crate::run::{Plan, Seen, drive};
use crate::system::{Address, Link, System, Work};
use crate::workload::{Digest, Workload, order, small};

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
const DEADLINE: Duration = Duration::from_secs(5);

impl System for DreamMesh {
    fn name(&self) -> &'static str {
        if self.full {
            "dreammesh-full"
        } else {
            "dreammesh"
        }
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
            let path = Address::own_socket();
            let place = match link {
                Link::Tcp => "dreammesh+tcp://127.0.0.1:0".to_owned(),
                Link::Unix => format!("unix://{}", path.display()),
            };
            let mut server = Server::builder().service(BenchServer::new(Answers::prepare()));
            if self.full {
                server = server.metrics(Metrics::new());
            }
            let server = server.bind(&place).await.map_err(Failure::call)?;
            ready(match server.local_addr() {
                Some(address) => Address::Tcp(address),
                None => Address::Unix(path),
            });
            server.serve().await;
            Ok(())
        })
    }

    fn load<'a>(&'a self, address: Address, workload: Workload, plan: Plan) -> Work<'a, Seen> {
        Box::pin(async move {
            let target = match address {
                Address::Tcp(address) => format!("dreammesh+tcp://{address}"),
                Address::Unix(path) => format!("unix://{}", path.display()),
            };
            let mut channel = Connector::new()
                .channel_builder(&target)
                .map_err(Failure::call)?;
            if self.full {
                channel = channel.metrics(Metrics::new());
            }
            let (client, timeout) = (
                BenchClient::new(channel.build()),
                self.full.then_some(DEADLINE),
            );
            match workload {
                Workload::Small => load_small(client, timeout, plan).await,
                Workload::Order => load_order(client, timeout, plan).await,
            }
        })
    }
}

async fn load_small(
    client: BenchClient,
    timeout: Option<Duration>,
    plan: Plan,
) -> Result<Seen, Failure> {
    let expected = small::digest();
    drive(plan, || {
        let (client, message) = (client.clone(), small::owned());
        move || {
            let call = client.echo(&message);
            let call = match timeout {
                Some(timeout) => call.timeout(timeout).into_future(),
                None => call.into_future(),
            };
            async move {
                let answer = call.await.map_err(Failure::call)?;
                small::read_view(answer.view()).expect(expected)
            }
        }
    })
    .await
}

async fn load_order(
    client: BenchClient,
    timeout: Option<Duration>,
    plan: Plan,
) -> Result<Seen, Failure> {
    let expected = order::digest();
    drive(plan, || {
        let (client, message) = (client.clone(), order::owned());
        move || {
            let call = client.process(&message);
            let call = match timeout {
                Some(timeout) => call.timeout(timeout).into_future(),
                None => call.into_future(),
            };
            async move {
                let answer = call.await.map_err(Failure::call)?;
                order::read_view(answer.view()).expect(expected)
            }
        }
    })
    .await
}

/// The handler: reads all of a request, checks it, and archives an answer of the same size.
#[derive(Debug)]
struct Answers {
    small: (Small, Digest),
    order: (Order, Digest),
}

impl Answers {
    fn prepare() -> Self {
        Self {
            small: (small::owned(), small::digest()),
            order: (order::owned(), order::digest()),
        }
    }
}

impl Bench for Answers {
    async fn echo(&self, request: Request<Small>) -> Result<Response<Small>, Status> {
        let (answer, expected) = &self.small;
        small::read_view(request.view())
            .expect(*expected)
            .map_err(refuse)?;
        Ok(Response::new(answer))
    }

    async fn process(&self, request: Request<Order>) -> Result<Response<Order>, Status> {
        let (answer, expected) = &self.order;
        order::read_view(request.view())
            .expect(*expected)
            .map_err(refuse)?;
        Ok(Response::new(answer))
    }

    async fn bulk(&self, _request: Request<Small>) -> Result<Response<Blob>, Status> {
        Err(Status::unimplemented("no workload uses it yet"))
    }
}

fn refuse(failure: Failure) -> Status {
    Status::internal(failure.to_string())
}
