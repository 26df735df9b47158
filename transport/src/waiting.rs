//! Calls that wait at the client: for a connection, or for the server's maximum of calls.

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Instant;

use dreammesh_core::call::Deadline;
use dreammesh_core::port::OpenTicket;

/// The calls that wait, oldest first; each is a pending future of its caller's.
///
/// As long as somebody waits, newcomers wait behind. Whoever leaves the queue, opened or not,
/// wakes the next, so one report of room serves all that fit.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    calls: BTreeMap<u64, Waiter>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Waiter {
    waker: Waker,
    deadline: Option<Deadline>,
}

impl Waiting {
    /// Whether a call must not open now even if there is room.
    pub(crate) fn goes_before(&self, ticket: OpenTicket) -> bool {
        // A call that holds a ticket and polls was woken, so it is its turn.
        ticket == OpenTicket::NONE && !self.calls.is_empty()
    }

    /// Queues a call, or keeps its place if it has one.
    ///
    /// Returns a waker that it replaced, to be dropped outside the lock.
    pub(crate) fn enter(
        &mut self,
        ticket: &mut OpenTicket,
        waker: Waker,
        deadline: Option<Deadline>,
    ) -> Option<Waker> {
        let place = ticket.bits().unwrap_or_else(|| {
            self.next_ticket += 1;
            self.next_ticket
        });
        *ticket = OpenTicket::from_bits(place);
        let former = self.calls.insert(place, Waiter { waker, deadline });
        former.map(|former| former.waker)
    }

    /// Takes a call out and hands over the next one's waker.
    pub(crate) fn leave(&mut self, ticket: &mut OpenTicket) -> Option<Waker> {
        let place = std::mem::take(ticket).bits()?;
        self.calls.remove(&place);
        self.wake_next()
    }

    /// The waker of the oldest, which keeps its place until it has been polled.
    pub(crate) fn wake_next(&self) -> Option<Waker> {
        self.calls
            .values()
            .next()
            .map(|waiter| waiter.waker.clone())
    }

    /// The wakers of the calls whose deadline has passed.
    ///
    /// Each is woken for it once; it leaves the queue when it is polled.
    pub(crate) fn wake_expired(&mut self, now: Instant, wakers: &mut Vec<Waker>) {
        for waiter in self.calls.values_mut() {
            if waiter
                .deadline
                .take_if(|deadline| deadline.is_past(now))
                .is_some()
            {
                wakers.push(waiter.waker.clone());
            }
        }
    }

    /// The wakers of all, who will find the connection closed.
    pub(crate) fn wake_all(&self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.calls.values().map(|waiter| waiter.waker.clone()));
    }

    /// When the earliest of their deadlines passes.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.calls
            .values()
            .filter_map(|waiter| waiter.deadline)
            .min()
            .map(Deadline::instant)
    }
}
