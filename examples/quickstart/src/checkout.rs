//! The checkout service: it calls the other two, and has a method that streams both ways.

use dreammesh::{Receiver, Request, Response, Sender, Status};

use crate::proto::current::{
    CatalogClient, Checkout, GetItemRequestArgs, InventoryClient, Line, LineArgs, Order, OrderArgs,
    PlaceOrderRequest, ReserveRequestArgs, ScanRequest,
};

/// The handlers of `shop.v1.Checkout`.
#[derive(Debug)]
pub(crate) struct Till {
    pub(crate) catalog: CatalogClient,
    pub(crate) inventory: InventoryClient,
}

impl Checkout for Till {
    async fn place_order(
        &self,
        request: Request<PlaceOrderRequest>,
    ) -> Result<Response<Order>, Status> {
        let (mut total_cents, mut reservations) = (0, Vec::new());
        for line in request.view().lines() {
            // Both calls inherit what is left of this call's deadline; nothing is handed on here.
            let item = self
                .catalog
                .get_item(GetItemRequestArgs { sku: line.sku() })
                .await?;
            let wanted = ReserveRequestArgs {
                sku: line.sku(),
                quantity: line.quantity(),
            };
            let reservation = self.inventory.reserve(wanted).await?;
            total_cents += u64::from(item.view().price_cents()) * u64::from(line.quantity());
            reservations.push(reservation.view().number());
        }
        Ok(Response::new(OrderArgs {
            total_cents,
            reservations: (&reservations).into(),
        }))
    }

    async fn scan(
        &self,
        mut scanned: Receiver<ScanRequest>,
        lines: Sender<Line>,
    ) -> Result<(), Status> {
        let mut total_cents = 0;
        while let Some(scan) = scanned.next().await? {
            let ask = GetItemRequestArgs {
                sku: scan.view().sku(),
            };
            let item = self.catalog.get_item(ask).await?;
            let (title, price_cents) = (item.view().title(), item.view().price_cents());
            total_cents += u64::from(price_cents);
            lines
                .send(LineArgs {
                    title,
                    price_cents,
                    total_cents,
                })
                .await?;
        }
        Ok(())
    }
}
