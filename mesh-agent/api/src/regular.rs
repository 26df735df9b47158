//! Reading a file that may turn out to be anything.
//!
//! A name that somebody configured may lead to a pipe, a device or a file without end. Opening it
//! waits for nobody, what is no regular file is refused, and no more is read than is allowed. What
//! can still take long is a file system that hangs, so this is for threads that may wait.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

/// The bytes of a regular file, and what its system says of it after they were read.
///
/// It may block for as long as the file system does.
///
/// # Errors
/// When the file cannot be read, is no regular file, or has more than `bytes_max` bytes.
pub fn read(path: &Path, bytes_max: usize) -> Result<(Vec<u8>, Metadata), ReadError> {
    // A device may do something when it is opened, so it is looked at before.
    check(&std::fs::metadata(path)?, bytes_max)?;
    let file = open(path)?;
    let found = file.metadata()?;
    let bytes = check(&found, bytes_max)?;
    let mut read = Vec::with_capacity(bytes);
    // It may grow meanwhile.
    let most = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    (&file)
        .take(most.saturating_add(1))
        .read_to_end(&mut read)?;
    if read.len() > bytes_max {
        return Err(ReadError::Large(bytes_max));
    }
    let after = file.metadata()?;
    Ok((read, after))
}

/// How many bytes there are to read.
fn check(found: &Metadata, bytes_max: usize) -> Result<usize, ReadError> {
    if !found.is_file() {
        return Err(ReadError::Kind);
    }
    match usize::try_from(found.len()) {
        Ok(bytes) if bytes <= bytes_max => Ok(bytes),
        _ => Err(ReadError::Large(bytes_max)),
    }
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    // A pipe may have taken the file's place since it was looked at, and nobody may write to it.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(nix::libc::O_NONBLOCK);
    options.open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

/// Why a file was not read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The system does not let it be read.
    Io(io::Error),
    /// It is a directory, a pipe, a device or a socket.
    Kind,
    /// It has more bytes than this.
    Large(usize),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Kind => f.write_str("it is no regular file"),
            Self::Large(most) => write!(f, "it has more than {most} bytes"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Kind | Self::Large(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(std::path::PathBuf);

    impl Scratch {
        fn new(test: &str) -> Self {
            let name = format!("dreammesh-regular-{}-{test}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn so_many_bytes_are_read_and_no_more() {
        let scratch = Scratch::new("bytes");
        let path = scratch.0.join("file");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap().0, b"12345");
        assert!(matches!(read(&path, 4), Err(ReadError::Large(4))));
        assert!(matches!(
            read(&scratch.0.join("none"), 4),
            Err(ReadError::Io(_))
        ));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_refused_and_waited_for_by_nobody() {
        let scratch = Scratch::new("kinds");
        let socket = scratch.0.join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let pipe = scratch.0.join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for path in [&scratch.0, &socket, &pipe, Path::new("/dev/zero")] {
            let error = read(path, 1 << 20).unwrap_err();
            assert!(matches!(error, ReadError::Kind), "{}", path.display());
        }
        // Nobody has the pipe open, and it opens all the same.
        assert!(!open(&pipe).unwrap().metadata().unwrap().is_file());
        // It has no end, and says that it has no bytes.
        let endless = Path::new("/proc/self/maps");
        if endless.exists() {
            assert!(matches!(read(endless, 16), Err(ReadError::Large(16))));
        }
    }
}
