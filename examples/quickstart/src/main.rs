//! A small shop as a mesh: an agent and three services, two or three processes each, customers who
//! keep them busy while processes are killed and replaced, and a list of what DreamMesh promises
//! with a mark for each promise that held.
//!
//! Read it in this order:
//!
//! - `catalog`, `inventory`, `checkout`: the services.
//! - `service`: what turns one of them into a process that the mesh knows.
//! - `traffic`: the customers, and how every kind of call is made.
//! - `visit`: what is done to the shop while they are there.
//! - `deadline`, `revisions`: a call that overruns, and clients of other revisions.
//! - `process`, `processes`, `agent`, `counters`, `phases`, `progress`, `report`: what is around it.
#![forbid(unsafe_code)]

mod agent;
mod catalog;
mod checkout;
mod counters;
mod deadline;
mod inventory;
mod phases;
mod process;
mod processes;
mod progress;
mod proto;
mod report;
mod revisions;
mod service;
mod stock;
mod traffic;
mod visit;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use dreammesh::{Code, Metrics};

use phases::{Ledger, Phase};
use processes::Shop;
use report::{Promises, by_archive, overran};
use revisions::Served;
use traffic::Services;
use visit::{KILLED, Measured, NEWER, ROLLED};

const USAGE: &str = "usage: quickstart [--stay]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ended = match &arguments[..] {
        [] => until_interrupted(run(false)).await,
        [stay] if stay == "--stay" => until_interrupted(run(true)).await,
        [option, ..] if option.starts_with('-') => Err(USAGE.into()),
        // This program starts itself with a role for each instance of its services.
        _ => service::run(&arguments).await.map(|()| true),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Leaving by an interrupt drops the shop, which ends its processes.
async fn until_interrupted(
    run: impl Future<Output = Result<bool, Box<dyn Error>>>,
) -> Result<bool, Box<dyn Error>> {
    tokio::select! {
        ended = run => ended,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    }
}

/// Runs the whole shop and says whether every promise held.
async fn run(stay: bool) -> Result<bool, Box<dyn Error>> {
    let mut shop = Shop::open()?;
    show_processes(&shop);
    let metrics = Metrics::new();
    let services = Services::connect(&shop, &metrics)?;
    let ledger = Ledger::default();
    let measured = visit::visit(&mut shop, &services, &ledger).await?;
    let phases = ledger.read();
    report::print_phases(&phases);
    report::print_methods(&metrics);

    let mut promises = Promises::default();
    check_visit(&mut promises, &phases, &measured);
    check_forms(&mut promises, &metrics);
    check_deadline(&mut promises, &shop, &services).await?;
    check_revisions(&mut promises, &shop).await?;
    if stay {
        stay_open(&shop).await?;
    }
    Ok(promises.all_held())
}

fn show_processes(shop: &Shop) {
    if let Some(agent) = &shop.agent {
        eprintln!(
            "{:<12} process {:<7} unix://{}",
            "agent",
            agent.id(),
            shop.agent_socket().display()
        );
    }
    for service in &shop.services {
        let process = &service.process;
        eprintln!(
            "{:<12} process {:<7} {}",
            service.instance,
            process.id(),
            process.said
        );
    }
}

/// What happened to the customers.
fn check_visit(promises: &mut Promises, phases: &[Phase], measured: &Measured) {
    for phase in phases {
        let fine = phase.calls > 0 && phase.failed == 0;
        promises.check(&format!("{}: no call failed", phase.name), fine);
    }
    let looked = phases.iter().any(|phase| phase.not_found > 0);
    promises.check("what nobody sells was NOT_FOUND", looked);
    let [well, killed, rolled, without, back] = phases else {
        promises.check("every phase was run", false);
        return;
    };
    let all_served = ["catalog-1", KILLED, "catalog-3"].map(|it| well.share(it) >= FAIR_SHARE);
    promises.check("every catalog had its share", all_served == [true; 3]);
    let gone = measured.gone_after.filter(|took| *took <= GONE_WITHIN);
    let after = |took: Option<Duration>| took.map_or_else(|| "never".to_owned(), report::duration);
    promises.check(
        &format!(
            "the dead catalog got no call after {}",
            after(measured.gone_after)
        ),
        gone.is_some() && rolled.share(KILLED) == 0,
    );
    promises.check(
        "the others had its share",
        killed.share(ROLLED) >= FAIR_SHARE && killed.share("catalog-3") >= FAIR_SHARE,
    );
    // It is given a tenth of its calls at first, and all of them after ten seconds.
    promises.check(
        "the newer catalog took over from the older one",
        rolled.share(NEWER) > 0 && without.share(ROLLED) == 0,
    );
    promises.check(
        "nobody missed the agent",
        without.share(NEWER) >= FAIR_SHARE && without.share("catalog-3") >= FAIR_SHARE,
    );
    promises.check(
        &format!(
            "all came back to the agent after {}",
            after(measured.attached_after)
        ),
        measured.attached_after.is_some(),
    );
    promises.check(
        "… and nobody noticed",
        back.share(NEWER) >= FAIR_SHARE && back.share("catalog-3") >= FAIR_SHARE,
    );
}

/// The least share of one of three, in per cent, that is no sign of anything wrong: the choice
/// follows how busy each is, which differs from moment to moment.
const FAIR_SHARE: u64 = 10;

/// Within what time of its end a process is given no call any more.
const GONE_WITHIN: Duration = Duration::from_secs(1);

/// In which form messages travelled.
fn check_forms(promises: &mut Promises, metrics: &Metrics) {
    for method in [
        "Catalog/GetItem",
        "Catalog/List",
        "Inventory/Stocktake",
        "Checkout/Scan",
    ] {
        promises.check(
            &format!("{method} was read in place, nothing decoded"),
            by_archive(metrics, &format!("/shop.v1.{method}")),
        );
    }
}

/// A call that nobody waits for any more ends everywhere.
async fn check_deadline(
    promises: &mut Promises,
    shop: &Shop,
    services: &Services,
) -> Result<(), Box<dyn Error>> {
    let overrun = deadline::overrun(services.checkout.clone()).await;
    promises.check(
        "the overrun ended for its caller",
        overrun == Some(Code::DeadlineExceeded),
    );
    let checkout = overran(shop.of("checkout"), "/shop.v1.Checkout/PlaceOrder").await?;
    promises.check("… and in the checkout", checkout == 1);
    let inventory = overran(shop.of("inventory"), "/shop.v1.Inventory/Reserve").await?;
    promises.check("… and in the inventory behind it", inventory == 1);
    Ok(())
}

/// Clients of other revisions, at a catalog of today's.
async fn check_revisions(promises: &mut Promises, shop: &Shop) -> Result<(), Box<dyn Error>> {
    let catalog = shop
        .of("catalog")
        .next()
        .ok_or("there is no catalog left")?;
    let archived = |served: Served| served.right && served.by_archive == revisions::CALLS;
    promises.check(
        "a client of an older revision was served archives",
        archived(revisions::older(&catalog.said).await?),
    );
    promises.check(
        "a client of a newer revision was served archives",
        archived(revisions::newer(&catalog.said).await?),
    );
    let incompatible = revisions::incompatible(&catalog.said).await?;
    promises.check(
        "a client of an incompatible revision was served protobuf",
        incompatible.right && incompatible.by_protobuf == revisions::CALLS,
    );
    Ok(())
}

/// Leaves everything running until an interrupt, and says how to look at it.
async fn stay_open(shop: &Shop) -> Result<(), Box<dyn Error>> {
    let program = shop.program().display();
    eprintln!("\nthe shop stays open until Ctrl-C; to look at it:\n");
    eprintln!(
        "  export DREAMMESH_AGENT=unix://{}",
        shop.agent_socket().display()
    );
    for command in [
        "status",
        "services",
        "instances",
        "watch catalog",
        "why mesh://catalog",
    ] {
        eprintln!("  {program} {command}");
    }
    tokio::signal::ctrl_c().await?;
    Ok(())
}
