//! Whether instances answer, as this agent finds by asking them.
//!
//! What it finds lies over what their sources say, in the registry: an instance that does not
//! answer shows as down until it does again.
//!
//! - `subject`: which instances are checked here, and how.
//! - `plan`: when each is checked.
//! - `verdict`: what its checks come to.
//! - `hints`: what applications report, and how little that can do.
//! - `probe`: one check.
//! - `counts`: the figures.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dreammesh_agent_api::endpoint::Here;
use dreammesh_agent_api::instance::{InstanceId, Locality};
use dreammesh_agent_api::proto;
use dreammesh_core::balance::Random;
use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};

use crate::attach::Reports;
use crate::clock;
use crate::knowledge::Knowledge;
use crate::metrics::{Figures, head, line};
use crate::registry::{Health, Update};
use crate::source::gossip::Neighbours;
use counts::{Counts, Hint};
use hints::Hints;
use plan::{Plan, Ticket};
use subject::Subject;
use verdict::{Answer, Outcome, Verdict};

mod counts;
mod hints;
mod plan;
mod probe;
mod subject;
#[cfg(test)]
mod tests;
mod verdict;

/// The checks of an agent; a clone shares them. [`Self::run`] makes them.
#[derive(Clone, Debug)]
pub struct Checks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    knowledge: Knowledge,
    here: Here,
    state: Mutex<State>,
    /// Something may be due sooner than was thought.
    bell: Notify,
    counts: Counts,
    /// Other agents, if there are any: some of them may be silent.
    neighbours: Option<Neighbours>,
}

#[derive(Debug)]
struct State {
    plan: Plan,
    hints: Hints,
    orphans: BTreeSet<InstanceId>,
    random: Random,
}

impl Checks {
    /// Checks of what an agent knows, from where it is.
    pub fn new(knowledge: &Knowledge, locality: &Locality, neighbours: Option<Neighbours>) -> Self {
        let here = Here::new(knowledge.here().host.clone(), locality.clone());
        Self(Arc::new(Shared {
            knowledge: knowledge.clone(),
            here,
            state: Mutex::new(State {
                plan: Plan::default(),
                hints: Hints::default(),
                orphans: BTreeSet::new(),
                random: Random::seeded(crate::chance::number()),
            }),
            bell: Notify::new(),
            counts: Counts::default(),
            neighbours,
        }))
    }

    /// Checks an instance as soon as there is room. It has no effect on one that is not checked
    /// by this agent.
    pub fn check_now(&self, id: &InstanceId) {
        self.state().plan.hasten(id, clock::now());
        self.0.bell.notify_one();
    }

    /// Says which instances other agents spoke for that are not heard of any more: all of them.
    ///
    /// They are checked from here, at once to begin with, for as long as they are named.
    pub fn orphans(&self, orphans: BTreeSet<InstanceId>) {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.orphans, orphans);
        let differ: Vec<_> = before
            .symmetric_difference(&state.orphans)
            .cloned()
            .collect();
        drop(state);
        for id in differ {
            self.look_at(&id);
        }
        self.0.bell.notify_one();
    }

    /// Makes the checks that are due, until it is dropped.
    pub async fn run(&self) {
        tokio::join!(self.make(), self.follow());
    }

    /// Takes over the orphans of silent agents.
    async fn follow(&self) {
        let Some(neighbours) = &self.0.neighbours else {
            return;
        };
        let mut orphans = neighbours.orphans();
        loop {
            let now = Arc::clone(&orphans.borrow_and_update());
            self.orphans(BTreeSet::clone(&now));
            // The sender is in the neighbours, which are held here; so it cannot be gone.
            let _ = orphans.changed().await;
        }
    }

    async fn make(&self) {
        let mut changes = self.0.knowledge.changes();
        let mut running = Running::default();
        loop {
            while let Some(ticket) = self.start() {
                running.begin(ticket);
            }
            let wakes = self.state().plan.wakes();
            let due = async {
                match wakes {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                update = changes.next() => self.take_in(&update),
                Some((ticket, outcome, took)) = running.next() => {
                    self.handle_end(&ticket, outcome, took);
                }
                () = self.0.bell.notified() => {}
                () = due => {}
            }
        }
    }

    fn start(&self) -> Option<Ticket> {
        self.state().plan.poll_start(clock::now())
    }

    fn take_in(&self, update: &Update) {
        if update.complete {
            let known: BTreeSet<_> = update.changed.iter().map(|it| &it.id).collect();
            let mut state = self.state();
            let ids = state.plan.ids();
            let gone: Vec<_> = ids.filter(|id| !known.contains(id)).cloned().collect();
            for id in gone {
                state.plan.remove(&id);
            }
        }
        for id in &update.removed {
            self.state().plan.remove(id);
        }
        for instance in &update.changed {
            self.look_at(&instance.id);
        }
    }

    /// Looks whether an instance is checked, and how, as it is known now.
    fn look_at(&self, id: &InstanceId) {
        let known = self.0.knowledge.known(id);
        let mut state = self.state();
        let is_orphan = state.orphans.contains(id);
        let subject = known.as_ref();
        let subject = subject.and_then(|known| Subject::of(known, is_orphan, &self.0.here));
        let has_health = known.is_some_and(|known| known.health.is_some());
        let now = clock::now();
        match subject {
            Some(subject) => {
                state.plan.set(id, subject, now);
                if !has_health {
                    state.plan.forgotten(id, now);
                }
            }
            None => {
                let was_told = state.plan.remove(id);
                drop(state);
                if was_told && has_health {
                    self.0.knowledge.set_health(id, None);
                }
            }
        }
    }

    fn handle_end(&self, ticket: &Ticket, outcome: Outcome, took: Duration) {
        let (kind, answer) = (ticket.subject.kind, outcome.result);
        self.0.counts.ended(kind, answer, took);
        let mut state = self.state();
        if took > TOOK_MAX && matches!(answer, Answer::Failed | Answer::TimedOut) {
            // The agent was stopped meanwhile, and it may have answered in time.
            state.plan.handle_void(ticket, clock::now());
            return;
        }
        let was_down = state.plan.is_down(&ticket.id);
        let random = state.random.next_u64();
        let news = state
            .plan
            .handle_result(ticket, outcome, clock::now(), random);
        let is_orphan = state.orphans.contains(&ticket.id);
        drop(state);
        if let Some(verdict) = news {
            if verdict.is_down() != was_down {
                let (id, said) = (&ticket.id, verdict.said());
                tracing::info!(%id, down = verdict.is_down(), %said, "checked");
            }
            self.0
                .knowledge
                .set_health(&ticket.id, Some(health(&verdict)));
            let neighbours = self.0.neighbours.as_ref();
            if let Some(neighbours) = neighbours.filter(|_| is_orphan && verdict.is_down()) {
                // Nobody speaks for it, not even itself.
                neighbours.lose(ticket.id.clone());
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in the middle of a change leaves a plan that is still one.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn health(verdict: &Verdict) -> Health {
    if verdict.is_down() {
        Health::failing(verdict.said())
    } else {
        Health::passing(verdict.said())
    }
}

impl Reports for Checks {
    fn report(&self, from: &str, load: &[proto::InstanceLoad]) {
        let now = clock::now();
        let failing = load.iter().filter(|it| it.failures > 0);
        let mut any = false;
        for said in failing.take(REPORTED_MAX) {
            let mut state = self.state();
            let hint = if state.hints.take(from, now) {
                let id = InstanceId::new(said.id.as_str());
                let taken = id.is_ok_and(|id| state.plan.bring_forward(&id, hints::GAP, now));
                if taken { Hint::Taken } else { Hint::NotNeeded }
            } else {
                Hint::TooMany
            };
            drop(state);
            any |= hint == Hint::Taken;
            self.0.counts.hinted(hint);
        }
        if any {
            self.0.bell.notify_one();
        }
    }
}

impl Figures for Checks {
    fn write(&self, text: &mut String) {
        self.0.counts.write(text);
        let state = self.state();
        let (checked, down) = (state.plan.len(), state.plan.down());
        let period = state.plan.period().as_secs_f64();
        drop(state);
        let mut one = |name: &str, help: &str, value: &dyn std::fmt::Display| {
            head(text, name, "gauge", help);
            line(text, name, &[], value);
        };
        let name = "dreammesh_agent_checked_instances";
        one(name, "Instances that this agent checks.", &checked);
        let name = "dreammesh_agent_checked_instances_down";
        one(name, "Those of them that do not answer.", &down);
        let name = "dreammesh_agent_check_period_seconds";
        one(name, "How often each of them is checked.", &period);
    }
}

/// The checks that run.
#[derive(Debug, Default)]
struct Running {
    tasks: JoinSet<(Outcome, Duration)>,
    tickets: HashMap<Id, Ticket>,
}

impl Running {
    fn begin(&mut self, ticket: Ticket) {
        let subject = Arc::clone(&ticket.subject);
        let task = self.tasks.spawn(async move {
            let began = clock::now();
            let outcome = probe::probe(&subject).await;
            (outcome, since(began))
        });
        self.tickets.insert(task.id(), ticket);
    }

    /// The next that ends; `None` while none runs. Dropping the future loses nothing.
    async fn next(&mut self) -> Option<(Ticket, Outcome, Duration)> {
        let ended = self.tasks.join_next_with_id().await?;
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        // Each task was put into both.
        let ticket = self.tickets.remove(&id)?;
        let (outcome, took) = ended.map_or_else(|error| (broken(&error), TOOK_NOTHING), |it| it.1);
        Some((ticket, outcome, took))
    }
}

/// A check that panicked says nothing against the instance, and is made again in its turn.
fn broken(error: &JoinError) -> Outcome {
    tracing::error!(%error, "a check broke off");
    Outcome {
        result: Answer::Passed,
        said: "the agent could not check it".into(),
    }
}

fn since(began: Instant) -> Duration {
    clock::now().saturating_duration_since(began)
}

/// No check takes so long, unless the agent itself was away.
const TOOK_MAX: Duration = probe::TIMEOUT.saturating_mul(2);
const TOOK_NOTHING: Duration = Duration::ZERO;
/// How many entries of a report are looked at; more than a program may bring forward.
const REPORTED_MAX: usize = 64;
