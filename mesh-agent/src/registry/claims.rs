//! What is claimed of one id, and what of it shows.

use std::sync::Arc;
use std::time::Instant;

use dreammesh_agent_api::instance::{Instance, InstanceStatus};

use super::{Origin, SourceId};

/// What a source says of an id.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) source: SourceId,
    pub(super) origin: Origin,
    pub(super) instance: Arc<Instance>,
    pub(super) heard: Instant,
}

/// What an active check said of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether calls are to be kept away from it.
    pub down: bool,
    /// The last check in a few words, for people.
    pub said: Arc<str>,
}

impl Health {
    /// It answers, or has not failed often enough yet.
    pub fn passing(said: impl Into<Arc<str>>) -> Self {
        Self {
            down: false,
            said: said.into(),
        }
    }

    /// It does not answer.
    pub fn failing(said: impl Into<Arc<str>>) -> Self {
        Self {
            down: true,
            said: said.into(),
        }
    }
}

/// An instance that shows, and how it comes to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Known {
    /// As clients see it.
    pub instance: Arc<Instance>,
    /// As its source says it is; the same unless a check failed.
    pub stated: Arc<Instance>,
    /// The kind of source whose claim shows.
    pub origin: Origin,
    /// That source.
    pub source: SourceId,
    /// When the source last said something of it.
    pub heard: Instant,
    /// What its last active check said.
    pub health: Option<Health>,
}

/// What is claimed of one id.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// The highest precedence first; one a source.
    claims: Vec<Claim>,
    health: Option<Health>,
    /// What shows: the first claim, down if its check fails. `None` only without claims.
    shown: Option<Arc<Instance>>,
}

impl Entry {
    pub(super) fn claims(&self) -> &[Claim] {
        &self.claims
    }

    pub(super) const fn shown(&self) -> Option<&Arc<Instance>> {
        self.shown.as_ref()
    }

    pub(super) fn is_claimed_by(&self, source: SourceId) -> bool {
        self.claims.iter().any(|claim| claim.source == source)
    }

    pub(super) fn known(&self) -> Option<Known> {
        let claim = self.claims.first()?;
        Some(Known {
            instance: self.shown.clone()?,
            stated: claim.instance.clone(),
            origin: claim.origin,
            source: claim.source,
            heard: claim.heard,
            health: self.health.clone(),
        })
    }

    pub(super) fn claim(&mut self, claim: Claim) {
        self.claims.retain(|other| other.source != claim.source);
        // Of two agents that claim one id, every agent shows the same one.
        let rank = |it: &Claim| (it.origin, it.instance.agent.clone(), it.source);
        let place = rank(&claim);
        let place = self.claims.partition_point(|other| rank(other) < place);
        self.claims.insert(place, claim);
        self.show();
    }

    /// Drops some claims, and says whose they were.
    pub(super) fn drop_claims(&mut self, which: impl Fn(&Claim) -> bool) -> Vec<SourceId> {
        let mut dropped = Vec::new();
        self.claims.retain(|claim| {
            let drops = which(claim);
            if drops {
                dropped.push(claim.source);
            }
            !drops
        });
        self.show();
        dropped
    }

    pub(super) fn set_health(&mut self, health: Option<Health>) {
        self.health = health;
        self.show();
    }

    fn show(&mut self) {
        let Some(claim) = self.claims.first() else {
            self.shown = None;
            self.health = None;
            return;
        };
        // What was said of another place says nothing of this one, nor does a check that is no
        // longer the one, or that was made of what another agent said.
        if let Some(shown) = &self.shown
            && !is_asked_alike(shown, &claim.instance)
        {
            self.health = None;
        }
        let down = self.health.as_ref().is_some_and(|health| health.down);
        let shown = if down && claim.instance.status != InstanceStatus::Down {
            let mut instance = Instance::clone(&claim.instance);
            instance.status = InstanceStatus::Down;
            Arc::new(instance)
        } else {
            claim.instance.clone()
        };
        if self.shown.as_ref() != Some(&shown) {
            self.shown = Some(shown);
        }
    }
}

/// Whether a check of one is a check of the other.
fn is_asked_alike(a: &Instance, b: &Instance) -> bool {
    a.addresses == b.addresses && a.ports == b.ports && a.check == b.check && a.agent == b.agent
}
