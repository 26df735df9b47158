//! Writing the fields of one table.

use core::marker::PhantomData;

use super::list::{ListWriter, MapWriter};
use super::local;
use super::put::{Slot, Source};
use super::{Body, Builder, ListSlot};
use crate::args::{ListArg, MapArg};
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
    /// The body, if the layout is a small one; else it is in the builder's scratch.
    local: &'b mut [u8],
    body: &'b mut Body,
    message: PhantomData<fn() -> M>,
}

impl<'b, M: Message> TableWriter<'b, M> {
    const IS_LOCAL: bool = local::size_class(M::LAYOUT) != 0;

    #[inline(always)]
    pub(crate) fn new(builder: &'b mut Builder, local: &'b mut [u8], body: &'b mut Body) -> Self {
        Self {
            builder,
            local,
            body,
            message: PhantomData,
        }
    }

    #[inline(always)]
    fn put(&mut self, offset: u32, bytes: &[u8]) {
        if Self::IS_LOCAL {
            let at = offset as usize;
            self.local[at..at + bytes.len()].copy_from_slice(bytes);
        } else {
            self.builder.put_bytes(self.body.at(offset), bytes);
        }
    }

    /// Writes a reference at `offset`.
    #[inline(always)]
    fn refer(&mut self, offset: u32, bytes: [u8; 8], is_null: bool) {
        self.put(offset, &bytes);
        // The pointers of a local body are known from its layout.
        if !Self::IS_LOCAL && !is_null {
            self.builder.fixups.push(self.body.at(offset) as u32);
        }
    }

    /// Writes the slot of a single value.
    #[inline(always)]
    fn put_slot<T: Element + ?Sized>(&mut self, offset: u32, slot: &Slot) {
        let class = const { <T::Via as Access<T>>::CLASS };
        if class.is_scalar() {
            self.put(offset, &slot.bytes[..class.size() as usize]);
        } else {
            self.refer(offset, slot.bytes, slot.is_default);
        }
        self.body.wrote(offset + class.size());
    }

    #[inline(always)]
    fn put_list(&mut self, offset: u32, list: Option<ListSlot>) {
        if let Some(list) = list {
            let is_null = list.target.is_null();
            self.refer(offset, list.target.to_le_bytes(), is_null);
            self.put(offset + 8, &list.stride.to_le_bytes());
            self.put(offset + 12, &list.end.to_le_bytes());
            self.body.wrote(offset + LIST_SIZE);
        }
    }

    /// Copies every field of a received table; nothing else may be written.
    pub fn copy(&mut self, table: Table<'_, M>) {
        let layout = M::LAYOUT;
        if !Self::IS_LOCAL {
            *self.body = copy_into(self.builder, *self.body, table.dynamic());
            return;
        }
        // The dynamic writer works in scratch, so what it leaves there is taken over.
        let base = self.builder.scratch.len();
        self.builder.scratch.resize(base + layout.size as usize, 0);
        self.body.base = base;
        self.body.fixups = self.builder.fixups.len();
        let body = copy_into(self.builder, *self.body, table.dynamic());
        let size = layout.size as usize;
        self.local[..size].copy_from_slice(&self.builder.scratch[base..base + size]);
        self.builder.scratch.truncate(base);
        self.builder.fixups.truncate(body.fixups);
        *self.body = body;
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
        let slot = value.slot(self.builder);
        let class = const { <T::Via as Access<T>>::CLASS };
        if Self::IS_LOCAL && class.is_scalar() {
            // What is default is zero, as the slot is already: writing it needs no branch.
            self.put(offset, &slot.bytes[..class.size() as usize]);
            self.body.wrote(if slot.is_default {
                0
            } else {
                offset + class.size()
            });
        } else if !slot.is_default {
            self.put_slot::<T>(offset, &slot);
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
            self.set_bit(bit);
            let slot = value.slot(self.builder);
            self.put_slot::<T>(offset, &slot);
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
            let target = value.target(self.builder).0;
            self.refer(offset, target.to_le_bytes(), target.is_null());
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
        let target = value.target(self.builder).0;
        self.put(offset, &number.to_le_bytes());
        self.refer(offset + 4, target.to_le_bytes(), target.is_null());
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
        let list = list.finish();
        self.put_list(offset, list);
    }

    /// A repeated field from borrowed elements of any form.
    #[inline]
    pub fn list_arg<const INDEX: usize, T: Element + ?Sized>(&mut self, items: &ListArg<'_, T>) {
        self.list_with::<INDEX, T>(|list| items.write(list));
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
        let map = map.finish();
        self.put_list(offset, map);
    }

    /// A map field from borrowed entries of any form.
    #[inline]
    pub fn map_arg<const INDEX: usize, K: Key + ?Sized, V: Element + ?Sized>(
        &mut self,
        entries: &MapArg<'_, K, V>,
    ) {
        self.map_with::<INDEX, K, V>(|map| entries.write(map));
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

    #[inline(always)]
    fn set_bit(&mut self, bit: u32) {
        if Self::IS_LOCAL {
            self.local[(bit / 8) as usize] |= 1 << (bit % 8);
        } else {
            self.builder.set_bit(self.body, bit);
        }
    }
}
