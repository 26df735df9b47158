//! The bulk lanes of a connection that has lanes: opened when needed, kept a while, given back.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use dreammesh_core::call::{MethodKind, Peer};
use dreammesh_core::layer::ConnectionCounts;
use dreammesh_core::negotiate::VerdictCache;
use dreammesh_core::port::ConnectionAsk;
use dreammesh_session::Closed;
use dreammesh_session::frame::CloseCode;

use super::Settings;
use super::client::{self, Client};
use crate::driver::timer::NEVER;
use crate::quic;
use crate::quic::dial::Connected;

/// The lanes beside lane 0, for calls that would hold up the small ones there.
///
/// Dropping it closes them, each when its last call has ended.
pub(super) struct Lanes(Arc<Inner>);

struct Inner {
    connection: Connected,
    peer: Peer,
    settings: Settings,
    /// What the lanes learnt of the server's layouts.
    layouts: VerdictCache,
    counts: Arc<ConnectionCounts>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bulk: Vec<Bulk>,
    /// Whether somebody looks for lanes that are idle.
    reaping: bool,
}

/// A bulk lane; the count of its handles says how much is going on there.
struct Bulk {
    client: Arc<Client>,
    /// Nothing has been called here since the last look.
    rested: bool,
}

impl Lanes {
    /// The lanes of a connection, with the settings of its lane 0.
    pub(super) fn new(
        connection: Connected,
        peer: Peer,
        settings: &Settings,
        layouts: VerdictCache,
        counts: &Arc<ConnectionCounts>,
    ) -> Self {
        let mut settings = settings.clone();
        settings.session = quic::bulk(&settings.session);
        // The server has shown on lane 0 that it speaks the protocol. A lane that it stays silent
        // on ends by its keepalive; until then its path may have stopped to work for a while.
        settings.connect_timeout = NEVER;
        Self(Arc::new(Inner {
            connection,
            peer,
            settings,
            layouts,
            counts: Arc::clone(counts),
            state: Mutex::default(),
        }))
    }

    /// Whether there is none: nobody has used one for a while.
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().bulk.is_empty()
    }

    /// Whether a call would hold up the small ones on lane 0.
    #[inline]
    pub(super) fn is_bulk(ask: &ConnectionAsk<'_>) -> bool {
        ask.method.kind() != MethodKind::Unary || ask.message_bytes > SMALL_BYTES_MAX
    }

    /// A lane for such a call: one that nobody uses, or else a new one, or else the one that is
    /// used least; none if the peer allows no bulk lane at all.
    pub(super) fn choose(&self) -> Option<Arc<Client>> {
        let mut gone = Vec::new();
        let chosen = {
            let mut state = self.0.lock();
            gone.extend(state.bulk.extract_if(.., |bulk| !bulk.is_open()));
            let free = state.bulk.iter_mut().find(|bulk| bulk.users() == 0);
            match free {
                Some(free) => Some(free.take()),
                None => match self.0.open() {
                    Some(bulk) => {
                        let client = Arc::clone(&bulk.client);
                        state.bulk.push(bulk);
                        if !std::mem::replace(&mut state.reaping, true) {
                            tokio::spawn(reap(Arc::downgrade(&self.0)));
                        }
                        Some(client)
                    }
                    None => {
                        let least = state.bulk.iter_mut().min_by_key(|bulk| bulk.users());
                        least.map(Bulk::take)
                    }
                },
            }
        };
        // The last handle of a client takes the lock of its session.
        drop(gone);
        chosen
    }
}

impl Bulk {
    fn is_open(&self) -> bool {
        self.client.0.is_open_to_calls()
    }

    /// How many handles others have: some for each call.
    fn users(&self) -> usize {
        Arc::strong_count(&self.client) - 1
    }

    fn take(&mut self) -> Arc<Client> {
        self.rested = false;
        Arc::clone(&self.client)
    }

    /// Whether it was idle at the last look and still is.
    fn is_over(&mut self) -> bool {
        let idle = self.users() == 0;
        let over = idle && self.rested || !self.is_open();
        self.rested = idle;
        over
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Option<Bulk> {
        let lane = self.connection.bulk_lane()?;
        let (client, mut driver) = client::begin(
            &self.settings,
            self.peer.clone(),
            Box::new(lane),
            Some(&self.layouts),
            None,
        );
        self.connection.add_bulk(&client.0);
        let (connection, counts) = (self.connection.clone(), Arc::clone(&self.counts));
        tokio::spawn(async move {
            let closed = driver.run().await;
            drop(driver);
            if let Some(closed) = closed {
                count_drained(&counts, &closed);
                connection.lane_ended(&closed, false);
            }
        });
        Some(Bulk {
            client,
            rested: false,
        })
    }
}

/// Counts the calls that a server has ended because it drains.
pub(super) fn count_drained(counts: &ConnectionCounts, closed: &Closed) {
    if closed.by_peer && closed.code == CloseCode::SHUTDOWN {
        counts.drained(closed.calls_ended.into());
    }
}

/// Closes lanes that nobody has used for a while, until there is none.
async fn reap(lanes: Weak<Inner>) {
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let Some(lanes) = lanes.upgrade() else { return };
        let mut over = Vec::new();
        let done = {
            let mut state = lanes.lock();
            over.extend(state.bulk.extract_if(.., Bulk::is_over));
            state.reaping = !state.bulk.is_empty();
            !state.reaping
        };
        // What nobody holds any more drains, and closes the lane.
        drop(over);
        if done {
            return;
        }
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes")
            .field("peer", &self.0.peer)
            .field("bulk", &self.0.lock().bulk.len())
            .finish_non_exhaustive()
    }
}

/// The largest request that shares lane 0; a larger one comes in chunks, and is large to the
/// session too (PROTOCOL.md §1).
const SMALL_BYTES_MAX: usize = 64 * 1024;

/// An idle lane is kept for one to two of these: its methods are settled, so the next call there
/// costs no more than one on lane 0, while it holds some KiB on both sides.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
pub(super) mod tests;
