//! A client's share in a connection, which closes it gracefully when the last user is gone.

use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use dreammesh_core::call::{Compression, Metadata, Peer};
use dreammesh_core::negotiate::VerdictCache;
use dreammesh_core::port::{
    Answer, Connection, Ended, OpenTicket, Opened, Opening, Received, StreamKey, StreamPort,
};
use dreammesh_core::wire::Segment;
use dreammesh_session::Session;

use super::Settings;
use crate::driver::shared::Shared;
use crate::driver::standing::Pool;
use crate::driver::{Driver, timer};
use crate::link::BoxLink;

/// What calls hold of a connection.
///
/// The driver's task shares the state behind it, so the count of these handles alone says whether
/// anybody still has a use for the connection.
#[derive(Debug)]
pub(super) struct Client(pub(super) Arc<Shared>);

/// Begins a session on a link; the driver has to be run.
///
/// With several sessions to one process, `siblings` is what they know together of its layouts.
/// Calls that find the server full wait in `pool`, or at the session if there is none.
pub(super) fn begin(
    settings: &Settings,
    peer: Peer,
    link: BoxLink,
    siblings: Option<&VerdictCache>,
    pool: Option<Weak<dyn Pool>>,
) -> (Arc<Client>, Driver) {
    let now = timer::now();
    let session = Session::client(settings.session.clone(), now);
    let shared = Shared::new(session, peer, Some(settings.layouts.clone()));
    let shared = match siblings {
        Some(siblings) => shared.with_siblings(siblings.clone()),
        None => shared,
    };
    let shared = Arc::new(match pool {
        Some(pool) => shared.in_pool(pool),
        None => shared,
    });
    let hello_due = now + settings.connect_timeout;
    let driver = Driver::client(Arc::clone(&shared), link, hello_due);
    (Arc::new(Client(shared)), driver)
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.drain();
    }
}

impl StreamPort for Client {
    #[inline]
    fn poll_send(
        &self,
        key: StreamKey,
        cx: &mut Context<'_>,
        message: &mut Option<Segment>,
        last: bool,
        compression: Compression,
    ) -> Poll<Result<(), Ended>> {
        self.0.poll_send(key, cx, message, last, compression)
    }

    fn close_send(&self, key: StreamKey) {
        self.0.close_send(key);
    }

    #[inline]
    fn poll_message(
        &self,
        key: StreamKey,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Received>, Ended>> {
        self.0.poll_message(key, cx)
    }

    fn poll_headers(&self, key: StreamKey, cx: &mut Context<'_>) -> Poll<Result<Metadata, Ended>> {
        self.0.poll_headers(key, cx)
    }

    #[inline]
    fn poll_unary(&self, key: StreamKey, cx: &mut Context<'_>) -> Poll<Result<Answer, Ended>> {
        self.0.poll_unary(key, cx)
    }

    fn take_trailers(&self, key: StreamKey) -> Metadata {
        self.0.take_trailers(key)
    }

    fn send_headers(&self, key: StreamKey, headers: Metadata) {
        self.0.send_headers(key, headers);
    }

    fn discard(&self, key: StreamKey) {
        self.0.discard(key);
    }

    fn release(&self, key: StreamKey) {
        self.0.release(key);
    }
}

impl Connection for Client {
    #[inline]
    fn poll_open(&self, cx: &mut Context<'_>, opening: Opening<'_>) -> Poll<Result<Opened, Ended>> {
        self.0.poll_open(cx, opening)
    }

    fn abandon_open(&self, ticket: OpenTicket) {
        self.0.abandon_open(ticket);
    }

    #[inline]
    fn was_unsure(&self, key: StreamKey) -> bool {
        self.0.was_unsure(key)
    }

    fn is_open(&self) -> bool {
        self.0.is_open()
    }

    fn is_forsaken(&self) -> bool {
        self.0.is_forsaken()
    }

    fn peer(&self) -> &Peer {
        Connection::peer(&*self.0)
    }
}
