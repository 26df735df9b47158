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
    let format = format(matches);
    let checked = builder(matches).check(files(matches));
    absent(matches, checked.as_ref().err())?;
    if format == ReportFormat::Text {
        let warnings = checked.map_err(|error| schema(&error))?;
        for warning in warnings.iter() {
            note(&format!("{warning}\n"));
        }
        return Ok(FINE);
    }
    let (found, status) = match checked {
        Ok(warnings) => (warnings, FINE),
        Err(Error::Schema(faults)) => (faults, FOUND),
        Err(error) => return Err(schema(&error)),
    };
    print(&found.to_format(format))?;
    Ok(status)
}

fn layout(matches: &ArgMatches) -> Outcome {
    let format = match matches.get_flag("json") {
        true => ReportFormat::Json,
        false => format(matches),
    };
    let report = builder(matches).layouts(files(matches));
    absent(matches, report.as_ref().err())?;
    let report = match report {
        Err(Error::Schema(faults)) if format != ReportFormat::Text => {
            print(&faults.to_format(format))?;
            return Ok(FOUND);
        }
        report => report.map_err(|error| schema(&error))?,
    };
    print(&report.to_format(format))?;
    Ok(FINE)
}

/// A schema is not at fault for a file that the command line names and nobody has.
fn absent(matches: &ArgMatches, error: Option<&Error>) -> Result<(), Failure> {
    if !matches!(error, Some(Error::Schema(_))) {
        return Ok(());
    }
    let includes = paths(matches, "include");
    let found = |file: &PathBuf| {
        let mut below = includes.iter().map(|directory| directory.join(file));
        let is_file = |file: &PathBuf| file.exists() && !file.is_dir();
        is_file(file) || below.any(|file| is_file(&file))
    };
    match files(matches).iter().find(|file| !found(file)) {
        Some(file) => Err(Failure::input(format!(
            "there is no file `{}`",
            file.display()
        ))),
        None => Ok(()),
    }
}

fn format(matches: &ArgMatches) -> ReportFormat {
    let format = matches.get_one::<String>("format");
    let format = format.and_then(|name| ReportFormat::from_name(name));
    format.unwrap_or_default()
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
    print(&report.to_format(format(matches)))?;
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

fn schema(error: &Error) -> Failure {
    let status = match error {
        Error::Schema(_) | Error::DescriptorSet { .. } => FOUND,
        _ => return Failure::input(error.to_string()),
    };
    Failure::new(status, error.to_string())
}
