//! Which methods run inline on the connection's task, learnt by measuring.
//!
//! A poll can be long because the handler computes, or because the system took the processor away
//! meanwhile; no clock tells the two apart, and on a busy machine the second happens to every
//! method some time. So a single long poll proves nothing: a method moves off the connection's task
//! when a second one follows soon, and comes back when its polls have been short for as long. One
//! that is long once in a hundred calls is off nearly always; one that was merely interrupted
//! twice is back after a moment.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
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
    /// A standing, such as [`INLINE`], and below it how many more short polls change it.
    pace: AtomicU32,
    /// What clients with other layouts are told; made when the method is first named.
    chains: OnceLock<MethodChains>,
}

impl Route {
    pub(crate) fn new(handler: Arc<dyn Handler>) -> Self {
        let method = handler.method();
        let standing = if method.options().spawn {
            ALWAYS
        } else {
            INLINE
        };
        Self {
            handler,
            method,
            pace: AtomicU32::new(standing),
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
        match self.pace.load(Ordering::Relaxed) & STANDING {
            INLINE => Pace::Inline,
            ALWAYS => Pace::Spawned,
            SPAWNED => Pace::Tried,
            _ => Pace::Measured,
        }
    }

    /// One of a group of polls that were long together.
    pub(crate) fn suspect(&self) {
        let _ = self.pace.compare_exchange(
            INLINE,
            SUSPECTED | SHORT_POLLS,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// The first poll of a call of this method alone took so long.
    pub(crate) fn observe(&self, poll: Duration) {
        let long = poll >= LONG_POLL;
        let _ = self
            .pace
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |pace| {
                let next = after(pace, long);
                (next != pace).then_some(next)
            });
    }
}

/// What is known of a method once one more poll of it alone has been measured.
const fn after(pace: u32, long: bool) -> u32 {
    let (standing, left) = (pace & STANDING, pace & !STANDING);
    match (standing, long) {
        (ALWAYS, _) | (INLINE, false) => pace,
        (INLINE | SUSPECTED, true) => STRUCK | SHORT_POLLS,
        (_, true) => SPAWNED | SHORT_POLLS,
        (_, false) if left > 1 => pace - 1,
        // On trial still: another long poll soon, and it is off again.
        (SPAWNED, false) => STRUCK | SHORT_POLLS,
        (_, false) => INLINE,
    }
}

/// How a call is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Polled on the connection's task.
    Inline,
    /// Polled on the connection's task, with a clock read before and after.
    Measured,
    /// A task of its own from the start, which reads the clock before and after its first poll.
    Tried,
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

/// So many short polls in a row acquit a method, and so many lie at most between two long ones
/// that convict it.
///
/// A method that is slow once in a hundred calls gets there once in thirty thousand; one that is
/// slow more rarely than once in a thousand costs its neighbours, at a millisecond each time, as
/// little as the tasks would that spare them.
const SHORT_POLLS: u32 = 1024;

/// The bits of a standing; those below count.
const STANDING: u32 = 0b111 << 29;
/// Polled on the connection's task, and timed in groups.
const INLINE: u32 = 0;
/// Timed by itself, since a group that it was in took long.
const SUSPECTED: u32 = 1 << 29;
/// Timed by itself, since a poll of it took long.
const STRUCK: u32 = 2 << 29;
/// A task of its own, timed.
const SPAWNED: u32 = 3 << 29;
/// A task of its own, as the method asks.
const ALWAYS: u32 = 4 << 29;

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

    fn observe_short(route: &Route, polls: u32) {
        (0..polls).for_each(|_| route.observe(SHORT_POLL));
    }

    #[test]
    fn one_long_poll_is_an_interruption_and_a_second_one_soon_is_not() {
        let route = route(&FREE);
        route.observe(SHORT_POLL);
        assert_eq!(route.pace(), Pace::Inline);
        route.observe(LONG_POLL);
        assert_eq!(route.pace(), Pace::Measured);
        observe_short(&route, SHORT_POLLS - 1);
        route.observe(LONG_POLL);
        assert_eq!(route.pace(), Pace::Tried);
    }

    #[test]
    fn a_second_long_poll_that_comes_late_counts_as_a_first() {
        let route = route(&FREE);
        for _ in 0..3 {
            route.observe(LONG_POLL);
            observe_short(&route, SHORT_POLLS - 1);
            assert_eq!(route.pace(), Pace::Measured);
            route.observe(SHORT_POLL);
            assert_eq!(route.pace(), Pace::Inline);
        }
    }

    #[test]
    fn a_suspect_is_measured_until_so_many_short_polls_acquit_it() {
        let route = route(&FREE);
        route.suspect();
        observe_short(&route, SHORT_POLLS - 1);
        assert_eq!(route.pace(), Pace::Measured);
        route.observe(SHORT_POLL);
        assert_eq!(route.pace(), Pace::Inline);
    }

    #[test]
    fn a_group_that_was_long_is_no_long_poll_of_each_of_its_methods() {
        let route = route(&FREE);
        route.suspect();
        route.observe(LONG_POLL);
        assert_eq!(route.pace(), Pace::Measured);
        route.suspect();
        route.observe(LONG_POLL);
        assert_eq!(route.pace(), Pace::Tried);
        route.suspect();
        assert_eq!(route.pace(), Pace::Tried);
    }

    #[test]
    fn a_method_comes_back_after_so_many_short_polls_and_goes_at_the_next_long_one() {
        let route = route(&FREE);
        route.observe(LONG_POLL);
        route.observe(LONG_POLL);
        observe_short(&route, SHORT_POLLS - 1);
        assert_eq!(route.pace(), Pace::Tried);
        route.observe(LONG_POLL);
        observe_short(&route, SHORT_POLLS - 1);
        assert_eq!(
            route.pace(),
            Pace::Tried,
            "a long poll begins the count anew"
        );
        route.observe(SHORT_POLL);
        assert_eq!(route.pace(), Pace::Measured);
        route.observe(LONG_POLL);
        assert_eq!(route.pace(), Pace::Tried);
        observe_short(&route, 2 * SHORT_POLLS);
        assert_eq!(route.pace(), Pace::Inline);
    }

    #[test]
    fn a_method_that_asks_for_it_is_spawned_whatever_its_polls_take() {
        let route = route(&SPAWN);
        assert_eq!(route.pace(), Pace::Spawned);
        route.suspect();
        observe_short(&route, 3 * SHORT_POLLS);
        assert_eq!(route.pace(), Pace::Spawned);
    }
}
