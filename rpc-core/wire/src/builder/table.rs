//! Writing the fields of one table.

use core::marker::PhantomData;

use super::list::{ListWriter, MapWriter};
use super::put::Source;
use super::{Body, Builder};
use crate::dynamic::copy_into;
use crate::element::{Access, Checked, Element};
use crate::layout::{LIST_SIZE, ONEOF_SIZE, REF_SIZE, Shape};
use crate::message::Message;
use crate::table::{Key, Table, assert_key, field, map_key};
use crate::unknown::UnknownFields;

/// Writes the fields of a message of type `M`.
///
/// Setters take the field's *index* in `M::LAYOUT.fields` as a constant and fail the build where
/// shape or type differ. Call each at most once: unknown fields first, then in the order
/// of the slots. A field that is not written is absent.
#[derive(Debug)]
pub struct TableWriter<'b, M> {
    builder: &'b mut Builder,
    body: Body,
    message: PhantomData<fn() -> M>,
}

impl<'b, M: Message> TableWriter<'b, M> {
    pub(crate) fn new(builder: &'b mut Builder, body: Body) -> Self {
        Self {
            builder,
            body,
            message: PhantomData,
        }
    }

    pub(crate) fn into_body(self) -> Body {
        self.body
    }

    /// Copies every field of a received table; nothing else may be written.
    pub fn copy(&mut self, table: Table<'_, M>) {
        let body = core::mem::take(&mut self.body);
        self.body = copy_into(self.builder, body, table.dynamic());
    }

    /// A scalar, enum, `string` or `bytes` with implicit presence.
    #[inline(always)]
    pub fn plain<const INDEX: usize, T: Element + ?Sized>(
        &mut self,
        value: &(impl Source<T> + ?Sized),
    ) {
        let checked = const {
            assert!(
                matches!(field::<M>(INDEX).shape, Shape::Plain),
                "the field is not plain"
            );
            Checked::of::<T>(field::<M>(INDEX))
        };
        let offset = checked.offset::<T>();
        if value.slot(self.builder, self.body.at(offset)) {
            self.body
                .wrote(offset + const { <T::Via as Access<T>>::CLASS.size() });
        }
    }

    /// A scalar or enum with explicit presence.
    #[inline(always)]
    pub fn optional<const INDEX: usize, T: Element + ?Sized>(
        &mut self,
        value: Option<impl Source<T>>,
    ) {
        let (checked, bit) = const {
            let Shape::Optional { bit } = field::<M>(INDEX).shape else {
                panic!("the field has no presence bit")
            };
            (Checked::of::<T>(field::<M>(INDEX)), bit)
        };
        if let Some(value) = value {
            let offset = checked.offset::<T>();
            self.builder.set_bit(&self.body, bit);
            value.slot(self.builder, self.body.at(offset));
            self.body
                .wrote(offset + const { <T::Via as Access<T>>::CLASS.size() });
        }
    }

    /// A message, or an `optional` `string` or `bytes`.
    #[inline(always)]
    pub fn nullable<const INDEX: usize, T: Element + ?Sized>(
        &mut self,
        value: Option<&(impl Source<T> + ?Sized)>,
    ) {
        let checked = const {
            assert!(
                matches!(field::<M>(INDEX).shape, Shape::Nullable),
                "the field is not nullable"
            );
            Checked::of::<T>(field::<M>(INDEX))
        };
        if let Some(value) = value {
            let offset = checked.offset::<T>();
            let written = value.target(self.builder);
            self.builder.put_reference(self.body.at(offset), written.0);
            self.body.wrote(offset + REF_SIZE);
        }
    }

    /// A oneof arm; call it for the arm that is set alone.
    #[inline(always)]
    pub fn arm<const INDEX: usize, T: Element + ?Sized>(
        &mut self,
        value: &(impl Source<T> + ?Sized),
    ) {
        let (checked, number) = const {
            let field = field::<M>(INDEX);
            assert!(
                matches!(field.shape, Shape::Arm(_)),
                "the field is not in a oneof"
            );
            (Checked::of::<T>(field), field.number)
        };
        let offset = checked.offset::<T>();
        let at = self.body.at(offset);
        let written = value.target(self.builder);
        self.builder.put_word(at, number);
        self.builder.put_reference(at + 4, written.0);
        self.body.wrote(offset + ONEOF_SIZE);
    }

    /// A repeated field.
    #[inline(always)]
    pub fn list<const INDEX: usize, T: Element + ?Sized>(
        &mut self,
        items: impl IntoIterator<Item: Source<T>>,
    ) {
        self.list_with::<INDEX, T>(|list| {
            for item in items {
                list.push(&item);
            }
        });
    }

    /// A repeated field whose elements a closure pushes.
    #[inline(always)]
    pub fn list_with<const INDEX: usize, T: Element + ?Sized>(
        &mut self,
        fill: impl FnOnce(&mut ListWriter<'_, T>),
    ) {
        let checked = const {
            assert!(
                matches!(field::<M>(INDEX).shape, Shape::List),
                "the field is not a list"
            );
            Checked::of::<T>(field::<M>(INDEX))
        };
        let offset = checked.offset::<T>();
        let mut list = ListWriter::new(self.builder);
        fill(&mut list);
        if list.finish_into(self.body.at(offset)) {
            self.body.wrote(offset + LIST_SIZE);
        }
    }

    /// A map field from entries whose keys strictly ascend.
    #[inline(always)]
    pub fn map<const INDEX: usize, K: Key + ?Sized, V: Element + ?Sized>(
        &mut self,
        entries: impl IntoIterator<Item = (impl Source<K>, impl Source<V>)>,
    ) {
        self.map_with::<INDEX, K, V>(|map| {
            for (key, value) in entries {
                map.push(&key, &value);
            }
        });
    }

    /// A map field whose entries a closure pushes, keys strictly ascending.
    #[inline(always)]
    pub fn map_with<const INDEX: usize, K: Key + ?Sized, V: Element + ?Sized>(
        &mut self,
        fill: impl FnOnce(&mut MapWriter<'_, K, V>),
    ) {
        let checked = const {
            assert_key::<K>(map_key(field::<M>(INDEX)));
            Checked::of::<V>(field::<M>(INDEX))
        };
        let offset = checked.offset::<V>();
        let mut map = MapWriter::new(self.builder);
        fill(&mut map);
        if map.finish_into(self.body.at(offset)) {
            self.body.wrote(offset + LIST_SIZE);
        }
    }
    /// Keeps raw protobuf fields that this schema does not know.
    #[inline]
    pub fn unknown_fields(&mut self, fields: &UnknownFields) {
        self.raw_unknown_fields(fields.as_raw());
    }

    /// Keeps raw protobuf fields, tags included.
    #[inline]
    pub fn raw_unknown_fields(&mut self, raw: &[u8]) {
        debug_assert!(self.body.end == 0, "unknown fields are written first");
        if !raw.is_empty() {
            let target = self.builder.bytes(raw);
            self.body.set_unknown(target);
        }
    }
}
