//! A histogram of durations that is recorded into without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets in seconds.
///
/// From 5 ms on they are those that OpenTelemetry advises for RPC durations; below, a call within
/// one host would otherwise fall into a single bucket.
pub(super) const BOUNDS_SECONDS: [f64; 23] = [
    0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005,
    0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Counts by bucket, the last one for what exceeds all bounds.
#[derive(Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BOUNDS_SECONDS.len() + 1],
    sum_nanos: AtomicU64,
}

impl Histogram {
    pub(super) fn record(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let at = BOUNDS_SECONDS.partition_point(|bound| *bound < seconds);
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        // 584 years of calls fit.
        self.sum_nanos
            .fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(super) fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_nanos.load(Ordering::Relaxed))
    }

    pub(super) fn buckets(&self) -> Vec<u64> {
        self.buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
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
