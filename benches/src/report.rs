//! Rounds, medians, the table and the JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::failure::Failure;
use crate::machine::Machine;
use crate::options::{Case, Options};
use crate::process::{self, Measured};

/// The figures of one case: medians over the rounds.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// The system's name.
    pub system: &'static str,
    /// The link's name.
    pub link: &'static str,
    /// The workload's name.
    pub workload: &'static str,
    /// Calls per second.
    pub calls_per_second: f64,
    /// The slowest round's calls per second.
    pub calls_per_second_min: f64,
    /// The fastest round's calls per second.
    pub calls_per_second_max: f64,
    /// The client's CPU time per call, in microseconds.
    pub client_cpu_us: f64,
    /// The server's CPU time per call, in microseconds.
    pub server_cpu_us: f64,
    /// Median latency, in microseconds.
    pub p50_us: f64,
    /// 99th percentile latency, in microseconds.
    pub p99_us: f64,
    /// Calls per second relative to tonic on the same link and workload, if that was measured.
    pub times_tonic: Option<f64>,
}

/// Everything a run gave.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// What it was measured on.
    pub machine: Machine,
    /// Calls outstanding.
    pub depth: usize,
    /// Interleaved rounds.
    pub rounds: usize,
    /// Measured seconds per case and round.
    pub seconds: f64,
    /// The core both processes were tied to.
    pub core: Option<usize>,
    /// One row per case.
    pub rows: Vec<Row>,
}

impl Report {
    /// Measures every case once per round, so that drift of the machine falls on all alike.
    ///
    /// # Errors
    /// When any measurement fails; a report with holes would be read as complete.
    pub fn measure(options: &Options) -> Result<Self, Failure> {
        let cases = options.cases()?;
        let mut measured = vec![Vec::new(); cases.len()];
        for round in 1..=options.rounds {
            for (case, results) in cases.iter().zip(&mut measured) {
                let (system, link) = (case.system.name(), case.link.name());
                let workload = case.workload.name();
                eprintln!(
                    "round {round}/{}: {system} {link} {workload}",
                    options.rounds
                );
                results.push(process::measure(case, options)?);
            }
        }
        let mut rows: Vec<Row> = cases
            .iter()
            .zip(&measured)
            .map(|(case, results)| Row::of(case, results))
            .collect();
        let known = rows.clone();
        for row in &mut rows {
            row.times_tonic = known
                .iter()
                .find(|other| {
                    (other.system, other.link, other.workload) == ("tonic", row.link, row.workload)
                })
                .map(|tonic| row.calls_per_second / tonic.calls_per_second);
        }
        Ok(Self {
            machine: Machine::observe(),
            depth: options.depth,
            rounds: options.rounds,
            seconds: options.measured.as_secs_f64(),
            core: options.core,
            rows,
        })
    }

    /// The report as JSON.
    ///
    /// # Errors
    /// When a figure has no JSON form.
    pub fn json(&self) -> Result<String, Failure> {
        serde_json::to_string_pretty(self).map_err(|error| Failure::Process(error.to_string()))
    }

    /// The report as a table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let machine = &self.machine;
        let core = self
            .core
            .map_or_else(|| "no core".to_owned(), |core| format!("core {core}"));
        let mut text = format!(
            "{} x {}, {}, {}, commit {}\n\
             client and server on {core}, {} calls outstanding, one connection, \
             median of {} rounds of {} s\n\n",
            machine.processors,
            machine.processor,
            machine.kernel,
            machine.compiler,
            machine.commit,
            self.depth,
            self.rounds,
            self.seconds,
        );
        let _ = writeln!(
            text,
            "{:<11} {:<14} {:<5} {:>10} {:>19} {:>9} {:>9} {:>9} {:>9} {:>8}",
            "workload",
            "system",
            "link",
            "calls/s",
            "min-max",
            "client",
            "server",
            "p50",
            "p99",
            "x tonic",
        );
        for row in &self.rows {
            let ratio = row
                .times_tonic
                .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            let range = format!(
                "{:.0}-{:.0}",
                row.calls_per_second_min, row.calls_per_second_max
            );
            let _ = writeln!(
                text,
                "{:<11} {:<14} {:<5} {:>10.0} {range:>19} {:>6.2} us {:>6.2} us {:>6.0} us {:>6.0} us {ratio:>8}",
                row.workload,
                row.system,
                row.link,
                row.calls_per_second,
                row.client_cpu_us,
                row.server_cpu_us,
                row.p50_us,
                row.p99_us,
            );
        }
        text.push_str("\nclient, server: CPU time per call (user and system)\n");
        text
    }
}

impl Row {
    fn of(case: &Case, results: &[Measured]) -> Self {
        let rates = sorted(results, |m| m.seen.calls as f64 / m.seen.seconds);
        let per_call = |seconds: f64, m: &Measured| seconds * 1e6 / m.seen.calls as f64;
        Self {
            system: case.system.name(),
            link: case.link.name(),
            workload: case.workload.name(),
            calls_per_second: median(&rates),
            calls_per_second_min: rates.first().copied().unwrap_or(f64::NAN),
            calls_per_second_max: rates.last().copied().unwrap_or(f64::NAN),
            client_cpu_us: median(&sorted(results, |m| per_call(m.seen.client_cpu_seconds, m))),
            server_cpu_us: median(&sorted(results, |m| per_call(m.server_cpu_seconds, m))),
            p50_us: median(&sorted(results, |m| m.seen.p50_us)),
            p99_us: median(&sorted(results, |m| m.seen.p99_us)),
            times_tonic: None,
        }
    }
}

fn sorted(results: &[Measured], figure: impl Fn(&Measured) -> f64) -> Vec<f64> {
    let mut figures: Vec<f64> = results.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures
}

/// The middle figure, or the mean of the two middle ones.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_of_an_even_number_of_rounds_lies_between_the_middle_two() {
        assert!(median(&[]).is_nan());
        assert_eq!(median(&[3.0]).to_bits(), 3.0_f64.to_bits());
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]).to_bits(), 3.0_f64.to_bits());
        assert_eq!(median(&[1.0, 2.0, 9.0]).to_bits(), 2.0_f64.to_bits());
    }
}
