//! What the command line asks for, within bounds.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, value_parser};

use super::buckets::Spacing;
use crate::invocation;
use crate::outcome::Failure;

/// The calls that shall be made.
pub(super) struct Plan {
    /// How many calls are under way at a time, at most.
    pub(super) concurrency: usize,
    pub(super) connections: usize,
    pub(super) threads: usize,
    /// So many calls a second, whatever becomes of them; without it, each lane waits for its own.
    pub(super) rate: Option<f64>,
    pub(super) duration: Option<Duration>,
    pub(super) calls: Option<u64>,
    pub(super) warm_up: Option<Duration>,
    pub(super) timeout: Duration,
    pub(super) spacing: Spacing,
}

/// The options beside those of a call.
pub(crate) fn options() -> [Arg; 8] {
    let number = |name: &'static str, max: i64, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("N")
            .value_parser(value_parser!(u64).range(1..=max as u64))
            .help(help)
    };
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    [
        number(
            "concurrency",
            CONCURRENCY_MAX,
            "Calls under way at a time; 64, with --rate at most 1024",
        ),
        number(
            "connections",
            CONNECTIONS_MAX,
            "Connections that they are spread over; 1 by default",
        ),
        number(
            "threads",
            THREADS_MAX,
            "Threads that make the calls; 1 by default",
        ),
        number("calls", CALLS_MAX, "End after so many calls"),
        text(
            "rate",
            "R",
            "Begin R calls a second, each at its time; latency counts from then",
        ),
        text(
            "duration",
            "TIME",
            "Begin no call after this time; 10s, unless --calls says when to end",
        ),
        text(
            "warm-up",
            "TIME",
            "Make calls for this time first, and do not count them",
        ),
        text("buckets", "SPACING", "How the histogram is divided")
            .value_parser(PossibleValuesParser::new(["log", "linear"]))
            .default_value("log"),
    ]
}

impl Plan {
    pub(super) fn read(matches: &ArgMatches) -> Result<Self, Failure> {
        let number = |name: &str| matches.get_one::<u64>(name).copied();
        let rate = rate(matches)?;
        let calls = number("calls");
        let outstanding = if rate.is_some() {
            CONCURRENCY_AT_RATE
        } else {
            CONCURRENCY
        };
        let connections = number("connections").unwrap_or(1);
        let outstanding = outstanding.max(connections);
        let concurrency = number("concurrency").unwrap_or(outstanding);
        if connections > concurrency {
            let text = "there are more --connections than calls under way (--concurrency)";
            return Err(Failure::input(text));
        }
        let duration = match within(matches, "duration", DURATION_MAX)? {
            None if calls.is_none() => Some(DURATION),
            given => given,
        };
        let linear = matches
            .get_one::<String>("buckets")
            .is_some_and(|name| name == "linear");
        Ok(Self {
            concurrency: concurrency as usize,
            connections: connections as usize,
            threads: number("threads").unwrap_or(1) as usize,
            rate,
            duration,
            calls,
            warm_up: within(matches, "warm-up", DURATION_MAX)?,
            timeout: within(matches, "timeout", TIMEOUT_MAX)?.unwrap_or(TIMEOUT),
            spacing: if linear {
                Spacing::Linear
            } else {
                Spacing::Log
            },
        })
    }
}

fn rate(matches: &ArgMatches) -> Result<Option<f64>, Failure> {
    let Some(text) = matches.get_one::<String>("rate") else {
        return Ok(None);
    };
    let usable = |rate: &f64| (RATE_MIN..=RATE_MAX).contains(rate);
    let read = text.parse().ok().filter(usable);
    let wrong = || {
        let bounds = format!("calls a second between {RATE_MIN} and {RATE_MAX}");
        Failure::input(format!("`{text}` is no rate: write {bounds}"))
    };
    read.ok_or_else(wrong).map(Some)
}

/// Reads an option that is a time and bounded.
fn within(matches: &ArgMatches, name: &str, max: Duration) -> Result<Option<Duration>, Failure> {
    let time = invocation::time(matches, name)?;
    if time.is_some_and(|time| time > max) {
        let text = format!("--{name} is longer than {}s", max.as_secs());
        return Err(Failure::input(text));
    }
    Ok(time)
}

/// As other tools have it, for comparison: enough to keep one connection busy.
const CONCURRENCY: u64 = 64;
/// A server that stops for a second at a thousand calls a second does not hold the next ones back.
const CONCURRENCY_AT_RATE: u64 = 1024;
const DURATION: Duration = Duration::from_secs(10);
/// A call that takes longer than a person would wait has failed.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A lane is a task of a few kilobytes.
const CONCURRENCY_MAX: i64 = 65_536;
/// Half of the descriptors that a program may have by default.
const CONNECTIONS_MAX: i64 = 512;
const THREADS_MAX: i64 = 64;
const CALLS_MAX: i64 = 1_000_000_000_000;
const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);
/// What the histogram tells apart.
pub(super) const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
const RATE_MIN: f64 = 0.001;
const RATE_MAX: f64 = 1_000_000.0;
