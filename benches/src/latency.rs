//! Latencies of many calls, recorded by many tasks, summed up as percentiles.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest latency told apart from longer ones, in nanoseconds: a minute.
const LONGEST_NS: u64 = 60_000_000_000;

/// Significant decimal digits of a recorded latency.
const DIGITS: u8 = 3;

/// Histograms that tasks share out among themselves, so that they seldom wait for each other.
///
/// A histogram takes about 200 KiB, so there is not one a task: a workload has up to 512.
const SHARDS: usize = 4;

/// Percentiles of latency, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Percentiles {
    /// The median.
    pub p50_us: f64,
    /// The 99th percentile.
    pub p99_us: f64,
    /// The 99.9th percentile.
    pub p999_us: f64,
}

/// Where latencies go; clones share it.
#[derive(Clone, Debug)]
pub struct Latencies(Arc<[Mutex<Histogram<u32>>]>);

impl Default for Latencies {
    fn default() -> Self {
        let empty = || {
            Histogram::new_with_bounds(1, LONGEST_NS, DIGITS)
                .map(Mutex::new)
                .expect("the bounds are in order and the digits are at most five")
        };
        Self((0..SHARDS).map(|_| empty()).collect())
    }
}

impl Latencies {
    /// Records one; `lane` is any number that differs between tasks.
    pub fn record(&self, lane: usize, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(LONGEST_NS);
        self.shard(lane % SHARDS).saturating_record(nanoseconds);
    }

    /// Sums up what was recorded; nothing, if nothing was.
    #[must_use]
    pub fn percentiles(&self) -> Option<Percentiles> {
        let mut sum = Histogram::<u32>::new_with_bounds(1, LONGEST_NS, DIGITS).ok()?;
        for shard in 0..SHARDS {
            sum.add(&*self.shard(shard)).ok()?;
        }
        let micros = |quantile| sum.value_at_quantile(quantile) as f64 / 1e3;
        (!sum.is_empty()).then(|| Percentiles {
            p50_us: micros(0.5),
            p99_us: micros(0.99),
            p999_us: micros(0.999),
        })
    }

    fn shard(&self, index: usize) -> std::sync::MutexGuard<'_, Histogram<u32>> {
        // Whoever panicked while recording left whole counts behind.
        self.0[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_all_lanes_together() {
        let latencies = Latencies::default();
        assert_eq!(latencies.percentiles(), None);
        for lane in 0..1_000 {
            latencies.record(lane, Duration::from_micros(lane as u64 + 1));
        }
        let found = latencies.percentiles().unwrap();
        let near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 2e-3;
        assert!(near(found.p50_us, 500.0), "{found:?}");
        assert!(near(found.p99_us, 990.0), "{found:?}");
        assert!(near(found.p999_us, 999.0), "{found:?}");
    }

    #[test]
    fn a_latency_beyond_the_longest_counts_as_the_longest() {
        let latencies = Latencies::default();
        latencies.record(0, Duration::from_secs(3600));
        let found = latencies.percentiles().unwrap();
        assert!((found.p50_us / 60e6 - 1.0).abs() < 2e-3, "{found:?}");
    }
}
