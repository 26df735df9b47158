//! Where the agent of a host is: its directory, its socket, its state.
//!
//! Everything here is a function of an [`Environment`], which [`Environment::read`] alone takes from
//! the process. The agent and those who look for it use the same functions.

use std::fmt;
use std::path::{Path, PathBuf};

/// What of a process's surroundings says where things are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Environment {
    /// The user that the process runs as.
    pub user: u32,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_directory: Option<PathBuf>,
    /// `TMPDIR`.
    pub temporary_directory: Option<PathBuf>,
    /// `DREAMMESH_AGENT`: the socket of the agent, as `unix:///path`.
    pub agent: Option<String>,
    /// `DREAMMESH_SERVICES`: a file of services that takes the agent's place.
    pub services: Option<PathBuf>,
    /// `DREAMMESH_ADVERTISE`: where others reach servers of this process.
    pub advertise: Option<String>,
}

impl Environment {
    /// That of this process; a variable that is empty counts as not set.
    pub fn read() -> Self {
        let text = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let path = |name| {
            let path = std::env::var_os(name).filter(|path| !path.is_empty());
            path.map(PathBuf::from)
        };
        Self {
            user: user(),
            runtime_directory: path("XDG_RUNTIME_DIR"),
            temporary_directory: path("TMPDIR"),
            agent: text("DREAMMESH_AGENT"),
            services: path("DREAMMESH_SERVICES"),
            advertise: text("DREAMMESH_ADVERTISE"),
        }
    }

    /// The directory of this user's agent: below the user's runtime directory if there is one, of
    /// root's in `/run`, of others' below the directory of temporary files, by the user's number.
    pub fn directory(&self) -> PathBuf {
        match &self.runtime_directory {
            Some(directory) if directory.is_absolute() => directory.join("dreammesh"),
            _ if self.user == ROOT => PathBuf::from(SYSTEM_DIRECTORY),
            _ => {
                let directory = self.temporary_directory.as_deref();
                let directory = directory.filter(|directory| directory.is_absolute());
                let directory = directory.unwrap_or_else(|| Path::new("/tmp"));
                directory.join(format!("dreammesh-{}", self.user))
            }
        }
    }

    /// The sockets at which this process looks for its agent, in this order.
    ///
    /// What `DREAMMESH_AGENT` says is the only one. Otherwise it is the agent of this user, and then
    /// that of the system.
    ///
    /// # Errors
    /// When `DREAMMESH_AGENT` is not `unix:///path`.
    pub fn sockets(&self) -> Result<Vec<AgentSocket>, PlaceError> {
        if let Some(said) = &self.agent {
            let path = said.strip_prefix("unix://").map(PathBuf::from);
            return match path.filter(|path| path.is_absolute()) {
                Some(path) => Ok(vec![AgentSocket { path, told: true }]),
                None => Err(PlaceError::NotASocket(said.clone())),
            };
        }
        let own = self.directory();
        let mut directories = vec![own];
        if directories[0] != Path::new(SYSTEM_DIRECTORY) {
            directories.push(PathBuf::from(SYSTEM_DIRECTORY));
        }
        let sockets = directories.into_iter().map(|directory| AgentSocket {
            path: directory.join(SOCKET),
            told: false,
        });
        Ok(sockets.collect())
    }
}

/// A socket at which an agent may be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgentSocket {
    /// Its path.
    pub path: PathBuf,
    /// Whether the user named it, and with it the directory that it is in.
    pub told: bool,
}

impl AgentSocket {
    /// One that the user named.
    pub fn told(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            told: true,
        }
    }

    /// What a channel to it is connected to.
    pub fn target(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// The state that its agent keeps, beside it.
    pub fn state(&self) -> PathBuf {
        self.path.with_file_name(STATE)
    }

    /// Whether a file that belongs to `owner` may be believed by `user`: it is the user's own or
    /// root's, or belongs to whom the directory does that the user named.
    pub const fn is_trusted(&self, owner: u32, of_directory: Option<u32>, user: u32) -> bool {
        let of_told_directory = match of_directory {
            Some(of_directory) => self.told && owner == of_directory,
            None => false,
        };
        owner == user || owner == ROOT || of_told_directory
    }

    /// Checks on disk that what is there may be believed by `user`.
    ///
    /// # Errors
    /// When there is nothing, or it belongs to somebody else.
    #[cfg(unix)]
    pub fn check(&self, file: &Path, user: u32) -> Result<(), PlaceError> {
        use std::os::unix::fs::MetadataExt;

        let absent = |error| PlaceError::Absent(file.to_owned(), error);
        let owner = std::fs::metadata(file).map_err(absent)?.uid();
        let directory = file.parent().and_then(|it| std::fs::metadata(it).ok());
        let of_directory = directory.map(|directory| directory.uid());
        match self.is_trusted(owner, of_directory, user) {
            true => Ok(()),
            false => Err(PlaceError::Owner {
                file: file.to_owned(),
                owner,
                user,
            }),
        }
    }

    /// Checks on disk that there is something.
    ///
    /// # Errors
    /// When there is nothing.
    #[cfg(not(unix))]
    pub fn check(&self, file: &Path, _: u32) -> Result<(), PlaceError> {
        let absent = |error| PlaceError::Absent(file.to_owned(), error);
        std::fs::metadata(file).map(|_| ()).map_err(absent)
    }
}

/// Why there is no agent to look for at some place.
#[derive(Debug)]
#[non_exhaustive]
pub enum PlaceError {
    /// What `DREAMMESH_AGENT` says names no socket.
    NotASocket(String),
    /// Nothing is there, or it cannot be looked at.
    Absent(PathBuf, std::io::Error),
    /// What is there belongs to somebody else.
    Owner {
        /// What is there.
        file: PathBuf,
        /// To whom it belongs.
        owner: u32,
        /// Who looks.
        user: u32,
    },
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotASocket(said) => write!(
                f,
                "DREAMMESH_AGENT is `{said}`, which is not of the form `unix:///path`"
            ),
            Self::Absent(file, error) => write!(f, "`{}`: {error}", file.display()),
            Self::Owner { file, owner, user } => write!(
                f,
                "`{}` belongs to the user {owner}, who is neither {user}, who looks for an agent, \
                 nor root",
                file.display()
            ),
        }
    }
}

impl std::error::Error for PlaceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Absent(_, error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(unix)]
fn user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

#[cfg(not(unix))]
fn user() -> u32 {
    ROOT
}

const ROOT: u32 = 0;
/// Where the agent of the system is.
const SYSTEM_DIRECTORY: &str = "/run/dreammesh";
/// What an agent's socket is called in its directory.
pub const SOCKET: &str = "agent.sock";
/// What an agent's state is called in its directory.
pub const STATE: &str = "state";

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: u32, runtime: Option<&str>, temporary: Option<&str>) -> Environment {
        Environment {
            user,
            runtime_directory: runtime.map(Into::into),
            temporary_directory: temporary.map(Into::into),
            ..Environment::default()
        }
    }

    #[test]
    fn the_directory_is_the_users_own() {
        for (environment, directory) in [
            (of(7, Some("/run/user/7"), None), "/run/user/7/dreammesh"),
            (of(0, Some("/run/user/0"), None), "/run/user/0/dreammesh"),
            (of(0, None, Some("/var/tmp")), "/run/dreammesh"),
            (of(7, None, Some("/var/tmp")), "/var/tmp/dreammesh-7"),
            (of(7, None, None), "/tmp/dreammesh-7"),
            // What is relative would be another directory in each process.
            (of(7, Some("run"), Some("tmp")), "/tmp/dreammesh-7"),
        ] {
            assert_eq!(environment.directory(), Path::new(directory));
        }
    }

    #[test]
    fn an_agent_is_looked_for_where_one_is_told_or_at_the_users_and_the_systems() {
        let paths = |environment: &Environment| {
            let sockets = environment.sockets().unwrap();
            let paths = sockets.into_iter().map(|socket| socket.target());
            paths.collect::<Vec<_>>()
        };
        let mut environment = of(7, None, None);
        let own = "unix:///tmp/dreammesh-7/agent.sock";
        let system = "unix:///run/dreammesh/agent.sock";
        assert_eq!(paths(&environment), [own, system]);
        assert_eq!(paths(&of(0, None, None)), [system]);
        environment.agent = Some("unix:///a/b".into());
        assert_eq!(paths(&environment), ["unix:///a/b"]);
        for wrong in ["/a/b", "unix://a", "unix://", "dreammesh+tcp://a:1"] {
            environment.agent = Some(wrong.into());
            let error = environment.sockets().unwrap_err().to_string();
            assert!(
                error.contains(wrong) && error.contains("unix:///path"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_socket_of_somebody_else_is_not_believed() {
        let found = AgentSocket {
            path: "/tmp/x".into(),
            told: false,
        };
        assert!(found.is_trusted(7, None, 7) && found.is_trusted(0, Some(9), 7));
        assert!(!found.is_trusted(9, Some(9), 7));
        let told = AgentSocket::told("/srv/x");
        assert!(told.is_trusted(9, Some(9), 7));
        assert!(!told.is_trusted(9, Some(8), 7) && !told.is_trusted(9, None, 7));
    }

    #[test]
    fn the_state_is_beside_the_socket() {
        let socket = AgentSocket::told("/run/dreammesh/agent.sock");
        assert_eq!(socket.state(), Path::new("/run/dreammesh/state"));
    }
}
