//! Many calls: one after another in so many lanes, or at a rate.
//!
//! At a rate, each call has a time at which it is due whatever became of those before, and its
//! latency counts from then. A server that stops is so charged with every call that it held up, and
//! not only with those that had begun (which is known as coordinated omission).

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dreammesh_core::call::{Begun, CallError, Code, Status};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::caller::{Caller, Made};
use super::plan::Plan;
use super::report::grouped;
use super::tally::{Tallies, Tally, Times};
use crate::outcome::{clear_line, rewrite_line};

/// Calls that shall be made.
pub(super) struct Drive {
    caller: Arc<Caller>,
    concurrency: usize,
    threads: usize,
    rate: Option<f64>,
    duration: Option<Duration>,
    calls: u64,
    timeout: Duration,
}

/// Calls that are being made.
struct Run {
    drive: Drive,
    start: Instant,
    /// How many calls were begun; their numbers are below it.
    begun: AtomicU64,
    /// How many calls at a rate have become due. Those that did not begin yet have a permit each.
    due: AtomicU64,
    permits: Semaphore,
    ended: AtomicU64,
    failed: AtomicU64,
    stopped: AtomicBool,
    tallies: Tallies,
}

impl Drive {
    pub(super) fn new(caller: &Arc<Caller>, plan: &Plan) -> Self {
        let drive = Self {
            caller: Arc::clone(caller),
            concurrency: plan.concurrency,
            threads: plan.threads,
            rate: plan.rate,
            duration: plan.duration,
            calls: u64::MAX,
            timeout: plan.timeout,
        };
        drive.at_most(plan.calls.unwrap_or(u64::MAX))
    }

    /// As many calls as come in this time.
    pub(super) fn only_for(mut self, time: Duration) -> Self {
        (self.duration, self.calls) = (Some(time), u64::MAX);
        self.at_most(u64::MAX)
    }

    pub(super) fn not_at_all(self) -> Self {
        self.at_most(0)
    }

    fn at_most(mut self, calls: u64) -> Self {
        self.calls = calls;
        if let (Some(rate), Some(time)) = (self.rate, self.duration) {
            // The first is due at once, and none at the end or after it.
            self.calls = calls.min((rate * time.as_secs_f64()).ceil() as u64);
        }
        self
    }

    /// Makes the calls; with a title, says how far they are on standard error.
    pub(super) async fn run(self, title: Option<&str>) -> Tally {
        let run = Arc::new(Run {
            start: now(),
            begun: AtomicU64::new(0),
            due: AtomicU64::new(0),
            permits: Semaphore::new(0),
            ended: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            tallies: Tallies::new(self.threads),
            drive: self,
        });
        let pace = run.drive.rate.map(|rate| {
            let run = Arc::clone(&run);
            thread::spawn(move || run.pace(rate))
        });
        let interrupted = if run.drive.calls == 0 {
            true
        } else {
            run.lanes(title).await
        };
        run.stopped.store(true, Ordering::Relaxed);
        if let Some(pace) = pace {
            // It does nothing that could fail.
            let _ = pace.join();
        }
        run.tally(interrupted)
    }
}

impl Run {
    /// Runs every lane to its end, unless the user ends them all before.
    async fn lanes(self: &Arc<Self>, title: Option<&str>) -> bool {
        let mut lanes = JoinSet::new();
        for lane in 0..self.drive.concurrency {
            let run = Arc::clone(self);
            match self.drive.rate {
                Some(rate) => lanes.spawn(async move { run.open(lane, rate).await }),
                None => lanes.spawn(async move { run.closed(lane).await }),
            };
        }
        let mut interrupt = Box::pin(interrupt());
        let mut ticks = tokio::time::interval(PROGRESS);
        let interrupted = loop {
            tokio::select! {
                () = &mut interrupt => break true,
                ended = lanes.join_next() => if ended.is_none() {
                    break false;
                },
                _ = ticks.tick() => if let Some(title) = title {
                    rewrite_line(&self.progress(title));
                },
            }
        };
        if title.is_some() {
            clear_line();
        }
        lanes.shutdown().await;
        interrupted
    }

    /// One call after another.
    async fn closed(&self, lane: usize) {
        loop {
            let begun = now();
            let time_is_over = |time| begun.saturating_duration_since(self.start) >= time;
            if self.drive.duration.is_some_and(time_is_over) || self.claim().is_none() {
                return;
            }
            let made = self.drive.caller.call(lane, self.drive.timeout).await;
            self.record(lane, begun, begun, made).await;
        }
    }

    /// The next call that is due, and is not begun by another lane.
    async fn open(&self, lane: usize, rate: f64) {
        loop {
            // It is closed with the last call.
            let Ok(permit) = self.permits.acquire().await else {
                return;
            };
            permit.forget();
            let Some(number) = self.claim() else { return };
            if number + 1 == self.drive.calls {
                self.permits.close();
            }
            let intended = self.start + due_after(number, rate);
            let begun = now();
            let waited = begun.saturating_duration_since(intended);
            let left = self.drive.timeout.saturating_sub(waited);
            let made = if left.is_zero() {
                overdue()
            } else {
                self.drive.caller.call(lane, left).await
            };
            self.record(lane, intended, begun, made).await;
        }
    }

    /// Says which calls have become due.
    fn pace(&self, rate: f64) {
        let mut said = 0;
        while said < self.drive.calls && !self.stopped.load(Ordering::Relaxed) {
            let elapsed = now().saturating_duration_since(self.start);
            let due = (elapsed.as_secs_f64() * rate) as u64 + 1;
            let due = due.min(self.drive.calls);
            if due > said {
                self.due.store(due, Ordering::Relaxed);
                self.permits.add_permits((due - said) as usize);
                said = due;
            }
            // Shorter than a timer of the runtime's could, which counts in milliseconds.
            let next = due_after(said, rate).saturating_sub(now() - self.start);
            thread::sleep(next.min(PACE_MAX));
        }
    }

    fn claim(&self) -> Option<u64> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        (number < self.drive.calls).then_some(number)
    }

    async fn record(&self, lane: usize, intended: Instant, begun: Instant, made: Made) {
        let times = Times {
            intended,
            begun,
            ended: now(),
        };
        let pause = made.failed.as_ref().map(is_unsent);
        self.tallies.record(lane, &times, made);
        self.ended.fetch_add(1, Ordering::Relaxed);
        match pause {
            None => {}
            // Whoever cannot be reached is not asked as fast as one can ask.
            Some(true) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(UNSENT_PAUSE).await;
            }
            // A failure may come without any wait, and others want to run too.
            Some(false) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        }
    }

    fn tally(&self, interrupted: bool) -> Tally {
        let mut tally = self.tallies.sum();
        let begun = self.begun.load(Ordering::Relaxed).min(self.drive.calls);
        let due = begun.max(self.due.load(Ordering::Relaxed));
        tally.unfinished = due.saturating_sub(tally.calls());
        tally.interrupted = interrupted;
        let end = if interrupted {
            Some(now())
        } else {
            tally.ended
        };
        let end = end.unwrap_or(self.start);
        tally.elapsed = end.saturating_duration_since(self.start);
        tally
    }

    fn progress(&self, title: &str) -> String {
        let elapsed = now().saturating_duration_since(self.start).as_secs_f64();
        let calls = self.ended.load(Ordering::Relaxed);
        let failed = self.failed.load(Ordering::Relaxed);
        let rate = calls as f64 / elapsed.max(0.001);
        let (calls, rate) = (grouped(calls), grouped(rate as u64));
        let line = format!("{title} {elapsed:.1} s: {calls} calls, {rate}/s, {failed} failed");
        line.trim_start().to_owned()
    }
}

/// Waits until the user ends the program.
async fn interrupt() {
    // Where that cannot be listened to, the program ends as others do.
    if tokio::signal::ctrl_c().await.is_err() {
        pending::<()>().await;
    }
}

fn due_after(number: u64, rate: f64) -> Duration {
    Duration::try_from_secs_f64(number as f64 / rate).unwrap_or(Duration::MAX)
}

/// A call whose time was over before it could begin.
fn overdue() -> Made {
    let text = "too many calls were under way, so that it did not begin within its --timeout";
    let status = Status::new(Code::DeadlineExceeded, text);
    Made {
        failed: Some(CallError::not_sent(status)),
        ..Made::default()
    }
}

/// Whether nobody was there to be called.
fn is_unsent(error: &CallError) -> bool {
    error.code() == Code::Unavailable && error.begun() == Begun::No
}

#[expect(clippy::disallowed_methods, reason = "measuring is reading a clock")]
fn now() -> Instant {
    Instant::now()
}

/// How often a person sees how far the calls are.
const PROGRESS: Duration = Duration::from_millis(500);
/// After how long at the most the pace notices that all is over.
const PACE_MAX: Duration = Duration::from_millis(20);
const UNSENT_PAUSE: Duration = Duration::from_millis(1);
