//! One kept link to one endpoint: dialled on demand, dialled again when it is lost.
//!
//! - `members`: the connections that there are, one as a rule; `tending`: when more are opened, and
//!   when they go.
//! - `connecting`: making them, and noting how they end; `early`: calls before a handshake is done.
//! - `grpc`: the connection to a server of plain gRPC.
//! - `path`: leaving a medium that does not work, and coming back to it; `silence`: leaving a server
//!   that does not answer.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use dreammesh_core::balance::Load;
use dreammesh_core::call::{Begun, Deadline, Endpoint, Status};
use dreammesh_core::layer::ConnectionCounts;
use dreammesh_core::port::{Connection, ConnectionAsk, ConnectionSource, Ended, OpenTicket};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::backoff::Backoff;
use super::client::Client;
use super::lanes::Lanes;
use super::{Place, Settings};
use crate::driver::timer;
use crate::grpc::client::Client as GrpcClient;
use crate::waiting::{self, Waiting};
use early::Early;
use members::Members;
use tending::Growth;

mod connecting;
mod early;
mod grpc;
mod members;
mod path;
mod silence;
mod tending;
#[cfg(test)]
mod tests;

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
    /// A connection was made that has to be looked after.
    placed: Notify,
    /// A call began to wait because every connection is full.
    crowded: Notify,
    /// A connection was made or has ended, its server said hello, or the channel is gone.
    changed: Notify,
    counts: Arc<ConnectionCounts>,
    /// How often a server of plain gRPC has said that it is asked for signs of life too often.
    pinged_too_often: AtomicU32,
    /// Whether there is another endpoint for its calls.
    has_others: AtomicBool,
    /// Whether the server fell silent and has not said hello since.
    is_wary: AtomicBool,
}

struct State {
    members: Members,
    /// The connection to a server of plain gRPC, in place of those.
    grpc: Option<Arc<GrpcClient>>,
    /// The connection whose handshake is under way, for calls that may travel before it is done.
    early: Option<Early>,
    /// Calls that wait for a connection, or for room on one.
    waiting: Waiting,
    backoff: Backoff,
    growth: Growth,
    /// Why the endpoint is left alone, and until when.
    failure: Option<(Status, Instant)>,
    wanted: bool,
    /// The channel is gone.
    gone: bool,
}

/// What watches the path of a connection, to be ended with its lane 0.
type Watching = Arc<OnceLock<AbortHandle>>;

impl KeptLink {
    /// Makes the source; its task runs on the current runtime.
    pub(super) fn new(endpoint: Endpoint, place: Place, settings: Settings) -> Self {
        let state = State {
            members: Members::default(),
            grpc: None,
            early: None,
            waiting: Waiting::default(),
            backoff: Backoff::default(),
            growth: Growth::default(),
            failure: None,
            wanted: false,
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
            placed: Notify::new(),
            crowded: Notify::new(),
            changed: Notify::new(),
            counts,
            pinged_too_often: AtomicU32::new(0),
            has_others: AtomicBool::new(false),
            is_wary: AtomicBool::new(false),
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
                let greeted = state.members.iter();
                let greeted = greeted.map(|member| member.client.0.was_connected());
                let grpc = state.grpc.iter().map(|client| client.was_greeted());
                greeted.chain(grpc).max()
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

    /// Whether there is a connection that takes calls.
    pub(super) fn is_connected(&self) -> bool {
        let state = self.0.lock();
        let grpc = state.grpc.as_ref();
        state.members.open().is_some() || grpc.is_some_and(|client| client.is_open())
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
            let members = state.members.take(|_| true);
            (members, state.grpc.take(), state.early.take())
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

    fn repeated(&self, _: Option<&Arc<Load>>) {
        self.0.counts.repeated();
    }

    fn abandon(&self, mut ticket: OpenTicket) {
        let next = self.0.lock().waiting.abandon(&mut ticket);
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
        if let Some(current) = state.members.open() {
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
        if let Some(client) = state.grpc.as_ref().filter(|client| client.is_open()) {
            let client = Arc::clone(client);
            return ready(state, ticket, client);
        }
        self.poll_other(state, cx, wants, ticket, lane)
    }

    /// The case without a connection that any call may have: they are full, or there is none.
    #[cold]
    fn poll_other<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        cx: &Context<'_>,
        wants: Wants,
        ticket: &mut OpenTicket,
        lane: impl FnOnce(&Lanes) -> Option<Arc<Client>>,
    ) -> Poll<Result<Arc<dyn Connection>, Ended>> {
        if let Some(lanes) = state.members.lanes() {
            drop(state);
            let lane = lane(&lanes);
            state = self.lock();
            if let Some(client) = lane {
                return ready(state, ticket, client);
            }
            // One that was put in place meanwhile has woken those that waited already.
            if let Some(client) = state.grpc.as_ref().filter(|client| client.is_open()) {
                let client = Arc::clone(client);
                return ready(state, ticket, client);
            }
        }
        // What is closed goes now, so that its last calls alone decide how long it lives.
        let closed = (
            state.members.take_closed(),
            state.grpc.take_if(|client| !client.is_open()),
        );
        let polled = match state.members.is_live() {
            true => self.poll_room(state, cx, wants, ticket),
            false => self.poll_missing(state, cx, wants, ticket),
        };
        drop(closed);
        polled
    }

    /// The case where calls wait for room: whoever has their turn looks for some.
    fn poll_room(
        &self,
        mut state: MutexGuard<'_, State>,
        cx: &Context<'_>,
        wants: Wants,
        ticket: &mut OpenTicket,
    ) -> Poll<Result<Arc<dyn Connection>, Ended>> {
        let deadline = wants.deadline;
        if deadline.is_some_and(|deadline| deadline.is_past(timer::now())) {
            let next = state.waiting.leave(ticket);
            drop(state);
            next.into_iter().for_each(Waker::wake);
            return Poll::Ready(Err(Ended::deadline_exceeded(Begun::No)));
        }
        let has_turn = !state.waiting.goes_before(*ticket);
        if let Some(member) = has_turn.then(|| state.members.choose()).flatten() {
            let client = Arc::clone(&member.client);
            if client.0.standing.is_open() {
                return ready(state, ticket, client);
            }
            // Who finds more room there than its own says so when it is opened. Of room elsewhere
            // nobody may have been told but this one, which was woken already.
            if state.members.has_room_beside() {
                return ready(state, ticket, client);
            }
            state.waiting.leave_full(ticket);
            return Poll::Ready(Ok(client));
        }
        let former = state.waiting.enter(ticket, cx.waker(), deadline);
        let may_grow = self.may_grow(&state);
        drop(state);
        drop(former);
        if may_grow {
            self.crowded.notify_one();
        }
        if deadline.is_some() {
            self.entered.notify_one();
        }
        Poll::Pending
    }

    /// The case without a connection: fail fast, or wait and see to it that one is made.
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
            return ready(state, ticket, client);
        }
        let former = state.waiting.enter(ticket, cx.waker(), deadline);
        state.wanted = true;
        drop(state);
        drop(former);
        self.asked.notify_one();
        if deadline.is_some() {
            self.entered.notify_one();
        }
        Poll::Pending
    }

    /// Whether to dial now.
    fn wants_link(&self) -> bool {
        let state = self.lock();
        match state.members.is_live() {
            true => state.members.is_retiring(),
            false => state.wanted && !state.grpc.as_ref().is_some_and(|it| it.is_open()),
        }
    }

    /// Wakes the calls whose deadlines pass while they wait.
    async fn expire(&self) -> Infallible {
        let wake_expired = |now, wakers: &mut _| self.lock().waiting.wake_expired(now, wakers);
        waiting::expire(
            &self.entered,
            || self.lock().waiting.next_deadline(),
            wake_expired,
        )
        .await
    }
}

/// Gives a call its connection, and the next one its turn.
fn ready(
    mut state: MutexGuard<'_, State>,
    ticket: &mut OpenTicket,
    client: Arc<dyn Connection>,
) -> Poll<Result<Arc<dyn Connection>, Ended>> {
    let next = state.waiting.leave(ticket);
    drop(state);
    next.into_iter().for_each(Waker::wake);
    Poll::Ready(Ok(client))
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
        never = inner.tend() => match never {},
        never = inner.grow() => match never {},
    }
}

impl fmt::Debug for KeptLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptLink")
            .field("endpoint", &self.0.endpoint)
            .finish_non_exhaustive()
    }
}

/// How many connections in a row may have ended before anybody looked at them.
const REDIALS_MAX: u32 = 8;
