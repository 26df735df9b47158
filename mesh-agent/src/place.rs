//! Where an agent is: its directory, which it alone may have, its lock, and who may come in.
//!
//! The directory is opened once, and all else is done within what was opened, so that nobody can
//! put another in its place in between. What the group may do is set as it has to be, whatever the
//! umask is and whatever was there before: it may enter the directory, connect to the socket and
//! read the state, for programs that start without an agent; it may not read the lock, since
//! whoever can open that can also hold it.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dreammesh_agent_api::place::{SOCKET, STATE};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{
    FchmodatFlags, FileStat, Mode, SFlag, fchmod, fchmodat, fstat, fstatat, lstat, umask,
};
use nix::unistd::{Gid, Group, fchown, fchownat, geteuid};

use crate::state::StateFile;

/// A directory in which this agent alone is, for as long as this lives.
#[derive(Debug)]
pub struct Place {
    directory: PathBuf,
    opened: Arc<OwnedFd>,
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
        let opened = make(directory, group)?;
        let lock = lock(directory, &opened)?;
        Ok(Self {
            directory: directory.to_owned(),
            opened: Arc::new(opened),
            group,
            _lock: lock,
        })
    }

    /// Where its socket is.
    pub fn socket(&self) -> PathBuf {
        self.directory.join(SOCKET)
    }

    /// Where its state is, which the group may read.
    pub fn state(&self) -> StateFile {
        let directory = Arc::clone(&self.opened);
        StateFile::within(directory, self.directory.join(STATE), self.group)
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
    /// When the socket is not in the directory that was taken, or the system does not allow it.
    pub fn open(&self) -> Result<(), PlaceError> {
        let socket = self.socket();
        let failed = |error: Errno| PlaceError::Disk(socket.clone(), error.into());
        let found = fstatat(&self.opened, SOCKET, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(failed)?;
        // It was made by its path, which may lead elsewhere by now.
        let by_name = lstat(&socket).map_err(failed)?;
        let is_same = (found.st_ino, found.st_dev) == (by_name.st_ino, by_name.st_dev);
        let kind = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT;
        if !is_same || kind != SFlag::S_IFSOCK || found.st_uid != geteuid().as_raw() {
            return Err(PlaceError::Moved(self.directory.clone()));
        }
        let mode = match self.group {
            None => 0o600,
            Some(group) => {
                let no_follow = AtFlags::AT_SYMLINK_NOFOLLOW;
                fchownat(&self.opened, SOCKET, None, Some(group), no_follow)
                    .map_err(|error| given_away(&socket, group, error))?;
                0o660
            }
        };
        // Nobody else can put a link there, which this would follow.
        let mode = Mode::from_bits_truncate(mode);
        let follow = FchmodatFlags::FollowSymlink;
        fchmodat(&self.opened, SOCKET, mode, follow).map_err(failed)
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

/// Makes the directory if there is none, and opens it if it is this user's.
fn make(directory: &Path, group: Option<Gid>) -> Result<OwnedFd, PlaceError> {
    let failed = |error: Errno| PlaceError::Disk(directory.to_owned(), error.into());
    check_parent(directory)?;
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(PlaceError::Disk(directory.to_owned(), error));
        }
        _ => {}
    }
    // A link could be turned to another directory after it was looked at.
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = match openat(AT_FDCWD, directory, flags, Mode::empty()) {
        Err(Errno::ENOTDIR | Errno::ELOOP) => {
            return Err(PlaceError::NoDirectory(directory.to_owned()));
        }
        // Of somebody else's that cannot be opened it is still said whose it is.
        Err(Errno::EACCES) => {
            let found = fs::symlink_metadata(directory);
            let found = found.map_err(|error| PlaceError::Disk(directory.to_owned(), error))?;
            check_owner(directory, found.uid())?;
            return Err(failed(Errno::EACCES));
        }
        opened => opened.map_err(failed)?,
    };
    let found = fstat(&opened).map_err(failed)?;
    check_owner(directory, found.st_uid)?;
    if mode_of(&found).intersects(Mode::S_IWGRP | Mode::S_IWOTH) {
        return Err(PlaceError::Writable(directory.to_owned()));
    }
    if let Some(group) = group {
        admit(directory, &opened, &found, group)?;
    }
    Ok(opened)
}

fn check_owner(directory: &Path, owner: u32) -> Result<(), PlaceError> {
    let user = geteuid().as_raw();
    match owner == user {
        true => Ok(()),
        false => Err(PlaceError::Owner {
            directory: directory.to_owned(),
            owner,
            user,
        }),
    }
}

/// Looks at the directory above: where everybody may rename everything, nothing is anybody's.
fn check_parent(directory: &Path) -> Result<(), PlaceError> {
    let Some(parent) = directory.parent() else {
        return Ok(());
    };
    let found = fs::metadata(parent);
    let found = found.map_err(|error| PlaceError::Disk(parent.to_owned(), error))?;
    let (others_write, is_sticky) = (found.mode() & 0o002 != 0, found.mode() & 0o1000 != 0);
    match others_write && !is_sticky {
        true => Err(PlaceError::Parent(parent.to_owned())),
        false => Ok(()),
    }
}

/// Lets a group enter a directory, if it cannot yet.
fn admit(
    directory: &Path,
    opened: &OwnedFd,
    found: &FileStat,
    group: Gid,
) -> Result<(), PlaceError> {
    let mode = mode_of(found);
    if found.st_gid != group.as_raw() {
        fchown(opened, None, Some(group)).map_err(|error| given_away(directory, group, error))?;
    }
    let failed = |error: Errno| PlaceError::Disk(directory.to_owned(), error.into());
    fchmod(opened, mode | Mode::S_IRGRP | Mode::S_IXGRP).map_err(failed)
}

fn given_away(path: &Path, group: Gid, error: Errno) -> PlaceError {
    match error {
        Errno::EPERM => PlaceError::NotAMember(path.to_owned(), group.as_raw()),
        error => PlaceError::Disk(path.to_owned(), error.into()),
    }
}

fn mode_of(found: &FileStat) -> Mode {
    Mode::from_bits_truncate(found.st_mode)
}

/// Locks the directory against another agent.
fn lock(directory: &Path, opened: &OwnedFd) -> Result<File, PlaceError> {
    let path = directory.join(LOCK);
    let failed = |error| PlaceError::Disk(path.clone(), error);
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let own = Mode::from_bits_truncate(0o600);
    let file = openat(opened.as_fd(), LOCK, flags, own);
    let mut file = File::from(file.map_err(|error| failed(error.into()))?);
    // Whoever can open it can lock it; one of before may have been made otherwise.
    fchmod(&file, own).map_err(|error| failed(error.into()))?;
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
    /// It is no directory, or a link to one.
    NoDirectory(PathBuf),
    /// It belongs to somebody else.
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
    /// Everybody may move what is in the directory above.
    Parent(PathBuf),
    /// It was moved while the agent started.
    Moved(PathBuf),
    /// Something cannot be given to a group of which this user is no member.
    NotAMember(PathBuf, u32),
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
            Self::NoDirectory(directory) => write!(
                f,
                "{} is no directory, or a link to one: take it away, or name another with \
                 --directory",
                directory.display()
            ),
            Self::Owner {
                directory,
                owner,
                user,
            } => write!(
                f,
                "{} belongs to the user {owner}, and this agent runs as {user}: have it removed, or \
                 name another with --directory",
                directory.display()
            ),
            Self::Parent(parent) => write!(
                f,
                "everybody may move what is in {}: set its sticky bit (chmod +t), or name another \
                 directory with --directory",
                parent.display()
            ),
            Self::Moved(directory) => write!(
                f,
                "{} is no longer the directory that was taken: somebody has moved it",
                directory.display()
            ),
            Self::NotAMember(path, group) => write!(
                f,
                "{} cannot be given to the group {group}, of which this user has to be a member",
                path.display()
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
mod tests;
