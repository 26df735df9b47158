//! The bars that DreamMesh sets itself, and how far the measured rows reach.
//!
//! Nothing here is a result: a bar whose rows were not measured in a run has no outcome.

use crate::report::Row;
use crate::report::statistics::Spread;

/// One aim.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Bar {
    /// What is measured, and where.
    pub what: &'static str,
    ours: At,
    against: Against,
    /// What of the rows is compared.
    figure: Figure,
    needed: Needed,
}

/// Which row of ours; the transport, the workload with its numbers, and the setting.
type At = (&'static str, &'static str, usize, usize, &'static str);

/// What our row is compared with.
#[derive(Clone, Copy, Debug)]
enum Against {
    /// The same row of another system.
    System(&'static str),
    /// The same row of another system over another transport.
    SystemOver(&'static str, &'static str),
    /// Another workload of our own, otherwise the same.
    Workload(&'static str),
    /// Nothing: the figure itself counts.
    Itself,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    CallsPerSecond,
    P50,
    P99,
    ServerKibPerConnection,
}

#[derive(Clone, Copy, Debug)]
enum Needed {
    AtLeast(f64),
    AtMost(f64),
}

const ONE: &str = "one-core";
const MULTI: &str = "multi-thread";
const TCP: &str = "tcp";
const UNIX: &str = "unix";
const TLS: &str = "tls";
const QUIC: &str = "quic";
const H2: &str = "h2";

/// Calls per second of ours over those of another system.
const fn times(what: &'static str, system: &'static str, least: f64, ours: At) -> Bar {
    Bar {
        what,
        ours,
        against: Against::System(system),
        figure: Figure::CallsPerSecond,
        needed: Needed::AtLeast(least),
    }
}

/// A latency of ours over another, which is to be small.
const fn latency(what: &'static str, figure: Figure, against: Against, most: f64, ours: At) -> Bar {
    Bar {
        what,
        ours,
        against,
        figure,
        needed: Needed::AtMost(most),
    }
}

/// Every bar.
pub const ALL: &[Bar] = &[
    times(
        "64B, 64 outstanding",
        "tonic",
        15.0,
        (TCP, "64B", 64, 1, ONE),
    ),
    times(
        "64B, 64 outstanding",
        "tonic",
        15.0,
        (UNIX, "64B", 64, 1, ONE),
    ),
    times(
        "order, 64 outstanding",
        "tonic",
        10.0,
        (TCP, "order-1KiB", 64, 1, ONE),
    ),
    times(
        "order, 64 outstanding",
        "tonic",
        10.0,
        (UNIX, "order-1KiB", 64, 1, ONE),
    ),
    times(
        "64B, 64 outstanding",
        "tarpc",
        3.5,
        (TCP, "64B", 64, 1, ONE),
    ),
    times(
        "order, 64 outstanding",
        "tarpc",
        3.5,
        (TCP, "order-1KiB", 64, 1, ONE),
    ),
    Bar {
        what: "64B, 64 outstanding, in a tunnel",
        against: Against::SystemOver("tonic", TCP),
        ..times("", "tonic", 10.0, (H2, "64B", 64, 1, ONE))
    },
    Bar {
        what: "order, 64 outstanding, in a tunnel",
        against: Against::SystemOver("tonic", TCP),
        ..times("", "tonic", 6.0, (H2, "order-1KiB", 64, 1, ONE))
    },
    Bar {
        what: "resident memory of an idle tunnel, server side",
        ours: (H2, "idle", 0, 1000, ONE),
        against: Against::Itself,
        figure: Figure::ServerKibPerConnection,
        needed: Needed::AtMost(32.0),
    },
    Bar {
        what: "64B, 64 outstanding, over QUIC",
        against: Against::SystemOver("tonic", TLS),
        ..times("", "tonic", 8.0, (QUIC, "64B", 64, 1, ONE))
    },
    Bar {
        what: "order, 64 outstanding, over QUIC",
        against: Against::SystemOver("tonic", TLS),
        ..times("", "tonic", 4.0, (QUIC, "order-1KiB", 64, 1, ONE))
    },
    times(
        "64B, 64 outstanding",
        "quinn-stream-per-call",
        1.6,
        (QUIC, "64B", 64, 1, ONE),
    ),
    times(
        "1 MiB, 8 outstanding",
        "quinn-stream-per-call",
        0.85,
        (QUIC, "1MiB", 8, 1, ONE),
    ),
    Bar {
        what: "resident memory of an idle connection over QUIC, server side",
        ours: (QUIC, "idle", 0, 1000, ONE),
        against: Against::Itself,
        figure: Figure::ServerKibPerConnection,
        needed: Needed::AtMost(48.0),
    },
    times(
        "64B, handler yields once",
        "tonic",
        8.0,
        (TCP, "64B-yields", 64, 1, ONE),
    ),
    times(
        "64B, one call on each of 200 connections",
        "tonic",
        3.0,
        (TCP, "64B", 200, 200, ONE),
    ),
    latency(
        "64B, 1 outstanding, p50",
        Figure::P50,
        Against::System("echo"),
        1.25,
        (TCP, "64B", 1, 1, ONE),
    ),
    times(
        "1 MiB, 8 outstanding",
        "echo",
        0.85,
        (TCP, "1MiB", 8, 1, ONE),
    ),
    times(
        "1 MiB, 8 outstanding",
        "tonic",
        2.5,
        (TCP, "1MiB", 8, 1, ONE),
    ),
    times(
        "64B, 64 outstanding",
        "tonic",
        8.0,
        (TCP, "64B", 64, 1, MULTI),
    ),
    times(
        "64B, 64 outstanding on 4 connections",
        "tonic",
        8.0,
        (TCP, "64B", 64, 4, MULTI),
    ),
    latency(
        "open loop at half of tonic's capacity, p99",
        Figure::P99,
        Against::System("tonic"),
        0.5,
        (TCP, "64B-open-tonic-50", 0, 1, MULTI),
    ),
    Bar {
        what: "resident memory of an idle connection, server side",
        ours: (TCP, "idle", 0, 1000, ONE),
        against: Against::Itself,
        figure: Figure::ServerKibPerConnection,
        needed: Needed::AtMost(16.0),
    },
    times(
        "64B, 64 outstanding",
        "tonic",
        12.0,
        (TLS, "64B", 64, 1, ONE),
    ),
    times(
        "order, 64 outstanding",
        "tonic",
        8.0,
        (TLS, "order-1KiB", 64, 1, ONE),
    ),
    times(
        "1 MiB, 8 outstanding",
        "echo",
        0.85,
        (TLS, "1MiB", 8, 1, ONE),
    ),
    Bar {
        what: "resident memory of an idle connection, server side",
        ours: (TLS, "idle", 0, 1000, ONE),
        against: Against::Itself,
        figure: Figure::ServerKibPerConnection,
        needed: Needed::AtMost(24.0),
    },
    latency(
        "p99 of the others while 1 % of calls sleep 5 ms",
        Figure::P99,
        Against::Workload("64B-open-tonic-50"),
        1.5,
        (TCP, "64B-open-tonic-50-sleep", 0, 1, MULTI),
    ),
    latency(
        "p99 of the others while 1 % of calls compute 1 ms",
        Figure::P99,
        Against::System("tonic"),
        1.0,
        (TCP, "64B-open-tonic-50-compute", 0, 1, MULTI),
    ),
];

/// How far one of our systems reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// The figure, or the ratio.
    pub got: f64,
    /// The ratio by CPU time per call, where calls per second are compared on one core: other
    /// users of the machine slow calls down, but leave their CPU time alone.
    pub by_cpu: Option<f64>,
    /// Whether that is enough.
    pub met: bool,
}

impl Bar {
    /// What the bar compares with.
    #[must_use]
    pub const fn against(&self) -> &'static str {
        match self.against {
            Against::System(system) | Against::SystemOver(system, _) => system,
            Against::Workload(_) => "without them",
            Against::Itself => "",
        }
    }

    /// Over which transport, and in which setting.
    #[must_use]
    pub const fn place(&self) -> (&'static str, &'static str) {
        (self.ours.0, self.ours.4)
    }

    /// What is needed, with its unit.
    #[must_use]
    pub fn needed(&self) -> String {
        let unit = self.unit();
        match self.needed {
            Needed::AtLeast(least) => format!("at least {least}{unit}"),
            Needed::AtMost(most) => format!("at most {most}{unit}"),
        }
    }

    /// A figure of this bar, with its unit.
    #[must_use]
    pub fn said(&self, figure: f64) -> String {
        let precise = if figure >= 10.0 { 1 } else { 2 };
        format!("{figure:.precise$}{}", self.unit())
    }

    const fn unit(&self) -> &'static str {
        match self.against {
            Against::Itself => " KiB",
            _ => "×",
        }
    }

    /// What a system of ours reaches, if this run measured all that it takes.
    #[must_use]
    pub fn outcome(&self, system: &str, rows: &[Row]) -> Option<Outcome> {
        let (own, ..) = self.ours;
        let find = |system: &str, transport: &str, workload: &str| {
            let (_, _, concurrency, connections, pinning) = self.ours;
            let at = (transport, workload, concurrency, connections, pinning);
            rows.iter()
                .find(|row| row.system == system && row.at() == at)
        };
        let ours = find(system, own, self.ours.1)?;
        let other = match self.against {
            Against::System(other) => Some(find(other, own, self.ours.1)?),
            Against::SystemOver(other, transport) => Some(find(other, transport, self.ours.1)?),
            Against::Workload(other) => Some(find(system, own, other)?),
            Against::Itself => None,
        };
        let over = |figure: &dyn Fn(&Row) -> Option<Spread>| {
            let divisor = other.map_or(Some(1.0), |other| Some(figure(other)?.median))?;
            Some(figure(ours)?.median / divisor)
        };
        let got = over(&|row| self.figure.of(row))?;
        let on_one = self.figure == Figure::CallsPerSecond && self.ours.4 == ONE;
        let by_cpu = over(&|row| row.cpu_us_per_call).filter(|_| on_one);
        Some(Outcome {
            got,
            by_cpu: by_cpu.map(f64::recip),
            met: match self.needed {
                Needed::AtLeast(least) => got >= least,
                Needed::AtMost(most) => got <= most,
            },
        })
    }
}

impl Figure {
    const fn of(self, row: &Row) -> Option<Spread> {
        match self {
            Self::CallsPerSecond => row.calls_per_s,
            Self::P50 => row.p50_us,
            Self::P99 => row.p99_us,
            Self::ServerKibPerConnection => row.server_kib_per_connection,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pinning::Pinning;
    use crate::report::row::tests::row;
    use crate::transport::Transport;
    use crate::workload::Workload;

    #[test]
    fn every_bar_refers_to_what_is_measured_by_default() {
        for bar in ALL {
            let (transport, workload, concurrency, connections, pinning) = bar.ours;
            let other = match bar.against {
                Against::Workload(other) => other,
                _ => workload,
            };
            for workload in [workload, other] {
                let found = Workload::parse(&format!("{workload}/{concurrency}/{connections}"));
                let in_settings = found.unwrap().pinnings.iter().copied();
                assert!(
                    in_settings.map(Pinning::name).any(|p| p == pinning),
                    "{bar:?}"
                );
            }
            assert!(
                Transport::ALL.iter().any(|t| t.name() == transport),
                "{bar:?}"
            );
        }
    }

    #[test]
    fn a_bar_is_met_or_missed_by_the_medians() {
        let bar = ALL[0];
        let outcome = |ours: f64| {
            let rows = [row("dreammesh", ours), row("tonic", 10.0)];
            bar.outcome("dreammesh", &rows).unwrap()
        };
        assert_eq!((outcome(150.0).got, outcome(150.0).met), (15.0, true));
        assert!(!outcome(149.9).met);
        assert_eq!(bar.needed(), "at least 15×");
    }

    #[test]
    fn a_bar_without_its_rows_has_no_outcome() {
        let bar = ALL[0];
        assert_eq!(bar.outcome("dreammesh", &[row("dreammesh", 1.0)]), None);
        assert_eq!(bar.outcome("dreammesh", &[row("tonic", 1.0)]), None);
    }

    #[test]
    fn a_latency_is_to_be_small() {
        let bar = ALL.iter().find(|bar| bar.figure == Figure::P50).unwrap();
        let at = |system: &'static str, p50: f64| Row {
            concurrency: 1,
            p50_us: Spread::of([Some(p50)]),
            ..row(system, 1.0)
        };
        let outcome = |ours: f64| {
            let rows = [at("dreammesh", ours), at("echo", 8.0)];
            bar.outcome("dreammesh", &rows).unwrap()
        };
        assert!(outcome(10.0).met);
        assert!(!outcome(10.1).met);
        assert_eq!(outcome(10.0).by_cpu, None);
    }
}
