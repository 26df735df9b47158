//! The outcome for people and for scripts.

use std::fmt::Write as _;
use std::time::Duration;

use dreammesh_core::call::{MethodInfo, MethodKind};
use serde_json::{Value, json};

use super::buckets::{Bucket, divide};
use super::plan::Plan;
use super::tally::Tally;
use crate::terminal::Paint;

/// What is said of a run.
pub(super) struct Report<'a> {
    target: &'a str,
    method: &'static MethodInfo,
    plan: &'a Plan,
    tally: &'a Tally,
    buckets: Vec<Bucket>,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        target: &'a str,
        method: &'static MethodInfo,
        plan: &'a Plan,
        tally: &'a Tally,
    ) -> Self {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let (min, max) = (tally.latency_min, tally.latency_max);
        let (min, max) = (nanoseconds(min), nanoseconds(max));
        let buckets = divide(&tally.latencies, min, max, plan.spacing);
        Self {
            target,
            method,
            plan,
            tally,
            buckets,
        }
    }

    /// As one JSON object on one line.
    pub(super) fn to_json(&self) -> String {
        let tally = self.tally;
        let failures = tally.failures.iter().map(|failures| {
            json!({
                "code": failures.code.name(),
                "count": failures.count,
                "first_message": failures.message(),
            })
        });
        let histogram = self.buckets.iter().map(|bucket| {
            json!({
                "from_us": micros(bucket.from),
                "to_us": micros(bucket.to),
                "count": bucket.count,
            })
        });
        let lateness = self.plan.rate.map(|_| self.lateness());
        let report = json!({
            "target": self.target,
            "method": self.method.path().trim_start_matches('/'),
            "kind": self.kind(),
            "concurrency": self.plan.concurrency,
            "connections": self.plan.connections,
            "rate": self.plan.rate,
            "elapsed_seconds": tally.elapsed.as_secs_f64(),
            "interrupted": tally.interrupted,
            "calls": tally.calls(),
            "succeeded": tally.succeeded,
            "failed": tally.failed(),
            "unfinished": tally.unfinished,
            "calls_per_second": self.per_second(tally.calls()),
            "messages_sent": tally.sent,
            "messages_received": tally.received,
            "bytes_received": tally.bytes,
            "latency": self.latency(),
            "lateness": lateness,
            "failures": failures.collect::<Vec<_>>(),
            "histogram": histogram.collect::<Vec<_>>(),
        });
        format!("{report}\n")
    }

    /// As text of so many columns.
    pub(super) fn to_text(&self, paint: &Paint, width: usize) -> String {
        let mut out = String::new();
        let tally = self.tally;
        let path = self.method.path().trim_start_matches('/');
        let _ = writeln!(out, "{} at {}", paint.strong(path), self.target);
        let _ = writeln!(out, "{}, {}\n", self.kind(), self.load());
        let (calls, seconds) = (grouped(tally.calls()), tally.elapsed.as_secs_f64());
        let rate = grouped(self.per_second(tally.calls()).round() as u64);
        let _ = writeln!(out, "calls       {calls} in {seconds:.2} s, {rate}/s");
        self.show_failures(&mut out, paint);
        if tally.unfinished > 0 {
            let unfinished = grouped(tally.unfinished);
            let _ = writeln!(out, "unfinished  {unfinished}, as the calls were ended");
        }
        if self.method.kind() != MethodKind::Unary {
            let (sent, received) = (grouped(tally.sent), grouped(tally.received));
            let rate = grouped(self.per_second(tally.received).round() as u64);
            let bytes = grouped(tally.bytes);
            let _ = writeln!(
                out,
                "messages    {sent} sent, {received} received, {rate}/s"
            );
            let _ = writeln!(out, "received    {bytes} bytes");
        }
        if tally.succeeded > 0 {
            self.show_latencies(&mut out);
            self.show_histogram(&mut out, paint, width);
        }
        out
    }

    fn load(&self) -> String {
        let plan = self.plan;
        let connections = match plan.connections {
            1 => "1 connection".to_owned(),
            count => format!("{count} connections"),
        };
        match plan.rate {
            Some(rate) => format!(
                "{rate} calls a second due, at most {} at a time, over {connections}",
                plan.concurrency
            ),
            None => format!("{} at a time over {connections}", plan.concurrency),
        }
    }

    fn show_failures(&self, out: &mut String, paint: &Paint) {
        let failed = self.tally.failed();
        if failed == 0 {
            out.push_str("failed      0\n");
            return;
        }
        let share = 100.0 * failed as f64 / self.tally.calls() as f64;
        let line = format!("failed      {} ({share:.3} %)", grouped(failed));
        let _ = writeln!(out, "{}", paint.bad(&line));
        for failures in &self.tally.failures {
            let (code, count) = (failures.code.name(), grouped(failures.count));
            let _ = writeln!(out, "  {code}  {count}, first: {}", failures.message());
        }
    }

    fn show_latencies(&self, out: &mut String) {
        let tally = self.tally;
        let from = match self.plan.rate {
            Some(_) => ", from when each was due",
            None => "",
        };
        let _ = writeln!(out, "\nlatency of those that succeeded{from}");
        let exact = |time: Duration| shown(time.as_nanos() as f64);
        let _ = writeln!(out, "  mean   {:>9}", shown(self.mean_ns()));
        let _ = writeln!(out, "  min    {:>9}", exact(tally.latency_min));
        for (name, quantile) in QUANTILES {
            let at = tally.latencies.value_at_quantile(quantile) as f64;
            let at = at.min(tally.latency_max.as_nanos() as f64);
            let name = name.replace('_', ".");
            let _ = writeln!(out, "  {name:<6} {:>9}", shown(at));
        }
        let _ = writeln!(out, "  max    {:>9}", exact(tally.latency_max));
        if self.plan.rate.is_some() {
            let late = tally.lateness.value_at_quantile(0.99) as f64;
            let _ = writeln!(out, "  of which before it was sent: p99 {}", shown(late));
        }
    }

    fn show_histogram(&self, out: &mut String, paint: &Paint, width: usize) {
        out.push('\n');
        let counts = self.buckets.iter().map(|bucket| grouped(bucket.count));
        let counts: Vec<String> = counts.collect();
        let digits = counts.iter().map(String::len).max().unwrap_or_default();
        let most = self.buckets.iter().map(|bucket| bucket.count).max();
        let most = most.unwrap_or_default().max(1);
        let room = width.saturating_sub(26 + digits).max(1);
        for (bucket, count) in self.buckets.iter().zip(counts) {
            let (from, to) = (shown(bucket.from), shown(bucket.to));
            let mut bar = (room as u128 * u128::from(bucket.count) / u128::from(most)) as usize;
            if bucket.count > 0 {
                bar = bar.max(1);
            }
            let bar = paint.good(&"#".repeat(bar));
            let line = format!("{from:>9} – {to:>9}  {count:>digits$}  {bar}");
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }

    fn latency(&self) -> Option<Value> {
        let tally = self.tally;
        if tally.succeeded == 0 {
            return None;
        }
        let exact = |time: Duration| micros(time.as_nanos() as f64);
        let mut latency = json!({
            "mean_us": micros(self.mean_ns()),
            "min_us": exact(tally.latency_min),
            "max_us": exact(tally.latency_max),
        });
        for (name, quantile) in QUANTILES {
            let at = tally.latencies.value_at_quantile(quantile) as f64;
            let at = at.min(tally.latency_max.as_nanos() as f64);
            latency[format!("{name}_us")] = micros(at).into();
        }
        Some(latency)
    }

    fn lateness(&self) -> Value {
        let late = &self.tally.lateness;
        json!({
            "p50_us": micros(late.value_at_quantile(0.5) as f64),
            "p99_us": micros(late.value_at_quantile(0.99) as f64),
            "max_us": micros(late.max() as f64),
        })
    }

    fn mean_ns(&self) -> f64 {
        self.tally.latency_sum.as_nanos() as f64 / self.tally.succeeded.max(1) as f64
    }

    fn per_second(&self, count: u64) -> f64 {
        let seconds = self.tally.elapsed.as_secs_f64();
        if seconds > 0.0 {
            count as f64 / seconds
        } else {
            0.0
        }
    }

    const fn kind(&self) -> &'static str {
        match self.method.kind() {
            MethodKind::Unary => "unary",
            MethodKind::ServerStreaming => "server streaming",
            MethodKind::ClientStreaming => "client streaming",
            MethodKind::Bidi => "bidi",
        }
    }
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Nanoseconds as a person reads them, to three digits.
fn shown(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        ns if ns < 999.5 => (ns, "ns"),
        ns if ns < 999.5e3 => (ns / 1e3, "µs"),
        ns if ns < 999.5e6 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    let decimals = match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

/// Nanoseconds as microseconds, to the nanosecond.
fn micros(nanoseconds: f64) -> f64 {
    nanoseconds.round() / 1e3
}

/// The names in JSON are these and `_us`.
const QUANTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99_9", 0.999),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        let expected = ["0", "999", "1,000", "1,234,567"];
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), expected);
        let times = [0.0, 999.4, 999.6, 12_340.0, 999_600.0, 1.5e6, 2e9, 4e12];
        let expected = [
            "0.00 ns", "999 ns", "1.00 µs", "12.3 µs", "1.00 ms", "1.50 ms", "2.00 s", "4000 s",
        ];
        assert_eq!(times.map(shown), expected);
    }
}
