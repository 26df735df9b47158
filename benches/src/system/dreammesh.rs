//! DreamMesh through its front door, with everything at its default.
//!
//! The server reads the request in place and answers with an owned message it keeps, archived
//! anew for every call; the client archives an owned message it keeps, likewise for every call.

use dreammesh::{Channel, Connect as _, Request, Response, Server, Status};

use crate::failure::Failure;
use crate::ours::{Bench, BenchClient, BenchServer, Blob, Order, Small};
use crate::run::{Plan, Seen, drive};
use crate::system::{Address, Link, System, Work};
use crate::workload::{Digest, Workload, order, small};

/// DreamMesh.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct DreamMesh;

impl System for DreamMesh {
    fn name(&self) -> &'static str {
        "dreammesh"
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
            let server = Server::builder().service(BenchServer::new(Answers::prepare()));
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
            let channel = Channel::connect(&target).await.map_err(Failure::call)?;
            let client = BenchClient::new(channel);
            match workload {
                Workload::Small => load_small(client, plan).await,
                Workload::Order => load_order(client, plan).await,
            }
        })
    }
}

async fn load_small(client: BenchClient, plan: Plan) -> Result<Seen, Failure> {
    let expected = small::digest();
    drive(plan, || {
        let (client, message) = (client.clone(), small::owned());
        move || {
            let call = client.echo(&message).into_future();
            async move {
                let answer = call.await.map_err(Failure::call)?;
                small::read_view(answer.view()).expect(expected)
            }
        }
    })
    .await
}

async fn load_order(client: BenchClient, plan: Plan) -> Result<Seen, Failure> {
    let expected = order::digest();
    drive(plan, || {
        let (client, message) = (client.clone(), order::owned());
        move || {
            let call = client.process(&message).into_future();
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
