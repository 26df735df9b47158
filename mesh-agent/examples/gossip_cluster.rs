//! What gossip costs and how fast it is: agents of one cluster in one process, over UDP on loopback,
//! sealed with a secret.
//!
//! `cargo run --release -p dreammesh-agent --example gossip_cluster -- [agents] [idle seconds]
//! [threads that only compute, while it is idle]`

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it measures, and says what it measured"
)]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dreammesh_agent::gossip::guard::Dropped;
use dreammesh_agent::gossip::secret::{Secret, Secrets};
use dreammesh_agent::gossip::transport::{Guarded, Heard};
use dreammesh_agent::knowledge::{Here, Knowledge, Sink};
use dreammesh_agent::questions::Members;
use dreammesh_agent::registry::Origin;
use dreammesh_agent::source::Source;
use dreammesh_agent::source::gossip::{GossipSource, Membership, Neighbours};
use dreammesh_agent_api::instance::{Host, Instance, InstanceId, Port, Protocol};
use tokio::task::JoinHandle;
use tokio::time::sleep;

struct Agent {
    knowledge: Knowledge,
    attached: Sink,
    neighbours: Neighbours,
    heard: Arc<Heard>,
    task: JoinHandle<()>,
}

impl Agent {
    async fn start(
        number: usize,
        seed: &mut Vec<String>,
        secrets: Secrets,
    ) -> Result<Self, Failure> {
        let guarded = Guarded::new("measured", Some(secrets));
        let heard = guarded.heard();
        let address = guarded.bind(([127, 0, 0, 1], 0).into()).await?;
        if seed.is_empty() {
            seed.push(address.to_string());
        }
        let membership = Membership::new(address, "measured", seed.clone());
        let source = Box::new(GossipSource::new(
            membership,
            Box::new(guarded),
            heard.clone(),
        ));
        let neighbours = source.neighbours();
        let name = format!("agent-{number}");
        let knowledge = Knowledge::new(Here::new(name.as_str(), name.as_str()));
        let attached = knowledge.sink("attached", Origin::Attached);
        let sink = knowledge.sink(&source.name(), source.origin());
        Ok(Self {
            knowledge,
            attached,
            neighbours,
            heard,
            task: tokio::spawn(source.run(sink)),
        })
    }

    fn alive(&self) -> usize {
        let members = self.neighbours.members();
        members.iter().filter(|member| member.alive).count()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let mut number = |otherwise| words.next().map_or(Ok(otherwise), |word| word.parse());
    let (count, idle, busy): (usize, usize, usize) = (number(20)?, number(20)?, number(0)?);
    let mut agents = meet(count).await?;
    changes(&agents).await?;
    stay_idle(&agents, idle as u64, busy).await?;
    let dies = agents.remove(1);
    death(&dies, &agents).await;
    for kind in Dropped::ALL {
        let dropped = agents.iter().map(|it| it.heard.dropped(kind)).sum::<u64>();
        println!("dropped as {kind}: {dropped}");
    }
    Ok(())
}

/// Agents that have met, with ten instances each.
async fn meet(count: usize) -> Result<Vec<Agent>, Failure> {
    let (secret, mut seed) = (Secrets::one(Secret::generate()?), Vec::new());
    let start = Instant::now();
    let mut agents = Vec::new();
    for number in 0..count {
        agents.push(Agent::start(number, &mut seed, secret.clone()).await?);
    }
    until(|| agents.iter().all(|it| it.alive() == count - 1)).await;
    println!(
        "{count} agents know one another after {:?}",
        start.elapsed()
    );
    for agent in &agents {
        for number in 0..10 {
            let name = format!("{}-{number}", agent.knowledge.here().agent);
            agent.attached.set(instance(&name)?);
        }
    }
    let knows_all = |agent: &Agent| agent.knowledge.read(|all| all.len()) == count * 10;
    until(|| agents.iter().all(knows_all)).await;
    Ok(agents)
}

/// How long it takes until all have heard of an instance.
async fn changes(agents: &[Agent]) -> Result<(), Failure> {
    let mut took = Vec::new();
    for round in 0..50 {
        sleep(Duration::from_millis(137)).await;
        let new = instance(&format!("new-{round}"))?;
        let id = new.id.clone();
        let begun = Instant::now();
        agents[round % agents.len()].attached.set(new);
        until(|| agents.iter().all(|it| it.knowledge.known(&id).is_some())).await;
        took.push(begun.elapsed());
    }
    took.sort();
    let (median, longest) = (took[25], took[49]);
    println!("a change is at all of them after {median:?} (median), {longest:?} (longest of 50)");
    Ok(())
}

/// What they cost when nothing changes, and whether any is taken for dead.
async fn stay_idle(agents: &[Agent], seconds: u64, busy: usize) -> Result<(), Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..busy {
        let stop = stop.clone();
        std::thread::spawn(move || while !stop.load(Ordering::Relaxed) {});
    }
    sleep(Duration::from_secs(3)).await;
    let (before, bytes) = (cpu_seconds()?, sent(agents));
    let (begun, mut fewer) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(seconds) {
        sleep(Duration::from_millis(100)).await;
        fewer += agents
            .iter()
            .filter(|it| it.alive() < agents.len() - 1)
            .count();
    }
    let each = begun.elapsed().as_secs_f64() * agents.len() as f64;
    let rate = (sent(agents) - bytes) as f64 / each / 1e3;
    println!("idle for {seconds} s beside {busy} busy threads: {rate:.1} kB/s sent by each");
    println!("one of them took another for dead {fewer} times");
    if busy == 0 {
        let share = (cpu_seconds()? - before) / each * 100.0;
        println!("CPU of each: {share:.2} % of a core");
    }
    stop.store(true, Ordering::Relaxed);
    Ok(())
}

/// How long it takes until an agent that died is known to have.
async fn death(dies: &Agent, others: &[Agent]) {
    let knows = |agent: &Agent| !agent.neighbours.orphans().borrow().is_empty();
    let begun = Instant::now();
    dies.task.abort();
    until(|| others.iter().any(knows)).await;
    let first = begun.elapsed();
    until(|| others.iter().all(knows)).await;
    let all = begun.elapsed();
    println!("a dead agent is known to the first after {first:?}, to all after {all:?}");
}

fn instance(name: &str) -> Result<Instance, Failure> {
    let port = Port::new(7_443, Protocol::DreamMesh);
    let mut instance = Instance::new(InstanceId::new(name)?, "catalog".parse()?, port);
    instance.addresses = vec![Host::Ip([10, 0, 0, 7].into())];
    Ok(instance)
}

async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        sleep(Duration::from_millis(1)).await;
    }
}

fn sent(agents: &[Agent]) -> u64 {
    agents.iter().map(|agent| agent.heard.bytes().1).sum()
}

/// What this process has used of the processors, as Linux counts it.
fn cpu_seconds() -> Result<f64, Failure> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let fields = text.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: Vec<f64> = ticks.map(str::parse).collect::<Result<_, _>>()?;
    // Linux counts in hundredths of a second, whatever the kernel's own clock does.
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

type Failure = Box<dyn Error>;
