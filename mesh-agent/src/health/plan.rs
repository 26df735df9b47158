//! When each instance is checked, and what its checks come to. Time and randomness are arguments.
//!
//! Call [`Plan::poll_start`] until it gives nothing, make the checks that it hands out, and give
//! each result to [`Plan::handle_result`]; [`Plan::wakes`] says when to ask again.
//!
//! Checks begin no faster than one a [`SPACING`] and a burst, and no more than [`RUNNING_MAX`] run.
//! So the period is [`PERIOD`] for up to 2,000 instances, and stretches evenly beyond: with 100,000
//! of them each is checked every 100 s, or less often where many do not answer in time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dreammesh_agent_api::instance::InstanceId;

use super::subject::Subject;
use super::verdict::{Outcome, Verdict};

/// How often an instance is checked. What dies is noticed before people do, and a check a second
/// or two is nothing to a server.
pub(super) const PERIOD: Duration = Duration::from_secs(2);
/// How soon a failed check is repeated before it counts: an instance that does not answer leaves
/// within a period and two timeouts.
pub(super) const CONFIRM_AFTER: Duration = Duration::from_millis(200);
/// How many checks run at a time; each may hold a socket for as long as its timeout.
pub(super) const RUNNING_MAX: usize = 64;
/// Between the beginnings of checks, on average: a thousand a second are what an agent may take of
/// a core when it knows a hundred thousand instances.
pub(super) const SPACING: Duration = Duration::from_millis(1);
/// How many may begin at once.
const BURST: u32 = RUNNING_MAX as u32;

/// When each instance is checked, and what its checks came to.
#[derive(Debug, Default)]
pub(super) struct Plan {
    entries: BTreeMap<InstanceId, Entry>,
    /// Those whose turn comes by itself; an entry that waits stands here or in `urgent`.
    regular: BTreeSet<(Instant, InstanceId)>,
    /// Those that are to be checked before their turn.
    urgent: BTreeSet<(Instant, InstanceId)>,
    /// Whether the last check that began was an urgent one: the other kind is next, if it is due,
    /// so that neither keeps the other waiting.
    was_urgent: bool,
    running: usize,
    /// Up to when checks that began have used up their pace.
    paced: Option<Instant>,
    /// Tells the results of an entry from those of one that it took the place of.
    generation: u64,
}

#[derive(Debug)]
struct Entry {
    subject: Arc<Subject>,
    generation: u64,
    verdict: Verdict,
    /// What was last said of it to the registry.
    told: Option<Verdict>,
    turn: Turn,
    /// When its last check began.
    began: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Regular(Instant),
    Urgent(Instant),
    /// Its check runs; it is to be checked again at once if that was asked for meanwhile.
    Running {
        again: bool,
    },
}

/// A check that is to be made.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    pub(super) id: InstanceId,
    pub(super) subject: Arc<Subject>,
    generation: u64,
}

impl Plan {
    /// An instance is to be checked in that way, from now on. If it was in another way, what its
    /// checks said is forgotten.
    pub(super) fn set(&mut self, id: &InstanceId, subject: Subject, now: Instant) {
        if self.subject(id).is_some_and(|known| *known == subject) {
            return;
        }
        self.remove(id);
        self.generation += 1;
        let entry = Entry {
            subject: Arc::new(subject),
            generation: self.generation,
            verdict: Verdict::default(),
            told: None,
            turn: Turn::Regular(now),
            began: None,
        };
        self.entries.insert(id.clone(), entry);
        self.regular.insert((now, id.clone()));
    }

    /// An instance is not to be checked any more. Says whether the registry had been told of it.
    pub(super) fn remove(&mut self, id: &InstanceId) -> bool {
        let Some(entry) = self.entries.remove(id) else {
            return false;
        };
        self.unqueue(id, entry.turn);
        entry.told.is_some()
    }

    /// The registry has forgotten what it was told of an instance, which is checked anew.
    pub(super) fn forgotten(&mut self, id: &InstanceId, now: Instant) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        if entry.told.take().is_some() {
            entry.verdict = Verdict::default();
            self.hasten(id, now);
        }
    }

    /// An instance is checked as soon as there is room. Says whether it is checked at all.
    pub(super) fn hasten(&mut self, id: &InstanceId, now: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(id) else {
            return false;
        };
        let turn = entry.turn;
        match turn {
            Turn::Running { .. } => entry.turn = Turn::Running { again: true },
            Turn::Urgent(_) => {}
            Turn::Regular(_) => {
                entry.turn = Turn::Urgent(now);
                self.unqueue(id, turn);
                self.urgent.insert((now, id.clone()));
            }
        }
        true
    }

    /// As [`Self::hasten`], on the word of somebody who may lie: it changes nothing if the instance
    /// was checked less than `gap` ago, or is about to be. Says whether it did.
    pub(super) fn bring_forward(&mut self, id: &InstanceId, gap: Duration, now: Instant) -> bool {
        let Some(entry) = self.entries.get(id) else {
            return false;
        };
        let recent = entry.began.is_some_and(|began| now < began + gap);
        let waits = matches!(entry.turn, Turn::Regular(due) if due > now);
        waits && !recent && self.hasten(id, now)
    }

    /// The next check to begin now, if there is one.
    pub(super) fn poll_start(&mut self, now: Instant) -> Option<Ticket> {
        if self.running >= RUNNING_MAX || self.opens().is_some_and(|opens| opens > now) {
            return None;
        }
        let due = |set: &BTreeSet<(Instant, InstanceId)>| {
            let first = set.first().filter(|(due, _)| *due <= now);
            first.map(|(_, id)| id.clone())
        };
        let (urgent, regular) = (due(&self.urgent), due(&self.regular));
        self.was_urgent = urgent.is_some() && (regular.is_none() || !self.was_urgent);
        let id = if self.was_urgent { urgent } else { regular }?;
        let entry = self.entries.get_mut(&id)?;
        let turn = std::mem::replace(&mut entry.turn, Turn::Running { again: false });
        entry.began = Some(now);
        let ticket = Ticket {
            id: id.clone(),
            subject: entry.subject.clone(),
            generation: entry.generation,
        };
        self.unqueue(&id, turn);
        self.running += 1;
        self.paced = Some(self.paced.map_or(now, |paced| paced.max(now)) + SPACING);
        Some(ticket)
    }

    /// A check has ended. Gives what the registry is to be told, if it is something new.
    pub(super) fn handle_result(
        &mut self,
        ticket: &Ticket,
        outcome: Outcome,
        now: Instant,
        random: u64,
    ) -> Option<Verdict> {
        self.running -= 1;
        let period = self.period();
        let entry = self.entries.get_mut(&ticket.id);
        let entry = entry.filter(|entry| entry.generation == ticket.generation)?;
        entry.verdict.handle(outcome);
        let is_sure = entry.verdict.is_sure();
        let (began, id) = (entry.began.unwrap_or(now), ticket.id.clone());
        match entry.turn {
            Turn::Running { again: true } => {
                entry.turn = Turn::Urgent(now);
                self.urgent.insert((now, id));
            }
            _ if is_sure => {
                let due = (began + jittered(period, random)).max(now);
                entry.turn = Turn::Regular(due);
                self.regular.insert((due, id));
            }
            _ => {
                let due = now + CONFIRM_AFTER;
                entry.turn = Turn::Urgent(due);
                self.urgent.insert((due, id));
            }
        }
        let news = entry.told.as_ref() != Some(&entry.verdict);
        entry.told = Some(entry.verdict.clone());
        news.then(|| entry.verdict.clone())
    }

    /// A check has ended that says nothing; it is made again at once.
    pub(super) fn handle_void(&mut self, ticket: &Ticket, now: Instant) {
        self.running -= 1;
        let entry = self.entries.get_mut(&ticket.id);
        if let Some(entry) = entry.filter(|entry| entry.generation == ticket.generation) {
            entry.turn = Turn::Urgent(now);
            self.urgent.insert((now, ticket.id.clone()));
        }
    }

    /// When something may be there to begin. Nothing is before a result when that is `None`.
    pub(super) fn wakes(&self) -> Option<Instant> {
        if self.running >= RUNNING_MAX {
            return None;
        }
        let (urgent, regular) = (self.urgent.first(), self.regular.first());
        let due = urgent
            .into_iter()
            .chain(regular)
            .map(|(due, _)| *due)
            .min()?;
        Some(self.opens().map_or(due, |opens| opens.max(due)))
    }

    /// How an instance is checked, if it is.
    pub(super) fn subject(&self, id: &InstanceId) -> Option<&Subject> {
        self.entries.get(id).map(|entry| &*entry.subject)
    }

    /// What is checked.
    pub(super) fn ids(&self) -> impl Iterator<Item = &InstanceId> {
        self.entries.keys()
    }

    /// Whether an instance was found not to answer.
    pub(super) fn is_down(&self, id: &InstanceId) -> bool {
        let entry = self.entries.get(id);
        entry.is_some_and(|entry| entry.verdict.is_down())
    }

    /// How many instances are checked.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many were found not to answer.
    pub(super) fn down(&self) -> usize {
        let entries = self.entries.values();
        entries.filter(|entry| entry.verdict.is_down()).count()
    }

    /// How often each instance is checked, as many as they are.
    pub(super) fn period(&self) -> Duration {
        let count = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        PERIOD.max(SPACING.saturating_mul(count))
    }

    /// Until when the pace forbids that a check begins.
    fn opens(&self) -> Option<Instant> {
        self.paced?.checked_sub(SPACING * (BURST - 1))
    }

    fn unqueue(&mut self, id: &InstanceId, turn: Turn) {
        match turn {
            Turn::Regular(due) => self.regular.remove(&(due, id.clone())),
            Turn::Urgent(due) => self.urgent.remove(&(due, id.clone())),
            Turn::Running { .. } => false,
        };
    }
}

/// Up to a tenth more or less, so that what began together does not stay together.
fn jittered(period: Duration, random: u64) -> Duration {
    let part = (random >> 32) as f64 / f64::from(u32::MAX);
    period.mul_f64(0.9 + 0.2 * part)
}

#[cfg(test)]
mod tests;
