//! Stock rkyv: what its derives give, with no schema evolution and no depth limit.

use dreammesh_benches::handler::Handler;
use dreammesh_benches::message::{Digest, order, small};
use rkyv::rancor::Error;
use rkyv::util::AlignedVec;
use rkyv::{Archive, Serialize};

#[derive(Archive, Serialize)]
pub(crate) struct Small {
    id: u64,
    ts: u64,
    name: String,
    data: Vec<u8>,
}

#[derive(Archive, Serialize)]
pub(crate) struct LineItem {
    sku: u64,
    qty: u32,
    name: String,
}

#[derive(Archive, Serialize)]
pub(crate) struct Order {
    id: u64,
    customer_id: u64,
    created: i64,
    updated: i64,
    status: u32,
    region: u32,
    total: f64,
    tax: f64,
    paid: bool,
    version: u64,
    customer: String,
    address: String,
    note: String,
    items: Vec<LineItem>,
}

pub(crate) fn small() -> Small {
    let message = small::prost(Handler::Immediate);
    Small {
        id: message.id,
        ts: message.ts,
        name: message.name,
        data: message.data,
    }
}

pub(crate) fn order() -> Order {
    let message = order::prost();
    Order {
        id: message.id,
        customer_id: message.customer_id,
        created: message.created,
        updated: message.updated,
        status: message.status,
        region: message.region,
        total: message.total,
        tax: message.tax,
        paid: message.paid,
        version: message.version,
        customer: message.customer,
        address: message.address,
        note: message.note,
        items: (message.items.into_iter())
            .map(|item| LineItem {
                sku: item.sku,
                qty: item.qty,
                name: item.name,
            })
            .collect(),
    }
}

/// Serialises into a buffer that is kept, rkyv's own advice for speed.
pub(crate) fn encode_small(message: &Small, mut buffer: AlignedVec) -> AlignedVec {
    buffer.clear();
    rkyv::api::high::to_bytes_in::<_, Error>(message, buffer).expect("memory is all it needs")
}

/// Serialises into a buffer that is kept, rkyv's own advice for speed.
pub(crate) fn encode_order(message: &Order, mut buffer: AlignedVec) -> AlignedVec {
    buffer.clear();
    rkyv::api::high::to_bytes_in::<_, Error>(message, buffer).expect("memory is all it needs")
}

pub(crate) fn read_small(archive: &[u8]) -> Digest {
    let message = rkyv::access::<ArchivedSmall, Error>(archive).expect("the archive is our own");
    let mut digest = Digest::default();
    digest.number(message.id.to_native());
    digest.number(message.ts.to_native());
    digest.bytes(message.name.as_bytes());
    digest.bytes(&message.data);
    digest
}

pub(crate) fn read_order(archive: &[u8]) -> Digest {
    let message = rkyv::access::<ArchivedOrder, Error>(archive).expect("the archive is our own");
    let mut digest = Digest::default();
    digest.number(message.id.to_native());
    digest.number(message.customer_id.to_native());
    digest.number(message.created.to_native().cast_unsigned());
    digest.number(message.updated.to_native().cast_unsigned());
    digest.number(u64::from(message.status.to_native()));
    digest.number(u64::from(message.region.to_native()));
    digest.float(message.total.to_native());
    digest.float(message.tax.to_native());
    digest.number(u64::from(message.paid));
    digest.number(message.version.to_native());
    digest.bytes(message.customer.as_bytes());
    digest.bytes(message.address.as_bytes());
    digest.bytes(message.note.as_bytes());
    for item in message.items.iter() {
        digest.number(item.sku.to_native());
        digest.number(u64::from(item.qty.to_native()));
        digest.bytes(item.name.as_bytes());
    }
    digest
}
