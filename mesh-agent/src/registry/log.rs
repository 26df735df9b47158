//! What changed lately, by version.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use dreammesh_agent_api::instance::{Instance, InstanceId};

use super::Update;

/// The last changes of a set of instances.
#[derive(Debug)]
pub(super) struct Log {
    /// Ascending by version.
    changes: VecDeque<(u64, InstanceId)>,
    changes_max: usize,
    /// Every change after this version is in `changes`.
    floor: u64,
    /// The version of the last change, or the floor.
    version: u64,
}

impl Log {
    pub(super) const fn new(changes_max: usize, floor: u64) -> Self {
        Self {
            changes: VecDeque::new(),
            changes_max,
            floor,
            version: floor,
        }
    }

    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn note(&mut self, version: u64, id: InstanceId) {
        if self.changes.len() >= self.changes_max
            && let Some((oldest, _)) = self.changes.pop_front()
        {
            self.floor = oldest;
        }
        self.changes.push_back((version, id));
        self.version = version;
    }

    /// What became of the instances since a version; `shown` says what one is now.
    pub(super) fn since<'a>(
        &self,
        since: Option<u64>,
        all: impl Iterator<Item = &'a InstanceId>,
        shown: impl Fn(&InstanceId) -> Option<Arc<Instance>>,
    ) -> Option<Update> {
        let Some(since) = since.filter(|since| *since >= self.floor) else {
            return Some(Update {
                version: self.version,
                complete: true,
                changed: all.filter_map(shown).collect(),
                removed: Vec::new(),
            });
        };
        if since >= self.version {
            return None;
        }
        let first = self.changes.partition_point(|(at, _)| *at <= since);
        let ids: BTreeSet<_> = self.changes.range(first..).map(|(_, id)| id).collect();
        let mut update = Update {
            version: self.version,
            complete: false,
            changed: Vec::new(),
            removed: Vec::new(),
        };
        for id in ids {
            match shown(id) {
                Some(instance) => update.changed.push(instance),
                None => update.removed.push(id.clone()),
            }
        }
        Some(update)
    }
}
