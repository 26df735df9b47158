//! `dreammesh bench`: calls a method again and again, and says how long the calls take.
//!
//! - `plan`: what the command line asks for, within bounds.
//! - `caller`: one call, of messages that were encoded before.
//! - `drive`: many calls: one after another in so many lanes, or at a rate.
//! - `tally`: what came of them.
//! - `buckets`: latencies in ranges.
//! - `report`: the outcome for people and for scripts.

mod buckets;
mod caller;
mod drive;
mod plan;
mod report;
mod tally;

use std::io::{IsTerminal as _, stderr, stdin, stdout};
use std::sync::Arc;

use clap::ArgMatches;

use crate::connection;
use crate::invocation::{self, Terms};
use crate::outcome::{FINE, FOUND, Failure, Outcome, STATUS_BASE, print};
use crate::terminal::{self, Paint};

pub(crate) use plan::options;

use caller::Caller;
use drive::Drive;
use plan::Plan;
use report::Report;

/// Makes the calls that the command line describes, and reports.
pub(crate) fn run(matches: &ArgMatches) -> Outcome {
    let plan = Plan::read(matches)?;
    let mut builder = if plan.threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = builder.worker_threads(plan.threads).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::input(format!("cannot start: {error}")))?;
    runtime.block_on(bench(matches, &plan))
}

async fn bench(matches: &ArgMatches, plan: &Plan) -> Outcome {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let terms = Terms::read(matches)?;
    let target = text("target").unwrap_or_default();
    let channels = connection::channels(matches, target, plan.connections).await?;
    let found = invocation::find(matches, &channels[0]).await?;
    let requests = match text("data") {
        Some("@") => found.requests(stdin())?,
        data => found.requests(data.unwrap_or_default().as_bytes())?,
    };
    let caller = Arc::new(Caller::new(channels, found.method, terms, requests));
    let shown = stderr().is_terminal();
    let mut ended = true;
    if let Some(warm_up) = plan.warm_up {
        let warming = Drive::new(&caller, plan).only_for(warm_up);
        ended = !warming.run(shown.then_some("warming up")).await.interrupted;
    }
    let mut drive = Drive::new(&caller, plan);
    if !ended {
        drive = drive.not_at_all();
    }
    let tally = drive.run(shown.then_some("")).await;
    let report = Report::new(target, found.method, plan, &tally);
    print(&if matches.get_flag("json") {
        report.to_json()
    } else {
        report.to_text(&Paint::of(matches, &stdout()), terminal::width())
    })?;
    Ok(status(&tally))
}

/// Zero if every call succeeded; a code's own if none did.
fn status(tally: &tally::Tally) -> u8 {
    match tally.failures.iter().max_by_key(|failure| failure.count) {
        None => FINE,
        Some(most) if tally.succeeded == 0 => STATUS_BASE + most.code as u8,
        Some(_) => FOUND,
    }
}
