//! A server that gives no sign of life while calls wait for it, and another endpoint is there.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::{Inner, KeptLink};
use crate::driver::OnSilent;
use crate::driver::shared::Shared;
use crate::quic::dial::Connected;

impl KeptLink {
    /// Says whether there is another endpoint for the calls that are waiting here.
    pub(in crate::connect) fn set_has_others(&self, has_others: bool) {
        self.0.has_others.store(has_others, Ordering::Relaxed);
    }
}

impl Inner {
    /// What is done when a connection falls silent.
    pub(super) fn on_silent(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        connected: Option<&Connected>,
    ) -> OnSilent {
        let inner = Arc::downgrade(self);
        let shared = Arc::downgrade(shared);
        let connected = connected.cloned();
        Box::new(move || {
            if let (Some(inner), Some(shared)) = (inner.upgrade(), shared.upgrade()) {
                inner.handle_silence(&shared, connected.as_ref());
            }
        })
    }

    /// Has the calls that may be made again go elsewhere, and gives none to this connection any
    /// more. All others wait for it, as long as the session's keepalive lets them.
    ///
    /// The next connection gets calls when the server has said hello: until then it may be as
    /// silent as this one.
    fn handle_silence(&self, shared: &Shared, connected: Option<&Connected>) {
        if !self.has_others.load(Ordering::Relaxed) {
            return;
        }
        // It says so again as long as calls wait.
        if let Some(member) = self.take(shared) {
            tracing::info!(endpoint = %self.endpoint, "nothing comes back");
            self.counts.stalled();
            self.is_wary.store(true, Ordering::Relaxed);
            drop(member);
        }
        let mut sessions = connected.map_or_else(Vec::new, Connected::bulk_sessions);
        for session in sessions
            .drain(..)
            .filter_map(|it: Weak<Shared>| it.upgrade())
        {
            session.leave();
            session.forsake();
        }
        shared.leave();
        shared.forsake();
    }
}
