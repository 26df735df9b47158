//! The path of a connection: left when it swallows what is sent, and tried again.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Weak};

use dreammesh_core::layer::ConnectFailure;

use super::Inner;
use super::connecting::Role;
use crate::connect::Place;
use crate::connect::secured::Secured;
use crate::driver::shared::Shared;
use crate::quic::dial::Connected;

impl Inner {
    /// Tries the medium that suits once more whenever it is time to, as long as another is in use.
    pub(super) async fn revise(self: &Arc<Self>) -> Infallible {
        let Place::Secured(secured) = &self.place else {
            return std::future::pending().await;
        };
        loop {
            match secured.revision() {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => {
                    self.detoured.notified().await;
                    continue;
                }
            }
            // Without a connection there is nothing to replace: the next dial begins anew.
            if self.lock().members.is_empty() {
                self.detoured.notified().await;
                continue;
            }
            let limit = self.settings.connect_timeout;
            let offer = self.offer();
            let dialled = secured.dial_suited(&offer);
            match tokio::time::timeout(limit, dialled).await {
                Ok(Ok(dialled)) => {
                    // What works is kept until the server has said hello here too.
                    let is_back = match self.begin(dialled, Role::Instead) {
                        Some(greeting) => greeting.await.is_ok(),
                        None => true,
                    };
                    if is_back {
                        tracing::info!(endpoint = %self.endpoint, "the suited medium is back");
                        secured.suited_works();
                    } else {
                        secured.still_blocked();
                    }
                }
                Ok(Err(_)) => self.still_blocked(secured, ConnectFailure::Dial),
                Err(_) => self.still_blocked(secured, ConnectFailure::Timeout),
            }
        }
    }

    fn still_blocked(&self, secured: &Secured, why: ConnectFailure) {
        self.counts.failed(why);
        secured.still_blocked();
    }

    /// Watches a connection over QUIC: when its path swallows what is sent, it is tried from another
    /// socket, and left if there is another medium.
    pub(super) async fn watch(self: Arc<Self>, connected: Connected, shared: Arc<Shared>) {
        let has_alternative = match &self.place {
            Place::Secured(secured) => secured.has_alternative(),
            _ => false,
        };
        loop {
            connected.stalled().await;
            tracing::info!(endpoint = %self.endpoint, "nothing comes back by QUIC");
            self.counts.stalled();
            if has_alternative {
                break;
            }
            connected.change_sockets().await;
        }
        // With lane 0 idle its session may end at once, and this task with it; the calls on the
        // other lanes are to be seen to all the same.
        tokio::spawn(self.leave(connected, shared));
    }

    /// Sends new calls the other way. Once there is a connection there, and the old one is silent
    /// still, the calls on that which may be repeated are; all others wait for its path to come
    /// back, as long as the session's keepalive lets them.
    async fn leave(self: Arc<Self>, connected: Connected, shared: Arc<Shared>) {
        let heard = connected.heard();
        let mut sessions = vec![Arc::downgrade(&shared)];
        // Those of one that was succeeded too, or left with another: they go the same way.
        sessions.extend(connected.bulk_sessions());
        // One that was succeeded says nothing about its successor.
        if self.take(&shared).is_some() {
            // What goes the same way is no better, and finds that out by itself.
            let same_way = self.lock().members.take(|it| it.lanes.is_some());
            drop(same_way);
            if let Place::Secured(secured) = &self.place {
                secured.quic_stalled();
            }
            self.lock().wanted = true;
            self.asked.notify_one();
        }
        drop(shared);
        let each = |act: &dyn Fn(&Shared)| {
            let alive = sessions.iter().filter_map(Weak::upgrade);
            alive.for_each(|session| act(&session));
        };
        each(&Shared::leave);
        tokio::select! {
            () = self.connected() => {}
            () = connected.over() => return,
        }
        if connected.heard() == heard {
            each(&Shared::forsake);
        }
        // What waits there still may find another way.
        tokio::select! {
            () = connected.change_sockets() => {}
            () = connected.over() => {}
        }
    }

    /// Waits until there is a connection.
    async fn connected(&self) {
        loop {
            let changed = self.changed.notified();
            let mut changed = pin!(changed);
            changed.as_mut().enable();
            let there = {
                let state = self.lock();
                state.gone || state.members.is_live()
            };
            if there {
                return;
            }
            changed.await;
        }
    }
}
