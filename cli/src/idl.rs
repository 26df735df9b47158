//! What is said of schemas: whether they are sound, how they are laid out, what they break.

mod against;
mod git;

use std::path::PathBuf;

use clap::ArgMatches;
use dreammesh_codegen::{Builder, Error, ReportFormat};

use crate::outcome::{FINE, FOUND, Failure, Outcome, note, print};

/// Runs a command about schemas.
pub(crate) fn run(matches: &ArgMatches) -> Outcome {
    match matches.subcommand() {
        Some(("check", matches)) => check(matches),
        Some(("layout", matches)) => layout(matches),
        Some(("breaking", matches)) => breaking(matches),
        _ => Ok(FINE),
    }
}

fn check(matches: &ArgMatches) -> Outcome {
    let warnings = builder(matches).check(files(matches)).map_err(schema)?;
    for warning in warnings.iter() {
        note(&format!("{warning}\n"));
    }
    Ok(FINE)
}

fn layout(matches: &ArgMatches) -> Outcome {
    let report = builder(matches).layouts(files(matches)).map_err(schema)?;
    print(&if matches.get_flag("json") {
        report.to_json()
    } else {
        report.to_string()
    })?;
    Ok(FINE)
}

fn breaking(matches: &ArgMatches) -> Outcome {
    let files = files(matches);
    let old = against::find(matches, &files)?;
    // A revision that does not compile says nothing of what breaks, so it is no finding.
    let report = builder(matches)
        .breaking(&files, &old.builder, &old.files)
        .map_err(|error| Failure::input(error.to_string()))?;
    let report = match matches.get_one::<String>("rules").map(String::as_str) {
        Some("wire") => report.wire_only(),
        _ => report,
    };
    let format = matches.get_one::<String>("format");
    let format = format.and_then(|name| ReportFormat::from_name(name));
    print(&report.to_format(format.unwrap_or_default()))?;
    let lost = matches.get_flag("keep-archives") && report.lost_archives().next().is_some();
    Ok(if lost || !report.changes().is_empty() {
        FOUND
    } else {
        FINE
    })
}

fn files(matches: &ArgMatches) -> Vec<PathBuf> {
    paths(matches, "files")
}

fn builder(matches: &ArgMatches) -> Builder {
    including(&paths(matches, "include"))
}

fn including(directories: &[PathBuf]) -> Builder {
    directories.iter().fold(Builder::new(), Builder::include)
}

fn paths(matches: &ArgMatches, name: &str) -> Vec<PathBuf> {
    let given = matches.get_many::<PathBuf>(name);
    given.into_iter().flatten().cloned().collect()
}

fn schema(error: Error) -> Failure {
    let status = match error {
        Error::Schema(_) | Error::DescriptorSet { .. } => FOUND,
        _ => return Failure::input(error.to_string()),
    };
    Failure::new(status, error.to_string())
}
