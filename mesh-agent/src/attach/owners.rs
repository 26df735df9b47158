//! Who registered which id.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dreammesh_agent_api::instance::InstanceId;
use dreammesh_core::call::Process;

/// A program that is attached.
#[derive(Debug)]
pub(super) struct Program {
    /// Names the stream among those of this run.
    pub(super) stream: u64,
    /// The process, as the kernel says.
    pub(super) process: Option<Process>,
    /// What it calls itself, with its process; for people.
    pub(super) name: Box<str>,
    /// Tells it from others by what it has not chosen itself, as far as the kernel says anything.
    pub(super) who: Box<str>,
}

impl Program {
    /// A program as it called itself; `said` is its own word for its process.
    pub(super) fn new(stream: u64, process: Option<Process>, name: &str, said: u32) -> Self {
        let (name, who) = match process {
            None => {
                let name = format!("{name} ({said})");
                (name.clone(), name)
            }
            Some(Process {
                user, id: Some(id), ..
            }) => (
                format!("{name} (process {id} of user {user})"),
                format!("{user}/{id}"),
            ),
            // The number that it says would mean another process here.
            Some(Process { user, .. }) => (format!("{name} (of user {user})"), user.to_string()),
        };
        Self {
            stream,
            process,
            name: name.into(),
            who: who.into(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Owners(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    by_id: BTreeMap<InstanceId, Arc<Program>>,
    /// The users who had the ids in a former run; as many as were held.
    before: BTreeMap<InstanceId, u32>,
}

impl Owners {
    /// Gives an id to a program.
    ///
    /// A process that attaches anew takes its ids along, even before its old stream has ended.
    ///
    /// # Errors
    /// The program that has the id.
    pub(super) fn claim(
        &self,
        id: &InstanceId,
        program: &Arc<Program>,
    ) -> Result<(), Arc<Program>> {
        match self.state().by_id.entry(id.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(Arc::clone(program));
            }
            Entry::Occupied(mut entry) => {
                let owner = entry.get();
                let is_known = program.process.is_some_and(|process| process.id.is_some());
                let is_same = is_known && owner.process == program.process;
                if !is_same || owner.stream == program.stream {
                    return Err(Arc::clone(owner));
                }
                entry.insert(Arc::clone(program));
            }
        }
        Ok(())
    }

    /// Takes an id from a program; says whether the program had it.
    pub(super) fn release(&self, id: &InstanceId, program: &Program) -> bool {
        let mut state = self.state();
        let owner = state.by_id.get(id);
        let had = owner.is_some_and(|owner| owner.stream == program.stream);
        if had {
            state.by_id.remove(id);
        }
        had
    }

    /// Whether a program has an id.
    pub(super) fn has(&self, id: &InstanceId, program: &Program) -> bool {
        let state = self.state();
        let owner = state.by_id.get(id);
        owner.is_some_and(|owner| owner.stream == program.stream)
    }

    /// Says which users had the ids in a former run.
    pub(super) fn remember(&self, users: BTreeMap<InstanceId, u32>) {
        self.state().before = users;
    }

    /// The user who had an id in a former run, if that is known.
    pub(super) fn before(&self, id: &InstanceId) -> Option<u32> {
        self.state().before.get(id).copied()
    }

    /// The user who has an id, or had it in a former run.
    pub(super) fn user(&self, id: &InstanceId) -> Option<u32> {
        let state = self.state();
        match state.by_id.get(id) {
            Some(program) => program.process.map(|process| process.user),
            None => state.before.get(id).copied(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
