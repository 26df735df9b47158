//! The client's side of a connection: dialling, and opening lanes.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dreammesh_core::call::Identity;
use dreammesh_session::frame::CloseCode;
use dreammesh_session::{Closed, Keepalive};
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig};
use quinn::{ClientConfig, Endpoint, EndpointConfig, TokioRuntime, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::task::JoinSet;

use super::lane::{self, Lane};
use super::told::Told;
use super::{socket, transport};
use crate::driver::shared::Shared;
use crate::tls::explain::{Explained, Side};
use crate::tls::{ALPN, ClientTls};

/// Where to, and how.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    tls: ClientTls,
    config: ClientConfig,
    buffer_bytes: Option<usize>,
}

impl Target {
    pub(crate) fn new(
        host: String,
        port: u16,
        tls: ClientTls,
        keepalive: Option<Keepalive>,
        buffer_bytes: Option<usize>,
    ) -> Self {
        // One value serves all connections, so that one finds the tickets of those before it.
        let crypto = QuicClientConfig::try_from(tls.rustls_quic_client(&[ALPN]));
        let crypto = crypto.expect("the provider has the suite that QUIC begins with");
        let mut config = ClientConfig::new(Arc::new(Told(Arc::new(crypto))));
        config.transport_config(Arc::new(transport(0, keepalive)));
        Self {
            host,
            port,
            tls,
            config,
            buffer_bytes,
        }
    }
}

/// A connection whose handshake is done, unless it is offered early.
#[derive(Clone, Debug)]
pub(crate) struct Connected {
    connection: quinn::Connection,
    /// Who the server is; while the handshake is under way, what is known of that without it.
    identity: Option<Identity>,
    /// Whether lane 0 is in use already, by somebody to whom it was offered early.
    begun: bool,
    /// What has the socket, for this connection alone.
    endpoint: Endpoint,
    buffer_bytes: Option<usize>,
    /// The sessions of its bulk lanes, whether or not new calls still get any.
    bulk: Arc<Mutex<Vec<Weak<Shared>>>>,
}

/// Who may use a connection before its handshake is done, for what somebody else may send again;
/// true if lane 0 is taken for that.
pub(crate) type Offer = Arc<dyn Fn(Connected) -> bool + Send + Sync>;

/// Connects to the address of the host that answers first.
///
/// An address that is not listened on gives no sign of it over UDP, so the next one is tried
/// meanwhile. Dropping the future gives all attempts up.
pub(crate) async fn dial(target: &Target, offer: &Offer) -> io::Result<Connected> {
    let mut addresses = tokio::net::lookup_host((&*target.host, target.port)).await?;
    let mut attempts = JoinSet::new();
    let mut failure = None;
    loop {
        let next = addresses.next();
        let is_last = next.is_none();
        if let Some(address) = next {
            let (target, offer) = (target.clone(), Arc::clone(offer));
            attempts.spawn(async move { attempt(address, &target, &offer).await });
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

async fn attempt(address: SocketAddr, target: &Target, offer: &Offer) -> io::Result<Connected> {
    let bound = socket::bind(any_for(address), target.buffer_bytes)?;
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
    let connecting = endpoint.connect_with(target.config.clone(), address, &name.to_str());
    let bulk: Arc<Mutex<Vec<_>>> = Arc::default();
    let connected = |connection, identity, begun| Connected {
        identity,
        connection,
        begun,
        endpoint: endpoint.clone(),
        buffer_bytes: target.buffer_bytes,
        bulk: Arc::clone(&bulk),
    };
    let (connection, begun) = match connecting.map_err(invalid)?.into_0rtt() {
        Err(connecting) => (connecting.await.map_err(client_error)?, false),
        Ok((connection, accepted)) => {
            let identity = target.tls.identity_before_handshake();
            let begun = offer(connected(connection.clone(), identity, false));
            let accepted = accepted.await;
            if let Some(error) = connection.close_reason() {
                return Err(client_error(error));
            }
            (connection, begun && accepted)
        }
    };
    check_protocol(&connection)?;
    // A resumed handshake shows nothing, and tickets may come at any time.
    if let Err(cause) = target.tls.verify_resumed(&chain(&connection), &name) {
        let side = Side::Client;
        let error = Explained { side, cause };
        close(&connection, CloseCode::VERSION, &error.to_string());
        return Err(io::Error::other(error.to_string()));
    }
    let identity = target.tls.identity_of_server(&chain(&connection), &name);
    Ok(connected(connection, Some(identity), begun))
}

/// The certificates that the peer has shown, now or before a handshake that was resumed.
pub(super) fn chain(connection: &quinn::Connection) -> Vec<CertificateDer<'static>> {
    let chain = connection.peer_identity();
    let chain = chain.and_then(|chain| chain.downcast::<Vec<CertificateDer<'static>>>().ok());
    chain.map_or_else(Vec::new, |chain| *chain)
}

/// Any address of this host's from which a peer may be reached.
fn any_for(peer: SocketAddr) -> SocketAddr {
    match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
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
    /// Who the server is, which its certificate shows; none if that is not known yet.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Takes in the session of a bulk lane.
    pub(crate) fn add_bulk(&self, session: &Arc<Shared>) {
        let mut bulk = self.bulk.lock().unwrap_or_else(PoisonError::into_inner);
        // Lanes come and go; without this a connection would remember all of them.
        bulk.retain(|session| session.strong_count() > 0);
        bulk.push(Arc::downgrade(session));
    }

    /// The sessions of its bulk lanes that there may still be.
    pub(crate) fn bulk_sessions(&self) -> Vec<Weak<Shared>> {
        let bulk = self.bulk.lock();
        bulk.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens lane 0, unless somebody who was offered the connection early has done so.
    pub(crate) async fn first_lane(&self) -> io::Result<Option<Lane>> {
        if self.begun {
            return Ok(None);
        }
        let (send, receive) = self.connection.open_bi().await.map_err(client_error)?;
        let peer = self.connection.remote_address().to_string();
        Ok(Some(
            Lane::new(send, receive, peer, Side::Client).first_served(),
        ))
    }

    /// Opens lane 0 before the handshake is done, if the server allowed lanes the last time.
    pub(crate) fn early_lane(&self) -> Option<Lane> {
        self.bulk_lane().map(Lane::first_served)
    }

    /// Whether it is the same connection, before its handshake and after it.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.connection.stable_id() == other.connection.stable_id()
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

    /// Waits until the path seems to swallow what is sent: what is to be acknowledged is not, though
    /// it is sent again and again (RFC 9002 section 6.2).
    ///
    /// Whether anything comes says nothing: where only one direction is blocked, the peer sends
    /// again and again too, old acknowledgements among it.
    pub(crate) async fn stalled(&self) {
        let mut silence = Silence::default();
        let mut last = (self.asked(), self.heard());
        loop {
            let look = silence.next_look(self.connection.rtt());
            tokio::time::sleep(look).await;
            let now = (self.asked(), self.heard());
            if silence.is_stall(now.0 != last.0, now.1 != last.1) {
                return;
            }
            last = now;
        }
    }

    /// Takes another socket, again and again until something comes back.
    ///
    /// A router that has forgotten a flow, or a firewall that has come to dislike it, may let
    /// another one pass; to the server it is a change of the client's address.
    pub(crate) async fn change_sockets(&self) {
        let heard = self.heard();
        while self.heard() == heard {
            let any = any_for(self.connection.remote_address());
            let rebound = socket::bind(any, self.buffer_bytes)
                .and_then(|bound| self.endpoint.rebind(bound.socket));
            if let Err(error) = rebound {
                tracing::debug!(%error, "no other socket");
            }
            let mut looks = 0;
            while looks < SOCKET_LOOKS && self.heard() == heard {
                looks += 1;
                tokio::time::sleep(LOOK_INTERVAL.max(4 * self.connection.rtt())).await;
            }
        }
    }

    /// What changes when the peer acknowledges something new: each time the round trip is measured
    /// anew, to the nanosecond.
    pub(crate) fn heard(&self) -> Heard {
        let path = self.connection.stats().path;
        Heard(path.rtt, path.cwnd)
    }

    /// How many frames were sent that ask for an acknowledgement.
    fn asked(&self) -> u64 {
        let sent = self.connection.stats().frame_tx;
        let credit = sent.max_data + sent.max_stream_data + sent.max_streams_bidi;
        let ids = sent.new_connection_id + sent.retire_connection_id;
        let ends = sent.reset_stream + sent.stop_sending;
        // A probe after silence may be no more than the wish for an acknowledgement.
        let probes = sent.ping + sent.immediate_ack + sent.path_challenge;
        sent.stream + sent.crypto + credit + ids + ends + probes
    }

    /// Whether nothing at all has come from the peer.
    pub(crate) fn is_unheard(&self) -> bool {
        self.connection.stats().udp_rx.datagrams == 0
    }

    /// Waits for the end of the connection.
    pub(crate) async fn over(&self) {
        self.connection.closed().await;
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

/// How far a peer has been heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard(Duration, u64);

/// What the looks at a path have shown since something last came over it.
#[derive(Debug, Default)]
struct Silence {
    /// Looks in which something was sent.
    unanswered: u32,
    /// Looks since something was last sent.
    quiet: u32,
}

impl Silence {
    /// When to look again. A path that is not used costs a look in a while.
    fn next_look(&self, rtt: Duration) -> Duration {
        let looks = match (self.unanswered, self.quiet) {
            (0, 1..) => 2,
            _ => 1,
        };
        looks * LOOK_INTERVAL.max(4 * rtt)
    }

    /// Takes in what happened since the last look; whether that makes a stall.
    fn is_stall(&mut self, sent: bool, received: bool) -> bool {
        if received || self.quiet >= QUIET_MAX && !sent {
            self.unanswered = 0;
        }
        match sent {
            true => self.quiet = 0,
            false => self.quiet = self.quiet.saturating_add(1),
        }
        self.unanswered += u32::from(sent && !received);
        self.unanswered >= UNANSWERED_MAX
    }
}

/// How often a path in use is looked at. It is far beyond what acknowledgements are held back for,
/// 25 ms, and what a busy server takes to send them.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// So many looks in which something was sent and nothing came are a stall. One may be the
/// answer's to something sent just before the look.
const UNANSWERED_MAX: u32 = 2;
/// So many looks may lie between two of those: what is not answered is sent again at intervals that
/// double, and when the congestion window is full nothing else is sent.
const QUIET_MAX: u32 = 3;
/// For so many looks a new socket has its chance.
const SOCKET_LOOKS: u32 = 4;
/// How long an address is tried alone, as RFC 8305 §5 recommends.
const HEAD_START: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many looks, each by what was sent and received, a path counts as stalled.
    fn stall(looks: &[(bool, bool)]) -> Option<usize> {
        let mut silence = Silence::default();
        looks
            .iter()
            .position(|(sent, received)| silence.is_stall(*sent, *received))
    }

    const IDLE: (bool, bool) = (false, false);
    const ANSWERED: (bool, bool) = (true, true);
    const UNANSWERED: (bool, bool) = (true, false);

    #[test]
    fn two_looks_without_an_answer_are_a_stall_and_one_is_not() {
        assert_eq!(stall(&[ANSWERED, UNANSWERED, UNANSWERED]), Some(2));
        let once = [UNANSWERED, ANSWERED, UNANSWERED, (false, true), UNANSWERED];
        assert_eq!(stall(&once), None);
        assert_eq!(stall(&[IDLE; 100]), None);
    }

    #[test]
    fn a_pause_between_two_attempts_to_send_acquits_only_if_it_is_long() {
        let mut looks = vec![UNANSWERED];
        looks.extend([IDLE; QUIET_MAX as usize]);
        looks.push(UNANSWERED);
        assert_eq!(stall(&looks), Some(looks.len() - 1));
        looks.insert(1, IDLE);
        assert_eq!(stall(&looks), None);
        looks.push(UNANSWERED);
        assert_eq!(stall(&looks), Some(looks.len() - 1));
    }

    #[test]
    fn looks_are_rarer_where_nothing_is_sent_or_the_way_is_long() {
        let mut silence = Silence::default();
        let near = Duration::from_millis(1);
        assert_eq!(silence.next_look(near), LOOK_INTERVAL);
        assert!(!silence.is_stall(true, true));
        assert_eq!(silence.next_look(near), LOOK_INTERVAL);
        assert!(!silence.is_stall(false, false));
        assert_eq!(silence.next_look(near), 2 * LOOK_INTERVAL);
        assert!(!silence.is_stall(true, false));
        assert_eq!(silence.next_look(near), LOOK_INTERVAL);
        assert!(!silence.is_stall(false, false));
        assert_eq!(silence.next_look(LOOK_INTERVAL), 4 * LOOK_INTERVAL);
    }
}
