//! Which combinations of system, transport, workload and setting a run visits, in which order.

use std::fmt;

use crate::failure::Failure;
use crate::pinning::Pinning;
use crate::system::{self, System};
use crate::transport::Transport;
use crate::workload::Workload;

/// A combination that is measured.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Case {
    /// What is measured.
    pub system: &'static dyn System,
    /// What it runs over.
    pub transport: Transport,
    /// What it does.
    pub workload: &'static Workload,
    /// Where it runs.
    pub pinning: Pinning,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {}",
            self.pinning.name(),
            self.workload,
            self.system.name(),
            self.transport.name()
        )
    }
}

/// A combination that a system does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The system's name.
    pub system: &'static str,
    /// The transport's name.
    pub transport: &'static str,
    /// The workload's name.
    pub workload: &'static str,
    /// Why not.
    pub reason: &'static str,
}

/// What a run visits, and what it leaves out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Matrix {
    /// What is measured, in the order of a round.
    pub cases: Vec<Case>,
    /// What is not, each combination once.
    pub skipped: Vec<Skipped>,
}

/// Names that a run is confined to; of each kind, all where none is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Only {
    systems: Vec<String>,
    transports: Vec<String>,
    workloads: Vec<String>,
    pinnings: Vec<Pinning>,
}

impl Only {
    /// Confines a run to something, by the name of whatever it is the name of.
    ///
    /// A workload is meant by its name, with all its numbers of calls and connections, or by
    /// `name/calls/connections`.
    ///
    /// # Errors
    /// When nothing has that name.
    pub fn add(&mut self, name: &str) -> Result<(), Failure> {
        let mut known = false;
        if system::all().iter().any(|system| system.name() == name) {
            self.systems.push(name.to_owned());
            known = true;
        }
        if Transport::ALL.iter().any(|kind| kind.name() == name) {
            self.transports.push(name.to_owned());
            known = true;
        }
        if (Workload::all().iter()).any(|w| w.name == name || w.to_string() == name) {
            self.workloads.push(name.to_owned());
            known = true;
        }
        if let Some(pinning) = Pinning::ALL.into_iter().find(|p| p.name() == name) {
            self.pinnings.push(pinning);
            known = true;
        }
        if known {
            Ok(())
        } else {
            Err(Failure::Usage(format!(
                "no system, transport, workload or setting is called {name:?}"
            )))
        }
    }

    fn workload(&self, workload: &Workload) -> bool {
        let full = workload.to_string();
        let meant = |name: &String| *name == workload.name || *name == full;
        self.workloads.is_empty() || self.workloads.iter().any(meant)
    }

    /// The settings for a workload: its own, unless others are asked for.
    ///
    /// A workload that is asked for by name is measured in any setting that is asked for, too.
    fn pinnings(&self, workload: &Workload) -> Vec<Pinning> {
        match (self.pinnings.as_slice(), self.workloads.is_empty()) {
            ([], _) => workload.pinnings.to_vec(),
            (asked, false) => asked.to_vec(),
            (asked, true) => {
                let asked = asked.iter().copied();
                asked.filter(|p| workload.pinnings.contains(p)).collect()
            }
        }
    }
}

fn wanted(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|n| n == name)
}

impl Matrix {
    /// The combinations of a run; systems vary fastest, so that rivals are measured side by side.
    #[must_use]
    pub fn of(only: &Only) -> Self {
        let (mut cases, mut skipped) = (Vec::new(), Vec::new());
        let workloads = Workload::all();
        for pinning in Pinning::ALL {
            for &workload in workloads.iter().filter(|w| only.workload(w)) {
                if !only.pinnings(workload).contains(&pinning) {
                    continue;
                }
                for (system, transport) in runners(only) {
                    let Some(reason) = system.skips(transport, workload) else {
                        cases.push(Case {
                            system,
                            transport,
                            workload,
                            pinning,
                        });
                        continue;
                    };
                    let skip = Skipped {
                        system: system.name(),
                        transport: transport.name(),
                        workload: workload.name,
                        reason,
                    };
                    if !skipped.contains(&skip) {
                        skipped.push(skip);
                    }
                }
            }
        }
        Self { cases, skipped }
    }
}

/// One line a combination, and what is left out at the end.
impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.cases {
            writeln!(f, "{case}")?;
        }
        for skipped in &self.skipped {
            writeln!(f, "{skipped}")?;
        }
        write!(f, "{} combinations", self.cases.len())
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            system,
            transport,
            workload,
            reason,
        } = self;
        write!(f, "not measured: {system} {transport} {workload}: {reason}")
    }
}

/// Each system over each of its transports, transport by transport.
fn runners(only: &Only) -> impl Iterator<Item = (&'static dyn System, Transport)> {
    let transports = Transport::ALL.into_iter();
    transports
        .filter(|transport| wanted(&only.transports, transport.name()))
        .flat_map(|transport| {
            let systems = system::all().into_iter();
            systems
                .filter(move |system| system.transports().contains(&transport))
                .map(move |system| (system, transport))
        })
        .filter(|(system, _)| wanted(&only.systems, system.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(names: &[&str]) -> Only {
        let mut only = Only::default();
        for name in names {
            only.add(name).unwrap();
        }
        only
    }

    #[test]
    fn a_name_confines_what_it_is_the_name_of() {
        let matrix = Matrix::of(&only(&["tonic", "unix", "64B", "one-core"]));
        assert!(!matrix.cases.is_empty());
        for case in &matrix.cases {
            assert_eq!(case.system.name(), "tonic");
            assert_eq!(case.transport, Transport::Unix);
            assert_eq!(case.workload.name, "64B");
            assert_eq!(case.pinning, Pinning::OneCore);
        }
        let concurrencies: Vec<_> = matrix
            .cases
            .iter()
            .map(|c| c.workload.concurrency)
            .collect();
        assert_eq!(concurrencies, [1, 64, 512, 64, 200]);
    }

    #[test]
    fn a_workload_can_be_meant_with_its_numbers() {
        let matrix = Matrix::of(&only(&["dreammesh", "tcp", "64B/64/4", "multi-thread"]));
        let [case] = matrix.cases.as_slice() else {
            panic!("{:?}", matrix.cases);
        };
        assert_eq!(
            (case.workload.concurrency, case.workload.connections),
            (64, 4)
        );
    }

    #[test]
    fn what_is_asked_for_by_name_is_measured_in_any_setting() {
        let matrix = Matrix::of(&only(&["dreammesh", "tcp", "1MiB", "multi-thread"]));
        assert_eq!(matrix.cases.len(), 1);
        let matrix = Matrix::of(&only(&["dreammesh", "tcp", "multi-thread"]));
        assert!(matrix.cases.iter().all(|case| case.workload.name != "1MiB"));
    }

    #[test]
    fn what_a_system_does_not_run_is_noted_once() {
        let matrix = Matrix::of(&only(&["echo", "tcp", "64B-yields"]));
        assert_eq!((matrix.cases.len(), matrix.skipped.len()), (0, 1));
    }

    #[test]
    fn a_name_of_nothing_is_refused() {
        for wrong in ["", "grpc", "64B/1", "TCP"] {
            assert!(Only::default().add(wrong).is_err(), "{wrong:?}");
        }
    }
}
