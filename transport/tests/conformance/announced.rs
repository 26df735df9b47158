//! Servers that others are told of, and targets that somebody finds.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dreammesh_core::announce::{AnnounceError, Announcement, Announcer, Served};
use dreammesh_core::call::{CallError, Code};
use dreammesh_core::layer::Metrics;
use dreammesh_core::resolve::{Abilities, Fixed, Knowledge, ResolveError, ResolvedEndpoint};
use dreammesh_core::resolve::{Resolver, Resolvers};
use dreammesh_services::{Health, ServingStatus};
use dreammesh_transport::{Connector, MemoryHub, Server};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep};

use crate::echo::{Echo, EchoServer, ask, call};

/// Writes down what it is told.
#[derive(Clone, Debug, Default)]
struct Book(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    /// Whether those who ask know that the server drains.
    known: bool,
    waker: Option<Waker>,
    changed: watch::Sender<usize>,
}

impl Book {
    fn write(&self, line: impl Into<String>) {
        let mut state = self.0.lock().unwrap();
        state.lines.push(line.into());
        let count = state.lines.len();
        state.changed.send_replace(count);
    }

    async fn lines(&self, count: usize) -> Vec<String> {
        let mut changes = self.0.lock().unwrap().changed.subscribe();
        changes.wait_for(|now| *now >= count).await.unwrap();
        self.0.lock().unwrap().lines.clone()
    }
}

impl Announcer for Book {
    fn check(&self) -> Result<(), AnnounceError> {
        match self.0.lock().unwrap().known {
            true => Err(AnnounceError::new("it is over")),
            false => Ok(()),
        }
    }

    fn announce(self: Box<Self>, served: Served) -> Box<dyn Announcement> {
        let services: Vec<_> = served.services.iter().map(|it| it.name).collect();
        self.write(format!(
            "{} {}",
            served.targets.join(" "),
            services.join(" ")
        ));
        self
    }
}

impl Announcement for Book {
    fn handle_serving(&mut self, serving: bool) {
        self.write(format!("serving: {serving}"));
    }

    fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap();
        if state.known {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        drop(state);
        self.write("draining");
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn others_are_told_of_a_server_from_when_it_serves_until_it_drains() {
    let (book, hub, health) = (Book::default(), MemoryHub::new(), Health::new());
    let server = Server::builder()
        .service(EchoServer(Arc::new(Echo::default())))
        .memory(&hub)
        .health(&health)
        .announce(book.clone())
        .bind("memory://a")
        .await
        .unwrap()
        .bind("memory://b")
        .await
        .unwrap();
    let (stop, stopping) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(stopping));
    let first = ["memory://a memory://b test.Echo", "serving: true"];
    assert_eq!(book.lines(2).await, first);
    health.set("test.Echo", ServingStatus::NotServing);
    assert_eq!(book.lines(3).await[2], "serving: false");
    health.set("test.Echo", ServingStatus::Serving);
    assert_eq!(book.lines(4).await[3], "serving: true");
    // Until others know, calls are taken as ever.
    stop.send(()).unwrap();
    assert_eq!(book.lines(5).await[4], "draining");
    let channel = Connector::new()
        .memory(&hub)
        .connect("memory://a")
        .await
        .unwrap();
    call(&channel, &ask("echo")).await.unwrap();
    let waker = {
        let mut state = book.0.lock().unwrap();
        state.known = true;
        state.waker.take()
    };
    waker.unwrap().wake();
    serving.await.unwrap();
    // The announcement ended with the server: this is the last one.
    assert_eq!(Arc::strong_count(&book.0), 1);
    let wrong = Server::builder()
        .memory(&hub)
        .announce(book)
        .bind("memory://c")
        .await;
    let wrong = wrong.unwrap_err().to_string();
    assert!(wrong.ends_with("announced: it is over"), "{wrong}");
}

/// Finds the one target that it knows.
#[derive(Clone, Debug)]
struct Finds {
    at: Option<&'static str>,
    known: Arc<Knowledge>,
}

/// Says where it is, or why it is nowhere.
#[derive(Debug)]
struct Found(Fixed, Arc<Knowledge>);

impl Resolver for Found {
    fn poll_endpoints(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<ResolvedEndpoint>>> {
        self.0.poll_endpoints(cx)
    }

    fn why_none(&self) -> Option<String> {
        Some("nobody has opened yet".to_owned())
    }

    fn knowledge(&self) -> Option<Arc<Knowledge>> {
        Some(Arc::clone(&self.1))
    }
}

impl Resolvers for Finds {
    fn resolver(&self, target: &str, _: Abilities) -> Result<Box<dyn Resolver>, ResolveError> {
        match target {
            "mesh://echo" => {
                let known = Arc::clone(&self.known);
                Ok(Box::new(Found(Fixed::new(self.at), known)))
            }
            other => Err(ResolveError::new(format!("`{other}` is not known"))),
        }
    }
}

fn finds(at: Option<&'static str>) -> Finds {
    let known = Arc::new(Knowledge::new(Instant::now().into_std()));
    Finds { at, known }
}

#[tokio::test(start_paused = true)]
async fn a_target_of_a_mesh_is_found_by_who_knows_it() {
    let hub = MemoryHub::new();
    let server = Server::builder().service(EchoServer(Arc::new(Echo::default())));
    let server = server.memory(&hub).bind("memory://a").await.unwrap();
    tokio::spawn(server.serve());
    let finds = finds(Some("memory://a"));
    let connector = Connector::new().memory(&hub);
    let error = connector.connect("mesh://echo").await.unwrap_err();
    assert!(error.to_string().contains("Connector::mesh"), "{error}");
    assert!(error.is_target());
    let connector = connector.mesh(&finds);
    let error = connector.connect("mesh://other").await.unwrap_err();
    assert_eq!(error.to_string(), "`mesh://other` is not known");
    let channel = connector.connect("mesh://echo").await.unwrap();
    call(&channel, &ask("echo")).await.unwrap();
    let channel = connector.connect_lazy("mesh://echo").unwrap();
    call(&channel, &ask("echo")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_target_without_endpoints_says_why_and_how_old_that_is() {
    let (metrics, finds) = (Metrics::new(), finds(None));
    let connector = Connector::new().mesh(&finds);
    let error = connector
        .connect("mesh://echo")
        .await
        .unwrap_err()
        .to_string();
    let why = "mesh://echo has no endpoint: nobody has opened yet";
    assert_eq!(error, why);
    let channel = connector.channel_builder("mesh://echo").unwrap();
    let channel = channel.metrics(metrics.clone()).build();
    let failed: CallError = call(&channel, &ask("echo")).await.unwrap_err();
    assert_eq!((failed.code(), failed.message()), (Code::Unavailable, why));
    assert_eq!(metrics.knowledge(), []);
    let now = Instant::now().into_std();
    finds.known.confirm_aged(now, Duration::from_secs(100_000));
    sleep(Duration::from_millis(1)).await;
    let text = metrics.to_prometheus();
    let line = "rpc_client_endpoints_age_seconds{target=\"mesh://echo\"} ";
    let age = text.lines().find_map(|it| it.strip_prefix(line)).unwrap();
    assert!(age.parse::<f64>().unwrap() > 90_000.0, "{age}");
}
