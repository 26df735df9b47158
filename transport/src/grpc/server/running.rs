//! The calls of a connection that run as tasks, so that all of them can be ended.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;

/// A call that can be ended from outside.
pub(super) trait Close: fmt::Debug + Send + Sync {
    /// Has it end as the server does.
    fn close(&self);
}

/// The calls of one connection.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    list: HashMap<u64, Weak<dyn Close>>,
    next: u64,
    /// No call may go on.
    closed: bool,
    /// Who waits until there is none.
    waiting: Option<Waker>,
}

/// A call's place among those that run; dropping it says that the call is over.
#[derive(Debug)]
pub(super) struct Place {
    running: Arc<Running>,
    id: u64,
}

impl Running {
    /// Notes a call that begins; one that comes late is ended at once.
    pub(super) fn add(self: &Arc<Self>, call: &Arc<impl Close + 'static>) -> Place {
        let (id, closed) = {
            let mut calls = self.lock();
            let id = calls.next;
            calls.next += 1;
            let call: Weak<dyn Close> = Arc::downgrade(call) as _;
            calls.list.insert(id, call);
            (id, calls.closed)
        };
        if closed {
            call.close();
        }
        let running = Arc::clone(self);
        Place { running, id }
    }

    /// Ends every call; gives how many those were.
    pub(crate) fn close(&self) -> u64 {
        let calls: Vec<_> = {
            let mut calls = self.lock();
            calls.closed = true;
            calls.list.values().filter_map(Weak::upgrade).collect()
        };
        calls.iter().for_each(|call| call.close());
        calls.len() as u64
    }

    /// Whether there is none; if there is, the waker is told when that changes.
    pub(crate) fn is_empty(&self, waker: &Waker) -> bool {
        let mut calls = self.lock();
        if !calls.list.is_empty() {
            calls.waiting = Some(waker.clone());
        }
        calls.list.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let waiting = {
            let mut calls = self.running.lock();
            calls.list.remove(&self.id);
            match calls.list.is_empty() {
                true => calls.waiting.take(),
                false => None,
            }
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}
