//! Attempt: what is noted of the endpoint that it was balanced to.

use std::sync::Arc;
use std::time::Instant;

use crate::balance::Load;
use crate::call::{Code, Initiator};
use crate::clock;
use crate::port::Ended;

/// An attempt that is outstanding at an endpoint; one that is dropped was given up.
#[derive(Debug)]
pub(crate) struct InFlight {
    load: Arc<Load>,
    began: Instant,
    owes: Owes,
}

/// What an endpoint owes an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owes {
    Answer,
    Stream,
    Nothing,
}

impl InFlight {
    /// An attempt of a method with one request and one response.
    pub(crate) fn unary(load: Arc<Load>, now: Instant) -> Self {
        load.handle_begun(now);
        Self {
            load,
            began: now,
            owes: Owes::Answer,
        }
    }

    /// An attempt of another method, which may last as long as it likes.
    pub(crate) fn stream(load: Arc<Load>, now: Instant) -> Self {
        load.handle_begun_stream();
        Self {
            load,
            began: now,
            owes: Owes::Stream,
        }
    }

    /// It has its answer.
    #[inline]
    pub(crate) fn answered(mut self) {
        if self.owes == Owes::Answer {
            self.owes = Owes::Nothing;
            self.load.handle_answered(self.began, clock::now());
        }
    }

    /// It has ended with a failure; gives the endpoint.
    pub(crate) fn ended(mut self, ended: &Ended) -> Arc<Load> {
        let load = Arc::clone(&self.load);
        let is_caller = ended.initiator == Initiator::Caller;
        match ended.status.code() {
            // Dropping it notes that it was given up.
            _ if is_caller || self.owes != Owes::Answer => return load,
            // It was too busy, or lost. Whatever else it says, it says in the time it takes.
            Code::Unavailable | Code::ResourceExhausted => {
                load.handle_failed(self.began, clock::now());
            }
            _ => load.handle_answered(self.began, clock::now()),
        }
        self.owes = Owes::Nothing;
        load
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        match self.owes {
            Owes::Answer => self.load.handle_given_up(self.began, clock::now()),
            Owes::Stream => self.load.handle_ended_stream(),
            Owes::Nothing => {}
        }
    }
}
