//! The calls that run in process, each under its key.

use std::sync::Arc;

use super::pipe::Pipe;
use crate::call::{Deadline, MethodInfo};
use crate::port::{HandlerFuture, StreamKey, WireMode};

/// The calls that run, in slots that are reused under another generation.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    /// The indices of empty slots.
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    running: Option<Running>,
}

/// A call that runs.
#[derive(Debug)]
pub(super) enum Running {
    Unary(Unary),
    Stream(Arc<Pipe>),
}

/// A call with one request and one response: its handler and no more.
pub(super) struct Unary {
    /// None while it is being polled.
    pub(super) future: Option<HandlerFuture>,
    pub(super) method: &'static MethodInfo,
    pub(super) mode: WireMode,
    pub(super) deadline: Option<Deadline>,
}

impl std::fmt::Debug for Unary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unary({})", self.method.path())
    }
}

impl Slots {
    pub(super) fn insert(&mut self, running: Running) -> StreamKey {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                running: None,
            });
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        slot.running = Some(running);
        StreamKey::from_bits(u64::from(slot.generation) << 32 | u64::from(index))
    }

    pub(super) fn running(&mut self, key: StreamKey) -> Option<&mut Running> {
        self.slot(key)?.running.as_mut()
    }

    pub(super) fn remove(&mut self, key: StreamKey) -> Option<Running> {
        let slot = self.slot(key)?;
        let running = slot.running.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.bits() as u32);
        Some(running)
    }

    fn slot(&mut self, key: StreamKey) -> Option<&mut Slot> {
        let (index, generation) = (key.bits() as u32 as usize, (key.bits() >> 32) as u32);
        self.slots
            .get_mut(index)
            .filter(|slot| slot.generation == generation)
    }
}
