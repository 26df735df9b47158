//! Streams: of answers to one request, and of messages that take turns.

use std::future::Future;

use crate::client::Client;
use crate::failure::Failure;
use crate::run::{Lanes, Seen, Task, open};

/// Reads one stream of answers after another on each lane, and counts messages.
pub(super) async fn download<N, F, C>(task: &Task, connect: N) -> Result<Seen, Failure>
where
    N: Fn() -> F,
    F: Future<Output = Result<C, Failure>>,
    C: Client,
{
    let clients = open(task, &connect).await?;
    let mut lanes = Lanes::of(task.workload);
    for client in clients.iter().cycle().take(task.workload.concurrency) {
        let client = client.clone();
        lanes.start(|mut meter| async move {
            while !meter.over() {
                client.download(&mut meter).await?;
            }
            Ok(meter.counted())
        });
    }
    let seen = lanes.run(task.plan).await?;
    // Messages come in batches, so the time from one to the next says nothing about latency.
    Ok(Seen {
        latency: None,
        ..seen
    })
}

/// Sends a message, waits for its answer and sends the next, on a stream of each lane's own.
pub(super) async fn ping_pong<N, F, C>(task: &Task, connect: N) -> Result<Seen, Failure>
where
    N: Fn() -> F,
    F: Future<Output = Result<C, Failure>>,
    C: Client,
{
    let clients = open(task, &connect).await?;
    let mut lanes = Lanes::of(task.workload);
    for client in clients.iter().cycle().take(task.workload.concurrency) {
        let client = client.clone();
        lanes.start(|mut meter| async move {
            while !meter.over() {
                client.ping_pong(&mut meter).await?;
            }
            Ok(meter.counted())
        });
    }
    lanes.run(task.plan).await
}
