//! What goes on on one connection of HTTP/1, and how long it may take.
//!
//! `hyper` says neither whether it waits for a request nor whether it has begun to read one, so
//! that its requests, their bodies and its answers are counted here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::driver::timer;
use crate::http::life::{DRAIN, IDLE};

/// The requests and answers of one connection.
#[derive(Debug)]
pub(super) struct Turns {
    /// How long the peer may take for a head, and for reading what is not the answer of a call.
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Answers that are still to be given, and requests somebody still reads.
    answers: usize,
    requests: usize,
    /// The answer under way is one of a call.
    calls: bool,
    /// Since when part of a head has come while nothing else goes on.
    head_since: Option<Instant>,
    /// Since when nothing goes on.
    idle_since: Instant,
    /// Since when no more is read ahead of the request that is being answered.
    full_since: Option<Instant>,
    /// The rest of the request under way is not read.
    leaves_rest: bool,
    /// Until when a request may begin, once no more are to.
    drains: Option<Instant>,
    /// Not even one whose head has begun.
    closes: bool,
    /// The connection was told that no more requests are taken.
    shut: bool,
}

/// What is to be done with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing until then.
    At(Instant),
    /// Take no more requests.
    Shut,
    /// It is over.
    End(End),
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The head of a request did not come whole in time.
    Slow,
    /// More came behind a request than is kept while it is being answered.
    Flooded,
    /// What came was not read for so long that nobody can know whether the peer is still there.
    Stuck,
}

/// Something that goes on for as long as this lives.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    is_answer: bool,
}

impl Turns {
    /// A connection on which part of a head has come.
    pub(super) fn new(now: Instant, patience: Duration) -> Arc<Self> {
        let state = State {
            answers: 0,
            requests: 0,
            calls: false,
            head_since: Some(now),
            idle_since: now,
            full_since: None,
            leaves_rest: false,
            drains: None,
            closes: false,
            shut: false,
        };
        Arc::new(Self {
            patience,
            state: Mutex::new(state),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a head has come whole; its answer is due while what is given back lives.
    pub(super) fn answer(self: &Arc<Self>) -> Turn {
        let mut state = self.lock();
        state.answers += 1;
        state.calls = false;
        state.head_since = None;
        state.leaves_rest = false;
        self.turn(true)
    }

    /// Notes that somebody reads the body of the request.
    pub(super) fn request(self: &Arc<Self>) -> Turn {
        self.lock().requests += 1;
        self.turn(false)
    }

    fn turn(self: &Arc<Self>, is_answer: bool) -> Turn {
        Turn {
            turns: Arc::clone(self),
            is_answer,
        }
    }

    /// Notes that the answer under way is one of a call.
    pub(super) fn answer_call(&self) {
        self.lock().calls = true;
    }

    /// Notes that the rest of the request under way is not read.
    pub(super) fn leave_rest(&self) {
        self.lock().leaves_rest = true;
    }

    /// Notes that something came of which `hyper` says nothing.
    pub(super) fn handle_data(&self, now: Instant) {
        let mut state = self.lock();
        if !state.is_busy() {
            state.head_since.get_or_insert(now);
        }
    }

    /// Notes that all that was to be written has been taken.
    pub(super) fn handle_flushed(&self) {
        let mut state = self.lock();
        state.calls &= state.is_busy();
    }

    /// Notes whether as much has been read ahead as may be.
    pub(super) fn set_full(&self, full: bool, now: Instant) {
        let mut state = self.lock();
        match full {
            true => _ = state.full_since.get_or_insert(now),
            false => state.full_since = None,
        }
    }

    /// Has no more requests taken but one whose beginning may be under way.
    pub(super) fn drain(&self, now: Instant) {
        self.lock().drains.get_or_insert(now + DRAIN);
    }

    /// Has no more requests taken at all.
    pub(super) fn close(&self, now: Instant) {
        let mut state = self.lock();
        state.drains = Some(now);
        state.closes = true;
    }

    pub(super) fn drains(&self) -> bool {
        self.lock().drains.is_some()
    }

    /// Whether a request is read or an answer given.
    pub(super) fn is_busy(&self) -> bool {
        self.lock().is_busy()
    }

    /// How long a write may make no progress.
    pub(super) fn patience(&self) -> Duration {
        match self.lock().calls {
            true => PAUSE,
            false => self.patience,
        }
    }

    /// What is due now; asked again until nothing is.
    pub(super) fn due(&self, now: Instant) -> Due {
        let mut state = self.lock();
        let (at, due) = match state.head_since {
            _ if state.is_busy() => state.due_while_busy(now),
            Some(_) if state.closes => (now, Due::End(End::Slow)),
            Some(since) => (since + self.patience, Due::End(End::Slow)),
            None if state.shut => (now + IDLE, Due::Shut),
            None => {
                let idle = state.idle_since + IDLE;
                let at = state.drains.map_or(idle, |drains| drains.min(idle));
                (at, Due::Shut)
            }
        };
        if at > now {
            return Due::At(at);
        }
        state.shut |= due == Due::Shut;
        due
    }
}

impl State {
    fn is_busy(&self) -> bool {
        self.answers + self.requests > 0
    }

    fn due_while_busy(&self, now: Instant) -> (Instant, Due) {
        match self.full_since {
            // The answer under way is the last one, and says so if it has not begun.
            _ if self.drains.is_some() && !self.shut => (now, Due::Shut),
            // All of the request has been read, so that this is behind it.
            Some(_) if self.requests == 0 && !self.leaves_rest => (now, Due::End(End::Flooded)),
            Some(since) => (since + PAUSE, Due::End(End::Stuck)),
            // A look now and then finds what ended elsewhere just after the last one.
            None => (now + PAUSE, Due::Shut),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        match self.is_answer {
            true => state.answers -= 1,
            false => state.requests -= 1,
        }
        if !state.is_busy() {
            state.idle_since = timer::now();
        }
    }
}

/// How long somebody may read nothing of a call: who reads an answer bit by bit, or a handler of a
/// request, may do much between two messages. That the machine at the other end is gone is found
/// by TCP's own probes, and that its process is gone by what they are answered with.
pub(super) const PAUSE: Duration = Duration::from_secs(300);
