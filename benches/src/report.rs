//! What a run gave, for people and for programs.

use std::fs;
use std::path::Path;

use crate::failure::Failure;
use crate::machine::Machine;
use crate::matrix::{Matrix, Skipped};
use crate::measure::{self, Results};
use crate::options::Options;

pub mod bars;
mod charts;
mod markdown;
mod row;
pub mod shares;
pub mod statistics;
mod svg;

pub use row::Row;

/// Everything a run gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What it was measured on.
    pub machine: Machine,
    /// Interleaved rounds.
    pub rounds: usize,
    /// Measured seconds per case and round.
    pub seconds: f64,
    /// The rows, and what failed.
    pub results: Results,
    /// What was left out.
    pub skipped: Vec<Skipped>,
}

impl Report {
    /// Measures what was asked for.
    #[must_use]
    pub fn measure(options: &Options) -> Self {
        let matrix = Matrix::of(&options.only);
        Self {
            machine: Machine::observe(),
            rounds: options.rounds,
            seconds: options.plan.measured.as_secs_f64(),
            results: measure::measure(&matrix, options),
            skipped: matrix.skipped,
        }
    }

    /// Whether all that was meant to be measured was.
    #[must_use]
    pub const fn complete(&self) -> bool {
        self.results.failed.is_empty()
    }

    /// The rows as JSON.
    ///
    /// # Errors
    /// When a figure has no JSON form.
    pub fn json(&self) -> Result<String, Failure> {
        serde_json::to_string_pretty(&self.results.rows)
            .map_err(|error| Failure::Process(error.to_string()))
    }

    /// The report as a page of Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        markdown::page(self)
    }

    /// Writes the rows, the page and the charts.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, out: &Path, json: Option<&Path>) -> Result<(), Failure> {
        fs::create_dir_all(out).map_err(Failure::io("making the directory of the report"))?;
        let writing = || Failure::io("writing the report");
        let beside = out.join("results.json");
        fs::write(json.unwrap_or(&beside), self.json()?).map_err(writing())?;
        fs::write(out.join("results.md"), self.markdown()).map_err(writing())?;
        for (name, chart) in charts::all(&self.results.rows) {
            fs::write(out.join(name), chart).map_err(writing())?;
        }
        Ok(())
    }
}
