//! Where the agent of a host is: its directory, its socket, its state.
//!
//! Everything here is a function of an [`Environment`], which [`Environment::read`] alone takes from
//! the process. The agent and those who look for it use the same functions.

use std::fmt;
use std::path::{Path, PathBuf};

pub use directory::{Directory, read_at_most};

mod directory;

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

    /// Where the state is that its agent keeps, beside it.
    pub fn state(&self) -> PathBuf {
        self.path.with_file_name(STATE)
    }

    /// Opens the directory that the socket is in, and looks at whose both are, for `user`.
    ///
    /// Who listens there is asked of the kernel once there is a connection:
    /// [`Directory::users`] says whom to believe.
    ///
    /// # Errors
    /// When there is nothing, or it is not to be believed.
    pub fn open(&self, user: u32) -> Result<Directory, PlaceError> {
        let directory = self.directory(user)?;
        let name = self.path.file_name().unwrap_or_default();
        directory.check_socket(Path::new(name))?;
        Ok(directory)
    }

    /// Reads the state that its agent keeps, if `user` may believe it.
    ///
    /// # Errors
    /// When there is none, it is not to be believed, or has more than that many bytes.
    pub fn read_state(&self, user: u32, bytes_max: usize) -> Result<Vec<u8>, PlaceError> {
        self.directory(user)?.read(STATE, bytes_max)
    }

    fn directory(&self, user: u32) -> Result<Directory, PlaceError> {
        let directory = self.path.parent().unwrap_or_else(|| Path::new("/"));
        Directory::open(directory, self.told, user)
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
    /// The directory is none, or a link to one.
    NoDirectory(PathBuf),
    /// What is there is no file, or a link to one.
    NoFile(PathBuf),
    /// What is there is no socket.
    NotASocketFile(PathBuf),
    /// Others than its owner may write there.
    Writable(PathBuf),
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
            Self::NoDirectory(path) => write!(
                f,
                "`{}` is no directory, or a link to one: name the socket of the agent by where it \
                 is (DREAMMESH_AGENT)",
                path.display()
            ),
            Self::NoFile(path) => write!(f, "`{}` is no file, or a link to one", path.display()),
            Self::NotASocketFile(path) => write!(f, "`{}` is no socket", path.display()),
            Self::Writable(path) => write!(
                f,
                "others than its owner may write `{}`, so what it says may be anybody's: take that \
                 away from them (chmod go-w)",
                path.display()
            ),
            Self::Owner { file, owner, user } => write!(
                f,
                "`{}` belongs to the user {owner}, who is neither {user}, who looks for an agent, \
                 nor root: have it removed, or, if that user is to be believed, name the socket of \
                 the agent (DREAMMESH_AGENT)",
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
    fn the_state_is_beside_the_socket() {
        let socket = AgentSocket::told("/run/dreammesh/agent.sock");
        assert_eq!(socket.state(), Path::new("/run/dreammesh/state"));
    }
}
