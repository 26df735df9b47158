//! The peers of a server's connections, each of which needs a socket when the port is left.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Who is connected, or about to be.
#[derive(Debug, Default)]
pub(super) struct Peers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    listed: HashMap<u64, (Peer, Arc<Notify>)>,
}

/// How far somebody's connection has come; its address may change once it is one.
#[derive(Clone, Debug)]
enum Peer {
    Handshake(SocketAddr, Option<IpAddr>),
    Connection(quinn::Connection),
}

impl Peer {
    fn addresses(&self) -> (SocketAddr, Option<IpAddr>) {
        match self {
            Self::Handshake(peer, local) => (*peer, *local),
            Self::Connection(it) => (it.remote_address(), it.local_ip()),
        }
    }
}

impl Peers {
    /// Adds somebody whose handshake begins, by both addresses.
    pub(super) fn add(self: &Arc<Self>, peer: SocketAddr, local: Option<IpAddr>) -> Listed {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        let (peer, alarm) = (Peer::Handshake(peer, local), Arc::<Notify>::default());
        state.listed.insert(number, (peer, Arc::clone(&alarm)));
        drop(state);
        Listed {
            number,
            peers: Arc::clone(self),
            alarm,
        }
    }

    /// Where everybody is now, and what they know as this side's address.
    pub(super) fn addresses(&self) -> Vec<(SocketAddr, Option<IpAddr>)> {
        self.all()
            .iter()
            .map(|(peer, _)| peer.addresses())
            .collect()
    }

    /// What has a connection look at its peer, by the address of that.
    pub(super) fn alarm_of(&self, address: SocketAddr) -> Option<Arc<Notify>> {
        let mut listed = self.all().into_iter();
        let there = listed.find(|(peer, _)| peer.addresses().0 == address);
        there.map(|(_, alarm)| alarm)
    }

    /// A copy, since a connection takes a lock of its own to tell its address.
    fn all(&self) -> Vec<(Peer, Arc<Notify>)> {
        self.lock().listed.values().cloned().collect()
    }

    /// Whether somebody there is connected, or about to be.
    pub(super) fn has(&self, address: SocketAddr) -> bool {
        self.addresses().iter().any(|(peer, _)| *peer == address)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the list, until it is dropped.
#[derive(Debug)]
pub(crate) struct Listed {
    number: u64,
    peers: Arc<Peers>,
    alarm: Arc<Notify>,
}

impl Listed {
    /// The handshake is done.
    pub(super) fn connected(&self, connection: &quinn::Connection) {
        let connected = Peer::Connection(connection.clone());
        let connected = (connected, Arc::clone(&self.alarm));
        let before = self.peers.lock().listed.insert(self.number, connected);
        drop(before);
    }

    /// Waits until the peer should be looked at.
    pub(super) async fn alarmed(&self) {
        self.alarm.notified().await;
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        // What is dropped with it may take locks of its own, so not under this one.
        let peer = self.peers.lock().listed.remove(&self.number);
        drop(peer);
    }
}
