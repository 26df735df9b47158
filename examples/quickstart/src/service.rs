//! A process of the shop: which service it runs, and until when.

use std::error::Error;
use std::io::{Read as _, Write as _};

use dreammesh::{Channel, Connect as _, Metrics, Server};
use tokio::sync::oneshot;

use crate::catalog::Shelf;
use crate::checkout::Till;
use crate::counters::OwnCounters;
use crate::inventory::Storeroom;
use crate::proto::current::{
    CatalogClient, CatalogServer, CheckoutServer, CountersServer, InventoryClient, InventoryServer,
};

/// Serves until standard input ends, which it does when whoever started this process is gone.
///
/// `arguments` are the role, the address to listen on, and what the role has to know.
pub(crate) async fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let metrics = Metrics::new();
    let counters = CountersServer::new(OwnCounters(metrics.clone()));
    let server = Server::builder().metrics(metrics).service(counters);
    let (server, address) = match arguments {
        [role, address] if role == "catalog" => {
            (server.service(CatalogServer::new(Shelf)), address)
        }
        [role, address] if role == "inventory" => (
            server.service(InventoryServer::new(Storeroom::default())),
            address,
        ),
        [role, address, catalog, inventory] if role == "checkout" => {
            let till = Till {
                catalog: CatalogClient::new(Channel::connect(catalog).await?),
                inventory: InventoryClient::new(Channel::connect(inventory).await?),
            };
            (server.service(CheckoutServer::new(till)), address)
        }
        other => return Err(format!("no such role: {other:?}").into()),
    };
    let server = server.bind(address).await?;
    // The one line that this process prints is where it can be reached.
    writeln!(std::io::stdout(), "{}", server.target())?;
    server.serve_until(input_ended()).await;
    Ok(())
}

/// Ends when standard input does.
async fn input_ended() {
    let (ended, end) = oneshot::channel();
    // Reading blocks, so it has a thread of its own; it ends with the input, or with the process.
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = ended.send(());
    });
    let _ = end.await;
}
