//! What each thread records by itself, so that threads never contend for a counter.
//!
//! A thread owns a shard of each recorder it has recorded for. Being its only writer, it adds with
//! a load and a store instead of a locked instruction; a snapshot reads the shards of all threads
//! and adds them up. A call may begin on one thread and end on another: only sums have a meaning.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use super::Side;
use super::histogram::Histogram;
use crate::by_method::ByMethod;
use crate::call::{Code, MethodInfo};
use crate::port::{ConnectionSource, Protocol, WireMode};

/// Where everything of one [`Metrics`](super::Metrics) is recorded.
pub(super) struct Recorder {
    number: u64,
    shards: Mutex<Shards>,
    /// How many methods were called so far, or nearly so: the order of the next.
    called: Arc<AtomicUsize>,
    /// Whose connections are shown; those that are gone go when another one comes.
    sources: Mutex<Vec<Weak<dyn ConnectionSource>>>,
}

/// The shards of the threads that run, and what those that ended left.
pub(super) struct Shards {
    live: Vec<Arc<Shard>>,
    /// Written under the lock alone.
    ended: Shard,
}

impl Shards {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Shard> {
        self.live.iter().map(|shard| &**shard).chain([&self.ended])
    }
}

impl Recorder {
    pub(super) fn new() -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let called = Arc::new(AtomicUsize::new(0));
        let recorder = Arc::new(Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            shards: Mutex::new(Shards {
                live: Vec::new(),
                ended: Shard::new(&called),
            }),
            called,
            sources: Mutex::default(),
        });
        let mut recorders = recorders();
        recorders.retain(|(_, recorder)| recorder.strong_count() > 0);
        recorders.push((recorder.number, Arc::downgrade(&recorder)));
        recorder
    }

    /// What records the calls of a method.
    pub(super) const fn tally(&self, side: Side, method: &'static MethodInfo) -> Tally {
        Tally {
            recorder: self.number,
            side,
            method,
        }
    }

    /// Makes a method known before it is called.
    pub(super) fn announce(&self, side: Side, method: &'static MethodInfo) {
        self.shards().ended.cells(side, method);
    }

    pub(super) fn watch(&self, source: Weak<dyn ConnectionSource>) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|known| known.strong_count() > 0);
        sources.push(source);
    }

    /// Whose connections are shown.
    pub(super) fn sources(&self) -> Vec<Arc<dyn ConnectionSource>> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn shards(&self) -> MutexGuard<'_, Shards> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the shard of a thread.
    fn shard(&self) -> Arc<Shard> {
        let shard = Arc::new(Shard::new(&self.called));
        self.shards().live.push(Arc::clone(&shard));
        shard
    }

    /// Takes over what a thread recorded that ends.
    fn retire(&self, shard: &Arc<Shard>) {
        let mut shards = self.shards();
        shards.live.retain(|live| !Arc::ptr_eq(live, shard));
        for side in [Side::Client, Side::Server] {
            for cells in shard.methods(side).iter() {
                shards.ended.cells(side, cells.method).absorb(cells);
            }
        }
    }
}

/// Every recorder, so that a thread finds one that it has no shard of.
fn recorders() -> MutexGuard<'static, Vec<(u64, Weak<Recorder>)>> {
    static RECORDERS: Mutex<Vec<(u64, Weak<Recorder>)>> = Mutex::new(Vec::new());
    RECORDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn find_recorder(number: u64) -> Option<Arc<Recorder>> {
    let recorders = recorders();
    let found = recorders.iter().find(|(known, _)| *known == number);
    found.and_then(|(_, recorder)| recorder.upgrade())
}

/// Records the calls of one method on one side; it stays good on any thread.
///
/// Recording for a [`Metrics`](super::Metrics) that is gone does nothing.
#[derive(Clone, Copy)]
pub(crate) struct Tally {
    recorder: u64,
    side: Side,
    method: &'static MethodInfo,
}

impl Tally {
    pub(crate) fn begin(self, received: usize, sent: usize) {
        self.record(|cells| {
            add(&cells.begun, 1);
            cells.add_bytes(received, sent);
        });
    }

    pub(crate) fn add_bytes(self, received: usize, sent: usize) {
        self.record(|cells| cells.add_bytes(received, sent));
    }

    pub(crate) fn end(
        self,
        code: Code,
        (protocol, mode): (Protocol, WireMode),
        took: Duration,
        (received, sent): (usize, usize),
    ) {
        self.record(|cells| {
            cells.add_bytes(received, sent);
            let durations = cells.durations[protocol as usize].get_or_init(Box::default);
            let cell = &durations[code.number() as usize][mode as usize];
            cell.get_or_init(Box::default).record(took);
        });
    }

    #[inline]
    fn record(self, record: impl Fn(&Cells)) {
        let recorded = OWN.try_with(|own| {
            let shards = own.shards.borrow();
            let shard = shards.iter().find(|kept| kept.number == self.recorder);
            shard.map(|kept| record(kept.shard.cells(self.side, self.method)))
        });
        if !matches!(recorded, Ok(Some(()))) {
            self.record_first(&record);
        }
    }

    /// Records for the first time on this thread, or as it ends.
    #[cold]
    fn record_first(self, record: &dyn Fn(&Cells)) {
        let Some(recorder) = find_recorder(self.recorder) else {
            return;
        };
        let kept = OWN.try_with(|own| {
            let kept = Kept {
                number: self.recorder,
                shard: recorder.shard(),
                recorder: Arc::downgrade(&recorder),
            };
            record(kept.shard.cells(self.side, self.method));
            let mut shards = own.shards.borrow_mut();
            shards.retain(|kept| kept.recorder.strong_count() > 0);
            shards.push(kept);
        });
        if kept.is_err() {
            record(recorder.shards().ended.cells(self.side, self.method));
        }
    }
}

thread_local! {
    static OWN: Own = const { Own { shards: RefCell::new(Vec::new()) } };
}

/// The shards of this thread; a program has a recorder or two.
struct Own {
    shards: RefCell<Vec<Kept>>,
}

struct Kept {
    number: u64,
    shard: Arc<Shard>,
    recorder: Weak<Recorder>,
}

impl Drop for Own {
    fn drop(&mut self) {
        for kept in self.shards.get_mut().drain(..) {
            if let Some(recorder) = kept.recorder.upgrade() {
                recorder.retire(&kept.shard);
            }
        }
    }
}

/// What one thread has recorded.
pub(super) struct Shard {
    client: ByMethod<Cells>,
    server: ByMethod<Cells>,
    called: Arc<AtomicUsize>,
}

impl Shard {
    fn new(called: &Arc<AtomicUsize>) -> Self {
        Self {
            client: ByMethod::default(),
            server: ByMethod::default(),
            called: Arc::clone(called),
        }
    }

    pub(super) const fn methods(&self, side: Side) -> &ByMethod<Cells> {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    #[inline]
    fn cells(&self, side: Side, method: &'static MethodInfo) -> &Cells {
        self.methods(side).find_or_insert(method, || {
            Cells::new(method, self.called.fetch_add(1, Ordering::Relaxed))
        })
    }
}

/// What a thread has recorded of one method on one side; that thread alone writes.
pub(super) struct Cells {
    pub(super) method: &'static MethodInfo,
    /// Its place among the methods, by when they were first called.
    pub(super) order: usize,
    /// How many calls began; those in flight are the ones that have not ended.
    pub(super) begun: AtomicU64,
    pub(super) received_bytes: AtomicU64,
    pub(super) sent_bytes: AtomicU64,
    /// Those of each protocol that occurred; of calls made, all are the first's.
    pub(super) durations: [OnceLock<Box<Durations>>; Protocol::ALL.len()],
}

/// One histogram for each status code and wire mode that occurred.
pub(super) type Durations = [[OnceLock<Box<Histogram>>; 2]; Code::ALL.len()];

impl Cells {
    fn new(method: &'static MethodInfo, order: usize) -> Self {
        Self {
            method,
            order,
            begun: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            durations: Default::default(),
        }
    }

    fn add_bytes(&self, received: usize, sent: usize) {
        add(&self.received_bytes, received as u64);
        add(&self.sent_bytes, sent as u64);
    }

    /// Adds what another thread recorded.
    fn absorb(&self, other: &Self) {
        let pairs = [
            (&self.begun, &other.begun),
            (&self.received_bytes, &other.received_bytes),
            (&self.sent_bytes, &other.sent_bytes),
        ];
        for (sum, part) in pairs {
            add(sum, part.load(Ordering::Relaxed));
        }
        for (sums, parts) in self.durations.iter().zip(&other.durations) {
            let Some(parts) = parts.get() else { continue };
            let sums = sums.get_or_init(Box::default);
            for (sum, part) in sums.iter().flatten().zip(parts.iter().flatten()) {
                if let Some(part) = part.get() {
                    sum.get_or_init(Box::default).absorb(part);
                }
            }
        }
    }
}

/// Adds to a counter that nobody else writes.
///
/// Whoever sees the sum sees what was recorded before it, here and on threads that handed their
/// calls over.
#[inline]
pub(super) fn add(counter: &AtomicU64, amount: u64) {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(amount);
    counter.store(sum, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;
    use crate::call::{EMPTY_LAYOUT, MethodKind};

    static METHOD: MethodInfo =
        MethodInfo::new("/t.T/One", MethodKind::Unary, &EMPTY_LAYOUT, &EMPTY_LAYOUT);

    const TOOK: Duration = Duration::from_micros(10);
    const FORM: (Protocol, WireMode) = (Protocol::Session, WireMode::Archive);

    #[test]
    fn what_threads_recorded_is_added_up_while_they_run_and_after_they_end() {
        let metrics = Metrics::new();
        let tally = metrics.tally(Side::Server, &METHOD);
        let (begin, begun) = std::sync::mpsc::channel();
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            tally.begin(5, 0);
            tally.begin(5, 0);
            begin.send(()).unwrap();
            finished.recv().unwrap();
            tally.end(Code::Ok, FORM, TOOK, (0, 7));
        });
        begun.recv().unwrap();
        // A call may end elsewhere than where it began.
        tally.end(Code::NotFound, FORM, TOOK, (0, 7));
        let running = &metrics.snapshot()[0];
        assert_eq!((running.in_flight, running.count()), (1, 1));
        assert_eq!((running.received_bytes, running.sent_bytes), (10, 7));

        finish.send(()).unwrap();
        thread.join().unwrap();
        let snapshot = metrics.snapshot();
        let ended = &snapshot[0];
        assert_eq!(snapshot.len(), 1);
        assert_eq!((ended.in_flight, ended.count(), ended.errors()), (0, 2, 1));
        assert_eq!((ended.received_bytes, ended.sent_bytes), (10, 14));
        assert_eq!(metrics.recorder().shards().live.len(), 1);
    }

    #[test]
    fn a_tally_outlives_its_metrics() {
        let metrics = Metrics::new();
        let tally = metrics.tally(Side::Client, &METHOD);
        tally.begin(0, 0);
        drop(metrics);
        tally.end(Code::Ok, FORM, TOOK, (0, 0));
        std::thread::spawn(move || tally.begin(0, 0))
            .join()
            .unwrap();
        let number = tally.recorder;
        assert!(find_recorder(number).is_none());
        // The next recorder's shard takes the place of the one that is gone.
        let next = Metrics::new();
        next.tally(Side::Client, &METHOD).begin(0, 0);
        let kept = |own: &Own| own.shards.borrow().iter().any(|kept| kept.number == number);
        assert!(!OWN.with(kept));
    }

    #[test]
    fn what_is_recorded_as_a_thread_ends_is_not_lost() {
        /// Records when it is dropped, which is after the shards of the thread are.
        struct Late(RefCell<Option<Tally>>);
        impl Drop for Late {
            fn drop(&mut self) {
                if let Some(tally) = self.0.take() {
                    tally.begin(0, 0);
                }
            }
        }
        thread_local! {
            static LATE: Late = const { Late(RefCell::new(None)) };
        }
        let metrics = Metrics::new();
        let tally = metrics.tally(Side::Client, &METHOD);
        let record = move || {
            // Destructors of a thread run in the reverse of the order they were set up in.
            LATE.with(|late| *late.0.borrow_mut() = Some(tally));
            tally.begin(0, 0);
        };
        std::thread::spawn(record).join().unwrap();
        assert_eq!(metrics.snapshot()[0].in_flight, 2);
    }
}
