//! The commands of the mesh: an agent, and what one asks it.
//!
//! - `agent`: an agent in the foreground.
//! - `register`: a server of any language that is in the mesh while this runs.
//! - `ask`: what the agent of this host is and knows.
//! - `watch`: what becomes of a service.
//! - `attached`: a stream to the agent, made anew whenever it ends.
//! - `options`: the options of all of these.

pub(crate) mod agent;
pub(crate) mod ask;
mod attached;
mod columns;
pub(crate) mod options;
pub(crate) mod register;
pub(crate) mod watch;

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use dreammesh_agent_api::place::{AgentSocket, Directory, Environment};
use dreammesh_core::channel::Channel;
use dreammesh_transport::Connector;

use crate::connection;
use crate::outcome::Failure;

/// A channel to the agent of this host, or to the one that was named.
fn agent(matches: &ArgMatches) -> Result<Channel, Failure> {
    let environment = Environment::read();
    let user = environment.user;
    let sockets = match socket(matches)? {
        Some(path) => vec![AgentSocket::told(path)],
        None => {
            let sockets = environment.sockets();
            sockets.map_err(|error| Failure::input(error.to_string()))?
        }
    };
    let mut reasons = Vec::new();
    for socket in &sockets {
        match found(socket, user) {
            Ok(directory) => {
                let connector = Connector::new().max_message_bytes(connection::MESSAGE_BYTES_MAX);
                let connector = connector.unix_users(directory.users().iter().copied());
                let channel = connector.connect_lazy(&socket.target());
                return channel.map_err(|error| Failure::input(error.to_string()));
            }
            Err(reason) => reasons.push(reason),
        }
    }
    let reasons = reasons.join("; ");
    Err(Failure::new(
        connection::UNAVAILABLE,
        format!("there is no agent ({reasons}): start one with `dreammesh agent`"),
    ))
}

/// The socket of the agent that was named, if one was.
pub(crate) fn socket(matches: &ArgMatches) -> Result<Option<PathBuf>, Failure> {
    let Some(named) = matches.get_one::<String>("agent") else {
        return Ok(None);
    };
    let path = Path::new(named.strip_prefix("unix://").unwrap_or(named));
    match path.is_absolute() {
        true => Ok(Some(path.to_owned())),
        false => Err(Failure::input(format!(
            "--agent {named}: a socket is an absolute path, or unix:///path"
        ))),
    }
}

/// Whether an agent is there that may be believed, and listens.
fn found(socket: &AgentSocket, user: u32) -> Result<Directory, String> {
    let directory = socket.open(user).map_err(|error| error.to_string())?;
    match listens(&socket.path) {
        Ok(()) => Ok(directory),
        Err(error) => Err(format!("`{}`: {error}", socket.path.display())),
    }
}

#[cfg(unix)]
fn listens(path: &Path) -> std::io::Result<()> {
    std::os::unix::net::UnixStream::connect(path).map(|_| ())
}

#[cfg(not(unix))]
fn listens(_: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
