//! Rounds, medians, the table and the JSON.

use std::fmt::Write as _;

use crate::failure::Failure;
use crate::machine::Machine;
use crate::matrix::{Matrix, Skipped};
use crate::options::Options;
use crate::process::{self, Measured};

mod row;
pub mod statistics;

pub use row::Row;

/// Everything a run gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What it was measured on.
    pub machine: Machine,
    /// Measured seconds per case and round.
    pub seconds: f64,
    /// One row per case.
    pub rows: Vec<Row>,
    /// What was left out.
    pub skipped: Vec<Skipped>,
    /// What was meant to be measured and failed.
    pub failed: Vec<String>,
}

impl Report {
    /// Measures every case once per round, so that drift of the machine falls on all alike.
    #[must_use]
    pub fn measure(options: &Options) -> Self {
        let matrix = Matrix::of(&options.only);
        let mut measured: Vec<Vec<Measured>> = vec![Vec::new(); matrix.cases.len()];
        let mut failed = Vec::new();
        for round in 1..=options.rounds {
            for (case, results) in matrix.cases.iter().zip(&mut measured) {
                eprintln!("round {round}/{}: {case}", options.rounds);
                match process::measure(case, options.plan) {
                    Ok(result) => results.push(result),
                    Err(failure) => failed.push(format!("round {round}, {case}: {failure}")),
                }
            }
        }
        let rows = matrix.cases.iter().zip(&measured);
        Self {
            machine: Machine::observe(),
            seconds: options.plan.measured.as_secs_f64(),
            rows: rows
                .filter_map(|(case, results)| Row::of(case, options.plan.rate_per_s, results))
                .collect(),
            skipped: matrix.skipped,
            failed,
        }
    }

    /// The rows as JSON.
    ///
    /// # Errors
    /// When a figure has no JSON form.
    pub fn json(&self) -> Result<String, Failure> {
        serde_json::to_string_pretty(&self.rows)
            .map_err(|error| Failure::Process(error.to_string()))
    }

    /// The report as a table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!("{}\n\n", self.machine);
        for row in &self.rows {
            let figure = |spread: Option<statistics::Spread>| {
                spread.map_or_else(|| "-".to_owned(), |spread| format!("{:.2}", spread.median))
            };
            let _ = writeln!(
                text,
                "{:<14} {:<5} {:<14} {:>4}/{:<4} {:<12} {:>12} calls/s {:>8} us cpu {:>10} us p50",
                row.system,
                row.transport,
                row.workload,
                row.concurrency,
                row.connections,
                row.pinning,
                figure(row.calls_per_s),
                figure(row.cpu_us_per_call),
                figure(row.p50_us),
            );
        }
        for failed in &self.failed {
            let _ = writeln!(text, "failed: {failed}");
        }
        text
    }
}
