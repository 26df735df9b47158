//! The server's side of a connection: its lanes, and what a peer may not do with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dreammesh_core::call::{Endpoint, Peer};
use dreammesh_session::Closed;
use dreammesh_session::frame::CloseCode;
use tokio::task::{self, JoinError, JoinSet};

use super::dial::{chain, close, lane_ended};
use super::flood::{Flood, Watch};
use super::handshake::{Arrived, Early, Handshake};
use super::lane::Lane;
use super::peers::Listed;
use crate::driver::timer;
use crate::listen::carrier::Carrier;
use crate::listen::serving::{Serving, SessionKind};
use crate::tls::explain::Side;
use crate::tls::identity;

/// Serves a connection until it is over.
pub(crate) async fn serve(serving: Arc<Serving>, carrier: Arc<Carrier>, handshake: Handshake) {
    // In boxes, so that the room of one is free again when the handshake is done, and that of the
    // other is not taken before.
    if let Some(served) = Box::pin(begin(serving, carrier, handshake)).await {
        Box::pin(served.run()).await;
    }
}

/// Sees the handshake through.
async fn begin(
    serving: Arc<Serving>,
    carrier: Arc<Carrier>,
    handshake: Handshake,
) -> Option<Box<Served>> {
    let peer = handshake.peer();
    // It takes its place for as long as it takes memory.
    let counted = handshake.counted();
    let due = timer::now() + serving.hello_timeout();
    let done = tokio::select! {
        biased;
        done = tokio::time::timeout_at(due.into(), handshake.done()) => done,
        () = carrier.hurried() => return None,
    };
    let Arrived {
        connection,
        listed,
        early,
    } = match done {
        Ok(Ok(arrived)) => arrived,
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "a handshake failed");
            return None;
        }
        Err(_) => {
            tracing::debug!(%peer, "a handshake was not done in time");
            // quinn keeps what it has of a connection for a while after its end, and so does this its
            // place, for as long as the server gives any.
            tokio::select! {
                () = carrier.draining() => {}
                () = tokio::time::sleep(DRAINING) => {}
            }
            return None;
        }
    };
    drop(counted);
    let peer = Peer::new(Endpoint::new(peer.to_string()));
    let peer = match identity_of(&connection) {
        Some(identity) => peer.with_identity(identity),
        None => peer,
    };
    let mut served = Box::new(Served {
        serving,
        carrier,
        connection,
        peer,
        lanes: JoinSet::new(),
        first: None,
        watch: Watch::new(timer::now()),
        empty_until: due,
        listed,
        early: None,
        proven: Arc::default(),
    });
    if let Some(mut early) = early {
        let first = early.first.take();
        served.early = Some((early, due));
        if let Some((send, receive)) = first {
            served.begin(send, receive);
        }
    }
    Some(served)
}

/// Who the client is, if it showed a certificate.
fn identity_of(connection: &quinn::Connection) -> Option<dreammesh_core::call::Identity> {
    // A certificate that breaks the rules for names was refused in the handshake.
    identity::of(&chain(connection)).ok().flatten()
}

/// A connection whose handshake is done.
struct Served {
    serving: Arc<Serving>,
    carrier: Arc<Carrier>,
    connection: quinn::Connection,
    peer: Peer,
    lanes: JoinSet<Option<Closed>>,
    /// The task of lane 0.
    first: Option<task::Id>,
    watch: Watch,
    /// Until when there may be no lane at all.
    empty_until: Instant,
    listed: Listed,
    /// A handshake that goes on while early data is served, and by when it has to be done.
    early: Option<(Early, Instant)>,
    /// Whether the handshake is done.
    proven: Arc<AtomicBool>,
}

impl Served {
    async fn run(mut self: Box<Self>) {
        let (mut draining, mut closing) = (false, false);
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_empty = self.lanes.is_empty();
            tokio::select! {
                accepted = self.connection.accept_bi(), if !closing => match accepted {
                    Ok((send, receive)) => self.begin(send, receive),
                    Err(error) => {
                        let peer = self.peer.endpoint();
                        tracing::debug!(%peer, %error, "a connection is over");
                        break;
                    }
                },
                Some(ended) = self.lanes.join_next_with_id() => self.ended(ended, draining),
                () = self.carrier.draining(), if !draining => {
                    draining = true;
                    self.empty_until = timer::now() + self.parting();
                }
                // From here on no lane could do more than to be closed.
                () = self.carrier.closed(), if !closing => closing = true,
                () = tokio::time::sleep_until(self.empty_until.into()), if is_empty => {
                    let reason = if draining { "drained" } else { "no lane" };
                    close(&self.connection, CloseCode::DONE, reason);
                    break;
                }
                in_time = proof(&mut self.early), if self.early.is_some() => {
                    self.proved(in_time);
                }
                () = self.listed.alarmed() => {
                    let found = self.watch.check(&self.connection.stats());
                    self.accuse(found);
                }
                _ = looks.tick() => {
                    let found = self.watch.look(&self.connection.stats());
                    self.accuse(found);
                }
            }
        }
        // The lanes find out by themselves, and end their calls.
        while self.lanes.join_next().await.is_some() {}
    }

    fn begin(&mut self, send: quinn::SendStream, receive: quinn::RecvStream) {
        let is_first = receive.id().index() == 0;
        let peer = self.peer.endpoint().target().to_owned();
        let mut lane = Lane::new(send, receive, peer, Side::Server);
        if is_first {
            lane = lane.first_served();
        }
        if self.early.is_some() {
            lane = lane.before(&self.proven);
        }
        let kind = match is_first {
            true => SessionKind::Main,
            false => SessionKind::Bulk,
        };
        let due = timer::now() + self.serving.hello_timeout();
        let (carrier, peer) = (&self.carrier, self.peer.clone());
        let session = self
            .serving
            .session(carrier, Box::new(lane), peer, kind, &[], due);
        let task = self.lanes.spawn(session);
        if is_first {
            self.first = Some(task.id());
        }
    }

    /// A client whose calls were served early has proved that it sent them itself, or has not.
    fn proved(&mut self, in_time: bool) {
        self.early = None;
        // The end of a connection ends the wait for its handshake too.
        if self.connection.close_reason().is_some() {
            return;
        }
        if in_time {
            self.proven.store(true, Ordering::Release);
            self.carrier.summon();
        } else {
            let reason = "the handshake was not done in time";
            close(&self.connection, CloseCode::KEEPALIVE, reason);
        }
    }

    fn ended(&mut self, ended: Result<(task::Id, Option<Closed>), JoinError>, draining: bool) {
        let grace = if draining {
            self.parting()
        } else {
            self.serving.hello_timeout()
        };
        let now = timer::now();
        self.empty_until = now + grace;
        if let Ok((task, Some(closed))) = &ended {
            lane_ended(&self.connection, closed, self.first == Some(*task));
        }
        let found = self.watch.lane_ended(now);
        self.accuse(found);
    }

    /// How long a client may take to leave by itself after its last lane has drained: a lane that
    /// it opened before it knew may still arrive.
    fn parting(&self) -> Duration {
        PARTING + self.connection.rtt() * 4
    }

    /// Closes the connection of a peer that keeps this side busy with what is no work.
    fn accuse(&self, found: Option<Flood>) {
        if let Some(flood) = found {
            let (peer, reason) = (self.peer.endpoint(), flood.reason());
            tracing::debug!(%peer, reason, "a flood was closed");
            close(&self.connection, CloseCode::FLOOD, reason);
        }
    }
}

/// Waits for the rest of a handshake; false if that took too long.
async fn proof(early: &mut Option<(Early, Instant)>) -> bool {
    match early {
        Some((early, due)) => {
            let done = tokio::time::timeout_at((*due).into(), &mut early.done);
            done.await.is_ok()
        }
        None => std::future::pending().await,
    }
}

/// How long that is where no round trip has been measured: three times the second after which QUIC
/// sends again (RFC 9000 section 10.2, RFC 9002 section 6.2.2).
const DRAINING: Duration = Duration::from_secs(3);
/// How often a connection is looked at for floods.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Time for packets that are lost to be sent again; clients leave at once as a rule.
const PARTING: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use tokio::net::UdpSocket;

    use super::super::dial::{self, Offer, Target};
    use super::super::listen::{Listener, Options};
    use super::*;
    use crate::tls::test_certificates::Authority;
    use crate::tls::{Certificate, ClientTls, Roots, ServerTls};

    const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    /// A server, and the first datagram of a client of its.
    async fn met() -> (Listener, Vec<u8>) {
        let authority = Authority::new("root");
        let made = authority.issue(&["127.0.0.1"]);
        let options = Options {
            tls: ServerTls::new(Certificate::from_pem(made.chain, made.key).unwrap()),
            keepalive: None,
            buffer_bytes: None,
            take_over: false,
        };
        let listener = Listener::bind(LOOPBACK, &options).unwrap();
        let heard = UdpSocket::bind(LOOPBACK).await.unwrap();
        let port = heard.local_addr().unwrap().port();
        let tls = ClientTls::new(Roots::from_pem(authority.pem()).unwrap());
        let target = Target::new("127.0.0.1".to_owned(), port, tls, None, None);
        let mut hello = vec![0; 2048];
        let offer: Offer = Arc::new(|_| false);
        let length = tokio::select! {
            length = heard.recv(&mut hello) => length.unwrap(),
            _ = dial::dial(&target, &offer) => panic!("nobody answers"),
        };
        hello.truncate(length);
        (listener, hello)
    }

    /// How long a client that says hello and nothing else is kept, if the server drains then.
    async fn kept(drained_after: Option<Duration>) -> Duration {
        let (listener, hello) = met().await;
        let silent = UdpSocket::bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr();
        silent.send_to(&hello, address).await.unwrap();
        let handshake = listener.accept().await.unwrap();
        let (serving, carrier) = (Serving::bare(), Carrier::new());
        let began = timer::now();
        let drained = async {
            match drained_after {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
            carrier.drain();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = serve(serving, Arc::clone(&carrier), handshake) => {}
            () = drained => {}
        }
        timer::now() - began
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_keeps_its_place_until_quinn_forgets_it_or_the_server_ends() {
        let (patience, moment) = (Serving::bare().hello_timeout(), Duration::from_millis(20));
        let forgotten = patience + DRAINING;
        let long = kept(None).await;
        assert!((forgotten..forgotten + moment).contains(&long), "{long:?}");
        let drained = patience + DRAINING / 2;
        let short = kept(Some(drained)).await;
        assert!((drained..drained + moment).contains(&short), "{short:?}");
    }
}
