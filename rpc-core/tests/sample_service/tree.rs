//! What the tests share: an executor of one thread, and two services.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use dreammesh_core::call::{Metadata, Receiver, Request, Response, Sender, Status};

use super::leaves::Leaves;
use super::sample::{Leaf, LeafArgs};

/// Runs a future on this thread alone.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Answers with the name it was asked for and the id plus one.
#[derive(Debug)]
pub(crate) struct Tree;

pub(crate) fn leaf(id: i32, name: &str) -> Leaf {
    Leaf {
        id,
        name: name.to_owned(),
        ..Leaf::default()
    }
}

impl Leaves for Tree {
    async fn find(&self, request: Request<Leaf>) -> Result<Response<Leaf>, Status> {
        let ask = request.view();
        match ask.name() {
            "" => Err(Status::not_found("no leaf without a name")),
            "panic" => panic!("asked to"),
            "never" => std::future::pending().await,
            name => {
                let args = LeafArgs {
                    id: ask.id() + 1,
                    name,
                    ..Default::default()
                };
                let mut response = Response::new(args);
                if let Some(tenant) = request.metadata().text("x-tenant") {
                    let tenant = tenant.to_owned();
                    response.metadata_mut().append("x-seen", tenant).unwrap();
                    response.trailers_mut().append("x-after", "done").unwrap();
                }
                Ok(response)
            }
        }
    }

    async fn list(&self, request: Request<Leaf>, responses: Sender<Leaf>) -> Result<(), Status> {
        let mut metadata = Metadata::new();
        metadata.append("x-before", "first").unwrap();
        responses.send_metadata(metadata.clone());
        responses.set_trailers(metadata);
        for id in 0..request.view().id() {
            let args = LeafArgs {
                id,
                name: request.view().name(),
                ..Default::default()
            };
            responses.send(args).await?;
        }
        if request.view().name() == "fail" {
            Err(Status::aborted("half way"))
        } else {
            Ok(())
        }
    }

    async fn record(&self, mut requests: Receiver<Leaf>) -> Result<Response<Leaf>, Status> {
        let mut sum = 0;
        while let Some(request) = requests.next().await? {
            sum += request.view().id();
        }
        Ok(Response::new(leaf(sum, "sum")))
    }

    async fn chat(
        &self,
        mut requests: Receiver<Leaf>,
        responses: Sender<Leaf>,
    ) -> Result<(), Status> {
        while let Some(request) = requests.next().await? {
            responses.send(&request).await?;
        }
        Ok(())
    }
}

/// What a [`Find`] runs.
pub(crate) type Found = Pin<Box<dyn Future<Output = Result<Response<Leaf>, Status>> + Send>>;

/// A service whose `Find` is a closure; the other methods are not implemented.
pub(crate) struct Find<F>(pub(crate) F);

impl<F: Fn(Request<Leaf>) -> Found + Send + Sync + 'static> Leaves for Find<F> {
    async fn find(&self, request: Request<Leaf>) -> Result<Response<Leaf>, Status> {
        (self.0)(request).await
    }

    async fn list(&self, _: Request<Leaf>, _: Sender<Leaf>) -> Result<(), Status> {
        Err(Status::unimplemented("only Find"))
    }

    async fn record(&self, _: Receiver<Leaf>) -> Result<Response<Leaf>, Status> {
        Err(Status::unimplemented("only Find"))
    }

    async fn chat(&self, _: Receiver<Leaf>, _: Sender<Leaf>) -> Result<(), Status> {
        Err(Status::unimplemented("only Find"))
    }
}
