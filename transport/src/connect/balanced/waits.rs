//! The calls that wait for an endpoint.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use dreammesh_core::call::Deadline;
use dreammesh_core::port::OpenTicket;

use super::set::Member;
use crate::waiting::Waiting;

/// Calls that wait, and what for.
#[derive(Default)]
pub(super) struct Waits {
    calls: Waiting,
    /// The endpoints that each waits for, with its place there; those that wait for the resolver
    /// have none.
    asked: BTreeMap<u64, Vec<(Arc<Member>, OpenTicket)>>,
}

impl Waits {
    /// Has a call wait, or wait on. Gives a waker that is not needed any more, to be dropped
    /// outside of the lock.
    pub(super) fn enter(
        &mut self,
        ticket: &mut OpenTicket,
        waker: &Waker,
        deadline: Option<Deadline>,
        asked: Vec<(Arc<Member>, OpenTicket)>,
    ) -> Option<Waker> {
        let former = self.calls.enter(ticket, waker, deadline);
        if let Some(place) = ticket.bits().filter(|_| !asked.is_empty()) {
            self.asked.insert(place, asked);
        }
        former
    }

    /// Takes a call out; gives the endpoints that it waited for.
    pub(super) fn leave(&mut self, ticket: &mut OpenTicket) -> Vec<(Arc<Member>, OpenTicket)> {
        let asked = ticket.bits().and_then(|place| self.asked.remove(&place));
        self.calls.leave_full(ticket);
        asked.unwrap_or_default()
    }

    pub(super) fn wake_all(&self, wakers: &mut Vec<Waker>) {
        self.calls.wake_all(wakers);
    }

    pub(super) fn wake_expired(&mut self, now: Instant, wakers: &mut Vec<Waker>) {
        self.calls.wake_expired(now, wakers);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.calls.next_deadline()
    }
}
