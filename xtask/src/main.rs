//! `cargo xtask`: the command that checks everything.
//!
//! `cargo xtask test` runs every check there is, the same ones that CI runs; `--quick` keeps to the
//! part that needs no network and a few minutes. `cargo xtask tidy` holds the walls of the house;
//! `cargo xtask fuzz` is the long fuzz run; `cargo xtask perf` counts instructions.
#![forbid(unsafe_code)]

mod arguments;
mod console;
mod perf;
mod plan;
mod shell;
mod steps;
mod tidy;
mod workspace;

use std::process::ExitCode;

use arguments::Command;

fn main() -> ExitCode {
    let command = match arguments::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(problem) => {
            eprintln!("xtask: {problem}\n\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the command; `Ok(false)` means that it ran and that a check failed.
fn run(command: Command) -> Result<bool, String> {
    let root = workspace::root();
    match command {
        Command::Help => {
            console::say(arguments::USAGE);
            Ok(true)
        }
        Command::Test(options) => Ok(plan::run(&steps::all(&options), &root, &options)),
        Command::Tidy => tidy::run(&root).map(|()| true),
        Command::Perf { bless } => perf::run(&root, bless),
        Command::Fuzz { seconds, target } => {
            steps::fuzz::run(&root, seconds, target.as_deref()).map(|()| true)
        }
    }
}
