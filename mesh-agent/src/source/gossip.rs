//! What agents say to one another of the instances that they speak for.
//!
//! Each agent says what is attached to it and what its files say, and nothing that it has heard, so
//! nothing echoes. `chitchat` carries it: every agent compares what it knows with a few others, four
//! times a second, and besides at once when there is news.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chitchat::transport::Transport;
use chitchat::{
    Chitchat, ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, ProtocolVersion,
    spawn_chitchat,
};
use dreammesh_agent_api::instance::{Instance, InstanceId};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, sleep_until};

use super::{Running, Source};
use crate::chance;
use crate::clock;
use crate::gossip::transport::Heard;
use crate::knowledge::{Changes, Sink};
use crate::registry::{Origin, Update};
use crate::settling::{Awaited, Settling, Waiting};

pub use neighbours::Neighbours;

use peers::{Learnt, Peers};
use words::{INSTANCE, LEAVING, READY, value_of};

mod neighbours;
mod peers;
#[cfg(test)]
mod tests;
mod words;

/// How often an agent compares what it knows with others.
pub const INTERVAL: Duration = Duration::from_millis(250);
/// How many agents are told of news at once; each of them tells as many.
pub const FANOUT: usize = 4;
/// How far apart news are told at least.
pub const NEWS_EVERY: Duration = Duration::from_millis(25);
/// How long after a message has come it is looked at, with all that came meanwhile.
const LOOK_AFTER: Duration = Duration::from_millis(5);
/// How long agents are known to `chitchat` after they have died; their instances are known longer.
const FORGET_AFTER: Duration = Duration::from_secs(600);
/// How unlikely the silence of an agent that is alive has to be; see [`failure_detector`].
const PHI: f64 = 6.5;
/// How often seeds are looked up again while nobody is heard.
const SEEK_EVERY: Duration = Duration::from_secs(3);

/// How long what is known counts for less than all because no other agent was heard: two exchanges,
/// and as much again. Somebody who starts apart from all others is kept waiting for so long.
const HEARING_MAX: Duration = Duration::from_secs(2);
/// It is looked who is alive four times a second; what comes so late was stopped, and so had others
/// been taken for dead that were not heard.
const ABSENT_AFTER: Duration = Duration::from_secs(1);
/// How long who was alive then is taken to be: `chitchat` needs to hear of each twice, and looks
/// four times a second.
const EXCUSED_FOR: Duration = Duration::from_secs(2);
/// What an agent knows by itself: it is all said when nothing of this is to come.
const SAID: [Awaited; 2] = [Awaited::Files, Awaited::Applications];

/// What an agent is to the others.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Membership {
    /// Where others reach it.
    pub address: SocketAddr,
    /// The cluster's name.
    pub cluster: String,
    /// Agents to begin with, as `host:port`.
    pub seeds: Vec<String>,
    /// Tells this run from others of the same agent.
    pub generation: u64,
}

impl Membership {
    /// Of a cluster, beginning with these agents.
    pub fn new(address: SocketAddr, cluster: impl Into<String>, seeds: Vec<String>) -> Self {
        Self {
            address,
            cluster: cluster.into(),
            seeds,
            generation: clock::wall_ms(),
        }
    }
}

/// What other agents say.
pub struct GossipSource {
    membership: Membership,
    transport: Box<dyn Transport>,
    heard: Arc<Heard>,
    neighbours: Neighbours,
}

impl GossipSource {
    /// The source that speaks through a transport; `heard` rings when a message came through it.
    pub fn new(membership: Membership, transport: Box<dyn Transport>, heard: Arc<Heard>) -> Self {
        Self {
            neighbours: Neighbours::new(heard.clone()),
            membership,
            transport,
            heard,
        }
    }

    /// What others of this agent may ask of it while it runs.
    pub fn neighbours(&self) -> Neighbours {
        self.neighbours.clone()
    }

    async fn follow(self, sink: Sink, hearing: Option<Waiting>) {
        let settling = sink.knowledge().settling().clone();
        let Membership {
            address,
            cluster,
            seeds,
            generation,
        } = self.membership;
        let name = sink.knowledge().here().agent.clone();
        let config = ChitchatConfig {
            chitchat_id: ChitchatId::new(&*name, generation, address),
            cluster_id: cluster,
            gossip_interval: INTERVAL,
            listen_addr: address,
            seed_nodes: seeds.clone(),
            failure_detector_config: failure_detector(),
            marked_for_deletion_grace_period: FORGET_AFTER,
            catchup_callback: None,
            extra_liveness_predicate: None,
            protocol_version: ProtocolVersion::V0,
        };
        let mut changes = sink.knowledge().changes();
        let first = changes.next().await;
        let mut values: Vec<_> = said_by(&changes, &first).collect();
        let is_ready = settling.is_over(&SAID);
        if is_ready {
            values.push((READY.to_owned(), "1".to_owned()));
        }
        let handle = match spawn_chitchat(config, values, &*self.transport).await {
            Ok(handle) => Arc::new(Ended(handle)),
            Err(error) => {
                let problem = format!("gossip cannot start: {error:#}");
                tracing::error!(problem);
                sink.problem(Some(&problem));
                return std::future::pending().await;
            }
        };
        self.neighbours.set_handle(&handle);
        let node = Node {
            handle,
            peers: Peers::new(sink, address),
            neighbours: self.neighbours,
            heard: self.heard,
            news_at: None,
            last_news: None,
            seeds,
            is_ready,
            hearing,
            looked: clock::now(),
            alive: BTreeSet::new(),
            excused: None,
        };
        node.run(changes, &settling).await;
    }
}

impl fmt::Debug for GossipSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GossipSource")
            .field("membership", &self.membership)
            .finish_non_exhaustive()
    }
}

impl Source for GossipSource {
    fn name(&self) -> String {
        format!("gossip:{}", self.membership.address)
    }

    fn origin(&self) -> Origin {
        Origin::Gossip
    }

    fn run(self: Box<Self>, sink: Sink) -> Running {
        let Membership { address, seeds, .. } = &self.membership;
        // Who names only itself begins the cluster, and has nobody to wait for.
        let others = seeds.iter().any(|seed| *seed != address.to_string());
        let settling = sink.knowledge().settling();
        let hearing = others.then(|| settling.wait_for(Awaited::Agents));
        Box::pin(self.follow(sink, hearing))
    }
}

/// When an agent is taken for dead: 1.35 to 1.6 s after the last sign of it that came by anybody, which
/// may be on its way by others for most of a second.
///
/// `chitchat` compares the silence with the mean of the last interval `x` and of five times what was
/// expected, so with [`PHI`] it may last `6.5 · (x + 5 · 0.25 s) / 6`: 1.35 s on a busy network, on which
/// signs come by many; 1.62 s where they come at the pace of gossip; 2.44 s where the last one came as
/// late as counts. With a window of one it hardly moves: a detector that learns the pace of a quiet
/// network takes a busy one for dead, and one that learns a slow pace is late.
///
/// Within 1.35 s an agent sends another five datagrams with its sign and answers as many; of two agents
/// and with one datagram of ten lost, all of them are in one such time of some 10⁸, and with more agents
/// there are more ways. So it is an agent without a processor that is taken for dead wrongly, which
/// costs a check of its instances. Less than 6.5 was no faster with twenty agents: what is left is the
/// way of the last sign.
fn failure_detector() -> FailureDetectorConfig {
    FailureDetectorConfig {
        phi_threshold: PHI,
        sampling_window_size: 1,
        max_interval: Duration::from_secs(1),
        initial_interval: INTERVAL,
        dead_node_grace_period: FORGET_AFTER,
    }
}

/// `chitchat` runs on in its own task when its handle is dropped; so that is stopped here.
struct Ended(ChitchatHandle);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The running source.
struct Node {
    handle: Arc<Ended>,
    peers: Peers,
    neighbours: Neighbours,
    heard: Arc<Heard>,
    /// When news are to be told, if there are any.
    news_at: Option<Instant>,
    last_news: Option<Instant>,
    seeds: Vec<String>,
    /// Whether the others were told that all has been said that there was to say after the start.
    is_ready: bool,
    /// Held until others were heard, or that took too long.
    hearing: Option<Waiting>,
    /// When it was last looked who is alive, and who was.
    looked: Instant,
    alive: BTreeSet<ChitchatId>,
    /// Those who were alive before this agent was stopped, and until when they are taken to be.
    excused: Option<(Instant, BTreeSet<ChitchatId>)>,
}

impl Node {
    async fn run(mut self, mut changes: Changes, settling: &Settling) {
        let (mut looks, mut seeks) = (ticks(INTERVAL), ticks(SEEK_EVERY));
        let mut said = std::pin::pin!(settling.over(&SAID));
        let mut heard = std::pin::pin!(sleep(HEARING_MAX));
        loop {
            tokio::select! {
                () = &mut said, if !self.is_ready => self.ready(&changes).await,
                () = &mut heard, if self.hearing.is_some() => self.hearing = None,
                update = changes.next() => self.publish(&changes, &update).await,
                () = self.heard.message() => {
                    sleep(LOOK_AFTER).await;
                    self.learn().await;
                }
                _ = looks.tick() => self.learn().await,
                () = self.neighbours.lost() => {
                    for id in self.neighbours.take_lost() {
                        self.peers.lose(&id);
                    }
                    self.neighbours.set_orphans(self.peers.orphans());
                }
                () = until(self.news_at) => self.tell().await,
                _ = seeks.tick() => self.seek().await,
            }
        }
    }

    /// Says to the others what changed here.
    async fn publish(&mut self, changes: &Changes, update: &Update) {
        if self.neighbours.is_leaving() {
            return;
        }
        let said: Vec<_> = said_by(changes, update).collect();
        let mut chitchat = self.handle.0.chitchat().lock_owned().await;
        let own = chitchat.self_node_state();
        let before = own.max_version();
        let kept: BTreeSet<&str> = said.iter().map(|(key, _)| key.as_str()).collect();
        let spoken = own.iter_prefix(INSTANCE).map(|(key, _)| key.to_owned());
        let concerned: BTreeSet<_> = update
            .changed
            .iter()
            .map(|instance| &instance.id)
            .chain(&update.removed)
            .map(key_of)
            .collect();
        let is_gone = |key: &String| {
            (update.complete || concerned.contains(key)) && !kept.contains(key.as_str())
        };
        let gone: Vec<_> = spoken.filter(is_gone).collect();
        for key in gone {
            own.delete(&key);
        }
        for (key, value) in &said {
            own.set(key, value);
        }
        let has_news = own.max_version() != before;
        drop(chitchat);
        if has_news {
            self.has_news();
        }
    }

    /// Says to the others that all has been said: what an earlier run said and this one does not is
    /// gone. Of what changed meanwhile, all is said before it.
    async fn ready(&mut self, changes: &Changes) {
        self.is_ready = true;
        let all = changes
            .knowledge()
            .read(|registry| registry.update_of_all(None));
        if let Some(all) = all {
            self.publish(changes, &all).await;
        }
        if self.neighbours.is_leaving() {
            return;
        }
        let ready = |chitchat: &mut Chitchat| chitchat.self_node_state().set(READY, "1");
        self.handle.0.with_chitchat(ready).await;
        self.has_news();
    }

    /// Takes in what the others say.
    async fn learn(&mut self) {
        let chitchat = self.handle.0.chitchat().lock_owned().await;
        let alive = self.excusing(others_alive(&chitchat));
        let Learnt { news, orphans } = self.peers.learn(chitchat.node_states().iter(), &alive);
        drop(chitchat);
        if self.peers.have_spoken() {
            self.hearing = None;
        }
        self.neighbours.set_alive(&alive);
        self.alive = alive;
        if orphans {
            self.neighbours.set_orphans(self.peers.orphans());
        }
        if news {
            self.has_news();
        }
    }

    /// Those who are alive, with those of whom that cannot be known: of whom nothing was heard
    /// because this agent was stopped.
    fn excusing(&mut self, mut alive: BTreeSet<ChitchatId>) -> BTreeSet<ChitchatId> {
        let now = clock::now();
        if now.saturating_duration_since(self.looked) > ABSENT_AFTER {
            let until = now + EXCUSED_FOR;
            self.excused = Some((until, std::mem::take(&mut self.alive)));
        }
        self.looked = now;
        match &self.excused {
            Some((until, were)) if now < *until => alive.extend(were.iter().cloned()),
            _ => self.excused = None,
        }
        alive
    }

    fn has_news(&mut self) {
        let now = clock::now();
        let next = self.last_news.map_or(now, |last| last + NEWS_EVERY);
        self.news_at = Some(self.news_at.unwrap_or_else(|| next.max(now)));
    }

    /// Has a few others compare what they know with this agent, now.
    async fn tell(&mut self) {
        self.news_at = None;
        self.last_news = Some(clock::now());
        tell_some(&self.handle.0, FANOUT).await;
    }

    /// Looks up seeds whose names could not be found, while nobody else is heard.
    async fn seek(&self) {
        if !self.neighbours.is_alone() {
            return;
        }
        for seed in self.seeds.clone() {
            let handle = self.handle.clone();
            // A name may take long to be looked up, and nothing else is to wait for it.
            tokio::spawn(async move {
                for address in tokio::net::lookup_host(seed).await.into_iter().flatten() {
                    let _ = handle.0.gossip(address);
                }
            });
        }
    }
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

fn others_alive(chitchat: &Chitchat) -> BTreeSet<ChitchatId> {
    let own = chitchat.self_chitchat_id();
    let alive = chitchat.live_nodes().filter(|id| *id != own);
    alive.cloned().collect()
}

/// Has a few others, drawn by lot, compare what they know with this agent.
async fn tell_some(handle: &ChitchatHandle, most: usize) {
    let own = handle.chitchat_id().gossip_advertise_addr;
    let alive = handle
        .with_chitchat(|chitchat| others_alive(chitchat))
        .await;
    let mut addresses: Vec<_> = alive.iter().map(|id| id.gossip_advertise_addr).collect();
    addresses.retain(|address| *address != own);
    for _ in 0..most.min(addresses.len()) {
        let drawn = usize::try_from(chance::number() % addresses.len() as u64).unwrap_or(0);
        // It fails only when gossip has ended.
        let _ = handle.gossip(addresses.swap_remove(drawn));
    }
}

fn key_of(id: &InstanceId) -> String {
    format!("{INSTANCE}{id}")
}

/// What this agent says of the instances in an update: of those that it speaks for.
fn said_by<'a>(
    changes: &'a Changes,
    update: &'a Update,
) -> impl Iterator<Item = (String, String)> + 'a {
    let is_local = |instance: &&Arc<Instance>| {
        let known = changes.knowledge().known(&instance.id);
        known.is_some_and(|known| known.origin.is_local())
    };
    update.changed.iter().filter(is_local).filter_map(|instance| {
        let value = value_of(instance);
        if value.is_none() {
            tracing::warn!(instance = %instance.id, "has too many words to tell other agents of it");
        }
        Some((key_of(&instance.id), value?))
    })
}
