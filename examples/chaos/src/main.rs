//! Three hosts of a mesh under load, what befalls them, and the comparison of what everybody wrote
//! down meanwhile.
//!
//! Each host is a network namespace with an agent, an instance of each of three services, and a
//! client that calls them all. Instances and agents are killed, stopped and replaced, and hosts are
//! cut off, as a seed says. Every process writes a log; when all is over they are read and compared.
//!
//! - `arguments`: what it can be told.
//! - `schedule`: what happens when; `network`, `cluster`, `drill`: making it happen.
//! - `instance`, `client`, `spy`: the processes that serve and call.
//! - `log`: what they write; `history`: who could be reached when; `compare`, `report`: what comes
//!   of it.
#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod arguments;
#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod cluster;
#[cfg(target_os = "linux")]
mod compare;
#[cfg(target_os = "linux")]
mod drill;
#[cfg(target_os = "linux")]
mod history;
#[cfg(target_os = "linux")]
mod instance;
#[cfg(target_os = "linux")]
mod log;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
#[path = "../../quickstart/src/process.rs"]
mod process;
#[cfg(target_os = "linux")]
mod proto;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod schedule;
#[cfg(target_os = "linux")]
mod spy;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use arguments::Arguments;
    let ended = Arguments::read(std::env::args().skip(1)).and_then(|told| match told {
        Arguments::Drill(plan) => drill::run(&plan),
        Arguments::Compare(directory) => report::of(&directory),
        Arguments::Instance(instance) => instance::run(&instance).map(|()| true),
        Arguments::Client(client) => client::run(&client).map(|()| true),
    });
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("chaos: the hosts are network namespaces, which are Linux's alone");
    ExitCode::FAILURE
}
