//! The inventory service: a unary method and one that takes a stream of requests.

use std::sync::atomic::{AtomicU64, Ordering};

use dreammesh::{Receiver, Request, Response, Status};

use crate::proto::current::{
    Count, Inventory, Reservation, ReservationArgs, ReserveRequest, StocktakeSummary,
    StocktakeSummaryArgs,
};
use crate::stock;

/// The handlers of `shop.v1.Inventory`.
#[derive(Debug, Default)]
pub(crate) struct Storeroom {
    reservations: AtomicU64,
}

impl Inventory for Storeroom {
    async fn reserve(
        &self,
        request: Request<ReserveRequest>,
    ) -> Result<Response<Reservation>, Status> {
        let article = stock::find(request.view().sku())?;
        if !article.fetched_within.is_zero() {
            // When the caller's deadline passes meanwhile, this handler is dropped right here.
            tokio::time::sleep(article.fetched_within).await;
        }
        let number = self.reservations.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Response::new(ReservationArgs {
            number,
            ..Default::default()
        }))
    }

    async fn stocktake(
        &self,
        mut counts: Receiver<Count>,
    ) -> Result<Response<StocktakeSummary>, Status> {
        let mut summary = StocktakeSummaryArgs::default();
        while let Some(count) = counts.next().await? {
            summary.articles += 1;
            summary.pieces += u64::from(count.view().found());
        }
        Ok(Response::new(summary))
    }
}
