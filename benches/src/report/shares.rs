//! What our side of a gRPC connection costs beside tonic's in the same place, under the same peer.
//!
//! A bar whose rows were not measured in a run has no outcome.

use crate::report::Row;
use crate::report::statistics::Spread;

/// One aim, for either side.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Share {
    /// What is measured.
    pub what: &'static str,
    /// How many times our CPU time per call tonic's has to be.
    pub least: f64,
    /// The workload with its numbers.
    at: (&'static str, usize, usize),
}

/// Which side is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Side {
    /// Our server under tonic's client.
    Server,
    /// Our client on tonic's server.
    Client,
}

/// How far a side of ours reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// tonic's CPU time per call over ours.
    pub got: f64,
    /// Whether that is enough.
    pub met: bool,
}

/// Every bar.
pub const ALL: &[Share] = &[
    share("64B, 64 outstanding", 1.3, ("64B", 64, 1)),
    share("64B, 1 outstanding", 1.0, ("64B", 1, 1)),
    share("order, 64 outstanding", 1.3, ("order-1KiB", 64, 1)),
    share("answers of 1 MiB, 8 outstanding", 2.0, ("1MiB-down", 8, 1)),
];

/// Where both are compared: the least noise.
const PLACE: (&str, &str) = ("tcp", "one-core");

const fn share(what: &'static str, least: f64, at: (&'static str, usize, usize)) -> Share {
    Share { what, least, at }
}

impl Side {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Server, Self::Client];

    /// The system in which this side is ours and the other one is tonic's.
    #[must_use]
    pub const fn system(self) -> &'static str {
        match self {
            Self::Server => "dreammesh-grpc-server",
            Self::Client => "dreammesh-grpc-client",
        }
    }

    const fn of(self, row: &Row) -> Option<Spread> {
        match self {
            Self::Server => row.server_cpu_us_per_call,
            Self::Client => row.client_cpu_us_per_call,
        }
    }
}

impl Share {
    /// What a side of ours reaches, if this run measured both.
    #[must_use]
    pub fn outcome(&self, side: Side, rows: &[Row]) -> Option<Outcome> {
        let (workload, concurrency, connections) = self.at;
        let (transport, pinning) = PLACE;
        let at = (transport, workload, concurrency, connections, pinning);
        let cpu = |system: &str| {
            let row = rows
                .iter()
                .find(|row| row.system == system && row.at() == at);
            Some(side.of(row?)?.median)
        };
        let got = cpu("tonic")? / cpu(side.system())?;
        let met = got >= self.least;
        Some(Outcome { got, met })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::row::tests::row;
    use crate::system;
    use crate::workload::Workload;

    #[test]
    fn every_bar_refers_to_what_is_measured_by_default() {
        for share in ALL {
            let (workload, concurrency, connections) = share.at;
            let found = Workload::parse(&format!("{workload}/{concurrency}/{connections}"));
            let found = found.unwrap();
            let settings = found.pinnings;
            assert!(settings.iter().any(|it| it.name() == PLACE.1), "{share:?}");
            for name in Side::ALL.map(Side::system).into_iter().chain(["tonic"]) {
                let system = system::parse(name).unwrap();
                let transport = system.transports().iter().find(|it| it.name() == PLACE.0);
                assert_eq!(system.skips(*transport.unwrap(), found), None);
            }
        }
    }

    #[test]
    fn a_side_is_compared_with_the_same_side_of_tonic() {
        let ours = Row {
            client_cpu_us_per_call: Spread::of([Some(10.0)]),
            server_cpu_us_per_call: Spread::of([Some(20.0)]),
            ..row("dreammesh-grpc-server", 1.0)
        };
        let tonic = Row {
            client_cpu_us_per_call: Spread::of([Some(1.0)]),
            server_cpu_us_per_call: Spread::of([Some(26.0)]),
            ..row("tonic", 1.0)
        };
        let bar = ALL[0];
        let outcome = |rows: &[Row], side| bar.outcome(side, rows);
        let both = [ours.clone(), tonic.clone()];
        let met = outcome(&both, Side::Server).unwrap();
        assert_eq!((met.got, met.met), (1.3, true));
        assert_eq!(outcome(&both, Side::Client), None);
        assert_eq!(outcome(&both[..1], Side::Server), None);
        let slower = Row {
            server_cpu_us_per_call: Spread::of([Some(20.1)]),
            ..ours
        };
        assert!(!outcome(&[slower, tonic], Side::Server).unwrap().met);
    }
}
