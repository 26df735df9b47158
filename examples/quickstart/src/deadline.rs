//! One order that takes longer than its customer waits.

use std::error::Error;
use std::time::Duration;

use dreammesh::{Channel, Code, Connect as _};

use crate::processes::Shop;
use crate::proto::current::{CheckoutClient, OrderLine, PlaceOrderRequest};
use crate::stock::FAR_AWAY;

/// How long the customer waits: long enough to reach the storeroom, too short to be served.
const PATIENCE: Duration = Duration::from_millis(200);

/// Orders what takes a second to fetch, with less time than that; gives how the call ended.
///
/// Only the checkout is told the deadline. That the inventory gives up too is the framework's
/// doing, and both count it.
pub(crate) async fn overrun(shop: &Shop) -> Result<Option<Code>, Box<dyn Error>> {
    let checkout = CheckoutClient::new(Channel::connect(&shop.checkout.target).await?);
    let line = OrderLine {
        sku: FAR_AWAY.sku.to_owned(),
        quantity: 1,
        ..Default::default()
    };
    let order = PlaceOrderRequest {
        lines: vec![line],
        ..Default::default()
    };
    let ended = checkout.place_order(&order).timeout(PATIENCE).await;
    Ok(ended.err().map(|error| error.code()))
}
