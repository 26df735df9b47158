//! What becomes of an accepted link: its protocol is found out, then it is served.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dreammesh_core::call::{Endpoint, Peer};
use dreammesh_core::port::Lookup;
use dreammesh_core::server::Router;
use dreammesh_core::wire::Limits;
use dreammesh_session::{Closed, Config, Keepalive, Session};

use super::Settings;
use super::carrier::Carrier;
use super::detect::{Protocol, detect};
use crate::driver::route::Routes;
use crate::driver::shared::Shared;
use crate::driver::{Driver, timer};
use crate::http;
use crate::link::BoxLink;
use crate::link::listener::Accepted;
use crate::quic;

/// What every connection of a server shares.
#[derive(Debug)]
pub(crate) struct Serving {
    routes: Arc<Routes>,
    settings: Settings,
    /// What a session may use that is one of several of its connection.
    bulk: Config,
    limits: Limits,
}

/// What a session is to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionKind {
    /// The only one, or the one of small calls.
    Main,
    /// One of several for large and streaming calls.
    Bulk,
}

impl Serving {
    pub(super) fn new(router: Router, settings: Settings) -> Self {
        let limits = Limits::default().with_max_bytes(settings.session.message_bytes_max as usize);
        let lookup: Arc<dyn Lookup> = Arc::new(router);
        Self {
            routes: Arc::new(Routes::new(lookup)),
            bulk: quic::bulk(&settings.session),
            settings,
            limits,
        }
    }

    /// How long a peer may take to say what it speaks, and hello.
    pub(crate) fn hello_timeout(&self) -> Duration {
        self.settings.hello_timeout
    }

    /// How a silent peer is told from a dead one.
    pub(crate) fn keepalive(&self) -> Option<Keepalive> {
        self.settings.session.keepalive
    }

    /// Begins a session whose peer has until `due` to say hello, and whose first bytes may have
    /// been read already; the future runs it to its end.
    pub(crate) fn session(
        &self,
        carrier: &Carrier,
        link: BoxLink,
        peer: Peer,
        kind: SessionKind,
        first: &[u8],
        due: Instant,
    ) -> impl Future<Output = Option<Closed>> + Send + use<> {
        let config = match kind {
            SessionKind::Main => &self.settings.session,
            SessionKind::Bulk => &self.bulk,
        };
        let session = Session::server(config.clone(), timer::now());
        let shared = Arc::new(Shared::new(session, peer, None));
        carrier.add(&shared);
        let routes = Arc::clone(&self.routes);
        let mut driver =
            Driver::server(Arc::clone(&shared), link, routes, self.limits, due).with_input(first);
        async move {
            let closed = driver.run().await;
            drop(driver);
            if let Some(closed) = &closed {
                let peer = shared.peer_ref().endpoint();
                tracing::debug!(%peer, code = ?closed.code, closed.reason, "a session is over");
            }
            closed
        }
    }
}

/// Serves what was accepted until it is over.
///
/// Each medium's future is a box of its own, so that an idle connection takes the room of its
/// medium's and not of the largest, nor that twice for being handed on.
pub(super) async fn serve(serving: Arc<Serving>, carrier: Arc<Carrier>, accepted: Accepted) {
    match accepted {
        Accepted::Link(link) => Box::pin(serve_link(serving, carrier, link)).await,
        Accepted::Quic(handshake) => {
            Box::pin(quic::serve::serve(serving, carrier, handshake)).await;
        }
    }
}

async fn serve_link(serving: Arc<Serving>, carrier: Arc<Carrier>, mut link: BoxLink) {
    let due = timer::now() + serving.settings.hello_timeout;
    let found = tokio::select! {
        biased;
        found = tokio::time::timeout_at(due.into(), detect(&mut link)) => found,
        // It has asked for nothing yet, so it loses nothing.
        () = carrier.draining() => return,
    };
    let peer = link.peer();
    let (protocol, first) = match found {
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
    match protocol {
        Protocol::Http2 if serving.settings.http => {
            return Box::pin(http::serve_two(serving, carrier, link, first.bytes(), due)).await;
        }
        Protocol::Http1 if serving.settings.http => {
            return Box::pin(http::serve_one(serving, carrier, link, first.bytes())).await;
        }
        _ => {}
    }
    let peer = Peer::new(Endpoint::new(peer));
    serving
        .session(&carrier, link, peer, SessionKind::Main, first.bytes(), due)
        .await;
}
