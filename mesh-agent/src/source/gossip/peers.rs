//! What other agents have said, and what becomes of it when they fall silent.
//!
//! The instances of an agent that is not heard any more do not go with it: most of them run on. They
//! are orphans, whom every agent checks itself; they go when a check of them fails, or when their
//! agent is back and says otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chitchat::{ChitchatId, NodeState, VersionedValue};
use dreammesh_agent_api::instance::{Instance, InstanceId};

use super::words::{INSTANCE, LEAVING, READY, Unclear, instance_of};
use crate::clock;
use crate::knowledge::Sink;
use crate::registry::Change;

/// How many runs of agents are known at most.
pub(super) const PEERS_MAX: usize = 2_048;
/// How many instances of one agent are taken in.
pub(super) const INSTANCES_PER_AGENT_MAX: usize = 10_000;

/// Within which time a run that is alive has shown it.
const SHOWS_WITHIN: Duration = Duration::from_secs(10);

/// The other agents.
#[derive(Debug)]
pub(super) struct Peers {
    /// What speaks for all of gossip; each agent has a sink beside it.
    sink: Sink,
    /// Where this agent is reached.
    here: SocketAddr,
    by_id: BTreeMap<ChitchatId, Peer>,
    /// Counts runs of agents as they are met.
    met: u64,
    /// Whether there was once another agent that is alive.
    had_company: bool,
}

/// A run of another agent.
#[derive(Debug)]
struct Peer {
    sink: Sink,
    /// When it was met, in relation to others.
    met: u64,
    met_at: Instant,
    /// The versions up to which its words have been taken in.
    read: Option<(u64, u64)>,
    alive: bool,
    was_alive: bool,
    /// Whether it has said all that it had to say when it started.
    ready: bool,
    /// Whether it said that it leaves.
    leaving: bool,
    /// Whether an orphan of it was taken out, which is there again when the agent is.
    lost: bool,
    instances: BTreeMap<InstanceId, Said>,
}

/// What an agent said of an instance.
#[derive(Clone, Debug)]
struct Said {
    /// The version of the words, which no other words of its run have.
    version: u64,
    instance: Arc<Instance>,
}

impl Peer {
    const fn is_silent(&self) -> bool {
        !self.alive || self.leaving
    }

    /// Whether it has died, and is none that has yet to show that it is alive.
    fn is_dead(&self, now: Instant) -> bool {
        let known_for = now.saturating_duration_since(self.met_at);
        !self.alive && (self.was_alive || known_for > SHOWS_WITHIN)
    }
}

/// What is to be told to others after the words of agents were taken in.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    /// Whether an agent said something new, which others ought to hear soon.
    pub(super) news: bool,
    /// Whether the orphans may be others.
    pub(super) orphans: bool,
}

impl Peers {
    pub(super) fn new(sink: Sink, here: SocketAddr) -> Self {
        Self {
            sink,
            here,
            by_id: BTreeMap::new(),
            met: 0,
            had_company: false,
        }
    }

    /// Takes in what all agents say, and which of them are alive.
    pub(super) fn learn<'a>(
        &mut self,
        states: impl Iterator<Item = (&'a ChitchatId, &'a NodeState)>,
        alive: &BTreeSet<ChitchatId>,
    ) -> Learnt {
        let mut learnt = Learnt::default();
        let mut present = BTreeSet::new();
        for (id, state) in states {
            if self.is_own(id) {
                continue;
            }
            present.insert(id);
            if !self.by_id.contains_key(id) && !self.meet(id) {
                continue;
            }
            if let Some(peer) = self.by_id.get_mut(id) {
                peer.learn(id, state, alive.contains(id), &mut learnt);
            }
        }
        // What is forgotten of an agent that is gone for long are its words, not its instances.
        for (_, peer) in self.by_id.iter_mut().filter(|it| !present.contains(it.0)) {
            learnt.orphans |= !peer.is_silent();
            peer.alive = false;
        }
        self.drop_superseded(&mut learnt);
        self.by_id
            .retain(|id, peer| present.contains(id) || !peer.instances.is_empty());
        self.say_problems();
        learnt
    }

    /// The instances whose agents are silent.
    pub(super) fn orphans(&self) -> BTreeSet<InstanceId> {
        let silent = self.by_id.values().filter(|peer| peer.is_silent());
        silent
            .flat_map(|peer| peer.instances.keys().cloned())
            .collect()
    }

    /// Whether another agent is alive, and each that is known has said all that it had to say when
    /// it started. A cluster of which all start at once has no such agent for a while.
    pub(super) fn have_spoken(&self) -> bool {
        let mut peers = self.by_id.values();
        peers.any(|peer| peer.alive) && self.by_id.values().all(|peer| peer.ready)
    }

    /// Takes out an orphan that was found not to answer.
    pub(super) fn lose(&mut self, id: &InstanceId) {
        for peer in self.by_id.values_mut().filter(|peer| peer.is_silent()) {
            if peer.instances.remove(id).is_some() {
                peer.sink.gone(id);
                peer.lost = true;
            }
        }
    }

    /// Whether it is this agent, now or in an earlier run.
    fn is_own(&self, id: &ChitchatId) -> bool {
        let own = &self.sink.knowledge().here().agent;
        *id.node_id == **own && id.gossip_advertise_addr == self.here
    }

    /// Says whether there was room.
    fn meet(&mut self, id: &ChitchatId) -> bool {
        if self.by_id.len() >= PEERS_MAX {
            return false;
        }
        self.met += 1;
        let peer = Peer {
            sink: self.sink.beside(&format!("gossip:{}", id.node_id)),
            met: self.met,
            met_at: clock::now(),
            read: None,
            alive: false,
            was_alive: false,
            ready: false,
            leaving: false,
            lost: false,
            instances: BTreeMap::new(),
        };
        self.by_id.insert(id.clone(), peer);
        true
    }

    /// Drops what an agent said in an earlier run, once it has said all in a later one.
    fn drop_superseded(&mut self, learnt: &mut Learnt) {
        let speaks = |peer: &Peer| peer.alive && peer.ready;
        let now: Vec<_> = self.by_id.iter().filter(|it| speaks(it.1)).collect();
        let is_superseded = |id: &ChitchatId, peer: &Peer| {
            now.iter().any(|(other, by)| {
                let same_agent = other.node_id == id.node_id && *other != id;
                let same_place = other.gossip_advertise_addr == id.gossip_advertise_addr;
                // Only one process listens at an address, so of two runs there the later is.
                let is_later = (by.met, other.generation_id) > (peer.met, id.generation_id);
                same_agent && (peer.is_dead(clock::now()) || same_place && is_later)
            })
        };
        let superseded = self
            .by_id
            .iter()
            .filter(|(id, peer)| is_superseded(id, peer));
        let superseded = superseded.filter(|(_, peer)| !peer.instances.is_empty());
        let superseded: Vec<_> = superseded.map(|(id, _)| id.clone()).collect();
        for id in superseded {
            if let Some(peer) = self.by_id.get_mut(&id) {
                let gone = std::mem::take(&mut peer.instances);
                peer.sink.apply(gone.into_keys().map(Change::Gone));
                peer.lost = true;
                learnt.orphans = true;
            }
        }
    }

    fn say_problems(&mut self) {
        let own = &self.sink.knowledge().here().agent;
        let alive = || self.by_id.iter().filter(|(_, peer)| peer.alive);
        let company = alive().next().is_some();
        let other_self = alive().find(|(id, _)| *id.node_id == **own);
        let problem = match other_self {
            Some((id, _)) => Some(format!(
                "another agent, at {}, calls itself {own} too; give one of them another name",
                id.gossip_advertise_addr
            )),
            None if self.had_company && !company => {
                Some("no other agent is heard any more; what they said last is kept".to_owned())
            }
            None => None,
        };
        self.had_company |= company;
        self.sink.problem(problem.as_deref());
    }
}

impl Peer {
    fn learn(&mut self, id: &ChitchatId, state: &NodeState, alive: bool, learnt: &mut Learnt) {
        let was_silent = self.is_silent();
        if alive != self.alive {
            tracing::info!(agent = %id.node_id, at = %id.gossip_advertise_addr, alive, "heard of");
        }
        self.alive = alive;
        self.was_alive |= alive;
        let version = (state.max_version(), state.last_gc_version());
        let is_back = self.lost && alive && !self.leaving;
        if self.read != Some(version) || is_back {
            self.read = Some(version);
            self.lost = false;
            self.ready = state.contains_key(READY);
            self.leaving = state.contains_key(LEAVING);
            self.take_in(id, state);
            learnt.news = true;
            learnt.orphans |= self.is_silent();
        }
        if alive && self.ready && was_silent && !self.is_silent() {
            let knowledge = self.sink.knowledge();
            knowledge.forget_remembered(&id.node_id);
        }
        learnt.orphans |= was_silent != self.is_silent();
    }

    fn take_in(&mut self, id: &ChitchatId, state: &NodeState) {
        let mut said = BTreeMap::new();
        let mut unclear = None;
        for (key, value) in state.iter_prefix(INSTANCE) {
            let instance_id = &key[INSTANCE.len()..];
            if said.len() >= INSTANCES_PER_AGENT_MAX {
                let text = format!("it speaks for more than {INSTANCES_PER_AGENT_MAX} instances");
                unclear = Some(text);
                break;
            }
            match self.read(id, instance_id, value) {
                Ok(read) => {
                    said.insert(read.instance.id.clone(), read);
                }
                Err(error) => {
                    let shown: String = instance_id.chars().take(64).collect();
                    unclear = Some(format!("what it says of instance {shown:?}: {error}"));
                }
            }
        }
        let gone = self.instances.keys().filter(|id| !said.contains_key(id));
        let gone: Vec<_> = gone.cloned().map(Change::Gone).collect();
        let new = said.iter().filter(|(id, said)| {
            let known = self.instances.get(*id);
            known.is_none_or(|known| known.instance != said.instance)
        });
        let new: Vec<_> = new.map(|it| Change::Set(it.1.instance.clone())).collect();
        let refused = self.sink.apply(gone.into_iter().chain(new));
        if refused > 0 {
            unclear = Some(format!("there was no room for {refused} of its instances"));
        }
        if let Some(problem) = &unclear {
            tracing::warn!(agent = %id.node_id, problem, "cannot be used");
        }
        self.sink.problem(unclear.as_deref());
        self.instances = said;
    }

    /// What is said of an instance; words that were read before are not read again.
    fn read(
        &self,
        id: &ChitchatId,
        instance_id: &str,
        value: &VersionedValue,
    ) -> Result<Said, Unclear> {
        let known = InstanceId::new(instance_id).ok();
        let known = known.and_then(|known| self.instances.get(&known));
        if let Some(known) = known.filter(|known| known.version == value.version) {
            return Ok(known.clone());
        }
        let instance = instance_of(&id.node_id, instance_id, &value.value)?;
        Ok(Said {
            version: value.version,
            instance: Arc::new(instance),
        })
    }
}

#[cfg(test)]
mod tests {
    use chitchat::DeletionStatus;

    use super::super::words::value_of;
    use super::*;
    use crate::knowledge::{Here, Knowledge};
    use crate::registry::Origin;
    use crate::source::contract::instance;

    #[test]
    fn words_that_were_read_before_are_not_read_again() {
        let knowledge = Knowledge::new(Here::new("agent-1", "host-1"));
        let here = SocketAddr::from(([127, 0, 0, 1], 7946));
        let mut peers = Peers::new(knowledge.sink("gossip", Origin::Gossip), here);
        let id = ChitchatId::new("agent-2", 1, here);
        assert!(peers.meet(&id));
        let peer = peers.by_id.get_mut(&id).unwrap();
        let value = |value: String, version| VersionedValue {
            value,
            version,
            status: DeletionStatus::Set,
        };
        let said = value(value_of(&instance("a", 1)).unwrap(), 3);
        let first = peer.read(&id, "a", &said).unwrap();
        peer.instances
            .insert(first.instance.id.clone(), first.clone());
        let again = peer.read(&id, "a", &said).unwrap();
        assert!(Arc::ptr_eq(&first.instance, &again.instance));
        let changed = value(value_of(&instance("a", 2)).unwrap(), 4);
        let changed = peer.read(&id, "a", &changed).unwrap();
        assert_ne!(first.instance, changed.instance);
        assert!(peer.read(&id, "a", &value("!".to_owned(), 5)).is_err());
    }

    #[test]
    fn what_another_agent_says_of_an_instance_is_there_once() {
        let knowledge = Knowledge::new(Here::new("agent-1", "host-1"));
        let sink = knowledge.sink("gossip", Origin::Gossip);
        let value = value_of(&instance("a", 1)).unwrap();
        let read = Arc::new(instance_of("agent-2", "a", &value).unwrap());
        sink.apply([Change::Set(Arc::clone(&read))]);
        let known = knowledge.known(&read.id).unwrap();
        assert!(Arc::ptr_eq(&known.stated, &read));
    }
}
