//! The body of a request, and how long its peer may be silent.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use super::turns::{PAUSE, Turn, Turns};

/// A body that somebody reads, and that is known to be read.
#[derive(Debug)]
pub(super) struct Requested {
    /// None once all of it has been read. It ends before the body does, which wakes the connection.
    turn: Option<Turn>,
    turns: Arc<Turns>,
    body: Incoming,
    /// How long nothing may come while somebody waits for it.
    patience: Duration,
    /// Since somebody waits.
    silent: Option<Pin<Box<Sleep>>>,
}

impl Requested {
    pub(super) fn new(body: Incoming, turns: &Arc<Turns>) -> Self {
        // Who knows the length beforehand has all of it, and has nothing to wait for.
        let patience = match body.size_hint().exact() {
            Some(_) => SILENCE,
            None => PAUSE,
        };
        Self {
            turn: (!body.is_end_stream()).then(|| turns.request()),
            turns: Arc::clone(turns),
            body,
            patience,
            silent: None,
        }
    }
}

impl Body for Requested {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            let patience = self.patience;
            let silent = self
                .silent
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
            std::task::ready!(silent.as_mut().poll(cx));
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        };
        self.silent = None;
        if frame.is_none() || self.body.is_end_stream() {
            self.turn = None;
        }
        Poll::Ready(frame.map(|it| it.map_err(io::Error::other)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Requested {
    fn drop(&mut self) {
        if self.turn.is_some() {
            self.turns.leave_rest();
        }
    }
}

/// How long a request whose length is known may stop coming: what a mobile network takes to come
/// back, and what proxies wait for at least.
const SILENCE: Duration = Duration::from_secs(30);
