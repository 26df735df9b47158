//! Where an agent is: its directory, which it alone may have, its lock, and who may come in.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt,
};
use std::path::{Path, PathBuf};

use dreammesh_agent_api::place::{SOCKET, STATE};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Group, chown, geteuid};

/// A directory in which this agent alone is, for as long as this lives.
#[derive(Debug)]
pub struct Place {
    directory: PathBuf,
    group: Option<Gid>,
    /// Locked; the kernel lets go of it when the process ends, however it does.
    _lock: File,
}

impl Place {
    /// Takes a directory, which is made if it is not there; members of the group may come in.
    ///
    /// # Errors
    /// When it cannot be had: it belongs to somebody else, or an agent runs there.
    pub fn take(directory: &Path, group: Option<&str>) -> Result<Self, PlaceError> {
        let group = group.map(group_of).transpose()?;
        make(directory, group)?;
        let lock = lock(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            group,
            _lock: lock,
        })
    }

    /// Where its socket is.
    pub fn socket(&self) -> PathBuf {
        self.directory.join(SOCKET)
    }

    /// Where its state is.
    pub fn state(&self) -> PathBuf {
        self.directory.join(STATE)
    }

    /// Who may read its state besides its user.
    pub const fn state_mode(&self) -> u32 {
        if self.group.is_some() { 0o640 } else { 0o600 }
    }

    /// Runs what makes the socket so that nobody else can come in before [`Self::open`].
    pub async fn closed<T>(&self, bind: impl Future<Output = T>) -> T {
        let before = umask(Mode::from_bits_truncate(0o177));
        let bound = bind.await;
        umask(before);
        bound
    }

    /// Lets the group in, if there is one.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn open(&self) -> Result<(), PlaceError> {
        let Some(group) = self.group else {
            return Ok(());
        };
        let socket = self.socket();
        let failed = |error| PlaceError::Disk(socket.clone(), error);
        chown(&socket, None, Some(group)).map_err(|error| failed(error.into()))?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o660)).map_err(failed)
    }
}

fn group_of(name: &str) -> Result<Gid, PlaceError> {
    let unknown = || PlaceError::Group(name.to_owned());
    if let Ok(number) = name.parse() {
        return Ok(Gid::from_raw(number));
    }
    let group = Group::from_name(name).map_err(|_| unknown())?;
    group.map(|group| group.gid).ok_or_else(unknown)
}

/// Makes the directory, or looks at whose it is.
fn make(directory: &Path, group: Option<Gid>) -> Result<(), PlaceError> {
    let failed = |error| PlaceError::Disk(directory.to_owned(), error);
    let mode = if group.is_some() { 0o750 } else { 0o700 };
    let made = fs::DirBuilder::new().mode(mode).create(directory);
    let is_new = match made {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(failed(error)),
    };
    // A link could be turned to another directory after it was looked at.
    let found = fs::symlink_metadata(directory).map_err(failed)?;
    let user = geteuid().as_raw();
    if !found.is_dir() || found.uid() != user {
        return Err(PlaceError::Owner {
            directory: directory.to_owned(),
            owner: found.uid(),
            user,
        });
    }
    if found.mode() & 0o022 != 0 && !is_new {
        return Err(PlaceError::Writable(directory.to_owned()));
    }
    if let Some(group) = group.filter(|_| is_new) {
        chown(directory, None, Some(group)).map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

/// Locks the directory against another agent.
fn lock(directory: &Path) -> Result<File, PlaceError> {
    let path = directory.join(LOCK);
    let failed = |error| PlaceError::Disk(path.clone(), error);
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.mode(0o600).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            // The process is only said to help; without it the error stands as well.
            let _ = file.take(16).read_to_string(&mut process);
            return Err(PlaceError::Runs {
                directory: directory.to_owned(),
                process: process.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let note = |file: &mut File| {
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        writeln!(file, "{}", std::process::id())
    };
    // A disk that is full must keep nobody from starting: the lock is had without the note.
    let _ = note(&mut file);
    Ok(file)
}

const LOCK: &str = "agent.lock";

/// Why a directory cannot be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum PlaceError {
    /// An agent runs there.
    Runs {
        /// The directory.
        directory: PathBuf,
        /// Its process, if that is known.
        process: Option<u32>,
    },
    /// It is no directory, or belongs to somebody else.
    Owner {
        /// The directory.
        directory: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who wants it.
        user: u32,
    },
    /// Others may write there, so what is there may be anybody's.
    Writable(PathBuf),
    /// There is no such group.
    Group(String),
    /// Something there cannot be made, read or changed.
    Disk(PathBuf, io::Error),
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runs { directory, process } => {
                f.write_str("an agent runs already")?;
                if let Some(process) = process {
                    write!(f, ", as process {process}")?;
                }
                write!(f, ", in {}", directory.display())
            }
            Self::Owner {
                directory,
                owner,
                user,
            } => write!(
                f,
                "{} is no directory of the user {user}, but of {owner}, or something else",
                directory.display()
            ),
            Self::Writable(directory) => write!(
                f,
                "others may write in {}: take that away from them (chmod go-w)",
                directory.display()
            ),
            Self::Group(name) => write!(f, "there is no group {name:?}"),
            Self::Disk(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for PlaceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Disk(_, error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Desk(PathBuf);

    impl Desk {
        fn new(test: &str) -> Self {
            let name = format!("dreammesh-place-{}-{test}", std::process::id());
            let directory = std::env::temp_dir().join(name);
            fs::create_dir_all(&directory).unwrap();
            Self(directory)
        }
    }

    impl Drop for Desk {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_directory_is_made_for_its_owner_alone_and_had_by_one_agent() {
        let desk = Desk::new("alone");
        let directory = desk.0.join("dreammesh");
        let place = Place::take(&directory, None).unwrap();
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(place.state_mode(), 0o600);
        let second = Place::take(&directory, None).unwrap_err().to_string();
        let process = format!("as process {}", std::process::id());
        assert!(second.contains(&process), "{second}");
        drop(place);
        Place::take(&directory, None).unwrap();
    }

    #[test]
    fn a_group_may_come_in() {
        let desk = Desk::new("group");
        let directory = desk.0.join("dreammesh");
        let own = nix::unistd::getegid().to_string();
        let place = Place::take(&directory, Some(&own)).unwrap();
        assert_eq!(mode(&directory), 0o750);
        fs::write(place.socket(), "").unwrap();
        place.open().unwrap();
        assert_eq!(mode(&place.socket()), 0o660);
        let error = Place::take(&directory, Some("nobody-has-it")).unwrap_err();
        assert!(matches!(error, PlaceError::Group(_)));
    }

    #[test]
    fn a_directory_of_somebody_else_is_left_alone() {
        let desk = Desk::new("owner");
        let writable = desk.0.join("writable");
        fs::create_dir(&writable).unwrap();
        fs::set_permissions(&writable, fs::Permissions::from_mode(0o777)).unwrap();
        let error = Place::take(&writable, None).unwrap_err();
        assert!(matches!(error, PlaceError::Writable(_)));
        let link = desk.0.join("link");
        std::os::unix::fs::symlink(&desk.0, &link).unwrap();
        let error = Place::take(&link, None).unwrap_err();
        assert!(matches!(error, PlaceError::Owner { .. }));
        let file = desk.0.join("file");
        fs::write(&file, "").unwrap();
        let error = Place::take(&file, None).unwrap_err();
        assert!(matches!(error, PlaceError::Owner { .. }));
        if geteuid().is_root() {
            let others = desk.0.join("others");
            fs::create_dir(&others).unwrap();
            chown(&others, Some(7.into()), None).unwrap();
            let error = Place::take(&others, None).unwrap_err();
            assert!(matches!(error, PlaceError::Owner { owner: 7, .. }));
        }
    }
}
