//! What is known of one service, as the updates of an agent put it together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dreammesh_core::resolve::Knowledge;

use crate::instance::{Instance, InstanceId};
use crate::name::ServiceName;
use crate::proto;

/// How many instances of a service are kept: more than any fleet has, and at some 500 bytes each
/// what a process can bear.
pub const INSTANCES_MAX: usize = 20_000;

/// A watch of a service; it outlives the streams that it is told on.
#[derive(Debug)]
pub(super) struct Watching {
    service: ServiceName,
    instances: BTreeMap<InstanceId, Arc<Instance>>,
    /// Where the agent's word is to go on: its epoch and version, none before its first word.
    reached: Option<(Box<str>, u64)>,
    /// An update of which there are more parts to come.
    part: Option<Part>,
    /// The run of an agent whose word is known: its epoch, empty if it was left on disk.
    word_of: Option<Box<str>>,
    /// What an earlier run said and the next one does not, each until when it is kept.
    held: BTreeMap<InstanceId, (Arc<Instance>, Instant)>,
    /// Whether an agent has confirmed on this stream that this is all.
    is_current: bool,
    /// Since when somebody has waited for a first word, until something is known.
    waiting: Option<Instant>,
    knowledge: Arc<Knowledge>,
}

/// What the parts of an update have said so far.
#[derive(Debug, Default)]
struct Part {
    /// Instances as they are now; none for those that are gone.
    changed: BTreeMap<InstanceId, Option<Arc<Instance>>>,
}

/// An update that does not go on from what is known here, so that all has to be said again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap;

impl Watching {
    pub(super) fn new(service: ServiceName, now: Instant) -> Self {
        Self {
            service,
            instances: BTreeMap::new(),
            reached: None,
            part: None,
            word_of: None,
            held: BTreeMap::new(),
            is_current: false,
            waiting: Some(now),
            knowledge: Arc::new(Knowledge::new(now)),
        }
    }

    pub(super) const fn service(&self) -> &ServiceName {
        &self.service
    }

    /// What is known, ordered by id, with what is held.
    pub(super) fn instances(&self) -> Vec<Arc<Instance>> {
        let held = self.held.values().map(|(instance, _)| instance);
        let mut all: Vec<_> = self.instances.values().chain(held).cloned().collect();
        if !self.held.is_empty() {
            all.sort_by(|a, b| a.id.cmp(&b.id));
        }
        all
    }

    /// When something that is held goes: not while there is no agent that could say more.
    pub(super) fn release_at(&self) -> Option<Instant> {
        let held = self.held.values().filter(|_| self.is_current);
        held.map(|(_, until)| *until).min()
    }

    /// Lets go of what was held long enough; says whether there was any.
    pub(super) fn release(&mut self, now: Instant) -> bool {
        let before = self.held.len();
        self.held
            .retain(|_, (_, until)| !self.is_current || *until > now);
        self.held.len() != before
    }

    pub(super) const fn knowledge(&self) -> &Arc<Knowledge> {
        &self.knowledge
    }

    /// When whoever waits for a first word has waited long enough.
    pub(super) fn patience_ends(&self, patience: Duration) -> Option<Instant> {
        self.waiting.map(|since| since + patience)
    }

    /// Nobody waits any more: there is something to go by, be it that nothing is known.
    pub(super) const fn settle(&mut self) {
        self.waiting = None;
    }

    /// What the agent is asked.
    pub(super) fn ask(&self, key: u32) -> proto::Watch {
        let (epoch, version) = self.reached.clone().unwrap_or_default();
        proto::Watch {
            key,
            service: self.service.name().to_owned(),
            namespace: self.service.namespace().to_owned(),
            epoch: epoch.into(),
            version,
            ..Default::default()
        }
    }

    /// The agent is gone. What it has said stays.
    pub(super) fn handle_apart(&mut self) {
        self.part = None;
        self.is_current = false;
    }

    /// Forgets where the agent's word was to go on, so that it says all again.
    pub(super) fn start_over(&mut self) {
        self.part = None;
        self.reached = None;
        self.is_current = false;
    }

    /// Something was heard of the agent, which would have said if anything had changed.
    pub(super) fn confirm(&self, now: Instant) {
        if self.is_current {
            self.knowledge.confirm(now);
        }
    }

    /// Takes what was known before this process, unless something better is known.
    pub(super) fn handle_remembered(
        &mut self,
        instances: &[Arc<Instance>],
        age: Duration,
        now: Instant,
    ) {
        if self.waiting.is_some() {
            let known = instances.iter().take(INSTANCES_MAX);
            self.instances = known.map(|it| (it.id.clone(), Arc::clone(it))).collect();
            self.word_of = Some(Box::default());
            self.knowledge.confirm_aged(now, age);
        }
    }

    /// Takes in an update; says whether something is known now that was not before.
    pub(super) fn handle_update(
        &mut self,
        epoch: &str,
        update: proto::Update,
        now: Instant,
    ) -> Result<bool, Gap> {
        let goes_on = self
            .reached
            .as_ref()
            .is_some_and(|(of, version)| **of == *epoch && *version <= update.version);
        if !update.complete && !goes_on {
            return Err(Gap);
        }
        let mut part = self.part.take().unwrap_or_default();
        let mut skipped = None;
        for said in update.changed {
            let id = said.id.clone();
            if part.changed.len() >= INSTANCES_MAX {
                skipped = Some((id, format!("there are more than {INSTANCES_MAX}")));
                break;
            }
            match self.checked(said) {
                Ok(instance) => {
                    part.changed.insert(instance.id.clone(), Some(instance));
                }
                Err(why) => skipped = Some((id, why)),
            }
        }
        for id in update.removed {
            // What nobody knew cannot be gone; so there are no more than are known.
            if let Ok(id) = InstanceId::new(id)
                && (self.is_known(&id) || part.changed.contains_key(&id))
            {
                part.changed.insert(id, None);
            }
        }
        if let Some((id, why)) = skipped {
            let shown: String = id.chars().take(SHOWN_CHARS).collect();
            tracing::warn!(service = %self.service, id = ?shown, why, "instances are left out");
        }
        if update.more {
            self.part = Some(part);
            return Ok(false);
        }
        let is_next_run = update.complete && self.word_of.as_deref() != Some(epoch);
        let before = is_next_run.then(|| self.instances.clone());
        let mut changed = self.apply(part, update.complete);
        if let Some(before) = before {
            changed = self.hold(&before, now);
        }
        self.word_of = Some(epoch.into());
        self.reached = Some((epoch.into(), update.version));
        self.is_current = true;
        self.knowledge.confirm(now);
        Ok(std::mem::take(&mut self.waiting).is_some() || changed)
    }

    /// What an agent said of an instance, if it can be one of this service.
    fn checked(&self, said: proto::Instance) -> Result<Arc<Instance>, String> {
        let instance = Instance::try_from(said).map_err(|error| error.to_string())?;
        match instance.service == self.service {
            true => Ok(Arc::new(instance)),
            false => Err(format!("it is of {}", instance.service)),
        }
    }

    fn is_known(&self, id: &InstanceId) -> bool {
        self.instances.contains_key(id) || self.held.contains_key(id)
    }

    /// Keeps what an earlier run said and this one does not, for as long as it may take to come
    /// back; says whether what is known differs from what it was.
    ///
    /// An agent that has lost its state, or part of it, begins with less than there is. One that
    /// does so again and again says nothing that could be gone by.
    fn hold(&mut self, before: &BTreeMap<InstanceId, Arc<Instance>>, now: Instant) -> bool {
        let until = now + HELD_FOR;
        for held in self.held.values_mut() {
            held.1 = until;
        }
        let mut changed = false;
        for (id, instance) in before {
            if self.is_known(id) {
                continue;
            }
            if self.instances.len() + self.held.len() < INSTANCES_MAX {
                self.held.insert(id.clone(), (Arc::clone(instance), until));
            } else {
                changed = true;
            }
        }
        changed
            || self
                .instances
                .iter()
                .any(|(id, it)| before.get(id) != Some(it))
    }

    fn apply(&mut self, part: Part, complete: bool) -> bool {
        for id in part.changed.keys() {
            self.held.remove(id);
        }
        if complete {
            let all = part.changed.into_iter();
            let all = all
                .filter_map(|(id, instance)| Some((id, instance?)))
                .collect();
            let changed = self.instances != all;
            self.instances = all;
            return changed;
        }
        let mut changed = false;
        for (id, instance) in part.changed {
            match instance {
                None => changed |= self.instances.remove(&id).is_some(),
                Some(instance) => {
                    let room = self.instances.len() < INSTANCES_MAX;
                    if room || self.instances.contains_key(&id) {
                        let former = self.instances.insert(id, Arc::clone(&instance));
                        changed |= former.as_ref() != Some(&instance);
                    }
                }
            }
        }
        changed
    }
}

/// How long is kept what a new run of an agent does not know: instances come back to it within the
/// longest time between two tries, twice, and what is gone must not be called for longer than a host
/// that is unreachable is.
pub(super) const HELD_FOR: Duration = Duration::from_secs(5);
/// Enough to find it, and no more than fits a line.
const SHOWN_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Instant {
        crate::clock::now()
    }

    fn instance(id: &str) -> proto::Instance {
        proto::Instance {
            id: id.into(),
            service: "catalog".into(),
            addresses: vec!["10.0.0.7".into()],
            ports: vec![proto::Port {
                number: 1,
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn update(version: u64, complete: bool, changed: &[&str], removed: &[&str]) -> proto::Update {
        proto::Update {
            version,
            complete,
            changed: changed.iter().map(|id| instance(id)).collect(),
            removed: removed.iter().map(|id| (*id).to_owned()).collect(),
            ..Default::default()
        }
    }

    fn watching() -> Watching {
        Watching::new("catalog".parse().unwrap(), origin())
    }

    fn ids(watching: &Watching) -> Vec<&str> {
        let known = watching.instances.keys().chain(watching.held.keys());
        let mut ids: Vec<_> = known.map(InstanceId::as_str).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn what_changes_goes_on_from_what_is_known() {
        let (mut it, now) = (watching(), origin());
        assert_eq!(
            it.handle_update("e", update(4, true, &["b", "a"], &[]), now),
            Ok(true)
        );
        assert_eq!(
            it.handle_update("e", update(5, false, &["c"], &["a"]), now),
            Ok(true)
        );
        assert_eq!(ids(&it), ["b", "c"]);
        // Nothing changed meanwhile, as after a break.
        assert_eq!(
            it.handle_update("e", update(5, false, &[], &["x"]), now),
            Ok(false)
        );
        let ask = it.ask(7);
        assert_eq!((&*ask.epoch, ask.version, ask.key), ("e", 5, 7));
        assert_eq!(
            it.handle_update("e", update(1, true, &["b", "c"], &[]), now),
            Ok(false)
        );
        assert_eq!(
            it.handle_update("e", update(2, true, &[], &[]), now),
            Ok(true)
        );
        assert_eq!(ids(&it), [""; 0]);
    }

    #[test]
    fn a_change_that_does_not_go_on_is_a_gap_and_nothing_is_lost() {
        let (mut it, now) = (watching(), origin());
        assert_eq!(
            it.handle_update("e", update(1, false, &["a"], &[]), now),
            Err(Gap)
        );
        it.handle_update("e", update(4, true, &["a"], &[]), now)
            .unwrap();
        assert_eq!(
            it.handle_update("e", update(3, false, &[], &["a"]), now),
            Err(Gap)
        );
        assert_eq!(
            it.handle_update("f", update(5, false, &[], &["a"]), now),
            Err(Gap)
        );
        assert_eq!(ids(&it), ["a"]);
        it.start_over();
        assert_eq!((&*it.ask(1).epoch, it.ask(1).version), ("", 0));
        assert_eq!(ids(&it), ["a"]);
    }

    #[test]
    fn nothing_of_an_update_holds_before_its_last_part() {
        let (mut it, now) = (watching(), origin());
        it.handle_update("e", update(1, true, &["a"], &[]), now)
            .unwrap();
        let part = |ids: &[&str], more| proto::Update {
            more,
            ..update(2, true, ids, &[])
        };
        assert_eq!(it.handle_update("e", part(&["b"], true), now), Ok(false));
        assert_eq!(ids(&it), ["a"]);
        // The agent went in the middle, so the next one begins anew.
        it.handle_apart();
        assert_eq!(it.handle_update("e", part(&["c"], true), now), Ok(false));
        assert_eq!(it.handle_update("e", part(&["d"], false), now), Ok(true));
        assert_eq!(ids(&it), ["c", "d"]);
    }

    #[test]
    fn what_is_no_instance_of_it_is_left_out_and_the_rest_is_used() {
        let (mut it, now) = (watching(), origin());
        let mut said = update(1, true, &["a", "b", "c", "d"], &[]);
        said.changed[0].ports.clear();
        said.changed[1].service = "cart".into();
        said.changed[2].id = "x".repeat(1 << 20);
        assert_eq!(it.handle_update("e", said, now), Ok(true));
        assert_eq!(ids(&it), ["d"]);
        // What an agent says wrongly of one that was right before leaves it as it was.
        let mut said = update(2, false, &["d"], &[]);
        said.changed[0].ports.clear();
        assert_eq!(it.handle_update("e", said, now), Ok(false));
        assert_eq!(ids(&it), ["d"]);
    }

    #[test]
    fn the_number_of_instances_is_bounded_however_they_come() {
        let (mut it, now) = (watching(), origin());
        let ids: Vec<String> = (0..=INSTANCES_MAX).map(|at| format!("i{at}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let (most, last) = ids.split_at(INSTANCES_MAX);
        it.handle_update("e", update(1, true, most, &[]), now)
            .unwrap();
        assert_eq!(it.instances.len(), INSTANCES_MAX);
        it.handle_update("e", update(2, false, last, &[]), now)
            .unwrap();
        assert_eq!(it.instances.len(), INSTANCES_MAX);
        it.handle_update("e", update(3, true, &ids, &[]), now)
            .unwrap();
        assert_eq!(it.instances.len(), INSTANCES_MAX);
        for ids in ids.chunks(1_000) {
            let part = proto::Update {
                more: true,
                ..update(4, true, ids, ids)
            };
            it.handle_update("e", part, now).unwrap();
        }
        assert!(it.part.unwrap().changed.len() <= INSTANCES_MAX);
    }

    #[test]
    fn what_a_new_run_does_not_know_is_held_for_a_while() {
        let (mut it, now) = (watching(), origin());
        let later = |secs| now + Duration::from_secs(secs);
        it.handle_update("e", update(9, true, &["a", "b", "c", "d"], &[]), now)
            .unwrap();
        it.handle_apart();
        // Nothing is known differently by it.
        let first = update(1, true, &["a"], &[]);
        assert_eq!(it.handle_update("f", first, now), Ok(false));
        assert_eq!(ids(&it), ["a", "b", "c", "d"]);
        let known = it.instances();
        assert!(known.is_sorted_by_key(|it| it.id.clone()) && known.len() == 4);
        assert_eq!(it.release_at(), Some(now + HELD_FOR));
        // One comes back, and of another it is said that it is gone.
        let second = update(2, false, &["b"], &["c"]);
        assert_eq!(it.handle_update("f", second, later(1)), Ok(true));
        assert_eq!(ids(&it), ["a", "b", "d"]);
        // Yet another run may have lost it again.
        it.handle_update("g", update(1, true, &["b"], &[]), later(3))
            .unwrap();
        assert!(!it.release(later(3) + HELD_FOR - Duration::from_nanos(1)));
        assert_eq!(ids(&it), ["a", "b", "d"]);
        assert!(it.release(later(3) + HELD_FOR));
        assert_eq!((ids(&it), it.release_at()), (vec!["b"], None));
        // What the same run says is believed at once, be it all there is.
        it.start_over();
        it.handle_update("g", update(7, true, &[], &[]), later(9))
            .unwrap();
        assert_eq!(ids(&it), [""; 0]);
    }

    #[test]
    fn what_was_left_on_disk_is_held_as_well_and_all_of_it_is_bounded() {
        let (mut it, now) = (watching(), origin());
        let left: Vec<_> = (0..INSTANCES_MAX)
            .map(|at| Arc::new(Instance::try_from(instance(&format!("i{at}"))).unwrap()))
            .collect();
        it.handle_remembered(&left, Duration::ZERO, now);
        it.handle_update("e", update(1, true, &["new", "i0"], &[]), now)
            .unwrap();
        assert_eq!(it.instances().len(), INSTANCES_MAX);
        assert_eq!(
            it.held.len(),
            INSTANCES_MAX - 2,
            "one past the most is not held"
        );
        // What is new has room all the same.
        it.handle_update("e", update(2, false, &["newer"], &[]), now)
            .unwrap();
        assert!(
            it.instances
                .contains_key(&InstanceId::new("newer").unwrap())
        );
    }

    #[test]
    fn knowledge_is_confirmed_while_an_agent_speaks_and_ages_when_it_is_gone() {
        let (mut it, now) = (watching(), origin());
        let later = |secs| now + Duration::from_secs(secs);
        it.confirm(later(1));
        assert_eq!(it.knowledge().age(later(1)), None);
        it.handle_update("e", update(1, true, &["a"], &[]), later(2))
            .unwrap();
        it.confirm(later(5));
        it.handle_apart();
        it.confirm(later(7));
        assert_eq!(it.knowledge().age(later(8)), Some(Duration::from_secs(3)));
    }
}
