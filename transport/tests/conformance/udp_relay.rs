//! A relay of datagrams between clients and a server that behaves as badly as it is told to.
//!
//! It decides by a generator whose seed it prints, datagram by datagram in the order in which they
//! come. It knows nothing of what is in them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// What happens to datagrams on their way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Of a thousand datagrams, how many are lost.
    pub(crate) lost_per_mille: u64,
    /// How long each takes at least.
    pub(crate) delay: Duration,
    /// How much longer it may take; what overtakes what follows from it.
    pub(crate) jitter: Duration,
    /// How many of the next that are full are lost; a full one has 1,200 bytes and more.
    pub(crate) full_lost: u64,
}

impl Weather {
    /// Everything arrives, at once and in order.
    pub(crate) const CLEAR: Self = Self {
        lost_per_mille: 0,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        full_lost: 0,
    };
}

/// A relay in front of one server.
#[derive(Debug)]
pub(crate) struct UdpRelay {
    /// Where clients reach the server now.
    pub(crate) address: SocketAddr,
    path: Arc<Path>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Path {
    front: UdpSocket,
    server: SocketAddr,
    state: Mutex<State>,
    to_server: Counter,
    to_client: Counter,
    /// Retry packets from the server.
    retries: AtomicU64,
    /// Clients that the server has answered.
    answered: AtomicU64,
    /// Datagrams with early data.
    early: AtomicU64,
    /// What clients sent, since somebody asked for it.
    recorded: Mutex<Option<Vec<Vec<u8>>>>,
}

/// What was to be carried in one direction, whatever became of it.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    bytes: AtomicU64,
    datagrams: AtomicU64,
}

impl Counter {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }

    pub(crate) fn datagrams(&self) -> u64 {
        self.datagrams.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct State {
    to_server: Weather,
    to_client: Weather,
    random: u64,
    /// What the server takes each client's address for.
    backs: HashMap<SocketAddr, Arc<UdpSocket>>,
    /// Clients whose datagrams are lost, both ways.
    shunned: Vec<SocketAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

impl UdpRelay {
    /// Begins to relay to a server, in fine weather.
    pub(crate) async fn new(server: SocketAddr, seed: u64) -> Self {
        eprintln!("the relay's seed is {seed}");
        let front = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = front.local_addr().unwrap();
        let path = Arc::new(Path {
            front,
            server,
            state: Mutex::new(State {
                to_server: Weather::default(),
                to_client: Weather::default(),
                random: seed,
                backs: HashMap::new(),
                shunned: Vec::new(),
            }),
            to_server: Counter::default(),
            to_client: Counter::default(),
            retries: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            early: AtomicU64::new(0),
            recorded: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(forward(Arc::clone(&path)));
        Self {
            address,
            path,
            _tasks: tasks,
        }
    }

    /// Changes the weather in both directions.
    pub(crate) fn set(&self, weather: Weather) {
        self.set_each(weather, weather);
    }

    pub(crate) fn set_each(&self, to_server: Weather, to_client: Weather) {
        let mut state = self.path.state.lock().unwrap();
        (state.to_server, state.to_client) = (to_server, to_client);
    }

    /// Has every client come from another port from now on, as when a router has forgotten it.
    pub(crate) fn forget_addresses(&self) {
        self.path.state.lock().unwrap().backs.clear();
    }

    /// Carries nothing any more for the clients that there are, by the addresses they have now.
    pub(crate) fn shun_addresses(&self) {
        let mut state = self.path.state.lock().unwrap();
        state.shunned = state.backs.keys().copied().collect();
    }

    pub(crate) fn to_server(&self) -> &Counter {
        &self.path.to_server
    }

    pub(crate) fn to_client(&self) -> &Counter {
        &self.path.to_client
    }

    /// How many Retry packets the server sent (RFC 9000 section 17.2.5).
    pub(crate) fn retries(&self) -> u64 {
        self.path.retries.load(Ordering::SeqCst)
    }

    /// How many clients the server sent anything to.
    pub(crate) fn answered_clients(&self) -> usize {
        usize::try_from(self.path.answered.load(Ordering::SeqCst)).unwrap()
    }

    /// How many datagrams came with early data (0-RTT, RFC 9000 section 17.2.3).
    pub(crate) fn early(&self) -> u64 {
        self.path.early.load(Ordering::SeqCst)
    }

    /// Keeps what clients send from now on.
    pub(crate) fn record(&self) {
        *self.path.recorded.lock().unwrap() = Some(Vec::new());
    }

    /// What was kept.
    pub(crate) fn recorded(&self) -> Vec<Vec<u8>> {
        self.path.recorded.lock().unwrap().take().unwrap()
    }

    /// How many datagrams are still to be lost for being full.
    pub(crate) fn full_left(&self) -> u64 {
        let state = self.path.state.lock().unwrap();
        state.to_server.full_lost + state.to_client.full_lost
    }
}

/// Whether one of the packets in a datagram is of early data.
///
/// Those with a long header say how long they are (RFC 9000 section 17.2), and whatever is in one
/// datagram with others stands behind them.
fn has_early_data(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    while let Some(kind) = rest.first().filter(|first| **first & 0x80 != 0) {
        match kind & 0x30 {
            0x10 => return true,
            kind => match length_of(rest, kind == 0) {
                Some(length) if length <= rest.len() => rest = &rest[length..],
                _ => return false,
            },
        }
    }
    false
}

/// The length of a packet with a long header, of which one kind has a token.
fn length_of(packet: &[u8], has_token: bool) -> Option<usize> {
    let mut rest = packet.get(5..)?;
    for _ in 0..2 {
        let id = usize::from(*rest.first()?);
        rest = rest.get(1 + id..)?;
    }
    if has_token {
        let token = varint(&mut rest)?;
        rest = rest.get(token..)?;
    }
    let length = varint(&mut rest)?;
    Some(packet.len() - rest.len() + length)
}

/// A number whose first two bits say how many bytes it has (RFC 9000 section 16).
fn varint(from: &mut &[u8]) -> Option<usize> {
    let first = *from.first()?;
    let bytes = from.split_off(..1 << (first >> 6))?;
    let rest = bytes[1..].iter();
    Some(rest.fold(usize::from(first & 0x3f), |sum, byte| {
        sum << 8 | usize::from(*byte)
    }))
}

/// Takes what clients send.
async fn forward(path: Arc<Path>) {
    let mut answers = JoinSet::new();
    let mut bytes = vec![0; 65_536];
    loop {
        let Ok((count, client)) = path.front.recv_from(&mut bytes).await else {
            continue;
        };
        path.early
            .fetch_add(u64::from(has_early_data(&bytes[..count])), Ordering::SeqCst);
        if let Some(recorded) = &mut *path.recorded.lock().unwrap() {
            recorded.push(bytes[..count].to_vec());
        }
        let known = path.state.lock().unwrap().backs.get(&client).cloned();
        let back = match known {
            Some(back) => back,
            None => {
                let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                back.connect(path.server).await.unwrap();
                let mut state = path.state.lock().unwrap();
                state.backs.insert(client, Arc::clone(&back));
                answers.spawn(answer(Arc::clone(&path), Arc::clone(&back), client));
                back
            }
        };
        let Some(delay) = path.fate(Way::ToServer, client, count) else {
            continue;
        };
        // A server that is gone is the client's to find out.
        if delay.is_zero() {
            let _ = back.send(&bytes[..count]).await;
            continue;
        }
        let datagram = bytes[..count].to_vec();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = back.send(&datagram).await;
        });
    }
}

/// Takes what the server sends to one client.
async fn answer(path: Arc<Path>, back: Arc<UdpSocket>, client: SocketAddr) {
    let mut bytes = vec![0; 65_536];
    let mut is_first = true;
    loop {
        let Ok(count) = back.recv(&mut bytes).await else {
            continue;
        };
        path.retries
            .fetch_add(u64::from(bytes[0] & 0xf0 == 0xf0), Ordering::SeqCst);
        let first = std::mem::take(&mut is_first);
        path.answered.fetch_add(u64::from(first), Ordering::SeqCst);
        let Some(delay) = path.fate(Way::ToClient, client, count) else {
            continue;
        };
        if delay.is_zero() {
            let _ = path.front.send_to(&bytes[..count], client).await;
            continue;
        }
        let (path, datagram) = (Arc::clone(&path), bytes[..count].to_vec());
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = path.front.send_to(&datagram, client).await;
        });
    }
}

impl Path {
    /// How long a datagram takes, unless it is lost.
    fn fate(&self, way: Way, client: SocketAddr, bytes: usize) -> Option<Duration> {
        let counter = match way {
            Way::ToServer => &self.to_server,
            Way::ToClient => &self.to_client,
        };
        counter.bytes.fetch_add(bytes as u64, Ordering::SeqCst);
        counter.datagrams.fetch_add(1, Ordering::SeqCst);
        let mut state = self.state.lock().unwrap();
        if state.shunned.contains(&client) {
            return None;
        }
        let (lost, late) = (state.next(1_000), state.next(1_000));
        let weather = match way {
            Way::ToServer => &mut state.to_server,
            Way::ToClient => &mut state.to_client,
        };
        if bytes >= 1_200 && weather.full_lost > 0 {
            weather.full_lost -= 1;
            return None;
        }
        let late = u32::try_from(late).unwrap();
        (lost >= weather.lost_per_mille).then(|| weather.delay + weather.jitter * late / 1_000)
    }
}

impl State {
    /// The next number below a bound, by SplitMix64.
    fn next(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}
