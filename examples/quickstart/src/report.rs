//! The table of methods, and the list of what was promised and whether it held.

use std::error::Error;
use std::io::Write as _;

use dreammesh::{Channel, Connect as _};

use crate::processes::Shop;
use crate::proto::current::{CounterList, CountersClient, MethodCounters, ReadCountersRequestArgs};

/// What each of the three services counted, by its own account.
#[derive(Debug)]
pub(crate) struct Counted(Vec<(&'static str, CounterList)>);

impl Counted {
    /// Asks every process.
    pub(crate) async fn read(shop: &Shop) -> Result<Self, Box<dyn Error>> {
        let mut services = Vec::new();
        for (name, process) in shop.processes() {
            let counters = CountersClient::new(Channel::connect(&process.target).await?);
            let list = counters.read(ReadCountersRequestArgs::default()).await?;
            services.push((name, list.into_owned()));
        }
        Ok(Self(services))
    }

    /// The counters of one method; all nought if it was never called.
    pub(crate) fn method(&self, path: &str) -> MethodCounters {
        let mut methods = self.0.iter().flat_map(|(_, list)| &list.methods);
        methods
            .find(|method| method.path == path)
            .cloned()
            .unwrap_or_default()
    }

    /// Prints one line a method.
    pub(crate) fn print(&self) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(
            out,
            "\n{:<30} {:>8} {:>7} {:>9} {:>9} {:>10} {:>10} {:>9} {:>9}",
            "method", "calls", "errors", "p50", "p99", "received", "sent", "archive", "protobuf"
        );
        let methods = self.0.iter().flat_map(|(_, list)| &list.methods);
        // Reading the counters is a call too, but not one of the shop's.
        for method in methods.filter(|method| !method.path.contains("Counters")) {
            let _ = writeln!(
                out,
                "{:<30} {:>8} {:>7} {:>9} {:>9} {:>10} {:>10} {:>9} {:>9}",
                method.path.trim_start_matches("/shop.v1."),
                method.calls,
                method.errors,
                duration(method.p50_us),
                duration(method.p99_us),
                bytes(method.received_bytes),
                bytes(method.sent_bytes),
                method.archive_calls,
                method.protobuf_calls,
            );
        }
        let _ = writeln!(
            out,
            "as the services counted; p50 and p99 are upper bounds\n"
        );
    }
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

fn duration(micros: u64) -> String {
    match micros {
        0 => "-".to_owned(),
        1..1_000 => format!("{micros} µs"),
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
