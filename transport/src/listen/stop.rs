//! The order in which a server stops: running, draining, closed.

use tokio::sync::watch;

/// Tells every part of a server how far its shutdown has come.
#[derive(Debug)]
pub(crate) struct Stop {
    phase: watch::Sender<Phase>,
}

/// Each phase follows the one above it and never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// New links and new calls are welcome.
    Running,
    /// No new links, no new calls; those that run finish.
    Draining,
    /// The drain period is over; what still runs is ended.
    Closed,
}

impl Stop {
    pub(crate) fn new() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Running),
        }
    }

    pub(crate) fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let later = to > *phase;
            if later {
                *phase = to;
            }
            later
        });
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) async fn draining(&self) {
        self.reached(Phase::Draining).await;
    }

    pub(crate) async fn closed(&self) {
        self.reached(Phase::Closed).await;
    }

    async fn reached(&self, phase: Phase) {
        let mut changes = self.phase.subscribe();
        // It only fails when the sender is gone, and this very value holds it.
        let _ = changes.wait_for(|now| *now >= phase).await;
    }
}
