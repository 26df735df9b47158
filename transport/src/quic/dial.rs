//! The client's side of a connection: dialling, and opening lanes.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dreammesh_core::call::Identity;
use dreammesh_session::frame::CloseCode;
use dreammesh_session::{Closed, Keepalive};
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig};
use quinn::{ClientConfig, Endpoint, EndpointConfig, TokioRuntime, VarInt};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::task::JoinSet;

use super::lane::{self, Lane};
use super::{socket, transport};
use crate::tls::explain::Side;
use crate::tls::{ALPN, ClientTls};

/// Where to, and how.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: ClientTls,
    pub(crate) keepalive: Option<Keepalive>,
    pub(crate) buffer_bytes: Option<usize>,
}

/// A connection whose handshake is done.
#[derive(Clone, Debug)]
pub(crate) struct Connected {
    connection: quinn::Connection,
    identity: Identity,
}

/// Connects to the address of the host that answers first.
///
/// An address that is not listened on gives no sign of it over UDP, so the next one is tried
/// meanwhile. Dropping the future gives all attempts up.
pub(crate) async fn dial(target: &Target) -> io::Result<Connected> {
    let crypto = target.tls.rustls_client(&[ALPN]);
    let crypto = QuicClientConfig::try_from(crypto).map_err(io::Error::other)?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport(0, target.keepalive)));
    let mut addresses = tokio::net::lookup_host((&*target.host, target.port)).await?;
    let mut attempts = JoinSet::new();
    let mut failure = None;
    loop {
        let next = addresses.next();
        let is_last = next.is_none();
        if let Some(address) = next {
            let (config, target) = (config.clone(), target.clone());
            attempts.spawn(async move { attempt(config, address, &target).await });
        }
        let head_start = async {
            match is_last {
                true => std::future::pending().await,
                false => tokio::time::sleep(HEAD_START).await,
            }
        };
        tokio::select! {
            () = head_start => {}
            ended = attempts.join_next() => match ended {
                Some(Ok(Ok(connected))) => return Ok(connected),
                Some(Ok(Err(error))) => failure = Some(error),
                Some(Err(error)) => failure = Some(io::Error::other(error)),
                None => return Err(failure.unwrap_or_else(|| nobody(&target.host))),
            },
        }
    }
}

fn nobody(host: &str) -> io::Error {
    let text = format!("the name `{host}` has no address");
    io::Error::new(io::ErrorKind::NotFound, text)
}

async fn attempt(
    config: ClientConfig,
    address: SocketAddr,
    target: &Target,
) -> io::Result<Connected> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let bound = socket::bind(any, target.buffer_bytes)?;
    if bound.is_short() {
        tracing::debug!(
            ?bound,
            "the kernel gave smaller buffers than were asked for"
        );
    }
    // A socket of its own: its buffers serve this connection alone, and so does its task.
    let runtime = Arc::new(TokioRuntime);
    let endpoint = Endpoint::new(EndpointConfig::default(), None, bound.socket, runtime)?;
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
    let name = target.tls.server_name_for(&target.host, address.ip());
    let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let connecting = endpoint.connect_with(config, address, &name.to_str());
    let connection = connecting.map_err(invalid)?.await;
    let connection = connection.map_err(client_error)?;
    check_protocol(&connection)?;
    Ok(Connected {
        identity: identity_of(&connection, &target.tls, &name),
        connection,
    })
}

fn identity_of(
    connection: &quinn::Connection,
    tls: &ClientTls,
    name: &ServerName<'static>,
) -> Identity {
    let chain = connection.peer_identity();
    let chain = chain.and_then(|chain| chain.downcast::<Vec<CertificateDer<'static>>>().ok());
    tls.identity_of_server(chain.as_deref().map_or(&[], Vec::as_slice), name)
}

/// Refuses a connection on which another protocol was agreed, or none.
pub(super) fn check_protocol(connection: &quinn::Connection) -> io::Result<()> {
    let data = connection.handshake_data();
    let data = data.and_then(|data| data.downcast::<HandshakeData>().ok());
    let protocol = data.and_then(|data| data.protocol);
    if protocol.as_deref() == Some(ALPN) {
        return Ok(());
    }
    let reason = "the peer does not speak dreammesh/1";
    close(connection, CloseCode::VERSION, reason);
    Err(io::Error::new(io::ErrorKind::Unsupported, reason))
}

impl Connected {
    /// Who the server is, which its certificate shows.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Opens lane 0.
    pub(crate) async fn first_lane(&self) -> io::Result<Lane> {
        let (send, receive) = self.connection.open_bi().await.map_err(client_error)?;
        let peer = self.connection.remote_address().to_string();
        Ok(Lane::new(send, receive, peer, Side::Client).first_served())
    }

    /// Opens one more lane, if the peer allows one now.
    pub(crate) fn bulk_lane(&self) -> Option<Lane> {
        let mut unheard = Context::from_waker(Waker::noop());
        match pin!(self.connection.open_bi()).poll(&mut unheard) {
            Poll::Ready(Ok((send, receive))) => {
                let peer = self.connection.remote_address().to_string();
                Some(Lane::new(send, receive, peer, Side::Client))
            }
            Poll::Ready(Err(_)) | Poll::Pending => None,
        }
    }

    /// Waits until the path seems to swallow what is sent: in two looks in a row something was
    /// sent and nothing came.
    ///
    /// An acknowledgement alone asks for no answer, but it is not sent twice; whatever asks for one
    /// and gets none is sent again and again (RFC 9002 section 6.2).
    pub(crate) async fn stalled(&self) {
        let mut last = self.datagrams();
        let mut suspicious = false;
        loop {
            let look = LOOK_INTERVAL.max(4 * self.connection.rtt());
            tokio::time::sleep(look).await;
            let now = self.datagrams();
            let unanswered = now.0 != last.0 && now.1 == last.1;
            if unanswered && suspicious {
                return;
            }
            suspicious = unanswered;
            last = now;
        }
    }

    /// Gives the peer a last time to be heard of, and ends the connection if it is not.
    pub(crate) async fn give_up_if_silent(&self) {
        let before = self.datagrams().1;
        tokio::time::sleep(SILENCE_MAX).await;
        if self.datagrams().1 == before {
            close(&self.connection, CloseCode::KEEPALIVE, "nothing comes back");
        }
    }

    /// How many datagrams were sent and received.
    fn datagrams(&self) -> (u64, u64) {
        let stats = self.connection.stats();
        (stats.udp_tx.datagrams, stats.udp_rx.datagrams)
    }

    /// Ends the connection if the session of one of its lanes ended in a way that says that the
    /// peer is no use any more.
    pub(crate) fn lane_ended(&self, closed: &Closed, is_first: bool) {
        lane_ended(&self.connection, closed, is_first);
    }
}

/// Ends a connection whose peer broke the protocol on a lane, or fell silent on lane 0; any other
/// end of a lane is that lane's alone.
pub(super) fn lane_ended(connection: &quinn::Connection, closed: &Closed, is_first: bool) {
    let broken = (CloseCode::PROTOCOL.0..=CloseCode::FLOOD.0).contains(&closed.code.0);
    if broken || is_first && closed.code == CloseCode::KEEPALIVE {
        close(connection, closed.code, &closed.reason);
    }
}

/// Ends a connection with a code of PROTOCOL.md §8.1.
pub(super) fn close(connection: &quinn::Connection, code: CloseCode, reason: &str) {
    connection.close(VarInt::from_u32(code.0), reason.as_bytes());
}

fn client_error(error: quinn::ConnectionError) -> io::Error {
    lane::connection_error(error, Side::Client)
}

/// How often a path is looked at: a call that is stuck waits for two to three of these.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long calls that are under way on a path that swallows everything may hope. Most handovers
/// between networks are over by then.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// How long an address is tried alone, as RFC 8305 §5 recommends.
const HEAD_START: Duration = Duration::from_millis(250);
