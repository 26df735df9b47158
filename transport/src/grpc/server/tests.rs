use std::future::poll_fn;

use dreammesh_core::call::{Endpoint, MethodInfo, MethodKind, Peer};
use dreammesh_core::port::{Handler, HandlerFuture, Lookup, Outcome, ServerCall};
use dreammesh_core::wire::{Limits, Message};
use dreammesh_core::wkt::Empty;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::Connection;
use h2::{Reason, SendStream, client};
use tokio::io::DuplexStream;

use super::*;
use crate::driver::route::Routes;

static READY: MethodInfo = method("/t.T/Ready");
static NEVER: MethodInfo = method("/t.T/Never");

const fn method(path: &'static str) -> MethodInfo {
    MethodInfo::new(path, MethodKind::Unary, Empty::LAYOUT, Empty::LAYOUT)
}

/// Answers at once, or not at all.
#[derive(Debug)]
struct Answering(&'static MethodInfo);

impl Handler for Answering {
    fn method(&self) -> &'static MethodInfo {
        self.0
    }

    fn call(&self, _: ServerCall) -> HandlerFuture {
        match self.0.path() == READY.path() {
            true => HandlerFuture::new(std::future::ready(Outcome::of(Status::ok()))),
            false => HandlerFuture::new(std::future::pending()),
        }
    }
}

#[derive(Debug)]
struct Both;

impl Lookup for Both {
    fn lookup(&self, path: &str) -> Result<Arc<dyn Handler>, Status> {
        let both = [&READY, &NEVER].into_iter();
        let found = both.into_iter().find(|method| method.path() == path);
        match found {
            Some(method) => Ok(Arc::new(Answering(method))),
            None => Err(Status::unimplemented("there is none")),
        }
    }
}

/// Both ends of a connection.
struct Ends {
    requests: SendRequest<Bytes>,
    connection: Connection<DuplexStream, Bytes>,
    calls: Calls,
    /// What keeps calls from being given up.
    bodies: Vec<SendStream<Bytes>>,
}

impl Ends {
    async fn new() -> Self {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (requests, connection) = tokio::join!(client::handshake(ours), async {
            h2::server::handshake(theirs).await.unwrap()
        });
        let (requests, driven) = requests.unwrap();
        tokio::spawn(driven);
        let routes = Arc::new(Routes::new(Arc::new(Both)));
        let peer = Peer::new(Endpoint::new("a test"));
        let handling = Handling::new(routes, Limits::default(), None, peer);
        let mut ends = Self {
            requests,
            connection,
            calls: Calls::new(handling, true, None),
            bodies: Vec::new(),
        };
        ends.take_in().await;
        ends
    }

    /// Begins a call; its request is a message, or the head alone.
    fn call(&mut self, method: &MethodInfo, encoding: &str, is_whole: bool) -> ResponseFuture {
        let request = Request::post(format!("http://test{}", method.path()))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-encoding", encoding);
        let request = request.body(()).unwrap();
        let (response, mut body) = self.requests.send_request(request, false).unwrap();
        if is_whole {
            body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
        }
        self.bodies.push(body);
        response
    }

    /// Takes in what has come, and gives for each call whether one runs once it is taken in.
    async fn take_in(&mut self) -> Vec<bool> {
        let mut run = Vec::new();
        for _ in 0..20 {
            while let Poll::Ready(Some(accepted)) =
                poll_fn(|cx| Poll::Ready(self.connection.poll_accept(cx))).await
            {
                let (request, respond) = accepted.unwrap();
                self.calls.accept(request, respond, None, timer::now());
                run.push(!self.calls.running().is_empty(Waker::noop()));
            }
            tokio::task::yield_now().await;
        }
        run
    }

    /// How many calls are gathered, and whether any runs.
    fn state(&self) -> (usize, bool) {
        let runs = !self.calls.running().is_empty(Waker::noop());
        (self.calls.gathering.len(), runs)
    }
}

async fn refused(response: ResponseFuture) -> Option<Reason> {
    let answer = tokio::time::timeout(std::time::Duration::from_secs(1), response).await;
    answer.expect("it is answered").err()?.reason()
}

#[tokio::test(start_paused = true)]
async fn what_is_compressed_runs_as_a_task() {
    let mut ends = Ends::new().await;
    let answer = ends.call(&READY, "identity", true);
    assert_eq!(ends.take_in().await, [false]);
    ends.calls.resume();
    ends.take_in().await;
    assert!(answer.await.is_ok());
    let answer = ends.call(&READY, "gzip", true);
    assert_eq!(ends.take_in().await, [true]);
    assert!(answer.await.is_ok());
    assert_eq!(ends.state(), (0, false));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_looked_at_so_often_and_then_becomes_a_task() {
    let mut ends = Ends::new().await;
    let _answer = ends.call(&NEVER, "identity", false);
    ends.take_in().await;
    for _ in 1..LOOKS {
        assert!(!ends.calls.resume());
        assert_eq!(ends.state(), (1, false));
    }
    assert!(ends.calls.resume());
    assert_eq!(ends.state(), (0, true));
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_gathered_than_there_is_room_for() {
    let mut ends = Ends::new().await;
    let mut answers = Vec::new();
    for _ in 0..GATHERING_CALLS {
        answers.push(ends.call(&NEVER, "identity", false));
    }
    ends.take_in().await;
    assert_eq!(ends.state(), (GATHERING_CALLS, false));
    answers.push(ends.call(&NEVER, "identity", false));
    ends.take_in().await;
    assert_eq!(ends.state(), (GATHERING_CALLS, true));
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_not_begun_are_turned_away_as_the_server_ends() {
    let mut ends = Ends::new().await;
    let before = ends.call(&NEVER, "identity", false);
    ends.take_in().await;
    assert_eq!(ends.state(), (1, false));
    ends.calls.close();
    let after = ends.call(&READY, "identity", true);
    ends.take_in().await;
    assert_eq!(ends.state(), (0, false));
    for answer in [before, after] {
        assert_eq!(refused(answer).await, Some(Reason::REFUSED_STREAM));
    }
}
