//! The server's side until a connection's handshake is done.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use dreammesh_session::Keepalive;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::Interval;

use super::busiest::Busiest;
use super::handshake::Handshake;
use super::peers::Peers;
use super::port::Port;
use super::told::Told;
use super::under_way::{UnderWay, Waiting};
use super::{LANES_MAX, socket, transport};
use crate::driver::timer;
use crate::tls::{ALPN, ServerTls};

/// A UDP socket on which connections arrive.
#[derive(Debug)]
pub(crate) struct Listener {
    endpoint: Endpoint,
    port: Arc<Port>,
    address: SocketAddr,
    peers: Arc<Peers>,
    /// Handshakes that have begun and are not done.
    under_way: Arc<UnderWay>,
    /// Clients whose source has as many of those as it may.
    waiting: Mutex<Waiting<Incoming>>,
    /// Ready once the socket is closed.
    released: oneshot::Receiver<()>,
    tls: ServerTls,
    /// Has who is busiest looked at.
    _watchman: JoinSet<()>,
}

/// What a listener is made with.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) tls: ServerTls,
    pub(crate) keepalive: Option<Keepalive>,
    pub(crate) buffer_bytes: Option<usize>,
    /// A predecessor may serve the port still.
    pub(crate) take_over: bool,
}

impl Listener {
    /// Binds one address.
    ///
    /// # Errors
    /// When it is taken, or the cryptography does not suit QUIC.
    pub(crate) fn bind(address: SocketAddr, options: &Options) -> io::Result<Self> {
        let crypto = options.tls.rustls_quic_server(&[ALPN]);
        let crypto = QuicServerConfig::try_from(crypto).map_err(io::Error::other)?;
        let mut config = ServerConfig::with_crypto(Arc::new(Told(Arc::new(crypto))));
        config
            .transport_config(Arc::new(transport(LANES_MAX, options.keepalive)))
            .max_incoming(UNANSWERED_MAX)
            .incoming_buffer_size(UNANSWERED_BYTES_MAX)
            .incoming_buffer_size_total(UNANSWERED_BYTES_MAX * UNANSWERED_MAX as u64 / 8);
        let bound = socket::bind_served(address, options.buffer_bytes, options.take_over)?;
        if bound.is_short() {
            bound.warn();
        }
        let address = bound.socket.local_addr()?;
        let (release, released) = oneshot::channel();
        let (busiest, peers) = (Arc::<Busiest>::default(), Arc::<Peers>::default());
        let mut watchman = JoinSet::new();
        watchman.spawn(watch(Arc::clone(&busiest), Arc::clone(&peers)));
        let port = Arc::new(Port::new(bound.socket, busiest, release)?);
        let endpoint = Endpoint::new_with_abstract_socket(
            EndpointConfig::default(),
            Some(config),
            Arc::clone(&port) as _,
            Arc::new(TokioRuntime),
        )?;
        Ok(Self {
            endpoint,
            port,
            address,
            peers,
            under_way: Arc::new(UnderWay::new(SOURCE_HANDSHAKES_MAX)),
            waiting: Mutex::new(Waiting::new(WAITING_MAX, WAITING)),
            released,
            tls: options.tls.clone(),
            _watchman: watchman,
        })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next client whose handshake is worth beginning. Dropping the future loses
    /// none.
    ///
    /// Many handshakes at once may be a flood from forged addresses: from then on, a client has to
    /// show that it receives at its address before anything is kept for it.
    pub(crate) async fn accept(&self) -> io::Result<Handshake> {
        loop {
            if let Some(handshake) = self.admit_waiting() {
                return Ok(handshake);
            }
            let incoming = tokio::select! {
                biased;
                () = self.under_way.ended() => continue,
                incoming = self.endpoint.accept() => incoming,
            };
            let Some(incoming) = incoming else {
                return Err(io::ErrorKind::NotConnected.into());
            };
            if let Some(handshake) = self.admit(incoming) {
                return Ok(handshake);
            }
        }
    }

    /// Begins the handshake of the first of those that wait whose source has room.
    fn admit_waiting(&self) -> Option<Handshake> {
        loop {
            let mut waiting = self.waiting();
            while let Some(given_up) = waiting.take_stale(timer::now()) {
                // Whoever still wants to be served has asked again.
                given_up.ignore();
            }
            let has_room = |it: &Incoming| self.under_way.has_room(it.remote_address().ip());
            let incoming = waiting.take_first(has_room)?;
            drop(waiting);
            if let Some(handshake) = self.begin(incoming) {
                return Some(handshake);
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<Incoming>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self, incoming: Incoming) -> Option<Handshake> {
        let under_way = self.under_way.count();
        if under_way >= HANDSHAKES_MAX {
            incoming.refuse();
            return None;
        }
        let is_proven = incoming.remote_address_validated() || !incoming.may_retry();
        if under_way >= UNPROVEN_MAX && !is_proven {
            // It fails only for what may not be retried.
            let _ = incoming.retry();
            return None;
        }
        if self.under_way.has_room(incoming.remote_address().ip()) {
            return self.begin(incoming);
        }
        let refused = self.waiting().push(incoming, timer::now()).err();
        // It asks again within a second.
        if let Some(refused) = refused {
            refused.ignore();
        }
        None
    }

    fn begin(&self, incoming: Incoming) -> Option<Handshake> {
        let (peer, local) = (incoming.remote_address(), incoming.local_ip());
        let begun = incoming.accept();
        let connecting = begun
            .inspect_err(|error| tracing::debug!(%peer, %error, "a handshake cannot begin"))
            .ok()?;
        Some(Handshake {
            connecting,
            listed: self.peers.add(peer, local),
            counted: Arc::new(self.under_way.begin(peer.ip())),
            tls: self.tls.clone(),
        })
    }

    /// Leaves the port to a successor that waits for it, once each connection can do without the
    /// common socket; whether it did.
    ///
    /// Connections for which there is no socket keep the port until they end.
    pub(crate) async fn hand_over(&self) -> bool {
        if self.port.is_left() {
            return true;
        }
        if !self.port.look_for_successor() {
            return false;
        }
        let mut is_ready = true;
        let peers = self.peers.addresses();
        self.port.forget_others(&peers);
        for (peer, local) in peers {
            if let Err(error) = self.port.part(peer, local) {
                tracing::debug!(%peer, %error, "a connection keeps the port from the successor");
                is_ready = false;
            }
        }
        if is_ready {
            // What the kernel has queued is known to the runtime after a turn.
            tokio::time::sleep(QUEUE_PERIOD).await;
            // The endpoint reads for as long as this listener lives.
            let _ = self.port.leave().await;
            tracing::info!(address = %self.address, "the UDP port is the successor's");
        }
        is_ready
    }

    /// While the server drains: turns away whoever comes, and hands over as soon as that can be,
    /// for which it looks now and then. Who comes over a connection's own socket is let in, if there
    /// is a place, to be told to go. Dropping the future loses none.
    pub(crate) async fn accept_last(
        &self,
        room: &Arc<Semaphore>,
        looks: &mut Interval,
    ) -> (Handshake, OwnedSemaphorePermit) {
        loop {
            // Who comes can neither keep it from looking nor have it look more often.
            let incoming = tokio::select! {
                biased;
                _ = looks.tick(), if !self.port.is_left() => {
                    self.hand_over().await;
                    continue;
                }
                incoming = self.endpoint.accept() => incoming,
            };
            let Some(incoming) = incoming else {
                return std::future::pending().await;
            };
            if !self.port.is_left() && !self.port.is_succeeded() {
                incoming.refuse();
            } else if self.port.is_left() && self.peers.has(incoming.remote_address()) {
                let Ok(place) = Arc::clone(room).try_acquire_owned() else {
                    // It asks again.
                    incoming.ignore();
                    continue;
                };
                if let Some(handshake) = self.admit(incoming) {
                    return (handshake, place);
                }
            } else {
                // The successor is asked when the client asks again, unless this is somebody new
                // with the address of a client that has gone.
                self.port.rejoin(incoming.remote_address());
                incoming.ignore();
            }
        }
    }

    /// Waits until the last connection is forgotten and the socket closed, so that the address is
    /// free.
    pub(crate) async fn released(self) {
        let Self {
            endpoint,
            port,
            released,
            ..
        } = self;
        drop(port);
        let closed = async {
            // Peers may still have to be told why their connections ended.
            endpoint.wait_idle().await;
            drop(endpoint);
            let _ = released.await;
        };
        // Over a slow path that takes long, and to a peer that is gone it is said in vain.
        let _ = tokio::time::timeout(RELEASE_PERIOD, closed).await;
    }
}

/// Has connections look at peers that send most of what comes.
async fn watch(busiest: Arc<Busiest>, peers: Arc<Peers>) {
    // Mostly it is the same one again.
    let mut last: Option<(SocketAddr, Weak<Notify>)> = None;
    loop {
        let address = busiest.next().await;
        let known = last.as_ref().filter(|(known, _)| *known == address);
        let known = known.and_then(|(_, alarm)| alarm.upgrade());
        if let Some(alarm) = known.or_else(|| peers.alarm_of(address)) {
            alarm.notify_one();
            last = Some((address, Arc::downgrade(&alarm)));
        }
    }
}

/// Handshakes from addresses that may be forged; each takes a key exchange, a signature, and some
/// 20 KiB for a few round trips. A server that restarts under 64 clients makes none of them wait.
const UNPROVEN_MAX: usize = 64;

/// All handshakes at once; what comes beyond is refused and may try again.
const HANDSHAKES_MAX: usize = 4096;

/// Handshakes of one source at once, so that nobody keeps others out by beginning many and not going
/// on, nor has them hold much: one that waits for its client takes some 23 KiB. They take a few round
/// trips, after which the next ones of that source begin.
const SOURCE_HANDSHAKES_MAX: usize = 128;

/// Clients that may wait because of that, each with some 12 KiB; others are left to ask again.
const WAITING_MAX: usize = 128;

/// For so long; a client has sent its hello several times by then.
const WAITING: Duration = Duration::from_secs(5);

/// Clients that may wait for the server to look at them, as a listening socket's backlog.
const UNANSWERED_MAX: usize = 1024;

/// What one of them may have sent ahead: a hello with a key exchange of two kilobytes.
const UNANSWERED_BYTES_MAX: u64 = 16 << 10;

/// How long the last words of all connections may take.
const RELEASE_PERIOD: Duration = Duration::from_secs(5);

/// Long enough for the runtime to look at its sockets once.
const QUEUE_PERIOD: Duration = Duration::from_millis(2);

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::dial::{self, Target};
    use super::*;
    use crate::tls::test_certificates::Authority;
    use crate::tls::{Certificate, ClientTls, Roots};

    fn options(authority: &Authority, take_over: bool) -> Options {
        let made = authority.issue(&["127.0.0.1"]);
        Options {
            tls: ServerTls::new(Certificate::from_pem(made.chain, made.key).unwrap()),
            keepalive: None,
            buffer_bytes: None,
            take_over,
        }
    }

    /// A server that drains, and whoever wants to reach it.
    fn draining(authority: &Authority) -> (Listener, Target) {
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let listener = Listener::bind(any, &options(authority, false)).unwrap();
        let port = listener.local_addr().port();
        let tls = ClientTls::new(Roots::from_pem(authority.pem()).unwrap());
        let target = Target::new("127.0.0.1".to_owned(), port, tls, None, None);
        (listener, target)
    }

    async fn dial(target: &Target) -> io::Result<dial::Connected> {
        dial::dial(target, &(Arc::new(|_| false) as dial::Offer)).await
    }

    #[tokio::test]
    async fn a_source_with_as_many_handshakes_as_it_may_have_waits_for_one_to_be_done() {
        let (mut listener, target) = draining(&Authority::new("root"));
        listener.under_way = Arc::new(UnderWay::new(1));
        let dialling = async { tokio::join!(dial(&target), dial(&target)) };
        let serving = async {
            let first = listener.accept().await.unwrap();
            tokio::select! {
                _ = listener.accept() => panic!("the source has no room"),
                () = async {
                    while listener.waiting().is_empty() {
                        tokio::task::yield_now().await;
                    }
                } => {}
            }
            let first = first.done().await.unwrap();
            let second = listener.accept().await.unwrap().done().await.unwrap();
            (first, second)
        };
        let (served, dialled) = tokio::join!(serving, dialling);
        assert!(dialled.0.is_ok() && dialled.1.is_ok());
        assert!(listener.waiting().is_empty());
        assert_eq!(listener.under_way.count(), 0);
        drop(served);
    }

    #[tokio::test]
    async fn strangers_are_refused_without_a_look_for_a_successor() {
        let (listener, target) = draining(&Authority::new("root"));
        let room = Arc::new(Semaphore::new(1));
        let mut looks = tokio::time::interval(Duration::from_secs(3600));
        let strangers = async {
            for _ in 0..20 {
                let error = dial(&target).await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "{error}");
            }
        };
        tokio::select! {
            () = strangers => {}
            _ = listener.accept_last(&room, &mut looks) => panic!("nobody is let in"),
        }
        assert_eq!(
            listener
                .port
                .looks
                .load(std::sync::atomic::Ordering::Relaxed),
            1
        );
    }

    #[tokio::test]
    async fn a_server_without_a_place_refuses_and_hands_over_all_the_same() {
        let authority = Authority::new("root");
        let (listener, target) = draining(&authority);
        let room = Arc::new(Semaphore::new(0));
        let mut looks = tokio::time::interval(Duration::from_millis(1));
        let successor = async {
            assert!(dial(&target).await.is_err());
            let address = listener.local_addr();
            let successor = Listener::bind(address, &options(&authority, true)).unwrap();
            while !listener.port.is_left() {
                tokio::task::yield_now().await;
            }
            let serving = async { successor.accept().await.unwrap().done().await.unwrap() };
            let (served, dialled) = tokio::join!(serving, dial(&target));
            assert!(dialled.is_ok());
            drop(served);
        };
        tokio::select! {
            () = successor => {}
            _ = listener.accept_last(&room, &mut looks) => panic!("there is no place"),
        }
    }
}
