//! The load driver: unary calls per second and CPU per call, ours beside others, on one core.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;

use dreammesh_benches::failure::Failure;
use dreammesh_benches::options::{HELP, Options};
use dreammesh_benches::{process, report};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("load: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let options = Options::from_arguments()?;
    if options.help {
        return print(HELP);
    }
    if let Some(role) = &options.role {
        return process::play(role, &options);
    }
    let report = report::Report::measure(&options)?;
    if options.json {
        print(&report.json()?)
    } else {
        print(&report.table())
    }
}

fn print(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}").map_err(Failure::io("printing"))
}
