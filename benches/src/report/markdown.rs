//! The page: what was measured on what, the bars, and a table a setting.

use std::fmt::Write as _;

use crate::pinning::Pinning;
use crate::report::bars::{self, Outcome};
use crate::report::shares::{self, Side};
use crate::report::statistics::Spread;
use crate::report::{Report, Row};
use crate::system;

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let mut text = heading(report);
    text.push_str(&systems(&report.results.rows));
    text.push_str(&bars(&report.results.rows));
    text.push_str(&shares(&report.results.rows));
    for pinning in Pinning::ALL {
        let rows = report.results.rows.iter();
        let rows: Vec<_> = rows
            .filter(|row| row.pinning == pinning.name() && row.calls_per_s.is_some())
            .collect();
        if !rows.is_empty() {
            let _ = write!(
                text,
                "\n## {}\n\n{}.\n\n",
                pinning.name(),
                pinning.meaning()
            );
            text.push_str(&table(&rows));
        }
    }
    text.push_str(&scaling(&report.results.rows));
    text.push_str(&idle(&report.results.rows));
    text.push_str(&left_out(report));
    text
}

fn heading(report: &Report) -> String {
    format!(
        "# Comparison\n\n{}.\n\n\
         Medians of {} interleaved rounds of {} s a case, in brackets the smallest and the largest; \
         client and server are processes of their own.\n\
         CPU is user and system time per call; latencies are of calls, from when each was meant to \
         begin in an open loop.\n",
        report.machine, report.rounds, report.seconds,
    )
}

/// What was measured, in which version, with which settings.
fn systems(rows: &[Row]) -> String {
    let mut text = "\n## Systems\n\n| System | Versions | Settings |\n|---|---|---|\n".to_owned();
    for system in system::all() {
        if rows.iter().any(|row| row.system == system.name()) {
            let versions = crate::machine::versions(system.packages());
            let _ = writeln!(
                text,
                "| {} | {versions} | {} |",
                system.name(),
                system.settings()
            );
        }
    }
    text
}

/// The bars of which this run measured the rows.
fn bars(rows: &[Row]) -> String {
    let mut lines = String::new();
    for bar in bars::ALL {
        let [default, full] = ["dreammesh", "dreammesh-full"].map(|s| bar.outcome(s, rows));
        if default.is_none() && full.is_none() {
            continue;
        }
        let (transport, pinning) = bar.place();
        let _ = writeln!(
            lines,
            "| {} | {transport}, {pinning} | {} | {} | {} | {} |",
            bar.what,
            bar.against(),
            bar.needed(),
            reached(bar, default),
            reached(bar, full),
        );
    }
    if lines.is_empty() {
        return lines;
    }
    format!(
        "\n## Bars\n\nCalls per second are compared where nothing else is said, in brackets CPU \
         time per call.\n\n\
         | Bar | Where | Against | Needed | dreammesh | dreammesh-full |\n|---|---|---|---|---|---|\n\
         {lines}"
    )
}

/// The same of what our side of gRPC costs beside tonic's.
fn shares(rows: &[Row]) -> String {
    let mut lines = String::new();
    for bar in shares::ALL {
        let sides = Side::ALL.map(|side| bar.outcome(side, rows));
        if sides.iter().all(Option::is_none) {
            continue;
        }
        let [server, client] = sides.map(|outcome| {
            outcome.map_or_else(
                || "–".to_owned(),
                |it| format!("{:.2}× {}", it.got, mark(it.met)),
            )
        });
        let (what, least) = (bar.what, bar.least);
        let _ = writeln!(
            lines,
            "| {what} | at least {least}× | {server} | {client} |"
        );
    }
    if lines.is_empty() {
        return lines;
    }
    format!(
        "\n## Bars of gRPC\n\ntonic's CPU time per call over ours, of the same side under the same \
         peer, which is tonic.\n\n| Bar | Needed | Server | Client |\n|---|---|---|---|\n{lines}"
    )
}

const fn mark(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}

fn reached(bar: &bars::Bar, outcome: Option<Outcome>) -> String {
    let Some(outcome) = outcome else {
        return "–".to_owned();
    };
    let by_cpu = outcome
        .by_cpu
        .map_or_else(String::new, |ratio| format!(" ({})", bar.said(ratio)));
    format!("{}{by_cpu} {}", bar.said(outcome.got), mark(outcome.met))
}

const COLUMNS: &str = "\
| Workload | Calls | Conns | Transport | System | Calls/s | Client CPU | Server CPU | p50 | p99 | p99.9 \
| Client RSS | Server RSS |
|---|--:|--:|---|---|--:|--:|--:|--:|--:|--:|--:|--:|
";

/// One setting's rows; what a row shares with the one above it is left blank.
fn table(rows: &[&Row]) -> String {
    let mut text = COLUMNS.to_owned();
    let mut above: Option<&Row> = None;
    for row in rows {
        let same = above.is_some_and(|above| above.at() == row.at());
        let workload = above.is_some_and(|above| workload_of(above) == workload_of(row));
        let calls = row.rate_per_s.map_or_else(
            || row.concurrency.to_string(),
            |rate| format!("{}/s", grouped(rate)),
        );
        let blank = |blank: bool, text: &str| {
            if blank {
                String::new()
            } else {
                text.to_owned()
            }
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            blank(workload, row.workload),
            blank(workload && row.rate_per_s.is_none(), &calls),
            blank(workload, &row.connections.to_string()),
            blank(same, row.transport),
            row.system,
            ranged(row.calls_per_s),
            micros(row.client_cpu_us_per_call),
            micros(row.server_cpu_us_per_call),
            micros(row.p50_us),
            micros(row.p99_us),
            micros(row.p999_us),
            mebibytes(row.client_rss_kib),
            mebibytes(row.server_rss_kib),
        );
        above = Some(row);
    }
    text
}

fn workload_of(row: &Row) -> (&str, usize, usize) {
    (row.workload, row.concurrency, row.connections)
}

/// What the other settings give over both processes on one core, on one logical connection.
fn scaling(rows: &[Row]) -> String {
    let mut lines = String::new();
    // The rate of an open loop says nothing about what a system could do.
    let alone = |row: &&Row| {
        row.pinning == Pinning::OneCore.name() && row.connections == 1 && row.rate_per_s.is_none()
    };
    for row in rows.iter().filter(alone) {
        let times = |pinning: Pinning| {
            let at = (
                row.transport,
                row.workload,
                row.concurrency,
                row.connections,
                pinning.name(),
            );
            let other = rows
                .iter()
                .find(|r| r.system == row.system && r.at() == at)?;
            Some(other.calls_per_s?.median / row.calls_per_s?.median)
        };
        let [two, multi] = [Pinning::TwoCore, Pinning::MultiThread].map(times);
        if two.is_none() && multi.is_none() {
            continue;
        }
        let shown = |times: Option<f64>| times.map_or_else(dash, |times| format!("{times:.2}×"));
        let _ = writeln!(
            lines,
            "| {} | {} | {} | {} | {} | {} |",
            row.workload,
            row.concurrency,
            row.transport,
            row.system,
            shown(two),
            shown(multi),
        );
    }
    if lines.is_empty() {
        return lines;
    }
    format!(
        "\n## From one core to two\n\nCalls per second over those in `one-core`, one connection.\n\n\
         | Workload | Calls | Transport | System | two-core | multi-thread |\n\
         |---|--:|---|---|--:|--:|\n{lines}"
    )
}

/// What connections that do nothing take.
fn idle(rows: &[Row]) -> String {
    let mut lines = String::new();
    for row in rows {
        if let (Some(client), Some(server)) =
            (row.client_kib_per_connection, row.server_kib_per_connection)
        {
            let _ = writeln!(
                lines,
                "| {} | {} | {} | {} | {} | {} |",
                row.system,
                row.transport,
                row.pinning,
                row.connections,
                kibibytes(client),
                kibibytes(server),
            );
        }
    }
    if lines.is_empty() {
        return lines;
    }
    format!(
        "\n## Idle connections\n\nResident memory that each connection added after it had made one \
         call.\n\n\
         | System | Transport | Setting | Connections | Client, each | Server, each |\n\
         |---|---|---|--:|--:|--:|\n{lines}"
    )
}

/// What the tables do not have.
fn left_out(report: &Report) -> String {
    let mut text = String::new();
    if !report.skipped.is_empty() {
        text.push_str("\n## Not measured\n\n");
    }
    let mut noted: Vec<(&str, &str)> = Vec::new();
    for skipped in &report.skipped {
        let of = (skipped.system, skipped.reason);
        if noted.contains(&of) {
            continue;
        }
        noted.push(of);
        let same = report.skipped.iter().filter(|s| (s.system, s.reason) == of);
        let mut workloads: Vec<_> = same.map(|skipped| skipped.workload).collect();
        workloads.dedup();
        workloads.sort_unstable();
        workloads.dedup();
        let (system, reason) = of;
        let _ = writeln!(text, "- {system}: {}: {reason}", workloads.join(", "));
    }
    if !report.results.failed.is_empty() {
        text.push_str("\n## Failed\n\n");
    }
    for failed in &report.results.failed {
        let _ = writeln!(text, "- {failed}");
    }
    text
}

fn ranged(spread: Option<Spread>) -> String {
    spread.map_or_else(dash, |spread| {
        format!(
            "{} ({}–{})",
            grouped(spread.median),
            grouped(spread.min),
            grouped(spread.max)
        )
    })
}

fn micros(spread: Option<Spread>) -> String {
    spread.map_or_else(dash, |spread| match spread.median {
        small if small < 10.0 => format!("{small:.2} µs"),
        middle if middle < 100.0 => format!("{middle:.1} µs"),
        large => format!("{} µs", grouped(large)),
    })
}

fn mebibytes(spread: Option<Spread>) -> String {
    spread.map_or_else(dash, |spread| format!("{:.1} MiB", spread.median / 1024.0))
}

fn kibibytes(spread: Spread) -> String {
    format!(
        "{:.1} KiB ({:.1}–{:.1})",
        spread.median, spread.min, spread.max
    )
}

fn dash() -> String {
    "–".to_owned()
}

/// A whole number with its thousands set apart.
pub(super) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::row::tests::row;

    #[test]
    fn thousands_are_set_apart() {
        let shown = [0.4, 999.0, 1_000.0, 1_234_567.4, -1_000.0, -100.0].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567", "-1,000", "-100"]);
    }

    #[test]
    fn the_table_names_a_workload_once() {
        let (ours, tonic) = (row("dreammesh", 150_000.0), row("tonic", 10_000.0));
        let expected = "\
            | 64B | 64 | 1 | tcp | dreammesh | 150,000 (75,000–300,000) | 3.33 µs | 3.33 µs \
            | 1.00 µs | 2.00 µs | 3.00 µs | 4.0 MiB | 8.0 MiB |\n\
            |  |  |  |  | tonic | 10,000 (5,000–20,000) | 50.0 µs | 50.0 µs \
            | 1.00 µs | 2.00 µs | 3.00 µs | 4.0 MiB | 8.0 MiB |\n";
        assert_eq!(table(&[&ours, &tonic]), format!("{COLUMNS}{expected}"));
    }

    #[test]
    fn scaling_is_shown_where_more_than_one_setting_was_measured() {
        let one = row("tonic", 10_000.0);
        let two = Row {
            pinning: "two-core",
            ..row("tonic", 15_000.0)
        };
        assert_eq!(scaling(std::slice::from_ref(&one)), "");
        let text = scaling(&[one, two]);
        let line = "| 64B | 64 | tcp | tonic | 1.50× | – |\n";
        assert!(text.ends_with(line), "{text}");
    }

    #[test]
    fn a_bar_is_shown_with_what_was_reached() {
        let rows = [row("dreammesh", 140_000.0), row("tonic", 10_000.0)];
        let text = bars(&rows);
        let line = "| 64B, 64 outstanding | tcp, one-core | tonic | at least 15× \
                    | 14.0× (14.0×) **missed** | – |\n";
        assert!(text.ends_with(line), "{text}");
        assert_eq!(bars(&rows[..1]), "");
    }

    #[test]
    fn a_bar_of_grpc_is_shown_for_the_side_that_was_measured() {
        let rows = [
            row("dreammesh-grpc-client", 20_000.0),
            row("tonic", 10_000.0),
        ];
        let text = shares(&rows);
        let line = "| 64B, 64 outstanding | at least 1.3× | – | 2.00× met |\n";
        assert!(text.ends_with(line), "{text}");
        assert_eq!(shares(&rows[..1]), "");
    }
}
