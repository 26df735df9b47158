//! What connections cost: those that do nothing, those that come and go, and one that lags.

use std::future::Future;
use std::time::Duration;

use crate::client::Client;
use crate::failure::Failure;
use crate::handler::Handler;
use crate::machine;
use crate::process;
use crate::run::{Lanes, Seen, Task, closed, open};

/// Opens connections, makes one call over each, and leaves them alone for the measured time.
///
/// What one connection and one call set up once for all was there before counting began.
pub(super) async fn idle<N, F, C>(task: &Task, connect: N) -> Result<Seen, Failure>
where
    N: Fn() -> F,
    F: Future<Output = Result<C, Failure>>,
    C: Client,
{
    let first = connect().await?;
    first.small(Handler::Immediate).await?;
    tokio::time::sleep(task.plan.warm_up).await;
    process::checkpoint(process::BEGIN)?;
    let before = machine::usage()?;
    let clients = open(task, &connect).await?;
    let begun = machine::now();
    tokio::time::sleep(task.plan.measured).await;
    let (seconds, after) = (begun.elapsed().as_secs_f64(), machine::usage()?);
    process::checkpoint(process::END)?;
    // The parent has the server's usage by now, with all of these still connected.
    drop((first, clients));
    Ok(Seen {
        calls: 0,
        seconds,
        before,
        after,
        latency: None,
    })
}

/// Connects, makes one call and closes, again and again on each lane.
pub(super) async fn connect<N, F, C>(task: &Task, connect: N) -> Result<Seen, Failure>
where
    N: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<C, Failure>> + Send,
    C: Client,
{
    let mut lanes = Lanes::of(task.workload);
    for _ in 0..task.workload.concurrency {
        let connect = connect.clone();
        lanes.start(|mut meter| async move {
            loop {
                meter.begin();
                let client = connect().await?;
                client.small(Handler::Immediate).await?;
                drop(client);
                if !meter.count() {
                    return Ok(meter.counted());
                }
            }
        });
    }
    lanes.run(task.plan).await
}

/// How long a slow reader takes over each message.
const SLOW: Duration = Duration::from_millis(10);

/// Makes calls on a connection that also carries a stream whose reader is slow; only the calls
/// count.
pub(super) async fn slow_reader<N, F, C>(task: &Task, connect: N) -> Result<Seen, Failure>
where
    N: Fn() -> F,
    F: Future<Output = Result<C, Failure>>,
    C: Client,
{
    let clients = open(task, &connect).await?;
    let mut lanes = Lanes::of(task.workload);
    for client in &clients {
        let client = client.clone();
        lanes.start_slow(SLOW, |mut meter| async move {
            while !meter.over() {
                client.download(&mut meter).await?;
            }
            Ok(meter.counted())
        });
    }
    closed::start(task, &clients, &mut lanes);
    lanes.run(task.plan).await
}
