//! Call scope: counts and times calls under OpenTelemetry's names for RPC.

mod connections;
mod histogram;
mod prometheus;
mod shard;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use histogram::{BOUNDS_SECONDS, Histogram};
use shard::{Cells, Recorder};

pub use connections::{ConnectFailure, ConnectionCounts, ConnectionEnd, ConnectionSnapshot};
pub(crate) use shard::Tally;

use crate::call::{Code, MethodInfo};
use crate::port::{ConnectionSource, Protocol, WireMode};

/// Counts and times calls; a clone records into the same place.
///
/// It is a value handed to the builders of channels and routers. Recording takes no lock and
/// shares no counter: each thread has its own, found by the method's identity, and
/// [`Metrics::snapshot`] adds them up.
#[derive(Clone)]
pub struct Metrics(Arc<Recorder>);

/// Which side of calls a figure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "a call has two sides")]
pub enum Side {
    /// Calls made.
    Client,
    /// Calls handled.
    Server,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self(Recorder::new())
    }

    pub(crate) fn tally(&self, side: Side, method: &'static MethodInfo) -> Tally {
        self.0.tally(side, method)
    }

    /// Lets a method appear before it is called.
    pub(crate) fn announce(&self, side: Side, method: &'static MethodInfo) {
        self.0.announce(side, method);
    }

    /// What was recorded so far, each method in the order it was first called.
    pub fn snapshot(&self) -> Vec<MethodSnapshot> {
        let shards = self.0.shards();
        let mut methods = Vec::new();
        for side in [Side::Client, Side::Server] {
            let cells = || shards.iter().flat_map(|shard| shard.methods(side).iter());
            let mut sums: Vec<Sum> = Vec::new();
            // The ends first: each is seen only together with its beginning.
            cells().for_each(|cells| Sum::of(&mut sums, cells).add_ends(cells));
            cells().for_each(|cells| Sum::of(&mut sums, cells).add_counters(cells));
            sums.sort_by_key(|sum| sum.order);
            methods.extend(sums.into_iter().map(|sum| sum.finish(side)));
        }
        methods
    }

    /// Shows what becomes of the connections of a channel, as long as that lives.
    pub(crate) fn watch(&self, source: Weak<dyn ConnectionSource>) {
        self.0.watch(source);
    }

    /// What became of connections so far, of all channels that live, each endpoint once.
    pub fn connections(&self) -> Vec<ConnectionSnapshot> {
        let mut endpoints: Vec<ConnectionSnapshot> = Vec::new();
        for counts in self.0.sources().iter().flat_map(|it| it.connections()) {
            let counts = counts.snapshot();
            match endpoints
                .iter_mut()
                .find(|it| it.endpoint == counts.endpoint)
            {
                Some(known) => known.add(&counts),
                None => endpoints.push(counts),
            }
        }
        endpoints
    }

    /// How long ago it was certain what is known of each target that is found by somebody's word,
    /// of all channels that live; the least where several have the same target.
    pub fn knowledge(&self) -> Vec<(String, Duration)> {
        let now = crate::clock::now();
        let mut ages = BTreeMap::<String, Duration>::new();
        for source in self.0.sources() {
            let known = source.knowledge();
            let known = known.and_then(|(target, it)| Some((target, it.age(now)?)));
            if let Some((target, age)) = known {
                let least = ages.entry(target.to_owned()).or_insert(age);
                *least = age.min(*least);
            }
        }
        ages.into_iter().collect()
    }

    /// What was recorded so far in the text format of Prometheus.
    pub fn to_prometheus(&self) -> String {
        let mut text = prometheus::write(&self.snapshot());
        prometheus::write_knowledge(&mut text, &self.knowledge());
        prometheus::write_connections(&mut text, &self.connections());
        text
    }

    #[cfg(test)]
    fn recorder(&self) -> &Recorder {
        &self.0
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// What all threads recorded of one method on one side.
struct Sum {
    method: &'static MethodInfo,
    order: usize,
    begun: u64,
    received_bytes: u64,
    sent_bytes: u64,
    calls: Vec<CallCounts>,
}

impl Sum {
    /// The sum of a method, found by its identity.
    fn of<'a>(sums: &'a mut Vec<Self>, cells: &Cells) -> &'a mut Self {
        let known = sums
            .iter()
            .position(|sum| std::ptr::eq(sum.method, cells.method));
        let at = known.unwrap_or_else(|| {
            sums.push(Self {
                method: cells.method,
                order: cells.order,
                begun: 0,
                received_bytes: 0,
                sent_bytes: 0,
                calls: Vec::new(),
            });
            sums.len() - 1
        });
        &mut sums[at]
    }

    fn add_ends(&mut self, cells: &Cells) {
        for (protocol, durations) in Protocol::ALL.into_iter().zip(&cells.durations) {
            let Some(durations) = durations.get() else {
                continue;
            };
            for (code, of_code) in Code::ALL.into_iter().zip(durations.iter()) {
                let modes = [WireMode::Archive, WireMode::Protobuf].into_iter();
                for (mode, histogram) in modes.zip(of_code) {
                    if let Some(histogram) = histogram.get() {
                        self.add_end(protocol, code, mode, histogram);
                    }
                }
            }
        }
    }

    fn add_end(&mut self, protocol: Protocol, code: Code, mode: WireMode, histogram: &Histogram) {
        let key = (Some(protocol), code, mode);
        let known = |calls: &&mut CallCounts| (calls.protocol, calls.code, calls.mode) == key;
        let buckets = histogram.buckets();
        match self.calls.iter_mut().find(known) {
            Some(calls) => {
                calls.sum += histogram.sum();
                for (sum, part) in calls.buckets.iter_mut().zip(buckets) {
                    *sum += part;
                }
            }
            None => self.calls.push(CallCounts {
                code,
                mode,
                protocol: Some(protocol),
                sum: histogram.sum(),
                buckets,
            }),
        }
    }

    fn add_counters(&mut self, cells: &Cells) {
        self.order = self.order.min(cells.order);
        self.begun += cells.begun.load(Ordering::Relaxed);
        self.received_bytes += cells.received_bytes.load(Ordering::Relaxed);
        self.sent_bytes += cells.sent_bytes.load(Ordering::Relaxed);
    }

    fn finish(mut self, side: Side) -> MethodSnapshot {
        self.calls
            .sort_by_key(|calls| (calls.code.number(), calls.mode as u8, calls.protocol));
        if side == Side::Client {
            self.calls
                .iter_mut()
                .for_each(|calls| calls.protocol = None);
        }
        let ended: u64 = self.calls.iter().map(CallCounts::count).sum();
        MethodSnapshot {
            side,
            path: self.method.path(),
            in_flight: self.begun.saturating_sub(ended),
            received_bytes: self.received_bytes,
            sent_bytes: self.sent_bytes,
            calls: self.calls,
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
    pub in_flight: u64,
    /// The bytes of messages received, in the form they came in.
    pub received_bytes: u64,
    /// The bytes of messages sent, each as the archive that was handed over.
    pub sent_bytes: u64,
    /// The calls that ended, by status, wire mode and, if they were handled, protocol.
    pub calls: Vec<CallCounts>,
}

/// The calls of one method that ended with one status in one wire mode and protocol.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallCounts {
    /// How they ended.
    pub code: Code,
    /// The form in which their messages came.
    pub mode: WireMode,
    /// What they came by; none of calls that were made, which are not told apart.
    pub protocol: Option<Protocol>,
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

    /// How many calls that were handled came by a protocol and ended.
    pub fn count_by(&self, protocol: Protocol) -> u64 {
        let calls = self.calls.iter().filter(|it| it.protocol == Some(protocol));
        calls.map(CallCounts::count).sum()
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
        let tally = metrics.tally(Side::Client, method);
        tally.begin(0, 0);
        let took = Duration::from_micros(micros);
        tally.end(code, (Protocol::Session, WireMode::Archive), took, (0, 0));
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
