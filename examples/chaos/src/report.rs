//! The tables, and what was promised with a mark for each promise that held.

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::cluster::EVENTS;
use crate::compare::{Findings, Logs, Wrong, compare};
use crate::log::{Method, read};
use crate::spy::LOOK;

/// Compares the logs in a directory, prints what comes of it, and says whether nothing is wrong.
pub(crate) fn of(directory: &Path) -> Result<bool, Box<dyn Error>> {
    let findings = compare(&gather(directory)?)?;
    print(&findings)?;
    Ok(findings.are_fine())
}

fn gather(directory: &Path) -> Result<Logs, Box<dyn Error>> {
    let mut logs = Logs::default();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.and_then(|name| name.strip_suffix(".log")) else {
            continue;
        };
        let lines = read(&path)?;
        if path.ends_with(EVENTS) {
            logs.events = lines;
        } else if let Some(host) = name.strip_prefix("client-") {
            logs.clients.insert(host.parse()?, lines);
        } else {
            logs.instances.insert(name.to_owned(), lines);
        }
    }
    match logs.events.is_empty() {
        true => Err(format!("{} has no {EVENTS}", directory.display()).into()),
        false => Ok(logs),
    }
}

fn print(findings: &Findings) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let counts = findings
        .counts
        .iter()
        .map(|(what, count)| format!("{what}: {count}"));
    writeln!(out, "\n{}", counts.collect::<Vec<_>>().join("; "))?;
    writeln!(out, "calls a second: {:.0}\n", findings.rate)?;
    writeln!(
        out,
        "{:<8} {:<16} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "method", "", "answered", "failed", "unbegun", "resumed", "longest"
    )?;
    for (method, tally) in &findings.tallies {
        writeln!(
            out,
            "{:<8} {:<16} {:>9} {:>9} {:>9} {:>9} {:>9}",
            method.name(),
            kind(*method),
            tally.answered,
            tally.failed,
            tally.not_begun,
            tally.resumed,
            seconds(tally.longest),
        )?;
    }
    writeln!(
        out,
        "failed are calls that may have begun, unbegun those that had not; resumed are lists that their callers asked for again\n"
    )?;
    writeln!(
        out,
        "{:<10} {:<8} {:>8} {:>20}",
        "instances", "agents", "outages", "still given calls"
    )?;
    for ((what, agents_well), in_vain) in &findings.in_vain {
        let agents = if *agents_well { "well" } else { "out too" };
        let (outages, longest) = (in_vain.outages, seconds(in_vain.longest));
        let by = match in_vain.by.is_empty() {
            true => String::new(),
            false => format!("by {}", in_vain.by),
        };
        writeln!(
            out,
            "{what:<10} {agents:<8} {outages:>8} {longest:>20}  {by}"
        )?;
    }
    writeln!(
        out,
        "the longest time after each began, looked at every {} ms; an outage is counted for each client\n",
        LOOK.as_millis()
    )?;
    for wrong in Wrong::ALL {
        let found = findings.wrong.get(&wrong).map_or(&[][..], |found| found);
        let mark = if found.is_empty() { "✓" } else { "✗" };
        writeln!(out, "{mark} {}: {}", promise(wrong), found.len())?;
        for what in found.iter().take(SHOWN_MAX) {
            writeln!(out, "    {what}")?;
        }
    }
    Ok(())
}

const fn kind(method: Method) -> &'static str {
    match method {
        Method::Look => "no side effects",
        Method::Put => "idempotent",
        Method::Add => "at most once",
        Method::List => "many answers",
    }
}

const fn promise(wrong: Wrong) -> &'static str {
    match wrong {
        Wrong::IdempotentFailed => {
            "idempotent calls that failed though somebody could have served them"
        }
        Wrong::NotBegunFailed => {
            "calls that had not begun and failed though somebody could have served them"
        }
        Wrong::RanTwice => "calls to be run at most once that ran more often",
        Wrong::NeverRan => "calls that were answered by who did not run them",
        Wrong::RanUnbegun => "calls that had not begun, it was said, and had",
        Wrong::Lost => "calls that one side knows and the other does not",
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

/// How many examples are shown of what is wrong.
const SHOWN_MAX: usize = 5;
