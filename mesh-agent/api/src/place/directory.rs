//! The directory of an agent, opened once: what is found out of it is true of what was opened,
//! whatever becomes of its name meanwhile.

use std::path::{Path, PathBuf};

#[cfg(not(unix))]
use elsewhere as system;
#[cfg(unix)]
use here as system;

use super::{PlaceError, ROOT};

/// The directory of an agent, which is open and may be believed.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    handle: system::Handle,
    /// Those whose files and processes are believed here.
    users: Vec<u32>,
    /// Who looks.
    user: u32,
}

impl Directory {
    /// Opens a directory for a user. One that somebody named is followed if it is a link, and its
    /// owner is believed. One that was only looked for has to be that user's or root's, no link, and
    /// writable for nobody else: in a directory that all share, anybody may have made it first.
    ///
    /// # Errors
    /// When there is none, or it is not to be believed.
    pub fn open(path: &Path, told: bool, user: u32) -> Result<Self, PlaceError> {
        let (handle, found) = system::open(path, told)?;
        let mut users = vec![user, ROOT];
        if told {
            users.push(found.owner);
        } else if !users.contains(&found.owner) {
            return Err(PlaceError::Owner {
                file: path.to_owned(),
                owner: found.owner,
                user,
            });
        } else if found.is_writable {
            return Err(PlaceError::Writable(path.to_owned()));
        }
        users.sort_unstable();
        users.dedup();
        Ok(Self {
            path: path.to_owned(),
            handle,
            users,
            user,
        })
    }

    /// The users, by their numbers, whose files are believed here, and whose processes may be the
    /// agent.
    pub fn users(&self) -> &[u32] {
        &self.users
    }

    /// Checks that a file is a socket of somebody who is believed.
    ///
    /// Who listens there is known only of a connection; this is for an error that says more.
    ///
    /// # Errors
    /// When there is none, or it is something else or somebody else's.
    pub fn check_socket(&self, name: &Path) -> Result<(), PlaceError> {
        let path = self.path.join(name);
        let found = system::look(&self.handle, &self.path, name)
            .map_err(|error| PlaceError::Absent(path.clone(), error))?;
        match found.is_socket {
            true => self.check_owner(path, found.owner),
            false => Err(PlaceError::NotASocketFile(path)),
        }
    }

    /// Reads a file of somebody who is believed, which nobody else may write.
    ///
    /// # Errors
    /// When there is none, it is no file, is somebody else's, or has more bytes than that.
    pub fn read(&self, name: &str, bytes_max: usize) -> Result<Vec<u8>, PlaceError> {
        let path = self.path.join(name);
        let absent = |error| PlaceError::Absent(path.clone(), error);
        let opened = system::open_file(&self.handle, &self.path, name).map_err(absent)?;
        let Some((file, found)) = opened else {
            return Err(PlaceError::NoFile(path));
        };
        self.check_owner(path.clone(), found.owner)?;
        if found.is_writable {
            return Err(PlaceError::Writable(path));
        }
        read_at_most(file, bytes_max).map_err(absent)
    }

    fn check_owner(&self, file: PathBuf, owner: u32) -> Result<(), PlaceError> {
        match self.users.contains(&owner) {
            true => Ok(()),
            false => Err(PlaceError::Owner {
                file,
                owner,
                user: self.user,
            }),
        }
    }
}

/// Reads a file that has no more than so many bytes, and of one that has more no more than one
/// beyond them, however it grows meanwhile.
///
/// # Errors
/// When it has more, or the disk fails.
pub fn read_at_most(file: std::fs::File, bytes_max: usize) -> std::io::Result<Vec<u8>> {
    use std::io::{Error, ErrorKind, Read as _};

    let large = || {
        let text = format!("it has more than {bytes_max} bytes");
        Error::new(ErrorKind::FileTooLarge, text)
    };
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if length > bytes_max {
        return Err(large());
    }
    let mut bytes = Vec::with_capacity(length);
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    match bytes.len() > bytes_max {
        true => Err(large()),
        false => Ok(bytes),
    }
}

/// What was found out of something that is there.
struct Found {
    owner: u32,
    /// Whether others than its owner may write it.
    is_writable: bool,
    is_socket: bool,
}

#[cfg(unix)]
mod here {
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsFd as _, OwnedFd};
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    use nix::errno::Errno;
    use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
    use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

    use super::{Found, PlaceError};

    pub(super) type Handle = OwnedFd;

    pub(super) fn open(path: &Path, follows: bool) -> Result<(Handle, Found), PlaceError> {
        let mut flags = PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        flags.set(OFlag::O_NOFOLLOW, !follows);
        let opened = openat(AT_FDCWD, path, flags, Mode::empty());
        let handle = opened.map_err(|error| match error {
            Errno::ENOTDIR | Errno::ELOOP => PlaceError::NoDirectory(path.to_owned()),
            error => PlaceError::Absent(path.to_owned(), error.into()),
        })?;
        let absent = |error: Errno| PlaceError::Absent(path.to_owned(), error.into());
        let found = fstat(handle.as_fd()).map_err(absent)?;
        Ok((handle, Found::of(&found)))
    }

    pub(super) fn look(handle: &Handle, _: &Path, name: &Path) -> io::Result<Found> {
        let found = fstatat(handle.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        Ok(Found::of(&found))
    }

    /// A file, unless it is something else, which could be waited for without end.
    pub(super) fn open_file(
        handle: &Handle,
        _: &Path,
        name: &str,
    ) -> io::Result<Option<(File, Found)>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(handle.as_fd(), name, flags, Mode::empty()) {
            // A link, and a socket.
            Err(Errno::ELOOP | Errno::ENXIO) => return Ok(None),
            opened => File::from(opened?),
        };
        let found = file.metadata()?;
        let about = Found {
            owner: found.uid(),
            is_writable: found.mode() & 0o022 != 0,
            is_socket: false,
        };
        Ok(found.is_file().then_some((file, about)))
    }

    impl Found {
        fn of(found: &FileStat) -> Self {
            let kind = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT;
            Self {
                owner: found.st_uid,
                is_writable: found.st_mode & 0o022 != 0,
                is_socket: kind == SFlag::S_IFSOCK,
            }
        }
    }

    /// What needs no right to list a directory.
    #[cfg(target_os = "linux")]
    const PATH: OFlag = OFlag::O_PATH;
    #[cfg(not(target_os = "linux"))]
    const PATH: OFlag = OFlag::O_RDONLY;
}

/// Where files have no owner in a number, all that can be said is that they are there.
#[cfg(not(unix))]
mod elsewhere {
    use std::fs::{self, File};
    use std::io;
    use std::path::Path;

    use super::super::ROOT;
    use super::{Found, PlaceError};

    pub(super) type Handle = ();

    const FOUND: Found = Found {
        owner: ROOT,
        is_writable: false,
        is_socket: true,
    };

    pub(super) fn open(path: &Path, _: bool) -> Result<(Handle, Found), PlaceError> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Ok(((), FOUND)),
            Ok(_) => Err(PlaceError::NoDirectory(path.to_owned())),
            Err(error) => Err(PlaceError::Absent(path.to_owned(), error)),
        }
    }

    pub(super) fn look((): &Handle, directory: &Path, name: &Path) -> io::Result<Found> {
        fs::metadata(directory.join(name)).map(|_| FOUND)
    }

    pub(super) fn open_file(
        (): &Handle,
        directory: &Path,
        name: &str,
    ) -> io::Result<Option<(File, Found)>> {
        let file = File::open(directory.join(name))?;
        let is_file = file.metadata()?.is_file();
        Ok(is_file.then_some((file, FOUND)))
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
