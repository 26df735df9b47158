//! Attempt: what is noted of the endpoints that it was balanced to.

use std::sync::Arc;
use std::time::Instant;

use crate::balance::Load;
use crate::call::{Begun, Code, Initiator, MethodKind};
use crate::clock;
use crate::port::{Balanced, Ended};

/// Where a call was balanced to; nothing, for one whose source has one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    /// That it is outstanding at one.
    in_flight: Option<InFlight>,
    /// Those at which it has failed, if at any. Nobody shares them: an `Arc` that is not there is
    /// dropped in fewer instructions than a `Box` or a list.
    tried: Option<Arc<Vec<Arc<Load>>>>,
}

impl Endpoints {
    /// Those at which the call has failed, the last one last.
    pub(crate) fn tried(&self) -> &[Arc<Load>] {
        self.tried.as_ref().map_or(&[], |tried| tried)
    }

    /// Whether there is another one for it.
    pub(crate) fn has_others(&self) -> bool {
        let in_flight = self.in_flight.as_ref();
        in_flight.is_some_and(|in_flight| in_flight.has_others)
    }

    /// An attempt begins at one.
    pub(crate) fn begin(&mut self, kind: MethodKind, balanced: Balanced) {
        self.in_flight = Some(match kind {
            MethodKind::Unary => InFlight::unary(balanced),
            _ => InFlight::stream(balanced),
        });
    }

    /// The attempt goes on by itself, or is given up if nobody takes what is given back.
    pub(crate) const fn take(&mut self) -> Option<InFlight> {
        self.in_flight.take()
    }

    /// The attempt has ended with a failure there.
    pub(crate) fn leave(&mut self, ended: &Ended) {
        if let Some(in_flight) = self.in_flight.take() {
            let load = in_flight.ended(ended);
            Arc::make_mut(self.tried.get_or_insert_default()).push(load);
        }
    }
}

/// An attempt that is outstanding at an endpoint; one that is dropped was given up.
#[derive(Debug)]
pub(crate) struct InFlight {
    load: Arc<Load>,
    began: Instant,
    owes: Owes,
    /// Whether there is another endpoint at which the call has not failed.
    has_others: bool,
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
    fn unary(balanced: Balanced) -> Self {
        balanced.load.handle_begun(balanced.now);
        Self::new(balanced, Owes::Answer)
    }

    /// An attempt of another method, which may last as long as it likes.
    fn stream(balanced: Balanced) -> Self {
        balanced.load.handle_begun_stream();
        Self::new(balanced, Owes::Stream)
    }

    fn new(balanced: Balanced, owes: Owes) -> Self {
        Self {
            load: balanced.load,
            began: balanced.now,
            owes,
            has_others: balanced.has_others,
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
        let is_peer = ended.initiator == Initiator::Peer;
        let is_bad = match ended.status.code() {
            // Not if its connection went away in good order, and it did not take this call any more.
            Code::Unavailable => ended.begun == Begun::Maybe,
            // Not if this side's own bounds were exceeded.
            Code::ResourceExhausted => is_peer,
            _ => false,
        };
        match self.owes {
            // It was too busy, or lost.
            Owes::Answer if is_bad => load.handle_failed(self.began, clock::now()),
            // Whatever else it says, it says in the time it takes.
            Owes::Answer if is_peer => load.handle_answered(self.began, clock::now()),
            Owes::Stream if is_bad => {
                load.handle_ended_stream();
                load.handle_unreachable(clock::now());
            }
            // Dropping it notes that it was given up.
            _ => return load,
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
