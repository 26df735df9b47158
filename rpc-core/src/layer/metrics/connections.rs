//! Channel scope: what becomes of the connections to an endpoint.
//!
//! It is written when a connection begins or ends, never by a call that goes well, so one lock
//! guards all of it and every snapshot is whole.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::call::Endpoint;

/// Counts what becomes of the connections to one endpoint; whoever keeps them writes it.
pub struct ConnectionCounts {
    endpoint: Endpoint,
    /// By what the endpoint may be reached: a table of the carrier's.
    media: &'static [&'static str],
    figures: Mutex<Figures>,
}

#[derive(Debug, Default)]
struct Figures {
    /// By medium.
    open: Vec<u64>,
    opened: Vec<u64>,
    switched: Vec<u64>,
    failed: [u64; ConnectFailure::ALL.len()],
    ended: [u64; ConnectionEnd::ALL.len()],
    /// The medium of the connection that was opened last.
    latest: Option<usize>,
    stalls: u64,
    reconnects: u64,
    calls_repeated: u64,
    calls_drained: u64,
}

/// Why a connection was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// Nobody answered, or somebody refused, or was not who they should be.
    Dial,
    /// It took too long.
    Timeout,
    /// The link was made and ended before the server said hello: it refuses this client, or speaks
    /// another protocol.
    Hello,
}

impl ConnectFailure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Dial, Self::Timeout, Self::Hello];

    /// Its name as a label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dial => "dial",
            Self::Timeout => "timeout",
            Self::Hello => "hello",
        }
    }
}

/// Why a connection ended that the server had said hello on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionEnd {
    /// It was no longer needed, or drained; no call was lost by it.
    Done,
    /// The server ended it without waiting for its calls.
    Shutdown,
    /// The peer gave no sign of life.
    Silent,
    /// One side broke the protocol.
    Protocol,
    /// The link broke.
    Link,
}

impl ConnectionEnd {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Done,
        Self::Shutdown,
        Self::Silent,
        Self::Protocol,
        Self::Link,
    ];

    /// Its name as a label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Shutdown => "shutdown",
            Self::Silent => "silent",
            Self::Protocol => "protocol",
            Self::Link => "link",
        }
    }
}

/// What became of the connections to one endpoint so far.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionSnapshot {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The medium of the connection that was opened last.
    pub medium: Option<&'static str>,
    /// How many connections are open now, by medium.
    pub open: Vec<(&'static str, u64)>,
    /// How many were opened, by medium: the server has said hello.
    pub opened: Vec<(&'static str, u64)>,
    /// How many were not made.
    pub failed: Vec<(ConnectFailure, u64)>,
    /// How many of those that were opened have ended.
    pub ended: Vec<(ConnectionEnd, u64)>,
    /// How often a connection came by another medium than the one before, by the new one.
    pub switched: Vec<(&'static str, u64)>,
    /// How often a path was found to swallow what is sent.
    pub stalls: u64,
    /// How many connections were opened where one had been and none was any more.
    pub reconnects: u64,
    /// How many calls were made again because their connection was over.
    pub calls_repeated: u64,
    /// How many calls their server ended because it drains and waits no longer
    /// ([`CallError::is_drained`](crate::call::CallError::is_drained)), those among them that were
    /// made again. Only calls that it may have begun are counted, not those that it refused.
    pub calls_drained: u64,
}

impl ConnectionCounts {
    /// Nothing counted yet, of an endpoint that may be reached by so many media.
    pub fn new(endpoint: Endpoint, media: &'static [&'static str]) -> Self {
        let zeros = vec![0; media.len()];
        let figures = Figures {
            open: zeros.clone(),
            opened: zeros.clone(),
            switched: zeros,
            ..Figures::default()
        };
        Self {
            endpoint,
            media,
            figures: Mutex::new(figures),
        }
    }

    /// The server has said hello on a connection; `is_first_again` where none was left before it.
    ///
    /// # Panics
    /// If the endpoint has no such medium.
    pub fn opened(&self, medium: usize, is_first_again: bool) {
        assert!(medium < self.media.len(), "the carrier's own table");
        let mut figures = self.lock();
        figures.open[medium] += 1;
        figures.opened[medium] += 1;
        match figures.latest.replace(medium) {
            Some(before) if before != medium => figures.switched[medium] += 1,
            _ => {}
        }
        let was_one_before = figures.opened.iter().sum::<u64>() > 1;
        figures.reconnects += u64::from(was_one_before && is_first_again);
    }

    /// A connection that was [`opened`](Self::opened) has ended.
    ///
    /// # Panics
    /// If the endpoint has no such medium.
    pub fn ended(&self, medium: usize, why: ConnectionEnd) {
        assert!(medium < self.media.len(), "the carrier's own table");
        let mut figures = self.lock();
        figures.open[medium] = figures.open[medium].saturating_sub(1);
        figures.ended[why as usize] += 1;
    }

    /// A connection could not be made.
    pub fn failed(&self, why: ConnectFailure) {
        self.lock().failed[why as usize] += 1;
    }

    /// A path was found to swallow what is sent.
    pub fn stalled(&self) {
        self.lock().stalls += 1;
    }

    /// A call is made again because its connection is over.
    pub fn repeated(&self) {
        self.lock().calls_repeated += 1;
    }

    /// A server that drains and waits no longer has ended calls.
    pub fn drained(&self, calls: u64) {
        self.lock().calls_drained += calls;
    }

    /// What was counted so far.
    pub fn snapshot(&self) -> ConnectionSnapshot {
        let figures = self.lock();
        let by_medium = |counts: &[u64]| {
            let named = self.media.iter().copied().zip(counts.iter().copied());
            named.collect()
        };
        ConnectionSnapshot {
            endpoint: self.endpoint.clone(),
            medium: figures.latest.map(|medium| self.media[medium]),
            open: by_medium(&figures.open),
            opened: by_medium(&figures.opened),
            failed: ConnectFailure::ALL
                .into_iter()
                .zip(figures.failed)
                .collect(),
            ended: ConnectionEnd::ALL.into_iter().zip(figures.ended).collect(),
            switched: by_medium(&figures.switched),
            stalls: figures.stalls,
            reconnects: figures.reconnects,
            calls_repeated: figures.calls_repeated,
            calls_drained: figures.calls_drained,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionSnapshot {
    /// How many connections were opened, by whatever medium.
    pub fn opened_in_all(&self) -> u64 {
        self.opened.iter().map(|(_, count)| count).sum()
    }

    /// How many connections ended for that reason.
    pub fn ended_by(&self, why: ConnectionEnd) -> u64 {
        count_of(&self.ended, &why)
    }

    /// How many connections were not made for that reason.
    pub fn failed_by(&self, why: ConnectFailure) -> u64 {
        count_of(&self.failed, &why)
    }

    /// Adds what was counted by another channel to the same endpoint.
    pub(super) fn add(&mut self, other: &Self) {
        self.medium = other.medium.or(self.medium);
        add_each(&mut self.open, &other.open);
        add_each(&mut self.opened, &other.opened);
        add_each(&mut self.failed, &other.failed);
        add_each(&mut self.ended, &other.ended);
        add_each(&mut self.switched, &other.switched);
        self.stalls += other.stalls;
        self.reconnects += other.reconnects;
        self.calls_repeated += other.calls_repeated;
        self.calls_drained += other.calls_drained;
    }
}

fn count_of<K: PartialEq>(counts: &[(K, u64)], key: &K) -> u64 {
    let found = counts.iter().find(|(known, _)| known == key);
    found.map_or(0, |(_, count)| *count)
}

fn add_each<K: PartialEq + Copy>(sums: &mut Vec<(K, u64)>, parts: &[(K, u64)]) {
    for (key, count) in parts {
        match sums.iter_mut().find(|(known, _)| known == key) {
            Some((_, sum)) => *sum += count,
            None => sums.push((*key, *count)),
        }
    }
}

impl fmt::Debug for ConnectionCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEDIA: &[&str] = &["one", "two"];

    fn counts() -> ConnectionCounts {
        ConnectionCounts::new(Endpoint::new("test://there"), MEDIA)
    }

    #[test]
    fn a_switch_is_counted_by_the_new_medium_and_a_reconnect_where_none_was_left() {
        let counts = counts();
        counts.opened(0, true);
        counts.opened(0, false);
        let seen = counts.snapshot();
        assert_eq!(
            (seen.reconnects, &seen.open[..]),
            (0, &[("one", 2), ("two", 0)][..])
        );
        assert_eq!(seen.switched, [("one", 0), ("two", 0)]);
        counts.ended(0, ConnectionEnd::Link);
        counts.opened(1, true);
        counts.opened(0, false);
        let seen = counts.snapshot();
        assert_eq!((seen.reconnects, seen.medium), (1, Some("one")));
        assert_eq!(seen.switched, [("one", 1), ("two", 1)]);
        assert_eq!(seen.open, [("one", 2), ("two", 1)]);
        assert_eq!(seen.ended_by(ConnectionEnd::Link), 1);
        assert_eq!(seen.opened_in_all(), 4);
    }

    #[test]
    fn every_reason_has_its_own_place_and_name() {
        let counts = counts();
        for (at, why) in ConnectFailure::ALL.into_iter().enumerate() {
            (0..=at).for_each(|_| counts.failed(why));
        }
        for (at, why) in ConnectionEnd::ALL.into_iter().enumerate() {
            (0..=at).for_each(|_| counts.ended(1, why));
        }
        let mut sum = counts.snapshot();
        sum.add(&counts.snapshot());
        for (at, why) in ConnectFailure::ALL.into_iter().enumerate() {
            assert_eq!(sum.failed_by(why), 2 * (at as u64 + 1), "{}", why.name());
        }
        for (at, why) in ConnectionEnd::ALL.into_iter().enumerate() {
            assert_eq!(sum.ended_by(why), 2 * (at as u64 + 1), "{}", why.name());
        }
    }
}
