//! The run: everything is started, befallen by what the schedule says, ended, and looked at.

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use dreammesh::{Channel, Connect as _};
use dreammesh_agent_api::proto::{AgentClient, InstancesRequestArgs};
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::Plan;
use crate::cluster::Cluster;
use crate::log::now;
use crate::process::Directory;
use crate::report;
use crate::schedule::{HOSTS, SERVICES, schedule};

/// Runs everything, and says whether all was as it should be.
pub(crate) fn run(plan: &Plan) -> Result<bool, Box<dyn Error>> {
    let again = format!("--seed {} --seconds {}", plan.seed, plan.whole.as_secs());
    eprintln!("chaos {again} --rate {}", plan.rate);
    let kept = match &plan.logs {
        Some(directory) => {
            fs::create_dir(directory)
                .map_err(|error| format!("{}: {error}", directory.display()))?;
            Err(fs::canonicalize(directory)?)
        }
        None => Ok(Directory::create("chaos")?),
    };
    let directory = kept.as_ref().map_or_else(|kept| &**kept, |it| &*it.0);
    let ended = happen(plan, directory).and_then(|()| report::of(directory));
    if !matches!(ended, Ok(true)) || kept.is_err() {
        eprintln!("the logs are in {}", directory.display());
        // What the processes have said of it is of use now.
        std::mem::forget(kept);
    }
    ended
}

/// Makes everything happen, from the first process to the end of the last.
fn happen(plan: &Plan, directory: &Path) -> Result<(), Box<dyn Error>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&interrupted);
    std::thread::spawn(move || told.store(dreammesh::block_on(told_to_end()).is_ok(), Relaxed));
    let mut cluster = Cluster::start(directory)?;
    for host in 1..=HOSTS {
        wait_for_instances(&cluster.socket(host))?;
    }
    cluster.start_clients(plan.rate)?;
    let begun = now();
    for step in schedule(plan.seed, plan.whole) {
        sleep_until(begun + step.at, &interrupted)?;
        eprintln!("{:>8.2} s  {:?}", (now() - begun).as_secs_f64(), step.act);
        cluster.act(step.act)?;
    }
    sleep_until(begun + plan.whole, &interrupted)?;
    cluster.finish()
}

/// Ends when this program is told to, which then ends all that it has started.
async fn told_to_end() -> io::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminated.recv() => Ok(()),
        ended = tokio::signal::ctrl_c() => ended,
    }
}

fn sleep_until(at: Duration, interrupted: &AtomicBool) -> Result<(), Box<dyn Error>> {
    while let Some(left) = at.checked_sub(now()).filter(|left| !left.is_zero()) {
        if interrupted.load(Relaxed) {
            return Err("interrupted".into());
        }
        std::thread::sleep(left.min(LOOK));
    }
    Ok(())
}

/// Waits until an agent knows all instances.
fn wait_for_instances(socket: &Path) -> Result<(), Box<dyn Error>> {
    let all = HOSTS * SERVICES.len();
    let counted = dreammesh::block_on(async {
        let channel = Channel::connect(&format!("unix://{}", socket.display())).await?;
        let agent = AgentClient::new(channel);
        let mut known = 0;
        for _ in 0..LOOKS_MAX {
            let instances = agent.instances(InstancesRequestArgs::default()).await?;
            known = instances.view().instances().len();
            if known == all {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok::<_, Box<dyn Error>>(known)
    })?;
    match counted == all {
        true => Ok(()),
        false => Err(format!("{}: {counted} of {all} instances", socket.display()).into()),
    }
}

/// How often it is looked whether something is so, and how many times.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS_MAX: usize = 1_500;
