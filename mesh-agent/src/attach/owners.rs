//! Who registered which id.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dreammesh_agent_api::instance::InstanceId;

/// A program that is attached.
#[derive(Debug)]
pub(super) struct Program {
    /// Names the stream among those of this run.
    pub(super) stream: u64,
    /// The process, as the kernel says.
    pub(super) peer: Box<str>,
    /// What it calls itself, with its process; for people.
    pub(super) name: Box<str>,
}

#[derive(Debug, Default)]
pub(super) struct Owners(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    by_id: BTreeMap<InstanceId, Arc<Program>>,
    streams: usize,
    stream_next: u64,
}

impl Owners {
    /// Another stream begins, if there is room.
    pub(super) fn attach(&self, peer: &str, name: String, max: usize) -> Option<Arc<Program>> {
        let mut state = self.state();
        if state.streams >= max {
            return None;
        }
        state.streams += 1;
        state.stream_next += 1;
        Some(Arc::new(Program {
            stream: state.stream_next,
            peer: peer.into(),
            name: name.into(),
        }))
    }

    pub(super) fn detach(&self) {
        self.state().streams -= 1;
    }

    pub(super) fn streams(&self) -> usize {
        self.state().streams
    }

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
                // Of a process that is in another namespace the kernel says 0.
                let is_process =
                    program.peer.starts_with("unix:process ") && *program.peer != *"unix:process 0";
                let is_same = is_process && owner.peer == program.peer;
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
