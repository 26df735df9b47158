//! The client's side of a measurement: makes the calls of a workload and counts them.
//!
//! Each pattern of calls is one file, written once over [`Client`] for all systems.

use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::failure::Failure;
use crate::handler::Handler;
use crate::latency::{Latencies, Percentiles};
use crate::machine::{self, Usage};
use crate::message::Message;
use crate::meter::{Meter, Phase};
use crate::process;
use crate::transport::{Address, Transport};
use crate::workload::{Shape, Workload};

mod closed;
mod connections;
mod open_loop;
mod schedule;
mod streams;

/// What a client is to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Task {
    /// Where the server is.
    pub address: Address,
    /// What it is reached over.
    pub transport: Transport,
    /// What to do there.
    pub workload: &'static Workload,
    /// How long, and how fast.
    pub plan: Plan,
}

/// How long to load a system, and at what rate where a rate is set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// Time before anything is counted.
    pub warm_up: Duration,
    /// Time during which calls are counted.
    pub measured: Duration,
    /// Calls that begin per second, in an open loop.
    pub rate_per_s: Option<f64>,
}

impl Plan {
    /// A closed-loop plan.
    #[must_use]
    pub const fn new(warm_up: Duration, measured: Duration) -> Self {
        Self {
            warm_up,
            measured,
            rate_per_s: None,
        }
    }
}

/// What the client saw.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Seen {
    /// Calls that were counted.
    pub calls: u64,
    /// The measured time, in seconds, as it turned out.
    pub seconds: f64,
    /// What the client's process had used when counting began.
    pub before: Usage,
    /// What it had used when counting ended.
    pub after: Usage,
    /// The latencies of the calls that were timed.
    pub latency: Option<Percentiles>,
}

/// One call in this many is timed where many are outstanding, so that reading the clock is not
/// part of what is compared.
const SAMPLE_EVERY: u64 = 16;

/// How many calls a meter times one of.
#[must_use]
pub fn sample_every(workload: &Workload) -> u64 {
    if workload.concurrency > 1 && !matches!(workload.shape, Shape::Connect) {
        SAMPLE_EVERY
    } else {
        1
    }
}

/// Carries out a workload against an RPC system.
///
/// `connect` opens a new connection each time it is called. A client must be ready to make calls
/// when its future is done, but need not have waited for the server.
///
/// # Errors
/// When a connection cannot be opened or any call fails.
pub async fn rpc<N, F, C>(task: &Task, connect: N) -> Result<Seen, Failure>
where
    N: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<C, Failure>> + Send,
    C: Client,
{
    match task.workload.shape {
        Shape::Unary => closed::unary(task, connect).await,
        Shape::Spawned => closed::spawned(task, connect).await,
        Shape::Open(_) => open_loop::run(task, connect).await,
        Shape::Download => streams::download(task, connect).await,
        Shape::PingPong => streams::ping_pong(task, connect).await,
        Shape::Idle => connections::idle(task, connect).await,
        Shape::Connect => connections::connect(task, connect).await,
        Shape::SlowReader => connections::slow_reader(task, connect).await,
    }
}

/// Opens a workload's connections, one after another, and makes a call on each: some systems dial
/// when the first call comes, and a handshake is no part of what the workload measures.
async fn open<N, F, C>(task: &Task, connect: &N) -> Result<Vec<C>, Failure>
where
    N: Fn() -> F,
    F: Future<Output = Result<C, Failure>>,
    C: Client,
{
    let mut clients = Vec::with_capacity(task.workload.connections);
    for _ in 0..task.workload.connections {
        let client = connect().await?;
        client.small(Handler::Immediate).await?;
        clients.push(client);
    }
    Ok(clients)
}

/// The lanes of a run: tasks that each count calls until the phase is over.
#[derive(Debug)]
pub struct Lanes {
    phase: Phase,
    latencies: Latencies,
    sample_every: u64,
    tasks: JoinSet<Result<u64, Failure>>,
    started: usize,
}

impl Lanes {
    /// No lanes yet.
    #[must_use]
    pub fn of(workload: &Workload) -> Self {
        Self {
            phase: Phase::default(),
            latencies: Latencies::default(),
            sample_every: sample_every(workload),
            tasks: JoinSet::new(),
            started: 0,
        }
    }

    /// Starts one; what is given back counts as calls.
    pub fn start<F>(&mut self, lane: impl FnOnce(Meter) -> F)
    where
        F: Future<Output = Result<u64, Failure>> + Send + 'static,
    {
        let meter = self.meter();
        self.tasks.spawn(lane(meter));
    }

    /// Starts one that stays on this thread, within a [`LocalSet`](tokio::task::LocalSet).
    pub fn start_local<F>(&mut self, lane: impl FnOnce(Meter) -> F)
    where
        F: Future<Output = Result<u64, Failure>> + 'static,
    {
        let meter = self.meter();
        self.tasks.spawn_local(lane(meter));
    }

    fn meter(&mut self) -> Meter {
        self.started += 1;
        Meter::new(
            self.phase.clone(),
            self.latencies.clone(),
            self.started - 1,
            self.sample_every,
        )
    }

    /// Starts one that waits after each message and does not count.
    fn start_slow<F>(&mut self, pause: Duration, lane: impl FnOnce(Meter) -> F)
    where
        F: Future<Output = Result<u64, Failure>> + Send + 'static,
    {
        let meter = Meter::slow(self.phase.clone(), pause);
        self.tasks.spawn(lane(meter));
    }

    /// Lets the lanes run as planned, and sums up. The first failure of any lane ends the run.
    ///
    /// # Errors
    /// When a lane fails or ends before its time.
    pub async fn run(mut self, plan: Plan) -> Result<Seen, Failure> {
        let clocked = tokio::select! {
            clocked = clock(plan, &self.phase) => clocked?,
            Some(ended) = self.tasks.join_next() => {
                return Err(match ended {
                    Ok(Err(failure)) => failure,
                    other => Failure::Process(format!("a lane ended early: {other:?}")),
                });
            }
        };
        let mut calls = 0;
        while let Some(ended) = self.tasks.join_next().await {
            calls += ended.map_err(|error| Failure::Process(error.to_string()))??;
        }
        Ok(clocked.seen(calls, self.latencies.percentiles()))
    }
}

/// Measured time, and what the client used within it.
#[derive(Clone, Copy, Debug)]
pub struct Clocked {
    elapsed: Duration,
    before: Usage,
    after: Usage,
}

impl Clocked {
    /// Puts the calls that were counted beside the time that was measured.
    #[must_use]
    pub const fn seen(self, calls: u64, latency: Option<Percentiles>) -> Seen {
        Seen {
            calls,
            seconds: self.elapsed.as_secs_f64(),
            before: self.before,
            after: self.after,
            latency,
        }
    }
}

/// Moves the phase on at the planned times, while the parent takes note of the server's usage.
///
/// # Errors
/// When this process's usage cannot be read, or the parent is gone.
pub async fn clock(plan: Plan, phase: &Phase) -> Result<Clocked, Failure> {
    tokio::time::sleep(plan.warm_up).await;
    process::checkpoint(process::BEGIN)?;
    let before = machine::usage()?;
    let begun = machine::now();
    phase.measure();
    tokio::time::sleep(plan.measured).await;
    phase.end();
    let (elapsed, after) = (begun.elapsed(), machine::usage()?);
    process::checkpoint(process::END)?;
    Ok(Clocked {
        elapsed,
        before,
        after,
    })
}

/// Makes one unary call of a workload.
#[inline]
async fn call<C: Client>(client: &C, message: Message, handler: Handler) -> Result<(), Failure> {
    match message {
        Message::Small => client.small(handler).await,
        Message::Order => client.order().await,
        Message::Blob(bytes) => client.blob(bytes).await,
        Message::Fetched(bytes) => client.fetch(bytes).await,
    }
}
