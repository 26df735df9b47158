//! The guard around a UDP socket, as `chitchat` wants it.
//!
//! `chitchat` turns its messages into bytes nowhere but in its own UDP socket. So each message goes
//! through such a socket, on a loopback address that nobody else knows and whose other end takes
//! from it alone, and from there through the [guard](super::guard) to the network. Both ends are in
//! this process, and gossip is a few messages a second.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_lc_rs::rand;
use chitchat::ChitchatEnvelope;
use chitchat::transport::{RecvOutcome, SendOutcome, Socket, Transport, UdpSocket as Codec};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::time::timeout_at;
use tracing::warn;

use super::guard::{Cluster, DATAGRAM_BYTES_MAX, Dropped, Guard};
use super::secret::Secrets;
use crate::clock;

/// How long the codec may take: its bytes are there when they have been written, so that this much
/// passes only when it could not read them.
const CODEC_WAIT: Duration = Duration::from_millis(200);
/// How far apart lines of the log about dropped datagrams of one kind are.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// A UDP socket that only members of a cluster speak through.
#[derive(Debug)]
pub struct Guarded {
    cluster: Cluster,
    /// Whether the cluster has a secret; otherwise it is of this host alone.
    is_secret: bool,
    heard: Arc<Heard>,
    /// What has been bound and is not used yet.
    bound: Mutex<Option<GuardedSocket>>,
}

impl Guarded {
    /// Gossip of a cluster; without secrets it is bound to loopback addresses only, and everybody on
    /// the host may take part.
    pub fn new(name: &str, secrets: Option<Secrets>) -> Self {
        let is_secret = secrets.is_some();
        Self {
            cluster: Cluster::new(name, secrets.unwrap_or_else(Secrets::none)),
            is_secret,
            heard: Arc::default(),
            bound: Mutex::default(),
        }
    }

    /// Binds the socket, so that nothing about it is left to fail later; says to which address.
    ///
    /// # Errors
    /// When the address is not of this host alone and there is no secret, or the system does not
    /// allow it.
    pub async fn bind(&self, address: SocketAddr) -> Result<SocketAddr, ListenError> {
        let socket = self.listen(address).await?;
        let bound = socket.outside.local_addr();
        let bound = bound.map_err(|error| ListenError::Io(address, error))?;
        *self.bound.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
        Ok(bound)
    }

    /// What has been heard, and what was dropped.
    pub fn heard(&self) -> Arc<Heard> {
        self.heard.clone()
    }

    async fn listen(&self, address: SocketAddr) -> Result<GuardedSocket, ListenError> {
        if !self.is_secret && !address.ip().to_canonical().is_loopback() {
            return Err(ListenError::NoSecret(address));
        }
        let failed = |error| ListenError::Io(address, error);
        let mut seed = [0; 32];
        rand::fill(&mut seed).map_err(|_| ListenError::Randomness)?;
        let codec = Codec::open((Ipv4Addr::LOCALHOST, 0).into()).await;
        let codec = codec.map_err(|error| failed(io::Error::other(error)))?;
        let relay = other_end(&codec).await.map_err(failed)?;
        Ok(GuardedSocket {
            outside: UdpSocket::bind(address).await.map_err(failed)?,
            guard: Guard::new(&self.cluster, seed, clock::now()),
            relay_address: relay.local_addr().map_err(failed)?,
            codec,
            relay,
            reading: None,
            buffer: vec![0; DATAGRAM_BYTES_MAX].into(),
            heard: self.heard.clone(),
        })
    }
}

#[async_trait]
impl Transport for Guarded {
    async fn open(&self, address: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let bound = self
            .bound
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match bound {
            Some(socket) => Ok(Box::new(socket)),
            None => Ok(Box::new(self.listen(address).await?)),
        }
    }
}

/// Why gossip cannot be heard at an address.
#[derive(Debug)]
#[non_exhaustive]
pub enum ListenError {
    /// Other hosts would hear it, and there is no secret.
    NoSecret(SocketAddr),
    /// The system does not allow it.
    Io(SocketAddr, io::Error),
    /// The system has no randomness to give.
    Randomness,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSecret(address) => write!(
                f,
                "gossip at {address} would be heard by other hosts, and there is no secret to tell \
                 members by; name a file with one, or listen at a loopback address"
            ),
            Self::Io(address, error) => write!(f, "gossip at {address}: {error}"),
            Self::Randomness => f.write_str("the system has no randomness to give"),
        }
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            _ => None,
        }
    }
}

/// What came through a socket.
#[derive(Debug, Default)]
pub struct Heard {
    /// Rings when `chitchat` has been handed a message.
    message: Notify,
    dropped: [AtomicU64; Dropped::ALL.len()],
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// When the log last said that such a datagram was dropped.
    logged: Mutex<BTreeMap<Dropped, Instant>>,
}

impl Heard {
    /// Waits until a message has come since the last time.
    pub async fn message(&self) {
        self.message.notified().await;
    }

    /// Says that a message has come.
    pub(crate) fn ring(&self) {
        self.message.notify_one();
    }

    /// How many datagrams of a kind were dropped.
    pub fn dropped(&self, kind: Dropped) -> u64 {
        self.dropped[kind as usize].load(Ordering::Relaxed)
    }

    /// How many bytes came and went, the heads of UDP and IP aside.
    pub fn bytes(&self) -> (u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&self.bytes_in), of(&self.bytes_out))
    }

    fn note(&self, kind: Dropped, from: SocketAddr, now: Instant) {
        self.dropped[kind as usize].fetch_add(1, Ordering::Relaxed);
        // A member that starts names what it cannot know yet; that is how it learns it.
        if kind == Dropped::Stale {
            return;
        }
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let last = logged.get(&kind);
        if last.is_some_and(|last| now.saturating_duration_since(*last) < LOG_EVERY) {
            return;
        }
        logged.insert(kind, now);
        drop(logged);
        let count = self.dropped(kind);
        warn!(%kind, %from, count, "dropped a datagram of gossip");
    }
}

struct GuardedSocket {
    outside: UdpSocket,
    guard: Guard,
    /// Turns messages into bytes and back.
    codec: Codec,
    /// The other end of the codec.
    relay: UdpSocket,
    relay_address: SocketAddr,
    /// The sender of the message that the codec has been given to read, and until when it may.
    reading: Option<(SocketAddr, Instant)>,
    buffer: Box<[u8]>,
    heard: Arc<Heard>,
}

impl fmt::Debug for GuardedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedSocket")
            .field("outside", &self.outside)
            .finish_non_exhaustive()
    }
}

impl GuardedSocket {
    /// Sends what there is to send. What the system does not take is lost, as datagrams are: all of
    /// it is said again.
    async fn transmit(&mut self) {
        while let Some((to, datagram)) = self.guard.poll_transmit() {
            if self.outside.send_to(&datagram, to).await.is_ok() {
                let bytes = datagram.len() as u64;
                self.heard.bytes_out.fetch_add(bytes, Ordering::Relaxed);
            }
        }
    }

    /// Begins anew with the codec: what it did not give in time must not pass for what is asked of
    /// it next.
    async fn renew(&mut self) -> anyhow::Result<()> {
        self.relay = other_end(&self.codec).await?;
        self.relay_address = self.relay.local_addr()?;
        Ok(())
    }

    /// What the codec made of the message it was given, if it could read it.
    async fn read(
        &mut self,
        from: SocketAddr,
        until: Instant,
    ) -> anyhow::Result<Option<RecvOutcome>> {
        loop {
            match timeout_at(until.into(), self.codec.recv()).await {
                Ok(Ok(outcome)) if outcome.from_addr == self.relay_address => {
                    self.heard.ring();
                    let from_addr = from;
                    return Ok(Some(RecvOutcome {
                        from_addr,
                        ..outcome
                    }));
                }
                // Another process of this host wrote to the codec.
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    self.heard.note(Dropped::Unreadable, from, clock::now());
                    self.renew().await?;
                    return Ok(None);
                }
            }
        }
    }
}

#[async_trait]
impl Socket for GuardedSocket {
    fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.outside.local_addr()?)
    }

    async fn send(
        &mut self,
        to: SocketAddr,
        envelope: ChitchatEnvelope,
    ) -> anyhow::Result<SendOutcome> {
        let outcome = self.codec.send(self.relay_address, envelope).await?;
        let until = clock::now() + CODEC_WAIT;
        let came = timeout_at(until.into(), self.relay.recv(&mut self.buffer)).await;
        if let Ok(Ok(length)) = came {
            self.guard.handle_message(to, &self.buffer[..length]);
            self.transmit().await;
        } else {
            self.renew().await?;
        }
        Ok(outcome)
    }

    /// May be dropped while it waits: what was taken from the network is then read the next time.
    async fn recv(&mut self) -> anyhow::Result<RecvOutcome> {
        loop {
            if let Some((from, until)) = self.reading {
                let read = self.read(from, until).await;
                self.reading = None;
                if let Some(outcome) = read? {
                    return Ok(outcome);
                }
            }
            self.transmit().await;
            let (length, from) = match self.outside.recv_from(&mut self.buffer).await {
                Ok(came) => came,
                Err(error) if is_of_one_datagram(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            self.heard
                .bytes_in
                .fetch_add(length as u64, Ordering::Relaxed);
            let now = clock::now();
            let datagram = &mut self.buffer[..length];
            match self.guard.handle_datagram(from, datagram, now) {
                Ok(Some(message)) => {
                    self.reading = Some((from, now + CODEC_WAIT));
                    if self.relay.send(&message).await.is_err() {
                        self.reading = None;
                    }
                }
                Ok(None) => {}
                Err(kind) => self.heard.note(kind, from, now),
            }
        }
    }
}

/// A socket that speaks with a codec alone.
async fn other_end(codec: &Codec) -> io::Result<UdpSocket> {
    let relay = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let codec = codec.local_addr().map_err(io::Error::other)?;
    relay.connect(codec).await?;
    Ok(relay)
}

/// Whether the next datagram may come in spite of an error.
fn is_of_one_datagram(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkUnreachable,
        OutOfMemory,
    };
    matches!(
        error.kind(),
        ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkUnreachable
            | OutOfMemory
    )
}
