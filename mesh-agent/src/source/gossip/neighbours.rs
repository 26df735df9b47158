//! What the rest of an agent may ask of gossip, and tell it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use chitchat::ChitchatId;
use dreammesh_agent_api::instance::InstanceId;
use dreammesh_agent_api::proto;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::{Ended, LEAVING, tell_some};
use crate::clock;
use crate::gossip::guard::Dropped;
use crate::gossip::transport::Heard;
use crate::metrics::{Figures, head, line};
use crate::questions::Members;

/// How many others are told that the agent leaves.
const FAREWELLS: usize = 8;
/// How long they have to hear it: two exchanges over a slow network.
const FAREWELL: Duration = Duration::from_millis(300);

/// The other agents, as gossip knows them; a clone shares it.
#[derive(Clone)]
pub struct Neighbours(Arc<Shared>);

struct Shared {
    heard: Arc<Heard>,
    /// Gossip ends with the source, and not with whoever asks of it.
    handle: Mutex<Weak<Ended>>,
    /// The runs of agents that are known, and when each was last alive.
    seen: Mutex<BTreeMap<ChitchatId, (Instant, bool)>>,
    orphans: watch::Sender<Arc<BTreeSet<InstanceId>>>,
    lost: Mutex<Vec<InstanceId>>,
    lost_some: Notify,
    leaving: AtomicBool,
}

impl Neighbours {
    pub(super) fn new(heard: Arc<Heard>) -> Self {
        Self(Arc::new(Shared {
            heard,
            handle: Mutex::default(),
            seen: Mutex::default(),
            orphans: watch::Sender::default(),
            lost: Mutex::default(),
            lost_some: Notify::new(),
            leaving: AtomicBool::new(false),
        }))
    }

    /// The instances whose agents are not heard any more. Whoever hears of them checks them, and
    /// says by [`Self::lose`] which do not answer.
    pub fn orphans(&self) -> watch::Receiver<Arc<BTreeSet<InstanceId>>> {
        self.0.orphans.subscribe()
    }

    /// An orphan does not answer: it goes, until its agent is heard again.
    pub fn lose(&self, id: InstanceId) {
        lock(&self.0.lost).push(id);
        self.0.lost_some.notify_one();
    }

    /// Tells the others that this agent leaves and its instances stay. From now on it says nothing
    /// else: what its sources take back while they end is not meant.
    pub async fn leave(&self) {
        self.0.leaving.store(true, Ordering::Relaxed);
        let handle = lock(&self.0.handle).upgrade();
        if let Some(handle) = handle {
            let leaving = |chitchat: &mut chitchat::Chitchat| {
                chitchat.self_node_state().set(LEAVING, "1");
            };
            handle.0.with_chitchat(leaving).await;
            if !self.is_alone() {
                tell_some(&handle.0, FAREWELLS).await;
                sleep(FAREWELL).await;
            }
            let _ = handle.0.initiate_shutdown();
        }
    }

    pub(super) fn set_handle(&self, handle: &Arc<Ended>) {
        *lock(&self.0.handle) = Arc::downgrade(handle);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.0.leaving.load(Ordering::Relaxed)
    }

    pub(super) fn is_alone(&self) -> bool {
        !lock(&self.0.seen).values().any(|(_, alive)| *alive)
    }

    pub(super) fn set_alive(&self, alive: &BTreeSet<ChitchatId>) {
        let now = clock::now();
        let mut seen = lock(&self.0.seen);
        for (id, entry) in seen.iter_mut() {
            entry.1 = alive.contains(id);
        }
        for id in alive {
            seen.insert(id.clone(), (now, true));
        }
        // An earlier run of an agent that is alive is nobody.
        let back: BTreeSet<_> = alive.iter().map(|id| id.node_id.clone()).collect();
        let forget = |(since, _): &(Instant, bool)| now.saturating_duration_since(*since);
        seen.retain(|id, it| {
            it.1 || !back.contains(&id.node_id) && forget(it) < super::FORGET_AFTER
        });
    }

    pub(super) fn set_orphans(&self, orphans: BTreeSet<InstanceId>) {
        self.0.orphans.send_if_modified(|last| {
            let is_new = **last != orphans;
            if is_new {
                *last = Arc::new(orphans);
            }
            is_new
        });
    }

    pub(super) async fn lost(&self) {
        self.0.lost_some.notified().await;
    }

    pub(super) fn take_lost(&self) -> Vec<InstanceId> {
        std::mem::take(&mut lock(&self.0.lost))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in them is replaced as a whole, so a panic leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Members for Neighbours {
    fn members(&self) -> Vec<proto::Member> {
        let now = clock::now();
        let seen = lock(&self.0.seen);
        let member = |(id, (since, alive)): (&ChitchatId, &(Instant, bool))| proto::Member {
            agent: id.node_id.to_string(),
            address: id.gossip_advertise_addr.to_string(),
            alive: *alive,
            heard_ms_ago: u64::try_from(now.saturating_duration_since(*since).as_millis())
                .unwrap_or(u64::MAX),
            ..Default::default()
        };
        seen.iter().map(member).collect()
    }
}

impl Figures for Neighbours {
    fn write(&self, text: &mut String) {
        let name = "dreammesh_agent_gossip_members";
        head(text, name, "gauge", "Other agents that are known.");
        let alive = lock(&self.0.seen).values().filter(|it| it.1).count();
        let dead = lock(&self.0.seen).len() - alive;
        line(text, name, &[("state", "alive")], alive);
        line(text, name, &[("state", "silent")], dead);
        let name = "dreammesh_agent_gossip_bytes_total";
        head(text, name, "counter", "Bytes of datagrams of gossip.");
        let (received, sent) = self.0.heard.bytes();
        line(text, name, &[("direction", "received")], received);
        line(text, name, &[("direction", "sent")], sent);
        let name = "dreammesh_agent_gossip_dropped_total";
        head(
            text,
            name,
            "counter",
            "Datagrams of gossip that were dropped.",
        );
        for kind in Dropped::ALL {
            let count = self.0.heard.dropped(kind);
            line(text, name, &[("kind", kind.as_str())], count);
        }
        let name = "dreammesh_agent_gossip_orphans";
        head(
            text,
            name,
            "gauge",
            "Instances whose agents are not heard any more.",
        );
        line(text, name, &[], self.0.orphans.borrow().len());
    }
}

impl fmt::Debug for Neighbours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Neighbours").finish_non_exhaustive()
    }
}
