//! A process of the shop: which service it runs, and until when.

use std::error::Error;
use std::io::Write as _;

use dreammesh::{Announce as _, Mesh, Metrics, Server};

use crate::catalog::Shelf;
use crate::checkout::Till;
use crate::counters::OwnCounters;
use crate::inventory::Storeroom;
use crate::process::input_ended;
use crate::proto::current::{
    CatalogClient, CatalogServer, CheckoutServer, CountersServer, InventoryClient, InventoryServer,
};
use crate::proto::newer;

/// Where every service listens: the kernel chooses the port, and the mesh knows it.
const ANY_PORT: &str = "dreammesh+tcp://127.0.0.1:0";

/// Serves until standard input ends, which it does when whoever started this process is gone.
///
/// `arguments` are the role and what the instance is called.
pub(crate) async fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [role, instance] = arguments else {
        return Err("expected a role and the name of the instance".into());
    };
    // One attachment to the agent is enough for a whole process.
    let mesh = Mesh::attach()?;
    let metrics = Metrics::new();
    let counters = CountersServer::new(OwnCounters(metrics.clone()));
    let server = Server::builder().metrics(metrics).service(counters);
    let shelf = Shelf {
        instance: instance.clone(),
    };
    let (service, server) = match &**role {
        "catalog" => ("catalog", server.service(CatalogServer::new(shelf))),
        "newer-catalog" => ("catalog", server.service(newer::CatalogServer::new(shelf))),
        "inventory" => (
            "inventory",
            server.service(InventoryServer::new(Storeroom::default())),
        ),
        "checkout" => {
            let till = Till {
                catalog: CatalogClient::new(mesh.connect("mesh://catalog").await?),
                inventory: InventoryClient::new(mesh.connect("mesh://inventory").await?),
            };
            ("checkout", server.service(CheckoutServer::new(till)))
        }
        other => return Err(format!("no such role: {other:?}").into()),
    };
    let server = server.mesh(mesh.member(service).id(instance));
    let server = server.bind(ANY_PORT).await?;
    // The one line that this process prints is where it can be reached without the mesh.
    writeln!(std::io::stdout(), "{}", server.target())?;
    server.serve_until(input_ended()).await;
    Ok(())
}
