//! Measures DreamMesh beside other RPC systems, and writes down what came out.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;

use dreammesh_benches::failure::Failure;
use dreammesh_benches::matrix::Matrix;
use dreammesh_benches::options::{HELP, Options};
use dreammesh_benches::process::{self, Role};
use dreammesh_benches::report::Report;

fn main() -> ExitCode {
    match run() {
        Ok(complete) if complete => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("compare: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked for; whether all of it could be measured.
fn run() -> Result<bool, Failure> {
    let options = Options::from_arguments()?;
    if options.help {
        print(HELP)?;
        return Ok(true);
    }
    if let Some(role) = &options.role {
        process::play(&Role::parse(role)?)?;
        return Ok(true);
    }
    if options.list {
        print(&Matrix::of(&options.only).to_string())?;
        return Ok(true);
    }
    let report = Report::measure(&options);
    report.write(&options.out, options.json.as_deref())?;
    print(&report.markdown())?;
    Ok(report.complete())
}

fn print(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}").map_err(Failure::io("printing"))
}
