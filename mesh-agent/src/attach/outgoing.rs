//! What a stream is sent next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::vec::IntoIter;

use dreammesh_agent_api::instance::InstanceId;
use dreammesh_agent_api::name::ServiceName;
use dreammesh_agent_api::proto;
use dreammesh_agent_api::proto::from_agent::Said;
use dreammesh_core::call::Status;

use super::size;
use crate::knowledge::{Knowledge, Watcher};
use crate::registry::Update;

/// How much of an update is said in one message, roughly: what a stream holds that is not read.
const PART_BYTES: usize = 64 << 10;

/// What a stream is sent next.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// What was asked for and is answered, first come, first served.
    answers: VecDeque<(Said, usize)>,
    /// About how many bytes the answers take.
    answers_bytes: usize,
    watches: BTreeMap<u32, Watch>,
    watcher: Watcher,
    /// Whether a watched service may have changed since all were looked at.
    dirty: bool,
    /// The watch that is looked at next, so that none waits for ever behind a busy one.
    next: u32,
    /// An update of which not everything has been said.
    rest: Option<Rest>,
    /// Whether the application is to hear that the agent ends.
    leaving: Option<Leaving>,
    /// Whether something was said since the last tick.
    spoke: bool,
    heartbeat: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    Due,
    Said,
}

#[derive(Debug)]
struct Watch {
    service: ServiceName,
    /// The version that was sent.
    sent: Option<u64>,
    /// Whether anything was said of it; a watch that resumes is answered also if nothing changed,
    /// so that whoever asks knows that what they have is how it is.
    answered: bool,
    /// What is waited for before anything is said of it.
    hold: Option<Hold>,
}

/// What a watch may have to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// That the agent has read its files and heard other agents.
    Settling,
    /// And that the instances of a former run had time to come back.
    Return,
}

/// From where on a service is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// Nothing is known of it.
    Nothing,
    /// A version of this run is known.
    Version(u64),
    /// A former run said things that this one does not know yet.
    FormerRun,
}

/// An update that is being said. It holds names and no instances, so that somebody who does not read
/// keeps nothing alive; each part says what there is by then. What changed meanwhile after it was
/// passed comes with the next update, which goes on from the version of this one.
#[derive(Debug)]
struct Rest {
    key: u32,
    service: ServiceName,
    version: u64,
    complete: bool,
    left: Left,
}

#[derive(Debug)]
enum Left {
    /// All instances of the service after this one.
    After(Option<InstanceId>),
    /// These, which are there or are gone; no more than a service's history has.
    These(IntoIter<InstanceId>),
}

impl Outgoing {
    pub(super) fn new(knowledge: &Knowledge) -> Self {
        Self {
            answers: VecDeque::new(),
            answers_bytes: 0,
            watches: BTreeMap::new(),
            watcher: knowledge.watcher(),
            dirty: false,
            next: 0,
            rest: None,
            leaving: None,
            spoke: false,
            heartbeat: false,
        }
    }

    /// Waits until there may be something to say of a watched service.
    pub(super) async fn rung(&self) {
        self.watcher.rung().await;
    }

    pub(super) const fn ring(&mut self) {
        self.dirty = true;
    }

    /// Says something that takes about so many bytes.
    pub(super) fn answer(&mut self, said: Said, bytes: usize) {
        let bytes = bytes + ANSWER_BYTES;
        self.answers_bytes += bytes;
        self.answers.push_back((said, bytes));
    }

    /// Whether so many answers wait, or so many bytes of them.
    pub(super) fn is_full(&self, answers_max: usize, bytes_max: usize) -> bool {
        self.answers.len() >= answers_max || self.answers_bytes >= bytes_max
    }

    /// A third of the silence is over; says so to whoever heard nothing of this agent since the
    /// last one.
    pub(super) const fn tick(&mut self) {
        self.heartbeat = !self.spoke;
        self.spoke = false;
    }

    pub(super) const fn leave(&mut self) {
        if self.leaving.is_none() {
            self.leaving = Some(Leaving::Due);
        }
    }

    /// Whether the application was told that the agent ends.
    pub(super) fn has_left(&self) -> bool {
        self.leaving == Some(Leaving::Said)
    }

    /// Watches a service from a version on.
    ///
    /// # Errors
    /// When the number is in use, or there are too many watches.
    pub(super) fn watch(
        &mut self,
        key: u32,
        service: ServiceName,
        since: Since,
        max: usize,
    ) -> Result<(), Status> {
        if self.watches.contains_key(&key) {
            let text = format!("the number {key} names another watch of this stream");
            return Err(Status::already_exists(text));
        }
        if self.watches.len() >= max {
            let text = format!("a program watches at most {max} services");
            return Err(Status::resource_exhausted(text));
        }
        self.watcher.watch(&service);
        let watch = Watch {
            service,
            sent: match since {
                Since::Version(version) => Some(version),
                Since::Nothing | Since::FormerRun => None,
            },
            answered: false,
            hold: match since {
                Since::Version(_) => None,
                Since::Nothing => Some(Hold::Settling),
                Since::FormerRun => Some(Hold::Return),
            },
        };
        self.watches.insert(key, watch);
        self.dirty = true;
        Ok(())
    }

    /// The agent has settled; `returned` says whether whoever was to come back after a former run
    /// has had the time for it.
    pub(super) fn release(&mut self, returned: bool) {
        let held = self.watches.values_mut();
        for watch in held.filter(|it| it.hold == Some(Hold::Settling) || returned) {
            self.dirty |= watch.hold.take().is_some();
        }
    }

    /// Watches a service no more, and says which.
    pub(super) fn unwatch(&mut self, key: u32) -> Option<ServiceName> {
        let watch = self.watches.remove(&key)?;
        if self.rest.as_ref().is_some_and(|rest| rest.key == key) {
            self.rest = None;
        }
        let mut others = self.watches.values();
        if !others.any(|other| other.service == watch.service) {
            self.watcher.unwatch(&watch.service);
        }
        Some(watch.service)
    }

    /// The next message, if there is one.
    pub(super) fn next(&mut self) -> Option<Said> {
        let answer = self.answers.pop_front().map(|(said, bytes)| {
            self.answers_bytes -= bytes;
            said
        });
        if self.answers.is_empty() {
            // Most programs have all their answers soon after they have begun.
            self.answers = VecDeque::new();
        }
        let said = answer.or_else(|| self.update());
        let said = said.or_else(|| self.farewell());
        let said = said.or_else(|| self.heartbeat.then(|| Said::Heartbeat(Default::default())));
        self.heartbeat &= said.is_none();
        self.spoke |= said.is_some();
        said
    }

    fn farewell(&mut self) -> Option<Said> {
        (self.leaving == Some(Leaving::Due)).then(|| {
            self.leaving = Some(Leaving::Said);
            Said::Leaving(Default::default())
        })
    }

    fn update(&mut self) -> Option<Said> {
        if self.rest.is_none() && self.dirty {
            self.rest = self.changed();
            self.dirty = self.rest.is_some();
        }
        let mut rest = self.rest.take()?;
        let part = rest.part(self.watcher.knowledge());
        if part.more {
            self.rest = Some(rest);
        }
        Some(Said::Update(part))
    }

    /// What became of the first watch, from the next one on, of which something did.
    fn changed(&mut self) -> Option<Rest> {
        let later = self.watches.range(self.next..);
        let order: Vec<u32> = later
            .chain(self.watches.range(..self.next))
            .map(|it| *it.0)
            .collect();
        for key in order {
            let watch = self.watches.get_mut(&key)?;
            if watch.hold.is_some() {
                continue;
            }
            let update = self.watcher.update(&watch.service, watch.sent);
            let unanswered = watch.sent.filter(|_| !watch.answered);
            let nothing = || unanswered.map(Update::nothing);
            if let Some(update) = update.or_else(nothing) {
                watch.answered = true;
                watch.sent = Some(update.version);
                self.next = key.wrapping_add(1);
                return Some(Rest::new(key, watch.service.clone(), update));
            }
        }
        None
    }
}

impl Rest {
    fn new(key: u32, service: ServiceName, update: Update) -> Self {
        let left = if update.complete {
            Left::After(None)
        } else {
            let changed = update.changed.iter().map(|instance| instance.id.clone());
            let ids: Vec<_> = changed.chain(update.removed).collect();
            Left::These(ids.into_iter())
        };
        Self {
            key,
            service,
            version: update.version,
            complete: update.complete,
            left,
        }
    }

    fn part(&mut self, knowledge: &Knowledge) -> proto::Update {
        let (mut changed, mut removed) = (Vec::new(), Vec::new());
        let more = knowledge.read(|registry| match &mut self.left {
            Left::After(last) => {
                let after = last.take();
                let shown = registry.shown_after(&self.service, after.as_ref());
                let (mut shown, mut bytes) = (shown.peekable(), 0);
                while bytes < PART_BYTES
                    && let Some(instance) = shown.next()
                {
                    bytes += size(instance);
                    *last = Some(instance.id.clone());
                    changed.push(Arc::clone(instance));
                }
                shown.peek().is_some()
            }
            Left::These(ids) => {
                let mut bytes = 0;
                while bytes < PART_BYTES
                    && let Some(id) = ids.next()
                {
                    match registry.shown_of(&self.service, &id) {
                        Some(instance) => {
                            bytes += size(&instance);
                            changed.push(instance);
                        }
                        None => {
                            bytes += id.as_str().len() + 8;
                            removed.push(id.to_string());
                        }
                    }
                }
                ids.len() > 0
            }
        });
        proto::Update {
            key: self.key,
            version: self.version,
            complete: self.complete,
            changed: changed
                .iter()
                .map(|instance| (&**instance).into())
                .collect(),
            removed,
            more,
            ..Default::default()
        }
    }
}

/// What an answer takes without its words.
const ANSWER_BYTES: usize = 128;
