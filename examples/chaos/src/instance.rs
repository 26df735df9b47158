//! A process that serves: an instance of one of the services.

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use dreammesh::{Announce as _, Mesh, Request, Response, Sender, Server, Status};

use crate::log::{Line, Log, Method, now};
use crate::process::input_ended;
use crate::proto::{Done, DoneArgs, Job, Work, WorkServer};

/// What an instance is told.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) service: String,
    pub(crate) name: String,
    /// Where its host is.
    pub(crate) address: String,
    pub(crate) log: PathBuf,
}

/// Serves until standard input ends.
pub(crate) fn run(told: &Instance) -> Result<(), Box<dyn Error>> {
    dreammesh::block_on(async {
        let mesh = Mesh::attach()?;
        let worker = Worker {
            name: told.name.clone(),
            log: Log::append(&told.log)?,
        };
        let member = mesh.member(&told.service).id(&told.name);
        let server = Server::builder()
            .service(WorkServer::new(worker))
            .mesh(member.permit_plaintext())
            .bind(&format!("dreammesh+tcp://{}:0", told.address))
            .await?;
        writeln!(std::io::stdout(), "{}", server.target())?;
        server.serve_until(input_ended()).await;
        Ok(())
    })
}

/// The handlers, which write down what they run before they answer.
#[derive(Debug)]
struct Worker {
    name: String,
    log: Log,
}

impl Worker {
    async fn work(&self, call: u64, method: Method) -> Result<(), Status> {
        let at = now();
        let written = self.log.write(&Line::Ran { at, call, method });
        written.map_err(|error| Status::internal(error.to_string()))?;
        // Some take their time, so that whatever happens finds calls that run.
        if let Some(pause) = pause(call) {
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    fn done(&self, call: u64) -> DoneArgs<'_> {
        DoneArgs {
            call,
            instance: &self.name,
        }
    }

    async fn unary(
        &self,
        request: &Request<Job>,
        method: Method,
    ) -> Result<Response<Done>, Status> {
        let call = request.view().call();
        self.work(call, method).await?;
        Ok(Response::new(self.done(call)))
    }
}

impl Work for Worker {
    async fn look(&self, request: Request<Job>) -> Result<Response<Done>, Status> {
        self.unary(&request, Method::Look).await
    }

    async fn put(&self, request: Request<Job>) -> Result<Response<Done>, Status> {
        self.unary(&request, Method::Put).await
    }

    async fn add(&self, request: Request<Job>) -> Result<Response<Done>, Status> {
        self.unary(&request, Method::Add).await
    }

    async fn list(&self, request: Request<Job>, items: Sender<Done>) -> Result<(), Status> {
        let call = request.view().call();
        for _ in 0..ITEMS {
            self.work(call, Method::List).await?;
            items.send(self.done(call)).await?;
        }
        Ok(())
    }
}

/// How many answers a list has.
pub(crate) const ITEMS: usize = 4;

/// How long a call takes.
const fn pause(call: u64) -> Option<Duration> {
    match call % 64 {
        7 => Some(Duration::from_millis(50)),
        at if at % 8 == 0 => Some(Duration::from_millis(5)),
        _ => None,
    }
}
