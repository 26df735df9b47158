//! What came of many calls, in memory that does not grow with them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dreammesh_core::call::Code;
use hdrhistogram::Histogram;

use super::caller::Made;
use super::plan::TIMEOUT_MAX;

/// Where lanes write down what came of their calls: each thread has a place of its own.
pub(super) struct Tallies(Vec<Mutex<Tally>>);

/// What came of the calls.
pub(super) struct Tally {
    pub(super) succeeded: u64,
    /// By code.
    pub(super) failures: Vec<Failures>,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) bytes: u64,
    /// Of the calls that succeeded, in nanoseconds.
    pub(super) latencies: Histogram<u64>,
    pub(super) latency_sum: Duration,
    pub(super) latency_min: Duration,
    pub(super) latency_max: Duration,
    /// By how much calls began after their time, in nanoseconds.
    pub(super) lateness: Histogram<u64>,
    /// When the last of them ended.
    pub(super) ended: Option<Instant>,
    /// How long all of them took together.
    pub(super) elapsed: Duration,
    /// Were due, and had not ended when the user ended them.
    pub(super) unfinished: u64,
    pub(super) interrupted: bool,
}

/// The calls that failed with one code.
pub(super) struct Failures {
    pub(super) code: Code,
    pub(super) count: u64,
    /// When the first of them failed, and what it said.
    first: (Instant, String),
}

/// When a call should have begun, did, and had ended.
pub(super) struct Times {
    pub(super) intended: Instant,
    pub(super) begun: Instant,
    pub(super) ended: Instant,
}

impl Tallies {
    pub(super) fn new(places: usize) -> Self {
        Self((0..places).map(|_| Mutex::new(Tally::new())).collect())
    }

    pub(super) fn record(&self, lane: usize, times: &Times, made: Made) {
        let place = &self.0[lane % self.0.len()];
        // Whoever panicked while recording left whole counts behind.
        let mut tally = place.lock().unwrap_or_else(PoisonError::into_inner);
        tally.record(times, made);
    }

    /// All of them together.
    pub(super) fn sum(&self) -> Tally {
        let mut sum = Tally::new();
        for place in &self.0 {
            sum.add(&place.lock().unwrap_or_else(PoisonError::into_inner));
        }
        sum
    }
}

impl Tally {
    fn new() -> Self {
        Self {
            succeeded: 0,
            failures: Vec::new(),
            sent: 0,
            received: 0,
            bytes: 0,
            latencies: histogram(),
            latency_sum: Duration::ZERO,
            latency_min: Duration::MAX,
            latency_max: Duration::ZERO,
            lateness: histogram(),
            ended: None,
            elapsed: Duration::ZERO,
            unfinished: 0,
            interrupted: false,
        }
    }

    /// How many calls came to an end.
    pub(super) fn calls(&self) -> u64 {
        self.succeeded + self.failed()
    }

    pub(super) fn failed(&self) -> u64 {
        self.failures.iter().map(|failures| failures.count).sum()
    }

    fn record(&mut self, times: &Times, made: Made) {
        self.sent += made.sent;
        self.received += made.received;
        self.bytes += made.bytes;
        self.ended = self.ended.max(Some(times.ended));
        let late = times.begun.saturating_duration_since(times.intended);
        self.lateness.saturating_record(nanoseconds(late));
        if let Some(error) = made.failed {
            self.fail(error.code(), 1, times.ended, error.message());
            return;
        }
        self.succeeded += 1;
        let latency = times.ended.saturating_duration_since(times.intended);
        self.latencies.saturating_record(nanoseconds(latency));
        self.latency_sum += latency;
        self.latency_min = self.latency_min.min(latency);
        self.latency_max = self.latency_max.max(latency);
    }

    fn fail(&mut self, code: Code, count: u64, at: Instant, message: &str) {
        let known = self.failures.iter_mut().find(|known| known.code == code);
        let Some(known) = known else {
            let message = message.chars().take(MESSAGE_CHARS).collect();
            let first = (at, message);
            self.failures.push(Failures { code, count, first });
            return;
        };
        known.count += count;
        if at < known.first.0 {
            known.first = (at, message.chars().take(MESSAGE_CHARS).collect());
        }
    }

    fn add(&mut self, other: &Self) {
        self.succeeded += other.succeeded;
        self.sent += other.sent;
        self.received += other.received;
        self.bytes += other.bytes;
        // Both have the same bounds.
        let _ = self.latencies.add(&other.latencies);
        let _ = self.lateness.add(&other.lateness);
        self.latency_sum += other.latency_sum;
        self.latency_min = self.latency_min.min(other.latency_min);
        self.latency_max = self.latency_max.max(other.latency_max);
        self.ended = self.ended.max(other.ended);
        for failures in &other.failures {
            let (at, message) = &failures.first;
            self.fail(failures.code, failures.count, *at, message);
        }
    }
}

impl Failures {
    /// What the first of them said, on one line.
    pub(super) fn message(&self) -> String {
        self.first.1.replace(char::is_control, " ")
    }
}

/// Counts of latencies up to the longest there can be, to three digits: some 270 KB.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, nanoseconds(2 * TIMEOUT_MAX), 3)
        .expect("the bounds are in order and the digits are at most five")
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What a report shows of a message.
const MESSAGE_CHARS: usize = 300;
