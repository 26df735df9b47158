//! The registry as the tasks of an agent share it.
//!
//! Sources speak into a [`Sink`]; whoever follows services holds a [`Watcher`], which is a bell and
//! no queue; whoever follows everything holds [`Changes`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dreammesh_agent_api::instance::{Instance, InstanceId};
use dreammesh_agent_api::name::ServiceName;
use tokio::sync::{Notify, watch};

use crate::clock;
use crate::registry::{Applied, Change, Health, Known, Origin, Registry, SourceId, Update};
use crate::settling::Settling;

/// What an agent knows of the mesh; a clone shares it.
#[derive(Clone)]
pub struct Knowledge(Arc<Shared>);

struct Shared {
    /// What the agent calls itself and its host, for what its own sources say.
    here: Here,
    state: Mutex<State>,
    /// The version of the registry, for those who follow everything.
    version: watch::Sender<u64>,
    /// What is yet to come before all is known.
    settling: Settling,
}

#[derive(Debug, Default)]
struct State {
    registry: Registry,
    /// Who follows which service, by the number of the watcher.
    watchers: BTreeMap<ServiceName, BTreeMap<u64, Arc<Notify>>>,
    watcher_next: u64,
}

/// What an agent calls itself, and the host it runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Here {
    /// The agent's name in the mesh.
    pub agent: Box<str>,
    /// The host.
    pub host: Box<str>,
}

impl Here {
    /// An agent of a host.
    pub fn new(agent: impl Into<Box<str>>, host: impl Into<Box<str>>) -> Self {
        Self {
            agent: agent.into(),
            host: host.into(),
        }
    }
}

impl Knowledge {
    /// Nothing is known yet.
    pub fn new(here: Here) -> Self {
        Self::of(here, Registry::new())
    }

    /// What a registry knows already.
    pub fn of(here: Here, registry: Registry) -> Self {
        let version = watch::Sender::new(registry.version());
        let state = State {
            registry,
            ..State::default()
        };
        Self(Arc::new(Shared {
            here,
            state: Mutex::new(state),
            version,
            settling: Settling::new(),
        }))
    }

    /// What is yet to come before all is known.
    pub fn settling(&self) -> &Settling {
        &self.0.settling
    }

    /// What this agent calls itself.
    pub fn here(&self) -> &Here {
        &self.0.here
    }

    /// Takes in another source, which speaks into the sink.
    pub fn sink(&self, name: &str, origin: Origin) -> Sink {
        let source = self.state().registry.add_source(name, origin, clock::now());
        Sink {
            knowledge: self.clone(),
            source,
            origin,
        }
    }

    /// Looks at everything, under the lock: nothing that takes long may happen inside.
    pub fn read<T>(&self, look: impl FnOnce(&Registry) -> T) -> T {
        look(&self.state().registry)
    }

    /// What is known of an instance.
    pub fn known(&self, id: &InstanceId) -> Option<Known> {
        self.state().registry.known(id)
    }

    /// What an active check said of an instance; `None` when nothing is known any more.
    pub fn set_health(&self, id: &InstanceId, health: Option<Health>) {
        self.change(|registry| registry.set_health(id, health));
    }

    /// Drops what is only remembered of an agent from before this one was started: it speaks for
    /// itself again.
    pub fn forget_remembered(&self, agent: &str) {
        self.change(|registry| registry.forget_remembered(agent));
    }

    /// Somebody who follows services, none to begin with.
    pub fn watcher(&self) -> Watcher {
        let mut state = self.state();
        state.watcher_next += 1;
        Watcher {
            knowledge: self.clone(),
            number: state.watcher_next,
            bell: Arc::default(),
            services: BTreeSet::new(),
        }
    }

    /// How many follow a service.
    pub fn watchers(&self, service: &ServiceName) -> usize {
        self.state().watchers.get(service).map_or(0, BTreeMap::len)
    }

    /// How many follow some service, once for each service.
    pub fn watches(&self) -> usize {
        self.state().watchers.values().map(BTreeMap::len).sum()
    }

    /// Follows everything.
    pub fn changes(&self) -> Changes {
        Changes {
            knowledge: self.clone(),
            version: self.0.version.subscribe(),
            since: None,
        }
    }

    fn change(&self, change: impl FnOnce(&mut Registry) -> Applied) -> usize {
        let mut state = self.state();
        let applied = change(&mut state.registry);
        for service in &applied.services {
            for bell in state.watchers.get(service).into_iter().flatten() {
                bell.1.notify_one();
            }
        }
        let version = state.registry.version();
        drop(state);
        self.0.version.send_if_modified(|last| {
            let is_newer = *last < version;
            if is_newer {
                *last = version;
            }
            is_newer
        });
        applied.refused
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in the middle of a change leaves a registry that is still one.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Knowledge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Knowledge")
            .field("here", &self.0.here)
            .finish_non_exhaustive()
    }
}

/// Where a source says what it knows. When it is dropped, what it said goes.
#[derive(Debug)]
pub struct Sink {
    knowledge: Knowledge,
    source: SourceId,
    origin: Origin,
}

impl Sink {
    /// An instance is there, and this is all there is to know of it. Says whether there was room.
    pub fn set(&self, instance: Instance) -> bool {
        self.apply([Change::Set(Arc::new(instance))]) == 0
    }

    /// An instance is no longer.
    pub fn gone(&self, id: &InstanceId) {
        self.apply([Change::Gone(id.clone())]);
    }

    /// Several changes at once, in their order; says how many instances there was no room for.
    pub fn apply(&self, changes: impl IntoIterator<Item = Change>) -> usize {
        let changes = changes.into_iter().map(|change| match change {
            Change::Set(instance) => Change::Set(self.marked(instance)),
            gone @ Change::Gone(_) => gone,
        });
        let changes: Vec<_> = changes.collect();
        let now = clock::now();
        let source = self.source;
        self.knowledge
            .change(|registry| registry.apply(source, changes, now))
    }

    /// All there is: what was said before and is not said now is gone. Says how many instances
    /// there was no room for.
    pub fn replace(&self, instances: impl IntoIterator<Item = Instance>) -> usize {
        let instances = instances.into_iter().map(Arc::new);
        let instances: Vec<_> = instances.map(|it| self.marked(it)).collect();
        let now = clock::now();
        let source = self.source;
        self.knowledge
            .change(|registry| registry.replace(source, instances, now))
    }

    /// All there is, as [`Self::replace`], in the words in which it was said before.
    pub(crate) fn keep(&self, instances: impl IntoIterator<Item = Instance>) {
        let instances = instances.into_iter().map(Arc::new).collect();
        let (source, now) = (self.source, clock::now());
        self.knowledge
            .change(|registry| registry.replace(source, instances, now));
    }

    /// The source is well, or something is wrong with it; what it said stays in either case.
    pub fn problem(&self, problem: Option<&str>) {
        let now = clock::now();
        let mut state = self.knowledge.state();
        state.registry.set_problem(self.source, problem, now);
    }

    /// Another sink of the same kind, such as for another agent of whom a source hears.
    #[must_use]
    pub fn beside(&self, name: &str) -> Self {
        self.knowledge.sink(name, self.origin)
    }

    /// What all sources know together.
    pub const fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// An instance with the words of its source in it.
    fn marked(&self, mut instance: Arc<Instance>) -> Arc<Instance> {
        let here = &self.knowledge.0.here;
        let of_this_agent = matches!(self.origin, Origin::Attached | Origin::File);
        let of_this_host = instance.host.is_empty()
            && (self.origin == Origin::Attached || leads_only_here(&instance));
        let right = *instance.origin == *self.origin.as_str()
            && (!of_this_agent || instance.agent == here.agent && !of_this_host);
        if right {
            return instance;
        }
        let marked = Arc::make_mut(&mut instance);
        marked.origin = self.origin.as_str().into();
        if of_this_agent {
            marked.agent = here.agent.clone();
            if of_this_host {
                marked.host = here.host.clone();
            }
        }
        instance
    }
}

/// Whether some way to an instance means nothing on another host, so that it must be on this one.
fn leads_only_here(instance: &Instance) -> bool {
    instance.addresses.iter().any(|host| host.is_loopback())
        || instance.ports.iter().any(|port| !port.unix_path.is_empty())
}

impl Drop for Sink {
    fn drop(&mut self) {
        let (source, now) = (self.source, clock::now());
        self.knowledge
            .change(|registry| registry.remove_source(source, now));
    }
}

/// Follows some services: a bell rings when one of them changed, and nothing is queued.
pub struct Watcher {
    knowledge: Knowledge,
    number: u64,
    bell: Arc<Notify>,
    services: BTreeSet<ServiceName>,
}

impl Watcher {
    /// Follows one more service.
    pub fn watch(&mut self, service: &ServiceName) {
        if self.services.insert(service.clone()) {
            let mut state = self.knowledge.state();
            let watchers = state.watchers.entry(service.clone()).or_default();
            watchers.insert(self.number, self.bell.clone());
        }
    }

    /// No longer follows a service.
    pub fn unwatch(&mut self, service: &ServiceName) {
        if self.services.remove(service) {
            self.forget(service);
        }
    }

    /// What all sources know together.
    pub const fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// Waits until a service changed since the last time; it may also ring for nothing.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    /// What became of a service since a version; `None` when nothing did.
    pub fn update(&self, service: &ServiceName, since: Option<u64>) -> Option<Update> {
        self.knowledge.state().registry.update(service, since)
    }

    fn forget(&self, service: &ServiceName) {
        let mut state = self.knowledge.state();
        if let Some(watchers) = state.watchers.get_mut(service) {
            watchers.remove(&self.number);
            if watchers.is_empty() {
                state.watchers.remove(service);
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        for service in std::mem::take(&mut self.services) {
            self.forget(&service);
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

/// Follows everything; what it has not been asked for is not kept for it.
#[derive(Debug)]
pub struct Changes {
    knowledge: Knowledge,
    version: watch::Receiver<u64>,
    since: Option<u64>,
}

impl Changes {
    /// Waits until something changed, and says what, each instance as it shows now; the first time
    /// it is everything, at once. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Update {
        loop {
            self.version.mark_unchanged();
            let update = self
                .knowledge
                .read(|registry| registry.update_of_all(self.since));
            if let Some(update) = update {
                self.since = Some(update.version);
                return update;
            }
            // The sender is in the knowledge, which is held here; so it cannot be gone.
            let _ = self.version.changed().await;
        }
    }

    /// What all sources know together, for the origin of an instance and its health.
    pub const fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }
}
