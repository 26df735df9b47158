//! Keeps a number of calls outstanding and counts those that end within the measured time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::machine;

/// How long and how deep to load a system.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// Calls outstanding at any time.
    pub depth: usize,
    /// Time before anything is counted.
    pub warm_up: Duration,
    /// Time during which calls are counted.
    pub measured: Duration,
}

impl Plan {
    /// A plan of `depth` outstanding calls.
    #[must_use]
    pub const fn new(depth: usize, warm_up: Duration, measured: Duration) -> Self {
        Self {
            depth,
            warm_up,
            measured,
        }
    }
}

/// What the client saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Seen {
    /// Calls that ended within the measured time.
    pub calls: u64,
    /// The measured time, in seconds, as it turned out.
    pub seconds: f64,
    /// The client's CPU time within the measured time, in seconds.
    pub client_cpu_seconds: f64,
    /// Median latency of the sampled calls, in microseconds.
    pub p50_us: f64,
    /// 99th percentile latency of the sampled calls, in microseconds.
    pub p99_us: f64,
}

/// One call in this many is timed, so that reading the clock is not part of what is compared.
const SAMPLE_EVERY: u64 = 16;

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// What one lane counted.
#[derive(Debug, Default)]
struct Tally {
    calls: u64,
    latencies: Vec<Duration>,
}

/// Which part of the plan is running; shared with whoever makes the calls.
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

    fn enter(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }
}

/// Runs `depth` lanes, each a task that makes one call after another with a call source of its own.
///
/// `lane` makes a lane's call source; the source is called once per call. The first error ends
/// the run.
///
/// # Errors
/// When any call failed.
pub async fn drive<L, C, F>(plan: Plan, mut lane: L) -> Result<Seen, Failure>
where
    L: FnMut() -> C,
    C: FnMut() -> F + Send + 'static,
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let phase = Phase::default();
    let mut lanes = JoinSet::new();
    for _ in 0..plan.depth {
        lanes.spawn(keep_calling(phase.clone(), lane()));
    }
    let clocked = clock_phases(plan, &phase);
    let clocked = tokio::select! {
        clocked = clocked => clocked?,
        Some(ended) = lanes.join_next() => {
            return Err(match ended {
                Ok(Err(failure)) => failure,
                other => Failure::Process(format!("a lane ended early: {other:?}")),
            });
        }
    };
    let mut total = Tally::default();
    while let Some(ended) = lanes.join_next().await {
        let tally = ended.map_err(|error| Failure::Process(error.to_string()))??;
        total.calls += tally.calls;
        total.latencies.extend(tally.latencies);
    }
    Ok(clocked.seen(total.calls, total.latencies))
}

/// Measured time and CPU of one run.
#[derive(Clone, Copy, Debug)]
pub struct Clocked {
    elapsed: Duration,
    cpu: Duration,
}

impl Clocked {
    /// Puts the calls that were counted beside the time that was measured.
    #[must_use]
    pub fn seen(self, calls: u64, mut latencies: Vec<Duration>) -> Seen {
        latencies.sort_unstable();
        let quantile = |share: f64| {
            let rank = (latencies.len().saturating_sub(1) as f64 * share).round();
            latencies
                .get(rank as usize)
                .map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
        };
        Seen {
            calls,
            seconds: self.elapsed.as_secs_f64(),
            client_cpu_seconds: self.cpu.as_secs_f64(),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
        }
    }
}

/// Moves the phase on at the planned times, and tells the parent process when counting starts.
///
/// # Errors
/// When CPU time cannot be read.
pub async fn clock_phases(plan: Plan, phase: &Phase) -> Result<Clocked, Failure> {
    tokio::time::sleep(plan.warm_up).await;
    crate::process::announce_measuring();
    let cpu = machine::cpu_spent()?;
    let begun = machine::now();
    phase.enter(MEASURING);
    tokio::time::sleep(plan.measured).await;
    phase.enter(OVER);
    Ok(Clocked {
        elapsed: begun.elapsed(),
        cpu: machine::cpu_spent()?.saturating_sub(cpu),
    })
}

async fn keep_calling<C, F>(phase: Phase, mut call: C) -> Result<Tally, Failure>
where
    C: FnMut() -> F,
    F: Future<Output = Result<(), Failure>>,
{
    let mut tally = Tally::default();
    let mut made = 0_u64;
    loop {
        let begun = made.is_multiple_of(SAMPLE_EVERY).then(machine::now);
        call().await?;
        made += 1;
        if phase.over() {
            return Ok(tally);
        }
        if phase.measuring() {
            tally.calls += 1;
            tally.latencies.extend(begun.map(|begun| begun.elapsed()));
        }
    }
}

const _: () = assert!(WARMING == 0, "a new phase is the first one");
