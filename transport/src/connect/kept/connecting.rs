//! Making the connections of a kept link, driving them, and noting how they end.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use dreammesh_core::call::{Identity, Peer, Status};
use dreammesh_core::layer::{ConnectFailure, ConnectionEnd};
use dreammesh_core::negotiate::VerdictCache;
use dreammesh_session::Closed;
use dreammesh_session::frame::CloseCode;
use tokio::sync::oneshot;

use super::super::Dialled;
use super::super::client::{self, Client};
use super::super::lanes::{Lanes, count_drained};
use super::members::Member;
use super::tending::random;
use super::{Inner, Watching};
use crate::driver::shared::Shared;
use crate::driver::standing::Pool;
use crate::driver::{Driver, OnHello, timer};
use crate::link::{BoxLink, Retirement};
use crate::quic::dial::Connected;

/// A connection, or its lane 0, that is to be driven.
pub(super) struct Running {
    pub(super) driver: Driver,
    pub(super) shared: Arc<Shared>,
    pub(super) connected: Option<Connected>,
    pub(super) medium: usize,
    pub(super) watch: Watching,
    pub(super) role: Role,
    /// Whether it was begun before its handshake was done.
    pub(super) is_early: bool,
}

/// What a connection is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// To be the one that calls get, where there is none.
    Next,
    /// To be that in place of one that is to go or that fell silent, once the server has said hello
    /// here.
    Successor,
    /// To be that in place of all others, because it is by a better medium, once the server has
    /// said hello here.
    Instead,
    /// To be one more, because the others are full.
    Another,
}

impl Inner {
    /// Dials once, after the pause that the last failure asked for, and puts the connection in
    /// place or notes the failure.
    pub(super) async fn attempt(self: &Arc<Self>) {
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
            Ok(dialled) => {
                let is_wary = self.is_wary.load(Ordering::Relaxed);
                let role = match self.lock().members.is_live() || is_wary {
                    true => Role::Successor,
                    false => Role::Next,
                };
                let greeting = self.begin(dialled, role);
                // One that is made is not asked for again; whoever drives it notes its failure.
                if let Some(greeting) = greeting.filter(|_| role == Role::Successor) {
                    let _ = greeting.await;
                }
            }
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
    pub(super) fn take(&self, shared: &Shared) -> Option<Member> {
        self.lock().members.take(|it| it.is_on(shared)).pop()
    }

    /// Begins on what was dialled to be the connection that calls get; what it gives is as
    /// [`begin_on`](Self::begin_on) has it.
    pub(super) fn begin(
        self: &Arc<Self>,
        dialled: Dialled,
        role: Role,
    ) -> Option<oneshot::Receiver<()>> {
        let former = self.lock().early.take();
        let greeting = match dialled {
            Dialled::Link(link) => Some(self.begin_on(link, None, role)),
            Dialled::Grpc(opened) => {
                self.begin_grpc(*opened);
                None
            }
            Dialled::Quic(Some(lane), connected) => {
                Some(self.begin_on(lane, Some(connected), role))
            }
            Dialled::Quic(None, connected) => {
                match former.filter(|early| early.is_on(&connected)) {
                    Some(early) => self.adopt(early, connected),
                    None => self.fail("the connection was lost when it was made"),
                }
                return None;
            }
        };
        // What travelled early by another way may still be answered.
        if let Some(early) = former {
            early.let_go();
        }
        greeting
    }

    /// Begins a connection; what it gives is ready when the server has said hello and calls get
    /// it, and fails when it has ended before.
    pub(super) fn begin_on(
        self: &Arc<Self>,
        mut link: BoxLink,
        connected: Option<Connected>,
        role: Role,
    ) -> oneshot::Receiver<()> {
        let retirement = link.retirement();
        let siblings = connected.as_ref().map(|_| VerdictCache::new());
        let identity = match &connected {
            Some(connected) => connected.identity().cloned(),
            None => link.identity(),
        };
        let peer = self.peer(identity.as_ref());
        let settings = &self.settings;
        let begun = client::begin(settings, peer.clone(), link, siblings.as_ref(), self.pool());
        let (client, driver) = begun;
        let medium = self.place.medium(connected.is_some());
        let shared = Arc::clone(&client.0);
        let lanes = connected.clone().zip(siblings);
        let lanes = lanes
            .map(|(connected, siblings)| {
                Lanes::new(connected, peer, settings, siblings, &self.counts)
            })
            .map(Arc::new);
        let member = self.member(client, lanes);
        let (greeted, greeting) = oneshot::channel();
        let driver = match role {
            Role::Another | Role::Successor | Role::Instead => {
                let inner = Arc::clone(self);
                driver.on_hello(Box::new(move || {
                    let is_alone = inner.lock().members.is_empty();
                    inner.counts.opened(medium, is_alone);
                    if inner.put_in_place(member, role) {
                        let _ = greeted.send(());
                    }
                }))
            }
            Role::Next => {
                let is_alone = self.lock().members.is_empty();
                let driver = driver.on_hello(self.greeting(medium, is_alone));
                if !self.put_in_place(member, role) {
                    return greeting;
                }
                driver
            }
        };
        let driver = driver.on_silent(self.on_silent(&shared, connected.as_ref()));
        if let Some(retirement) = retirement {
            self.await_retirement(retirement, &shared);
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
            role,
            is_early: false,
        };
        tokio::spawn(Arc::clone(self).drive(run));
        greeting
    }

    /// Has a link succeeded when it asks for that.
    fn await_retirement(self: &Arc<Self>, retirement: Retirement, shared: &Arc<Shared>) {
        let (inner, shared) = (Arc::clone(self), Arc::downgrade(shared));
        let earliest = timer::now() + SUCCESSOR_AFTER;
        tokio::spawn(async move {
            if retirement.await {
                tokio::time::sleep_until(earliest.into()).await;
                inner.retire(&shared);
            }
        });
    }

    /// A connection as it is given to calls.
    pub(super) fn member(&self, client: Arc<Client>, lanes: Option<Arc<Lanes>>) -> Member {
        let now = timer::now();
        Member::new(client, lanes, now, self.retire_at(now))
    }

    /// Where calls wait that find a connection full; nowhere else if there is to be one alone.
    pub(super) fn pool(self: &Arc<Self>) -> Option<Weak<dyn Pool>> {
        let inner: Weak<Self> = Arc::downgrade(self);
        (self.settings.connections_max > 1).then_some(inner as Weak<dyn Pool>)
    }

    /// What follows the server's hello on a new connection; `is_alone` where no other was left.
    pub(super) fn greeting(self: &Arc<Self>, medium: usize, is_alone: bool) -> OnHello {
        let inner = Arc::clone(self);
        Box::new(move || {
            inner.counts.opened(medium, is_alone);
            inner.changed.notify_waiters();
        })
    }

    /// Gives new calls a connection; false if the channel is gone, or has no use for it.
    pub(super) fn put_in_place(&self, member: Member, role: Role) -> bool {
        let mut wakers = Vec::new();
        let former = {
            let mut state = self.lock();
            let has_use = match role {
                Role::Next | Role::Instead => true,
                // Another may have been put in place meanwhile, by a better medium.
                Role::Successor => !state.members.is_live() || state.members.is_retiring(),
                Role::Another => self.may_grow(&state),
            };
            if state.gone || !has_use {
                return false;
            }
            state.failure = None;
            state.wanted = false;
            self.is_wary.store(false, Ordering::Relaxed);
            state.waiting.wake_all(&mut wakers);
            let mut former = match role {
                Role::Instead => state.members.take(|_| true),
                Role::Next | Role::Successor | Role::Another => Vec::new(),
            };
            former.extend(state.members.put(member, self.settings.connections_max));
            (former, state.grpc.take())
        };
        // What was succeeded ends with its last call.
        drop(former);
        self.detoured.notify_one();
        self.placed.notify_one();
        self.changed.notify_waiters();
        wakers.into_iter().for_each(Waker::wake);
        true
    }

    pub(super) fn watch_path(
        self: &Arc<Self>,
        connected: Connected,
        shared: &Arc<Shared>,
        watching: &Watching,
    ) {
        let watch = tokio::spawn(Arc::clone(self).watch(connected, Arc::clone(shared)));
        let _ = watching.set(watch.abort_handle());
    }

    /// Drives a connection, or its lane 0, to its end.
    pub(super) async fn drive(self: Arc<Self>, run: Running) {
        let Running {
            mut driver,
            shared,
            connected,
            medium,
            watch,
            role,
            is_early,
        } = run;
        let begun = timer::now();
        let closed = driver.run_session().await;
        watch.get().inspect(|watch| watch.abort());
        // What comes next does not wait until the peer has taken the last words.
        let early = self.lock().early.take_if(|early| early.is_of(&shared));
        let was_made = !is_early || watch.get().is_some();
        let is_early = early.is_some() || !was_made;
        drop(early);
        if role == Role::Another && shared.was_connected() {
            let lived = timer::now().saturating_duration_since(begun);
            self.lock().growth.ended(lived, random());
        }
        self.ended(&shared, medium, closed.as_ref(), is_early, role);
        driver.part(closed.as_ref()).await;
        drop(driver);
        if let (Some(connected), Some(closed)) = (connected, &closed) {
            connected.lane_ended(closed, true);
        }
    }

    pub(super) fn peer(&self, identity: Option<&Identity>) -> Peer {
        let peer = Peer::new(self.endpoint.clone());
        match identity {
            Some(identity) => peer.with_identity(identity.clone()),
            None => peer,
        }
    }

    /// Has a successor made for a connection, which goes on until that is there.
    pub(super) fn retire(&self, retired: &Weak<Shared>) {
        let Some(shared) = retired.upgrade() else {
            return;
        };
        let mut over = Vec::new();
        let is_wanted = self.lock().members.retire(&shared, &mut over);
        // Where calls wait, another connection may take the place of one that went.
        if !over.is_empty() {
            self.crowded.notify_one();
        }
        drop(over);
        if is_wanted {
            tracing::debug!(endpoint = %self.endpoint, "a connection is to be succeeded");
            self.asked.notify_one();
        }
    }

    /// A connection is over.
    pub(super) fn ended(
        &self,
        shared: &Arc<Shared>,
        medium: usize,
        closed: Option<&Closed>,
        is_early: bool,
        role: Role,
    ) {
        let why = closed.map_or(ConnectionEnd::Link, end_of);
        closed.inspect(|closed| count_drained(&self.counts, closed));
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
        // Its lanes end with their last calls.
        drop(self.take(shared));
        let has_others = self.lock().members.is_live();
        // One beside others that was never in use is no reason to give the endpoint up.
        let was_spare = role == Role::Another && !shared.was_connected();
        // One that is to be succeeded goes on, and the next attempt is made after a pause.
        let has_no_successor = role == Role::Successor && !shared.was_connected();
        if was_spare {
            tracing::debug!(endpoint = %self.endpoint, reason, "another connection is refused");
        } else if has_others && !has_no_successor || shared.was_connected() && !refused {
            tracing::debug!(endpoint = %self.endpoint, reason, "the connection is over");
            self.lock().backoff.succeed();
        } else {
            // Something accepted the link and did not speak the protocol, or refused it.
            self.fail(reason);
        }
        self.changed.notify_waiters();
    }

    pub(super) fn fail(&self, reason: &str) {
        let mut wakers = Vec::new();
        let mut state = self.lock();
        let pause = state.backoff.fail(random());
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

/// How old a connection is at least before it is succeeded: a proxy that asks for a successor of
/// each connection at once, as some do that are overloaded, must not be dialled without end.
pub(super) const SUCCESSOR_AFTER: Duration = Duration::from_secs(1);
