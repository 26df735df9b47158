//! Where a state is on disk: replaced as a whole, and read within bounds.

#[cfg(not(unix))]
pub use elsewhere::StateFile;
#[cfg(unix)]
pub use here::StateFile;

#[cfg(unix)]
mod here {
    use std::fs::File;
    use std::io::{self, Write as _};
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use dreammesh_agent_api::place::read_at_most;
    use nix::errno::Errno;
    use nix::fcntl::{OFlag, openat, renameat};
    use nix::sys::stat::{Mode, fchmod};
    use nix::unistd::{Gid, UnlinkatFlags, fchown, geteuid, unlinkat};

    /// A name within a directory that is held open, wherever that is by now; a clone shares it.
    #[derive(Clone, Debug)]
    pub struct StateFile {
        directory: Arc<OwnedFd>,
        /// For people, but for its last part.
        path: PathBuf,
        /// Who may read it besides its owner.
        group: Option<Gid>,
    }

    impl StateFile {
        pub(crate) const fn within(
            directory: Arc<OwnedFd>,
            path: PathBuf,
            group: Option<Gid>,
        ) -> Self {
            Self {
                directory,
                path,
                group,
            }
        }

        /// Where it is.
        pub fn path(&self) -> &Path {
            &self.path
        }

        /// What is in it.
        ///
        /// # Errors
        /// When it has more bytes than that, is no file of this user that nobody else may write, or
        /// cannot be read.
        pub fn read(&self, bytes_max: usize) -> io::Result<Vec<u8>> {
            let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
            let opened = openat(&self.directory, &self.name(""), flags, Mode::empty())?;
            let file = File::from(opened);
            let found = file.metadata()?;
            let is_own = found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0;
            if !found.is_file() || !is_own {
                let text = "it is no file of this user alone";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
            read_at_most(file, bytes_max)
        }

        /// Puts bytes in the place of what is in it, or leaves that as it is.
        ///
        /// # Errors
        /// When the system does not allow it, such as on a full disk.
        pub fn replace(&self, bytes: &[u8]) -> io::Result<()> {
            let beside = self.name("new");
            self.remove(&beside)?;
            let written = self.write(&beside, bytes).and_then(|()| {
                let (directory, name) = (&self.directory, self.name(""));
                Ok(renameat(directory, &beside, directory, &name)?)
            });
            if written.is_err() {
                // On a full disk, what was written of it is in the way of everybody.
                let _ = self.remove(&beside);
            }
            written
        }

        /// Moves it aside, for somebody to look at; where it is then.
        ///
        /// # Errors
        /// When the system does not allow it.
        pub fn set_aside(&self) -> io::Result<PathBuf> {
            let (directory, name, aside) = (&self.directory, self.name(""), self.name("corrupt"));
            renameat(directory, &name, directory, &aside)?;
            Ok(self.path.with_extension("corrupt"))
        }

        fn write(&self, name: &Path, bytes: &[u8]) -> io::Result<()> {
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
            let own = Mode::from_bits_truncate(0o600);
            let mut file = File::from(openat(&self.directory, name, flags, own)?);
            if let Some(group) = self.group {
                fchown(&file, None, Some(group))?;
                // Said here and not above, where the umask would have a word in it.
                fchmod(&file, Mode::from_bits_truncate(0o640))?;
            }
            file.write_all(bytes)?;
            // Without it, a name may come to stand for bytes that a crash has taken.
            file.sync_data()
        }

        fn remove(&self, name: &Path) -> io::Result<()> {
            match unlinkat(&self.directory, name, UnlinkatFlags::NoRemoveDir) {
                Err(Errno::ENOENT) => Ok(()),
                removed => Ok(removed?),
            }
        }

        /// Its name within the directory, or that of another file of its.
        fn name(&self, extension: &str) -> PathBuf {
            let name = self.path.file_name().unwrap_or_default();
            match extension {
                "" => PathBuf::from(name),
                extension => Path::new(name).with_extension(extension),
            }
        }
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use std::fs::{self, File};
    use std::io::{self, Write as _};
    use std::path::{Path, PathBuf};

    use dreammesh_agent_api::place::read_at_most;

    /// A path; a clone is the same.
    #[derive(Clone, Debug)]
    pub struct StateFile {
        path: PathBuf,
    }

    impl StateFile {
        /// Where it is.
        pub fn path(&self) -> &Path {
            &self.path
        }

        /// What is in it.
        ///
        /// # Errors
        /// When it has more bytes than that, or cannot be read.
        pub fn read(&self, bytes_max: usize) -> io::Result<Vec<u8>> {
            read_at_most(File::open(&self.path)?, bytes_max)
        }

        /// Puts bytes in the place of what is in it, or leaves that as it is.
        ///
        /// # Errors
        /// When the system does not allow it, such as on a full disk.
        pub fn replace(&self, bytes: &[u8]) -> io::Result<()> {
            let beside = self.path.with_extension("new");
            let mut file = File::create(&beside)?;
            file.write_all(bytes)?;
            // Without it, a name may come to stand for bytes that a crash has taken.
            file.sync_data()?;
            fs::rename(beside, &self.path)
        }

        /// Moves it aside, for somebody to look at; where it is then.
        ///
        /// # Errors
        /// When the system does not allow it.
        pub fn set_aside(&self) -> io::Result<PathBuf> {
            let aside = self.path.with_extension("corrupt");
            fs::rename(&self.path, &aside)?;
            Ok(aside)
        }
    }
}
