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

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);
    const MOMENT: Duration = Duration::from_nanos(1);

    /// A connection on which nothing goes on after its first answer, and since when.
    fn idle() -> (Arc<Turns>, Instant) {
        let now = timer::now();
        let turns = Turns::new(now, PATIENCE);
        drop(turns.answer());
        (turns, now)
    }

    /// Nothing is due a moment before that, and then this is.
    fn is_due(turns: &Turns, at: Instant, due: Due) {
        assert_eq!(turns.due(at - MOMENT), Due::At(at));
        assert_eq!(turns.due(at), due);
    }

    #[test]
    fn a_head_comes_whole_in_time() {
        let now = timer::now();
        is_due(
            &Turns::new(now, PATIENCE),
            now + PATIENCE,
            Due::End(End::Slow),
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_for_a_head_runs_from_its_first_byte() {
        let (turns, now) = idle();
        let begun = now + IDLE - MOMENT;
        turns.handle_data(begun);
        // What follows does not make it longer.
        turns.handle_data(begun + PATIENCE / 2);
        is_due(&turns, begun + PATIENCE, Due::End(End::Slow));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_for_so_long_and_told_once() {
        let (turns, now) = idle();
        is_due(&turns, now + IDLE, Due::Shut);
        assert_eq!(turns.due(now + IDLE), Due::At(now + 2 * IDLE));
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_reads_ends_the_connection_after_so_long() {
        let (turns, now) = idle();
        let (_answer, request) = (turns.answer(), turns.request());
        turns.set_full(true, now);
        turns.set_full(true, now + PAUSE / 2);
        is_due(&turns, now + PAUSE, Due::End(End::Stuck));
        // Whoever reads some of it has as long for the next.
        turns.set_full(false, now + PAUSE);
        assert_eq!(turns.due(now + PAUSE), Due::At(now + 2 * PAUSE));
        turns.set_full(true, now + PAUSE);
        is_due(&turns, now + 2 * PAUSE, Due::End(End::Stuck));
        // One that was left is nobody's to read, and still not what came behind a request.
        turns.leave_rest();
        drop(request);
        is_due(&turns, now + 2 * PAUSE, Due::End(End::Stuck));
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_behind_a_whole_request_ends_the_connection_at_once() {
        let (turns, now) = idle();
        let _answer = turns.answer();
        turns.set_full(true, now);
        assert_eq!(turns.due(now), Due::End(End::Flooded));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_may_go_unread_for_longer_while_it_is_one_of_a_call() {
        let (turns, _) = idle();
        let answer = turns.answer();
        assert_eq!(turns.patience(), PATIENCE);
        turns.answer_call();
        assert_eq!(turns.patience(), PAUSE);
        turns.handle_flushed();
        assert_eq!(turns.patience(), PAUSE);
        // Some of it may still have to be written.
        drop(answer);
        assert_eq!(turns.patience(), PAUSE);
        turns.handle_flushed();
        assert_eq!(turns.patience(), PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_drains_takes_what_begins_in_time() {
        let (turns, now) = idle();
        turns.drain(now);
        turns.drain(now + DRAIN);
        is_due(&turns, now + DRAIN, Due::Shut);
        let (turns, now) = idle();
        turns.drain(now);
        turns.handle_data(now + DRAIN - MOMENT);
        let whole = now + DRAIN - MOMENT + PATIENCE;
        is_due(&turns, whole, Due::End(End::Slow));
        turns.close(now + DRAIN);
        assert_eq!(turns.due(now + DRAIN), Due::End(End::Slow));
    }
}
