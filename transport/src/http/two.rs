//! An HTTP/2 connection: which requests it brings, and what becomes of them.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dreammesh_core::call::{Endpoint, Process};
use dreammesh_session::Closed;
use h2::server::{Connection, SendResponse};
use h2::{Ping, PingPong, Reason, RecvStream};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response};
use tokio::task::JoinSet;

use super::answer::{NOT_FOUND, NOT_GRPC, Route, TUNNEL_TYPE, route};
use super::bell::Bell;
use super::life::{Due, End, Life, Load};
use super::rest::swallow;
use super::watch::{Eye, Watched};
use super::windows::Windows;
use super::{limits, preface};
use crate::driver::timer::{self, Timer};
use crate::grpc::server::Calls;
use crate::link::BoxLink;
use crate::link::tunnel::Tunnel;
use crate::listen::carrier::Carrier;
use crate::listen::serving::{Serving, SessionKind, named, peer_of};
use crate::web::asked::{Asked, Head};

/// Serves HTTP/2 on a link, some first bytes of which may have been read already, until it is over.
///
/// The peer has until `due` to complete the preface and its SETTINGS. Whatever identity the link's
/// own peer has is that of whoever ended the TLS, which may be a proxy: a session in a tunnel
/// has none of it.
pub(crate) async fn serve(
    serving: Arc<Serving>,
    carrier: Arc<Carrier>,
    link: BoxLink,
    first: &[u8],
    due: Instant,
) {
    // In a box, so that what the beginning takes is not kept for as long as the connection.
    let Some(mut two) = Box::pin(begun(serving, &carrier, link, first, due)).await else {
        return;
    };
    let end = two.run(&carrier).await;
    tracing::debug!(peer = two.outer.peer, ?end, "an HTTP/2 connection is over");
    // A peer that does not read cannot be told.
    let _ = tokio::time::timeout(LINGER, two.end(end)).await;
}

/// A connection that has begun, unless it did not in time.
async fn begun(
    serving: Arc<Serving>,
    carrier: &Carrier,
    link: BoxLink,
    first: &[u8],
    due: Instant,
) -> Option<Box<Two>> {
    let outer = Outer {
        peer: link.peer(),
        process: link.process(),
        is_plaintext: link.is_plaintext(),
    };
    // Who ends the TLS is who calls, as gRPC has it.
    let calls = serving.calls(carrier, peer_of(&*link));
    let peer = &outer.peer;
    let beginning = begin(link, first, serving.calls_max());
    let begun = tokio::select! {
        biased;
        begun = tokio::time::timeout_at(due.into(), beginning) => begun,
        () = carrier.hurried() => return None,
    };
    match begun {
        Ok(Ok((connection, eye))) => {
            return Some(Box::new(Two::new(serving, connection, eye, outer, calls)));
        }
        Ok(Err(error)) => {
            tracing::debug!(peer, %error, "a connection did not begin as HTTP/2 does");
        }
        Err(_) => {
            tracing::debug!(peer, "a connection did not begin as HTTP/2 does in time");
        }
    }
    None
}

async fn begin(
    mut link: BoxLink,
    first: &[u8],
    calls_max: u32,
) -> io::Result<(Connection<Watched, Bytes>, Arc<Eye>)> {
    let begun = preface::read(&mut link, first).await?;
    let (link, eye) = Watched::new(link, begun);
    let connection = limits::server(calls_max).handshake(link).await;
    Ok((connection.map_err(io::Error::other)?, eye))
}

/// What is known of the link below.
#[derive(Debug)]
struct Outer {
    peer: String,
    process: Option<Process>,
    is_plaintext: bool,
}

/// One connection, the calls on it and the sessions in its tunnels.
struct Two {
    serving: Arc<Serving>,
    connection: Connection<Watched, Bytes>,
    eye: Arc<Eye>,
    ping: Option<PingPong>,
    /// The calls; none if they may come over sessions alone.
    calls: Option<Calls>,
    /// The sessions; they end with the connection.
    tunnels: JoinSet<Option<Closed>>,
    outer: Outer,
    life: Life,
    windows: Windows,
    timer: Timer,
}

impl Two {
    fn new(
        serving: Arc<Serving>,
        mut connection: Connection<Watched, Bytes>,
        eye: Arc<Eye>,
        outer: Outer,
        calls: Option<Calls>,
    ) -> Self {
        let (patience, keepalive) = (serving.hello_timeout(), serving.keepalive());
        Self {
            ping: connection.ping_pong(),
            serving,
            connection,
            eye,
            calls,
            tunnels: JoinSet::new(),
            outer,
            life: Life::new(timer::now(), patience, keepalive),
            windows: Windows::new(),
            timer: Timer::new(),
        }
    }

    async fn run(&mut self, carrier: &Carrier) -> End {
        let mut draining = pin!(carrier.draining());
        let mut closed = pin!(carrier.closed());
        let (mut drains, mut closes) = (false, false);
        let bell = Bell::new();
        let mut work = |cx: &mut Context<'_>| {
            if !drains && draining.as_mut().poll(cx).is_ready() {
                drains = true;
                self.drain();
            }
            if !closes && closed.as_mut().poll(cx).is_ready() {
                closes = true;
                self.life.close();
                if let Some(calls) = &mut self.calls {
                    calls.close();
                }
            }
            self.poll(cx, carrier)
        };
        poll_fn(|cx| bell.poll(cx, &mut work)).await
    }

    /// Takes no more requests; those that run go on.
    fn drain(&mut self) {
        self.connection.graceful_shutdown();
        self.life.drain(timer::now());
    }

    fn poll(&mut self, cx: &mut Context<'_>, carrier: &Carrier) -> Poll<End> {
        loop {
            match self.connection.poll_accept(cx) {
                // What has been sent meanwhile may have made room for calls that wait.
                Poll::Pending if self.calls.as_mut().is_some_and(Calls::resume) => {}
                Poll::Pending => break,
                Poll::Ready(None) => return Poll::Ready(End::Closed),
                Poll::Ready(Some(Ok((request, respond)))) => {
                    let now = timer::now();
                    self.life.handle_request(now);
                    self.accept(request, respond, carrier, now);
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(peer = self.outer.peer, %error, "an HTTP/2 connection failed");
                    return Poll::Ready(End::Closed);
                }
            }
        }
        if let Poll::Ready(Err(error)) = self.eye.poll_flush(cx) {
            tracing::debug!(peer = self.outer.peer, %error, "an HTTP/2 connection failed");
            return Poll::Ready(End::Closed);
        }
        while let Poll::Ready(Some(_)) = self.tunnels.poll_join_next(cx) {}
        self.poll_time(cx)
    }

    fn accept(
        &mut self,
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        carrier: &Carrier,
        now: Instant,
    ) {
        let (method, path) = (request.method(), request.uri().path());
        let grpc = self.calls.as_ref().is_some_and(Calls::speak_grpc);
        let route = route(method, path, request.headers(), grpc);
        let result = match (route, &mut self.calls) {
            (Route::Tunnel, _) => self.begin_tunnel(request.into_body(), respond, carrier),
            (Route::Grpc, Some(calls)) => {
                calls.accept(request, respond, None, now);
                Ok(())
            }
            (Route::Answer(it), Some(calls)) if it == NOT_FOUND => {
                match calls.asked(Head::of(&request)) {
                    Some(Asked::Call(dialect)) => {
                        calls.accept(request, respond, Some(dialect), now);
                        Ok(())
                    }
                    Some(Asked::Answer(it)) => answer(it, request, respond),
                    None if is_call(&request, calls) => answer(NOT_GRPC.whole(), request, respond),
                    None => answer(it.whole(), request, respond),
                }
            }
            (Route::Answer(it), _) => answer(it.whole(), request, respond),
            (Route::Grpc, None) => answer(NOT_FOUND.whole(), request, respond),
        };
        if let Err(error) = result {
            tracing::debug!(peer = self.outer.peer, %error, "a request was given up");
        }
    }

    fn begin_tunnel(
        &mut self,
        receive: RecvStream,
        mut respond: SendResponse<Bytes>,
        carrier: &Carrier,
    ) -> Result<(), h2::Error> {
        // A tunnel may cost what a connection of its own may, so it takes a place like one.
        let Some(place) = self.serving.place() else {
            respond.send_reset(Reason::REFUSED_STREAM);
            return Ok(());
        };
        let mut head = Response::new(());
        let session = HeaderValue::from_static(TUNNEL_TYPE);
        head.headers_mut().insert(CONTENT_TYPE, session);
        // The head goes at once, and the session begins at once with its own first bytes: some
        // proxies hold the head back until something follows it.
        let send = respond.send_response(head, false)?;
        let Outer {
            peer,
            process,
            is_plaintext,
        } = &self.outer;
        let link = Tunnel::accepted(send, receive, peer.clone(), *is_plaintext);
        let peer = named(Endpoint::new(peer.clone()), *process);
        let due = timer::now() + self.serving.hello_timeout();
        let session =
            self.serving
                .session(carrier, Box::new(link), peer, SessionKind::Main, &[], due);
        self.tunnels.spawn(async move {
            let closed = session.await;
            drop(place);
            closed
        });
        Ok(())
    }

    /// Does what is due and arms the timer for what is next.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let (now, load) = (timer::now(), self.load(cx));
            self.timer.is_due(now);
            let waiting = self.calls.as_mut();
            let waiting = waiting.and_then(|calls| calls.poll_waiting(now, cx));
            let look = self.eye.look();
            self.measure(cx, now, look.received_bytes);
            match self.life.poll(now, look, load) {
                Due::End(end) => return Poll::Ready(end),
                Due::Drain => {
                    self.drain();
                    // What h2 is to send of it goes out in its next poll, which nothing else asks for.
                    cx.waker().wake_by_ref();
                }
                Due::Ping => {
                    self.eye.shrink();
                    if let Some(ping) = &mut self.ping {
                        // Another can be sent only when the last one's answer has been taken. If
                        // there was none, that one serves as well.
                        let _ = ping.poll_pong(cx);
                        let _ = ping.send_ping(Ping::opaque());
                    }
                }
                Due::At(next) => {
                    let next = waiting.map_or(next, |waiting| next.min(waiting));
                    if !self.timer.arm(Some(next), cx) {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Finds how fast the peer sends, and opens the windows as far as that takes.
    fn measure(&mut self, cx: &mut Context<'_>, now: Instant, received_bytes: u64) {
        let Some(ping) = &mut self.ping else { return };
        if self.windows.is_asked() && ping.poll_pong(cx).is_ready() {
            let widths = self.windows.handle_pong(now, received_bytes);
            // While the peer has not acknowledged the last ones, there can be no other settings.
            let opened = widths.filter(|widths| {
                let stream_bytes = widths.stream_bytes;
                self.connection
                    .set_initial_window_size(stream_bytes)
                    .is_ok()
            });
            if let Some(widths) = opened {
                self.connection
                    .set_target_window_size(widths.connection_bytes);
                self.windows.handle_opened(widths);
                cx.waker().wake_by_ref();
            }
        }
        if self.windows.wants_ping(received_bytes) && ping.send_ping(Ping::opaque()).is_ok() {
            self.windows.handle_ping(now, received_bytes);
        }
    }

    /// What goes on: a session, a call, or the sending of an answer.
    fn load(&self, cx: &Context<'_>) -> Load {
        let calls = self.calls.as_ref();
        let runs = calls.is_some_and(|calls| calls.is_busy(cx.waker()));
        match () {
            () if runs || !self.tunnels.is_empty() => Load::Running,
            () if self.connection.has_streams() => Load::Unread,
            () => Load::Nothing,
        }
    }

    /// Tells the peer why it is over, where it has not been told.
    async fn end(&mut self, end: End) {
        let reason = match end {
            End::Closed | End::Silent => return,
            End::Flooded | End::Unread => Reason::ENHANCE_YOUR_CALM,
            End::Drained => Reason::NO_ERROR,
        };
        self.connection.abrupt_shutdown(reason);
        let _ = poll_fn(|cx| {
            let closed = self.connection.poll_closed(cx);
            let _ = self.eye.poll_flush(cx);
            closed
        })
        .await;
    }
}

/// Whether a request would be a call if its content type were that of one.
fn is_call(request: &Request<RecvStream>, calls: &Calls) -> bool {
    calls.speak_grpc() && request.method() == Method::POST && calls.knows(request.uri().path())
}

/// Sends an answer that needs nothing but itself, and has what comes of the request forgotten.
fn answer(
    answer: Response<&'static str>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let (head, text) = answer.into_parts();
    let is_head_only = text.is_empty() || request.method() == Method::HEAD;
    let mut body = respond.send_response(Response::from_parts(head, ()), is_head_only)?;
    if !is_head_only {
        body.send_data(Bytes::from_static(text.as_bytes()), true)?;
    }
    if !request.body().is_end_stream() {
        swallow(request.into_body());
    }
    Ok(())
}

/// How long the last words may take: a few round trips.
const LINGER: Duration = Duration::from_secs(1);
