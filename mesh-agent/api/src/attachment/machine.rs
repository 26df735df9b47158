//! The application's side of the protocol with the agent, without I/O.
//!
//! Time is an argument, and randomness comes from a seed. The order of calls: [`Machine::poll_step`]
//! until it is idle, after whatever happened and when its time has come. After [`Step::Open`] it is
//! told of the stream by `handle_opened` or `handle_ended`; what an open stream brings goes into
//! `handle_said`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dreammesh_core::balance::Random;
use dreammesh_core::resolve::Knowledge;

use super::load::Loads;
use super::registration::{Registering, Registration};
use super::watching::{Gap, Watching};
use crate::endpoint::Here;
use crate::instance::{Host, Instance, InstanceStatus, Locality, TEXT_BYTES_MAX};
use crate::name::ServiceName;
use crate::proto::{self, from_agent, from_application};

#[cfg(test)]
mod tests;

/// The versions of the protocol that this build speaks, the least and the greatest.
///
/// Of two builds that speak `N` and `N + 1`, the newer one speaks both: each build speaks its own
/// version and the one before, so that either side may be replaced first.
pub const VERSIONS: (u32, u32) = (1, 1);

/// What is said of a service to those who follow it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct View {
    /// What is known; none if nothing is, yet or at all.
    pub known: Option<Arc<Snapshot>>,
    /// Why nothing is known or what is known may be old, in words for people.
    pub trouble: Option<Arc<str>>,
}

/// What is known of a service at one time.
#[derive(Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its instances, ordered by id.
    pub instances: Vec<Arc<Instance>>,
    /// Where whoever asks is.
    pub here: Here,
}

impl Snapshot {
    pub(crate) const fn new(instances: Vec<Arc<Instance>>, here: Here) -> Self {
        Self { instances, here }
    }
}

/// What an agent said of the host when it accepted a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Site {
    pub(super) here: Here,
    pub(super) addresses: Vec<Host>,
}

/// What was left on disk by an agent.
#[derive(Debug)]
pub(super) struct Remembered {
    pub(super) site: Site,
    pub(super) by_service: BTreeMap<ServiceName, Vec<Arc<Instance>>>,
    /// How old it was when it was read.
    pub(super) age: Duration,
}

/// What is to be done next.
#[allow(
    clippy::large_enum_variant,
    reason = "there is one at a time, which is used at once"
)]
#[derive(Debug)]
pub(super) enum Step {
    /// Open a stream.
    Open,
    /// Say something on it.
    Say(from_application::Said),
    /// End it, and say that it ended.
    End(String),
    /// See what was left on disk, and say what is there.
    Remember,
    /// Nothing, until something happens or this time has come.
    Idle(Option<Instant>),
}

#[derive(Debug)]
pub(super) struct Machine {
    hello: proto::Hello,
    random: Random,
    phase: Phase,
    /// How often in a row no stream came about.
    failures: u32,
    /// Why there is no stream.
    trouble: Option<Arc<str>>,
    /// What the caller knows better than the agent.
    locality: Option<Locality>,
    /// That of the last agent, if there was one.
    site: Site,
    epoch: Box<str>,
    silence: Duration,
    /// When something was heard of the agent and when something was said to it.
    heard: Instant,
    said: Instant,
    report_at: Instant,
    /// What was found on disk since the agent went: not yet looked for, nothing, or something.
    remembered: Option<Option<Remembered>>,
    key_next: u32,
    registrations: BTreeMap<u32, Registration>,
    watches: BTreeMap<u32, Watch>,
    /// What was told on this stream and is no more; as many as were told at most.
    gone: BTreeSet<Gone>,
    pub(super) loads: Loads,
}

/// A watch, and what is still to be said of it.
#[derive(Debug)]
struct Watch {
    watching: Watching,
    /// Whether it was asked for on this stream.
    told: bool,
    /// Whether those who follow it are to be told of what is known.
    changed: bool,
    /// When it is asked for again that was refused.
    retry_at: Option<Instant>,
    refused: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Gone {
    Registration(u32),
    Watch(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is no stream until then.
    Apart(Instant),
    /// One is being opened.
    Opening,
    /// It is open; whether the hello was said.
    Greeting(Instant, bool),
    /// The agent has said welcome.
    Attached,
}

impl Machine {
    pub(super) fn new(hello: proto::Hello, seed: u64, now: Instant) -> Self {
        Self {
            hello,
            random: Random::seeded(seed),
            phase: Phase::Apart(now),
            failures: 0,
            trouble: None,
            locality: None,
            site: Site::default(),
            epoch: Box::default(),
            silence: SILENCE_MAX,
            heard: now,
            said: now,
            report_at: now,
            remembered: None,
            key_next: 1,
            registrations: BTreeMap::new(),
            watches: BTreeMap::new(),
            gone: BTreeSet::new(),
            loads: Loads::default(),
        }
    }

    /// Sets where this process is, in place of what the agent says.
    pub(super) fn set_locality(&mut self, locality: Locality) {
        self.locality = Some(locality);
    }

    /// Begins to follow a service.
    pub(super) fn watch(&mut self, service: ServiceName, now: Instant) -> (u32, Arc<Knowledge>) {
        let key = self.key();
        let mut watch = Watch {
            watching: Watching::new(service, now),
            told: false,
            changed: false,
            retry_at: None,
            refused: None,
        };
        if let Some(remembered) = &self.remembered {
            watch.remember(remembered.as_ref(), now);
        }
        let knowledge = Arc::clone(watch.watching.knowledge());
        self.watches.insert(key, watch);
        (key, knowledge)
    }

    /// Follows it no more.
    pub(super) fn unwatch(&mut self, key: u32) {
        if self.watches.remove(&key).is_some_and(|watch| watch.told) {
            self.gone.insert(Gone::Watch(key));
        }
    }

    /// Keeps an instance registered from now on.
    pub(super) fn register(&mut self, registering: Registering) -> u32 {
        let key = self.key();
        self.registrations
            .insert(key, Registration::new(registering));
        key
    }

    /// Says what state an instance is in.
    pub(super) fn amend(&mut self, key: u32, status: InstanceStatus) {
        if let Some(registration) = self.registrations.get_mut(&key) {
            registration.set_status(status);
        }
    }

    /// Takes an instance back.
    pub(super) fn deregister(&mut self, key: u32) {
        let registration = self.registrations.remove(&key);
        if registration.is_some_and(|it| it.is_told()) {
            self.gone.insert(Gone::Registration(key));
        }
    }

    /// Whether the agent has taken in the state of an instance; nobody needs to where there is no
    /// agent.
    pub(super) fn is_settled(&self, key: u32) -> bool {
        let registration = self.registrations.get(&key);
        self.phase != Phase::Attached || registration.is_none_or(Registration::is_settled)
    }

    /// Whether an agent has said welcome and has not gone since.
    pub(super) fn is_attached(&self) -> bool {
        self.phase == Phase::Attached
    }

    /// What has become known of services since this was asked last.
    pub(super) fn take_changes(&mut self) -> Vec<(u32, View)> {
        let (here, attached) = (self.here(), self.is_attached());
        let changed = self.watches.iter_mut().filter(|(_, watch)| watch.changed);
        let views = changed.map(|(key, watch)| {
            watch.changed = false;
            let waits = watch.watching.patience_ends(Duration::ZERO).is_some();
            let known = (!waits).then(|| {
                let instances = watch.watching.instances();
                Arc::new(Snapshot::new(instances, here.clone()))
            });
            let trouble = watch.refused.as_ref().or(self.trouble.as_ref()).cloned();
            let silent = if attached { UNSETTLED } else { SILENT };
            let trouble = trouble.or_else(|| waits.then(|| silent.into()));
            (*key, View { known, trouble })
        });
        views.collect()
    }

    /// The stream is open.
    pub(super) fn handle_opened(&mut self, now: Instant) {
        self.phase = Phase::Greeting(now, false);
    }

    /// The stream has ended, or there was none.
    pub(super) fn handle_ended(&mut self, reason: &str, now: Instant) {
        let was_attached = self.phase == Phase::Attached;
        self.failures = match was_attached {
            true => 0,
            false => self.failures.saturating_add(1),
        };
        let step = BACKOFF_FIRST.saturating_mul(1 << self.failures.min(10));
        let wait = step.min(BACKOFF_MAX);
        // Between half of it and all of it, so that those whom one agent left do not come at once.
        let share = (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        self.phase = Phase::Apart(now + wait.mul_f64(0.5 + share / 2.0));
        if was_attached {
            tracing::warn!(
                reason,
                "the agent of this host is gone; what it said is kept"
            );
        } else if self.failures == 1 {
            tracing::info!(reason, "there is no agent to attach to");
        }
        self.trouble = Some(format!("{reason}{REMEDY}").into());
        self.remembered = None;
        self.gone.clear();
        self.registrations
            .values_mut()
            .for_each(Registration::handle_apart);
        for watch in self.watches.values_mut() {
            watch.told = false;
            watch.changed |= was_attached;
            watch.refused = None;
            watch.retry_at = None;
            watch.watching.handle_apart();
        }
    }

    /// What was left on disk: nothing, or what an agent knew.
    pub(super) fn handle_remembered(&mut self, remembered: Option<Remembered>, now: Instant) {
        if self.phase != Phase::Attached
            && let Some(remembered) = &remembered
        {
            self.site = remembered.site.clone();
        }
        for watch in self.watches.values_mut() {
            watch.remember(remembered.as_ref(), now);
        }
        self.remembered = Some(remembered);
    }

    /// Takes in what the agent said.
    ///
    /// # Errors
    /// Why the stream cannot go on.
    pub(super) fn handle_said(
        &mut self,
        said: Option<from_agent::Said>,
        now: Instant,
    ) -> Result<(), String> {
        use from_agent::Said;
        self.heard = now;
        for watch in self.watches.values() {
            watch.watching.confirm(now);
        }
        if !self.is_attached() {
            return match said {
                Some(Said::Welcome(welcome)) => self.handle_welcome(welcome, now),
                _ => Err("the agent spoke before it said welcome".to_owned()),
            };
        }
        match said {
            Some(Said::Welcome(_)) => return Err("the agent said welcome twice".to_owned()),
            Some(Said::Registered(said)) => self.handle_registered(said.key, said.instance),
            Some(Said::Refused(refused)) => self.handle_refused(refused, now),
            Some(Said::Update(update)) => self.handle_update(update, now),
            Some(Said::Leaving(_)) => tracing::info!("the agent of this host is about to end"),
            // What a newer agent says beyond that is for newer applications.
            Some(Said::Heartbeat(_)) | None => {}
        }
        Ok(())
    }

    fn handle_welcome(&mut self, welcome: proto::Welcome, now: Instant) -> Result<(), String> {
        let (least, greatest) = VERSIONS;
        if !(least..=greatest).contains(&welcome.version) {
            return Err(format!(
                "the agent speaks version {} of its protocol, and this program {least} to \
                 {greatest}: bring the older of them up to date",
                welcome.version
            ));
        }
        let text = |text: String| match text.len() {
            ..=TEXT_BYTES_MAX => text.into_boxed_str(),
            _ => Box::default(),
        };
        let locality = Locality::new(text(welcome.region), text(welcome.zone));
        let addresses = welcome.addresses.iter().take(ADDRESSES_MAX);
        let agent = text(welcome.agent);
        tracing::info!(%agent, "attached to the agent of this host");
        self.site = Site {
            here: Here::new(text(welcome.host), locality),
            addresses: addresses.filter_map(|it| it.parse().ok()).collect(),
        };
        self.epoch = text(welcome.epoch);
        let silence = Duration::from_millis(welcome.silence_ms.into());
        self.silence = silence.clamp(SILENCE_MIN, SILENCE_MAX);
        self.phase = Phase::Attached;
        self.failures = 0;
        self.trouble = None;
        self.remembered = None;
        for watch in self.watches.values_mut() {
            // Whoever goes by what was known before is told that the trouble is over.
            watch.changed |= watch.watching.patience_ends(PATIENCE).is_none();
        }
        self.report_at = now + REPORT_PERIOD;
        Ok(())
    }

    fn handle_registered(&mut self, key: u32, instance: Option<proto::Instance>) {
        let status = instance.map(|it| it.status.into());
        if let (Some(it), Some(status)) = (self.registrations.get_mut(&key), status) {
            it.handle_taken(status);
        }
    }

    fn handle_refused(&mut self, refused: proto::Refused, now: Instant) {
        let reason: String = refused.message.chars().take(SHOWN_CHARS).collect();
        let retry_at = now + RETRY_PERIOD;
        if let Some(registration) = self.registrations.get_mut(&refused.key) {
            let id = registration.id();
            tracing::warn!(id, reason, "the agent refuses an instance");
            registration.handle_refused(retry_at);
        } else if let Some(watch) = self.watches.get_mut(&refused.key) {
            watch.retry_at = Some(retry_at);
            watch.refused = Some(format!("the agent refuses to watch it: {reason}").into());
            watch.watching.settle();
            watch.changed = true;
        }
    }

    fn handle_update(&mut self, update: proto::Update, now: Instant) {
        // One that comes after its watch was taken back is of no interest.
        let Some(watch) = self.watches.get_mut(&update.key) else {
            return;
        };
        match watch.watching.handle_update(&self.epoch, update, now) {
            Ok(changed) => {
                let was_refused = watch.refused.take().is_some();
                watch.changed |= changed || was_refused;
            }
            Err(Gap) => {
                tracing::warn!(service = %watch.watching.service(), "the agent left something out");
                watch.watching.start_over();
                watch.retry_at = Some(now + RETRY_PERIOD);
            }
        }
    }

    /// What is to be done next; `can_say` if the stream takes something.
    pub(super) fn poll_step(&mut self, can_say: bool, now: Instant) -> Step {
        if self.wants_memory(now) {
            return Step::Remember;
        }
        for watch in self.watches.values_mut() {
            watch.changed |= watch.watching.release(now);
        }
        match self.phase {
            Phase::Apart(until) if until <= now => {
                self.phase = Phase::Opening;
                Step::Open
            }
            Phase::Apart(until) => Step::Idle(self.sooner(Some(until))),
            Phase::Opening => Step::Idle(self.sooner(None)),
            Phase::Greeting(since, _) if since + WELCOME_PATIENCE <= now => {
                Step::End("the agent takes the stream and does not say welcome".to_owned())
            }
            Phase::Greeting(since, false) if can_say => {
                self.phase = Phase::Greeting(since, true);
                self.said = now;
                Step::Say(from_application::Said::Hello(self.hello.clone()))
            }
            Phase::Greeting(since, _) => Step::Idle(self.sooner(Some(since + WELCOME_PATIENCE))),
            Phase::Attached if self.heard + self.patience() <= now => {
                Step::End("nothing is heard of the agent any more".to_owned())
            }
            Phase::Attached => match can_say.then(|| self.say(now)).flatten() {
                Some(said) => {
                    self.said = now;
                    Step::Say(said)
                }
                None => {
                    let mut due = self.heard + self.patience();
                    if can_say {
                        due = due.min(self.said + self.silence / 3).min(self.report_at);
                        due = self.retries().fold(due, Instant::min);
                    }
                    Step::Idle(self.sooner(Some(due)))
                }
            },
        }
    }

    /// What is to be said next: first what others depend on.
    fn say(&mut self, now: Instant) -> Option<from_application::Said> {
        use from_application::Said;
        for (key, registration) in &mut self.registrations {
            let said = registration.poll_say(*key, &self.site, now);
            if said.is_some() {
                return said;
            }
        }
        for (key, watch) in &mut self.watches {
            let again = watch.retry_at.is_some_and(|at| at <= now);
            if again {
                watch.retry_at = None;
                // What is watched already is asked for by another word, after taking it back.
                if std::mem::take(&mut watch.told) {
                    let key = *key;
                    return Some(Said::Unwatch(proto::Unwatch {
                        key,
                        ..Default::default()
                    }));
                }
            }
            if !watch.told && watch.retry_at.is_none() {
                watch.told = true;
                return Some(Said::Watch(watch.watching.ask(*key)));
            }
        }
        if let Some(gone) = self.gone.pop_first() {
            return Some(match gone {
                Gone::Registration(key) => Said::Deregister(proto::Deregister {
                    key,
                    ..Default::default()
                }),
                Gone::Watch(key) => Said::Unwatch(proto::Unwatch {
                    key,
                    ..Default::default()
                }),
            });
        }
        if self.report_at <= now {
            // From three quarters of the period to five, so that reports of many do not meet.
            let share = (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
            self.report_at = now + REPORT_PERIOD.mul_f64(0.75 + share / 2.0);
            if let Some(report) = self.loads.report(now) {
                return Some(Said::Load(report));
            }
        }
        let is_due = self.said + self.silence / 3 <= now;
        is_due.then(|| Said::Heartbeat(proto::Heartbeat::default()))
    }

    /// Whether somebody has waited long enough for an agent to see what one left on disk.
    fn wants_memory(&self, now: Instant) -> bool {
        let apart = matches!(self.phase, Phase::Apart(_)) && self.failures > 0;
        let over = |watch: &Watch| {
            let ends = watch.watching.patience_ends(PATIENCE);
            ends.is_some_and(|ends| apart || ends <= now)
        };
        self.remembered.is_none() && self.watches.values().any(over)
    }

    /// When something is to be done that comes before `due`.
    fn sooner(&self, due: Option<Instant>) -> Option<Instant> {
        let releases = self.watches.values();
        let releases = releases.filter_map(|watch| watch.watching.release_at());
        let due = releases.chain(due).min();
        let waits = self.watches.values();
        let waits = waits.filter_map(|watch| watch.watching.patience_ends(PATIENCE));
        let first = match self.remembered {
            None => waits.min(),
            Some(_) => None,
        };
        match (due, first) {
            (Some(due), Some(first)) => Some(due.min(first)),
            (due, first) => due.or(first),
        }
    }

    fn retries(&self) -> impl Iterator<Item = Instant> {
        let watches = self.watches.values().filter_map(|watch| watch.retry_at);
        let registrations = self.registrations.values();
        watches.chain(registrations.filter_map(Registration::retry_at))
    }

    fn here(&self) -> Here {
        match &self.locality {
            Some(locality) => Here::new(self.site.here.host.clone(), locality.clone()),
            None => self.site.here.clone(),
        }
    }

    /// For how long an agent is not given up that says nothing.
    ///
    /// It is many times what it asks of others. One that was merely stopped goes on where it was
    /// then, and nobody has lost an instance; a dead one is known by the end of its connection.
    const fn patience(&self) -> Duration {
        self.silence.saturating_mul(10)
    }

    fn key(&mut self) -> u32 {
        let key = self.key_next;
        self.key_next = self.key_next.wrapping_add(1);
        key
    }
}

impl Watch {
    /// Takes what is known from before if nothing better is; nobody waits any more then.
    fn remember(&mut self, remembered: Option<&Remembered>, now: Instant) {
        if self.watching.patience_ends(Duration::ZERO).is_none() {
            return;
        }
        self.changed = true;
        if let Some(remembered) = remembered {
            let instances = remembered.by_service.get(self.watching.service());
            let instances = instances.map_or(&[][..], Vec::as_slice);
            self.watching
                .handle_remembered(instances, remembered.age, now);
            self.watching.settle();
        }
    }
}

/// What whoever has no agent can do.
const REMEDY: &str = "; start an agent with `dreammesh agent`, or name a file of services in \
                      DREAMMESH_SERVICES";
/// Why nothing is known while there is a stream.
const SILENT: &str = "the agent of this host does not answer";
/// The same, once it has said welcome.
const UNSETTLED: &str = "the agent of this host was started just now and has yet to hear of it";
/// How long somebody waits for the agent before they go by what one left on disk.
pub(super) const PATIENCE: Duration = Duration::from_millis(300);
/// Long enough for an agent that was stopped for a while, and short enough to try another way.
const WELCOME_PATIENCE: Duration = Duration::from_secs(10);
/// The least and the most of what an agent may ask for: heartbeats are no load, and no flood.
const SILENCE_MIN: Duration = Duration::from_millis(300);
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// An agent that is replaced is back within that; a host where none is spends nothing on it.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// When what was refused is tried again: another process may have gone meanwhile.
const RETRY_PERIOD: Duration = Duration::from_secs(5);
/// Reports cause at most an early check, which is made every two seconds anyway.
const REPORT_PERIOD: Duration = Duration::from_secs(2);
/// As many as an instance may have.
const ADDRESSES_MAX: usize = crate::instance::ADDRESSES_MAX;
/// As much of an agent's words as is passed on.
const SHOWN_CHARS: usize = 500;
