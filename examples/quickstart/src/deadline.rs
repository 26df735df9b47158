//! One order that takes longer than its customer waits.

use std::time::Duration;

use dreammesh::{Channel, Code};

use crate::proto::current::{CheckoutClient, OrderLine, PlaceOrderRequest};
use crate::stock::FAR_AWAY;

/// How long the customer waits: long enough to reach the storeroom, too short to be served.
const PATIENCE: Duration = Duration::from_millis(200);

/// Orders what takes a second to fetch, with less time than that; gives how the call ended.
///
/// Only the checkout is told the deadline. That the inventory gives up too is the framework's
/// doing, and both count it.
pub(crate) async fn overrun(checkout: Channel) -> Option<Code> {
    let checkout = CheckoutClient::new(checkout);
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
    ended.err().map(|error| error.code())
}
