//! Closed loop: each lane makes one call after another.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::client::Client;
use crate::failure::Failure;
use crate::handler::Handler;
use crate::meter::Meter;
use crate::run::{Lanes, Seen, Task, call, open};

/// A number of unary calls outstanding at any time.
pub(super) async fn unary<N, F, C>(task: &Task, connect: N) -> Result<Seen, Failure>
where
    N: Fn() -> F,
    F: Future<Output = Result<C, Failure>>,
    C: Client,
{
    let clients = open(task, &connect).await?;
    let mut lanes = Lanes::of(task.workload);
    start(task, &clients, &mut lanes);
    lanes.run(task.plan).await
}

/// Starts a workload's lanes, shared out evenly between its connections.
pub(super) fn start<C: Client>(task: &Task, clients: &[C], lanes: &mut Lanes) {
    let (message, mix) = (task.workload.message, task.workload.mix);
    for client in clients.iter().cycle().take(task.workload.concurrency) {
        let client = client.clone();
        lanes.start(|mut meter| async move {
            loop {
                meter.begin();
                call(&client, message, mix.usual).await?;
                if !meter.count() {
                    return Ok(meter.counted());
                }
            }
        });
    }
}

/// A number of small calls outstanding, each on a task of its own.
pub(super) async fn spawned<N, F, C>(task: &Task, connect: N) -> Result<Seen, Failure>
where
    N: Fn() -> F,
    F: Future<Output = Result<C, Failure>>,
    C: Client,
{
    let clients = open(task, &connect).await?;
    let mut lanes = Lanes::of(task.workload);
    for client in clients.iter().cycle().take(task.workload.concurrency) {
        let client = Arc::new(client.clone());
        lanes.start(|meter| async move {
            let (ended, end) = oneshot::channel();
            spawn_next(client, meter, ended);
            end.await
                .map_err(|_| Failure::Process("a call's task was lost".to_owned()))?
        });
    }
    lanes.run(task.plan).await
}

/// Makes one call on a new task, which spawns the next one; the last one tells the lane.
fn spawn_next<C: Client>(
    client: Arc<C>,
    mut meter: Meter,
    ended: oneshot::Sender<Result<u64, Failure>>,
) {
    tokio::spawn(async move {
        meter.begin();
        let made = client.small(Handler::Immediate).await;
        if made.is_ok() && meter.count() {
            return spawn_next(client, meter, ended);
        }
        // A lane that is gone wants to hear no more.
        let _ = ended.send(made.map(|()| meter.counted()));
    });
}
