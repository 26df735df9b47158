//! The customers' visit, and what is done to the shop meanwhile.

use std::error::Error;
use std::io;
use std::time::Duration;

use dreammesh::Channel;
use tokio::time::Instant;

use crate::agent::Agent;
use crate::phases::Ledger;
use crate::processes::Shop;
use crate::progress::Progress;
use crate::traffic::{Customers, Services, now};

/// How long each phase is at least.
const PHASE: Duration = Duration::from_secs(2);

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked whether something is so.
const LOOK: Duration = Duration::from_millis(5);

/// The instance that is killed.
pub(crate) const KILLED: &str = "catalog-2";
/// The instance that is replaced.
pub(crate) const ROLLED: &str = "catalog-1";
/// Its successor, which has a newer contract.
pub(crate) const NEWER: &str = "newer-catalog-1";

/// What was measured beside the customers' calls.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// From the end of a process until no call could be given to it any more.
    pub(crate) gone_after: Option<Duration>,
    /// From the start of the agent until every instance had come back to it.
    pub(crate) attached_after: Option<Duration>,
}

/// Lets the customers in, does to the shop what happens to shops, and sees them out.
pub(crate) async fn visit(
    shop: &mut Shop,
    services: &Services,
    ledger: &Ledger,
) -> Result<Measured, Box<dyn Error>> {
    let mut measured = Measured::default();
    let mut clock = Clock {
        ledger,
        progress: Progress::new(),
        name: "",
        begun: now(),
    };
    let customers = Customers::enter(services, ledger);

    clock.begin("all is well");
    clock.run_out().await;

    clock.begin("one catalog is killed");
    let killed = shop.take(KILLED).ok_or("there is no such catalog")?;
    let endpoint = killed.said.clone();
    killed.kill()?;
    measured.gone_after = gone(&services.catalog, &endpoint).await;
    clock.run_out().await;

    clock.begin("another gets a newer contract");
    let old = shop.take(ROLLED).ok_or("there is no such catalog")?;
    shop.start("newer-catalog", NEWER)?;
    // It waits for the calls that run there, and here the customers go on meanwhile.
    if !tokio::task::spawn_blocking(|| old.finish()).await?? {
        return Err(io::Error::other(format!("{ROLLED} did not end well")).into());
    }
    clock.run_out().await;

    clock.begin("the agent is killed");
    shop.agent.take().ok_or("there is no agent")?.kill()?;
    clock.run_out().await;

    clock.begin("the agent is back");
    shop.start_agent()?;
    let back = now();
    let agent = Agent::connect(shop).await?;
    while agent.attached().await? < shop.services.len() && back.elapsed() < PATIENCE {
        tokio::time::sleep(LOOK).await;
    }
    measured.attached_after = Some(back.elapsed()).filter(|took| *took < PATIENCE);
    clock.run_out().await;

    drop(customers);
    clock.progress.done();
    Ok(measured)
}

/// Waits until a channel has no such endpoint any more, and says how long that took.
async fn gone(channel: &Channel, endpoint: &str) -> Option<Duration> {
    let begun = now();
    while begun.elapsed() < PATIENCE {
        let endpoints = channel.connections();
        if !endpoints.iter().any(|it| it.endpoint.target() == endpoint) {
            return Some(begun.elapsed());
        }
        tokio::time::sleep(LOOK).await;
    }
    None
}

/// Divides the visit into phases.
struct Clock<'a> {
    ledger: &'a Ledger,
    progress: Progress,
    name: &'static str,
    begun: Instant,
}

impl Clock<'_> {
    fn begin(&mut self, name: &'static str) {
        self.progress.begin(name);
        self.ledger.begin(name);
        (self.name, self.begun) = (name, now());
    }

    /// Lets the rest of the phase pass.
    async fn run_out(&self) {
        while self.begun.elapsed() < PHASE {
            self.progress.show(self.name, self.begun.elapsed(), PHASE);
            tokio::time::sleep(PHASE / 20).await;
        }
        self.ledger.end(self.begun.elapsed());
    }
}
