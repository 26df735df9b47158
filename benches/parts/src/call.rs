//! Whole calls: archived, sent, handled, answered, validated and read on both sides.
//!
//! In the process there is no carrier, so what a layer adds is what it costs. Over a link in
//! memory the session and the driver do all that they do on a socket, client and server as tasks
//! of one runtime on this thread.

use std::future::{Future, IntoFuture, poll_fn};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dreammesh::{
    CallError, Channel, Connector, MemoryHub, Message, Metrics, Request, Response, Router, Server,
    Status, UnaryCall,
};
use dreammesh_core::balance::Policy;
use dreammesh_core::in_process::InProcess;
use dreammesh_core::resolve::Fixed;
use tokio::runtime::{Builder, Runtime};
use tower_layer::Identity;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber, dispatcher};

mod grpc_server;

use crate::contract::{Order, Parts, PartsClient, PartsServer, Small};
use crate::message::{order, read_order, read_small, small};
use crate::{Body, Part};

/// The parts. The traced one comes last: once there has been a subscriber, a span costs more.
pub const PARTS: &[Part] = &[
    Part::new("call: in process 64B", || in_process(With::Nothing)),
    Part::new("call: in process order", in_process_order),
    Part::new("call: in process 64B, deadline", || {
        in_process(With::Deadline)
    }),
    Part::new("call: in process 64B, metrics", || {
        in_process(With::Metrics)
    }),
    Part::new("call: in process 64B, empty layer", || {
        in_process(With::Layer)
    }),
    Part::times("call: memory link 64B", BATCH, || linked(With::Nothing)),
    Part::times("call: memory link order", BATCH, || {
        linked_order(With::Nothing)
    }),
    Part::times("call: memory link 64B, deadline", BATCH, || {
        linked(With::Deadline)
    }),
    Part::times("call: memory link 64B, metrics", BATCH, || {
        linked(With::Metrics)
    }),
    Part::times("call: memory link 64B, balanced", BATCH, || {
        linked(With::Balance)
    }),
    Part::times("call: gRPC memory link 64B", BATCH, || linked(With::Grpc)),
    Part::times("call: gRPC memory link order", BATCH, || {
        linked_order(With::Grpc)
    }),
    Part::times("call: gRPC server 64B", BATCH, grpc_server::small_calls),
    Part::new("call: in process 64B, trace", || in_process(With::Trace)),
];

/// How many calls are outstanding on a link.
pub(crate) const BATCH: u32 = 64;

/// Long enough never to pass, so that it costs only its bookkeeping.
const TIMEOUT: Duration = Duration::from_secs(600);

/// What a call has around it, on both sides where there are two.
#[derive(Clone, Copy, PartialEq, Eq)]
enum With {
    Nothing,
    Deadline,
    Metrics,
    Layer,
    Trace,
    /// A choice of one endpoint, so that what is noted of it is added, and nothing that is picked.
    Balance,
    /// Plain gRPC in place of a session.
    Grpc,
}

/// Answers with a message of the size of the request, all of which it reads.
pub(crate) struct Answers {
    small: Small,
    order: Order,
}

impl Answers {
    pub(crate) fn new() -> Self {
        Self {
            small: small(),
            order: order(),
        }
    }
}

impl Parts for Answers {
    async fn small(&self, request: Request<Small>) -> Result<Response<Small>, Status> {
        black_box(read_small(request.view()));
        Ok(Response::new(&self.small))
    }

    async fn order(&self, request: Request<Order>) -> Result<Response<Order>, Status> {
        black_box(read_order(request.view()));
        Ok(Response::new(&self.order))
    }
}

fn sent<M: Message>(call: UnaryCall<M>, with: With) -> UnaryCall<M> {
    if with == With::Deadline {
        call.timeout(TIMEOUT)
    } else {
        call
    }
}

/// What it takes to make a call in this process.
fn in_process_client(with: With) -> PartsClient {
    let metrics = Metrics::new();
    let mut router = Router::builder().service(&PartsServer::new(Answers::new()));
    if with == With::Metrics {
        router = router.metrics(metrics.clone());
    }
    if with == With::Layer {
        router = router.layer(Identity::new());
    }
    let mut channel = Channel::builder(InProcess::new(router.build()).into_source());
    if with == With::Metrics {
        channel = channel.metrics(metrics);
    }
    if with == With::Layer {
        channel = channel.layer(Identity::new());
    }
    PartsClient::new(channel.build())
}

fn in_process(with: With) -> Body {
    let client = in_process_client(with);
    let request = small();
    let call = move || {
        let answer = at_once(sent(client.small(&request), with).into_future());
        black_box(read_small(answer.view()));
    };
    if with != With::Trace {
        return Box::new(call);
    }
    let dispatch = Dispatch::new(Watcher);
    Box::new(move || dispatcher::with_default(&dispatch, &call))
}

fn in_process_order() -> Body {
    let client = in_process_client(With::Nothing);
    let request = order();
    Box::new(move || {
        let answer = at_once(client.order(&request).into_future());
        black_box(read_order(answer.view()));
    })
}

/// The outcome of a call whose handler never waits.
fn at_once<T>(call: impl Future<Output = Result<T, CallError>>) -> T {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer.expect("the handler answers"),
        Poll::Pending => unreachable!("the handler never waits"),
    }
}

/// A server and a client with a link in memory between them.
struct Linked {
    runtime: Runtime,
    client: PartsClient,
}

impl Linked {
    fn new(with: With) -> Self {
        // The driver times a handler's first poll and treats slow methods otherwise. A clock that
        // stands still shows none to be slow, however slow the machine is or is made.
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        let runtime = runtime.expect("a runtime without I/O needs memory alone");
        let client = runtime.block_on(async {
            let hub = MemoryHub::new();
            let mut server = Server::builder()
                .service(PartsServer::new(Answers::new()))
                .memory(&hub);
            if with == With::Metrics {
                server = server.metrics(Metrics::new());
            }
            let server = server.bind("memory://parts").await;
            let server = server.expect("the hub is empty");
            tokio::spawn(server.serve());
            let connector = Connector::new().memory(&hub);
            let mut channel = match with {
                With::Balance => {
                    let endpoints = Fixed::new(["memory://parts"]);
                    connector.balanced("parts", Policy::default(), endpoints)
                }
                With::Grpc => connector
                    .channel_builder("grpc+memory://parts")
                    .expect("a lawful target"),
                _ => connector
                    .channel_builder("memory://parts")
                    .expect("a lawful target"),
            };
            if with == With::Metrics {
                channel = channel.metrics(Metrics::new());
            }
            PartsClient::new(channel.build())
        });
        Self { runtime, client }
    }
}

fn linked(with: With) -> Body {
    let Linked { runtime, client } = Linked::new(with);
    let request = small();
    Box::new(move || {
        let calls = (0..BATCH).map(|_| sent(client.small(&request), with));
        runtime.block_on(all(calls.collect(), |answer: Response<Small>| {
            black_box(read_small(answer.view()));
        }));
    })
}

fn linked_order(with: With) -> Body {
    let Linked { runtime, client } = Linked::new(with);
    let request = order();
    Box::new(move || {
        let calls = (0..BATCH).map(|_| client.order(&request));
        runtime.block_on(all(calls.collect(), |answer: Response<Order>| {
            black_box(read_order(answer.view()));
        }));
    })
}

/// Makes all calls at the same time, so that they share their flushes.
async fn all<M: Message>(calls: Vec<UnaryCall<M>>, read: impl Fn(Response<M>)) {
    let mut calls: Vec<Pin<Box<_>>> = (calls.into_iter())
        .map(|call| Box::pin(call.into_future()))
        .collect();
    poll_fn(|cx| {
        calls.retain_mut(|call| match call.as_mut().poll(cx) {
            Poll::Ready(answer) => {
                read(answer.expect("the handler answers"));
                false
            }
            Poll::Pending => true,
        });
        if calls.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Wants every span and does nothing with it.
struct Watcher;

impl Subscriber for Watcher {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
