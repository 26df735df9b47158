//! What is known of instances, as plain state.
//!
//! Several sources may claim one id. The claim of the highest precedence shows, the others stand
//! behind it and show again when it goes; so no source needs to know of another. A failed check
//! lies over the claim that shows.
//!
//! Whoever follows a service keeps no queue here: they say which version they have, and
//! [`Registry::update`] computes what became of it since, from a short history, or says all there
//! is. One counter gives the versions of all services, so a service that goes and comes back never
//! has a version twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use dreammesh_agent_api::instance::{Instance, InstanceId};
use dreammesh_agent_api::name::ServiceName;

use claims::{Claim, Entry};
use log::Log;

pub use claims::{Health, Known};
pub use origin::{Origin, SourceId, SourceState};

mod claims;
mod log;
mod origin;
#[cfg(test)]
mod tests;

/// How many instances are known at most; an agent that knew all of a larger mesh would need more
/// memory than a laptop's agent should.
pub const INSTANCES_MAX: usize = 100_000;
/// How many changes of one service are remembered, for those who were away meanwhile.
pub const SERVICE_HISTORY: usize = 256;
/// How many changes of all services together are remembered.
pub const WHOLE_HISTORY: usize = 4_096;
/// How many services without an instance are remembered, for their histories.
pub const EMPTY_SERVICES_MAX: usize = 256;

/// What is known of instances.
#[derive(Debug)]
pub struct Registry {
    /// By id: whatever at least one source claims.
    entries: BTreeMap<InstanceId, Entry>,
    /// What shows, by service; some services have had their last instance taken.
    services: BTreeMap<ServiceName, Service>,
    /// The services without an instance, in the order in which they became so; a service that was
    /// given one again may still stand here.
    empty: VecDeque<ServiceName>,
    sources: BTreeMap<SourceId, SourceState>,
    /// Of everything that shows.
    whole: Log,
    /// The version of the last change.
    version: u64,
    /// No service that is not in `services` has changed after this version.
    forgotten: u64,
    source_next: u64,
    instances_max: usize,
}

#[derive(Debug)]
struct Service {
    shown: BTreeSet<InstanceId>,
    log: Log,
}

/// Something that a source says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// An instance is there, and this is all there is to know of it.
    Set(Arc<Instance>),
    /// It is no longer.
    Gone(InstanceId),
}

/// What a batch of changes came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// The services in which something shows that did not before.
    pub services: BTreeSet<ServiceName>,
    /// How many instances were not taken in because there was no room.
    pub refused: usize,
}

/// What became of a service, or of everything, since a version.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Update {
    /// The version that this leads to.
    pub version: u64,
    /// Whether this is all there is, and not what changed.
    pub complete: bool,
    /// What is new or not as it was, ordered by id.
    pub changed: Vec<Arc<Instance>>,
    /// What is gone, ordered by id.
    pub removed: Vec<InstanceId>,
}

impl Update {
    /// Nothing changed since a version.
    pub(crate) const fn nothing(version: u64) -> Self {
        Self {
            version,
            complete: false,
            changed: Vec::new(),
            removed: Vec::new(),
        }
    }
}

impl Registry {
    /// One that knows nothing.
    pub fn new() -> Self {
        Self::with_room_for(INSTANCES_MAX)
    }

    /// One that takes no more than so many instances.
    pub fn with_room_for(instances_max: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            services: BTreeMap::new(),
            empty: VecDeque::new(),
            sources: BTreeMap::new(),
            whole: Log::new(WHOLE_HISTORY, 0),
            version: 0,
            forgotten: 0,
            source_next: 0,
            instances_max,
        }
    }

    /// A source begins; it has said nothing yet.
    pub fn add_source(&mut self, name: &str, origin: Origin, now: Instant) -> SourceId {
        let id = SourceId(self.source_next);
        self.source_next += 1;
        let state = SourceState::new(name.into(), origin, now);
        self.sources.insert(id, state);
        id
    }

    /// A source ends, and everything it said with it.
    pub fn remove_source(&mut self, source: SourceId, now: Instant) -> Applied {
        let applied = self.replace(source, Vec::new(), now);
        self.sources.remove(&source);
        applied
    }

    /// What a source says. It has no effect if the source has ended.
    pub fn apply(
        &mut self,
        source: SourceId,
        changes: impl IntoIterator<Item = Change>,
        now: Instant,
    ) -> Applied {
        let mut applied = Applied::default();
        let Some(state) = self.sources.get_mut(&source) else {
            return applied;
        };
        state.heard = now;
        for change in changes {
            match change {
                Change::Set(instance) => self.set(source, instance, now, &mut applied),
                Change::Gone(id) => self.gone(source, &id, &mut applied),
            }
        }
        applied
    }

    /// All that a source says: what it said before and does not now is gone.
    pub fn replace(
        &mut self,
        source: SourceId,
        instances: Vec<Arc<Instance>>,
        now: Instant,
    ) -> Applied {
        let stay: BTreeSet<_> = instances.iter().map(|it| it.id.clone()).collect();
        let went = self.entries.iter().filter(|(id, entry)| {
            !stay.contains(*id) && entry.claims().iter().any(|claim| claim.source == source)
        });
        let mut changes: Vec<_> = went.map(|(id, _)| Change::Gone(id.clone())).collect();
        changes.extend(instances.into_iter().map(Change::Set));
        self.apply(source, changes, now)
    }

    /// Notes that a source is well, or what is wrong with it.
    pub fn set_problem(&mut self, source: SourceId, problem: Option<&str>, now: Instant) {
        if let Some(state) = self.sources.get_mut(&source) {
            state.problem = problem.map(Into::into);
            if problem.is_none() {
                state.heard = now;
            }
        }
    }

    /// What an active check said of an instance; `None` when nothing is known any more.
    ///
    /// A claim that is only held until its application comes back does not outlive a failed check.
    /// One that is held until its file can be read does, as the file's own would.
    pub fn set_health(&mut self, id: &InstanceId, health: Option<Health>) -> Applied {
        let mut applied = Applied::default();
        let down = health.as_ref().is_some_and(|health| health.down);
        self.with_entry(id, &mut applied, |entry| entry.set_health(health));
        if down {
            let of_file = |claim: &Claim| *claim.instance.origin == *Origin::File.as_str();
            let ends = |claim: &Claim| claim.origin.is_held() && !of_file(claim);
            self.drop_claims(id, ends, &mut applied);
        }
        applied
    }

    /// Drops what is only remembered of an agent from before this one was started: it speaks for
    /// itself again.
    pub fn forget_remembered(&mut self, agent: &str) -> Applied {
        let of_agent =
            |claim: &Claim| claim.origin == Origin::Remembered && *claim.instance.agent == *agent;
        let ids = self.entries.iter();
        let ids = ids.filter(|(_, entry)| entry.claims().iter().any(of_agent));
        let ids: Vec<_> = ids.map(|(id, _)| id.clone()).collect();
        let mut applied = Applied::default();
        for id in ids {
            self.drop_claims(&id, of_agent, &mut applied);
        }
        applied
    }

    /// What is known of an instance.
    pub fn known(&self, id: &InstanceId) -> Option<Known> {
        self.entries.get(id).and_then(Entry::known)
    }

    /// The instances of a service, ordered by id.
    pub fn instances<'a>(&'a self, service: &ServiceName) -> impl Iterator<Item = Known> + 'a {
        let ids = self.services.get(service).into_iter();
        ids.flat_map(|service| service.shown.iter())
            .filter_map(|id| self.known(id))
    }

    /// All instances, ordered by id.
    pub fn all(&self) -> impl Iterator<Item = Known> + '_ {
        self.entries.values().filter_map(Entry::known)
    }

    /// The services that have instances, in order.
    pub fn services(&self) -> impl Iterator<Item = &ServiceName> {
        let some = self.services.iter();
        some.filter(|(_, service)| !service.shown.is_empty())
            .map(|(name, _)| name)
    }

    /// The sources.
    pub fn sources(&self) -> impl Iterator<Item = &SourceState> {
        self.sources.values()
    }

    /// The ids that more than one source claims now, with the origins, the one that shows first.
    pub fn contested(&self) -> impl Iterator<Item = (&InstanceId, Vec<Origin>)> {
        self.entries.iter().filter_map(|(id, entry)| {
            let present = entry.claims().iter().map(|claim| claim.origin);
            let present: Vec<_> = present.filter(|origin| !origin.is_held()).collect();
            (present.len() > 1).then_some((id, present))
        })
    }

    /// How many instances are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no instance is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The version of the last change.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The version of the last change of a service.
    pub fn version_of(&self, service: &ServiceName) -> u64 {
        let service = self.services.get(service);
        service.map_or(self.forgotten, |service| service.log.version())
    }

    /// What became of a service since a version; `None` when nothing did.
    ///
    /// Without a version, with one that is older than what is remembered, or with one that never
    /// was, it is all there is.
    pub fn update(&self, service: &ServiceName, since: Option<u64>) -> Option<Update> {
        let Some(service) = self.services.get(service) else {
            let known = since.is_some_and(|it| it >= self.forgotten && it <= self.version);
            return (!known).then(|| Update {
                version: self.forgotten,
                complete: true,
                changed: Vec::new(),
                removed: Vec::new(),
            });
        };
        let since = since.filter(|since| *since <= self.version);
        service
            .log
            .since(since, service.shown.iter(), |id| self.shown(service, id))
    }

    /// What became of all instances since a version; `None` when nothing did.
    pub fn update_of_all(&self, since: Option<u64>) -> Option<Update> {
        let since = since.filter(|since| *since <= self.version);
        let shown = |id: &InstanceId| Some(self.entries.get(id)?.shown()?.clone());
        self.whole.since(since, self.entries.keys(), shown)
    }

    /// Those of a service that show, ordered by id, from the one after an id on.
    pub(crate) fn shown_after<'a>(
        &'a self,
        service: &ServiceName,
        after: Option<&InstanceId>,
    ) -> impl Iterator<Item = &'a Arc<Instance>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let of_service = self.services.get(service).into_iter();
        let ids = of_service.flat_map(move |it| it.shown.range((from, Bound::Unbounded)));
        ids.filter_map(|id| self.entries.get(id)?.shown())
    }

    /// What shows of a service under an id.
    pub(crate) fn shown_of(&self, service: &ServiceName, id: &InstanceId) -> Option<Arc<Instance>> {
        self.shown(self.services.get(service)?, id)
    }

    /// Whoever else but applications here says now, or said before a restart, that there is such an
    /// instance: its origin, what it says, and what the source is called.
    pub(crate) fn claims_of_others(
        &self,
        id: &InstanceId,
    ) -> impl Iterator<Item = (Origin, &Arc<Instance>, &str)> {
        let claims = self.entries.get(id).into_iter().flat_map(Entry::claims);
        let others = claims.filter(|claim| claim.origin != Origin::Attached);
        others.map(|claim| {
            let source = self.sources.get(&claim.source);
            let name = source.map_or("", |source| &*source.name);
            (claim.origin, &claim.instance, name)
        })
    }

    fn shown(&self, service: &Service, id: &InstanceId) -> Option<Arc<Instance>> {
        if !service.shown.contains(id) {
            return None;
        }
        self.entries.get(id)?.shown().cloned()
    }

    fn set(
        &mut self,
        source: SourceId,
        instance: Arc<Instance>,
        now: Instant,
        applied: &mut Applied,
    ) {
        let Some(state) = self.sources.get_mut(&source) else {
            return;
        };
        let id = instance.id.clone();
        let known = self.entries.get(&id);
        if known.is_none() && self.entries.len() >= self.instances_max {
            applied.refused += 1;
            return;
        }
        let is_new = known.is_none_or(|entry| !entry.is_claimed_by(source));
        state.instances += usize::from(is_new);
        let claim = Claim {
            source,
            origin: state.origin,
            instance,
            heard: now,
        };
        let is_present = !claim.origin.is_held();
        self.with_entry(&id, applied, |entry| entry.claim(claim));
        if is_present {
            // Who is back is no longer waited for: when they go, nothing of before is left.
            self.drop_claims(&id, |claim| claim.origin.is_held(), applied);
        }
    }

    fn gone(&mut self, source: SourceId, id: &InstanceId, applied: &mut Applied) {
        self.drop_claims(id, |claim| claim.source == source, applied);
    }

    fn drop_claims(
        &mut self,
        id: &InstanceId,
        which: impl Fn(&Claim) -> bool,
        applied: &mut Applied,
    ) {
        let mut dropped = Vec::new();
        self.with_entry(id, applied, |entry| dropped = entry.drop_claims(which));
        for source in dropped {
            if let Some(state) = self.sources.get_mut(&source) {
                state.instances -= 1;
            }
        }
    }

    /// Changes what is claimed of an id, and notes what shows differently after it.
    fn with_entry(
        &mut self,
        id: &InstanceId,
        applied: &mut Applied,
        change: impl FnOnce(&mut Entry),
    ) {
        let mut entry = self.entries.remove(id).unwrap_or_default();
        let before = entry.shown().cloned();
        change(&mut entry);
        let after = entry.shown().cloned();
        if after.is_some() {
            self.entries.insert(id.clone(), entry);
        }
        if before == after {
            return;
        }
        self.version += 1;
        self.whole.note(self.version, id.clone());
        let was_of = before.map(|instance| instance.service.clone());
        let is_of = after.map(|instance| instance.service.clone());
        if let Some(service) = was_of.filter(|it| Some(it) != is_of.as_ref()) {
            self.note(&service, id, false);
            applied.services.insert(service);
        }
        if let Some(service) = is_of {
            self.note(&service, id, true);
            applied.services.insert(service);
        }
    }

    /// Notes a change of a service, in which the id shows or does not.
    fn note(&mut self, name: &ServiceName, id: &InstanceId, shows: bool) {
        let forgotten = self.forgotten;
        let service = self.services.entry(name.clone());
        let service = service.or_insert_with(|| Service {
            shown: BTreeSet::new(),
            log: Log::new(SERVICE_HISTORY, forgotten),
        });
        service.log.note(self.version, id.clone());
        if shows {
            service.shown.insert(id.clone());
        } else {
            service.shown.remove(id);
            if service.shown.is_empty() {
                self.empty.push_back(name.clone());
                self.forget_empty();
            }
        }
    }

    fn forget_empty(&mut self) {
        while self.empty.len() > EMPTY_SERVICES_MAX {
            let Some(name) = self.empty.pop_front() else {
                return;
            };
            let stays = |service: &Service| !service.shown.is_empty();
            if self.services.get(&name).is_some_and(stays) {
                continue;
            }
            if let Some(service) = self.services.remove(&name) {
                self.forgotten = self.forgotten.max(service.log.version());
            }
        }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
