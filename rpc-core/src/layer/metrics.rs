//! Call scope: counts and times calls under OpenTelemetry's names for RPC.

mod histogram;
mod prometheus;

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use histogram::{BOUNDS_SECONDS, Histogram};

use crate::by_method::ByMethod;
use crate::call::{Code, MethodInfo};
use crate::port::WireMode;

/// Counts and times calls; a clone records into the same place.
///
/// It is a value handed to the builders of channels and routers. Recording takes no lock: a
/// method's place is found in a table by its identity, and counted with relaxed atomics.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Recorder>);

#[derive(Default)]
struct Recorder {
    client: Methods,
    server: Methods,
}

/// Which side of calls a figure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "a call has two sides")]
pub enum Side {
    /// Calls made.
    Client,
    /// Calls handled.
    Server,
}

/// The methods of one side.
#[derive(Default)]
struct Methods {
    by_method: ByMethod<Arc<Cells>>,
    /// How many methods were called so far, or nearly so: the order of the next.
    called: AtomicUsize,
}

/// What is recorded of one method on one side.
pub(crate) struct Cells {
    method: &'static MethodInfo,
    /// Its place among the methods, by when they were first called.
    order: usize,
    in_flight: AtomicI64,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    /// One histogram for each status code and wire mode that occurred.
    durations: [[OnceLock<Box<Histogram>>; 2]; Code::ALL.len()],
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn cells(&self, side: Side, method: &'static MethodInfo) -> Arc<Cells> {
        self.methods(side).cells(method)
    }

    fn methods(&self, side: Side) -> &Methods {
        match side {
            Side::Client => &self.0.client,
            Side::Server => &self.0.server,
        }
    }

    /// What was recorded so far, each method in the order it was first called.
    pub fn snapshot(&self) -> Vec<MethodSnapshot> {
        let of = |side| {
            let cells = self.methods(side).in_order();
            cells.into_iter().map(move |cells| cells.snapshot(side))
        };
        of(Side::Client).chain(of(Side::Server)).collect()
    }

    /// What was recorded so far in the text format of Prometheus.
    pub fn to_prometheus(&self) -> String {
        prometheus::write(&self.snapshot())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Methods {
    fn cells(&self, method: &'static MethodInfo) -> Arc<Cells> {
        let make = || {
            Arc::new(Cells::new(
                method,
                self.called.fetch_add(1, Ordering::Relaxed),
            ))
        };
        Arc::clone(self.by_method.find_or_insert(method, make))
    }

    fn in_order(&self) -> Vec<&Cells> {
        let mut all: Vec<&Cells> = self.by_method.iter().map(|cells| &**cells).collect();
        all.sort_by_key(|cells| cells.order);
        all
    }
}

impl Cells {
    fn new(method: &'static MethodInfo, order: usize) -> Self {
        Self {
            method,
            order,
            in_flight: AtomicI64::new(0),
            received_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            durations: Default::default(),
        }
    }

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_bytes(&self, received: usize, sent: usize) {
        self.received_bytes
            .fetch_add(received as u64, Ordering::Relaxed);
        self.sent_bytes.fetch_add(sent as u64, Ordering::Relaxed);
    }

    pub(crate) fn end(&self, code: Code, mode: WireMode, took: Duration) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let cell = &self.durations[code.number() as usize][mode as usize];
        cell.get_or_init(Box::default).record(took);
    }

    fn snapshot(&self, side: Side) -> MethodSnapshot {
        let counts = |code: Code, mode: WireMode| {
            let histogram = self.durations[code.number() as usize][mode as usize].get()?;
            Some(CallCounts {
                code,
                mode,
                sum: histogram.sum(),
                buckets: histogram.buckets(),
            })
        };
        let modes = [WireMode::Archive, WireMode::Protobuf];
        let all = Code::ALL
            .into_iter()
            .flat_map(|code| modes.map(|mode| (code, mode)));
        MethodSnapshot {
            side,
            path: self.method.path(),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            received_bytes: self.received_bytes.load(Ordering::Relaxed),
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
            calls: all.filter_map(|(code, mode)| counts(code, mode)).collect(),
        }
    }
}

/// What was recorded of one method on one side.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MethodSnapshot {
    /// Whether these calls were made or handled.
    pub side: Side,
    /// The path of the method.
    pub path: &'static str,
    /// How many calls run now.
    pub in_flight: i64,
    /// The bytes of messages received, in the form they came in.
    pub received_bytes: u64,
    /// The bytes of messages sent, each as the archive that was handed over.
    pub sent_bytes: u64,
    /// The calls that ended, by status and wire mode.
    pub calls: Vec<CallCounts>,
}

/// The calls of one method that ended with one status in one wire mode.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallCounts {
    /// How they ended.
    pub code: Code,
    /// The form in which their messages came.
    pub mode: WireMode,
    /// How long they took together.
    pub sum: Duration,
    /// How many took at most each of [`Metrics::BOUNDS_SECONDS`], the last one more than all.
    pub buckets: Vec<u64>,
}

impl CallCounts {
    /// How many calls there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

impl MethodSnapshot {
    /// How many calls ended.
    pub fn count(&self) -> u64 {
        self.calls.iter().map(CallCounts::count).sum()
    }

    /// How many calls ended with another status than OK.
    pub fn errors(&self) -> u64 {
        self.calls
            .iter()
            .filter(|calls| calls.code != Code::Ok)
            .map(CallCounts::count)
            .sum()
    }

    /// How many calls ended in a wire mode.
    pub fn count_in(&self, mode: WireMode) -> u64 {
        self.calls
            .iter()
            .filter(|calls| calls.mode == mode)
            .map(CallCounts::count)
            .sum()
    }

    /// The bound that a share of the calls stayed within, such as 0.99; none without calls.
    ///
    /// It is as coarse as the buckets: the upper bound of the one that the share falls into.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let total = self.count();
        let wanted = (share.clamp(0.0, 1.0) * total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for at in 0..=BOUNDS_SECONDS.len() {
            seen += self
                .calls
                .iter()
                .map(|calls| calls.buckets[at])
                .sum::<u64>();
            if seen >= wanted && total > 0 {
                let bound = BOUNDS_SECONDS[at.min(BOUNDS_SECONDS.len() - 1)];
                return Some(Duration::from_secs_f64(bound));
            }
        }
        None
    }
}

impl Metrics {
    /// The upper bounds of the buckets of every histogram.
    pub const BOUNDS_SECONDS: &'static [f64] = &BOUNDS_SECONDS;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{EMPTY_LAYOUT, MethodKind};

    static ONE: MethodInfo =
        MethodInfo::new("/t.T/One", MethodKind::Unary, &EMPTY_LAYOUT, &EMPTY_LAYOUT);
    static TWO: MethodInfo =
        MethodInfo::new("/t.T/Two", MethodKind::Unary, &EMPTY_LAYOUT, &EMPTY_LAYOUT);

    fn record(metrics: &Metrics, method: &'static MethodInfo, code: Code, micros: u64) {
        let cells = metrics.cells(Side::Client, method);
        cells.begin();
        cells.end(code, WireMode::Archive, Duration::from_micros(micros));
    }

    #[test]
    fn calls_are_counted_by_method_status_and_mode() {
        let metrics = Metrics::new();
        record(&metrics, &ONE, Code::Ok, 10);
        record(&metrics, &TWO, Code::Ok, 10);
        record(&metrics, &ONE, Code::NotFound, 10);
        let snapshot = metrics.snapshot();
        assert_eq!(
            snapshot.iter().map(|m| m.path).collect::<Vec<_>>(),
            ["/t.T/One", "/t.T/Two"]
        );
        assert_eq!((snapshot[0].count(), snapshot[0].errors()), (2, 1));
        assert_eq!(snapshot[0].count_in(WireMode::Protobuf), 0);
        assert_eq!(snapshot[0].in_flight, 0);
    }

    #[test]
    fn quantiles_are_the_bounds_of_their_buckets() {
        let metrics = Metrics::new();
        (0..99).for_each(|_| record(&metrics, &ONE, Code::Ok, 40));
        record(&metrics, &ONE, Code::Ok, 900);
        let snapshot = &metrics.snapshot()[0];
        assert_eq!(snapshot.quantile(0.5), Some(Duration::from_micros(50)));
        assert_eq!(snapshot.quantile(0.99), Some(Duration::from_micros(50)));
        assert_eq!(snapshot.quantile(1.0), Some(Duration::from_millis(1)));
    }

    #[test]
    fn prometheus_text_has_cumulative_buckets_and_labels() {
        let metrics = Metrics::new();
        record(&metrics, &ONE, Code::Ok, 40);
        record(&metrics, &ONE, Code::Ok, 60);
        let text = metrics.to_prometheus();
        let labels = "rpc_method=\"t.T/One\",rpc_response_status_code=\"OK\",wire_mode=\"archive\"";
        for line in [
            "# TYPE rpc_client_call_duration_seconds histogram".to_owned(),
            format!("rpc_client_call_duration_seconds_bucket{{{labels},le=\"0.00005\"}} 1"),
            format!("rpc_client_call_duration_seconds_bucket{{{labels},le=\"0.0001\"}} 2"),
            format!("rpc_client_call_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 2"),
            format!("rpc_client_call_duration_seconds_count{{{labels}}} 2"),
            "rpc_client_active_calls{rpc_method=\"t.T/One\"} 0".to_owned(),
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line}\nin\n{text}"
            );
        }
    }
}
