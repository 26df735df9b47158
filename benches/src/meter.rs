//! Counts what one lane gets done, and tells it when to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::latency::Latencies;
use crate::machine;

// Zero, which a new phase is, is the time before.
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// Which part of the plan is running; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Phase(Arc<AtomicU8>);

impl Phase {
    /// Whether calls count now.
    #[inline]
    #[must_use]
    pub fn measuring(&self) -> bool {
        self.0.load(Ordering::Relaxed) == MEASURING
    }

    /// Whether to make no further call.
    #[inline]
    #[must_use]
    pub fn over(&self) -> bool {
        self.0.load(Ordering::Relaxed) == OVER
    }

    /// Counting begins.
    pub(crate) fn measure(&self) {
        self.0.store(MEASURING, Ordering::Relaxed);
    }

    /// Counting ends.
    pub(crate) fn end(&self) {
        self.0.store(OVER, Ordering::Relaxed);
    }
}

/// What one lane counted, how long each call took, and whether to go on.
#[derive(Debug)]
pub struct Meter {
    phase: Phase,
    latencies: Latencies,
    lane: usize,
    sample_every: u64,
    pause: Option<Duration>,
    made: u64,
    counted: u64,
    begun: Instant,
}

impl Meter {
    /// The meter of a lane that takes the time of one call in `sample_every`.
    #[must_use]
    pub fn new(phase: Phase, latencies: Latencies, lane: usize, sample_every: u64) -> Self {
        Self {
            phase,
            latencies,
            lane,
            sample_every,
            pause: None,
            made: 0,
            counted: 0,
            begun: machine::now(),
        }
    }

    /// The meter of a lane that waits after each message and counts none of them.
    #[must_use]
    pub fn slow(phase: Phase, pause: Duration) -> Self {
        let mut meter = Self::new(phase, Latencies::default(), 0, u64::MAX);
        meter.pause = Some(pause);
        meter
    }

    /// Says that a call begins; needed only where [`took`](Self::took) does not follow on another.
    #[inline]
    pub fn begin(&mut self) {
        if self.made.is_multiple_of(self.sample_every) {
            self.begun = machine::now();
        }
    }

    /// Says that an answer was received and read; `false` means that the lane should stop.
    #[inline]
    pub async fn took(&mut self) -> bool {
        if let Some(pause) = self.pause {
            Box::pin(tokio::time::sleep(pause)).await;
        }
        self.count()
    }

    /// [`took`](Self::took) for lanes that never wait.
    #[inline]
    pub(crate) fn count(&mut self) -> bool {
        let sampled = self.made.is_multiple_of(self.sample_every);
        if self.phase.measuring() && self.pause.is_none() {
            self.counted += 1;
            if sampled {
                self.latencies.record(self.lane, self.begun.elapsed());
            }
        }
        self.made += 1;
        self.begin();
        !self.phase.over()
    }

    /// Says that so many messages returned together, the oldest of them after this time.
    #[inline]
    pub fn returned(&mut self, messages: u64, latency: Duration) {
        if self.phase.measuring() {
            self.counted += messages;
            self.latencies.record(self.lane, latency);
        }
    }

    /// Whether the lane should stop.
    #[must_use]
    pub fn over(&self) -> bool {
        self.phase.over()
    }

    /// How many were counted.
    #[must_use]
    pub const fn counted(&self) -> u64 {
        self.counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ends_within_the_measured_time_counts() {
        let (phase, latencies) = (Phase::default(), Latencies::default());
        let mut meter = Meter::new(phase.clone(), latencies.clone(), 0, 1);
        assert!(meter.count());
        assert_eq!(
            (meter.counted(), latencies.percentiles().is_some()),
            (0, false)
        );
        phase.measure();
        assert!(meter.count());
        assert!(meter.count());
        phase.end();
        assert!(!meter.count());
        assert_eq!(
            (meter.counted(), latencies.percentiles().is_some()),
            (2, true)
        );
    }

    #[test]
    fn a_slow_reader_counts_nothing() {
        let phase = Phase::default();
        phase.measure();
        let mut meter = Meter::slow(phase, Duration::ZERO);
        assert!(meter.count());
        assert_eq!(meter.counted(), 0);
    }
}
