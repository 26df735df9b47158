//! What a call through the mesh takes beyond one over a channel to a fixed address: the CPU of the
//! client, the same server and the same call, in turns.
//!
//! Client and server are tied to one core, as that is the setting with the least noise.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use dreammesh::{CallError, Channel, Connect as _};
use dreammesh_parts::contract::PartsClient;
use dreammesh_parts::message::{order, read_order, read_small, small};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::arguments::Plan;
use crate::observed::{now, own_thread, pin};
use crate::stage::Stage;
use crate::table::{Figure, Table, median};

/// How much more a call may take.
const MORE_MAX: Figure = Figure::Call(0.3e-6);
/// How long each channel is called in a round.
const SLICE: Duration = Duration::from_millis(200);
/// The core of both.
const CORE: usize = 0;

/// What is called, and how many calls are under way.
#[derive(Clone, Copy, Debug)]
enum Workload {
    Small(usize),
    Order(usize),
}

/// Measures it.
///
/// # Errors
/// When something cannot be started, or a call fails.
pub(crate) fn run(program: &Path, plan: &Plan) -> Result<Table, Box<dyn Error>> {
    let mut stage = Stage::empty(program, "path")?;
    stage.start_agent(&[])?;
    let target = stage.start_server("parts", Some(CORE))?;
    let rounds = plan.rounds;
    // On a thread of its own, so that what is measured later is not tied down as well.
    let thread = std::thread::spawn(move || -> Result<Table, String> {
        pin(CORE).map_err(|error| error.to_string())?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let table = runtime.block_on(measure(&stage, &target, rounds));
        table.map_err(|error| error.to_string())
    });
    Ok(thread.join().map_err(|_| "the client panicked")??)
}

async fn measure(stage: &Stage, target: &str, rounds: usize) -> Result<Table, Box<dyn Error>> {
    let mesh = stage.attach("caller")?;
    let meshed = mesh.connect_lazy("mesh://parts")?;
    // The server may have yet to be registered.
    let client = PartsClient::new(meshed.clone());
    client.small(small()).wait_for_ready(true).await?;
    let fixed = Channel::connect(target).await?;
    let again = Channel::connect(target).await?;
    let mut table = Table::new(format!(
        "CPU of the client for a call, medians of {rounds} rounds"
    ));
    for workload in [Workload::Small(64), Workload::Small(1), Workload::Order(64)] {
        let what = workload.words();
        let (mut all, mut more, mut noise) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=rounds {
            // Each comes first as often as last.
            let order: [&Channel; 3] = match round % 2 {
                0 => [&fixed, &meshed, &again],
                _ => [&again, &meshed, &fixed],
            };
            let mut taken = [0.0; 3];
            for (taken, channel) in taken.iter_mut().zip(order) {
                *taken = call(workload, channel).await?;
            }
            // The first round fills pools and caches.
            if round > 0 {
                let fixed = f64::midpoint(taken[0], taken[2]);
                all.push(fixed);
                more.push(taken[1] - fixed);
                noise.push((taken[0] - taken[2]).abs());
            }
        }
        table.show(format!("{what}: to an address"), Figure::Call(median(&all)));
        let through = Figure::Call(median(&more));
        table.hold(
            format!("{what}: through the mesh, more by"),
            through,
            MORE_MAX,
        );
        let noise = Figure::Call(median(&noise));
        table.show(
            format!("{what}: of two to the same address, one more by"),
            noise,
        );
    }
    Ok(table)
}

impl Workload {
    fn words(self) -> String {
        match self {
            Self::Small(lanes) => format!("64B, {lanes} under way"),
            Self::Order(lanes) => format!("order, {lanes} under way"),
        }
    }
}

/// The CPU time of a call, in seconds, of many.
async fn call(workload: Workload, channel: &Channel) -> Result<f64, Box<dyn Error>> {
    let begun = own_thread()?;
    let until = now() + SLICE;
    let (Workload::Small(lanes) | Workload::Order(lanes)) = workload;
    let mut callers = JoinSet::new();
    for _ in 0..lanes {
        let client = PartsClient::new(channel.clone());
        callers.spawn(async move {
            match workload {
                Workload::Small(_) => call_small(client, until).await,
                Workload::Order(_) => call_order(client, until).await,
            }
        });
    }
    let mut calls = 0;
    while let Some(called) = callers.join_next().await {
        calls += called??;
    }
    let spent = own_thread()?.saturating_sub(begun);
    Ok(spent.as_secs_f64() / f64::from(calls))
}

async fn call_small(client: PartsClient, until: Instant) -> Result<u32, CallError> {
    let (request, mut calls) = (small(), 0);
    while now() < until {
        let answer = client.small(&request).await?;
        black_box(read_small(answer.view()));
        calls += 1;
    }
    Ok(calls)
}

async fn call_order(client: PartsClient, until: Instant) -> Result<u32, CallError> {
    let (request, mut calls) = (order(), 0);
    while now() < until {
        let answer = client.order(&request).await?;
        black_box(read_order(answer.view()));
        calls += 1;
    }
    Ok(calls)
}
