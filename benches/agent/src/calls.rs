//! An agent while the programs that are attached to it call one another: whatever they do, it has
//! no part in it.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use dreammesh::Channel;
use dreammesh_parts::contract::PartsClient;
use dreammesh_parts::message::small;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::arguments::Plan;
use crate::observed::{Observed, Sockets, now};
use crate::stage::Stage;
use crate::table::{Figure, Table};

/// How many instances are called.
const INSTANCES: usize = 3;
/// How many calls are under way where there is no rate.
const LANES: usize = 64;
/// Calls a second, where there is one.
const RATE: u32 = 1_000;
/// What the agent may take of a core, and how much more than without calls.
const CPU_MAX: Figure = Figure::Core(0.01);
const MORE_MAX: f64 = 0.002;

/// How many calls are made.
#[derive(Clone, Copy, Debug)]
enum Rate {
    None,
    Fixed,
    Most,
}

/// What was seen while calls were made at one rate.
#[derive(Debug)]
struct Seen {
    calls: u64,
    cpu: f64,
    sockets: Sockets,
}

/// Measures it.
///
/// # Errors
/// When something cannot be started, or a call fails.
pub(crate) fn run(program: &Path, plan: &Plan) -> Result<Table, Box<dyn Error>> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(program, plan))
}

async fn measure(program: &Path, plan: &Plan) -> Result<Table, Box<dyn Error>> {
    let mut stage = Stage::empty(program, "calls")?;
    stage.start_agent(&[])?;
    let mut ports = Vec::new();
    for _ in 0..INSTANCES {
        let target = stage.start_server("parts", None)?;
        let port = target.rsplit_once(':').ok_or("a target without a port")?.1;
        ports.push(port.parse::<u16>()?);
    }
    let agent = stage.agent()?;
    let channel = stage.attach("caller")?.connect_lazy("mesh://parts")?;
    meet_all(&channel).await?;
    let mut table = Table::new(format!(
        "The agent while a program calls {INSTANCES} instances of a service"
    ));
    let mut first: Option<Seen> = None;
    let mut others = 0;
    for rate in [Rate::None, Rate::Fixed, Rate::Most, Rate::None] {
        let seen = at_rate(rate, &channel, agent, plan.phase).await?;
        let cpu = Figure::Core(seen.cpu);
        let a_second = seen.calls / plan.phase.as_secs();
        table.hold(format!("CPU at {a_second} calls a second"), cpu, CPU_MAX);
        others = others.max(seen.sockets.at(&ports));
        if let Some(first) = &first {
            let more = Figure::Core(seen.cpu - first.cpu);
            table.hold("more than at first", more, Figure::Core(MORE_MAX));
            let changed = u64::from(seen.sockets != first.sockets);
            table.hold(
                "changes of its sockets",
                Figure::Count(changed),
                Figure::Count(0),
            );
        } else {
            table.show("sockets of the agent", Figure::Count(seen.sockets.count()));
            first = Some(seen);
        }
    }
    let what = "sockets of the agent at ports of the servers";
    table.hold(what, Figure::Count(others), Figure::Count(0));
    stage.finish()?;
    Ok(table)
}

/// Waits until every instance has been called.
async fn meet_all(channel: &Channel) -> Result<(), Box<dyn Error>> {
    let (client, request) = (PartsClient::new(channel.clone()), small());
    let meet = async {
        while channel.connections().len() < INSTANCES {
            client.small(&request).wait_for_ready(true).await?;
        }
        Ok(())
    };
    timeout(PATIENCE, meet).await?
}

async fn at_rate(
    rate: Rate,
    channel: &Channel,
    agent: Observed,
    phase: Duration,
) -> Result<Seen, Box<dyn Error>> {
    let mut callers = JoinSet::new();
    let until = now() + SETTLING + phase;
    let client = PartsClient::new(channel.clone());
    match rate {
        Rate::None => {}
        Rate::Fixed => {
            callers.spawn(call_in_time(client, until));
        }
        Rate::Most => {
            for _ in 0..LANES {
                callers.spawn(call_at_once(client.clone(), until));
            }
        }
    }
    // What changes with the rate, such as connections that are opened, is not what is measured.
    sleep(SETTLING).await;
    let begun = agent.spent()?;
    sleep(phase).await;
    let Figure::Core(cpu) = begun.until(agent.spent()?) else {
        return Err("CPU is no share of a core".into());
    };
    let sockets = agent.sockets()?;
    let mut calls = 0;
    while let Some(called) = callers.join_next().await {
        calls += called?.map_err(|error| error.to_string())?;
    }
    let share = phase.as_secs_f64() / (phase + SETTLING).as_secs_f64();
    Ok(Seen {
        calls: (calls as f64 * share) as u64,
        cpu,
        sockets,
    })
}

async fn call_in_time(client: PartsClient, until: Instant) -> Called {
    let (request, mut calls) = (small(), 0);
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while now() < until {
        ticks.tick().await;
        client.small(&request).await?;
        calls += 1;
    }
    Ok(calls)
}

async fn call_at_once(client: PartsClient, until: Instant) -> Called {
    let (request, mut calls) = (small(), 0);
    while now() < until {
        client.small(&request).await?;
        calls += 1;
    }
    Ok(calls)
}

type Called = Result<u64, dreammesh::CallError>;

/// How long a rate is kept up before it counts.
const SETTLING: Duration = Duration::from_secs(2);
/// How long it may take until all instances are connected.
const PATIENCE: Duration = Duration::from_secs(20);
