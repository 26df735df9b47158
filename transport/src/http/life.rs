//! How long an HTTP/2 connection lives: a pure function of the time and of what was seen.

use std::time::{Duration, Instant};

use dreammesh_session::Keepalive;

use super::watch::Look;

/// The clockwork of one connection.
#[derive(Debug)]
pub(super) struct Life {
    /// How long the peer may take for any frame or header block.
    patience: Duration,
    keepalive: Option<Keepalive>,
    /// What had come in when the peer was last found alive.
    received_bytes: u64,
    /// When to ask for a sign of life, or when to give up after that.
    beat: Instant,
    asked: bool,
    /// Since when it has carried nothing.
    idle_since: Instant,
    /// Since when answers that nobody reads alone keep it, and what had been sent by then.
    unread: Option<(Instant, u64)>,
    /// It ends this long after it has carried nothing; none as long as it may be idle.
    drains: Option<Duration>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing until then.
    At(Instant),
    /// Ask the peer for a sign of life.
    Ping,
    /// It has been idle for long: take no more requests.
    Drain,
    /// It is over, and why.
    End(End),
}

/// What goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// Nothing does.
    Nothing,
    /// What was answered has not been read.
    Unread,
    /// Calls or sessions run.
    Running,
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The peer or the link ended it, or both sides are done.
    Closed,
    /// The peer floods it.
    Flooded,
    /// The peer does not read what it asked for.
    Unread,
    /// The peer left a frame incomplete, or gives no sign of life.
    Silent,
    /// It takes no more requests, and those it took are over.
    Drained,
}

impl Life {
    pub(super) fn new(now: Instant, patience: Duration, keepalive: Option<Keepalive>) -> Self {
        Self {
            patience,
            keepalive,
            received_bytes: 0,
            beat: keepalive.map_or(now, |keepalive| now + keepalive.interval),
            asked: false,
            idle_since: now,
            unread: None,
            drains: None,
        }
    }

    /// Notes a request.
    pub(super) fn handle_request(&mut self, now: Instant) {
        self.unread = None;
        self.idle_since = now;
    }

    /// Has it end once it carries nothing, and the peer has had the time to see that.
    pub(super) fn drain(&mut self, now: Instant) {
        self.idle_since = now;
        self.drains.get_or_insert(DRAIN);
    }

    /// Has it end as soon as it carries nothing.
    pub(super) fn close(&mut self) {
        self.drains = Some(Duration::ZERO);
    }

    /// What is due now; asked until nothing is.
    pub(super) fn poll(&mut self, now: Instant, look: Look, load: Load) -> Due {
        let busy = load != Load::Nothing;
        if look.flooded {
            return Due::End(End::Flooded);
        }
        if busy {
            self.idle_since = now;
        }
        let silent = look.incomplete.map(|since| since + self.patience);
        if silent.is_some_and(|at| at <= now) {
            return Due::End(End::Silent);
        }
        let unread = self.unread(now, look, load);
        if unread.is_some_and(|at| at <= now) {
            return Due::End(End::Unread);
        }
        let idle = self.idle_since + self.drains.unwrap_or(IDLE);
        if !busy && idle <= now {
            return match self.drains {
                Some(_) => Due::End(End::Drained),
                None => Due::Drain,
            };
        }
        let beat = match self.beat(now, look.received_bytes) {
            Ok(at) => at,
            Err(due) => return due,
        };
        let idle = (!busy).then_some(idle);
        let next = [silent, unread, idle, beat].into_iter().flatten().min();
        Due::At(next.unwrap_or(now + IDLE))
    }

    /// When it has waited long enough for the peer to read.
    fn unread(&mut self, now: Instant, look: Look, load: Load) -> Option<Instant> {
        if load != Load::Unread {
            self.unread = None;
            return None;
        }
        let progress = |(_, sent): &(_, u64)| look.sent_bytes >= sent + PROGRESS_BYTES;
        if self.unread.as_ref().is_none_or(progress) {
            self.unread = Some((now, look.sent_bytes));
        }
        self.unread.map(|(since, _)| since + UNREAD)
    }

    fn beat(&mut self, now: Instant, received_bytes: u64) -> Result<Option<Instant>, Due> {
        let Some(keepalive) = self.keepalive else {
            return Ok(None);
        };
        if self.received_bytes != received_bytes {
            self.received_bytes = received_bytes;
            self.asked = false;
            self.beat = now + keepalive.interval;
        } else if self.beat <= now {
            if self.asked {
                return Err(Due::End(End::Silent));
            }
            self.asked = true;
            self.beat = now + keepalive.timeout;
            return Err(Due::Ping);
        }
        Ok(Some(self.beat))
    }
}

/// How long a connection may carry nothing: proxies keep those to their backends for a minute, and
/// what dials anew after this has saved nothing by keeping one.
pub(super) const IDLE: Duration = Duration::from_secs(300);
/// How long answers may wait, that nobody reads and nothing else goes on beside: as long as proxies
/// let a stream be that carries nothing.
const UNREAD: Duration = Duration::from_secs(300);
/// So much of them has to leave in that time: more than what signs of life come to.
const PROGRESS_BYTES: u64 = 16 * 1024;
/// How long the peer has to see that no more requests are taken: a few round trips.
pub(super) const DRAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::timer;

    const PATIENCE: Duration = Duration::from_secs(5);
    const KEEPALIVE: Keepalive = Keepalive {
        interval: Duration::from_secs(20),
        timeout: Duration::from_secs(10),
    };
    const SEEN: Look = Look {
        flooded: false,
        incomplete: None,
        received_bytes: 9,
        sent_bytes: 9,
    };

    fn life(keepalive: Option<Keepalive>) -> (Life, Instant) {
        let now = timer::now();
        (Life::new(now, PATIENCE, keepalive), now)
    }

    #[test]
    fn a_frame_has_so_long_to_come_whole() {
        let (mut life, now) = life(None);
        let since = now + Duration::from_secs(60);
        let look = Look {
            incomplete: Some(since),
            ..SEEN
        };
        assert_eq!(
            life.poll(since, look, Load::Running),
            Due::At(since + PATIENCE)
        );
        let end = life.poll(since + PATIENCE, look, Load::Running);
        assert_eq!(end, Due::End(End::Silent));
    }

    #[test]
    fn a_silent_peer_is_asked_and_then_given_up() {
        let (mut life, now) = life(Some(KEEPALIVE));
        let asked = now + KEEPALIVE.interval;
        assert_eq!(life.poll(now, SEEN, Load::Running), Due::At(asked));
        assert_eq!(life.poll(asked, SEEN, Load::Running), Due::Ping);
        let gone = asked + KEEPALIVE.timeout;
        assert_eq!(life.poll(asked, SEEN, Load::Running), Due::At(gone));
        assert_eq!(life.poll(gone, SEEN, Load::Running), Due::End(End::Silent));
    }

    #[test]
    fn whatever_comes_is_a_sign_of_life() {
        let (mut life, now) = life(Some(KEEPALIVE));
        life.poll(now, SEEN, Load::Running);
        let asked = now + KEEPALIVE.interval;
        assert_eq!(life.poll(asked, SEEN, Load::Running), Due::Ping);
        let pong = Look {
            received_bytes: SEEN.received_bytes + 17,
            ..SEEN
        };
        let next = Due::At(asked + KEEPALIVE.interval);
        assert_eq!(life.poll(asked, pong, Load::Running), next);
    }

    #[test]
    fn one_that_carries_nothing_for_long_is_drained() {
        let (mut life, now) = life(None);
        assert_eq!(life.poll(now, SEEN, Load::Nothing), Due::At(now + IDLE));
        let later = now + IDLE;
        life.handle_request(later);
        assert_eq!(life.poll(later, SEEN, Load::Nothing), Due::At(later + IDLE));
        let last = later + IDLE;
        assert_eq!(life.poll(last, SEEN, Load::Running), Due::At(last + IDLE));
        assert_eq!(life.poll(last + IDLE, SEEN, Load::Nothing), Due::Drain);
        life.drain(last + IDLE);
        let end = last + IDLE + DRAIN;
        assert_eq!(life.poll(last + IDLE, SEEN, Load::Nothing), Due::At(end));
        assert_eq!(life.poll(end, SEEN, Load::Nothing), Due::End(End::Drained));
    }

    #[test]
    fn one_that_drains_ends_when_it_carries_nothing() {
        let (mut life, now) = life(None);
        life.drain(now);
        let later = now + IDLE;
        assert!(matches!(life.poll(later, SEEN, Load::Running), Due::At(_)));
        assert_eq!(
            life.poll(later, SEEN, Load::Nothing),
            Due::At(later + DRAIN)
        );
        life.close();
        life.drain(later);
        let end = life.poll(later, SEEN, Load::Nothing);
        assert_eq!(end, Due::End(End::Drained));
    }

    #[test]
    fn a_flood_ends_it_at_once() {
        let (mut life, now) = life(None);
        let look = Look {
            flooded: true,
            ..SEEN
        };
        assert_eq!(life.poll(now, look, Load::Running), Due::End(End::Flooded));
    }
    #[test]
    fn answers_that_nobody_reads_keep_it_for_so_long() {
        let (mut life, now) = life(None);
        let unread = |life: &mut Life, at, sent_bytes| {
            let look = Look { sent_bytes, ..SEEN };
            life.poll(at, look, Load::Unread)
        };
        assert_eq!(unread(&mut life, now, 9), Due::At(now + UNREAD));
        // What is as little as signs of life are makes no difference, and what is more does.
        let later = now + UNREAD / 2;
        let few = 9 + PROGRESS_BYTES - 1;
        assert_eq!(unread(&mut life, later, few), Due::At(now + UNREAD));
        let next = later + UNREAD;
        assert_eq!(unread(&mut life, later, few + 1), Due::At(next));
        // So does a request, and whatever runs.
        life.handle_request(next);
        let next = next + UNREAD;
        assert_eq!(unread(&mut life, next - UNREAD, few + 1), Due::At(next));
        assert!(matches!(life.poll(next, SEEN, Load::Running), Due::At(_)));
        let last = next + UNREAD;
        assert_eq!(unread(&mut life, next, few + 1), Due::At(last));
        assert_eq!(unread(&mut life, last, few + 1), Due::End(End::Unread));
    }
}
