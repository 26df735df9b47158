//! Writing repeated and map fields.

use core::marker::PhantomData;

use super::local::{self, Pointers};
use super::put::Source;
use super::{Body, Builder, TableWriter, Target, make_relative, make_relative_at};
use crate::element::{Access, Element};
use crate::layout::{Class, REF_SIZE, UNKNOWN_FLAG};
use crate::message::{Encode, Message};
use crate::table::Key;

/// Writes the elements of a repeated field.
#[derive(Debug)]
pub struct ListWriter<'b, T: ?Sized> {
    builder: &'b mut Builder,
    elements: Elements,
    element: PhantomData<fn() -> *const T>,
}

impl<'b, T: Element + ?Sized> ListWriter<'b, T> {
    #[inline(always)]
    pub(crate) fn new(builder: &'b mut Builder) -> Self {
        let elements = Elements::new(builder, <T::Via as Access<T>>::CLASS);
        Self {
            builder,
            elements,
            element: PhantomData,
        }
    }

    /// Appends an element.
    #[inline(always)]
    pub fn push(&mut self, value: &(impl Source<T> + ?Sized)) {
        value.element(self.builder, &mut self.elements);
    }

    #[inline(always)]
    pub(crate) fn finish(self) -> Option<ListSlot> {
        let pointers = const {
            match <T::Via as Access<T>>::LAYOUT {
                Some(layout) => &Pointers::of(layout),
                None => &Pointers::NONE,
            }
        };
        self.elements.finish_tables(self.builder, pointers)
    }
}

/// Writes the entries of a map field, keys strictly ascending.
#[derive(Debug)]
pub struct MapWriter<'b, K: ?Sized, V: ?Sized> {
    builder: &'b mut Builder,
    entries: Entries,
    entry: PhantomData<fn() -> (*const K, *const V)>,
}

impl<'b, K: Key + ?Sized, V: Element + ?Sized> MapWriter<'b, K, V> {
    #[inline]
    pub(crate) fn new(builder: &'b mut Builder) -> Self {
        let size =
            const { <K::Via as Access<K>>::CLASS.size() + <V::Via as Access<V>>::CLASS.size() };
        let entries = Entries::new(builder, size);
        Self {
            builder,
            entries,
            entry: PhantomData,
        }
    }

    /// Appends an entry whose key is greater than all before.
    #[inline]
    pub fn push(&mut self, key: &(impl Source<K> + ?Sized), value: &(impl Source<V> + ?Sized)) {
        let Some(at) = self.entries.push(self.builder) else {
            return;
        };
        let (key, value) = (key.slot(self.builder), value.slot(self.builder));
        let key_size = const { <K::Via as Access<K>>::CLASS.size() as usize };
        self.builder.put_slot::<K>(at, &key);
        self.builder.put_slot::<V>(at + key_size, &value);
    }

    #[inline]
    pub(crate) fn finish(self) -> Option<ListSlot> {
        self.entries.finish(self.builder)
    }
}

/// What belongs into the slot of a list or map that is not empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListSlot {
    pub(crate) target: Target,
    pub(crate) stride: u32,
    pub(crate) end: u32,
}

/// The elements of a list in progress.
#[doc(hidden)]
#[derive(Debug)]
pub struct Elements {
    class: Class,
    count: usize,
    /// Where the elements start: in `out` for scalars, in scratch for the others.
    base: usize,
    /// How many fixups belong to outer bodies.
    fixups: usize,
    /// Bytes each element takes in scratch: `prefix + room for end`.
    stride: usize,
    /// Bytes kept in front of each table for its unknown fields: nought or eight.
    prefix: usize,
    /// The largest recorded size so far.
    end: u32,
    /// The recorded size of all elements, if they are tables of one size, without unknown fields,
    /// whose pointers are known from their layout and not among the fixups; else [`VARIED`].
    uniform: u32,
}

/// No recorded size, as those are below 2 GiB.
const VARIED: u32 = u32::MAX;

impl Elements {
    #[inline(always)]
    pub(crate) fn new(builder: &Builder, class: Class) -> Self {
        let base = if class.is_scalar() {
            0
        } else {
            builder.scratch.len()
        };
        let stride = if matches!(class, Class::Message) {
            0
        } else {
            class.size()
        };
        Self {
            class,
            count: 0,
            base,
            fixups: builder.fixups.len(),
            stride: stride as usize,
            prefix: 0,
            end: stride,
            uniform: VARIED,
        }
    }

    /// Appends a scalar's bytes right behind the one before.
    #[inline(always)]
    pub(crate) fn push_scalar(&mut self, builder: &mut Builder, bytes: &[u8]) {
        if self.count == 0 {
            if self.class.size() > 1 {
                builder.align();
            }
            self.base = builder.position();
        }
        if !builder.bytes(bytes).is_null() {
            self.count += 1;
        }
    }

    /// Appends a reference to text or bytes; a null target stands for an empty value.
    #[inline(always)]
    pub(crate) fn push_reference(&mut self, builder: &mut Builder, target: Target) {
        if builder.reserve((self.count + 1) * REF_SIZE as usize) {
            if target.word != 0 {
                builder.fixups.push(builder.scratch.len() as u32);
            }
            builder.scratch.extend_from_slice(&target.to_le_bytes());
            self.count += 1;
        }
    }

    /// Opens the next table behind the ones before.
    #[inline]
    pub(crate) fn open_table(&self, builder: &mut Builder, size: usize) -> Option<Body> {
        // A stride is at most twice what the list needs; `finish` checks exactly.
        if (builder.scratch.len() - self.base) / 2 > builder.limits.max_bytes {
            builder.too_large();
            return None;
        }
        if self.prefix != 0 {
            builder
                .scratch
                .resize(builder.scratch.len() + self.prefix, 0);
        }
        builder.open_table(size)
    }

    /// Copies a table that was written beside scratch to its end, and takes it in.
    #[inline(always)]
    fn append<const SIZE: usize>(
        &mut self,
        builder: &mut Builder,
        body: Body,
        local: &[u8; SIZE],
        pointers: &Pointers,
    ) {
        let base = builder.scratch.len();
        let has_room = builder.scratch.capacity() - base >= SIZE;
        // Most lists hold tables of one size without unknown fields: nothing has to move.
        if body.end != self.uniform || !has_room || body.has_unknown() {
            // The addresses of copies are given away, so that the table stays in registers.
            let (body, local) = (body, *local);
            self.append_other(builder, body, &local, pointers);
            return;
        }
        self.count += 1;
        builder.depth -= 1;
        // A copy of constant length is cheaper than one of no more than is kept.
        builder.scratch.extend_from_slice(local);
        builder.scratch.truncate(base + body.end as usize);
    }

    #[cold]
    #[inline(never)]
    fn append_other(
        &mut self,
        builder: &mut Builder,
        body: Body,
        local: &[u8],
        pointers: &Pointers,
    ) {
        // A stride is at most twice what the list needs; `finish` checks exactly.
        if (builder.scratch.len() - self.base) / 2 > builder.limits.max_bytes {
            builder.too_large();
        }
        let is_like = self.count == 0 || body.end == self.uniform;
        if is_like && !body.has_unknown() {
            self.uniform = body.end;
            self.stride = body.end as usize;
            self.end = body.end;
            self.count += 1;
            builder.depth -= 1;
            builder.scratch.extend_from_slice(local);
            let end = self.base + self.count * self.stride;
            builder.scratch.truncate(end);
            return;
        }
        if self.uniform != VARIED {
            for index in 0..self.count {
                let at = self.base + index * self.stride;
                Self::note(builder, at, self.end, pointers);
            }
            self.uniform = VARIED;
        }
        let base = builder.scratch.len() + self.prefix;
        builder.scratch.resize(base, 0);
        builder
            .scratch
            .extend_from_slice(&local[..body.end as usize]);
        Self::note(builder, base, body.end, pointers);
        self.close_table(builder, body);
    }

    /// Puts the pointers of the table at `at` in scratch among the fixups.
    fn note(builder: &mut Builder, at: usize, end: u32, pointers: &Pointers) {
        let table = &mut builder.scratch[at..at + end as usize];
        pointers.each(table, |offset, _| builder.fixups.push((at + offset) as u32));
    }

    /// Takes the finished table in, cut to the stride.
    #[inline]
    pub(crate) fn close_table(&mut self, builder: &mut Builder, body: Body) {
        builder.depth -= 1;
        let prefix = if body.unknown.1 == 0 { self.prefix } else { 8 };
        if self.count == 0 && prefix == 0 {
            // The first table sets the stride as it is: most lists hold tables of one size.
            self.stride = body.end as usize;
        } else if prefix != self.prefix || self.prefix + body.end as usize > self.stride {
            self.widen(builder, &body, prefix);
        }
        let start = self.base + self.count * self.stride;
        if builder.scratch.len() >= start + self.stride {
            builder.scratch.truncate(start + self.stride);
        } else {
            builder.scratch.resize(start + self.stride, 0);
        }
        if body.unknown.1 != 0 {
            builder.put_word(start, body.unknown.0);
            builder.put_word(start + 4, body.unknown.1);
            // Fixups ascend, so that of the prefix goes in front of those of the body.
            let first = builder.fixups.partition_point(|at| (*at as usize) < start);
            builder.fixups.insert(first.max(self.fixups), start as u32);
        }
        self.end = self.end.max(body.end);
        self.count += 1;
    }

    /// Moves all elements, the newest included, apart so that one of `body.end` bytes fits.
    ///
    /// Strides grow by doubling: scratch never holds more than twice the list's archived bytes,
    /// however large the message could be, and the moves cost a constant per byte.
    #[cold]
    fn widen(&mut self, builder: &mut Builder, body: &Body, prefix: usize) {
        let (old, count) = (self.stride, self.count);
        let shift = prefix - self.prefix;
        let end = body.end as usize;
        let room = old - self.prefix;
        let room = if end > room {
            end.next_power_of_two()
        } else {
            room
        };
        let new = prefix + room;
        let grown = self.base + (count + 1) * new;
        if builder.scratch.len() < grown {
            builder.scratch.resize(grown, 0);
        }
        for index in (0..=count).rev() {
            let from = self.base + index * old;
            let len = if index == count {
                self.prefix + end
            } else {
                old
            };
            let to = self.base + index * new;
            builder.scratch.copy_within(from..from + len, to + shift);
            builder.scratch[to..to + shift].fill(0);
            builder.scratch[to + shift + len..to + new].fill(0);
        }
        for at in &mut builder.fixups[self.fixups..] {
            let from = *at as usize - self.base;
            let index = from
                .checked_div(old)
                .map_or(count, |index| index.min(count));
            *at = (self.base + index * new + (from - index * old) + shift) as u32;
        }
        self.stride = new;
        self.prefix = prefix;
    }

    /// Writes the elements behind their children: what belongs into the slot, if there are any.
    #[inline]
    pub(crate) fn finish(self, builder: &mut Builder) -> Option<ListSlot> {
        if self.count == 0 {
            if !self.class.is_scalar() {
                builder.scratch.truncate(self.base);
            }
            return None;
        }
        let (word, stride, end) = if self.class.is_scalar() {
            (self.base as u32 + 1, self.end, self.end)
        } else {
            self.copy_out(builder)
        };
        Some(ListSlot {
            target: Target {
                word,
                len: self.count as u32,
            },
            stride,
            end,
        })
    }

    /// As [`finish`](Self::finish), for elements that may have been [appended](Self::append).
    #[inline(always)]
    fn finish_tables(self, builder: &mut Builder, pointers: &Pointers) -> Option<ListSlot> {
        // Tables of which nothing is recorded still take a byte each.
        if self.uniform == VARIED || self.stride == 0 {
            return self.finish(builder);
        }
        let position = builder.position();
        let from = builder.out.len();
        let all = self.base..self.base + self.count * self.stride;
        let at = builder.out.append(&builder.scratch[all.clone()]);
        if at.is_some() {
            // What was stored last is loaded as it was stored, and the copy is not waited for.
            let tables = builder.scratch[all].chunks_exact_mut(self.stride);
            let copies = builder.out.since(from).chunks_exact_mut(self.stride);
            let mut next = position;
            for (table, copy) in tables.zip(copies) {
                pointers.each(table, |at, word| {
                    make_relative(word, next + at);
                    copy[at..at + 4].copy_from_slice(word);
                });
                next += self.stride;
            }
        }
        builder.scratch.truncate(self.base);
        if at.is_none() {
            builder.too_large();
            return None;
        }
        Some(ListSlot {
            target: Target {
                word: position as u32 + 1,
                len: self.count as u32,
            },
            stride: self.end,
            end: self.end,
        })
    }

    /// Copies the elements to `out`: the target word, stride and element end of the slot.
    fn copy_out(&self, builder: &mut Builder) -> (u32, u32, u32) {
        let count = self.count;
        let stride = self.prefix + self.end.max(1) as usize;
        if !builder.reserve(count * stride) {
            builder.scratch.truncate(self.base);
            builder.fixups.truncate(self.fixups);
            return (0, 0, 0);
        }
        let start = builder.position();
        let mut element = self.base;
        let mut next = start;
        for at in &builder.fixups[self.fixups..] {
            let at = *at as usize;
            while at >= element + self.stride {
                element += self.stride;
                next += stride;
            }
            make_relative_at(&mut builder.scratch, at, next + (at - element));
        }
        builder.fixups.truncate(self.fixups);
        if stride == self.stride {
            let all = self.base..self.base + count * stride;
            // There is room, as was just seen.
            let _ = builder.out.append(&builder.scratch[all]);
            builder.scratch.truncate(self.base);
            let flag = if self.prefix == 0 { 0 } else { UNKNOWN_FLAG };
            return (
                (start + self.prefix) as u32 + 1,
                stride as u32,
                self.end | flag,
            );
        }
        for index in 0..count {
            let from = self.base + index * self.stride;
            let kept = self.stride.min(stride);
            // There is room, as was just seen.
            let _ = builder.out.append(&builder.scratch[from..from + kept]);
            builder.out.pad(stride - kept);
        }
        builder.scratch.truncate(self.base);
        let flag = if self.prefix == 0 { 0 } else { UNKNOWN_FLAG };
        (
            (start + self.prefix) as u32 + 1,
            stride as u32,
            self.end | flag,
        )
    }
}

/// The entries of a map in progress.
#[derive(Debug)]
pub(crate) struct Entries {
    elements: Elements,
}

impl Entries {
    #[inline]
    pub(crate) fn new(builder: &Builder, size: u32) -> Self {
        let mut elements = Elements::new(builder, Class::Str);
        elements.stride = size as usize;
        elements.end = size;
        Self { elements }
    }

    /// Makes room for one more entry in scratch: where it starts.
    #[inline]
    pub(crate) fn push(&mut self, builder: &mut Builder) -> Option<usize> {
        let stride = self.elements.stride;
        if !builder.reserve((self.elements.count + 1) * stride) {
            return None;
        }
        let at = builder.scratch.len();
        builder.scratch.resize(at + stride, 0);
        self.elements.count += 1;
        Some(at)
    }

    #[inline]
    pub(crate) fn finish(self, builder: &mut Builder) -> Option<ListSlot> {
        self.elements.finish(builder)
    }
}

/// A message appended to a list lies inline instead of being referred to.
impl<M: Message> ListWriter<'_, M> {
    #[inline]
    pub(crate) fn push_message<S: Encode<M> + ?Sized>(
        builder: &mut Builder,
        elements: &mut Elements,
        value: &S,
    ) {
        match const { local::size_class(M::LAYOUT) } {
            local::SMALL => Self::push_local::<S, { local::SMALL }>(builder, elements, value),
            local::MEDIUM => Self::push_local::<S, { local::MEDIUM }>(builder, elements, value),
            local::LARGE => Self::push_local::<S, { local::LARGE }>(builder, elements, value),
            _ => {
                let size = const { M::LAYOUT.size as usize };
                let Some(mut body) = elements.open_table(builder, size) else {
                    return;
                };
                value.encode(&mut TableWriter::new(builder, &mut [], &mut body));
                elements.close_table(builder, body);
            }
        }
    }

    #[inline]
    fn push_local<S: Encode<M> + ?Sized, const SIZE: usize>(
        builder: &mut Builder,
        elements: &mut Elements,
        value: &S,
    ) {
        let mut local = [0; SIZE];
        let Some(mut body) = builder.open_local() else {
            return;
        };
        value.encode(&mut TableWriter::new(builder, &mut local, &mut body));
        elements.append(builder, body, &local, const { &Pointers::of(M::LAYOUT) });
    }
}
