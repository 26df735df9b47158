//! `dreammesh`: what one does with schemas and services from a command line.
//!
//! It is thin: each command reads its arguments, calls a room of the house and writes what that
//! says. What a command means is documented with it in `arguments`, from which help comes too.
//!
//! - `arguments`: the table of commands and options.
//! - `outcome`: how a command ends, and with which exit status.
//! - `idl`: what is said of schemas.
//! - `call`: one call, JSON in and out.
//! - `bench`: many calls, and how long they take.
//! - `invocation`: what these two have in common.
//! - `describe`: what a schema has, as text.
//! - `health`: whether a service can be called.
//! - `reflection`: the schema of a server, asked of it.
//! - `mesh`: an agent, and what one asks it.
//! - `guides`: completions and the manual page, from the table of commands.
//! - `schema`, `layouts`, `json`: messages of types that are known only now.
//! - `terminal`: colours, and how wide it is.
//! - `connection`: the target, and whom to believe there.
#![forbid(unsafe_code)]

mod arguments;
mod bench;
mod call;
mod connection;
mod describe;
mod guides;
mod health;
mod idl;
mod invocation;
mod json;
mod layouts;
mod mesh;
mod outcome;
mod reflection;
mod schema;
mod terminal;

use std::io::stderr;
use std::process::ExitCode;

use crate::outcome::Outcome;
use crate::terminal::Paint;

fn main() -> ExitCode {
    let matches = match arguments::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // A reader that went away, as `head` does, is no failure.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                outcome::USAGE
            } else {
                outcome::FINE
            });
        }
    };
    let ended: Outcome = match matches.subcommand() {
        Some(("idl", matches)) => idl::run(matches),
        Some(("call", matches)) => call::run(matches),
        Some(("bench", matches)) => bench::run(matches),
        Some(("list", matches)) => describe::list(matches),
        Some(("describe", matches)) => describe::run(matches),
        Some(("health", matches)) => health::run(matches),
        Some(("agent", matches)) => mesh::agent::run(matches),
        Some(("register", matches)) => mesh::register::run(matches),
        Some(("status", matches)) => mesh::ask::status(matches),
        Some(("services", matches)) => mesh::ask::services(matches),
        Some(("instances", matches)) => mesh::ask::instances(matches),
        Some(("watch", matches)) => mesh::watch::run(matches),
        Some(("why", matches)) => mesh::ask::why(matches),
        Some(("completions", matches)) => guides::completions(matches),
        Some(("man", _)) => guides::manual(),
        _ => Ok(outcome::FINE),
    };
    match ended {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            failure.report(Paint::of(&matches, &stderr()));
            ExitCode::from(failure.status())
        }
    }
}
