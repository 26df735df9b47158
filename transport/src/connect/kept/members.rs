//! The connections that calls may get: one that all go to, and those beside it that were opened
//! because the server's maximum of calls was reached.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::client::Client;
use super::super::lanes::Lanes;
use crate::driver::shared::Shared;

/// A connection that calls may get.
pub(super) struct Member {
    pub(super) client: Arc<Client>,
    /// The lanes beside it, on a medium that has some.
    pub(super) lanes: Option<Arc<Lanes>>,
    /// When it is to be succeeded because of its age.
    retire_at: Option<Instant>,
    /// It is to be succeeded, and goes on until that is done.
    is_retiring: bool,
    rest: Rest,
}

/// Since when a connection has not been used.
#[derive(Debug)]
struct Rest {
    since: Option<Instant>,
    /// How many calls it had at the last look.
    calls: u64,
}

/// The connections of a kept link.
#[derive(Default)]
pub(super) struct Members {
    current: Option<Member>,
    beside: Vec<Member>,
}

/// What a look at the connections came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// When to look again.
    pub(super) next: Option<Instant>,
    /// A connection asks for a successor.
    pub(super) is_successor_wanted: bool,
}

impl Member {
    /// One that begins now and is to be succeeded at some time.
    pub(super) fn new(
        client: Arc<Client>,
        lanes: Option<Arc<Lanes>>,
        now: Instant,
        retire_at: Option<Instant>,
    ) -> Self {
        let rest = Rest {
            since: Some(now),
            calls: 0,
        };
        Self {
            client,
            lanes,
            retire_at,
            is_retiring: false,
            rest,
        }
    }

    pub(super) fn is_on(&self, shared: &Shared) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.client.0), shared)
    }

    fn is_live(&self) -> bool {
        self.client.0.is_open_to_calls()
    }

    fn has_room(&self) -> bool {
        self.client.0.standing.has_room()
    }

    /// How many handles others have: one for each call.
    fn users(&self) -> usize {
        Arc::strong_count(&self.client) - 1
    }

    /// How well it suits a call: the less the better, none if it has no room.
    fn rank(&self) -> Option<(bool, usize)> {
        let standing = &self.client.0.standing;
        standing
            .has_room()
            .then(|| (!standing.is_open(), self.users()))
    }

    /// Whether no call runs there and none has been given it; those may still wait for it that
    /// wait for its server's hello.
    ///
    /// A call that goes to a lane lets go of this connection's handle once it has the lane's, so
    /// the handle is asked about first.
    fn is_unused(&self) -> bool {
        let lanes = self.lanes.as_ref();
        self.client.0.was_connected()
            && self.users() == 0
            && lanes.is_none_or(|lanes| Arc::strong_count(lanes) == 1 && lanes.is_empty())
    }

    /// Looks whether it is in use.
    fn look(&mut self, now: Instant) {
        let calls = self.client.0.calls();
        let was_used = std::mem::replace(&mut self.rest.calls, calls) != calls;
        self.rest.since = match self.rest.since {
            _ if !self.is_unused() => None,
            Some(since) if !was_used => Some(since),
            _ => Some(now),
        };
    }

    /// When it will have been unused for so long, as far as the last look has shown.
    fn is_rested_at(&self, timeout: Duration) -> Option<Instant> {
        self.rest.since.map(|since| since + timeout)
    }
}

impl Members {
    /// The connection that any call may have, which is the common case.
    #[inline]
    pub(super) fn open(&self) -> Option<&Member> {
        let current = self.current.as_ref();
        current.filter(|member| member.client.0.standing.is_open())
    }

    /// The best connection for a call that waits for no other; from then on others get it too.
    pub(super) fn choose(&mut self) -> Option<&Member> {
        let ranked = self.beside.iter().enumerate();
        let ranked = ranked.filter_map(|(at, member)| Some((member.rank()?, at)));
        let own = self.current.as_ref().and_then(Member::rank);
        if let Some((rank, at)) = ranked.min()
            && own.is_none_or(|own| rank < own)
        {
            let best = self.beside.swap_remove(at);
            self.beside.extend(self.current.replace(best));
        }
        self.current.as_ref().filter(|member| member.has_room())
    }

    /// The bulk lanes of a connection that takes calls, whether or not its lane 0 is full.
    pub(super) fn lanes(&self) -> Option<Arc<Lanes>> {
        let mut live = self.iter().filter(|member| member.is_live());
        live.find_map(|member| member.lanes.clone())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.current.iter().chain(&self.beside)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    pub(super) fn count(&self) -> usize {
        self.iter().count()
    }

    /// Whether one of them is neither closed nor draining.
    pub(super) fn is_live(&self) -> bool {
        self.iter().any(Member::is_live)
    }

    /// Whether one of them has room for a call.
    pub(super) fn has_room(&self) -> bool {
        self.iter().any(Member::has_room)
    }

    /// Whether one has room for a call beside the one that was chosen last.
    pub(super) fn has_room_beside(&self) -> bool {
        self.beside.iter().any(Member::has_room)
    }

    /// Whether one of them is to be succeeded.
    pub(super) fn is_retiring(&self) -> bool {
        self.iter().any(|member| member.is_retiring)
    }

    /// Takes those out that are as asked; to be dropped without a lock.
    pub(super) fn take(&mut self, mut is_asked: impl FnMut(&Member) -> bool) -> Vec<Member> {
        let mut taken: Vec<_> = self
            .current
            .take_if(|it| is_asked(it))
            .into_iter()
            .collect();
        taken.extend(self.beside.extract_if(.., |it| is_asked(it)));
        taken
    }

    /// Takes those out that are closed or draining.
    pub(super) fn take_closed(&mut self) -> Vec<Member> {
        self.take(|member| !member.is_live())
    }

    /// Has all calls go to a connection from now on, and gives those whose places it takes.
    pub(super) fn put(&mut self, member: Member, max: usize) -> Vec<Member> {
        let mut over = self.take(|it| it.is_retiring || !it.is_live());
        let former = self.current.replace(member);
        match self.beside.len() + 1 < max {
            true => self.beside.extend(former),
            false => over.extend(former),
        }
        over
    }

    /// Where the connection that all calls go to has ended, another one is that, if there is one.
    fn promote(&mut self) {
        if self.current.as_ref().is_some_and(Member::is_live) {
            return;
        }
        if let Some(at) = self.beside.iter().position(Member::is_live) {
            let next = self.beside.swap_remove(at);
            self.beside.extend(self.current.replace(next));
        }
    }

    /// Has a successor made for a connection; one of several needs none, and is taken out.
    pub(super) fn retire(&mut self, shared: &Shared, over: &mut Vec<Member>) -> bool {
        self.promote();
        over.extend(self.beside.extract_if(.., |it| it.is_on(shared)));
        let current = self.current.as_mut();
        let Some(current) = current.filter(|it| it.is_on(shared) && it.is_live()) else {
            return false;
        };
        current.is_retiring = true;
        current.retire_at = None;
        true
    }

    /// Takes those out that nobody has used for a while, and sees which are too old.
    pub(super) fn look(&mut self, now: Instant, timeout: Duration, over: &mut Vec<Member>) -> Look {
        self.promote();
        let all = self.current.iter_mut().chain(&mut self.beside);
        all.for_each(|member| member.look(now));
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let surplus = timeout.min(SURPLUS_TIMEOUT);
        over.extend(self.beside.extract_if(.., |it| {
            is_due(it.retire_at) || is_due(it.is_rested_at(surplus))
        }));
        let current = self.current.take_if(|it| is_due(it.is_rested_at(timeout)));
        over.extend(current);
        let aged = self.current.as_mut().filter(|it| is_due(it.retire_at));
        let is_successor_wanted = aged.is_some();
        if let Some(current) = aged {
            current.retire_at = None;
            current.is_retiring = true;
        }
        Look {
            next: self.next_look(now, timeout, surplus),
            is_successor_wanted,
        }
    }

    fn next_look(&self, now: Instant, timeout: Duration, surplus: Duration) -> Option<Instant> {
        let step = match self.beside.is_empty() {
            true => timeout,
            // Any of them may be beside the others by the next look.
            false => surplus,
        };
        let look = (!self.is_empty()).then(|| now + step / LOOKS);
        let beside = self.beside.iter().map(|it| it.is_rested_at(surplus));
        let current = self.current.iter().map(|it| it.is_rested_at(timeout));
        let ages = self.iter().map(|it| it.retire_at);
        let all = beside.chain(current).chain(ages).flatten();
        all.chain(look).min()
    }
}

/// How often a connection is looked at within the time after which it counts as unused.
const LOOKS: u32 = 4;

/// After so long a connection goes that was opened because others were full: the load of the
/// last minute says enough about that of the next, and another one costs no more than a handshake.
const SURPLUS_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use dreammesh_core::call::{Endpoint, Peer};

    use super::super::super::{Settings, client};
    use super::*;
    use crate::driver::timer;
    use crate::link::memory;

    fn member(now: Instant, retire_at: Instant) -> Member {
        let (link, _) = memory::pair();
        let peer = Peer::new(Endpoint::new("there"));
        let begun = client::begin(&Settings::default(), peer, Box::new(link), None, None);
        // Where it ends the connection is over.
        std::mem::forget(begun.1);
        Member::new(begun.0, None, now, Some(retire_at))
    }

    /// Two of which the one that all calls go to has ended; and the one that is left.
    fn one_left(is_taken: bool, retire_at: Instant) -> (Members, Arc<Client>) {
        let (mut members, now) = (Members::default(), timer::now());
        members.put(member(now, retire_at), 2);
        let left = Arc::clone(&members.current.as_ref().unwrap().client);
        members.put(member(now, retire_at), 2);
        members.current.as_ref().unwrap().client.0.drain();
        if is_taken {
            assert_eq!(members.take_closed().len(), 1);
        }
        (members, left)
    }

    #[tokio::test]
    async fn the_last_one_goes_on_until_it_is_succeeded_when_it_is_old() {
        for is_taken in [false, true] {
            let now = timer::now();
            let (mut members, left) = one_left(is_taken, now);
            let mut over = Vec::new();
            let look = members.look(now, SURPLUS_TIMEOUT, &mut over);
            assert!(look.is_successor_wanted && members.is_retiring());
            assert!(members.iter().any(|it| it.is_on(&left.0)) && members.is_live());
        }
    }

    #[tokio::test]
    async fn the_last_one_goes_on_until_it_is_succeeded_when_it_asks_for_that() {
        for is_taken in [false, true] {
            let (mut members, left) = one_left(is_taken, timer::now());
            let mut over = Vec::new();
            assert!(members.retire(&left.0, &mut over));
            assert!(over.is_empty() && members.is_retiring() && members.is_live());
        }
    }
}
