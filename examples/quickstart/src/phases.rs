//! What the customers met with, phase by phase.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A part of the customers' visit, in which one thing happens to the shop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) took: Duration,
    pub(crate) calls: u64,
    /// Calls that failed, whatever the reason, or whose answer was wrong.
    pub(crate) failed: u64,
    /// The first such call, in words.
    pub(crate) failure: Option<String>,
    /// Calls for an article that nobody sells, each of which ended as NOT_FOUND.
    pub(crate) not_found: u64,
    /// Lists that were cut short and asked for once more.
    pub(crate) resumed: u64,
    /// How long each call took from when it was due, in microseconds.
    latencies: Vec<u32>,
    /// How many answers came from each catalog.
    pub(crate) answers: BTreeMap<String, u64>,
}

impl Phase {
    /// The time that a share of the calls took at most.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        let rank = (latencies.len() as f64 * share) as usize;
        let found = latencies.get(rank).or_else(|| latencies.last());
        Duration::from_micros(found.copied().unwrap_or(0).into())
    }

    /// The share of answers that came from one catalog, in per cent.
    pub(crate) fn share(&self, instance: &str) -> u64 {
        let all: u64 = self.answers.values().sum();
        let of_it = self.answers.get(instance).copied().unwrap_or(0);
        of_it * 100 / all.max(1)
    }

    /// Calls a second.
    pub(crate) fn rate(&self) -> f64 {
        self.calls as f64 / self.took.as_secs_f64().max(f64::EPSILON)
    }
}

/// Where all customers write down what they met with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Vec<Phase>>>);

impl Ledger {
    /// What happens from here on belongs to a new phase.
    pub(crate) fn begin(&self, name: &'static str) {
        self.phases().push(Phase {
            name,
            ..Phase::default()
        });
    }

    /// The phase has lasted so long, and is over.
    pub(crate) fn end(&self, took: Duration) {
        self.with(|phase| phase.took = took);
    }

    /// A call has ended, so long after it was due.
    pub(crate) fn call(&self, took: Duration, ended: Result<(), String>) {
        self.with(|phase| {
            phase.calls += 1;
            let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
            phase.latencies.push(micros);
            if let Err(failure) = ended {
                phase.failed += 1;
                phase.failure.get_or_insert(failure);
            }
        });
    }

    /// A catalog has answered.
    pub(crate) fn answer(&self, instance: &str) {
        self.with(|phase| *phase.answers.entry(instance.to_owned()).or_default() += 1);
    }

    /// An article that nobody sells was not found.
    pub(crate) fn not_found(&self) {
        self.with(|phase| phase.not_found += 1);
    }

    /// A list was cut short.
    pub(crate) fn resumed(&self) {
        self.with(|phase| phase.resumed += 1);
    }

    /// All phases so far.
    pub(crate) fn read(&self) -> Vec<Phase> {
        self.phases().clone()
    }

    fn with(&self, change: impl FnOnce(&mut Phase)) {
        if let Some(phase) = self.phases().last_mut() {
            change(phase);
        }
    }

    fn phases(&self) -> MutexGuard<'_, Vec<Phase>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
