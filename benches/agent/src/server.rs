//! A process that serves: an instance of a service.

use std::error::Error;
use std::io::Write as _;

use dreammesh::{Announce as _, Mesh, Request, Response, Status};
use dreammesh_parts::contract::{Order, Parts, PartsServer, Small};
use dreammesh_parts::message::{order, read_order, read_small, small};

use crate::arguments::Server;
use crate::observed;
use crate::process::input_ended;

/// Serves until standard input ends.
///
/// # Errors
/// When it cannot serve.
pub(crate) fn run(told: &Server) -> Result<(), Box<dyn Error>> {
    if let Some(core) = told.core {
        observed::pin(core)?;
    }
    dreammesh::block_on(async {
        let mesh = Mesh::attach()?;
        let server = dreammesh::Server::builder()
            .service(PartsServer::new(Answers {
                small: small(),
                order: order(),
            }))
            .mesh(mesh.member(&told.service))
            // For `dreammesh call`, which asks it what its messages are.
            .reflection(true)
            .bind("dreammesh+tcp://127.0.0.1:0")
            .await?;
        writeln!(std::io::stdout(), "{}", server.target())?;
        server.serve_until(input_ended()).await;
        Ok(())
    })
}

/// Answers with a message of the size of the request, all of which it reads.
struct Answers {
    small: Small,
    order: Order,
}

impl Parts for Answers {
    async fn small(&self, request: Request<Small>) -> Result<Response<Small>, Status> {
        std::hint::black_box(read_small(request.view()));
        Ok(Response::new(&self.small))
    }

    async fn order(&self, request: Request<Order>) -> Result<Response<Order>, Status> {
        std::hint::black_box(read_order(request.view()));
        Ok(Response::new(&self.order))
    }
}
