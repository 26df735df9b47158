//! Which rows the charts show.

use crate::report::Row;
use crate::report::markdown::grouped;
use crate::report::statistics::Spread;
use crate::report::svg::{self, Bar, DotGroup, Dots, Group};
use crate::system;

/// A chart's file name and text; those of which no row was measured are left out.
pub(super) fn all(rows: &[Row]) -> Vec<(&'static str, String)> {
    let shown: Vec<Group> = CALLS.iter().filter_map(|at| calls(rows, *at)).collect();
    let cpu: Vec<Group> = CALLS.iter().filter_map(|at| cpu(rows, *at)).collect();
    let latency: Vec<_> = LATENCY.iter().filter_map(|at| latency(rows, *at)).collect();
    let mut charts = Vec::new();
    if !shown.is_empty() {
        let subtitle =
            "longer is better; each group to its own scale; the thin line spans the rounds";
        let chart = svg::bars("Calls per second", subtitle, &shown);
        charts.push(("calls.svg", chart));
    }
    if !cpu.is_empty() {
        let subtitle = "shorter is better; client, then server; the thin line spans the rounds";
        let chart = svg::bars("CPU time per call", subtitle, &cpu);
        charts.push(("cpu.svg", chart));
    }
    if !latency.is_empty() {
        let subtitle = "further left is better; dots at p50, p99 and p99.9; from when a call was \
                        meant to begin";
        charts.push(("latency.svg", svg::dots("Latency", subtitle, &latency)));
    }
    charts
}

/// Transport, workload, calls, connections, setting.
type At = (&'static str, &'static str, usize, usize, &'static str);

const CALLS: &[At] = &[
    ("tcp", "64B", 64, 1, "one-core"),
    ("unix", "64B", 64, 1, "one-core"),
    ("tcp", "order-1KiB", 64, 1, "one-core"),
    ("tcp", "64B-yields", 64, 1, "one-core"),
    ("tcp", "1MiB", 8, 1, "one-core"),
    ("tcp", "64B", 64, 4, "multi-thread"),
];

const LATENCY: &[At] = &[
    ("tcp", "64B", 1, 1, "one-core"),
    ("tcp", "64B-open-tonic-50", 0, 1, "multi-thread"),
    ("tcp", "64B-open-tonic-50-sleep", 0, 1, "multi-thread"),
    ("tcp", "64B-open-tonic-50-compute", 0, 1, "multi-thread"),
    ("tcp", "64B-open-own-80", 0, 1, "multi-thread"),
];

/// The rows of a place that are of RPC systems: a floor would set a scale that hides the rest.
fn systems<'a>(rows: &'a [Row], at: &'a At) -> impl Iterator<Item = &'a Row> {
    rows.iter()
        .filter(move |row| row.at() == *at)
        .filter(|row| system::parse(row.system).is_ok_and(|system| !system.is_floor()))
}

fn title((transport, workload, concurrency, connections, pinning): At) -> String {
    let calls = match concurrency {
        0 => String::new(),
        1 => ", 1 call outstanding".to_owned(),
        many => format!(", {many} calls outstanding"),
    };
    let connections = match connections {
        1 => String::new(),
        many => format!(" on {many} connections"),
    };
    format!("{workload}{calls}{connections}, {transport}, {pinning}")
}

fn group(rows: &[Row], at: At, bar: impl Fn(&Row) -> Option<Bar>) -> Option<Group> {
    let bars: Vec<_> = systems(rows, &at).filter_map(bar).collect();
    (!bars.is_empty()).then(|| Group {
        title: title(at),
        bars,
    })
}

fn calls(rows: &[Row], at: At) -> Option<Group> {
    group(rows, at, |row| {
        let Spread { median, min, max } = row.calls_per_s?;
        Some(Bar {
            label: row.system.to_owned(),
            parts: vec![median],
            range: (min, max),
            value: grouped(median),
            ours: is_ours(row.system),
        })
    })
}

fn cpu(rows: &[Row], at: At) -> Option<Group> {
    group(rows, at, |row| {
        let Spread { median, min, max } = row.cpu_us_per_call?;
        let (client, server) = (row.client_cpu_us_per_call?, row.server_cpu_us_per_call?);
        let shown = if median < 100.0 {
            format!("{median:.2}")
        } else {
            grouped(median)
        };
        Some(Bar {
            label: row.system.to_owned(),
            parts: vec![client.median, server.median],
            range: (min, max),
            value: format!("{shown} µs"),
            ours: is_ours(row.system),
        })
    })
}

fn latency(rows: &[Row], at: At) -> Option<DotGroup> {
    let line = |row: &Row| {
        let percentiles = [row.p50_us?, row.p99_us?, row.p999_us?];
        Some(Dots {
            label: row.system.to_owned(),
            values: percentiles.map(|spread| spread.median).to_vec(),
            ours: is_ours(row.system),
        })
    };
    let lines: Vec<_> = systems(rows, &at).filter_map(line).collect();
    (!lines.is_empty()).then(|| DotGroup {
        title: title(at),
        lines,
    })
}

fn is_ours(system: &str) -> bool {
    system.starts_with("dreammesh")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::row::tests::row;
    use crate::workload::Workload;

    #[test]
    fn every_chart_shows_what_is_measured_by_default() {
        for (_, name, concurrency, connections, pinning) in CALLS.iter().chain(LATENCY) {
            let found = Workload::parse(&format!("{name}/{concurrency}/{connections}")).unwrap();
            assert!(
                (found.pinnings.iter()).any(|p| p.name() == *pinning),
                "{found}"
            );
        }
    }

    #[test]
    fn a_chart_has_the_systems_but_not_the_floors() {
        let rows = [row("dreammesh", 5.0), row("tonic", 1.0), row("echo", 50.0)];
        let charts = all(&rows);
        let names: Vec<_> = charts.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["calls.svg", "cpu.svg"]);
        for (name, chart) in &charts {
            assert!(
                chart.contains(">dreammesh<") && chart.contains(">tonic<"),
                "{name}"
            );
            assert!(!chart.contains(">echo<"), "{name}");
        }
        assert!(all(&[]).is_empty());
    }
}
