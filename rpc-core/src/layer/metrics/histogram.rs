//! A histogram of durations that one thread records into and others read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::shard::add;

/// Upper bounds of the buckets in seconds.
///
/// From 5 ms on they are those that OpenTelemetry advises for RPC durations; below, a call within
/// one host would otherwise fall into a single bucket.
pub(super) const BOUNDS_SECONDS: [f64; 23] = [
    0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005,
    0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// The same bounds in nanoseconds, as recording compares whole numbers.
const BOUNDS_NANOS: [u64; BOUNDS_SECONDS.len()] = {
    let mut nanos = [0; BOUNDS_SECONDS.len()];
    let mut at = 0;
    while at < nanos.len() {
        // All bounds are whole numbers of microseconds.
        nanos[at] = (BOUNDS_SECONDS[at] * 1e6 + 0.5) as u64 * 1000;
        at += 1;
    }
    nanos
};

/// Counts by bucket, the last one for what exceeds all bounds.
#[derive(Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BOUNDS_SECONDS.len() + 1],
    sum_nanos: AtomicU64,
}

impl Histogram {
    pub(super) fn record(&self, took: Duration) {
        // 584 years of calls fit.
        let nanos = took.as_nanos() as u64;
        let at = BOUNDS_NANOS.partition_point(|bound| *bound < nanos);
        add(&self.sum_nanos, nanos);
        add(&self.buckets[at], 1);
    }

    /// Adds what another one counted.
    pub(super) fn absorb(&self, other: &Self) {
        add(&self.sum_nanos, other.sum_nanos.load(Ordering::Relaxed));
        for (sum, part) in self.buckets.iter().zip(&other.buckets) {
            add(sum, part.load(Ordering::Relaxed));
        }
    }

    pub(super) fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_nanos.load(Ordering::Relaxed))
    }

    pub(super) fn buckets(&self) -> Vec<u64> {
        self.buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Acquire))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_one_past_it_to_the_next() {
        let histogram = Histogram::default();
        histogram.record(Duration::from_millis(5));
        histogram.record(Duration::from_nanos(5_000_001));
        histogram.record(Duration::from_secs(11));
        let buckets = histogram.buckets();
        assert_eq!((buckets[9], buckets[10]), (1, 1));
        assert_eq!(buckets.last(), Some(&1));
        assert_eq!(histogram.sum(), Duration::from_nanos(11_010_000_001));
    }
}
