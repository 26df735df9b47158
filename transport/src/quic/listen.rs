//! The server's side until a connection's handshake is done.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use dreammesh_session::Keepalive;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{
    AsyncUdpSocket, Connecting, Endpoint, EndpointConfig, Incoming, Runtime, ServerConfig,
    TokioRuntime, UdpPoller,
};
use tokio::sync::oneshot;

use super::dial::check_protocol;
use super::lane::connection_error;
use super::{LANES_MAX, socket, transport};
use crate::tls::explain::Side;
use crate::tls::{ALPN, ServerTls};

/// A UDP socket on which connections arrive.
#[derive(Debug)]
pub(crate) struct Listener {
    endpoint: Endpoint,
    address: SocketAddr,
    /// Handshakes that have begun and are not done.
    under_way: Arc<AtomicUsize>,
    /// Ready once the socket is closed.
    released: oneshot::Receiver<()>,
}

/// What a listener is made with.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) tls: ServerTls,
    pub(crate) keepalive: Option<Keepalive>,
    pub(crate) buffer_bytes: Option<usize>,
}

impl Listener {
    /// Binds one address.
    ///
    /// # Errors
    /// When it is taken, or the cryptography does not suit QUIC.
    pub(crate) fn bind(address: SocketAddr, options: &Options) -> io::Result<Self> {
        let crypto = options.tls.rustls_server(&[ALPN]);
        let crypto = QuicServerConfig::try_from(crypto).map_err(io::Error::other)?;
        let mut config = ServerConfig::with_crypto(Arc::new(crypto));
        config
            .transport_config(Arc::new(transport(LANES_MAX, options.keepalive)))
            .max_incoming(UNANSWERED_MAX)
            .incoming_buffer_size(UNANSWERED_BYTES_MAX)
            .incoming_buffer_size_total(UNANSWERED_BYTES_MAX * UNANSWERED_MAX as u64 / 8);
        let bound = socket::bind(address, options.buffer_bytes)?;
        if bound.is_short() {
            bound.warn();
        }
        let address = bound.socket.local_addr()?;
        let (release, released) = oneshot::channel();
        let socket = Watched {
            socket: TokioRuntime.wrap_udp_socket(bound.socket)?,
            _release: release,
        };
        let endpoint = Endpoint::new_with_abstract_socket(
            EndpointConfig::default(),
            Some(config),
            Arc::new(socket),
            Arc::new(TokioRuntime),
        )?;
        Ok(Self {
            endpoint,
            address,
            under_way: Arc::default(),
            released,
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
            let Some(incoming) = self.endpoint.accept().await else {
                return Err(io::ErrorKind::NotConnected.into());
            };
            if let Some(connecting) = self.admit(incoming) {
                return Ok(Handshake {
                    connecting,
                    _counted: Counted::new(&self.under_way),
                });
            }
        }
    }

    fn admit(&self, incoming: Incoming) -> Option<Connecting> {
        let under_way = self.under_way.load(Ordering::Relaxed);
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
        let peer = incoming.remote_address();
        incoming
            .accept()
            .inspect_err(|error| tracing::debug!(%peer, %error, "a handshake cannot begin"))
            .ok()
    }

    /// Turns away whoever comes, for as long as it is polled.
    pub(crate) async fn refuse(&self) -> Infallible {
        while let Some(incoming) = self.endpoint.accept().await {
            incoming.refuse();
        }
        std::future::pending().await
    }

    /// Waits until the last connection is forgotten and the socket closed, so that the address is
    /// free.
    pub(crate) async fn released(self) {
        let Self {
            endpoint, released, ..
        } = self;
        // Peers may still have to be told why their connections ended.
        endpoint.wait_idle().await;
        drop(endpoint);
        let _ = released.await;
    }
}

/// A client that was let in and has to prove what it must.
#[derive(Debug)]
pub(crate) struct Handshake {
    connecting: Connecting,
    _counted: Counted,
}

impl Handshake {
    pub(crate) fn peer(&self) -> SocketAddr {
        self.connecting.remote_address()
    }

    /// Waits until the handshake is done; the caller bounds the time.
    ///
    /// # Errors
    /// Why it failed, such as a protocol that the client does not offer.
    pub(crate) async fn done(self) -> io::Result<quinn::Connection> {
        let connection = self.connecting.await;
        let connection = connection.map_err(|error| connection_error(error, Side::Server))?;
        check_protocol(&connection)?;
        Ok(connection)
    }
}

/// One of a number of things, as long as it lives.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A socket that says when it is closed, which quinn does some time after its last connection.
#[derive(Debug)]
struct Watched {
    socket: Arc<dyn AsyncUdpSocket>,
    _release: oneshot::Sender<()>,
}

impl AsyncUdpSocket for Watched {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.socket).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [io::IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_recv(cx, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

/// Handshakes from addresses that may be forged; each takes a key exchange, a signature, and some
/// 20 KiB for a few round trips. A server that restarts under 64 clients makes none of them wait.
const UNPROVEN_MAX: usize = 64;

/// All handshakes at once; what comes beyond is refused and may try again.
const HANDSHAKES_MAX: usize = 4096;

/// Clients that may wait for the server to look at them, as a listening socket's backlog.
const UNANSWERED_MAX: usize = 1024;

/// What one of them may have sent ahead: a hello with a key exchange of two kilobytes.
const UNANSWERED_BYTES_MAX: u64 = 16 << 10;
