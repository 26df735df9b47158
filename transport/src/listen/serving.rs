//! What becomes of an accepted link: its protocol is found out, then it is served.

#[cfg(feature = "json")]
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dreammesh_core::call::{Endpoint, Peer, Process};
use dreammesh_core::port::Lookup;
use dreammesh_core::server::Router;
use dreammesh_core::wire::Limits;
#[cfg(feature = "json")]
use dreammesh_core::wire::{Kind, Layout, Message as _};
#[cfg(feature = "json")]
use dreammesh_core::wkt;
use dreammesh_session::frame::CloseCode;
use dreammesh_session::{Closed, Config, Keepalive, Session};
use rustls::ServerConfig;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Settings;
use super::accept::CLOSE_PERIOD;
use super::carrier::Carrier;
use super::detect::{Protocol, detect};
use super::refusal;
use super::users::Users;
use crate::driver::route::Routes;
use crate::driver::shared::Shared;
use crate::driver::{Driver, timer};
use crate::grpc::server::Calls;
use crate::grpc::server::handling::Handling;
use crate::http;
use crate::link::listener::Accepted;
use crate::link::{BoxLink, Link, parting, tls};
use crate::quic;
use crate::tls::{ALPN, ServerTls};
use crate::web::calls as web;

/// What every connection of a server shares.
#[derive(Debug)]
pub(crate) struct Serving {
    routes: Arc<Routes>,
    settings: Settings,
    /// What a session may use that is one of several of its connection.
    bulk: Config,
    /// How TLS is spoken, if the server has a certificate.
    tls: Option<Arc<ServerConfig>>,
    limits: Limits,
    /// How calls from browsers are taken; none if they are not.
    web: Option<web::Settings>,
    /// Places for connections.
    room: Arc<Semaphore>,
    /// How many of them each user has.
    users: Users,
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
    pub(super) fn new(
        router: Router,
        tls: Option<&ServerTls>,
        settings: Settings,
        room: Arc<Semaphore>,
    ) -> Self {
        let limits = Limits::default().with_max_bytes(settings.session.message_bytes_max as usize);
        let web = settings.web.then(|| web::Settings {
            origins: settings.origins.clone(),
            #[cfg(feature = "json")]
            types: types(&router),
        });
        let lookup: Arc<dyn Lookup> = Arc::new(router);
        // What may be spoken inside of TLS, the preferred first.
        let protocols: &[&[u8]] = match settings.http {
            true => &[ALPN, H2, HTTP1],
            false => &[ALPN],
        };
        Self {
            routes: Arc::new(Routes::new(lookup)),
            users: Users::new(settings.connections_per_user_max),
            bulk: quic::bulk(&settings.session),
            settings,
            tls: tls.map(|tls| tls.rustls_server(protocols)),
            limits,
            web,
            room,
        }
    }

    /// That of a server without services, as it is when nothing is set.
    #[cfg(test)]
    pub(crate) fn bare() -> Arc<Self> {
        let (router, room) = (Router::builder().build(), Arc::new(Semaphore::new(1)));
        Arc::new(Self::new(router, None, Settings::default(), room))
    }

    /// A place for what may cost as much as a connection, unless all are taken.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// What each user has of the places.
    pub(super) fn users(&self) -> Users {
        self.users.clone()
    }

    /// How long a peer may take to say what it speaks, and hello.
    pub(crate) fn hello_timeout(&self) -> Duration {
        self.settings.hello_timeout
    }

    /// How a silent peer is told from a dead one.
    pub(crate) fn keepalive(&self) -> Option<Keepalive> {
        self.settings.session.keepalive
    }

    /// The calls of a connection of HTTP/2, if they may come as anything but over a session.
    pub(crate) fn calls(&self, carrier: &Carrier, peer: Peer) -> Option<Calls> {
        if !self.settings.grpc && self.web.is_none() {
            return None;
        }
        let handling = self.handling(carrier, peer);
        Some(Calls::new(handling, self.settings.grpc, self.web.clone()))
    }

    /// How calls are run that do not come over a session.
    pub(crate) fn handling(&self, carrier: &Carrier, peer: Peer) -> Handling {
        let handling = Handling::new(
            Arc::clone(&self.routes),
            self.limits,
            self.settings.grpc_encoding,
            peer,
        );
        carrier.add_calls(handling.running());
        handling
    }

    /// How calls from browsers are taken, if they are.
    pub(crate) fn web(&self) -> Option<&web::Settings> {
        self.web.as_ref()
    }

    /// How many calls a connection may run at once.
    pub(crate) fn calls_max(&self) -> u32 {
        self.settings.session.calls_max
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
        let shared = self.shared(carrier, peer, kind);
        self.driven(shared, link, first, due)
    }

    /// Tells a peer that its protocol is not served here.
    async fn refuse(
        &self,
        carrier: &Carrier,
        mut link: BoxLink,
        protocol: Protocol,
        first: &[u8],
        due: Instant,
    ) {
        if let Some(words) = refusal::words(protocol) {
            return parting::say(&mut link, &words).await;
        }
        let shared = self.shared(carrier, peer_of(&*link), SessionKind::Main);
        shared.close(CloseCode::VERSION, refusal::NO_PLAINTEXT);
        self.driven(shared, link, first, due).await;
    }

    fn shared(&self, carrier: &Carrier, peer: Peer, kind: SessionKind) -> Arc<Shared> {
        let config = match kind {
            SessionKind::Main => &self.settings.session,
            SessionKind::Bulk => &self.bulk,
        };
        let session = Session::server(config.clone(), timer::now());
        let shared = Arc::new(Shared::new(session, peer, None));
        carrier.add(&shared);
        shared
    }

    fn driven(
        &self,
        shared: Arc<Shared>,
        link: BoxLink,
        first: &[u8],
        due: Instant,
    ) -> impl Future<Output = Option<Closed>> + Send + use<> {
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

/// The messages that a router knows, and the well-known ones, for those that an `Any` holds.
#[cfg(feature = "json")]
fn types(router: &Router) -> Arc<[&'static Layout]> {
    let methods = router.handlers().map(|handler| handler.method());
    let of_methods = methods.flat_map(|method| [method.request(), method.response()]);
    reachable(WELL_KNOWN.into_iter().chain(of_methods))
}

/// Messages and those in their fields, each once.
#[cfg(feature = "json")]
fn reachable(layouts: impl Iterator<Item = &'static Layout>) -> Arc<[&'static Layout]> {
    let mut found = BTreeMap::new();
    let mut left: Vec<_> = layouts.collect();
    while let Some(layout) = left.pop() {
        if found.insert(layout.name, layout).is_some() {
            continue;
        }
        left.extend(layout.fields().iter().filter_map(|field| match field.kind {
            Kind::Message(layout) => Some(layout),
            _ => None,
        }));
    }
    found.into_values().collect()
}

/// Serves what was accepted until it is over, with plaintext if that is permitted.
///
/// Each medium's future is a box of its own, and so is each protocol's, so that an idle connection
/// takes the room of its own and not of the largest, nor that twice for being handed on.
pub(super) async fn serve(
    serving: Arc<Serving>,
    carrier: Arc<Carrier>,
    accepted: Accepted,
    plaintext: bool,
) {
    let age = serving.settings.connection_age_max;
    let retired = age.map(|age| Box::pin(retire(Arc::clone(&serving), Arc::clone(&carrier), age)));
    let served: Pin<Box<dyn Future<Output = ()> + Send>> = match accepted {
        Accepted::Link(link) => Box::pin(serve_link(serving, carrier, link, plaintext)),
        Accepted::Quic(handshake) => Box::pin(quic::serve::serve(serving, carrier, handshake)),
    };
    match retired {
        None => served.await,
        Some(retired) => tokio::select! {
            () = served => {}
            () = retired => {}
        },
    }
}

/// Drains a connection that has reached its age, closes it when the drain period is over, and waits
/// as long as a peer that goes along with that may take.
async fn retire(serving: Arc<Serving>, carrier: Arc<Carrier>, age: Duration) {
    tokio::time::sleep(lifetime(age, RandomState::new().hash_one(0_u8))).await;
    carrier.drain();
    tokio::time::sleep(serving.settings.drain_period).await;
    carrier.close();
    tokio::time::sleep(CLOSE_PERIOD).await;
}

async fn serve_link(
    serving: Arc<Serving>,
    carrier: Arc<Carrier>,
    mut link: BoxLink,
    plaintext: bool,
) {
    let due = timer::now() + serving.settings.hello_timeout;
    let peer = link.peer();
    // Each step in a box, so that what it takes is not kept for as long as the connection.
    let detecting = Box::pin(in_time(&peer, due, &carrier, detect(&mut link)));
    let Some((protocol, first)) = detecting.await else {
        return;
    };
    let first = first.bytes();
    match (protocol, &serving.tls) {
        (Protocol::Tls, Some(config)) => {
            let accepting = tls::accept(link, first, Arc::clone(config));
            let accepting = Box::pin(in_time(&peer, due, &carrier, accepting));
            let Some((link, protocol)) = accepting.await.map(inside) else {
                return;
            };
            serve_protocol(serving, carrier, link, protocol, &[], due).await;
        }
        (Protocol::Tls, None) => {
            tracing::warn!(
                peer,
                "a client wants TLS, for which there is no certificate"
            );
            Box::pin(serving.refuse(&carrier, link, protocol, first, due)).await;
        }
        (_, Some(_)) if !plaintext => {
            tracing::warn!(
                peer,
                "a client speaks plaintext where only TLS is permitted"
            );
            Box::pin(serving.refuse(&carrier, link, protocol, first, due)).await;
        }
        _ => serve_protocol(serving, carrier, link, protocol, first, due).await,
    }
}

/// What goes over a link that was encrypted.
fn inside(link: tls::Accepted) -> (BoxLink, Protocol) {
    let protocol = match link.alpn() {
        Some(H2) => Protocol::Http2,
        Some(HTTP1) => Protocol::Http1,
        _ => Protocol::Session,
    };
    (Box::new(link), protocol)
}

/// Serves what is neither encrypted nor refused.
fn serve_protocol<'a>(
    serving: Arc<Serving>,
    carrier: Arc<Carrier>,
    link: BoxLink,
    protocol: Protocol,
    first: &'a [u8],
    due: Instant,
) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
    match protocol {
        Protocol::Http2 if serving.settings.http => {
            Box::pin(http::serve_two(serving, carrier, link, first, due))
        }
        Protocol::Http1 if serving.settings.http => {
            Box::pin(http::serve_one(serving, carrier, link, first))
        }
        _ => {
            let peer = peer_of(&*link);
            let kind = SessionKind::Main;
            let session = serving.session(&carrier, link, peer, kind, first, due);
            Box::pin(async {
                session.await;
            })
        }
    }
}

/// Waits for a step of the beginning of a connection.
async fn in_time<T>(
    peer: &str,
    due: Instant,
    carrier: &Carrier,
    step: impl Future<Output = io::Result<T>>,
) -> Option<T> {
    let done = tokio::select! {
        biased;
        done = tokio::time::timeout_at(due.into(), step) => done,
        () = carrier.hurried() => return None,
    };
    match done {
        Ok(Ok(done)) => return Some(done),
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
            tracing::warn!(peer, %error, "a connection was refused");
        }
        Ok(Err(error)) => tracing::debug!(peer, %error, "a connection ended before it began"),
        Err(_) => tracing::debug!(peer, "a connection did not begin in time"),
    }
    None
}

pub(crate) fn peer_of(link: &dyn Link) -> Peer {
    let peer = named(Endpoint::new(link.peer()), link.process());
    match link.identity() {
        Some(identity) => peer.with_identity(identity),
        None => peer,
    }
}

/// A peer of which nothing is verified but the process, where the kernel names it.
pub(crate) fn named(endpoint: Endpoint, process: Option<Process>) -> Peer {
    let peer = Peer::new(endpoint);
    match process {
        Some(process) => peer.with_process(process),
        None => peer,
    }
}

/// How long a connection lives that may reach an age: from nine tenths of it on, by a random
/// number that is uniform over `u64`.
fn lifetime(age: Duration, random: u64) -> Duration {
    age.saturating_sub(age.mul_f64(JITTER * (random as f64 / u64::MAX as f64)))
}

/// Each is the root of all that it reaches.
#[cfg(feature = "json")]
const WELL_KNOWN: [&Layout; 17] = [
    wkt::Any::LAYOUT,
    wkt::BoolValue::LAYOUT,
    wkt::BytesValue::LAYOUT,
    wkt::DoubleValue::LAYOUT,
    wkt::Duration::LAYOUT,
    wkt::Empty::LAYOUT,
    wkt::FieldMask::LAYOUT,
    wkt::FloatValue::LAYOUT,
    wkt::Int32Value::LAYOUT,
    wkt::Int64Value::LAYOUT,
    wkt::ListValue::LAYOUT,
    wkt::StringValue::LAYOUT,
    wkt::Struct::LAYOUT,
    wkt::Timestamp::LAYOUT,
    wkt::UInt32Value::LAYOUT,
    wkt::UInt64Value::LAYOUT,
    wkt::Value::LAYOUT,
];
const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";
/// As gRPC servers have it: enough to spread what began together over several seconds a minute.
const JITTER: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "json")]
    #[test]
    fn messages_are_found_in_the_fields_of_others_and_once() {
        let status = reachable([wkt::Struct::LAYOUT, wkt::Struct::LAYOUT].into_iter());
        let names: Vec<_> = status.iter().map(|layout| layout.name).collect();
        let all = ["ListValue", "Struct", "Value"];
        assert_eq!(names, all.map(|name| format!("google.protobuf.{name}")));
        let none = Router::builder().build();
        assert_eq!(types(&none).len(), WELL_KNOWN.len());
    }

    #[test]
    fn connections_that_began_together_end_within_a_tenth_of_their_age() {
        let age = Duration::from_secs(100);
        assert_eq!(lifetime(age, 0), age);
        assert_eq!(lifetime(age, u64::MAX), Duration::from_secs(90));
        // The longest that can be asked for is no time that cannot be told.
        assert!(lifetime(Duration::MAX, 1) <= Duration::MAX);
    }
}
