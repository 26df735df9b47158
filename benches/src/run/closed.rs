//! Closed loop: each lane makes one call after another.

use std::future::Future;

use crate::client::Client;
use crate::failure::Failure;
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
