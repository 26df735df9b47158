//! One call followed over two hops: by plain gRPC and on by session, and the reverse.

use std::sync::Arc;
use std::time::Duration;

use dreammesh_core::call::{
    Code, Detail, Metadata, Priority, Request, Response, Status, TraceContext,
};
use dreammesh_core::channel::{Channel, UnaryCall};
use dreammesh_core::port::Handler;
use dreammesh_core::server::{Service, unary as handler};
use dreammesh_core::wkt::Any;
use dreammesh_transport::{Connect, Server};
use tokio::sync::watch;

use crate::raw::{UNARY, ask, unary};

const TIMEOUT: Duration = Duration::from_secs(60);
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A service that passes calls on, or is the last of the chain.
#[derive(Debug)]
struct Hop {
    next: Option<Channel>,
    /// How many handlers are alive.
    alive: watch::Sender<usize>,
}

/// Counts a handler until it is dropped.
struct Alive(Arc<Hop>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.send_modify(|alive| *alive -= 1);
    }
}

#[derive(Debug)]
struct HopService(Arc<Hop>);

impl Service for HopService {
    fn name(&self) -> &'static str {
        "test.Echo"
    }

    fn handlers(&self) -> Vec<Arc<dyn Handler>> {
        vec![handler(&self.0, &UNARY, |hop, request| async move {
            hop.alive.send_modify(|alive| *alive += 1);
            let _alive = Alive(Arc::clone(&hop));
            match &hop.next {
                Some(next) => pass_on(next, &request).await,
                None => answer(&request).await,
            }
        })]
    }
}

async fn pass_on(next: &Channel, request: &Request<Any>) -> Result<Response<Any>, Status> {
    let mut call = UnaryCall::<Any>::new(next, &UNARY, request.view());
    if let Some(tenant) = request.metadata().text("x-tenant") {
        call = call.metadata("x-tenant", tenant.to_owned());
    }
    let answer = call.await.map_err(|error| {
        let status = error.status().clone();
        status.with_trailers(error.trailers().clone())
    })?;
    Ok(Response::new(answer.into_message()))
}

async fn answer(request: &Request<Any>) -> Result<Response<Any>, Status> {
    match request.view().type_url() {
        "never" => std::future::pending().await,
        "fail" => {
            let mut trailers = Metadata::new();
            trailers.append("x-after", "a").unwrap();
            let detail = Detail::new("type.googleapis.com/test.Detail", &b"detail"[..]);
            let status = Status::not_found("gone é").with_raw_detail(detail);
            Err(status.with_trailers(trailers))
        }
        _ => {
            let trace = request.trace().map(TraceContext::trace_id);
            let tenant = request.metadata().text("x-tenant").unwrap_or_default();
            let priority = request.priority().number();
            let now = std::time::Instant::now();
            let left = request.deadline().map(|it| it.remaining(now) <= TIMEOUT);
            Ok(Response::new(ask(&format!(
                "{trace:x?} {tenant} {priority} {left:?}"
            ))))
        }
    }
}

/// A server with one hop; the channel to it by a scheme, and how many of its handlers are alive.
async fn serve(scheme: &str, next: Option<Channel>) -> (Channel, watch::Receiver<usize>) {
    let (alive, lives) = watch::channel(0);
    let hop = HopService(Arc::new(Hop { next, alive }));
    let server = Server::builder().service(hop);
    let server = server.bind("dreammesh+tcp://127.0.0.1:0").await.unwrap();
    let bound = server.addresses().next().unwrap().to_string();
    tokio::spawn(server.serve_until(std::future::pending::<()>()));
    let target = bound.replace("dreammesh+tcp", scheme);
    (Channel::connect(&target).await.unwrap(), lives)
}

#[tokio::test]
async fn a_call_keeps_all_that_belongs_to_it_from_one_protocol_to_the_other() {
    for (first, second) in [("grpc", "dreammesh+tcp"), ("dreammesh+tcp", "grpc")] {
        let (last, mut last_lives) = serve(second, None).await;
        let (channel, mut first_lives) = serve(first, Some(last)).await;
        let calling = UnaryCall::<Any>::new(&channel, &UNARY, ask("tell"))
            .metadata("x-tenant", "shop")
            .trace(TraceContext::parse(PARENT).unwrap())
            .priority(Priority::HIGH)
            .timeout(TIMEOUT);
        let told = calling.await.unwrap();
        let trace = Some(TraceContext::parse(PARENT).unwrap().trace_id());
        assert_eq!(
            told.view().type_url(),
            format!("{trace:x?} shop 2 Some(true)"),
            "{first}"
        );
        let told = unary(&channel).await.unwrap();
        assert!(told.view().type_url().ends_with(" 1 None"), "{first}");

        let failing = UnaryCall::<Any>::new(&channel, &UNARY, ask("fail"));
        let error = failing.await.unwrap_err();
        assert_eq!(
            (error.code(), error.message()),
            (Code::NotFound, "gone é"),
            "{first}"
        );
        assert_eq!(error.trailers().text("x-after"), Some("a"), "{first}");
        let detail = &error.status().details()[0];
        assert_eq!(detail.type_name(), "test.Detail");
        assert_eq!(&detail.value()[..], b"detail");

        let never = UnaryCall::<Any>::new(&channel, &UNARY, ask("never"));
        let calling = tokio::spawn(async move { never.await.map(drop) });
        last_lives.wait_for(|alive| *alive == 1).await.unwrap();
        calling.abort();
        last_lives.wait_for(|alive| *alive == 0).await.unwrap();
        first_lives.wait_for(|alive| *alive == 0).await.unwrap();

        // What the first caller allows ends the last handler.
        let never = UnaryCall::<Any>::new(&channel, &UNARY, ask("never"));
        let late = never.timeout(Duration::from_millis(500)).await.unwrap_err();
        assert_eq!(late.code(), Code::DeadlineExceeded, "{first}");
        last_lives.wait_for(|alive| *alive == 0).await.unwrap();
        first_lives.wait_for(|alive| *alive == 0).await.unwrap();
    }
}
