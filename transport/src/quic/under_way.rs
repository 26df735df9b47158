//! The handshakes that are under way, in all and from each source, and those that wait to begin.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Handshakes that have begun and are not done.
#[derive(Debug)]
pub(super) struct UnderWay {
    counts: Mutex<Counts>,
    /// How many of one source there may be.
    source_max: usize,
    /// One of them is over.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    /// Those of each source that has any.
    by_source: HashMap<IpAddr, usize>,
}

impl UnderWay {
    pub(super) fn new(source_max: usize) -> Self {
        Self {
            counts: Mutex::default(),
            source_max,
            ended: Notify::new(),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.lock().all
    }

    /// Whether a source may begin another one.
    pub(super) fn has_room(&self, address: IpAddr) -> bool {
        let counts = self.lock();
        let begun = counts.by_source.get(&source(address)).copied();
        begun.unwrap_or(0) < self.source_max
    }

    /// Counts one more, as long as it lives.
    pub(super) fn begin(self: &Arc<Self>, address: IpAddr) -> Counted {
        let source = source(address);
        let mut counts = self.lock();
        counts.all += 1;
        *counts.by_source.entry(source).or_default() += 1;
        drop(counts);
        Counted {
            under_way: Arc::clone(self),
            source,
        }
    }

    /// Waits until one is over; one that was while nobody waited counts.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handshake that is under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    under_way: Arc<UnderWay>,
    source: IpAddr,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.under_way.lock();
        counts.all -= 1;
        if let Some(begun) = counts.by_source.get_mut(&self.source) {
            *begun -= 1;
            if *begun == 0 {
                counts.by_source.remove(&self.source);
            }
        }
        drop(counts);
        self.under_way.ended.notify_one();
    }
}

/// Those whose source has no room, in their order.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    /// Each with when it came.
    queue: VecDeque<(T, Instant)>,
    max: usize,
    patience: Duration,
}

impl<T> Waiting<T> {
    /// At most so many at a time, each for so long.
    pub(super) fn new(max: usize, patience: Duration) -> Self {
        Self {
            queue: VecDeque::new(),
            max,
            patience,
        }
    }

    /// Has one wait.
    ///
    /// # Errors
    /// Gives it back when as many wait as may.
    pub(super) fn push(&mut self, it: T, now: Instant) -> Result<(), T> {
        if self.queue.len() >= self.max {
            return Err(it);
        }
        self.queue.push_back((it, now));
        Ok(())
    }

    /// Takes out one that has waited for longer than it may.
    pub(super) fn take_stale(&mut self, now: Instant) -> Option<T> {
        let (_, since) = self.queue.front()?;
        let is_stale = now.saturating_duration_since(*since) > self.patience;
        is_stale
            .then(|| self.queue.pop_front())
            .flatten()
            .map(|(it, _)| it)
    }

    /// Takes out the first of those that may go on.
    pub(super) fn take_first(&mut self, may_go_on: impl Fn(&T) -> bool) -> Option<T> {
        let at = self.queue.iter().position(|(it, _)| may_go_on(it))?;
        self.queue.remove(at).map(|(it, _)| it)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// Whom an address stands for: with IPv6, whoever has one has the 2^64 beside it, too.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            Ipv6Addr::from_bits(network).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::timer;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("a test names addresses")
    }

    #[test]
    fn a_source_has_room_up_to_its_bound_and_again_when_one_is_over() {
        let under_way = Arc::new(UnderWay::new(2));
        let first = under_way.begin(ip("10.0.0.1"));
        assert!(under_way.has_room(ip("10.0.0.1")));
        let second = under_way.begin(ip("10.0.0.1"));
        assert!(!under_way.has_room(ip("10.0.0.1")));
        assert!(!under_way.has_room(ip("::ffff:10.0.0.1")));
        assert!(under_way.has_room(ip("10.0.0.2")));
        assert_eq!(under_way.count(), 2);
        drop(first);
        assert!(under_way.has_room(ip("10.0.0.1")));
        drop(second);
        assert_eq!(under_way.count(), 0);
        assert!(under_way.lock().by_source.is_empty());
    }

    #[test]
    fn the_addresses_of_one_network_of_ipv6_are_one_source() {
        let under_way = Arc::new(UnderWay::new(1));
        let _first = under_way.begin(ip("2001:db8:0:1::1"));
        assert!(!under_way.has_room(ip("2001:db8:0:1:ffff::2")));
        assert!(under_way.has_room(ip("2001:db8:0:2::1")));
    }

    #[tokio::test]
    async fn an_end_that_nobody_waited_for_is_told() {
        let under_way = Arc::new(UnderWay::new(1));
        drop(under_way.begin(ip("10.0.0.1")));
        under_way.ended().await;
    }

    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn as_many_wait_as_may_and_no_more() {
        let (mut waiting, now) = (Waiting::new(2, PATIENCE), timer::now());
        assert_eq!(waiting.push("a", now), Ok(()));
        assert_eq!(waiting.push("b", now), Ok(()));
        assert_eq!(waiting.push("c", now), Err("c"));
        assert_eq!(waiting.take_first(|_| true), Some("a"));
        assert_eq!(waiting.push("c", now), Ok(()));
        assert_eq!(waiting.push("d", now), Err("d"));
    }

    #[test]
    fn nobody_waits_for_longer_than_they_may() {
        let (mut waiting, now) = (Waiting::new(2, PATIENCE), timer::now());
        let moment = Duration::from_nanos(1);
        waiting.push("a", now).unwrap();
        waiting.push("b", now + moment).unwrap();
        assert_eq!(waiting.take_stale(now + PATIENCE), None);
        assert_eq!(waiting.take_stale(now + PATIENCE + moment), Some("a"));
        assert_eq!(waiting.take_stale(now + PATIENCE + moment), None);
        assert_eq!(waiting.take_stale(now + PATIENCE + 2 * moment), Some("b"));
        assert!(waiting.is_empty() && waiting.take_stale(now + 3 * PATIENCE).is_none());
    }

    #[test]
    fn those_without_room_are_passed_by_those_with_some() {
        let (mut waiting, now) = (Waiting::new(3, PATIENCE), timer::now());
        for it in ["a1", "b1", "b2"] {
            waiting.push(it, now).unwrap();
        }
        let of_b = |it: &&str| it.starts_with('b');
        assert_eq!(waiting.take_first(of_b), Some("b1"));
        assert_eq!(waiting.take_first(of_b), Some("b2"));
        assert_eq!(waiting.take_first(of_b), None);
        assert_eq!(waiting.take_first(|_| true), Some("a1"));
    }
}
