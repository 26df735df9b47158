//! The UDP port of a server, which a successor can take over while connections go on.
//!
//! At first there is one socket for all. When a successor waits on the same port, each connection
//! is given a socket of its own, connected to its peer, which the kernel prefers for packets from
//! there; then the common one is closed, and whoever else comes is the successor's
//! (`link/succession`). quinn sees one socket throughout.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::{Duration, Instant};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use tokio::sync::oneshot;

use super::busiest::Busiest;
use crate::driver::timer;
use crate::link::succession;

/// The sockets of a port, as quinn uses them.
pub(super) struct Port {
    address: SocketAddr,
    segments: Segments,
    sockets: RwLock<Sockets>,
    /// A socket took no more, and nobody has waited since until it does.
    is_full: AtomicBool,
    /// Which one that was. No handle: it may have to be closed.
    full: Mutex<Option<Weak<dyn AsyncUdpSocket>>>,
    bells: Arc<Bells>,
    /// Whether the connected sockets have the next turn. What comes to the common one is up to
    /// strangers.
    own_first: AtomicBool,
    /// Whether there was a successor at the last look.
    succeeded: AtomicBool,
    #[cfg(test)]
    pub(super) looks: std::sync::atomic::AtomicUsize,
    busiest: Arc<Busiest>,
    /// Gone once the port is.
    _release: oneshot::Sender<()>,
}

/// What the socket can do in one call, which all of a port can alike.
#[derive(Clone, Copy, Debug)]
struct Segments {
    sent: usize,
    received: usize,
    may_fragment: bool,
}

struct Sockets {
    /// The one for whoever has none of his own; none once it was left to the successor.
    common: Option<Arc<dyn AsyncUdpSocket>>,
    /// It is to be closed as soon as it is empty, or that late.
    leaving: Option<Leaving>,
    /// Those that are connected to one peer each.
    own: HashMap<Peer, Arc<dyn AsyncUdpSocket>>,
}

struct Leaving {
    /// Who wants to know.
    left: oneshot::Sender<()>,
    /// Whoever floods it must not keep it from a successor.
    until: Instant,
}

type Peer = (IpAddr, u16);

/// Which of the connected sockets may have something to read.
#[derive(Default)]
struct Bells {
    rung: Mutex<(VecDeque<Arc<Bell>>, Option<Waker>)>,
}

/// Rings when a socket may have something to read.
struct Bell {
    peer: Peer,
    is_queued: AtomicBool,
    bells: Arc<Bells>,
}

impl Port {
    /// Takes a bound socket; the other end of `release` learns when the port is closed.
    pub(super) fn new(
        socket: std::net::UdpSocket,
        busiest: Arc<Busiest>,
        release: oneshot::Sender<()>,
    ) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let common = TokioRuntime.wrap_udp_socket(socket)?;
        Ok(Self {
            address,
            segments: Segments {
                sent: common.max_transmit_segments(),
                received: common.max_receive_segments(),
                may_fragment: common.may_fragment(),
            },
            sockets: RwLock::new(Sockets {
                common: Some(common),
                leaving: None,
                own: HashMap::new(),
            }),
            is_full: AtomicBool::new(false),
            full: Mutex::new(None),
            bells: Arc::default(),
            own_first: AtomicBool::new(false),
            succeeded: AtomicBool::new(false),
            #[cfg(test)]
            looks: Default::default(),
            busiest,
            _release: release,
        })
    }

    /// Looks whether a successor waits for the port to be left to it, which takes reading a table
    /// of all the host's sockets.
    pub(super) fn look_for_successor(&self) -> bool {
        let succeeded = succession::is_succeeded(self.address, succession::Protocol::Udp);
        self.succeeded.store(succeeded, Ordering::Relaxed);
        #[cfg(test)]
        self.looks.fetch_add(1, Ordering::Relaxed);
        succeeded
    }

    /// Whether a successor waited at the last look.
    pub(super) fn is_succeeded(&self) -> bool {
        self.succeeded.load(Ordering::Relaxed)
    }

    /// Whether the port is the successor's.
    pub(super) fn is_left(&self) -> bool {
        self.read().common.is_none()
    }

    /// Gives a peer a socket of its own; `local` is the address that it knows.
    ///
    /// # Errors
    /// When that cannot be; its packets keep coming by the common socket.
    pub(super) fn part(&self, peer: SocketAddr, local: Option<IpAddr>) -> io::Result<()> {
        let key = key(peer);
        {
            let sockets = self.read();
            if sockets.own.contains_key(&key) {
                return Ok(());
            }
            if sockets.own.len() >= succession::descriptors_max() / 2 {
                return Err(io::Error::other(
                    "half of all descriptors are in use for it",
                ));
            }
        }
        let socket = succession::connect_udp(self.address, local, peer)?;
        socket.set_nonblocking(true)?;
        let bell = Arc::new(Bell {
            peer: key,
            is_queued: AtomicBool::new(false),
            bells: Arc::clone(&self.bells),
        });
        let socket = TokioRuntime.wrap_udp_socket(socket)?;
        self.write().own.insert(key, socket);
        // Its first look has to register for what comes later.
        bell.wake();
        Ok(())
    }

    /// Closes the sockets of all but these peers.
    pub(super) fn forget_others(&self, peers: &[(SocketAddr, Option<IpAddr>)]) {
        let peers: HashSet<_> = peers.iter().map(|(peer, _)| key(*peer)).collect();
        let others: Vec<_> = {
            let mut sockets = self.write();
            let others = sockets.own.extract_if(|peer, _| !peers.contains(peer));
            others.collect()
        };
        drop(others);
    }

    /// Leaves a peer to whoever has the port.
    pub(super) fn rejoin(&self, peer: SocketAddr) {
        let own = self.write().own.remove(&key(peer));
        drop(own);
    }

    /// Has the common socket closed once everything in it was read, or when that has gone on for
    /// long since this was asked for first; what it gives is ready then.
    pub(super) fn leave(&self) -> oneshot::Receiver<()> {
        let (left, leaving) = oneshot::channel();
        {
            let mut sockets = self.write();
            let before = sockets.leaving.take().map(|before| before.until);
            let until = before.unwrap_or_else(|| timer::now() + LEAVE_PERIOD);
            sockets.leaving = Some(Leaving { left, until });
        }
        self.bells.wake_reader();
        leaving
    }

    fn read(&self) -> RwLockReadGuard<'_, Sockets> {
        self.sockets.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Sockets> {
        self.sockets.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads from the common socket, and closes it if that is asked for and it is empty, or does
    /// not become empty.
    fn poll_common(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let sockets = self.read();
        let Some(common) = &sockets.common else {
            return Poll::Pending;
        };
        let polled = common.poll_recv(cx, buffers, meta);
        let Some(leaving) = &sockets.leaving else {
            return polled;
        };
        if polled.is_ready() && timer::now() < leaving.until {
            return polled;
        }
        drop(sockets);
        let (closed, leaving) = {
            let mut sockets = self.write();
            (sockets.common.take(), sockets.leaving.take())
        };
        drop(closed);
        // Whoever asked may have given up.
        leaving.map(|leaving| leaving.left.send(()));
        polled
    }

    fn poll_own(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        while let Some(bell) = self.bells.next() {
            let Some(socket) = self.own(bell.peer) else {
                continue;
            };
            let waker = Waker::from(Arc::clone(&bell));
            match socket.poll_recv(&mut Context::from_waker(&waker), buffers, meta) {
                // There may be more, after the others had their turn.
                Poll::Ready(Ok(count)) => {
                    bell.wake();
                    return Poll::Ready(Ok(count));
                }
                // One socket that fails is one connection's concern, which its timers end.
                Poll::Ready(Err(error)) => {
                    tracing::debug!(%error, "a connected UDP socket fails");
                    self.write().own.remove(&bell.peer);
                }
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }

    fn own(&self, peer: Peer) -> Option<Arc<dyn AsyncUdpSocket>> {
        let sockets = self.read();
        sockets.own.get(&peer).map(Arc::clone)
    }

    fn note_full(&self, socket: &Arc<dyn AsyncUdpSocket>) {
        *self.full.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::downgrade(socket));
        self.is_full.store(true, Ordering::Release);
    }

    /// The socket that took no more, if it is not closed.
    fn full(&self) -> Option<Arc<dyn AsyncUdpSocket>> {
        let full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        full.as_ref().and_then(Weak::upgrade)
    }
}

impl AsyncUdpSocket for Port {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller {
            port: self,
            waiting: None,
        })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let sockets = self.read();
        let own = match sockets.own.is_empty() {
            true => None,
            false => sockets.own.get(&key(transmit.destination)),
        };
        let socket = own.or(sockets.common.as_ref());
        // A peer that moved while the server drains is nobody's; to quinn it is a lost packet.
        let Some(socket) = socket else { return Ok(()) };
        let sent = socket.try_send(transmit);
        if matches!(&sent, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.note_full(socket);
        }
        sent
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.bells.read_by(cx.waker());
        let own_first = self.own_first.fetch_not(Ordering::Relaxed);
        let mut polled = Poll::Pending;
        for own in [own_first, !own_first] {
            if polled.is_pending() {
                polled = match own {
                    true => self.poll_own(buffers, meta),
                    false => self.poll_common(cx, buffers, meta),
                };
            }
        }
        if let Poll::Ready(Ok(count)) = polled {
            self.busiest.count(&meta[..count]);
        }
        polled
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    fn max_transmit_segments(&self) -> usize {
        self.segments.sent
    }

    fn max_receive_segments(&self) -> usize {
        self.segments.received
    }

    fn may_fragment(&self) -> bool {
        self.segments.may_fragment
    }
}

impl Bells {
    fn lock(&self) -> MutexGuard<'_, (VecDeque<Arc<Bell>>, Option<Waker>)> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says who is to be woken.
    fn read_by(&self, waker: &Waker) {
        let reader = &mut self.lock().1;
        if !reader.as_ref().is_some_and(|it| it.will_wake(waker)) {
            *reader = Some(waker.clone());
        }
    }

    fn next(&self) -> Option<Arc<Bell>> {
        let bell = self.lock().0.pop_front()?;
        bell.is_queued.store(false, Ordering::Release);
        Some(bell)
    }

    fn wake_reader(&self) {
        let reader = self.lock().1.clone();
        reader.inspect(Waker::wake_by_ref);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            let bells = Arc::clone(&self.bells);
            bells.lock().0.push_back(self);
            bells.wake_reader();
        }
    }
}

/// Waits until a socket takes packets again, for one connection.
///
/// It holds none while it does not wait, so that a socket that was left is closed.
struct Poller {
    port: Arc<Port>,
    waiting: Option<Pin<Box<dyn UdpPoller>>>,
}

impl UdpPoller for Poller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { port, waiting } = &mut *self;
        if waiting.is_none() {
            // quinn asks before each packet, and most sockets take most packets.
            if !port.is_full.load(Ordering::Acquire) {
                return Poll::Ready(Ok(()));
            }
            *waiting = port.full().map(AsyncUdpSocket::create_io_poller);
        }
        let writable = match waiting {
            Some(waiting) => ready!(waiting.as_mut().poll_writable(cx)),
            None => Ok(()),
        };
        *waiting = None;
        port.is_full.store(false, Ordering::Release);
        Poll::Ready(writable)
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sockets = self.read();
        f.debug_struct("Port")
            .field("address", &self.address)
            .field("is_left", &sockets.common.is_none())
            .field("own", &sockets.own.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").finish_non_exhaustive()
    }
}

/// What is in a socket's buffer is read in a small part of it.
const LEAVE_PERIOD: Duration = Duration::from_millis(100);

/// The same for an address of IPv4 whatever the family of the socket.
fn key(peer: SocketAddr) -> Peer {
    (peer.ip().to_canonical(), peer.port())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::future::poll_fn;
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;
    use crate::quic::socket;

    fn port() -> Port {
        let bound = socket::bind_served((Ipv4Addr::LOCALHOST, 0).into(), None, false);
        let (release, _) = oneshot::channel();
        Port::new(bound.unwrap().socket, Arc::default(), release).unwrap()
    }

    /// Somebody who sends to the port.
    fn peer(port: &Port) -> UdpSocket {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.connect(port.address).unwrap();
        socket
    }

    fn poll(port: &Port, cx: &mut Context<'_>) -> Poll<SocketAddr> {
        let (mut buffer, mut meta) = ([0; 1 << 16], [RecvMeta::default()]);
        let read = port.poll_recv(cx, &mut [IoSliceMut::new(&mut buffer)], &mut meta);
        read.map(|read| {
            assert!(read.unwrap() > 0);
            meta[0].addr
        })
    }

    async fn read(port: &Port) -> SocketAddr {
        poll_fn(|cx| poll(port, cx)).await
    }

    #[tokio::test]
    async fn a_flood_of_strangers_starves_no_connection() {
        let port = port();
        let (stranger, peer) = (peer(&port), peer(&port));
        let known = peer.local_addr().unwrap();
        port.part(known, Some(Ipv4Addr::LOCALHOST.into())).unwrap();
        peer.send(b"own").unwrap();
        // The common socket always has something; the runtime has seen the other one in between.
        let mut strangers = 0;
        loop {
            stranger.send(b"flood").unwrap();
            if read(&port).await == known {
                break;
            }
            strangers += 1;
            assert!(strangers < 1_000, "the connection has no turn");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_is_left_when_it_is_empty_or_after_so_long() {
        let empty = port();
        let left = empty.leave();
        let found = poll_fn(|cx| Poll::Ready(poll(&empty, cx))).await;
        assert!(found.is_pending());
        assert!(empty.is_left());
        left.await.unwrap();

        let flooded = port();
        let stranger = peer(&flooded);
        (0..8).for_each(|_| assert!(stranger.send(b"flood").is_ok()));
        // From here on the runtime knows that there is something.
        read(&flooded).await;
        let mut left = flooded.leave();
        for (passed, is_left) in [
            (Duration::ZERO, false),
            (LEAVE_PERIOD - Duration::from_millis(1), false),
            (Duration::from_millis(1), true),
        ] {
            tokio::time::advance(passed).await;
            // To ask again gives it no more time.
            left = match is_left {
                true => left,
                false => flooded.leave(),
            };
            read(&flooded).await;
            assert_eq!(flooded.is_left(), is_left, "{passed:?}");
        }
        left.await.unwrap();
    }
}
