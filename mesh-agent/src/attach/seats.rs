//! What each stream takes of what there is: a place, and memory.
//!
//! Each is bounded for a stream, for a process, for a user and in all, so that no program, and no
//! user of the host, leaves nothing to the others. Who they are the kernel says. What it names no
//! process of, as in tests in memory, is one user to itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dreammesh_agent_api::proto;
use dreammesh_core::call::{Process, Status};

use super::Bounds;

/// The places of all streams; a clone shares them.
#[derive(Clone, Debug, Default)]
pub(super) struct Seats(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    taken: BTreeMap<u64, Taken>,
    /// The sum over `taken`.
    bytes: usize,
    users: BTreeMap<Option<u32>, Share>,
    /// Streams by user and process; of processes without a number by none.
    processes: BTreeMap<(u32, u32), usize>,
}

/// What one stream has taken.
#[derive(Debug)]
struct Taken {
    process: Option<Process>,
    /// What the program is called; none before its hello.
    name: Option<Box<str>>,
    instances: usize,
    watches: usize,
    bytes: usize,
}

/// The sum of what the streams of one user have taken.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    streams: usize,
    bytes: usize,
}

/// What memory is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Instance,
    Watch,
}

/// The place of a stream, which is free again when this is dropped, with all that was taken.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    number: u64,
}

impl Seats {
    /// Another stream begins, if there is room for one.
    ///
    /// # Errors
    /// Of what there is no more.
    pub(super) fn enter(&self, process: Option<Process>, bounds: &Bounds) -> Result<Seat, Full> {
        let mut state = self.state();
        let user = process.map(|process| process.user);
        let of_user = state.users.get(&user).map_or(0, |share| share.streams);
        let of_process = key(process).and_then(|key| state.processes.get(&key).copied());
        if state.taken.len() >= bounds.streams_max {
            return Err(Full::Streams(bounds.streams_max));
        }
        if of_user >= bounds.user_streams_max {
            return Err(Full::UserStreams(bounds.user_streams_max));
        }
        if of_process.unwrap_or(0) >= bounds.process_streams_max {
            return Err(Full::ProcessStreams(bounds.process_streams_max));
        }
        state.next += 1;
        let number = state.next;
        state.users.entry(user).or_default().streams += 1;
        if let Some(key) = key(process) {
            *state.processes.entry(key).or_default() += 1;
        }
        let taken = Taken {
            process,
            name: None,
            instances: 0,
            watches: 0,
            bytes: 0,
        };
        state.taken.insert(number, taken);
        Ok(Seat {
            seats: self.clone(),
            number,
        })
    }

    /// How many programs have said hello.
    pub(super) fn programs(&self) -> usize {
        let state = self.state();
        let all = state.taken.values();
        all.filter(|taken| taken.name.is_some()).count()
    }

    /// The programs that have said hello, no more than so many, those that take most first.
    pub(super) fn greatest(&self, max: usize) -> Vec<proto::Application> {
        let state = self.state();
        let named = |taken| -> Option<(&Taken, &str)> {
            let taken: &Taken = taken;
            Some((taken, taken.name.as_deref()?))
        };
        let mut all: Vec<_> = state.taken.values().filter_map(named).collect();
        all.sort_by_key(|(taken, _)| std::cmp::Reverse(taken.bytes));
        let shown = all.into_iter().take(max);
        shown
            .map(|(taken, name)| application(taken, name))
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Names the stream among those of this run.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// The program has said hello.
    pub(super) fn set_name(&self, name: &str) {
        if let Some(taken) = self.seats.state().taken.get_mut(&self.number) {
            taken.name = Some(name.into());
        }
    }

    /// Takes memory, if there is enough.
    ///
    /// # Errors
    /// Of what there is no more.
    pub(super) fn take(&self, what: Use, bytes: usize, bounds: &Bounds) -> Result<(), Full> {
        let mut state = self.seats.state();
        let State {
            taken,
            users,
            bytes: all,
            ..
        } = &mut *state;
        let Some(taken) = taken.get_mut(&self.number) else {
            return Ok(());
        };
        let user = users.entry(taken.process.map(|it| it.user)).or_default();
        for (used, max, full) in [
            (
                taken.bytes,
                bounds.program_bytes_max,
                Full::ProgramBytes as fn(usize) -> Full,
            ),
            (user.bytes, bounds.user_bytes_max, Full::UserBytes),
            (*all, bounds.bytes_max, Full::Bytes),
        ] {
            if used.saturating_add(bytes) > max {
                return Err(full(max));
            }
        }
        *all += bytes;
        user.bytes += bytes;
        taken.bytes += bytes;
        *taken.count(what) += 1;
        Ok(())
    }

    /// Gives back what was taken so.
    pub(super) fn give_back(&self, what: Use, bytes: usize) {
        let mut state = self.seats.state();
        let State {
            taken,
            users,
            bytes: all,
            ..
        } = &mut *state;
        let Some(taken) = taken.get_mut(&self.number) else {
            return;
        };
        *all -= bytes;
        taken.bytes -= bytes;
        *taken.count(what) -= 1;
        if let Some(user) = users.get_mut(&taken.process.map(|it| it.user)) {
            user.bytes -= bytes;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.seats.state();
        let Some(taken) = state.taken.remove(&self.number) else {
            return;
        };
        state.bytes -= taken.bytes;
        let user = taken.process.map(|process| process.user);
        if let Some(share) = state.users.get_mut(&user) {
            share.streams -= 1;
            share.bytes -= taken.bytes;
            if share.streams == 0 {
                state.users.remove(&user);
            }
        }
        if let Some(key) = key(taken.process)
            && let Some(streams) = state.processes.get_mut(&key)
        {
            *streams -= 1;
            if *streams == 0 {
                state.processes.remove(&key);
            }
        }
    }
}

impl Taken {
    const fn count(&mut self, what: Use) -> &mut usize {
        match what {
            Use::Instance => &mut self.instances,
            Use::Watch => &mut self.watches,
        }
    }
}

fn key(process: Option<Process>) -> Option<(u32, u32)> {
    let process = process?;
    Some((process.user, process.id?))
}

fn application(taken: &Taken, name: &str) -> proto::Application {
    let count = |many: usize| u32::try_from(many).unwrap_or(u32::MAX);
    proto::Application {
        program: name.to_owned(),
        process: taken.process.and_then(|process| process.id),
        user: taken.process.map(|process| process.user),
        instances: count(taken.instances),
        watches: count(taken.watches),
        bytes: taken.bytes as u64,
        ..Default::default()
    }
}

/// Of what there is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Streams(usize),
    UserStreams(usize),
    ProcessStreams(usize),
    ProgramBytes(usize),
    UserBytes(usize),
    Bytes(usize),
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Streams(max) => write!(f, "{max} programs are attached, which is the most"),
            Self::UserStreams(max) => write!(
                f,
                "programs of this user are attached {max} times, which is the most for one user"
            ),
            Self::ProcessStreams(max) => write!(
                f,
                "this process is attached {max} times, which is the most for one: let its channels \
                 and servers share a `Mesh`"
            ),
            Self::ProgramBytes(max) => write!(
                f,
                "what a program registers and watches takes at most {max} bytes"
            ),
            Self::UserBytes(max) => write!(
                f,
                "what the programs of one user register and watch takes at most {max} bytes"
            ),
            Self::Bytes(max) => write!(
                f,
                "what all programs register and watch takes at most {max} bytes"
            ),
        }
    }
}

impl From<Full> for Status {
    fn from(full: Full) -> Self {
        Self::resource_exhausted(full.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds() -> Bounds {
        Bounds {
            streams_max: 5,
            user_streams_max: 3,
            process_streams_max: 2,
            program_bytes_max: 100,
            user_bytes_max: 150,
            bytes_max: 200,
            ..Bounds::default()
        }
    }

    fn process(user: u32, id: u32) -> Option<Process> {
        Some(Process::new(user, 0, Some(id)))
    }

    #[test]
    fn a_process_a_user_and_all_have_so_many_streams_and_no_more() {
        let (seats, bounds) = (Seats::default(), bounds());
        let enter = |user, id| seats.enter(process(user, id), &bounds);
        let first = enter(7, 1).unwrap();
        let _second = enter(7, 1).unwrap();
        assert_eq!(enter(7, 1).unwrap_err(), Full::ProcessStreams(2));
        let _third = enter(7, 2).unwrap();
        assert_eq!(enter(7, 3).unwrap_err(), Full::UserStreams(3));
        // The same number of another user's, such as in another namespace, is another process.
        let _fourth = enter(8, 1).unwrap();
        let _fifth = seats.enter(None, &bounds).unwrap();
        assert_eq!(enter(9, 1).unwrap_err(), Full::Streams(5));
        drop(first);
        enter(7, 1).unwrap();
        assert_eq!(seats.state().users.len(), 3);
    }

    #[test]
    fn a_program_a_user_and_all_take_so_many_bytes_and_no_more() {
        let (seats, bounds) = (Seats::default(), bounds());
        let enter = |user, id| seats.enter(process(user, id), &bounds).unwrap();
        let take = |seat: &Seat, bytes| seat.take(Use::Instance, bytes, &bounds);
        let (a, b, c) = (enter(7, 1), enter(7, 2), enter(8, 1));
        take(&a, 100).unwrap();
        assert_eq!(take(&a, 1), Err(Full::ProgramBytes(100)));
        take(&b, 50).unwrap();
        assert_eq!(take(&b, 1), Err(Full::UserBytes(150)));
        take(&c, 50).unwrap();
        assert_eq!(take(&c, 1), Err(Full::Bytes(200)));
        assert_eq!(take(&c, usize::MAX), Err(Full::ProgramBytes(100)));
        a.give_back(Use::Instance, 100);
        take(&b, 50).unwrap();
        drop((a, b));
        take(&c, 50).unwrap();
        drop(c);
        assert_eq!(seats.state().bytes, 0);
        assert!(seats.state().users.is_empty() && seats.state().processes.is_empty());
    }

    #[test]
    fn those_that_take_most_are_shown_first_once_they_have_said_hello() {
        let (seats, bounds) = (Seats::default(), bounds());
        let small = seats.enter(process(7, 1), &bounds).unwrap();
        let large = seats.enter(process(8, 2), &bounds).unwrap();
        let _silent = seats.enter(process(9, 3), &bounds).unwrap();
        small.set_name("small");
        large.set_name("large");
        large.take(Use::Instance, 10, &bounds).unwrap();
        large.take(Use::Watch, 5, &bounds).unwrap();
        let shown = seats.greatest(9);
        let names: Vec<_> = shown.iter().map(|it| &*it.program).collect();
        assert_eq!(names, ["large", "small"]);
        assert_eq!((shown[0].user, shown[0].process), (Some(8), Some(2)));
        let counts = (shown[0].instances, shown[0].watches, shown[0].bytes);
        assert_eq!(counts, (1, 1, 15));
        assert_eq!((seats.greatest(1).len(), seats.programs()), (1, 2));
    }
}
