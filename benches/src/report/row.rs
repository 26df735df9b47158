//! The figures of one case, as the report and the JSON have them.

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::matrix::Case;
use crate::process::Measured;
use crate::report::statistics::Spread;
use crate::workload::Shape;

/// The figures of one case: medians over the rounds, with the smallest and the largest.
///
/// A figure that makes no sense for a workload is absent: connections that do nothing have no
/// latency, and only they have memory per connection.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Row {
    /// The system's name.
    pub system: &'static str,
    /// The transport's name.
    pub transport: &'static str,
    /// The workload's name.
    pub workload: &'static str,
    /// Calls outstanding, over all connections; zero where a rate decides.
    pub concurrency: usize,
    /// Connections.
    pub connections: usize,
    /// The setting's name.
    pub pinning: &'static str,
    /// Rounds that were measured.
    pub rounds: usize,
    /// The rate of an open loop.
    pub rate_per_s: Option<f64>,
    /// Calls, or messages of a stream, or connections, that ended per second.
    pub calls_per_s: Option<Spread>,
    /// Median latency, in microseconds.
    pub p50_us: Option<Spread>,
    /// 99th percentile latency, in microseconds.
    pub p99_us: Option<Spread>,
    /// 99.9th percentile latency, in microseconds.
    pub p999_us: Option<Spread>,
    /// CPU time of both processes per call, in microseconds.
    pub cpu_us_per_call: Option<Spread>,
    /// The client's share of it.
    pub client_cpu_us_per_call: Option<Spread>,
    /// The server's share of it.
    pub server_cpu_us_per_call: Option<Spread>,
    /// The client's resident memory when counting ended, in KiB.
    pub client_rss_kib: Option<Spread>,
    /// The server's resident memory when counting ended, in KiB.
    pub server_rss_kib: Option<Spread>,
    /// What each connection that does nothing added to the client's resident memory, in KiB.
    pub client_kib_per_connection: Option<Spread>,
    /// What each connection that does nothing added to the server's resident memory, in KiB.
    pub server_kib_per_connection: Option<Spread>,
}

impl Row {
    /// Sums up a case's rounds, if there are any.
    #[must_use]
    pub fn of(case: &Case, rate_per_s: Option<f64>, results: &[Measured]) -> Option<Self> {
        let over =
            |figure: &dyn Fn(&Measured) -> Option<f64>| Spread::of(results.iter().map(figure));
        let per_call = |cpu_s: f64, m: &Measured| {
            (m.seen.calls > 0).then(|| cpu_s * 1e6 / m.seen.calls as f64)
        };
        let client = |m: &Measured| m.seen.after.cpu_s - m.seen.before.cpu_s;
        let server = |m: &Measured| m.server_after.cpu_s - m.server_before.cpu_s;
        let idle = case.workload.shape == Shape::Idle;
        let each = |after: u64, before: u64| {
            let added = after as f64 - before as f64;
            idle.then_some(added / case.workload.connections as f64)
        };
        Some(Self {
            system: case.system.name(),
            transport: case.transport.name(),
            workload: case.workload.name,
            concurrency: case.workload.concurrency,
            connections: case.workload.connections,
            pinning: case.pinning.name(),
            rounds: (!results.is_empty()).then_some(results.len())?,
            rate_per_s,
            calls_per_s: over(&|m| (!idle).then(|| m.seen.calls as f64 / m.seen.seconds)),
            p50_us: over(&|m| m.seen.latency.map(|latency| latency.p50_us)),
            p99_us: over(&|m| m.seen.latency.map(|latency| latency.p99_us)),
            p999_us: over(&|m| m.seen.latency.map(|latency| latency.p999_us)),
            cpu_us_per_call: over(&|m| per_call(client(m) + server(m), m)),
            client_cpu_us_per_call: over(&|m| per_call(client(m), m)),
            server_cpu_us_per_call: over(&|m| per_call(server(m), m)),
            client_rss_kib: over(&|m| Some(m.seen.after.rss_kib as f64)),
            server_rss_kib: over(&|m| Some(m.server_after.rss_kib as f64)),
            client_kib_per_connection: over(&|m| each(m.seen.after.rss_kib, m.seen.before.rss_kib)),
            server_kib_per_connection: over(&|m| {
                each(m.server_after.rss_kib, m.server_before.rss_kib)
            }),
        })
    }

    /// Where it was measured: transport, workload, calls, connections, setting.
    #[must_use]
    pub const fn at(&self) -> (&'static str, &'static str, usize, usize, &'static str) {
        let (workload, pinning) = (self.workload, self.pinning);
        (
            self.transport,
            workload,
            self.concurrency,
            self.connections,
            pinning,
        )
    }

    /// The figures with the names that the JSON gives them.
    #[must_use]
    pub const fn figures(&self) -> [(&'static str, Option<Spread>); 11] {
        [
            ("calls_per_s", self.calls_per_s),
            ("p50_us", self.p50_us),
            ("p99_us", self.p99_us),
            ("p999_us", self.p999_us),
            ("cpu_us_per_call", self.cpu_us_per_call),
            ("client_cpu_us_per_call", self.client_cpu_us_per_call),
            ("server_cpu_us_per_call", self.server_cpu_us_per_call),
            ("client_rss_kib", self.client_rss_kib),
            ("server_rss_kib", self.server_rss_kib),
            ("client_kib_per_connection", self.client_kib_per_connection),
            ("server_kib_per_connection", self.server_kib_per_connection),
        ]
    }
}

/// A flat object: each figure under its name, its extremes under the name with `_min` and `_max`.
impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("system", self.system)?;
        map.serialize_entry("transport", self.transport)?;
        map.serialize_entry("workload", self.workload)?;
        map.serialize_entry("concurrency", &self.concurrency)?;
        map.serialize_entry("connections", &self.connections)?;
        map.serialize_entry("pinning", self.pinning)?;
        map.serialize_entry("rate_per_s", &self.rate_per_s)?;
        for (name, figure) in self.figures() {
            map.serialize_entry(name, &figure.map(|spread| spread.median))?;
        }
        map.serialize_entry("rounds", &self.rounds)?;
        for (name, figure) in self.figures() {
            if let Some(spread) = figure {
                map.serialize_entry(&format!("{name}_min"), &spread.min)?;
                map.serialize_entry(&format!("{name}_max"), &spread.max)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row of `64B` with 64 calls outstanding over TCP on one core, the CPU time being what so
    /// many calls per second leave of a second.
    pub(crate) fn row(system: &'static str, calls_per_s: f64) -> Row {
        let figure = |figure: f64| Spread::of([figure * 0.5, figure, figure * 2.0].map(Some));
        Row {
            system,
            transport: "tcp",
            workload: "64B",
            concurrency: 64,
            connections: 1,
            pinning: "one-core",
            rounds: 3,
            rate_per_s: None,
            calls_per_s: figure(calls_per_s),
            p50_us: figure(1.0),
            p99_us: figure(2.0),
            p999_us: figure(3.0),
            cpu_us_per_call: figure(1e6 / calls_per_s),
            client_cpu_us_per_call: figure(0.5e6 / calls_per_s),
            server_cpu_us_per_call: figure(0.5e6 / calls_per_s),
            client_rss_kib: figure(4096.0),
            server_rss_kib: figure(8192.0),
            client_kib_per_connection: None,
            server_kib_per_connection: None,
        }
    }

    #[test]
    fn a_row_is_a_flat_object_with_the_agreed_names() {
        let json = serde_json::to_value(row("tonic", 1_000.0)).unwrap();
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        assert_eq!(text("system"), "tonic");
        assert_eq!(text("transport"), "tcp");
        assert_eq!(text("workload"), "64B");
        assert_eq!(text("pinning"), "one-core");
        let number = |name: &str| json[name].as_f64().unwrap_or(f64::NAN);
        for (name, expected) in [
            ("concurrency", 64.0_f64),
            ("connections", 1.0),
            ("rounds", 3.0),
            ("calls_per_s", 1_000.0),
            ("calls_per_s_min", 500.0),
            ("calls_per_s_max", 2_000.0),
            ("p50_us", 1.0),
            ("p99_us", 2.0),
            ("p999_us", 3.0),
            ("cpu_us_per_call", 1_000.0),
            ("client_cpu_us_per_call", 500.0),
            ("server_cpu_us_per_call", 500.0),
            ("client_rss_kib", 4_096.0),
            ("server_rss_kib", 8_192.0),
        ] {
            assert_eq!(number(name).to_bits(), expected.to_bits(), "{name}");
        }
        assert!(json["rate_per_s"].is_null());
        assert!(json.get("server_kib_per_connection_min").is_none());
    }
}
