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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::poll_fn;

    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use hyper_util::rt::TokioIo;
    use tokio::io::AsyncWriteExt as _;
    use tokio::sync::mpsc;

    use super::*;
    use crate::driver::timer;

    /// Serves one request, and says how reading its body ended.
    async fn serve(link: tokio::io::DuplexStream, ended: mpsc::UnboundedSender<io::ErrorKind>) {
        let turns = Turns::new(timer::now(), PAUSE);
        let service = service_fn(|request: Request<Incoming>| {
            let mut body = Requested::new(request.into_body(), &turns);
            let ended = &ended;
            async move {
                while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                    if let Err(error) = frame {
                        let _ = ended.send(error.kind());
                        break;
                    }
                }
                Ok::<_, Infallible>(Response::new(String::new()))
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(link), service);
        // What it ends with is that the body was not read.
        let _ = connection.await;
    }

    /// Sends one byte of a body after another, each just in time, and says how the wait for the last
    /// ended, and when.
    async fn silence(framing: &str, chunk: &str, patience: Duration) -> (io::ErrorKind, Duration) {
        let (mut peer, link) = tokio::io::duplex(1 << 12);
        let (end, mut ended) = mpsc::unbounded_channel();
        let serving = tokio::spawn(serve(link, end));
        let head = format!("POST / HTTP/1.1\r\nhost: one\r\n{framing}\r\n\r\n");
        peer.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..3 {
            tokio::time::sleep(patience - Duration::from_millis(1)).await;
            peer.write_all(chunk.as_bytes()).await.unwrap();
        }
        let since = timer::now();
        let kind = ended.recv().await.unwrap();
        let silence = timer::now() - since;
        drop(peer);
        serving.await.unwrap();
        (kind, silence)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_of_known_length_may_stop_for_half_a_minute() {
        let ended = silence("content-length: 4", "x", SILENCE).await;
        assert_eq!(ended, (io::ErrorKind::TimedOut, SILENCE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_may_be_a_stream_may_stop_for_minutes() {
        let ended = silence("transfer-encoding: chunked", "1\r\nx\r\n", PAUSE).await;
        assert_eq!(ended, (io::ErrorKind::TimedOut, PAUSE));
    }
}
