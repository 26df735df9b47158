//! Open loop: calls begin at a fixed rate, whatever became of the earlier ones.
//!
//! A call's latency counts from when it was meant to begin, so a system that makes calls wait,
//! or keeps the process too busy to begin them, is charged for it (no coordinated omission). Calls
//! that could not begin before the plan was over, or did not end soon after it, count with the
//! time that they had waited by then, and are missing from the calls per second.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::failure::Failure;
use crate::handler::Mix;
use crate::latency::Latencies;
use crate::machine::{self, Usage};
use crate::process;
use crate::run::schedule::{Schedule, Ticker};
use crate::run::{Seen, Task, call, open};

/// Calls outstanding at most; beyond, a call begins late and is charged for that.
///
/// A system that falls behind would otherwise fill the memory with calls.
const OUTSTANDING_MAX: usize = 4_096;

/// How long the calls that were begun have to end once the plan is over.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Makes small calls at the plan's rate.
pub(super) async fn run<N, F, C>(task: &Task, connect: N) -> Result<Seen, Failure>
where
    N: Fn() -> F,
    F: Future<Output = Result<C, Failure>>,
    C: Client,
{
    let (plan, workload) = (task.plan, task.workload);
    let rate = plan
        .rate_per_s
        .filter(|rate| *rate > 0.0 && rate.is_finite());
    let rate = rate.ok_or_else(|| Failure::Process("an open loop without a rate".to_owned()))?;
    let clients = open(task, &connect).await?;
    let begin = Beginner {
        clients: clients.into_iter().map(Arc::new).collect(),
        mix: workload.mix,
        message: workload.message,
        schedule: Schedule::new(rate, plan.warm_up, plan.measured),
        shared: Arc::default(),
    };
    // On a task of its own, so that calls begin where an application's calls begin, too.
    let begun = tokio::spawn(begin.all());
    begun
        .await
        .map_err(|error| Failure::Process(error.to_string()))?
}

/// What the calls of a run share.
#[derive(Debug, Default)]
struct Shared {
    latencies: Latencies,
    outstanding: AtomicUsize,
    /// Whether calls that end are counted.
    counting: AtomicBool,
    counted: AtomicU64,
    failed: Mutex<Option<Failure>>,
}

/// Begins calls when they are due.
struct Beginner<C> {
    /// Shared, since a clone is made for a lane and may copy all that it sends.
    clients: Vec<Arc<C>>,
    mix: Mix,
    message: crate::message::Message,
    schedule: Schedule,
    shared: Arc<Shared>,
}

impl<C: Client> Beginner<C> {
    async fn all(self) -> Result<Seen, Failure> {
        let ticker = Ticker::new().map_err(timing)?;
        let begun = machine::now();
        let (mut next, mut counting) = (0, None);
        while next < self.schedule.total() && begun.elapsed() < self.schedule.end() {
            let due = self.schedule.due(begun.elapsed());
            if counting.is_none() && begun.elapsed() >= self.schedule.warm_up() {
                process::checkpoint(process::BEGIN)?;
                counting = Some((machine::usage()?, machine::now()));
                self.shared.counting.store(true, Ordering::Relaxed);
            }
            while next < due && self.shared.outstanding.load(Ordering::Relaxed) < OUTSTANDING_MAX {
                self.begin(next, begun + self.schedule.at(next));
                next += 1;
            }
            let until = self.schedule.at(next);
            ticker
                .wait(until.saturating_sub(begun.elapsed()))
                .await
                .map_err(timing)?;
        }
        let (before, since) = counting
            .ok_or_else(|| Failure::Process("the warm-up took the whole time".to_owned()))?;
        for number in next..self.schedule.total() {
            let waited = begun.elapsed().saturating_sub(self.schedule.at(number));
            self.shared.latencies.record(number as usize, waited);
        }
        self.drain(before, since).await
    }

    /// Makes one call on a task of its own.
    fn begin(&self, number: u64, meant: Instant) {
        let client = Arc::clone(&self.clients[number as usize % self.clients.len()]);
        let (shared, message) = (Arc::clone(&self.shared), self.message);
        let (handler, usual) = self.mix.of(number);
        let timed = usual && self.schedule.is_timed(number);
        shared.outstanding.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            match call(&*client, message, handler).await {
                Ok(()) => {
                    if shared.counting.load(Ordering::Relaxed) {
                        shared.counted.fetch_add(1, Ordering::Relaxed);
                    }
                    if timed {
                        shared.latencies.record(number as usize, meant.elapsed());
                    }
                }
                Err(failure) => {
                    let mut failed = shared.failed.lock().unwrap_or_else(PoisonError::into_inner);
                    failed.get_or_insert(failure);
                }
            }
            shared.outstanding.fetch_sub(1, Ordering::Release);
        });
    }

    /// Waits for the calls that are still outstanding, and sums up.
    async fn drain(self, before: Usage, since: Instant) -> Result<Seen, Failure> {
        let begun = machine::now();
        while self.shared.outstanding.load(Ordering::Acquire) > 0 && begun.elapsed() < DRAIN_MAX {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for lane in 0..self.shared.outstanding.load(Ordering::Acquire) {
            self.shared.latencies.record(lane, begun.elapsed());
        }
        let (seconds, after) = (since.elapsed().as_secs_f64(), machine::usage()?);
        process::checkpoint(process::END)?;
        let mut failed = self
            .shared
            .failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match failed.take() {
            Some(failure) => Err(failure),
            None => Ok(Seen {
                calls: self.shared.counted.load(Ordering::Relaxed),
                seconds,
                before,
                after,
                latency: self.shared.latencies.percentiles(),
            }),
        }
    }
}

fn timing(error: std::io::Error) -> Failure {
    Failure::io("waiting for the next call")(error)
}
