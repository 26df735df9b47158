//! Readers of structs that name their fields as the contract does, whichever compiler made them.

/// Reads every field of a struct with the fields of `Small`.
macro_rules! read_small {
    ($message:expr) => {{
        let message = $message;
        let mut digest = $crate::message::Digest::default();
        digest.number(message.id);
        digest.number(message.ts);
        digest.bytes(message.name.as_bytes());
        digest.bytes(&message.data[..]);
        digest
    }};
}

/// Reads every field of a struct with the fields of `Order`.
macro_rules! read_order {
    ($message:expr) => {{
        let message = $message;
        let mut digest = $crate::message::Digest::default();
        digest.number(message.id);
        digest.number(message.customer_id);
        digest.number(message.created.cast_unsigned());
        digest.number(message.updated.cast_unsigned());
        digest.number(u64::from(message.status));
        digest.number(u64::from(message.region));
        digest.float(message.total);
        digest.float(message.tax);
        digest.number(u64::from(message.paid));
        digest.number(message.version);
        digest.bytes(message.customer.as_bytes());
        digest.bytes(message.address.as_bytes());
        digest.bytes(message.note.as_bytes());
        for item in message.items.iter() {
            digest.number(item.sku);
            digest.number(u64::from(item.qty));
            digest.bytes(item.name.as_bytes());
        }
        digest
    }};
}

/// Builds such a struct from the fields of prost's; `..Default::default()` covers what it has more.
macro_rules! build_order {
    ($order:ident, $item:ident) => {{
        let message = $crate::message::order::prost();
        #[allow(
            clippy::needless_update,
            reason = "some structs have fields of their own beside these"
        )]
        $order {
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
            customer: message.customer.into(),
            address: message.address.into(),
            note: message.note.into(),
            items: (message.items.into_iter())
                .map(|item| $item {
                    sku: item.sku,
                    qty: item.qty,
                    name: item.name.into(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }
    }};
}

pub(crate) use {build_order, read_order, read_small};
