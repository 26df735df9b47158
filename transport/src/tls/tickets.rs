//! What lets a client's first calls over QUIC travel with its hello (0-RTT, RFC 8446 section 2.3).
//!
//! A resumed handshake shows no certificate, so a ticket stands for one that was shown before: it
//! is good for an hour, once, and only as long as that certificate would be accepted. A client
//! verifies the server's again before it uses a ticket; a server gives no heed to tickets from
//! before its roots were replaced, and verifies again what is behind the others.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::iter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::StoresServerSessions;

use super::verify::ServerVerifier;
use super::{Certificate, Live, Roots};
use crate::driver::timer;

/// The tickets of one client for one target.
///
/// A resumed handshake brings the ticket for the next, so each stands for the whole handshake at
/// the beginning of its line, and what the server showed there is verified again before it is used.
pub(super) struct ClientTickets {
    verifier: ServerVerifier,
    certificate: Option<Live<Certificate>>,
    state: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// What the latest whole handshake has shown.
    proof: Option<Arc<Proof>>,
    /// The newest last.
    tickets: VecDeque<(Tls13ClientSessionValue, Arc<Proof>)>,
}

/// What a whole handshake has shown.
struct Proof {
    since: Instant,
    /// What the server presented, and the name for which.
    chain: Vec<CertificateDer<'static>>,
    name: ServerName<'static>,
    /// What this side presented.
    certificate: Option<Arc<Certificate>>,
}

impl ClientTickets {
    pub(super) fn new(verifier: ServerVerifier, certificate: Option<Live<Certificate>>) -> Self {
        Self {
            verifier,
            certificate,
            state: Mutex::default(),
        }
    }

    /// Notes what a whole handshake has shown; what is resumed from now on goes back to it.
    pub(super) fn proved(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) {
        let chain = iter::once(end_entity).chain(intermediates);
        let proof = Proof {
            since: timer::now(),
            chain: chain.map(|one| one.clone().into_owned()).collect(),
            name: name.to_owned(),
            certificate: self.presented(),
        };
        let mut state = lock(&self.state);
        state.proof = Some(Arc::new(proof));
    }

    fn presented(&self) -> Option<Arc<Certificate>> {
        self.certificate.as_ref().map(Live::current)
    }

    /// Whether a whole handshake would come to the same now.
    fn holds(&self, proof: &Proof) -> bool {
        timer::now().saturating_duration_since(proof.since) < TICKET_AGE_MAX
            && same(proof.certificate.as_ref(), self.presented().as_ref())
            && self
                .verifier
                .verify_again(&proof.chain, &proof.name)
                .is_ok()
    }
}

impl ClientSessionStore for ClientTickets {
    /// The hint spares a round trip with servers that lack the preferred key exchange; ours have
    /// it.
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let state = &mut *lock(&self.state);
        let Some(proof) = &state.proof else { return };
        if state.tickets.len() == CLIENT_TICKETS_MAX {
            state.tickets.pop_front();
        }
        state.tickets.push_back((ticket, Arc::clone(proof)));
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        loop {
            let (ticket, proof) = lock(&self.state).tickets.pop_back()?;
            if self.holds(&proof) {
                return Some(ticket);
            }
        }
    }
}

/// The tickets that a server has given out and not seen again.
///
/// Each is forgotten when it comes back, so what an eavesdropper records cannot be sent to the
/// same server twice (RFC 8446 section 8.1).
pub(super) struct ServerTickets {
    /// What clients are verified against, if they are.
    roots: Option<Live<Roots>>,
    given: Mutex<Given>,
}

#[derive(Default)]
struct Given {
    sessions: HashMap<Vec<u8>, Session>,
    /// The oldest first; some may have come back.
    order: VecDeque<Vec<u8>>,
}

struct Session {
    secret: Vec<u8>,
    since: Instant,
    /// What the client was verified against.
    roots: Option<Arc<Roots>>,
}

impl ServerTickets {
    pub(super) fn new(roots: Option<Live<Roots>>) -> Self {
        Self {
            roots,
            given: Mutex::default(),
        }
    }

    fn roots(&self) -> Option<Arc<Roots>> {
        self.roots.as_ref().map(Live::current)
    }
}

impl StoresServerSessions for ServerTickets {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        if value.len() > SESSION_BYTES_MAX {
            return false;
        }
        let session = Session {
            secret: value,
            since: timer::now(),
            roots: self.roots(),
        };
        let mut given = lock(&self.given);
        while given.order.len() >= SERVER_TICKETS_MAX {
            let oldest = given.order.pop_front();
            oldest.and_then(|oldest| given.sessions.remove(&oldest));
        }
        given.order.push_back(key.clone());
        given.sessions.insert(key, session);
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        // What may be used once cannot be looked at without using it.
        self.take(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let session = lock(&self.given).sessions.remove(key)?;
        let age = timer::now().saturating_duration_since(session.since);
        let good = age < TICKET_AGE_MAX && same(session.roots.as_ref(), self.roots().as_ref());
        good.then_some(session.secret)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// Whether nothing was replaced.
fn same<T>(then: Option<&Arc<T>>, now: Option<&Arc<T>>) -> bool {
    match (then, now) {
        (None, None) => true,
        (Some(then), Some(now)) => Arc::ptr_eq(then, now),
        _ => false,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for ClientTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = lock(&self.state).tickets.len();
        f.debug_struct("ClientTickets")
            .field("held", &held)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = lock(&self.given).sessions.len();
        f.debug_struct("ServerTickets")
            .field("given", &given)
            .finish_non_exhaustive()
    }
}

/// How long a ticket is good: a channel that lost its connection is back long before, and nobody
/// is let in much longer than by a certificate of a mesh.
const TICKET_AGE_MAX: Duration = Duration::from_secs(3600);

/// A connection brings one, and uses one.
const CLIENT_TICKETS_MAX: usize = 4;

/// Clients that may come back early at one time; the others take a whole handshake.
const SERVER_TICKETS_MAX: usize = 1024;

/// A session holds the client's certificates.
const SESSION_BYTES_MAX: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    #[test]
    fn a_ticket_comes_back_once() {
        let tickets = ServerTickets::new(None);
        assert!(tickets.put(key(1), vec![7]));
        assert_eq!(tickets.take(&key(1)), Some(vec![7]));
        assert_eq!(tickets.take(&key(1)), None);
    }

    #[test]
    fn the_oldest_ticket_makes_room_for_one_too_many() {
        let tickets = ServerTickets::new(None);
        for number in 0..SERVER_TICKETS_MAX {
            assert!(tickets.put(key(number), Vec::new()));
        }
        assert_eq!(lock(&tickets.given).sessions.len(), SERVER_TICKETS_MAX);
        tickets.put(key(SERVER_TICKETS_MAX), Vec::new());
        assert_eq!(tickets.take(&key(0)), None);
        assert!(tickets.take(&key(1)).is_some());
    }

    #[test]
    fn a_session_that_is_too_large_is_not_kept() {
        let tickets = ServerTickets::new(None);
        assert!(tickets.put(key(1), vec![0; SESSION_BYTES_MAX]));
        assert!(!tickets.put(key(2), vec![0; SESSION_BYTES_MAX + 1]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_good_for_less_than_an_hour() {
        let tickets = ServerTickets::new(None);
        tickets.put(key(1), Vec::new());
        tickets.put(key(2), Vec::new());
        tokio::time::advance(TICKET_AGE_MAX - Duration::from_millis(1)).await;
        assert!(tickets.take(&key(1)).is_some());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(tickets.take(&key(2)).is_none());
    }
}
