//! The state of a server that stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a server still takes new calls; a clone shares the state.
///
/// Beginning to drain refuses new calls as `UNAVAILABLE` and lets those that run end. Carriers
/// tell their peers, so that few calls meet the refusal.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<AtomicBool>);

impl Drain {
    /// A server that takes calls.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses new calls from now on; says whether this was the first time.
    pub fn begin(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// Whether new calls are refused.
    pub fn is_draining(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
