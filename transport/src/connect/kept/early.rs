//! Calls that travel before the handshake of their connection is done (0-RTT).
//!
//! A connection that is resumed is offered by whoever dials it. Lane 0 begins at once and takes the
//! calls that may travel early. If the server goes along, it becomes lane 0 of the connection that
//! everybody uses; if not, its link is refused, its calls did not begin, and they are made anew on
//! the lane 0 that is opened behind the handshake.

use std::sync::Arc;
use std::task::Waker;

use dreammesh_core::negotiate::VerdictCache;
use dreammesh_core::port::Connection;

use super::super::client::{self, Client};
use super::super::lanes::Lanes;
use super::connecting::{Role, Running};
use super::{Inner, State, Watching};
use crate::driver::shared::Shared;
use crate::quic::dial::{Connected, Offer};

/// A connection whose lane 0 is in use before its handshake is done.
pub(super) struct Early {
    client: Arc<Client>,
    connected: Connected,
    siblings: VerdictCache,
    watch: Watching,
}

impl Early {
    /// What carries calls there, as long as it takes some.
    pub(super) fn client(&self) -> Option<Arc<Client>> {
        Some(&self.client).filter(|it| it.is_open()).cloned()
    }

    pub(super) fn is_on(&self, connected: &Connected) -> bool {
        self.connected.is(connected)
    }

    pub(super) fn is_of(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.client.0, shared)
    }

    /// Lets the calls there end, or has them made elsewhere if nothing has come back.
    pub(super) fn let_go(self) {
        // From here on what ends there has lost its connection, and is made again.
        self.client.0.leave();
        if self.connected.is_unheard() {
            self.client.0.forsake();
        }
    }
}

impl Inner {
    /// What takes a connection before its handshake is done.
    pub(super) fn offer(self: &Arc<Self>) -> Offer {
        let inner = Arc::downgrade(self);
        Arc::new(move |connected| {
            let inner = inner.upgrade();
            inner.is_some_and(|inner| inner.begin_early(connected))
        })
    }

    /// Begins lane 0 before the handshake is done; false if nobody has a use for that.
    fn begin_early(self: &Arc<Self>, connected: Connected) -> bool {
        let is_wanted =
            |state: &State| !state.gone && state.members.is_empty() && state.early.is_none();
        if !is_wanted(&self.lock()) {
            return false;
        }
        let Some(lane) = connected.early_lane() else {
            return false;
        };
        let (siblings, watch) = (VerdictCache::new(), Watching::default());
        let peer = self.peer(connected.identity());
        let link = Box::new(lane);
        let (client, driver) =
            client::begin(&self.settings, peer, link, Some(&siblings), self.pool());
        let shared = Arc::clone(&client.0);
        let medium = self.place.medium(true);
        let driver = driver.on_hello(self.greeting(medium, true));
        let mut wakers = Vec::new();
        {
            let mut state = self.lock();
            // Nobody but this task dials, so all that can have happened is that the channel went.
            if !is_wanted(&state) {
                return false;
            }
            state.early = Some(Early {
                client,
                connected: connected.clone(),
                siblings,
                watch: Arc::clone(&watch),
            });
            state.waiting.wake_all(&mut wakers);
        }
        let run = Running {
            driver,
            shared,
            connected: Some(connected),
            medium,
            watch,
            role: Role::Next,
            is_early: true,
        };
        tokio::spawn(Arc::clone(self).drive(run));
        wakers.into_iter().for_each(Waker::wake);
        true
    }

    /// Takes over a connection whose lane 0 was begun early, now that the server is known to have
    /// taken that, and who it is.
    pub(super) fn adopt(self: &Arc<Self>, early: Early, connected: Connected) {
        let Early {
            client,
            siblings,
            watch,
            ..
        } = early;
        let peer = self.peer(connected.identity());
        let shared = Arc::clone(&client.0);
        shared.prove(peer.clone());
        let lanes = Lanes::new(
            connected.clone(),
            peer,
            &self.settings,
            siblings,
            &self.counts,
        );
        let lanes = Some(Arc::new(lanes));
        if !self.put_in_place(self.member(client, lanes), Role::Next) {
            return;
        }
        self.watch_path(connected, &shared, &watch);
        // Its driver runs already: one that ended meanwhile found nothing to end.
        if !shared.is_open_to_calls() {
            watch.get().inspect(|watch| watch.abort());
            drop(self.take(&shared));
        }
    }
}
