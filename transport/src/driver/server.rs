//! The server's half of a driver: methods are looked up, handlers run.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use dreammesh_core::call::{Begun, Idempotency, MethodInfo, Status, WireOption};
use dreammesh_core::port::{
    HandlerFuture, Outcome, Protocol, ServerCall, ServerStream, StreamKey, StreamPort, WireMode,
};
use dreammesh_core::wire::Limits;
use dreammesh_session::Accepted;
use dreammesh_session::frame::end::EndReason;
use tokio::task::AbortHandle;

use super::route::{LONG_POLL, Pace, Route, Routes};
use super::shared::{Shared, State};
use super::timer;
use crate::link::BoxLink;

/// What a driver needs to serve calls.
#[derive(Debug)]
pub(super) struct Server {
    routes: Arc<Routes>,
    limits: Limits,
    /// The methods that the client has named, by its index for them.
    methods: Vec<Result<Arc<Route>, Status>>,
    /// Accepted calls whose handlers have not begun, and when they arrived; at most as many as run
    /// at once.
    calls: VecDeque<(StreamKey, Instant, Accepted)>,
    /// What handlers left to be sent.
    outcomes: Vec<(StreamKey, Outcome)>,
    /// Handlers that became tasks.
    tasks: Vec<(StreamKey, AbortHandle)>,
    /// The methods polled inline since the clock was read last.
    group: Vec<u32>,
    /// Whether calls may be copies that somebody else sends again.
    replayed: bool,
    /// Such calls whose handlers may have effects, until the link knows better or ends.
    held: Vec<(StreamKey, Instant, Accepted)>,
}

impl Server {
    pub(super) fn new(routes: Arc<Routes>, limits: Limits, replayed: bool) -> Self {
        Self {
            routes,
            limits,
            methods: Vec::new(),
            calls: VecDeque::new(),
            outcomes: Vec::new(),
            tasks: Vec::new(),
            group: Vec::new(),
            replayed,
            held: Vec::new(),
        }
    }

    /// Looks up a method that the client named, and answers it.
    pub(super) fn learn_method(&mut self, state: &mut State, index: u32) {
        let found = self.routes.find(state.session.method_path(index));
        let answer = super::layouts::answer(found.as_deref().ok(), self.routes.wire());
        state.session.answer_method(index, &answer);
        debug_assert_eq!(
            index as usize,
            self.methods.len(),
            "indexes are given in order"
        );
        self.methods.push(found);
    }

    /// Asks the link, after a read, whether its calls may still be copies.
    #[inline]
    pub(super) fn look_whether_replayed(&mut self, link: &BoxLink) {
        if self.replayed && !link.may_be_replayed() {
            self.replayed = false;
            self.calls.extend(self.held.drain(..));
        }
    }

    /// Takes in a call; its handler runs when the lock is given back.
    #[inline]
    pub(super) fn accept(&mut self, state: &mut State, key: StreamKey) {
        let Some(accepted) = state.session.accept(key) else {
            return;
        };
        if let Some(Ok(route)) = self.methods.get(accepted.method as usize)
            && let Some(slot) = state.session.user(key)
        {
            let method = route.method();
            slot.method = Some((method, accepted.method));
            slot.always_protobuf = method.options().wire == WireOption::Protobuf;
            if self.replayed && method.options().idempotency != Idempotency::NoSideEffects {
                self.held.push((key, state.now, accepted));
                return;
            }
        }
        self.calls.push_back((key, state.now, accepted));
    }

    /// Forgets a call that has not begun.
    pub(super) fn cancel(&mut self, key: StreamKey) {
        self.calls.retain(|(waiting, ..)| *waiting != key);
        self.held.retain(|(waiting, ..)| *waiting != key);
    }

    pub(super) fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Runs the accepted calls, until they are done or the time of a batch is used up.
    ///
    /// Returns the time it looked at last.
    pub(super) fn run(&mut self, shared: &Arc<Shared>, begin: Instant) -> Instant {
        let mut watch = Watch {
            since: begin,
            now: begin,
        };
        let mut cx = Context::from_waker(Waker::noop());
        while let Some((key, arrived, accepted)) = self.calls.pop_front() {
            let method = accepted.method;
            let route = match self.methods.get(method as usize) {
                Some(Ok(route)) => route,
                Some(Err(status)) => {
                    self.outcomes.push((key, Outcome::of(status.clone())));
                    continue;
                }
                None => continue,
            };
            // Made one at a time and just before it is used up, so that the allocator gives the
            // memory of one call to the next.
            let mut call = server_call(shared, key, accepted, route.method());
            call.arrived = Some(arrived);
            call.limits = self.limits;
            let mut future = route.handler().call(call);
            let pace = route.pace();
            let polled = match pace {
                Pace::Spawned | Pace::Tried => Poll::Pending,
                Pace::Inline => Pin::new(&mut future).poll(&mut cx),
                Pace::Measured => watch.time(route, || Pin::new(&mut future).poll(&mut cx)),
            };
            match polled {
                Poll::Ready(outcome) => self.outcomes.push((key, outcome)),
                Poll::Pending if pace == Pace::Tried => {
                    let future = timed(future, Arc::clone(route));
                    self.tasks.push((key, spawn(shared, key, future)));
                }
                Poll::Pending => self.tasks.push((key, spawn(shared, key, future))),
            }
            if pace == Pace::Inline {
                self.group.push(method);
                if self.group.len() == GROUP_CALLS {
                    self.judge_group(&mut watch);
                }
            }
            if watch.now.saturating_duration_since(begin) >= BATCH_TIME {
                break;
            }
        }
        self.judge_group(&mut watch);
        watch.now
    }

    /// How many handlers became tasks in this batch.
    pub(super) fn started_tasks(&self) -> usize {
        self.tasks.len()
    }

    /// Sends what handlers left; returns what has to be made protobuf first, outside the lock.
    pub(super) fn send(&mut self, state: &mut State, unsent: &mut Vec<(StreamKey, Outcome)>) {
        for (key, mut outcome) in self.outcomes.drain(..) {
            if let Finish::NeedsProtobuf(_) = state.finish(key, &mut outcome) {
                unsent.push((key, outcome));
            }
        }
        for (key, task) in self.tasks.drain(..) {
            match state.session.user(key) {
                Some(slot) => slot.task = Some(task),
                // Its caller gave up meanwhile, or it is done already, which makes this harmless.
                None => task.abort(),
            }
        }
    }

    /// Reads the clock once for a group of polls and suspects them all if they were long.
    fn judge_group(&mut self, watch: &mut Watch) {
        if self.group.is_empty() {
            return;
        }
        let elapsed = watch.lap();
        if elapsed >= LONG_POLL {
            let alone = self.group.len() == 1;
            for method in &self.group {
                if let Some(Ok(route)) = self.methods.get(*method as usize) {
                    if alone {
                        route.observe(elapsed)
                    } else {
                        route.suspect()
                    }
                }
            }
        }
        self.group.clear();
    }
}

/// Reads the clock between groups of polls.
struct Watch {
    /// When the group now measured began.
    since: Instant,
    /// The latest reading.
    now: Instant,
}

impl Watch {
    fn lap(&mut self) -> Duration {
        self.now = timer::now();
        let elapsed = self.now.saturating_duration_since(self.since);
        self.since = self.now;
        elapsed
    }

    /// Times one poll and leaves it out of the group's time.
    fn time<R>(&mut self, route: &Route, poll: impl FnOnce() -> R) -> R {
        let begin = timer::now();
        let result = poll();
        self.now = timer::now();
        let elapsed = self.now.saturating_duration_since(begin);
        self.since += elapsed;
        route.observe(elapsed);
        result
    }
}

/// What became of an attempt to send an outcome.
#[derive(Clone, Copy, Debug)]
pub(super) enum Finish {
    /// It was sent, or its caller is gone.
    Done,
    /// Its message has to be protobuf.
    NeedsProtobuf(&'static MethodInfo),
}

impl State {
    /// Ends a call with its outcome, unless it is gone.
    #[inline]
    pub(super) fn finish(&mut self, key: StreamKey, outcome: &mut Outcome) -> Finish {
        self.sent += 1;
        if outcome.message.is_some() {
            let Some(slot) = self.session.user(key) else {
                return Finish::Done;
            };
            let (method, always_protobuf) = (slot.method, slot.always_protobuf);
            let mode = self.session.response_mode(key);
            if let Some((method, _)) = method
                && (always_protobuf || mode == Some(WireMode::Protobuf))
            {
                return Finish::NeedsProtobuf(method);
            }
        }
        self.finish_as(key, outcome, WireMode::Archive);
        Finish::Done
    }

    /// Ends a call with its outcome, whose message is in the given form.
    #[inline]
    pub(super) fn finish_as(&mut self, key: StreamKey, outcome: &mut Outcome, mode: WireMode) {
        let Outcome {
            status,
            headers,
            message,
            compression: _,
            trailers,
        } = outcome;
        if !status.is_ok() {
            let reason = EndReason::APPLICATION;
            self.session
                .end(key, status, reason, Begun::Maybe, trailers);
            return;
        }
        match message.take() {
            Some(message) if headers.is_empty() && trailers.is_empty() => {
                self.session.answer(key, message, mode);
            }
            message => {
                let message = message.map(|message| (message, mode));
                self.session.respond(key, headers, message, trailers);
            }
        }
    }
}

/// Makes what a handler is given of what the session took in.
fn server_call(
    shared: &Arc<Shared>,
    key: StreamKey,
    accepted: Accepted,
    method: &'static MethodInfo,
) -> ServerCall {
    let mut call = ServerCall::new(method, shared.peer_ref().clone());
    call.protocol = Protocol::Session;
    call.deadline = accepted.deadline;
    call.priority = accepted.priority;
    call.attempt = accepted.attempt;
    if let Some(sections) = accepted.sections {
        call.metadata = sections.metadata;
        call.trace = sections.trace;
        call.idempotency_key = sections.idempotency_key;
    }
    call.first = accepted.message;
    // With more messages there already, the handler has to read on to find the end.
    call.half_closed = accepted.half_closed && !accepted.more;
    if !call.half_closed || method.kind().streams_responses() {
        let port: Arc<dyn StreamPort> = Arc::clone(shared) as _;
        call.stream = Some(ServerStream { port, key });
    }
    call
}

/// Tells a route how long the first poll of one of its calls took.
async fn timed(mut future: HandlerFuture, route: Arc<Route>) -> Outcome {
    let first = poll_fn(|cx| {
        let begin = timer::now();
        let polled = Pin::new(&mut future).poll(cx);
        route.observe(timer::now().saturating_duration_since(begin));
        Poll::Ready(polled)
    });
    match first.await {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => future.await,
    }
}

/// Makes a handler a task of its own, which polls it again at once.
fn spawn(
    shared: &Arc<Shared>,
    key: StreamKey,
    future: impl Future<Output = Outcome> + Send + 'static,
) -> AbortHandle {
    let shared = Arc::clone(shared);
    let task = async move {
        let outcome = future.await;
        shared.finish(key, outcome);
    };
    tokio::spawn(task).abort_handle()
}

/// So many polls share one reading of the clock, which costs as much as a tenth of a call.
const GROUP_CALLS: usize = 16;
/// After so much time in handlers their answers are sent and the task yields.
const BATCH_TIME: Duration = Duration::from_millis(1);
