//! Our archive, with the messages written by hand as the compiler emits them.

use bytes::Bytes;
use dreammesh_benches::workload::{Digest, order, small};
use dreammesh_wire::{
    Element, Encode, Encoded, Field, Kind, Layout, LayoutHash, Limits, ListView, Message, Msg,
    Origin, Shape, Table, TableWriter, via,
};
use std::fmt;

const fn field(number: u32, name: &'static str, kind: Kind, shape: Shape, offset: u32) -> Field {
    Field {
        number,
        name,
        json_name: name,
        kind,
        shape,
        offset,
    }
}

macro_rules! message {
    ($name:ident, $view:ident) => {
        #[derive(Clone, Copy)]
        pub(crate) struct $view<'a>(Table<'a, $name>);

        impl Element for $name {
            type Via = via::Message;
        }

        impl Message for $name {
            type View<'a> = $view<'a>;
            const LAYOUT: &'static Layout = $name::TABLE;

            #[inline]
            fn view(table: Table<'_, Self>) -> $view<'_> {
                $view(table)
            }

            #[inline]
            fn table<'a>(view: Self::View<'a>) -> Table<'a, Self> {
                view.0
            }

            fn from_view(_: $view<'_>, _: &Origin<'_>) -> Self {
                unreachable!("nothing here copies a message out")
            }
        }

        impl Encode<$name> for $view<'_> {
            fn encode(&self, table: &mut TableWriter<'_, $name>) {
                table.copy(self.0);
            }
        }

        impl fmt::Debug for $view<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

message!(Small, SmallView);

#[derive(Clone)]
pub(crate) struct Small {
    id: u64,
    ts: u64,
    name: String,
    data: Bytes,
}

static SMALL: Layout = Layout::new(
    "dreammesh.bench.v1.Small",
    &[
        field(1, "id", Kind::Uint64, Shape::Plain, 0),
        field(2, "ts", Kind::Uint64, Shape::Plain, 8),
        field(3, "name", Kind::String, Shape::Plain, 16),
        field(4, "data", Kind::Bytes, Shape::Plain, 24),
    ],
    &[],
    32,
    &[LayoutHash([0; 16]); 5],
);

impl Small {
    const TABLE: &'static Layout = &SMALL;
}

impl<'a> SmallView<'a> {
    #[inline]
    pub(crate) fn id(self) -> u64 {
        self.0.plain::<0, u64>()
    }

    #[inline]
    pub(crate) fn ts(self) -> u64 {
        self.0.plain::<1, u64>()
    }

    #[inline]
    pub(crate) fn name(self) -> &'a str {
        self.0.plain::<2, str>()
    }

    #[inline]
    pub(crate) fn data(self) -> &'a [u8] {
        self.0.plain::<3, [u8]>()
    }
}

impl Encode<Self> for Small {
    fn encode(&self, table: &mut TableWriter<'_, Self>) {
        table.plain::<0, u64>(&self.id);
        table.plain::<1, u64>(&self.ts);
        table.plain::<2, str>(&self.name);
        table.plain::<3, [u8]>(&self.data);
    }
}

message!(LineItem, LineItemView);

#[derive(Clone)]
pub(crate) struct LineItem {
    sku: u64,
    qty: u32,
    name: String,
}

static LINE_ITEM: Layout = Layout::new(
    "dreammesh.bench.v1.LineItem",
    &[
        field(1, "sku", Kind::Uint64, Shape::Plain, 0),
        field(2, "qty", Kind::Uint32, Shape::Plain, 8),
        field(3, "name", Kind::String, Shape::Plain, 12),
    ],
    &[],
    20,
    &[LayoutHash([0; 16]); 4],
);

impl LineItem {
    const TABLE: &'static Layout = &LINE_ITEM;
}

impl<'a> LineItemView<'a> {
    #[inline]
    pub(crate) fn sku(self) -> u64 {
        self.0.plain::<0, u64>()
    }

    #[inline]
    pub(crate) fn qty(self) -> u32 {
        self.0.plain::<1, u32>()
    }

    #[inline]
    pub(crate) fn name(self) -> &'a str {
        self.0.plain::<2, str>()
    }
}

impl Encode<Self> for LineItem {
    fn encode(&self, table: &mut TableWriter<'_, Self>) {
        table.plain::<0, u64>(&self.sku);
        table.plain::<1, u32>(&self.qty);
        table.plain::<2, str>(&self.name);
    }
}

message!(Order, OrderView);

#[derive(Clone)]
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

static ORDER: Layout = Layout::new(
    "dreammesh.bench.v1.Order",
    &[
        field(1, "id", Kind::Uint64, Shape::Plain, 0),
        field(2, "customer_id", Kind::Uint64, Shape::Plain, 8),
        field(3, "created", Kind::Int64, Shape::Plain, 16),
        field(4, "updated", Kind::Int64, Shape::Plain, 24),
        field(5, "status", Kind::Uint32, Shape::Plain, 32),
        field(6, "region", Kind::Uint32, Shape::Plain, 36),
        field(7, "total", Kind::Double, Shape::Plain, 40),
        field(8, "tax", Kind::Double, Shape::Plain, 48),
        field(9, "paid", Kind::Bool, Shape::Plain, 56),
        field(10, "version", Kind::Uint64, Shape::Plain, 57),
        field(11, "customer", Kind::String, Shape::Plain, 65),
        field(12, "address", Kind::String, Shape::Plain, 73),
        field(13, "note", Kind::String, Shape::Plain, 81),
        field(14, "items", Kind::Message(&LINE_ITEM), Shape::List, 89),
    ],
    &[],
    105,
    &[LayoutHash([0; 16]); 15],
);

impl Order {
    const TABLE: &'static Layout = &ORDER;
}

impl<'a> OrderView<'a> {
    #[inline]
    pub(crate) fn id(self) -> u64 {
        self.0.plain::<0, u64>()
    }

    #[inline]
    pub(crate) fn customer_id(self) -> u64 {
        self.0.plain::<1, u64>()
    }

    #[inline]
    pub(crate) fn created(self) -> i64 {
        self.0.plain::<2, i64>()
    }

    #[inline]
    pub(crate) fn updated(self) -> i64 {
        self.0.plain::<3, i64>()
    }

    #[inline]
    pub(crate) fn status(self) -> u32 {
        self.0.plain::<4, u32>()
    }

    #[inline]
    pub(crate) fn region(self) -> u32 {
        self.0.plain::<5, u32>()
    }

    #[inline]
    pub(crate) fn total(self) -> f64 {
        self.0.plain::<6, f64>()
    }

    #[inline]
    pub(crate) fn tax(self) -> f64 {
        self.0.plain::<7, f64>()
    }

    #[inline]
    pub(crate) fn paid(self) -> bool {
        self.0.plain::<8, bool>()
    }

    #[inline]
    pub(crate) fn version(self) -> u64 {
        self.0.plain::<9, u64>()
    }

    #[inline]
    pub(crate) fn customer(self) -> &'a str {
        self.0.plain::<10, str>()
    }

    #[inline]
    pub(crate) fn address(self) -> &'a str {
        self.0.plain::<11, str>()
    }

    #[inline]
    pub(crate) fn note(self) -> &'a str {
        self.0.plain::<12, str>()
    }

    #[inline]
    pub(crate) fn items(self) -> ListView<'a, LineItem> {
        self.0.list::<13, LineItem>()
    }
}

impl Encode<Self> for Order {
    fn encode(&self, table: &mut TableWriter<'_, Self>) {
        table.plain::<0, u64>(&self.id);
        table.plain::<1, u64>(&self.customer_id);
        table.plain::<2, i64>(&self.created);
        table.plain::<3, i64>(&self.updated);
        table.plain::<4, u32>(&self.status);
        table.plain::<5, u32>(&self.region);
        table.plain::<6, f64>(&self.total);
        table.plain::<7, f64>(&self.tax);
        table.plain::<8, bool>(&self.paid);
        table.plain::<9, u64>(&self.version);
        table.plain::<10, str>(&self.customer);
        table.plain::<11, str>(&self.address);
        table.plain::<12, str>(&self.note);
        table.list::<13, LineItem>(&self.items);
    }
}

pub(crate) fn small() -> Small {
    let data = Bytes::from_static(&small::DATA);
    Small {
        id: small::ID,
        ts: small::TS,
        name: small::NAME.to_owned(),
        data,
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

pub(crate) fn encode<M: Message>(message: &M) -> Encoded<M> {
    Encoded::new(message, &Limits::default()).expect("the message is far below the limits")
}

pub(crate) fn receive<M: Message>(archive: &Bytes) -> Msg<M> {
    Msg::from_archive(archive.clone(), &Limits::default()).expect("the archive is our own")
}

pub(crate) fn read_small(message: SmallView<'_>) -> Digest {
    let mut digest = Digest::default();
    digest.number(message.id());
    digest.number(message.ts());
    digest.bytes(message.name().as_bytes());
    digest.bytes(message.data());
    digest
}

pub(crate) fn read_order(message: OrderView<'_>) -> Digest {
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
