//! The calls of a connection, by the keys that were given out for them.

use std::time::Instant;

use dreammesh_core::port::StreamKey;

use super::call::Call;

/// The calls that run.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    /// How many calls were here before; it tells a key that is stale.
    generation: u32,
    call: Option<Box<Call>>,
}

impl Slots {
    pub(super) fn insert(&mut self, call: Box<Call>) -> StreamKey {
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            // A connection has fewer streams in its whole life.
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[at as usize];
        slot.call = Some(call);
        StreamKey::from_bits(u64::from(slot.generation) << 32 | u64::from(at))
    }

    pub(super) fn find(&mut self, key: StreamKey) -> Option<&mut Call> {
        self.slot(key)?.call.as_deref_mut()
    }

    pub(super) fn remove(&mut self, key: StreamKey) -> Option<Box<Call>> {
        let slot = self.slot(key)?;
        let call = slot.call.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.bits() as u32);
        Some(call)
    }

    pub(super) fn each(&mut self) -> impl Iterator<Item = &mut Call> {
        self.slots
            .iter_mut()
            .filter_map(|slot| slot.call.as_deref_mut())
    }

    /// The earliest deadline of all.
    pub(super) fn next_deadline(&mut self) -> Option<Instant> {
        self.each()
            .filter_map(|call| call.deadline)
            .min()
            .map(|deadline| deadline.instant())
    }

    fn slot(&mut self, key: StreamKey) -> Option<&mut Slot> {
        let (generation, at) = ((key.bits() >> 32) as u32, key.bits() as u32);
        let slot = self.slots.get_mut(at as usize);
        slot.filter(|slot| slot.generation == generation)
    }
}
