//! One kept link to one endpoint: dialled on demand, dialled again when it is lost.

use std::fmt;
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use dreammesh_core::call::{Begun, Deadline, Endpoint, Identity, Peer, Status};
use dreammesh_core::layer::{ConnectFailure, ConnectionCounts, ConnectionEnd};
use dreammesh_core::negotiate::VerdictCache;
use dreammesh_core::port::{Connection, ConnectionAsk, ConnectionSource, Ended, OpenTicket};
use dreammesh_session::Closed;
use dreammesh_session::frame::CloseCode;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::backoff::Backoff;
use super::client::{self, Client};
use super::lanes::Lanes;
use super::{Dialled, Place, Settings};
use crate::driver::shared::Shared;
use crate::driver::{Driver, OnHello, timer};
use crate::link::BoxLink;
use crate::quic::dial::Connected;
use crate::waiting::Waiting;
use early::Early;

mod early;
mod path;

/// The source of a channel with one endpoint.
///
/// Dropping it lets the calls that run finish, then closes the link.
pub(super) struct KeptLink(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    place: Place,
    settings: Settings,
    state: Mutex<State>,
    /// Somebody needs a connection, or nobody ever will again.
    asked: Notify,
    /// A call with a deadline began to wait.
    entered: Notify,
    /// A connection was made, maybe not by the medium that suits.
    detoured: Notify,
    /// A connection was made or has ended, its server said hello, or the channel is gone.
    changed: Notify,
    counts: Arc<ConnectionCounts>,
}

struct State {
    current: Option<Current>,
    /// The connection whose handshake is under way, for calls that may travel before it is done.
    early: Option<Early>,
    waiting: Waiting,
    backoff: Backoff,
    /// Why the endpoint is left alone, and until when.
    failure: Option<(Status, Instant)>,
    wanted: bool,
    /// The present connection asks for a successor while it goes on.
    retiring: bool,
    /// The channel is gone.
    gone: bool,
}

/// The connection that new calls get.
struct Current {
    client: Arc<Client>,
    /// The lanes beside it, on a medium that has some.
    lanes: Option<Arc<Lanes>>,
}

/// What watches the path of a connection, to be ended with its lane 0.
type Watching = Arc<OnceLock<AbortHandle>>;

/// A connection, or its lane 0, that is to be driven.
struct Running {
    driver: Driver,
    shared: Arc<Shared>,
    connected: Option<Connected>,
    medium: usize,
    watch: Watching,
    /// Whether it was begun before its handshake was done.
    is_early: bool,
}

impl KeptLink {
    /// Makes the source; its task runs on the current runtime.
    pub(super) fn new(endpoint: Endpoint, place: Place, settings: Settings) -> Self {
        let state = State {
            current: None,
            early: None,
            waiting: Waiting::default(),
            backoff: Backoff::default(),
            failure: None,
            wanted: false,
            retiring: false,
            gone: false,
        };
        let counts = ConnectionCounts::new(endpoint.clone(), place.media());
        let counts = Arc::new(counts);
        let inner = Arc::new(Inner {
            endpoint,
            place,
            settings,
            state: Mutex::new(state),
            asked: Notify::new(),
            entered: Notify::new(),
            detoured: Notify::new(),
            changed: Notify::new(),
            counts,
        });
        tokio::spawn(keep(Arc::clone(&inner)));
        Self(inner)
    }
}

impl KeptLink {
    /// Waits until there is a connection on which the server has said hello: before that it may
    /// still refuse this client, since its word on a client's certificate follows the handshake.
    ///
    /// # Errors
    /// Why the first attempt failed.
    pub(super) async fn ready(&self) -> Result<(), Status> {
        let mut gone = 0;
        while gone < REDIALS_MAX {
            let mut changed = pin!(self.0.changed.notified());
            changed.as_mut().enable();
            self.has_link().await?;
            let greeted = {
                let state = self.0.lock();
                let current = state.current.as_ref();
                current.map(|current| current.client.0.was_connected())
            };
            match greeted {
                Some(true) => return Ok(()),
                Some(false) => changed.await,
                None => gone += 1,
            }
        }
        let endpoint = &self.0.endpoint;
        let text = format!("{endpoint} cannot be reached: it ends every connection at once");
        Err(Status::unavailable(text))
    }

    /// Waits until there is a link.
    async fn has_link(&self) -> Result<(), Status> {
        let mut waiting = Waits {
            link: self,
            ticket: OpenTicket::NONE,
        };
        poll_fn(|cx| {
            let Waits { link, ticket } = &mut waiting;
            let wants = Wants {
                deadline: None,
                wait_for_ready: false,
                early: false,
            };
            link.0.poll_ready(cx, wants, ticket, |_| None)
        })
        .await
        .map(drop)
        .map_err(|ended| ended.status)
    }
}

/// A place in the queue that is given up when the future is dropped.
struct Waits<'a> {
    link: &'a KeptLink,
    ticket: OpenTicket,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if self.ticket != OpenTicket::NONE {
            self.link.abandon(self.ticket);
        }
    }
}

impl Drop for KeptLink {
    fn drop(&mut self) {
        let over = {
            let mut state = self.0.lock();
            state.gone = true;
            (state.current.take(), state.early.take())
        };
        drop(over);
        self.0.asked.notify_one();
        self.0.changed.notify_waiters();
    }
}

impl ConnectionSource for KeptLink {
    fn poll_connection(
        &self,
        cx: &mut Context<'_>,
        ask: ConnectionAsk<'_>,
    ) -> Poll<Result<Arc<dyn Connection>, Ended>> {
        let wants = Wants {
            deadline: ask.deadline,
            wait_for_ready: ask.wait_for_ready,
            early: ask.early,
        };
        let is_bulk = Lanes::is_bulk(&ask);
        let lane = |lanes: &Lanes| is_bulk.then(|| lanes.choose()).flatten();
        self.0.poll_ready(cx, wants, ask.ticket, lane)
    }

    fn connections(&self) -> Vec<Arc<ConnectionCounts>> {
        vec![Arc::clone(&self.0.counts)]
    }

    fn repeated(&self) {
        self.0.counts.repeated();
    }

    fn abandon(&self, mut ticket: OpenTicket) {
        let next = self.0.lock().waiting.leave(&mut ticket);
        next.into_iter().for_each(Waker::wake);
    }
}

/// What a call wants of a connection.
#[derive(Clone, Copy)]
struct Wants {
    deadline: Option<Deadline>,
    /// To wait rather than to fail while the endpoint cannot be reached.
    wait_for_ready: bool,
    /// To go before the handshake is done.
    early: bool,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_ready(
        &self,
        cx: &Context<'_>,
        wants: Wants,
        ticket: &mut OpenTicket,
        lane: impl FnOnce(&Lanes) -> Option<Arc<Client>>,
    ) -> Poll<Result<Arc<dyn Connection>, Ended>> {
        let mut state = self.lock();
        let current = state.current.as_ref();
        if let Some(current) = current.filter(|current| current.client.is_open()) {
            let mut client = Arc::clone(&current.client);
            let lanes = current.lanes.clone();
            let next = state.waiting.leave(ticket);
            drop(state);
            next.into_iter().for_each(Waker::wake);
            if let Some(lanes) = lanes {
                client = lane(&lanes).unwrap_or(client);
            }
            return Poll::Ready(Ok(client));
        }
        self.poll_missing(state, cx, wants, ticket)
    }

    /// The case without a connection: fail fast, or wait and see to it that one is made.
    #[cold]
    fn poll_missing(
        &self,
        mut state: MutexGuard<'_, State>,
        cx: &Context<'_>,
        wants: Wants,
        ticket: &mut OpenTicket,
    ) -> Poll<Result<Arc<dyn Connection>, Ended>> {
        let Wants { deadline, .. } = wants;
        let now = timer::now();
        let expired = deadline.is_some_and(|deadline| deadline.is_past(now));
        let failure = state.failure.as_ref().filter(|(_, until)| *until > now);
        let failed = failure
            .filter(|_| !wants.wait_for_ready)
            .map(|(status, _)| status.clone());
        if expired || failed.is_some() {
            let next = state.waiting.leave(ticket);
            drop(state);
            next.into_iter().for_each(Waker::wake);
            return Poll::Ready(Err(match failed {
                Some(status) => Ended::by_library(status, Begun::No),
                None => Ended::deadline_exceeded(Begun::No),
            }));
        }
        let early = state.early.as_ref().filter(|_| wants.early);
        if let Some(client) = early.and_then(Early::client) {
            let next = state.waiting.leave(ticket);
            drop(state);
            next.into_iter().for_each(Waker::wake);
            return Poll::Ready(Ok(client));
        }
        let former = state.waiting.enter(ticket, cx.waker(), deadline);
        state.wanted = true;
        // What is closed goes now, so that its last calls alone decide how long it lives.
        let closed = state.current.take();
        drop(state);
        drop((former, closed));
        self.asked.notify_one();
        if deadline.is_some() {
            self.entered.notify_one();
        }
        Poll::Pending
    }

    /// Dials once, after the pause that the last failure asked for, and puts the connection in
    /// place or notes the failure.
    async fn attempt(self: &Arc<Self>) {
        let pause = self.lock().failure.as_ref().map(|(_, until)| *until);
        if let Some(until) = pause {
            tokio::time::sleep_until(until.into()).await;
        }
        let limit = self.settings.connect_timeout;
        let offer = self.offer();
        let dialled = match tokio::time::timeout(limit, self.place.dial(&offer)).await {
            Ok(Ok(dialled)) => Ok(dialled),
            Ok(Err(error)) => Err((ConnectFailure::Dial, error.to_string())),
            Err(_) => {
                let reason = format!("no answer within {limit:?}");
                Err((ConnectFailure::Timeout, reason))
            }
        };
        match dialled {
            Ok(dialled) => self.begin(dialled),
            Err((why, reason)) => {
                self.counts.failed(why);
                let early = self.lock().early.take();
                if let Some(early) = early {
                    early.let_go();
                }
                self.fail(&reason);
            }
        }
    }

    /// Takes a connection out of its place if it is still there.
    fn take_current(&self, shared: &Arc<Shared>) -> Option<Current> {
        self.lock()
            .current
            .take_if(|it| Arc::ptr_eq(&it.client.0, shared))
    }

    fn begin(self: &Arc<Self>, dialled: Dialled) {
        let former = self.lock().early.take();
        match dialled {
            Dialled::Link(link) => self.begin_on(link, None),
            Dialled::Quic(Some(lane), connected) => self.begin_on(lane, Some(connected)),
            Dialled::Quic(None, connected) => {
                match former.filter(|early| early.is_on(&connected)) {
                    Some(early) => self.adopt(early),
                    None => self.fail("the connection was lost when it was made"),
                }
                return;
            }
        }
        // What travelled early by another way may still be answered.
        if let Some(early) = former {
            early.let_go();
        }
    }

    fn begin_on(self: &Arc<Self>, mut link: BoxLink, connected: Option<Connected>) {
        let retirement = link.retirement();
        let siblings = connected.as_ref().map(|_| VerdictCache::new());
        let identity = match &connected {
            Some(connected) => Some(connected.identity().clone()),
            None => link.identity(),
        };
        let peer = self.peer(identity.as_ref());
        let settings = &self.settings;
        let (client, driver) = client::begin(settings, peer.clone(), link, siblings.as_ref());
        let medium = self.place.medium(connected.is_some());
        let shared = Arc::clone(&client.0);
        let lanes = connected.clone().zip(siblings);
        let lanes = lanes
            .map(|(connected, siblings)| Lanes::new(connected, peer, settings, siblings))
            .map(Arc::new);
        let is_alone = self.lock().current.is_none();
        let driver = driver.on_hello(self.greeting(medium, is_alone));
        if !self.put_in_place(Current { client, lanes }) {
            return;
        }
        if let Some(retirement) = retirement {
            let (inner, client) = (Arc::clone(self), Arc::downgrade(&shared));
            let earliest = timer::now() + SUCCESSOR_AFTER;
            tokio::spawn(async move {
                if retirement.await {
                    tokio::time::sleep_until(earliest.into()).await;
                    inner.retire(&client);
                }
            });
        }
        let watch = Watching::default();
        if let Some(connected) = connected.clone() {
            self.watch_path(connected, &shared, &watch);
        }
        let run = Running {
            driver,
            shared,
            connected,
            medium,
            watch,
            is_early: false,
        };
        tokio::spawn(Arc::clone(self).drive(run));
    }

    /// What follows the server's hello on a new connection; `is_alone` where no other was left.
    fn greeting(self: &Arc<Self>, medium: usize, is_alone: bool) -> OnHello {
        let inner = Arc::clone(self);
        Box::new(move || {
            inner.counts.opened(medium, is_alone);
            inner.changed.notify_waiters();
        })
    }

    /// Gives new calls a connection; false if the channel is gone.
    fn put_in_place(&self, current: Current) -> bool {
        let mut wakers = Vec::new();
        let former = {
            let mut state = self.lock();
            if state.gone {
                return false;
            }
            state.failure = None;
            state.wanted = false;
            state.retiring = false;
            state.waiting.wake_all(&mut wakers);
            state.current.replace(current)
        };
        // What was succeeded ends with its last call.
        drop(former);
        self.detoured.notify_one();
        self.changed.notify_waiters();
        wakers.into_iter().for_each(Waker::wake);
        true
    }

    fn watch_path(
        self: &Arc<Self>,
        connected: Connected,
        shared: &Arc<Shared>,
        watching: &Watching,
    ) {
        let watch = tokio::spawn(Arc::clone(self).watch(connected, Arc::clone(shared)));
        let _ = watching.set(watch.abort_handle());
    }

    /// Drives a connection, or its lane 0, to its end.
    async fn drive(self: Arc<Self>, run: Running) {
        let Running {
            mut driver,
            shared,
            connected,
            medium,
            watch,
            is_early,
        } = run;
        let closed = driver.run_session().await;
        watch.get().inspect(|watch| watch.abort());
        // What comes next does not wait until the peer has taken the last words.
        let early = self.lock().early.take_if(|early| early.is_of(&shared));
        let was_made = !is_early || watch.get().is_some();
        let is_early = early.is_some() || !was_made;
        drop(early);
        self.ended(&shared, medium, closed.as_ref(), is_early);
        driver.part(closed.as_ref()).await;
        drop(driver);
        if let (Some(connected), Some(closed)) = (connected, &closed) {
            connected.lane_ended(closed, true);
        }
    }

    fn peer(&self, identity: Option<&Identity>) -> Peer {
        let peer = Peer::new(self.endpoint.clone());
        match identity {
            Some(identity) => peer.with_identity(identity.clone()),
            None => peer,
        }
    }

    /// Has a successor made for a connection, which goes on until that is there.
    fn retire(&self, retired: &Weak<Shared>) {
        {
            let mut state = self.lock();
            let current = state.current.as_ref().filter(|it| it.client.is_open());
            if current.is_none_or(|it| retired.as_ptr() != Arc::as_ptr(&it.client.0)) {
                return;
            }
            state.retiring = true;
        }
        tracing::debug!(endpoint = %self.endpoint, "a connection is to be succeeded");
        self.asked.notify_one();
    }

    /// Whether to dial now.
    fn wants_link(&self) -> bool {
        let state = self.lock();
        match state.current.as_ref().filter(|it| it.client.is_open()) {
            Some(_) => state.retiring,
            None => state.wanted,
        }
    }

    /// A connection is over.
    fn ended(&self, shared: &Arc<Shared>, medium: usize, closed: Option<&Closed>, is_early: bool) {
        let why = closed.map_or(ConnectionEnd::Link, end_of);
        // A server may say hello and then that it does not speak with this client.
        let by_peer = closed.is_some_and(|closed| closed.by_peer);
        let refused = by_peer && why == ConnectionEnd::Protocol;
        let reason = closed.map_or("", |closed| &closed.reason);
        match shared.was_connected() {
            true => self.counts.ended(medium, why),
            // Whoever dials says what became of a connection that was not made yet.
            false if is_early => {}
            false => self.counts.failed(ConnectFailure::Hello),
        }
        if is_early {
            return;
        }
        let over = self.take_current(shared);
        let succeeded = over.is_none() && self.lock().current.is_some();
        // Its lanes end with their last calls.
        drop(over);
        if succeeded || shared.was_connected() && !refused {
            tracing::debug!(endpoint = %self.endpoint, reason, "the connection is over");
            self.lock().backoff.succeed();
        } else {
            // Something accepted the link and did not speak the protocol, or refused it.
            self.fail(reason);
        }
        self.changed.notify_waiters();
    }

    fn fail(&self, reason: &str) {
        let random = RandomState::new().hash_one(0_u8) as u32;
        let mut wakers = Vec::new();
        let mut state = self.lock();
        let pause = state.backoff.fail(random);
        let until = timer::now() + pause;
        let status = Status::unavailable(format!("{} cannot be reached: {reason}", self.endpoint));
        state.failure = Some((status, until));
        // Those that do not want to wait longer fail now; those that do ask again.
        state.wanted = false;
        state.waiting.wake_all(&mut wakers);
        drop(state);
        let pause_ms = pause.as_millis();
        tracing::debug!(endpoint = %self.endpoint, reason, pause_ms, "no connection");
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Wakes the calls whose deadlines pass while they wait.
    async fn expire(&self) -> std::convert::Infallible {
        loop {
            let next = self.lock().waiting.next_deadline();
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.entered.notified() => {}
                () = due => {
                    let mut wakers = Vec::new();
                    self.lock().waiting.wake_expired(timer::now(), &mut wakers);
                    wakers.into_iter().for_each(Waker::wake);
                }
            }
        }
    }
}

/// The task of a kept link: dials when asked, until the channel is gone.
async fn keep(inner: Arc<Inner>) {
    let work = async {
        loop {
            inner.asked.notified().await;
            if inner.lock().gone {
                return;
            }
            if inner.wants_link() {
                inner.attempt().await;
                // Nobody asks again for a successor that could not be made.
                if inner.wants_link() {
                    inner.asked.notify_one();
                }
            }
        }
    };
    tokio::select! {
        () = work => {}
        never = inner.expire() => match never {},
        never = inner.revise() => match never {},
    }
}

impl fmt::Debug for KeptLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptLink")
            .field("endpoint", &self.0.endpoint)
            .finish_non_exhaustive()
    }
}

/// What the end of a session is to those who count.
fn end_of(closed: &Closed) -> ConnectionEnd {
    match closed.code {
        CloseCode::DONE => ConnectionEnd::Done,
        CloseCode::KEEPALIVE => ConnectionEnd::Silent,
        CloseCode::SHUTDOWN => ConnectionEnd::Shutdown,
        CloseCode::LINK => ConnectionEnd::Link,
        _ => ConnectionEnd::Protocol,
    }
}

/// How many connections in a row may have ended before anybody looked at them.
const REDIALS_MAX: u32 = 8;

/// How old a connection is at least before it is succeeded: a proxy that asks for a successor of
/// each connection at once, as some do that are overloaded, must not be dialled without end.
const SUCCESSOR_AFTER: Duration = Duration::from_secs(1);
