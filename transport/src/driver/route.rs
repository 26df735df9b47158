//! Which methods run inline on the connection's task, learnt by measuring.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use dreammesh_core::call::{MethodInfo, Status, WireOption};
use dreammesh_core::negotiate::MethodChains;
use dreammesh_core::port::{Handler, Lookup};

/// A method of this server and what is known of the length of its polls.
///
/// All connections of a server share it, so that one of them learns for all.
#[derive(Debug)]
pub(crate) struct Route {
    handler: Arc<dyn Handler>,
    method: &'static MethodInfo,
    /// [`INLINE`], [`SPAWNED`], or how many more polls are measured one by one.
    pace: AtomicU8,
    /// What clients with other layouts are told; made when the method is first named.
    chains: OnceLock<MethodChains>,
}

impl Route {
    pub(crate) fn new(handler: Arc<dyn Handler>) -> Self {
        let method = handler.method();
        let pace = if method.options().spawn {
            SPAWNED
        } else {
            INLINE
        };
        Self {
            handler,
            method,
            pace: AtomicU8::new(pace),
            chains: OnceLock::new(),
        }
    }

    pub(crate) fn handler(&self) -> &dyn Handler {
        &*self.handler
    }

    pub(crate) fn method(&self) -> &'static MethodInfo {
        self.method
    }

    pub(super) fn chains(&self) -> &MethodChains {
        self.chains.get_or_init(|| MethodChains::of(self.method))
    }

    /// How to run the next call.
    pub(crate) fn pace(&self) -> Pace {
        // Relaxed suffices everywhere: a connection that learns a call later loses nothing else.
        match self.pace.load(Ordering::Relaxed) {
            INLINE => Pace::Inline,
            SPAWNED => Pace::Spawned,
            _ => Pace::Measured,
        }
    }

    /// One of a group of polls that were long together.
    pub(crate) fn suspect(&self) {
        let _ = self
            .pace
            .compare_exchange(INLINE, TRIAL, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// A poll of this method alone took so long.
    pub(crate) fn observe(&self, poll: Duration) {
        if poll >= LONG_POLL {
            self.pace.store(SPAWNED, Ordering::Relaxed);
        } else {
            let _ = self
                .pace
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |pace| {
                    (pace != INLINE && pace != SPAWNED).then(|| pace - 1)
                });
        }
    }
}

/// How a call is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Polled on the connection's task.
    Inline,
    /// Polled on the connection's task, with a clock read before and after.
    Measured,
    /// A task of its own from the start.
    Spawned,
}

/// The routes of a server, made as paths are first called.
#[derive(Debug)]
pub(crate) struct Routes {
    lookup: Arc<dyn Lookup>,
    /// Only paths that exist are kept, so a peer that makes paths up cannot fill it.
    known: Mutex<HashMap<&'static str, Arc<Route>>>,
}

impl Routes {
    pub(crate) fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self {
            lookup,
            known: Mutex::default(),
        }
    }

    /// The form that messages may take as far as the server is concerned.
    pub(super) fn wire(&self) -> WireOption {
        self.lookup.wire()
    }

    /// Finds the route of a path.
    pub(crate) fn find(&self, path: &str) -> Result<Arc<Route>, Status> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = known.get(path) {
            return Ok(Arc::clone(route));
        }
        let route = Arc::new(Route::new(self.lookup.lookup(path)?));
        known.insert(route.method.path(), Arc::clone(&route));
        Ok(route)
    }
}

/// A poll from which a method counts as slow.
///
/// A batch of 64 calls takes about 50 µs, so a poll of 250 µs already delays its neighbours by
/// several batches, while moving a call to a task costs about 1 µs.
pub(crate) const LONG_POLL: Duration = Duration::from_micros(250);

const INLINE: u8 = 0;
/// Below [`SPAWNED`]; so many short polls in a row acquit a method.
const TRIAL: u8 = 64;
const SPAWNED: u8 = u8::MAX;

#[cfg(test)]
mod tests {
    use dreammesh_core::call::MethodKind;
    use dreammesh_core::port::{HandlerFuture, ServerCall};
    use dreammesh_core::wire::Message;
    use dreammesh_core::wkt::Empty;

    use super::*;

    static FREE: MethodInfo =
        MethodInfo::new("/t.T/Free", MethodKind::Unary, Empty::LAYOUT, Empty::LAYOUT);
    static SPAWN: MethodInfo = MethodInfo::new(
        "/t.T/Spawn",
        MethodKind::Unary,
        Empty::LAYOUT,
        Empty::LAYOUT,
    )
    .with_spawn();

    #[derive(Debug)]
    struct Never(&'static MethodInfo);

    impl Handler for Never {
        fn method(&self) -> &'static MethodInfo {
            self.0
        }

        fn call(&self, _: ServerCall) -> HandlerFuture {
            HandlerFuture::new(std::future::pending())
        }
    }

    fn route(method: &'static MethodInfo) -> Route {
        Route::new(Arc::new(Never(method)))
    }

    const SHORT_POLL: Duration = LONG_POLL.saturating_sub(Duration::from_nanos(1));

    #[test]
    fn a_poll_at_the_bound_moves_a_method_off_for_good_and_one_below_does_not() {
        let route = route(&FREE);
        route.observe(SHORT_POLL);
        assert_eq!(route.pace(), Pace::Inline);
        route.observe(LONG_POLL);
        assert_eq!(route.pace(), Pace::Spawned);
        route.observe(Duration::ZERO);
        route.suspect();
        assert_eq!(route.pace(), Pace::Spawned);
    }

    #[test]
    fn a_suspect_is_measured_until_so_many_short_polls_acquit_it() {
        let route = route(&FREE);
        route.suspect();
        for _ in 1..TRIAL {
            route.observe(SHORT_POLL);
            assert_eq!(route.pace(), Pace::Measured);
        }
        route.observe(SHORT_POLL);
        assert_eq!(route.pace(), Pace::Inline);
        route.suspect();
        route.observe(LONG_POLL);
        assert_eq!(route.pace(), Pace::Spawned);
    }

    #[test]
    fn a_method_that_asks_for_it_is_spawned_from_the_start() {
        assert_eq!(route(&SPAWN).pace(), Pace::Spawned);
        assert_eq!(route(&FREE).pace(), Pace::Inline);
    }
}
