//! An HTTP/1 connection: calls from browsers and tools of HTTP, and a proper answer to all else.
//!
//! - `transfer`: a request and its answer, which may last.
//! - `requested`, `answered`: their bodies, as far as they say that something goes on.
//! - `turns`: what goes on, and how long it may take.
//! - `rewound`: the link, and whether the peer is still there.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::CONNECTION;
use http::{HeaderName, HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::answer::{NOT_FOUND, answer_one};
use super::life::IDLE;
use crate::driver::timer::{self, Timer};
use crate::grpc::server::handling::Handling;
use crate::link::BoxLink;
use crate::listen::carrier::Carrier;
use crate::listen::serving::{Serving, peer_of};
use crate::web::asked::{Asked, Head, asked};
use crate::web::calls as web;
use answered::Answered;
use requested::Requested;
use rewound::Rewound;
use transfer::Answering;
use turns::{Due, Turns};

mod answered;
mod requested;
mod rewound;
mod transfer;
mod turns;

/// Serves HTTP/1 on a link whose first bytes have been read already.
pub(crate) async fn serve(
    serving: Arc<Serving>,
    carrier: Arc<Carrier>,
    link: BoxLink,
    first: &[u8],
) {
    let handling = serving.handling(&carrier, peer_of(&*link));
    let turns = Turns::new(timer::now(), serving.hello_timeout());
    let link = Rewound::new(first, link, Arc::clone(&turns));
    let answer = service_fn(|request: Request<Incoming>| {
        let turn = turns.answer();
        let request = request.map(|body| Requested::new(body, &turns));
        let answering = answered(&handling, serving.web(), &turns, request);
        async {
            let mut answer = answering.await?;
            // Clients that heed them do not send on a connection that is being closed, which they
            // could not tell from a call that broke off.
            let (name, value) = match turns.drains() {
                true => (CONNECTION, HeaderValue::from_static("close")),
                false => (KEEP_ALIVE, HeaderValue::from_static(IDLE_TIMEOUT)),
            };
            answer.headers_mut().insert(name, value);
            Ok::<_, io::Error>(answer.map(|body| Answered::new(body, turn)))
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            // It would bound a silent connection too, between requests.
            .header_read_timeout(None)
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEADERS)
            .serve_connection(TokioIo::new(link.clone()), answer)
    );
    let mut ending = pin!(ending(&carrier, &turns));
    let mut ends = false;
    let mut timer = Timer::new();
    let work = |cx: &mut Context<'_>| {
        ends = ends || ending.as_mut().poll(cx).is_ready();
        loop {
            link.begin_round();
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended.map_err(io::Error::other));
            }
            if let Poll::Ready(error) = link.poll_gone(cx) {
                return Poll::Ready(Err(error));
            }
            let now = timer::now();
            timer.is_due(now);
            match turns.due(now) {
                Due::End(end) => return Poll::Ready(Err(io::Error::other(format!("{end:?}")))),
                Due::Shut => connection.as_mut().graceful_shutdown(),
                Due::At(next) if timer.arm(Some(next), cx) => {}
                Due::At(_) => return Poll::Pending,
            }
        }
    };
    if let Err(error) = poll_fn(work).await {
        tracing::debug!(%error, "an HTTP/1 connection is over");
    }
}

/// Has the connection end with its server.
async fn ending(carrier: &Carrier, turns: &Turns) {
    carrier.draining().await;
    turns.drain(timer::now());
    carrier.closed().await;
    turns.close(timer::now());
}

/// Begins to answer a request.
fn answered(
    handling: &Handling,
    web: Option<&web::Settings>,
    turns: &Turns,
    request: Request<Requested>,
) -> Answering {
    let answer = match answer_one(request.uri().path(), request.headers()) {
        NOT_FOUND => match web.and_then(|it| asked(handling, it, Head::of(&request), false)) {
            Some(Asked::Call(dialect)) => {
                turns.answer_call();
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

/// As much as HTTP/2's header list; a longer head is answered with 431.
const HEAD_BYTES: usize = 16 * 1024;
/// What browsers and proxies send is a third of it.
const HEADERS: usize = 64;
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// `IDLE`, as a client is told it.
const IDLE_TIMEOUT: &str = "timeout=300";
const _: () = assert!(IDLE.as_secs() == 300);
