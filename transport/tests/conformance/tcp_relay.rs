//! A relay of byte streams between clients and a server that behaves as badly as it is told to.
//!
//! It decides by a generator whose seed it prints, piece by piece in the order in which they come
//! on a connection. It knows nothing of what is in them.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What happens to bytes on their way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conduct {
    /// How long they take at least.
    pub(crate) delay: Duration,
    /// How much longer they may take; they stay in their order.
    pub(crate) jitter: Duration,
    /// They are passed on in pieces of any length up to this.
    pub(crate) piece_bytes_max: u64,
    /// How many of them pass in a second, at most.
    pub(crate) bytes_a_second: Option<u64>,
    /// A connection is cut after some number of bytes up to this, both ways together.
    pub(crate) cut_after_bytes_max: Option<u64>,
    /// A client that comes while there is no server is kept waiting, and not turned away.
    pub(crate) waits_for_server: bool,
}

impl Conduct {
    /// Everything arrives, at once and as it was sent.
    pub(crate) const CALM: Self = Self {
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        piece_bytes_max: 64 << 10,
        bytes_a_second: None,
        cut_after_bytes_max: None,
        waits_for_server: false,
    };

    /// Late and in pieces, as over a bad network.
    pub(crate) const ROUGH: Self = Self {
        delay: Duration::from_micros(200),
        jitter: Duration::from_millis(1),
        piece_bytes_max: 3_000,
        waits_for_server: true,
        ..Self::CALM
    };
}

/// Which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// A relay in front of one server.
#[derive(Debug)]
pub(crate) struct TcpRelay {
    /// Where clients reach the server.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    conduct: Mutex<Conduct>,
    random: Mutex<u64>,
    connections: AtomicU64,
    /// Counts the times that every connection was cut.
    cuts: watch::Sender<u32>,
    /// Counts the times that every connection was closed in one direction, and which.
    halves: watch::Sender<(u32, Way)>,
}

impl TcpRelay {
    pub(crate) async fn new(server: SocketAddr, conduct: Conduct, seed: u64) -> Self {
        eprintln!("the relay's seed is {seed}");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server,
            conduct: Mutex::new(conduct),
            random: Mutex::new(seed),
            connections: AtomicU64::new(0),
            cuts: watch::Sender::new(0),
            halves: watch::Sender::new((0, Way::ToServer)),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            _tasks: tasks,
        }
    }

    /// The address that leads through it to a server of this one.
    pub(crate) fn in_place_of(&self, bound: &str) -> String {
        let (scheme, _) = bound.split_once("://").unwrap();
        format!("{scheme}://{}", self.address)
    }

    /// The server that it leads to.
    pub(crate) fn server(&self) -> SocketAddr {
        self.shared.server
    }

    /// Changes how it behaves, for what has not come yet.
    pub(crate) fn set(&self, conduct: Conduct) {
        *self.shared.conduct.lock().unwrap() = conduct;
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Ends every connection there is, both ways.
    pub(crate) fn cut(&self) {
        self.shared.cuts.send_modify(|times| *times += 1);
    }

    /// Ends every connection there is in one direction: what is still sent there goes nowhere.
    pub(crate) fn half_close(&self, way: Way) {
        self.shared.halves.send_modify(|(times, of)| {
            *times += 1;
            *of = way;
        });
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        while connections.try_join_next().is_some() {}
        connections.spawn(Arc::clone(&shared).relay(client));
    }
}

impl Shared {
    async fn relay(self: Arc<Self>, client: TcpStream) {
        let mut cuts = self.cuts.subscribe();
        self.connections.fetch_add(1, Ordering::SeqCst);
        let server = loop {
            match TcpStream::connect(self.server).await {
                Ok(server) => break server,
                Err(_) if self.conduct().waits_for_server => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(_) => return,
            }
        };
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
        }
        let cut_after = self.conduct().cut_after_bytes_max;
        let left = Arc::new(AtomicU64::new(match cut_after {
            Some(most) => 1 + self.next(most),
            None => u64::MAX,
        }));
        let ((from_client, to_client), (from_server, to_server)) =
            (client.into_split(), server.into_split());
        let mut ways = JoinSet::new();
        for (way, from, to) in [
            (Way::ToServer, from_client, to_server),
            (Way::ToClient, from_server, to_client),
        ] {
            let (queue, queued) = mpsc::channel(PIECES);
            ways.spawn(Arc::clone(&self).take(from, queue));
            let (shared, left) = (Arc::clone(&self), Arc::clone(&left));
            ways.spawn(shared.give(way, queued, to, left));
        }
        // What is left of either direction is dropped with the set.
        tokio::select! {
            _ = cuts.changed() => {}
            () = async {
                while let Some(Ok(Went::On)) = ways.join_next().await {}
            } => {}
        }
    }

    fn conduct(&self) -> Conduct {
        *self.conduct.lock().unwrap()
    }

    /// Takes what comes, and says until when it is on its way; an end comes last.
    async fn take(self: Arc<Self>, mut from: OwnedReadHalf, queue: mpsc::Sender<Piece>) -> Went {
        let mut latest = Instant::now();
        loop {
            let mut bytes = Vec::with_capacity(64 << 10);
            // What was taken before a reset is still on its way, and arrives.
            let count = from.read_buf(&mut bytes).await.unwrap_or(0);
            let conduct = self.conduct();
            let late = u32::try_from(self.next(1_000)).unwrap();
            let due = Instant::now() + conduct.delay + conduct.jitter * late / 1_000;
            latest = latest.max(due);
            if queue.send((latest, bytes)).await.is_err() || count == 0 {
                return Went::On;
            }
        }
    }

    async fn give(
        self: Arc<Self>,
        way: Way,
        mut queued: mpsc::Receiver<Piece>,
        mut to: OwnedWriteHalf,
        left: Arc<AtomicU64>,
    ) -> Went {
        let mut halves = self.halves.subscribe();
        let mut is_closed = false;
        loop {
            let (due, bytes) = tokio::select! {
                biased;
                _ = halves.changed() => {
                    if halves.borrow_and_update().1 == way && !is_closed {
                        is_closed = true;
                        let _ = to.shutdown().await;
                    }
                    continue;
                }
                piece = queued.recv() => match piece {
                    Some(piece) => piece,
                    None => return Went::On,
                },
            };
            tokio::time::sleep_until(due).await;
            if is_closed {
                continue;
            }
            if bytes.is_empty() {
                let _ = to.shutdown().await;
                return Went::On;
            }
            match self.give_in_pieces(&bytes, &mut to, &left).await {
                Ok(true) => {}
                Ok(false) => return Went::Cut,
                // Nobody is there any more; what they said before may be on its way yet.
                Err(_) => is_closed = true,
            }
        }
    }

    /// Gives all of it, unless the connection is to be cut first.
    async fn give_in_pieces(
        &self,
        mut bytes: &[u8],
        to: &mut OwnedWriteHalf,
        left: &AtomicU64,
    ) -> io::Result<bool> {
        while !bytes.is_empty() {
            let conduct = self.conduct();
            let length = 1 + self.next(conduct.piece_bytes_max);
            let length = usize::try_from(length).unwrap().min(bytes.len());
            let (piece, rest) = bytes.split_at(length);
            bytes = rest;
            to.write_all(piece).await?;
            let passed = |left: u64| left.checked_sub(length as u64);
            if left
                .try_update(Ordering::SeqCst, Ordering::SeqCst, passed)
                .is_err()
            {
                return Ok(false);
            }
            match conduct.bytes_a_second {
                Some(rate) => {
                    tokio::time::sleep(Duration::from_secs(1) * length as u32 / rate as u32).await;
                }
                // So that the other side can read the piece by itself.
                None => tokio::task::yield_now().await,
            }
        }
        Ok(true)
    }

    /// The next number below a bound, by SplitMix64.
    fn next(&self, below: u64) -> u64 {
        let mut random = self.random.lock().unwrap();
        *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// Bytes, and when they arrive; none at the end.
type Piece = (Instant, Vec<u8>);

/// How a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Went {
    /// With its own end; the other may go on.
    On,
    /// With that of the connection.
    Cut,
}

/// How many pieces of at most 64 KiB are on their way at once, in one direction: far more than any
/// window, so that it is those that say how much is under way.
const PIECES: usize = 4096;
