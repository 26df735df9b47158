//! Measures a matrix, round by round.

use std::time::Duration;

use crate::failure::Failure;
use crate::matrix::{Case, Matrix};
use crate::options::Options;
use crate::process::{self, Measured};
use crate::progress::Progress;
use crate::report::Row;
use crate::report::statistics::Spread;
use crate::run::Plan;
use crate::system;
use crate::transport::Transport;
use crate::workload::{Capacity, Rate, Shape, spawned};

/// What a run gave.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Results {
    /// One row per case of which at least one round succeeded.
    pub rows: Vec<Row>,
    /// What was meant to be measured and failed.
    pub failed: Vec<String>,
}

/// Measures every case once per round, so that drift of the machine falls on all alike.
///
/// What fails is noted and does not end the run: an hour's figures should not go with one of them.
#[must_use]
pub fn measure(matrix: &Matrix, options: &Options) -> Results {
    let mut run = Run::new(matrix, options);
    let calibrated = run.calibrate(matrix);
    let mut measured: Vec<Vec<Measured>> = vec![Vec::new(); matrix.cases.len()];
    for round in 1..=options.rounds {
        for (case, results) in matrix.cases.iter().zip(&mut measured) {
            results.extend(run.once(round, case, calibrated.rate_of(case)));
        }
    }
    run.progress.end();
    let rows = matrix.cases.iter().zip(&measured);
    Results {
        rows: rows
            .filter_map(|(case, results)| {
                let rate = calibrated.rate_of(case).and_then(Result::ok);
                Row::of(case, rate, results)
            })
            .collect(),
        failed: run.failed,
    }
}

/// A run under way.
struct Run<'a> {
    options: &'a Options,
    progress: Progress,
    failed: Vec<String>,
}

impl<'a> Run<'a> {
    fn new(matrix: &Matrix, options: &'a Options) -> Self {
        let steps = (matrix.cases.len() + references(matrix).len()) * options.rounds;
        // Starting and ending the processes takes a little beside what was asked for.
        let each = options.plan.warm_up + options.plan.measured + Duration::from_millis(100);
        Self {
            options,
            progress: Progress::new(steps, each),
            failed: Vec::new(),
        }
    }

    /// Measures one case once, unless it lacks the rate that it needs.
    fn once(
        &mut self,
        round: usize,
        case: &Case,
        rate: Option<Result<f64, Failure>>,
    ) -> Option<Measured> {
        let of = format!("round {round}/{}  {case}", self.options.rounds);
        self.progress.step(&of);
        let measured = rate.transpose().and_then(|rate_per_s| {
            let plan = Plan {
                rate_per_s,
                ..self.options.plan
            };
            process::measure(case, plan, self.options.through.as_deref())
        });
        measured
            .map_err(|failure| self.failed.push(format!("{of}: {failure}")))
            .ok()
    }

    /// Measures the capacities that the rates of open loops refer to.
    fn calibrate(&mut self, matrix: &Matrix) -> Capacities {
        let references = references(matrix);
        let mut rates = vec![Vec::new(); references.len()];
        for round in 1..=self.options.rounds {
            for (case, rates) in references.iter().zip(&mut rates) {
                let measured = self.once(round, case, None);
                rates.extend(measured.map(|m| Some(m.seen.calls as f64 / m.seen.seconds)));
            }
        }
        let medians = rates.into_iter().map(Spread::of);
        Capacities(
            references
                .into_iter()
                .zip(medians)
                .filter_map(|(case, spread)| Some((case, spread?.median)))
                .collect(),
        )
    }
}

/// Calls per second that systems were seen to be capable of.
struct Capacities(Vec<(Case, f64)>);

impl Capacities {
    /// The rate of a case, where it has one.
    fn rate_of(&self, case: &Case) -> Option<Result<f64, Failure>> {
        let Shape::Open(rate) = case.workload.shape else {
            return None;
        };
        let found = reference(case, rate).and_then(|reference| {
            let mut known = self.0.iter();
            known.find(|(case, _)| case.to_string() == reference.to_string())
        });
        let share = f64::from(rate.percent) / 100.0;
        Some(
            found
                .map(|(_, capacity)| capacity * share)
                .ok_or_else(|| Failure::Process("the capacity could not be measured".to_owned())),
        )
    }
}

/// The cases whose capacity a matrix refers to, each once.
fn references(matrix: &Matrix) -> Vec<Case> {
    let mut found: Vec<Case> = Vec::new();
    for case in &matrix.cases {
        let Shape::Open(rate) = case.workload.shape else {
            continue;
        };
        let Some(reference) = reference(case, rate) else {
            continue;
        };
        if !(found.iter()).any(|known| known.to_string() == reference.to_string()) {
            found.push(reference);
        }
    }
    found
}

/// The case whose capacity a rate refers to: for tonic's, over TCP where it has not the transport.
fn reference(case: &Case, rate: Rate) -> Option<Case> {
    let workload = &spawned::CAPACITY;
    let (system, transport) = match rate.of {
        Capacity::Own => (case.system, case.transport),
        Capacity::Tonic => {
            let tonic = system::parse("tonic").ok()?;
            let has = tonic.transports().contains(&case.transport);
            (tonic, if has { case.transport } else { Transport::Tcp })
        }
    };
    Some(Case {
        system,
        transport,
        workload,
        pinning: case.pinning,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Only;

    fn matrix(names: &[&str]) -> Matrix {
        let mut only = Only::default();
        for name in names {
            only.add(name).unwrap();
        }
        Matrix::of(&only)
    }

    #[test]
    fn the_capacity_that_a_rate_refers_to_is_measured_first_and_once() {
        let matrix = matrix(&["dreammesh", "tcp", "multi-thread"]);
        let names: Vec<_> = references(&matrix).iter().map(Case::to_string).collect();
        let expected =
            ["dreammesh", "tonic"].map(|s| format!("multi-thread 64B-spawned/64/1 {s} tcp"));
        assert_eq!(names, expected);
    }

    #[test]
    fn a_rate_is_a_share_of_the_capacity_it_refers_to() {
        let matrix = matrix(&["dreammesh", "tcp", "multi-thread"]);
        let capacities = references(&matrix).into_iter().zip([1_000.0, 100.0]);
        let capacities = Capacities(capacities.collect());
        let rate = |name: &str| {
            let case = matrix.cases.iter().find(|case| case.workload.name == name);
            capacities.rate_of(case.unwrap()).map(Result::unwrap)
        };
        assert_eq!(rate("64B"), None);
        assert_eq!(rate("64B-open-own-20"), Some(200.0));
        assert_eq!(rate("64B-open-tonic-50"), Some(50.0));
        assert_eq!(rate("64B-open-tonic-50-sleep"), Some(50.0));
    }

    #[test]
    fn without_a_capacity_there_is_no_rate() {
        let matrix = matrix(&["dreammesh", "tcp", "64B-open-own-20"]);
        let none = Capacities(Vec::new());
        assert!(none.rate_of(&matrix.cases[0]).unwrap().is_err());
    }
}
