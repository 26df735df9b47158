//! A link with what was read from it put back, which is watched while an answer is due.
//!
//! `hyper` does not read while it holds bytes that are behind the request it answers, or that
//! nobody takes of its body, and so would never see that the peer is gone. Then a little is read
//! ahead of it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::turns::Turns;
use crate::driver::timer;
use crate::link::BoxLink;

/// The link as `hyper` has it, and who watches it.
#[derive(Clone, Debug)]
pub(super) struct Rewound(Arc<Mutex<Ahead>>);

#[derive(Debug)]
struct Ahead {
    /// What has been read and not been asked for.
    bytes: BytesMut,
    link: BoxLink,
    turns: Arc<Turns>,
    /// `hyper` found in this round that there is no more, and so is woken and sees what comes.
    awaited: bool,
    /// Since when a write makes no progress: a peer that does not read its answers would hold the
    /// connection for ever, since `hyper` has no such bound.
    stuck: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Rewound {
    pub(super) fn new(first: &[u8], link: BoxLink, turns: Arc<Turns>) -> Self {
        Self(Arc::new(Mutex::new(Ahead {
            bytes: BytesMut::from(first),
            link,
            turns,
            awaited: false,
            stuck: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Ahead> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a round, in which `hyper` does what it can.
    pub(super) fn begin_round(&self) {
        self.lock().awaited = false;
    }

    /// Sees whether the peer is gone, after `hyper` has done what it could.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let mut ahead = self.lock();
        if ahead.awaited || !ahead.turns.is_busy() {
            return Poll::Pending;
        }
        ahead.poll_more(cx)
    }
}

impl Ahead {
    /// Reads on until nothing is there, or the peer is gone, or it is too much.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let mut chunk = [0; CHUNK_BYTES];
        while self.bytes.len() <= AHEAD_BYTES {
            let room = CHUNK_BYTES.min(AHEAD_BYTES + 1 - self.bytes.len());
            let mut buffer = ReadBuf::new(&mut chunk[..room]);
            if let Err(error) = ready!(Pin::new(&mut self.link).poll_read(cx, &mut buffer)) {
                return Poll::Ready(error);
            }
            if buffer.filled().is_empty() {
                return Poll::Ready(io::ErrorKind::UnexpectedEof.into());
            }
            self.bytes.extend_from_slice(buffer.filled());
        }
        self.turns.set_full(true, timer::now());
        Poll::Pending
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.bytes.is_empty() {
            let read = Pin::new(&mut self.link).poll_read(cx, buffer);
            self.awaited = read.is_pending();
            ready!(read)?;
        } else {
            let count = self.bytes.len().min(buffer.remaining());
            buffer.put_slice(&self.bytes[..count]);
            self.bytes.advance(count);
            if self.bytes.is_empty() {
                self.bytes = BytesMut::new();
            }
            self.turns.set_full(false, timer::now());
        }
        if buffer.filled().len() > before {
            self.turns.handle_data(timer::now());
        }
        Poll::Ready(Ok(()))
    }

    fn bounded<T>(
        &mut self,
        cx: &mut Context<'_>,
        progress: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.stuck = None;
            return progress;
        }
        let patience = self.turns.patience();
        let (since, sleep) = self.stuck.get_or_insert_with(|| {
            let sleep = Box::pin(tokio::time::sleep(patience));
            (timer::now(), sleep)
        });
        let due = (*since + patience).into();
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Rewound {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.lock().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut ahead = self.lock();
        let progress = Pin::new(&mut ahead.link).poll_write(cx, bytes);
        ahead.bounded(cx, progress)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut ahead = self.lock();
        let progress = Pin::new(&mut ahead.link).poll_write_vectored(cx, parts);
        ahead.bounded(cx, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().link.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut ahead = self.lock();
        let progress = Pin::new(&mut ahead.link).poll_flush(cx);
        if progress.is_ready() {
            ahead.turns.handle_flushed();
        }
        ahead.bounded(cx, progress)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut ahead = self.lock();
        let progress = Pin::new(&mut ahead.link).poll_shutdown(cx);
        ahead.bounded(cx, progress)
    }
}

/// What may come behind a request before its answer does, or of its body before that is read: as
/// much as a head may have.
const AHEAD_BYTES: usize = super::HEAD_BYTES;
const CHUNK_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::turns::{Due, End, PAUSE};
    use super::*;
    use crate::link::memory;

    /// Lets so much come while a call runs whose request has come whole or not.
    async fn due(bytes: usize, whole: bool) -> Due {
        let (mut peer, link) = memory::pair();
        let turns = Turns::new(timer::now(), PAUSE);
        let rewound = Rewound::new(b"", Box::new(link), Arc::clone(&turns));
        let _answer = turns.answer();
        let _request = (!whole).then(|| turns.request());
        peer.write_all(&vec![b'\n'; bytes]).await.unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        rewound.begin_round();
        assert!(rewound.poll_gone(&mut cx).is_pending());
        turns.due(timer::now())
    }

    #[tokio::test(start_paused = true)]
    async fn so_much_may_come_behind_a_request() {
        let now = timer::now();
        assert_eq!(due(AHEAD_BYTES, true).await, Due::At(now + PAUSE));
        assert_eq!(due(AHEAD_BYTES + 1, true).await, Due::End(End::Flooded));
        // Of its body, what is read of it later is not too much.
        assert_eq!(due(AHEAD_BYTES + 1, false).await, Due::At(now + PAUSE));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_is_seen_behind_what_nobody_reads() {
        for bytes in [0, 1, AHEAD_BYTES] {
            let (mut peer, link) = memory::pair();
            let turns = Turns::new(timer::now(), PAUSE);
            let rewound = Rewound::new(b"", Box::new(link), Arc::clone(&turns));
            let mut cx = Context::from_waker(Waker::noop());
            peer.write_all(&vec![b'\n'; bytes]).await.unwrap();
            drop(peer);
            rewound.begin_round();
            // Between requests it is for `hyper` to read.
            assert!(rewound.poll_gone(&mut cx).is_pending());
            let _answer = turns.answer();
            assert!(rewound.poll_gone(&mut cx).is_ready(), "{bytes}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_nothing_is_given_up_after_so_long() {
        const PATIENCE: Duration = Duration::from_secs(5);
        for (is_call, patience) in [(false, PATIENCE), (true, PAUSE)] {
            let (mut peer, link) = memory::pair();
            let turns = Turns::new(timer::now(), PATIENCE);
            let mut rewound = Rewound::new(b"", Box::new(link), Arc::clone(&turns));
            let _answer = turns.answer();
            if is_call {
                turns.answer_call();
            }
            let endless = async {
                loop {
                    if let Err(error) = rewound.write_all(&[0; 1 << 16]).await {
                        break error.kind();
                    }
                }
            };
            let reading = async {
                // What is read just in time begins it anew.
                tokio::time::sleep(patience - Duration::from_millis(1)).await;
                peer.read_exact(&mut [0; 1 << 16]).await.unwrap();
                std::future::pending::<()>().await;
            };
            let since = timer::now();
            let kind = tokio::select! {
                kind = endless => kind,
                () = reading => unreachable!("it waits without end"),
            };
            let took = timer::now() - since;
            assert_eq!(kind, io::ErrorKind::TimedOut);
            assert_eq!(took, 2 * patience - Duration::from_millis(1), "{is_call}");
        }
    }
}
