//! The tables of phases and methods, and the list of what was promised and whether it held.

use std::error::Error;
use std::io::Write as _;
use std::time::Duration;

use dreammesh::{Channel, Connect as _, MethodSnapshot, Metrics, Side, WireMode};

use crate::phases::Phase;
use crate::process::Process;
use crate::proto::current::{CountersClient, ReadCountersRequestArgs};

/// Prints one line a phase, and below it who answered.
pub(crate) fn print_phases(phases: &[Phase]) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(
        out,
        "\n{:<36} {:>7} {:>7} {:>7} {:>8} {:>9} {:>9}  catalogs that answered",
        "what happened", "calls", "per s", "failed", "resumed", "p50", "p99",
    );
    for phase in phases {
        let shares = phase
            .answers
            .keys()
            .map(|instance| format!("{instance} {} %", phase.share(instance)));
        let _ = writeln!(
            out,
            "{:<36} {:>7} {:>7.0} {:>7} {:>8} {:>9} {:>9}  {}",
            phase.name,
            phase.calls,
            phase.rate(),
            phase.failed,
            phase.resumed,
            duration(phase.quantile(0.5)),
            duration(phase.quantile(0.99)),
            shares.collect::<Vec<_>>().join(", "),
        );
        if let Some(failure) = &phase.failure {
            let _ = writeln!(out, "    the first that failed: {failure}");
        }
    }
    let _ = writeln!(
        out,
        "a call's time runs from when it was due; resumed are lists that were cut short and asked for again"
    );
}

/// Prints one line a method, as the customers' own channels counted.
pub(crate) fn print_methods(metrics: &Metrics) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(
        out,
        "\n{:<22} {:>8} {:>7} {:>9} {:>9} {:>10} {:>10} {:>9} {:>9}",
        "method", "calls", "errors", "p50", "p99", "received", "sent", "archive", "protobuf"
    );
    for method in called(metrics) {
        let quantile = |share| {
            method
                .quantile(share)
                .map_or_else(|| "-".to_owned(), duration)
        };
        let _ = writeln!(
            out,
            "{:<22} {:>8} {:>7} {:>9} {:>9} {:>10} {:>10} {:>9} {:>9}",
            method.path.trim_start_matches("/shop.v1."),
            method.count(),
            method.errors(),
            quantile(0.5),
            quantile(0.99),
            bytes(method.received_bytes),
            bytes(method.sent_bytes),
            method.count_in(WireMode::Archive),
            method.count_in(WireMode::Protobuf),
        );
    }
    let _ = writeln!(
        out,
        "as the customers' channels counted; p50 and p99 are upper bounds, and the errors are NOT_FOUND\n"
    );
}

/// Whether nearly all calls of a method were archives both ways.
pub(crate) fn by_archive(metrics: &Metrics, path: &str) -> bool {
    called(metrics)
        .iter()
        .find(|method| method.path == path)
        .is_some_and(|method| {
            let archive = method.count_in(WireMode::Archive);
            archive > 0 && archive > 9 * method.count_in(WireMode::Protobuf)
        })
}

fn called(metrics: &Metrics) -> Vec<MethodSnapshot> {
    let mut methods = metrics.snapshot();
    methods.retain(|method| method.side == Side::Client);
    methods
}

/// How many calls of a method ended because their deadline had passed, as the processes counted.
pub(crate) async fn overran(
    processes: impl Iterator<Item = &Process>,
    path: &str,
) -> Result<u64, Box<dyn Error>> {
    let mut overran = 0;
    for process in processes {
        let counters = CountersClient::new(Channel::connect(&process.said).await?);
        let list = counters.read(ReadCountersRequestArgs::default()).await?;
        let list = list.view();
        let methods = list.methods().iter().filter(|method| method.path() == path);
        overran += methods
            .map(|method| method.deadline_exceeded())
            .sum::<u64>();
    }
    Ok(overran)
}

/// The promises, and whether each held.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    broken: usize,
}

impl Promises {
    pub(crate) fn check(&mut self, promise: &str, held: bool) {
        self.broken += usize::from(!held);
        let mark = if held { "✓" } else { "✗" };
        let _ = writeln!(std::io::stdout(), "{mark} {promise}");
    }

    pub(crate) const fn all_held(&self) -> bool {
        self.broken == 0
    }
}

pub(crate) fn duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.1} s", micros as f64 / 1e6),
    }
}

fn bytes(count: u64) -> String {
    match count {
        0 => "-".to_owned(),
        1..10_240 => format!("{count} B"),
        10_240..10_485_760 => format!("{} KiB", count >> 10),
        _ => format!("{} MiB", count >> 20),
    }
}
