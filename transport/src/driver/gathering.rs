//! Letting those that were woken go first, so that what they send goes out together.
//!
//! A batch wakes many callers, each of which is likely to send its next call at once. A
//! work-stealing runtime runs the task that was woken last before all that wait, so the first of
//! them would have the driver send a batch of one, the second again, and so on: each call then
//! pays for its own system calls. So the driver, once woken, goes to the back of the queue as long
//! as most of those it woke have not sent yet, once a batch. A runtime of one thread does that of
//! itself.
//!
//! The same holds on the server for handlers that a batch made tasks.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Says when the driver stands back.
#[derive(Debug)]
pub(crate) struct Gathering {
    /// Whether this runtime runs the task that was woken last first.
    needed: bool,
    /// How many tasks the last batch that woke any woke or started.
    woken: usize,
    /// The driver has stood back since its last batch.
    stood_back: bool,
}

impl Gathering {
    /// For the current runtime.
    pub(crate) fn new() -> Self {
        let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
        Self {
            needed: flavor.is_ok_and(|flavor| flavor == RuntimeFlavor::MultiThread),
            woken: 0,
            stood_back: false,
        }
    }

    /// Whether to let others go first, given how many have sent since the last batch.
    ///
    /// It is asked at the beginning of each poll, and asks for the count only if it matters.
    pub(crate) fn stands_back(&mut self, sent: impl FnOnce() -> usize) -> bool {
        // Nobody is behind a lone caller, so it is sent without delay.
        if !self.needed || self.woken < 2 || self.stood_back {
            self.stood_back = false;
            return false;
        }
        // Without anything sent it is the link or the timer that woke the driver.
        self.stood_back = (1..self.woken).contains(&sent());
        self.stood_back
    }

    /// Notes how many tasks a batch woke or started.
    pub(crate) fn woke(&mut self, tasks: usize) {
        if tasks > 0 {
            self.woken = tasks;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_waking(woken: usize) -> Gathering {
        Gathering {
            needed: true,
            woken,
            stood_back: false,
        }
    }

    #[test]
    fn it_stands_back_once_a_batch_while_others_are_expected() {
        let mut gathering = after_waking(3);
        assert!(gathering.stands_back(|| 1));
        assert!(!gathering.stands_back(|| 2));
        assert!(gathering.stands_back(|| 2));
    }

    #[test]
    fn it_goes_on_when_all_have_sent_and_when_none_has() {
        assert!(!after_waking(3).stands_back(|| 3));
        assert!(!after_waking(3).stands_back(|| 4));
        assert!(!after_waking(3).stands_back(|| 0));
    }

    #[test]
    fn a_lone_caller_is_not_delayed() {
        let unasked = || unreachable!("there is nobody to wait for");
        assert!(!after_waking(0).stands_back(unasked));
        assert!(!after_waking(1).stands_back(unasked));
        let mut gathering = after_waking(64);
        gathering.woke(1);
        assert!(!gathering.stands_back(unasked));
    }

    #[test]
    fn a_batch_that_woke_nobody_leaves_the_expectation() {
        let mut gathering = after_waking(64);
        gathering.woke(0);
        assert!(gathering.stands_back(|| 1));
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_needs_none_of_it() {
        assert!(!Gathering::new().needed);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_work_stealing_runtime_needs_it() {
        assert!(Gathering::new().needed);
    }
}
