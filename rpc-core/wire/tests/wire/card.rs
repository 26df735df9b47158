//! A message that refers to nothing but text and bytes, which has a validator of its own.
//!
//! The general validator checks the same archives through [`DynTable`]; both must agree on all.

use bytes::Bytes;
use dreammesh_wire::{
    DynTable, Element, Encode, Field, Kind, Layout, LayoutHash, Limits, Message, Msg, Origin,
    Shape, Table, TableWriter, UnknownFields, via,
};

/// What the compiler would make of a message of these fields, `note` being `optional`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Card {
    pub name: String,
    pub id: u32,
    pub key: Bytes,
    pub note: Option<String>,
    pub unknown_fields: UnknownFields,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CardView<'a>(Table<'a, Card>);

const fn field(number: u32, name: &'static str, kind: Kind, shape: Shape, offset: u32) -> Field {
    Field::new(number, name, name, kind, shape, offset)
}

pub static CARD_LAYOUT: Layout = Layout::new(
    "card.v1.Card",
    &[
        field(1, "name", Kind::String, Shape::Plain, 0),
        field(2, "id", Kind::Uint32, Shape::Plain, 8),
        field(3, "key", Kind::Bytes, Shape::Plain, 12),
        field(4, "note", Kind::String, Shape::Nullable, 20),
    ],
    &[],
    28,
    &[
        LayoutHash([0; 16]),
        LayoutHash([1; 16]),
        LayoutHash([2; 16]),
        LayoutHash([3; 16]),
        LayoutHash([4; 16]),
    ],
);

impl Element for Card {
    type Via = via::Message;
}

impl Message for Card {
    type View<'a> = CardView<'a>;
    const LAYOUT: &'static Layout = &CARD_LAYOUT;

    fn view(table: Table<'_, Self>) -> CardView<'_> {
        CardView(table)
    }

    fn table<'a>(view: Self::View<'a>) -> Table<'a, Self> {
        view.0
    }

    fn from_view(view: CardView<'_>, origin: &Origin<'_>) -> Self {
        Self {
            name: view.0.plain::<0, str>().to_owned(),
            id: view.0.plain::<1, u32>(),
            key: origin.bytes(view.0.plain::<2, [u8]>()),
            note: view.0.nullable::<3, str>().map(str::to_owned),
            unknown_fields: origin.unknown_fields(view.0.unknown_fields()),
        }
    }
}

impl Encode<Self> for Card {
    fn encode(&self, table: &mut TableWriter<'_, Self>) {
        table.unknown_fields(&self.unknown_fields);
        table.plain::<0, str>(&self.name);
        table.plain::<1, u32>(&self.id);
        table.plain::<2, [u8]>(&self.key);
        table.nullable::<3, str>(self.note.as_ref());
    }
}

impl Encode<Card> for CardView<'_> {
    fn encode(&self, table: &mut TableWriter<'_, Card>) {
        table.copy(self.0);
    }
}

/// Reads the archive if it is accepted, as it must be by both validators or by none.
pub fn read(archive: &Bytes, limits: &Limits) -> Option<Card> {
    let general = DynTable::from_archive(&CARD_LAYOUT, archive, limits);
    let own = Msg::<Card>::from_archive(archive.clone(), limits);
    assert_eq!(
        general.as_ref().err(),
        own.as_ref().err(),
        "the validators disagree"
    );
    let (general, own) = (general.ok()?, own.ok()?);
    assert_eq!(
        format!("{general:?}"),
        format!("{:?}", own.table()),
        "the validators found different roots"
    );
    Some(own.into_owned())
}
