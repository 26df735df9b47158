//! "order-1KiB": a business document with sixteen nested items.

use crate::message::Digest;
use crate::message::fields::{build_order, read_order};
use crate::{ours, peer};

/// The message's size as protobuf.
pub const PROTOBUF_BYTES: usize = 908;
/// The value of `id`.
pub const ID: u64 = 104_729_001;
/// The value of `customer_id`.
pub const CUSTOMER_ID: u64 = 271_828_182;
/// The value of `created`, milliseconds since 1970.
pub const CREATED: i64 = 1_700_000_000_123;
/// The value of `updated`, milliseconds since 1970.
pub const UPDATED: i64 = 1_700_000_360_456;
/// The value of `status`.
pub const STATUS: u32 = 3;
/// The value of `region`.
pub const REGION: u32 = 42;
/// The value of `total`.
pub const TOTAL: f64 = 1234.56;
/// The value of `tax`.
pub const TAX: f64 = 98.7;
/// The value of `version`.
pub const VERSION: u64 = 17;
/// The value of `customer`, 26 characters.
pub const CUSTOMER: &str = "Augusta Ada King, Lovelace";
/// The value of `address`, 48 characters.
pub const ADDRESS: &str = "12 St James's Square, Westminster, London SW1Y 4";
/// The value of `note`, 41 characters.
pub const NOTE: &str = "Leave it with the porter, ring the bell 2";
/// How many items an order has.
pub const ITEMS: u32 = 16;

/// The `sku` of an item.
#[must_use]
pub const fn item_sku(index: u32) -> u64 {
    1_000_000 + 7_919 * index as u64
}

/// The `qty` of an item.
#[must_use]
pub const fn item_qty(index: u32) -> u32 {
    index % 5 + 1
}

/// The `name` of an item, 36 characters.
#[must_use]
pub fn item_name(index: u32) -> String {
    format!("Brass gear, 48 teeth, bore 6 mm, {index:03}")
}

/// The digest of the message, whatever its representation.
#[must_use]
pub fn digest() -> Digest {
    read_prost(&prost())
}

/// The message as prost's struct.
#[must_use]
pub fn prost() -> peer::Order {
    peer::Order {
        id: ID,
        customer_id: CUSTOMER_ID,
        created: CREATED,
        updated: UPDATED,
        status: STATUS,
        region: REGION,
        total: TOTAL,
        tax: TAX,
        paid: true,
        version: VERSION,
        customer: CUSTOMER.to_owned(),
        address: ADDRESS.to_owned(),
        note: NOTE.to_owned(),
        items: (0..ITEMS)
            .map(|index| peer::LineItem {
                sku: item_sku(index),
                qty: item_qty(index),
                name: item_name(index),
            })
            .collect(),
    }
}

/// Reads every field of prost's struct.
#[must_use]
#[inline]
pub fn read_prost(message: &peer::Order) -> Digest {
    read_order!(message)
}

/// The message as our owned struct.
#[must_use]
pub fn owned() -> ours::Order {
    use ours::{LineItem, Order};
    build_order!(Order, LineItem)
}

/// Reads every field of our view.
#[must_use]
#[inline]
pub fn read_view(message: ours::OrderView<'_>) -> Digest {
    let mut digest = Digest::default();
    digest.number(message.id());
    digest.number(message.customer_id());
    digest.number(message.created().cast_unsigned());
    digest.number(message.updated().cast_unsigned());
    digest.number(u64::from(message.status()));
    digest.number(u64::from(message.region()));
    digest.float(message.total());
    digest.float(message.tax());
    digest.number(u64::from(message.paid()));
    digest.number(message.version());
    digest.bytes(message.customer().as_bytes());
    digest.bytes(message.address().as_bytes());
    digest.bytes(message.note().as_bytes());
    for item in message.items() {
        digest.number(item.sku());
        digest.number(u64::from(item.qty()));
        digest.bytes(item.name().as_bytes());
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    #[test]
    fn the_stated_sizes_are_the_sizes() {
        assert_eq!([CUSTOMER.len(), ADDRESS.len(), NOTE.len()], [26, 48, 41]);
        assert!((0..ITEMS).all(|index| item_name(index).len() == 36));
        assert_eq!(prost().encoded_len(), PROTOBUF_BYTES);
    }
}
