//! What an agent takes and how fast it is, held against what this project aims at.
//!
//! Everything is real: the agent is `dreammesh agent` as a process of its own, programs attach to
//! its socket with the library, and what they call are servers in processes of their own.
//!
//! - `arguments`: what it can be told.
//! - `many`: a hundred services and a hundred programs at one agent.
//! - `calls`: the agent while programs call one another.
//! - `path`: what a call through the mesh takes beyond one to an address.
//! - `first`: from an empty directory to the first call.
//! - `crowd`: programs that are attached; `stage`: agents and servers, in a directory of their own.
//! - `observed`: what the kernel says of a process; `table`: figures and bars.
#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod arguments;
#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod crowd;
#[cfg(target_os = "linux")]
mod first;
#[cfg(target_os = "linux")]
mod many;
#[cfg(target_os = "linux")]
mod observed;
#[cfg(target_os = "linux")]
mod path;
#[cfg(target_os = "linux")]
#[path = "../../../examples/quickstart/src/process.rs"]
#[allow(
    dead_code,
    reason = "the shop kills its processes; those here are told to end"
)]
mod process;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod stage;
#[cfg(target_os = "linux")]
mod table;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use arguments::Arguments;
    let ended = Arguments::read(std::env::args().skip(1)).and_then(|told| match told {
        Arguments::Help => table::print(arguments::HELP).map(|()| true),
        Arguments::Serve(server) => server::run(&server).map(|()| true),
        Arguments::Measure(plan) => measure(&plan),
    });
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("agent-bars: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what was asked for; whether no bar was missed.
#[cfg(target_os = "linux")]
fn measure(plan: &arguments::Plan) -> Result<bool, Box<dyn std::error::Error>> {
    use arguments::Part;
    let program = process::agent_program()?;
    let mut met = true;
    let mut tell = |table: table::Table| {
        met &= table.is_met(plan.busy);
        table::print(&table.to_string())
    };
    for part in &plan.parts {
        match part {
            Part::Many => {
                for told in many::Told::ALL {
                    tell(many::run(&program, told, plan)?)?;
                }
            }
            Part::Calls => tell(calls::run(&program, plan)?)?,
            Part::Path => tell(path::run(&program, plan)?)?,
            Part::First => tell(first::run(&program)?)?,
        }
    }
    Ok(met)
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("agent-bars: what a process takes is asked of Linux");
    ExitCode::FAILURE
}
