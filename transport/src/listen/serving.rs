//! What becomes of an accepted link: its protocol is found out, then it is served.

use std::sync::Arc;
use std::time::Instant;

use dreammesh_core::call::{Endpoint, Peer};
use dreammesh_core::port::Lookup;
use dreammesh_core::server::Router;
use dreammesh_core::wire::Limits;
use dreammesh_session::Session;

use super::Settings;
use super::carrier::Carrier;
use super::detect::detect;
use crate::driver::route::Routes;
use crate::driver::shared::Shared;
use crate::driver::{Driver, timer};
use crate::link::BoxLink;

/// What every connection of a server shares.
#[derive(Debug)]
pub(crate) struct Serving {
    routes: Arc<Routes>,
    settings: Settings,
    limits: Limits,
}

impl Serving {
    pub(super) fn new(router: Router, settings: Settings) -> Self {
        let limits = Limits::default().with_max_bytes(settings.session.message_bytes_max as usize);
        let lookup: Arc<dyn Lookup> = Arc::new(router);
        Self {
            routes: Arc::new(Routes::new(lookup)),
            settings,
            limits,
        }
    }

    /// Begins a session whose peer has until `due` to say hello, and whose first bytes may have
    /// been read already; the future runs it to its end.
    pub(crate) fn session(
        &self,
        carrier: &Carrier,
        link: BoxLink,
        peer: Peer,
        first: &[u8],
        due: Instant,
    ) -> impl Future<Output = ()> + Send + use<> {
        let session = Session::server(self.settings.session.clone(), timer::now());
        let shared = Arc::new(Shared::new(session, peer, None));
        carrier.add(&shared);
        let routes = Arc::clone(&self.routes);
        let driver =
            Driver::server(Arc::clone(&shared), link, routes, self.limits, due).with_input(first);
        async move {
            if let Some(closed) = driver.run().await {
                let peer = shared.peer_ref().endpoint();
                tracing::debug!(%peer, code = ?closed.code, closed.reason, "a connection is over");
            }
        }
    }
}

/// Serves a link until it is over.
pub(super) async fn serve(serving: Arc<Serving>, carrier: Arc<Carrier>, mut link: BoxLink) {
    let due = timer::now() + serving.settings.hello_timeout;
    let found = tokio::select! {
        biased;
        found = tokio::time::timeout_at(due.into(), detect(&mut link)) => found,
        // It has asked for nothing yet, so it loses nothing.
        () = carrier.draining() => return,
    };
    let peer = link.peer();
    let (_, first) = match found {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::debug!(peer, %error, "a connection ended before it said what it speaks");
            return;
        }
        Err(_) => {
            tracing::debug!(peer, "a connection did not say in time what it speaks");
            return;
        }
    };
    let peer = Peer::new(Endpoint::new(peer));
    serving
        .session(&carrier, link, peer, first.bytes(), due)
        .await;
}
