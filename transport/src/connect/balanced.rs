//! The source of a channel whose calls go to several endpoints.
//!
//! What there is to choose from is a [`Set`], which is replaced as a whole when the resolver says
//! something new. Each endpoint has a link of its own, dialled when a call is first given to it. A
//! call whose endpoint has no connection at the moment asks a few others, and waits for whichever
//! is ready first; so a dead endpoint costs nobody the time that it takes to find that out.
//!
//! - `set`: the endpoints, and how one set follows on another.
//! - `waits`: the calls that wait.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use dreammesh_core::balance::{Load, Policy, Random};
use dreammesh_core::call::{Begun, Status};
use dreammesh_core::layer::ConnectionCounts;
use dreammesh_core::port::{
    Balanced as Given, Connection, ConnectionAsk, ConnectionSource, Ended, OpenTicket,
};
use dreammesh_core::resolve::{Knowledge, ResolvedEndpoint, Resolver};
use dreammesh_session::Keepalive;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

use super::Connector;
use crate::driver::timer;
use crate::waiting;
use set::{Member, Set};
use waits::Waits;

mod set;
mod waits;

/// The source of a channel whose calls are balanced.
///
/// Dropping it lets the calls that run finish, then closes the links.
pub(super) struct Balanced {
    inner: Arc<Inner>,
    /// How old it is what the resolver says, if that can grow old.
    knowledge: Option<Arc<Knowledge>>,
    /// Follows what the resolver says.
    following: AbortHandle,
}

struct Inner {
    /// What the user asked for.
    target: Box<str>,
    policy: Policy,
    /// None until the resolver has said something.
    set: ArcSwapOption<Set>,
    waits: Mutex<Waits>,
    /// Why there is no endpoint, where the resolver has said more of that.
    why_none: Mutex<Option<String>>,
    /// A call with a deadline began to wait.
    entered: Notify,
    /// There is a new set.
    changed: Notify,
}

/// What became of asking an endpoint.
type Asked = Poll<Result<Arc<dyn Connection>, Ended>>;

impl Balanced {
    /// Makes the source; its task runs on the current runtime.
    pub(super) fn new(
        target: &str,
        connector: Connector,
        policy: Policy,
        resolver: Box<dyn Resolver>,
    ) -> Self {
        let knowledge = resolver.knowledge();
        let inner = Arc::new(Inner {
            target: target.into(),
            policy,
            set: ArcSwapOption::empty(),
            waits: Mutex::default(),
            why_none: Mutex::default(),
            entered: Notify::new(),
            changed: Notify::new(),
        });
        // A call need not wait for one endpoint while there are others.
        let connector = connector.probing(PROBE);
        let following = tokio::spawn(follow(Arc::clone(&inner), connector, resolver));
        Self {
            inner,
            knowledge,
            following: following.abort_handle(),
        }
    }

    /// Waits until the target is resolved and one of its endpoints has said hello.
    ///
    /// # Errors
    /// Why the last of a few endpoints could not be reached, or that there is none.
    pub(super) async fn ready(&self) -> Result<(), Status> {
        let set = self.inner.resolved().await;
        let mut asking = JoinSet::new();
        let mut chosen: Vec<usize> = Vec::new();
        for _ in 0..ASKED_MAX {
            let picked = with_random(|random| {
                let tried = |at| chosen.contains(&at);
                set.picker.pick_other(timer::now(), random, tried)
            });
            let Some(picked) = picked.filter(|picked| !chosen.contains(picked)) else {
                break;
            };
            chosen.push(picked);
            let member = Arc::clone(&set.members[picked]);
            asking.spawn(async move { member.link.ready().await });
        }
        let mut failure = self.inner.nobody().status;
        while let Some(asked) = asking.join_next().await {
            match asked {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(status)) => failure = status,
                Err(error) => failure = Status::internal(error.to_string()),
            }
        }
        Err(failure)
    }
}

impl Drop for Balanced {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl ConnectionSource for Balanced {
    fn poll_connection(&self, cx: &mut Context<'_>, mut ask: ConnectionAsk<'_>) -> Asked {
        let inner = &*self.inner;
        let set = inner.set.load();
        let Some(set) = &*set else {
            return inner.poll_wait(cx, &mut ask, None, Vec::new());
        };
        // One that was sent back looks for room anywhere: it is no nearer to it where it was. To
        // go before those who wait elsewhere would be unfair to them.
        let is_new = matches!(*ask.ticket, OpenTicket::NONE | OpenTicket::SENT_BACK);
        if !is_new || !ask.tried.is_empty() {
            return inner.poll_any(cx, &mut ask, set, Asking::default());
        }
        *ask.ticket = OpenTicket::NONE;
        let now = timer::now();
        let Some(picked) = with_random(|random| set.picker.pick(now, random)) else {
            return inner.poll_any(cx, &mut ask, set, Asking::default());
        };
        let (member, mut ticket) = (&set.members[picked], OpenTicket::NONE);
        let missing = match member.poll(cx, &ask, &mut ticket, false) {
            Poll::Ready(Ok(connection)) => {
                give(&mut ask, set, member, now);
                return Poll::Ready(Ok(connection));
            }
            Poll::Ready(Err(ended)) => Poll::Ready(ended),
            Poll::Pending => Poll::Pending,
        };
        let asking = Asking::after(set, picked, ticket, missing, now);
        inner.poll_any(cx, &mut ask, set, asking)
    }

    fn abandon(&self, ticket: OpenTicket) {
        self.inner.leave(ticket);
    }

    fn repeated(&self, load: Option<&Arc<Load>>) {
        let set = self.inner.set.load();
        let members = set.iter().flat_map(|set| &set.members);
        let mut members = members.filter(|it| load.is_some_and(|load| Arc::ptr_eq(&it.load, load)));
        // One that is gone is counted no more.
        if let Some(member) = members.next() {
            member.link.repeated(load);
        }
    }

    fn knowledge(&self) -> Option<(&str, &Knowledge)> {
        let knowledge = self.knowledge.as_deref()?;
        Some((&self.inner.target, knowledge))
    }

    fn connections(&self) -> Vec<Arc<ConnectionCounts>> {
        let set = self.inner.set.load();
        let members = set.iter().flat_map(|set| &set.members);
        members
            .flat_map(|member| member.link.connections())
            .collect()
    }
}

/// How far a call has come with the endpoints.
#[derive(Default)]
struct Asking {
    /// Those that it waits for, with its places there.
    asked: Vec<(Arc<Member>, OpenTicket)>,
    /// Those that have none for it, by their places in the set.
    failed: Vec<usize>,
    failure: Option<Ended>,
}

impl Inner {
    /// Asks those that a call waits for already, and then others, until one has a connection.
    #[cold]
    fn poll_any(
        &self,
        cx: &mut Context<'_>,
        ask: &mut ConnectionAsk<'_>,
        set: &Arc<Set>,
        mut asking: Asking,
    ) -> Asked {
        let (asked, gone): (Vec<_>, Vec<_>) = self
            .leave_with(ask.ticket)
            .into_iter()
            .partition(|(member, _)| set.place_of(member).is_some());
        abandon_all(gone);
        asking.asked.extend(asked);
        let given = asking
            .poll_again(cx, ask, set)
            .or_else(|| asking.poll_others(cx, ask, set, false))
            .or_else(|| asking.poll_connected(cx, ask, set));
        let given = match given {
            // Everybody that was asked has failed: the call fails too, or has them try again.
            None if asking.asked.is_empty() && ask.wait_for_ready => {
                asking.failed.clear();
                asking.poll_others(cx, ask, set, true)
            }
            given => given,
        };
        let Asking { asked, failure, .. } = asking;
        match given {
            Some(given) => {
                abandon_all(asked);
                Poll::Ready(Ok(given))
            }
            None if asked.is_empty() && !ask.wait_for_ready => {
                Poll::Ready(Err(failure.unwrap_or_else(|| self.nobody())))
            }
            None => self.poll_wait(cx, ask, Some(set), asked),
        }
    }

    /// Has a call wait for endpoints that it has asked, and for others to come.
    fn poll_wait(
        &self,
        cx: &Context<'_>,
        ask: &mut ConnectionAsk<'_>,
        set: Option<&Arc<Set>>,
        asked: Vec<(Arc<Member>, OpenTicket)>,
    ) -> Asked {
        let deadline = ask.deadline;
        if deadline.is_some_and(|deadline| deadline.is_past(timer::now())) {
            self.leave(std::mem::take(ask.ticket));
            abandon_all(asked);
            return Poll::Ready(Err(Ended::deadline_exceeded(Begun::No)));
        }
        let former = self.lock().enter(ask.ticket, cx.waker(), deadline, asked);
        drop(former);
        // Whoever replaced the set meanwhile may not have seen this call among those that wait.
        let current = self.set.load();
        if current.as_ref().map(Arc::as_ptr) != set.map(Arc::as_ptr) {
            cx.waker().wake_by_ref();
        }
        if deadline.is_some() {
            self.entered.notify_one();
        }
        Poll::Pending
    }

    fn leave(&self, mut ticket: OpenTicket) {
        abandon_all(self.leave_with(&mut ticket));
    }

    /// Takes a call out, with the endpoints that it waits for.
    fn leave_with(&self, ticket: &mut OpenTicket) -> Vec<(Arc<Member>, OpenTicket)> {
        if *ticket == OpenTicket::NONE {
            return Vec::new();
        }
        self.lock().leave(ticket)
    }

    /// The failure of a call for which there is no endpoint.
    fn nobody(&self) -> Ended {
        let why = self.why_none.lock();
        let why = why.unwrap_or_else(PoisonError::into_inner);
        let text = match why.as_deref() {
            Some(why) => format!("{} has no endpoint: {why}", self.target),
            None => format!("{} has no endpoint at the moment", self.target),
        };
        Ended::by_library(Status::unavailable(text), Begun::No)
    }

    async fn resolved(&self) -> Arc<Set> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(set) = self.set.load_full() {
                return set;
            }
            changed.await;
        }
    }

    /// Has calls go to these endpoints from now on.
    fn resolve(&self, endpoints: Vec<ResolvedEndpoint>, connector: &Connector) -> Arc<Set> {
        let former = self.set.load_full();
        let start = with_random(Random::next_u64);
        let set = Set::new(former.as_deref(), endpoints, self.policy, connector, start);
        drop(former);
        let set = Arc::new(set);
        let former = self.set.swap(Some(Arc::clone(&set)));
        let mut wakers = Vec::new();
        self.lock().wake_all(&mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        self.changed.notify_waiters();
        drop(former);
        set
    }

    /// Remembers why there is no endpoint.
    fn explain(&self, why: Option<String>) {
        let mut known = self.why_none.lock().unwrap_or_else(PoisonError::into_inner);
        *known = why;
    }

    /// Wakes the calls whose deadlines pass while they wait.
    async fn expire(&self) -> Infallible {
        let wake_expired = |now, wakers: &mut _| self.lock().wake_expired(now, wakers);
        waiting::expire(&self.entered, || self.lock().next_deadline(), wake_expired).await
    }

    fn lock(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asking {
    /// That of a call which the first one has no connection for, or none yet.
    #[cold]
    fn after(
        set: &Set,
        place: usize,
        ticket: OpenTicket,
        missing: Poll<Ended>,
        now: Instant,
    ) -> Self {
        let mut asking = Self::default();
        asking.note(set, place, ticket, missing, now);
        asking
    }

    /// Asks one endpoint; none if it has no connection for the call, which is noted.
    fn poll_one(
        &mut self,
        cx: &mut Context<'_>,
        ask: &mut ConnectionAsk<'_>,
        set: &Set,
        place: usize,
        now: Instant,
        patiently: bool,
    ) -> Option<Arc<dyn Connection>> {
        let member = &set.members[place];
        let mut ticket = OpenTicket::NONE;
        let missing = match member.poll(cx, ask, &mut ticket, patiently) {
            Poll::Ready(Ok(connection)) => {
                give(ask, set, member, now);
                return Some(connection);
            }
            Poll::Ready(Err(ended)) => Poll::Ready(ended),
            Poll::Pending => Poll::Pending,
        };
        self.note(set, place, ticket, missing, now);
        None
    }

    /// Notes that one has no connection for the call, or none yet.
    fn note(
        &mut self,
        set: &Set,
        place: usize,
        ticket: OpenTicket,
        missing: Poll<Ended>,
        now: Instant,
    ) {
        let member = &set.members[place];
        match missing {
            Poll::Ready(ended) => {
                member.load.handle_unreachable(now);
                self.failed.push(place);
                self.failure = Some(ended);
            }
            Poll::Pending => self.asked.push((Arc::clone(member), ticket)),
        }
    }

    /// Asks those that the call waits for.
    fn poll_again(
        &mut self,
        cx: &mut Context<'_>,
        ask: &mut ConnectionAsk<'_>,
        set: &Set,
    ) -> Option<Arc<dyn Connection>> {
        let now = timer::now();
        let mut at = 0;
        while at < self.asked.len() {
            let (member, ticket) = &mut self.asked[at];
            match member.poll(cx, ask, ticket, false) {
                Poll::Pending => at += 1,
                Poll::Ready(Ok(connection)) => {
                    give(ask, set, member, now);
                    self.asked.swap_remove(at);
                    return Some(connection);
                }
                Poll::Ready(Err(ended)) => {
                    member.load.handle_unreachable(now);
                    self.failed.extend(set.place_of(member));
                    self.asked.swap_remove(at);
                    self.failure = Some(ended);
                }
            }
        }
        None
    }

    /// Asks others, until there is a connection, or enough have none.
    fn poll_others(
        &mut self,
        cx: &mut Context<'_>,
        ask: &mut ConnectionAsk<'_>,
        set: &Set,
        patiently: bool,
    ) -> Option<Arc<dyn Connection>> {
        while self.asked.len() < ASKED_MAX && self.failed.len() < FAILED_MAX {
            let now = timer::now();
            let picked = self.pick(ask.tried, set, now)?;
            let given = self.poll_one(cx, ask, set, picked, now, patiently);
            if given.is_some() {
                return given;
            }
        }
        None
    }

    /// Asks one that is known to have a connection, so that no call waits or fails beside it.
    fn poll_connected(
        &mut self,
        cx: &mut Context<'_>,
        ask: &mut ConnectionAsk<'_>,
        set: &Set,
    ) -> Option<Arc<dyn Connection>> {
        let start = with_random(Random::next_u64) as usize;
        for at in 0..set.members.len() {
            let place = (start % set.members.len() + at) % set.members.len();
            let is_it = set.takes_calls(place)
                && !self.is_asked(set, place)
                && set.members[place].link.is_connected();
            if is_it {
                let given = self.poll_one(cx, ask, set, place, timer::now(), false);
                if given.is_some() {
                    return given;
                }
            }
        }
        None
    }

    fn is_asked(&self, set: &Set, place: usize) -> bool {
        let is_it = |(member, _): &(Arc<Member>, _)| Arc::ptr_eq(member, &set.members[place]);
        self.failed.contains(&place) || self.asked.iter().any(is_it)
    }

    /// Picks one that has not been asked: if there is one, one at which the call has not failed.
    fn pick(&self, tried: &[Arc<Load>], set: &Set, now: Instant) -> Option<usize> {
        let is_asked = |at: usize| self.is_asked(set, at);
        let is_tried = |at: usize| {
            let load = &set.members[at].load;
            tried.iter().any(|tried| Arc::ptr_eq(tried, load))
        };
        let pick = |but: &dyn Fn(usize) -> bool| {
            let picked = with_random(|random| set.picker.pick_other(now, random, but));
            picked.filter(|picked| !but(*picked))
        };
        pick(&|at| is_asked(at) || is_tried(at)).or_else(|| pick(&is_asked))
    }
}

/// Says of which endpoint a connection is.
fn give(ask: &mut ConnectionAsk<'_>, set: &Set, member: &Member, now: Instant) {
    *ask.balanced = Some(Given {
        load: Arc::clone(&member.load),
        now,
        has_others: set.others > ask.tried.len(),
    });
}

fn abandon_all(asked: Vec<(Arc<Member>, OpenTicket)>) {
    for (member, ticket) in asked {
        member.link.abandon(ticket);
    }
}

/// The task of a source: takes in what the resolver says.
async fn follow(inner: Arc<Inner>, connector: Connector, mut resolver: Box<dyn Resolver>) {
    let work = async {
        let mut last = None;
        while let Some(endpoints) = poll_fn(|cx| resolver.poll_endpoints(cx)).await {
            inner.explain(resolver.why_none());
            if last.as_ref() == Some(&endpoints) {
                continue;
            }
            let set = inner.resolve(endpoints.clone(), &connector);
            for member in &set.members {
                resolver.handle_load(member.id(), &member.load);
            }
            last = Some(endpoints);
        }
        if last.is_none() {
            inner.resolve(Vec::new(), &connector);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = work => {}
        never = inner.expire() => match never {},
    }
}

/// Lends the randomness of this thread.
fn with_random<R>(draw: impl FnOnce(&mut Random) -> R) -> R {
    thread_local! {
        static RANDOM: Cell<Option<Random>> = const { Cell::new(None) };
    }
    let random = RANDOM.take();
    let mut random = random.unwrap_or_else(|| Random::seeded(RandomState::new().hash_one(0_u8)));
    let drawn = draw(&mut random);
    RANDOM.set(Some(random));
    drawn
}

impl fmt::Debug for Balanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balanced")
            .field("target", &self.inner.target)
            .field("policy", &self.inner.policy)
            .finish_non_exhaustive()
    }
}

/// How many endpoints a call waits for at a time, while none is connected: so many are dialled at
/// once for the first call of a channel.
const ASKED_MAX: usize = 4;
/// How many endpoints that cannot be reached a call asks in one go, while none is connected.
const FAILED_MAX: usize = 16;
/// When an endpoint that says nothing while calls wait for it is asked for a sign of life, and when
/// they go elsewhere: soon enough to be answered within a deadline of two seconds, and late enough
/// that a busy machine does not make them do so.
const PROBE: Keepalive = Keepalive {
    interval: Duration::from_millis(500),
    timeout: Duration::from_millis(500),
};
