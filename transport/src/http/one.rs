//! An HTTP/1 connection: calls from browsers and tools of HTTP, and a proper answer to all else.
//!
//! - `transfer`: a request and its answer, which may last.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::answer::{NOT_FOUND, answer_one};
use crate::driver::timer;
use crate::grpc::server::handling::Handling;
use crate::link::BoxLink;
use crate::listen::carrier::Carrier;
use crate::listen::serving::{Serving, peer_of};
use crate::web::asked::{Asked, Head, asked};
use crate::web::calls as web;
use transfer::Answering;

mod transfer;

/// Serves HTTP/1 on a link whose first bytes may have been read already.
pub(crate) async fn serve(
    serving: Arc<Serving>,
    carrier: Arc<Carrier>,
    link: BoxLink,
    first: &[u8],
) {
    let handling = serving.handling(&carrier, peer_of(&*link));
    let io = TokioIo::new(Rewound {
        first: first.to_vec(),
        link,
        patience: serving.hello_timeout(),
        stuck: None,
    });
    let idle = format!("timeout={}", serving.hello_timeout().as_secs());
    let idle = HeaderValue::try_from(idle).unwrap_or(HeaderValue::from_static("timeout=1"));
    let answer = service_fn(|request| {
        let answering = answered(&handling, serving.web(), request);
        let idle = idle.clone();
        async move {
            let mut answer = answering.await?;
            // Clients that heed it do not send on a connection that is being closed for having been
            // idle, which they could not tell from a call that broke off.
            answer.headers_mut().insert(KEEP_ALIVE, idle);
            Ok::<_, io::Error>(answer)
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            // It bounds a silent connection too, between requests.
            .header_read_timeout(serving.hello_timeout())
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEADERS)
            .serve_connection(io, answer)
    );
    let mut draining = pin!(carrier.draining());
    let mut drains = false;
    let ended = loop {
        tokio::select! {
            biased;
            () = &mut draining, if !drains => {
                drains = true;
                connection.as_mut().graceful_shutdown();
            }
            ended = &mut connection => break ended,
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP/1 connection is over");
    }
}

/// Begins to answer a request.
fn answered(
    handling: &Handling,
    web: Option<&web::Settings>,
    request: Request<Incoming>,
) -> Answering {
    let answer = match answer_one(request.uri().path(), request.headers()) {
        NOT_FOUND => match web.and_then(|it| asked(handling, it, Head::of(&request), false)) {
            Some(Asked::Call(dialect)) => {
                let (parts, body) = request.into_parts();
                let (transfer, answering) = transfer::pair(body);
                let settings = web.expect("it was asked of them what becomes of the request");
                web::begin(handling, settings, dialect, &parts, transfer, timer::now());
                return answering;
            }
            Some(Asked::Answer(answer)) => answer,
            None => NOT_FOUND.whole(),
        },
        answer => answer.whole(),
    };
    // Whoever sends a request to its end before it reads the answer is not cut off.
    transfer::swallow(request.into_body());
    Answering::of(answer)
}

/// A link with what was read from it put back.
#[derive(Debug)]
struct Rewound {
    first: Vec<u8>,
    link: BoxLink,
    /// How long a write may make no progress: a peer that does not read its answers would hold the
    /// connection for ever, since hyper has no such bound.
    patience: Duration,
    /// Since a write made no progress.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl Rewound {
    fn bounded<T>(
        &mut self,
        cx: &mut Context<'_>,
        progress: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.stuck = None;
            return progress;
        }
        let patience = self.patience;
        let stuck = || Box::pin(tokio::time::sleep(patience));
        ready!(self.stuck.get_or_insert_with(stuck).as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.link).poll_read(cx, buffer);
        }
        let count = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first[..count]);
        self.first.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.link).poll_write(cx, bytes);
        self.bounded(cx, progress)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.link).poll_write_vectored(cx, parts);
        self.bounded(cx, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.link.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.link).poll_flush(cx);
        self.bounded(cx, progress)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.link).poll_shutdown(cx);
        self.bounded(cx, progress)
    }
}

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// As much as HTTP/2's header list; a longer head is answered with 431.
const HEAD_BYTES: usize = 16 * 1024;
/// What browsers and proxies send is a third of it.
const HEADERS: usize = 64;
