//! Calls that wait at the client: for a connection, or for the server's maximum of calls.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::task::Waker;
use std::time::Instant;

use dreammesh_core::call::Deadline;
use dreammesh_core::port::OpenTicket;
use tokio::sync::Notify;

use crate::driver::timer;

/// The calls that wait, oldest first; each is a pending future of its caller's.
///
/// As long as somebody waits, newcomers wait behind. Each report of room wakes one, and whoever
/// leaves the queue without using up the last of the room wakes the next.
#[derive(Debug)]
pub(crate) struct Waiting {
    calls: BTreeMap<u64, Waiter>,
    /// The deadlines of `calls` with their places, so that the driver, which asks for the earliest
    /// one in every batch, does not look through a queue of thousands for it.
    deadlines: BTreeSet<(Deadline, u64)>,
    next_ticket: u64,
    /// The calls up to this place have been woken and not been polled since, or have left.
    ///
    /// Each report of room wakes another call, so that those that fit into the room of one batch
    /// are sent together.
    woken: u64,
}

#[derive(Debug)]
struct Waiter {
    waker: Waker,
    deadline: Option<Deadline>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            calls: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            next_ticket: FIRST_PLACE,
            woken: 0,
        }
    }
}

impl Waiting {
    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether a call must not open now even if there is room.
    pub(crate) fn goes_before(&self, ticket: OpenTicket) -> bool {
        // A call that holds a ticket and polls was woken, so it is its turn.
        ticket == OpenTicket::NONE && !self.calls.is_empty()
    }

    /// Queues a call, or keeps its place if it has one.
    ///
    /// Returns the waker of another task that it replaced, to be dropped outside the lock; waking
    /// it is harmless. Its own is kept: to wake that would have the call poll without end.
    pub(crate) fn enter(
        &mut self,
        ticket: &mut OpenTicket,
        waker: &Waker,
        deadline: Option<Deadline>,
    ) -> Option<Waker> {
        let place = match ticket.bits() {
            _ if *ticket == OpenTicket::SENT_BACK => {
                let place = self.place_before_others();
                self.woken = self.woken.min(place - 1);
                place
            }
            Some(place) => {
                // It was polled in vain, so it has to be woken once more.
                self.woken = self.woken.min(place - 1);
                place
            }
            None => {
                self.next_ticket += 1;
                self.next_ticket
            }
        };
        *ticket = OpenTicket::from_bits(place);
        let (former, former_deadline) = match self.calls.entry(place) {
            Entry::Vacant(vacant) => {
                let waker = waker.clone();
                vacant.insert(Waiter { waker, deadline });
                (None, None)
            }
            Entry::Occupied(occupied) => {
                let waiter = occupied.into_mut();
                let former = match waiter.waker.will_wake(waker) {
                    true => None,
                    false => Some(std::mem::replace(&mut waiter.waker, waker.clone())),
                };
                (former, std::mem::replace(&mut waiter.deadline, deadline))
            }
        };
        if former_deadline != deadline {
            self.forget(former_deadline, place);
            self.deadlines
                .extend(deadline.map(|deadline| (deadline, place)));
        }
        former
    }

    fn place_before_others(&self) -> u64 {
        // Those that were sent back before it have waited longer. The first place is 1, since 0 is
        // none, and begins again when all of them are gone: nobody comes as far as the others.
        let mut sent_back = self.calls.range(..FIRST_PLACE);
        sent_back.next_back().map_or(1, |(last, _)| last + 1)
    }

    /// Takes a call out and hands over the next one's waker.
    pub(crate) fn leave(&mut self, ticket: &mut OpenTicket) -> Option<Waker> {
        self.leave_full(ticket).then(|| self.wake_next()).flatten()
    }

    /// Takes a call out that has given up, and hands over the next one's waker if it was its turn:
    /// one that was not woken leaves no room to the others.
    pub(crate) fn abandon(&mut self, ticket: &mut OpenTicket) -> Option<Waker> {
        let was_woken = ticket.bits().is_some_and(|place| place <= self.woken);
        self.leave_full(ticket);
        was_woken.then(|| self.wake_next()).flatten()
    }

    /// Takes a call out that used up the room; whether it was in.
    pub(crate) fn leave_full(&mut self, ticket: &mut OpenTicket) -> bool {
        let Some(place) = std::mem::take(ticket).bits() else {
            return false;
        };
        if let Some(waiter) = self.calls.remove(&place) {
            self.forget(waiter.deadline, place);
        }
        true
    }

    fn forget(&mut self, deadline: Option<Deadline>, place: u64) {
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, place));
        }
    }

    /// The waker of the oldest that has not been woken, which keeps its place until it has been
    /// polled; none if all have been woken, who will find out about room by themselves.
    pub(crate) fn wake_next(&mut self) -> Option<Waker> {
        let (&place, waiter) = self.calls.range(self.woken + 1..).next()?;
        self.woken = place;
        Some(waiter.waker.clone())
    }

    /// The wakers of the calls whose deadline has passed.
    ///
    /// Each is woken for it once; it leaves the queue when it is polled.
    pub(crate) fn wake_expired(&mut self, now: Instant, wakers: &mut Vec<Waker>) {
        while let Some(&(deadline, place)) = self.deadlines.first() {
            if !deadline.is_past(now) {
                break;
            }
            self.deadlines.pop_first();
            if let Some(waiter) = self.calls.get_mut(&place) {
                waiter.deadline = None;
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
        self.deadlines
            .first()
            .map(|(deadline, _)| deadline.instant())
    }
}

/// Wakes the calls whose deadlines pass while they wait; `entered` says that one with a deadline
/// began to. The calls are under a lock of the caller's, which each closure takes.
pub(crate) async fn expire(
    entered: &Notify,
    next_deadline: impl Fn() -> Option<Instant>,
    wake_expired: impl Fn(Instant, &mut Vec<Waker>),
) -> Infallible {
    loop {
        let next = next_deadline();
        let due = async {
            match next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = entered.notified() => {}
            () = due => {
                let mut wakers = Vec::new();
                wake_expired(timer::now(), &mut wakers);
                wakers.into_iter().for_each(Waker::wake);
            }
        }
    }
}

/// Below it are the places of calls that go before others.
const FIRST_PLACE: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn enter(waiting: &mut Waiting, deadline: Option<Instant>) -> OpenTicket {
        let mut ticket = OpenTicket::NONE;
        let deadline = deadline.map(Deadline::at);
        waiting.enter(&mut ticket, Waker::noop(), deadline);
        ticket
    }

    #[test]
    fn the_earliest_deadline_is_that_of_a_call_that_still_waits() {
        let (mut waiting, now) = (Waiting::default(), timer::now());
        assert_eq!(waiting.next_deadline(), None);
        let mut late = enter(&mut waiting, Some(now + 3 * SECOND));
        let mut early = enter(&mut waiting, Some(now + SECOND));
        enter(&mut waiting, None);
        assert_eq!(waiting.next_deadline(), Some(now + SECOND));
        waiting.leave(&mut early);
        assert_eq!(waiting.next_deadline(), Some(now + 3 * SECOND));
        // Polled again, with another deadline than before and then with none.
        let again = Some(Deadline::at(now + 2 * SECOND));
        waiting.enter(&mut late, Waker::noop(), again);
        assert_eq!(waiting.next_deadline(), Some(now + 2 * SECOND));
        waiting.enter(&mut late, Waker::noop(), None);
        assert_eq!(waiting.next_deadline(), None);
    }

    #[test]
    fn each_report_of_room_wakes_another_call() {
        let mut waiting = Waiting::default();
        let mut tickets: Vec<_> = (0..3).map(|_| enter(&mut waiting, None)).collect();
        assert!(waiting.wake_next().is_some());
        assert!(waiting.wake_next().is_some());
        // The first one leaves and hands on its turn, after which all have been woken.
        assert!(waiting.leave(&mut tickets[0]).is_some());
        assert!(waiting.wake_next().is_none());
        // The second one finds no room and waits again: it and those behind it are woken anew.
        waiting.enter(&mut tickets[1], Waker::noop(), None);
        assert!(waiting.wake_next().is_some());
        assert!(waiting.wake_next().is_some());
        assert!(waiting.wake_next().is_none());
    }

    #[test]
    fn a_call_that_asks_again_is_not_woken_by_that() {
        struct Task;
        impl std::task::Wake for Task {
            fn wake(self: std::sync::Arc<Self>) {}
        }
        let task = || Waker::from(std::sync::Arc::new(Task));
        let (own, other) = (task(), task());
        let (mut waiting, mut ticket) = (Waiting::default(), OpenTicket::NONE);
        assert!(waiting.enter(&mut ticket, &own, None).is_none());
        assert!(waiting.enter(&mut ticket, &own, None).is_none());
        let former = waiting.enter(&mut ticket, &other, None).unwrap();
        assert!(former.will_wake(&own));
        assert!(waiting.wake_next().unwrap().will_wake(&other));
    }

    #[test]
    fn a_call_that_used_up_the_room_wakes_nobody() {
        let mut waiting = Waiting::default();
        let mut tickets: Vec<_> = (0..2).map(|_| enter(&mut waiting, None)).collect();
        assert!(waiting.wake_next().is_some());
        assert!(waiting.leave_full(&mut tickets[0]));
        assert_eq!(tickets[0], OpenTicket::NONE);
        assert!(!waiting.leave_full(&mut tickets[0]));
        assert!(waiting.wake_next().is_some());
    }

    #[test]
    fn a_call_that_gives_up_hands_on_the_turn_that_it_had() {
        let mut waiting = Waiting::default();
        let mut tickets: Vec<_> = (0..4).map(|_| enter(&mut waiting, None)).collect();
        assert!(waiting.wake_next().is_some());
        assert!(waiting.abandon(&mut tickets[3]).is_none());
        assert!(waiting.abandon(&mut tickets[0]).is_some());
        assert_eq!(tickets[0], OpenTicket::NONE);
        // The second one looks in vain, and so had no turn that it could hand on.
        waiting.enter(&mut tickets[1], Waker::noop(), None);
        assert!(waiting.abandon(&mut tickets[1]).is_none());
        assert!(waiting.wake_next().is_some());
        assert!(waiting.abandon(&mut tickets[2]).is_none());
        assert!(waiting.is_empty() && waiting.abandon(&mut tickets[2]).is_none());
    }

    #[test]
    fn a_call_that_was_sent_back_goes_before_those_that_wait() {
        let (mut waiting, now) = (Waiting::default(), timer::now());
        let sent_back = |waiting: &mut Waiting, after| {
            let mut ticket = OpenTicket::SENT_BACK;
            assert!(!waiting.goes_before(ticket));
            waiting.enter(&mut ticket, Waker::noop(), Some(Deadline::at(now + after)));
            ticket
        };
        let first = sent_back(&mut waiting, SECOND);
        let late = enter(&mut waiting, None);
        assert!(waiting.goes_before(OpenTicket::NONE));
        assert!(waiting.wake_next().is_some());
        assert!(waiting.wake_next().is_some());
        let second = sent_back(&mut waiting, 2 * SECOND);
        assert!(first.bits() < second.bits() && second.bits() < late.bits());
        // It was not woken yet, so it is next, whoever was woken before.
        assert!(waiting.wake_next().is_some());
        assert_eq!(Some(waiting.woken), second.bits());
        let mut tickets = [second, first, late];
        for ticket in &mut tickets {
            assert!(waiting.leave_full(ticket));
        }
        assert!(waiting.is_empty());
        let mut again = sent_back(&mut waiting, SECOND);
        assert_eq!(again.bits(), first.bits());
        assert!(waiting.leave_full(&mut again));
        assert_eq!(waiting.next_deadline(), None);
    }

    #[test]
    fn a_call_is_woken_for_its_deadline_once() {
        let (mut waiting, now) = (Waiting::default(), timer::now());
        // Two with the same deadline, which must not be taken for one.
        enter(&mut waiting, Some(now + SECOND));
        enter(&mut waiting, Some(now + SECOND));
        enter(&mut waiting, Some(now + 2 * SECOND));
        let mut wakers = Vec::new();
        waiting.wake_expired(now, &mut wakers);
        assert_eq!(wakers.len(), 0);
        waiting.wake_expired(now + SECOND, &mut wakers);
        assert_eq!(wakers.len(), 2);
        waiting.wake_expired(now + SECOND, &mut wakers);
        assert_eq!(wakers.len(), 2);
        assert_eq!(waiting.next_deadline(), Some(now + 2 * SECOND));
    }
}
