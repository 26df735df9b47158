//! Tunnels through a proxy of our own, which can be told to misbehave.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dreammesh_core::call::{Begun, Code};
use dreammesh_core::channel::{Channel, UnaryCall};
use dreammesh_core::wkt::Any;
use dreammesh_transport::Connector;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Request, Response, StatusCode};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::echo::{IDEMPOTENT, ask, call, chat};
use crate::media::{Medium, Site};

/// How a proxy behaves.
#[derive(Clone, Copy, Debug, Default)]
struct Habit {
    /// The size of the frames it passes on, none for as they come.
    cut_bytes: Option<usize>,
    /// It holds the head of an answer back until some of the body is there.
    holds_head: bool,
    /// It answers by itself.
    refuses: Option<StatusCode>,
}

/// A proxy between channels and a site.
struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    /// Ends everything at once when dropped.
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct State {
    tunnels: AtomicUsize,
    changed: Notify,
    /// Counts the times that all connections were told to go, or cut.
    goaways: watch::Sender<u32>,
    cuts: watch::Sender<u32>,
}

impl Proxy {
    async fn new(site: &Site, habit: Habit) -> Self {
        let upstream = site.target.strip_prefix("dreammesh+h2c://").unwrap();
        let upstream: SocketAddr = upstream.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&state);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(Arc::clone(&shared).serve(stream, upstream, habit));
            }
        });
        Self {
            address,
            state,
            _tasks: tasks,
        }
    }

    fn target(&self) -> String {
        format!("dreammesh+h2c://{}", self.address)
    }

    async fn channel(&self) -> Channel {
        Connector::new().connect(&self.target()).await.unwrap()
    }

    fn tunnels(&self) -> usize {
        self.state.tunnels.load(Ordering::SeqCst)
    }

    /// Waits until so many tunnels have been opened.
    async fn has_opened(&self, count: usize) {
        loop {
            let changed = self.state.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.tunnels() >= count {
                return;
            }
            changed.await;
        }
    }

    fn goaway(&self) {
        self.state.goaways.send_modify(|times| *times += 1);
    }

    fn cut(&self) {
        self.state.cuts.send_modify(|times| *times += 1);
    }
}

impl State {
    async fn serve(self: Arc<Self>, stream: TcpStream, upstream: SocketAddr, habit: Habit) {
        let mut goaways = self.goaways.subscribe();
        let mut cuts = self.cuts.subscribe();
        let mut builder = h2::server::Builder::new();
        builder.initial_window_size(1 << 20);
        let mut connection = builder.handshake::<_, Bytes>(stream).await.unwrap();
        let mut tunnels = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                _ = cuts.changed() => return,
                _ = goaways.changed() => connection.graceful_shutdown(),
                accepted = connection.accept() => {
                    let Some(Ok((request, respond))) = accepted else { break };
                    tunnels.spawn(pass(request, respond, upstream, habit));
                    self.tunnels.fetch_add(1, Ordering::SeqCst);
                    self.changed.notify_waiters();
                }
            }
        }
    }
}

/// Passes one request on, on a connection of its own.
async fn pass(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    upstream: SocketAddr,
    habit: Habit,
) {
    if let Some(status) = habit.refuses {
        let answer = Response::builder().status(status).body(()).unwrap();
        respond.send_response(answer, true).unwrap();
        return;
    }
    let stream = TcpStream::connect(upstream).await.unwrap();
    let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, ());
    let (answer, send) = requests.send_request(request, false).unwrap();
    let upwards = tokio::spawn(copy(body, send, habit.cut_bytes, None));
    if let Ok(answer) = answer.await {
        let (head, mut body) = answer.into_parts();
        let first = if habit.holds_head {
            body.data().await.and_then(Result::ok)
        } else {
            None
        };
        if let Some(first) = &first {
            let _ = body.flow_control().release_capacity(first.len());
        }
        if let Ok(send) = respond.send_response(Response::from_parts(head, ()), false) {
            copy(body, send, habit.cut_bytes, first).await;
        }
    }
    upwards.abort();
    connection.abort();
}

/// Passes a body on until either side is at its end.
async fn copy(
    mut from: RecvStream,
    mut to: SendStream<Bytes>,
    cut_bytes: Option<usize>,
    first: Option<Bytes>,
) {
    let mut next = first;
    loop {
        let mut bytes = match next.take() {
            Some(bytes) => bytes,
            None => match from.data().await {
                Some(Ok(bytes)) => {
                    let _ = from.flow_control().release_capacity(bytes.len());
                    bytes
                }
                Some(Err(_)) => return,
                None => break,
            },
        };
        while !bytes.is_empty() {
            to.reserve_capacity(bytes.len());
            let mut room = to.capacity();
            if room == 0 {
                let more = std::future::poll_fn(|cx| to.poll_capacity(cx)).await;
                let Some(Ok(more)) = more else { return };
                room = more;
            }
            let count = room.min(bytes.len()).min(cut_bytes.unwrap_or(usize::MAX));
            if to.send_data(bytes.split_to(count), false).is_err() {
                return;
            }
        }
    }
    let _ = to.send_data(Bytes::new(), true);
}

async fn echo(channel: &Channel, bytes: usize) {
    let request = Any {
        value: vec![3; bytes].into(),
        ..ask("echo")
    };
    let answer = call(channel, &request).await.unwrap();
    assert_eq!(answer.view().value().len(), bytes);
}

#[tokio::test]
async fn whatever_a_proxy_makes_of_the_frames_calls_pass() {
    let site = Site::new(Medium::Tunnel).await;
    for cut_bytes in [None, Some(1 << 10), Some(100)] {
        for holds_head in [false, true] {
            let habit = Habit {
                cut_bytes,
                holds_head,
                ..Habit::default()
            };
            let proxy = Proxy::new(&site, habit).await;
            let channel = proxy.channel().await;
            for bytes in [0, 64, 1 << 10, 2 << 20, 3 << 20] {
                echo(&channel, bytes).await;
            }
            let (notes, mut answers) = chat(&channel).await.unwrap();
            for index in 0..500 {
                notes.send(ask(&index.to_string())).await.unwrap();
            }
            notes.finish();
            let mut heard = 0;
            while answers.next().await.unwrap().is_some() {
                heard += 1;
            }
            assert_eq!((heard, proxy.tunnels()), (500, 1), "{habit:?}");
        }
    }
}

#[tokio::test]
async fn a_goaway_brings_a_successor_and_ends_nothing() {
    let site = Site::new(Medium::Tunnel).await;
    let proxy = Proxy::new(&site, Habit::default()).await;
    let channel = proxy.channel().await;
    let long = channel.clone();
    let long = tokio::spawn(async move { call(&long, &ask("gate")).await });
    site.probe.alive_is(1).await;
    proxy.goaway();
    proxy.has_opened(2).await;
    for _ in 0..100 {
        echo(&channel, 64).await;
    }
    site.probe.gate.notify_one();
    assert!(long.await.unwrap().is_ok(), "on the first tunnel");
    assert_eq!(proxy.tunnels(), 2);
}

#[tokio::test]
async fn a_tunnel_of_the_greatest_age_is_succeeded_while_calls_go_on() {
    let site = Site::new(Medium::Tunnel).await;
    let proxy = Proxy::new(&site, Habit::default()).await;
    let connector = Connector::new().max_tunnel_age(Duration::from_millis(20));
    let channel = connector.connect(&proxy.target()).await.unwrap();
    while proxy.tunnels() < 5 {
        echo(&channel, 64).await;
    }
}

#[tokio::test]
async fn a_cut_ends_what_had_begun_and_may_not_be_repeated_and_nothing_else() {
    let site = Site::new(Medium::Tunnel).await;
    let proxy = Proxy::new(&site, Habit::default()).await;
    let channel = proxy.channel().await;
    // What ends before the server's hello has come counts as a place that cannot be reached.
    echo(&channel, 64).await;
    for round in 1..=5 {
        let begun = channel.clone();
        let begun = tokio::spawn(async move { call(&begun, &ask("never")).await });
        site.probe.alive_is(1).await;
        proxy.cut();
        let error = begun.await.unwrap().unwrap_err();
        assert_eq!(
            (error.code(), error.begun()),
            (Code::Unavailable, Begun::Maybe)
        );
        // The handler is told, too.
        site.probe.alive_is(0).await;
        echo(&channel, 64).await;
        let before = site.probe.begun.load(Ordering::SeqCst);
        // How many calls have begun in all, of which one alone is alive.
        let has_begun = async |count: usize| {
            let begun = || site.probe.begun.load(Ordering::SeqCst) == before + count;
            let alive = || site.probe.alive.load(Ordering::SeqCst) == 1;
            site.probe.until(|| begun() && alive()).await;
        };
        let idempotent = channel.clone();
        let idempotent = tokio::spawn(async move {
            UnaryCall::<Any>::new(&idempotent, &IDEMPOTENT, ask("gate")).await
        });
        has_begun(1).await;
        proxy.cut();
        has_begun(2).await;
        site.probe.gate.notify_one();
        assert!(idempotent.await.unwrap().is_ok(), "made again elsewhere");
        echo(&channel, 64).await;
        assert_eq!(proxy.tunnels(), 2 * round + 1);
    }
}

#[tokio::test]
async fn a_proxy_that_leads_nowhere_is_named_by_what_it_said() {
    let site = Site::new(Medium::Tunnel).await;
    for (status, said) in [
        (StatusCode::BAD_GATEWAY, "HTTP status 502"),
        (StatusCode::NOT_FOUND, "HTTP status 404"),
        (StatusCode::OK, "another content type"),
    ] {
        let habit = Habit {
            refuses: Some(status),
            ..Habit::default()
        };
        let proxy = Proxy::new(&site, habit).await;
        let channel = Connector::new().connect_lazy(&proxy.target()).unwrap();
        let error = call(&channel, &ask("echo")).await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
        assert!(error.message().contains(said), "{error}");
    }
}
