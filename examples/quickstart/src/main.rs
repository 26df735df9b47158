//! A small shop: three services in processes of their own, customers who keep them busy, and a
//! list of what DreamMesh promises with a mark for each promise that held.
//!
//! Read it in this order:
//!
//! - `catalog`, `inventory`, `checkout`: the services.
//! - `service`: what turns one of them into a process.
//! - `traffic`: the customers, and how every kind of call is made.
//! - `deadline`, `revisions`: a call that overruns, and clients of other revisions.
//! - `processes`, `counters`, `progress`, `report`: what is around it.
#![forbid(unsafe_code)]

mod catalog;
mod checkout;
mod counters;
mod deadline;
mod inventory;
mod processes;
mod progress;
mod proto;
mod report;
mod revisions;
mod service;
mod stock;
mod traffic;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use dreammesh::Code;

use processes::Shop;
use progress::Progress;
use report::{Counted, Promises};
use revisions::Served;

/// How long the customers stay.
const TRAFFIC: Duration = Duration::from_secs(3);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ended = if arguments.is_empty() {
        tokio::select! {
            ended = run() => ended,
            // Leaving this way drops the shop, which ends its processes.
            _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        }
    } else {
        // This program starts itself with a role for each of its services.
        service::run(&arguments).await.map(|()| true)
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

/// Runs the whole shop and says whether every promise held.
async fn run() -> Result<bool, Box<dyn Error>> {
    let shop = Shop::open()?;
    for (name, process) in shop.processes() {
        eprintln!("{name:<9} process {:<7} {}", process.id(), process.target);
    }
    let seen = traffic::drive(&shop, TRAFFIC, &mut Progress::new()).await?;
    let busy = Counted::read(&shop).await?;
    let overrun = deadline::overrun(&shop).await?;
    let older = revisions::older(&shop.catalog.target).await?;
    let newer = revisions::newer(&shop.catalog.target).await?;
    let incompatible = revisions::incompatible(&shop.catalog.target).await?;
    let counted = Counted::read(&shop).await?;
    counted.print();

    let mut promises = Promises::default();
    promises.check("every answer was right", seen.calls > 0 && seen.wrong == 0);
    promises.check("what nobody sells was NOT_FOUND", seen.not_found > 0);
    for method in [
        "Catalog/GetItem",
        "Catalog/List",
        "Inventory/Stocktake",
        "Checkout/Scan",
    ] {
        let calls = busy.method(&format!("/shop.v1.{method}"));
        let by_archive = calls.archive_calls > 0 && calls.archive_calls > 9 * calls.protobuf_calls;
        promises.check(
            &format!("{method} was read in place, nothing decoded"),
            by_archive,
        );
    }
    let late = |path| counted.method(path).deadline_exceeded;
    promises.check(
        "the overrun ended for its caller",
        overrun == Some(Code::DeadlineExceeded),
    );
    promises.check(
        "… and in the checkout",
        late("/shop.v1.Checkout/PlaceOrder") == 1,
    );
    promises.check(
        "… and in the inventory behind it",
        late("/shop.v1.Inventory/Reserve") == 1,
    );
    promises.check(
        "a client of an older revision was served archives",
        archived(older),
    );
    promises.check(
        "a client of a newer revision was served archives",
        archived(newer),
    );
    let protobuf = incompatible.right && incompatible.by_protobuf == revisions::CALLS;
    promises.check(
        "a client of an incompatible revision was served protobuf",
        protobuf,
    );
    Ok(promises.all_held())
}

fn archived(served: Served) -> bool {
    served.right && served.by_archive == revisions::CALLS
}
