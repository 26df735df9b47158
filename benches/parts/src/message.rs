//! What one message costs: archiving an owned struct, validating and reading all of it, protobuf.

use std::hint::black_box;

use bytes::Bytes;
use dreammesh::{Encoded, Limits, Message, Msg};
use dreammesh_core::wire::protobuf;

use crate::contract::{LineItem, Order, OrderView, Small, SmallView};
use crate::{Body, Part};

/// The parts.
pub const PARTS: &[Part] = &[
    Part::new("message: archive 64B", || archive(small())),
    Part::new("message: validate and read 64B", || {
        read(&small(), read_small)
    }),
    Part::new("message: archive, validate, read 64B", || {
        both(small(), read_small)
    }),
    Part::new("message: archive order", || archive(order())),
    Part::new("message: validate and read order", || {
        read(&order(), read_order)
    }),
    Part::new("message: archive, validate, read order", || {
        both(order(), read_order)
    }),
    Part::new("message: to protobuf 64B", || to_protobuf(&small())),
    Part::new("message: from protobuf 64B", || from_protobuf(&small())),
    Part::new("message: to protobuf order", || to_protobuf(&order())),
    Part::new("message: from protobuf order", || from_protobuf(&order())),
];

/// Two numbers, a label and a key: 63 bytes as protobuf.
#[must_use]
pub fn small() -> Small {
    Small {
        id: 77_000_123,
        ts: 1_700_000_000_123_456,
        name: "service/method/caller".to_owned(),
        data: Bytes::from_static(&[7; 24]),
        ..Default::default()
    }
}

/// A business document with sixteen items: 908 bytes as protobuf.
#[must_use]
pub fn order() -> Order {
    Order {
        id: 104_729_001,
        customer_id: 271_828_182,
        created: 1_700_000_000_123,
        updated: 1_700_000_360_456,
        status: 3,
        region: 42,
        total: 1234.56,
        tax: 98.7,
        paid: true,
        version: 17,
        customer: "Augusta Ada King, Lovelace".to_owned(),
        address: "12 St James's Square, Westminster, London SW1Y 4".to_owned(),
        note: "Leave it with the porter, ring the bell 2".to_owned(),
        items: (0..16_u32)
            .map(|index| LineItem {
                sku: 1_000_000 + 7_919 * u64::from(index),
                qty: index % 5 + 1,
                name: format!("Brass gear, 48 teeth, bore 6 mm, {index:03}"),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

/// Visits every field: the sum cannot be had without it.
#[must_use]
pub fn read_small(view: SmallView<'_>) -> u64 {
    view.id() + view.ts() + text(view.name()) + bytes(view.data())
}

/// Visits every field of the order and of its items.
#[must_use]
pub fn read_order(view: OrderView<'_>) -> u64 {
    let numbers = [
        view.id(),
        view.customer_id(),
        view.created().cast_unsigned(),
        view.updated().cast_unsigned(),
        u64::from(view.status()) + u64::from(view.region()),
        view.total().to_bits() ^ view.tax().to_bits(),
        u64::from(view.paid()) + view.version(),
    ];
    let texts = text(view.customer()) + text(view.address()) + text(view.note());
    let items = view.items().iter();
    let items = items.map(|item| item.sku() + u64::from(item.qty()) + text(item.name()));
    numbers
        .into_iter()
        .chain(items)
        .fold(texts, u64::wrapping_add)
}

fn text(text: &str) -> u64 {
    bytes(text.as_bytes())
}

/// The length and both ends: the bytes must be found, but their number does not count.
fn bytes(bytes: &[u8]) -> u64 {
    let ends = bytes.first().zip(bytes.last());
    bytes.len() as u64 + ends.map_or(0, |(first, last)| u64::from(*first) + u64::from(*last))
}

fn encoded<M: Message>(message: &M) -> Encoded<M> {
    Encoded::new(message, &Limits::default()).expect("the message is far below the limits")
}

fn received<M: Message>(archive: &Bytes) -> Msg<M> {
    Msg::from_archive(archive.clone(), &Limits::default()).expect("the archive is our own")
}

fn archive<M: Message>(message: M) -> Body {
    Box::new(move || drop(black_box(encoded(black_box(&message)))))
}

fn read<M: Message>(message: &M, read: impl Fn(M::View<'_>) -> u64 + 'static) -> Body {
    let archive = encoded(message).into_segment().into_bytes();
    Box::new(move || {
        black_box(read(received::<M>(black_box(&archive)).view()));
    })
}

/// As a program does it that keeps what it archived: the buffer is not used again.
fn both<M: Message>(message: M, read: impl Fn(M::View<'_>) -> u64 + 'static) -> Body {
    Box::new(move || {
        let archive = encoded(black_box(&message)).into_segment().into_bytes();
        black_box(read(received::<M>(&archive).view()));
    })
}

fn to_protobuf<M: Message>(message: &M) -> Body {
    let archive = encoded(message).into_segment().into_bytes();
    let message = received::<M>(&archive);
    let mut kept = Vec::new();
    Box::new(move || {
        kept.clear();
        protobuf::append(black_box(&message).table().dynamic(), &mut kept);
        black_box(&kept);
    })
}

fn from_protobuf<M: Message>(message: &M) -> Body {
    let archive = encoded(message).into_segment().into_bytes();
    let bytes = protobuf::from_archive(received::<M>(&archive).table().dynamic());
    Box::new(move || {
        let archive = protobuf::to_archive(M::LAYOUT, black_box(&bytes), &Limits::default());
        black_box(archive.expect("the bytes are our own"));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_are_as_large_as_the_names_say() {
        assert_eq!(protobuf_len(&small()), 63);
        assert_eq!(protobuf_len(&order()), 908);
    }

    fn protobuf_len<M: Message>(message: &M) -> usize {
        let archive = encoded(message).into_segment().into_bytes();
        protobuf::encoded_len(received::<M>(&archive).table().dynamic())
    }
}
