//! The secret of a cluster: who knows it is a member.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use aws_lc_rs::rand;

/// How long a secret is at least, in bytes.
pub const SECRET_BYTES_MIN: usize = 32;
/// How long a secret is at most, in bytes.
pub const SECRET_BYTES_MAX: usize = 1_024;
/// How many secrets a cluster has at most: two while one takes the place of the other.
pub const SECRETS_MAX: usize = 2;
/// How long the file of secrets is at most, in bytes.
pub const FILE_BYTES_MAX: usize = 4_096;

/// A secret; it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// A secret of [`SECRET_BYTES_MIN`] to [`SECRET_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// When it is shorter or longer.
    pub fn new(bytes: &[u8]) -> Result<Self, SecretError> {
        match bytes.len() {
            ..SECRET_BYTES_MIN => Err(SecretError::Short { bytes: bytes.len() }),
            SECRET_BYTES_MIN..=SECRET_BYTES_MAX => Ok(Self(bytes.into())),
            _ => Err(SecretError::Long),
        }
    }

    /// A new secret: 256 bits, as 64 hexadecimal digits.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self, SecretError> {
        let mut bits = [0_u8; 32];
        rand::fill(&mut bits).map_err(|_| SecretError::Randomness)?;
        let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
        let digits = bits.iter().flat_map(|it| [digit(it >> 4), digit(it & 15)]);
        Ok(Self(digits.collect()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The secrets of a cluster: the first one seals, all of them open.
///
/// A secret is changed in three steps, each on every agent before the next: the new one is added
/// behind the old, then they change places, then the old one goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// One secret.
    pub fn one(secret: Secret) -> Self {
        Self(vec![secret])
    }

    /// What everybody knows, for agents of one host that have no secret: it keeps clusters apart,
    /// and nobody out.
    pub(super) fn none() -> Self {
        Self(vec![Secret(Box::from(
            &b"no secret, so on this host alone"[..],
        ))])
    }

    /// Reads a file: a secret a line, one or two; empty lines and lines that begin with `#` do not
    /// count.
    ///
    /// # Errors
    /// When it cannot be read, others than its owner may read or write it, its owner is neither who
    /// runs this nor root, or what it says is no secret.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        // What is no file, such as a pipe, could be waited for without end.
        if !fs::metadata(path)?.is_file() {
            return Err(SecretError::NoFile);
        }
        let file = File::open(path)?;
        let about = file.metadata()?;
        check_access(&about)?;
        let mut text = Vec::new();
        file.take(FILE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut text)?;
        Self::parse(&text)
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    /// When what it says is no secret.
    pub fn parse(text: &[u8]) -> Result<Self, SecretError> {
        if text.len() > FILE_BYTES_MAX {
            return Err(SecretError::LongFile);
        }
        let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
        let secrets: Vec<_> = lines.map(Secret::new).collect::<Result<_, _>>()?;
        match secrets.len() {
            0 => Err(SecretError::None),
            1..=SECRETS_MAX => Ok(Self(secrets)),
            _ => Err(SecretError::Many),
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter()
    }
}

/// Writes a new secret into a new file that only its owner can read.
///
/// # Errors
/// When there is such a file, or it cannot be written.
pub fn generate_into(path: &Path) -> Result<(), SecretError> {
    let secret = Secret::generate()?;
    let mut file = new_file().open(path)?;
    file.write_all(secret.bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    Ok(())
}

/// How a file is made that nobody else may read, and that was not there before.
fn new_file() -> fs::OpenOptions {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Checks that nobody else may read a file, or write it.
#[cfg(unix)]
fn check_access(about: &fs::Metadata) -> Result<(), SecretError> {
    use std::os::unix::fs::MetadataExt;

    if about.mode() & 0o077 != 0 {
        let mode = about.mode() & 0o777;
        return Err(SecretError::Permissions { mode });
    }
    if about.uid() != 0 && about.uid() != nix::unistd::geteuid().as_raw() {
        return Err(SecretError::Owner { uid: about.uid() });
    }
    Ok(())
}

/// Elsewhere the rights of a file are not said in a mode; whoever writes the file sees to them.
#[cfg(not(unix))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "as where there is something to check"
)]
fn check_access(_: &fs::Metadata) -> Result<(), SecretError> {
    Ok(())
}

/// Why there is no secret.
#[derive(Debug)]
#[non_exhaustive]
pub enum SecretError {
    /// The file cannot be read or written.
    Io(io::Error),
    /// It is no ordinary file.
    NoFile,
    /// Others than its owner may do something with the file.
    Permissions {
        /// What who may do.
        mode: u32,
    },
    /// The file is somebody else's.
    Owner {
        /// Whose it is.
        uid: u32,
    },
    /// The file has more than [`FILE_BYTES_MAX`] bytes.
    LongFile,
    /// There is no secret in it.
    None,
    /// There are more than [`SECRETS_MAX`] in it.
    Many,
    /// A secret has fewer than [`SECRET_BYTES_MIN`] bytes.
    Short {
        /// How many it has.
        bytes: usize,
    },
    /// A secret has more than [`SECRET_BYTES_MAX`] bytes.
    Long,
    /// The system has no randomness to give.
    Randomness,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the file of the secret: {error}"),
            Self::NoFile => f.write_str("the secret is in no ordinary file"),
            Self::Permissions { mode } => write!(
                f,
                "others than its owner may read or write the file of the secret (mode {mode:03o}); \
                 `chmod 600` it"
            ),
            Self::Owner { uid } => write!(
                f,
                "the file of the secret belongs to user {uid}, neither to who runs this nor to root"
            ),
            Self::LongFile => {
                write!(
                    f,
                    "the file of the secret has more than {FILE_BYTES_MAX} bytes"
                )
            }
            Self::None => f.write_str("there is no secret in the file"),
            Self::Many => write!(f, "there are more than {SECRETS_MAX} secrets in the file"),
            Self::Short { bytes } => write!(
                f,
                "a secret has {bytes} bytes; it needs at least {SECRET_BYTES_MIN}"
            ),
            Self::Long => write!(f, "a secret has more than {SECRET_BYTES_MAX} bytes"),
            Self::Randomness => f.write_str("the system has no randomness to give"),
        }
    }
}

impl std::error::Error for SecretError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for SecretError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("dreammesh-secret-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = fs::remove_file(&path);
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_generated_file_is_read_and_not_written_over() {
        let file = Scratch::new("new");
        generate_into(&file.0).unwrap();
        let secrets = Secrets::read(&file.0).unwrap();
        assert_eq!(secrets.0[0].bytes().len(), 64);
        assert!(matches!(generate_into(&file.0), Err(SecretError::Io(_))));
        assert_eq!(Secrets::read(&file.0).unwrap(), secrets);
        assert_eq!(format!("{secrets:?}"), "Secrets([Secret(..)])");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_touch_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let file = Scratch::new("open");
        generate_into(&file.0).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&file.0, fs::Permissions::from_mode(mode)).unwrap();
            let error = Secrets::read(&file.0).unwrap_err();
            assert!(matches!(error, SecretError::Permissions { .. }), "{error}");
        }
        fs::set_permissions(&file.0, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(Secrets::read(&file.0).is_ok());
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let error = Secrets::read(&std::env::temp_dir()).unwrap_err();
        assert!(matches!(error, SecretError::NoFile), "{error}");
    }

    #[test]
    fn every_bound_of_the_file_holds() {
        let of = |bytes: usize| vec![b'x'; bytes];
        let lines = |lengths: &[usize]| {
            let lines: Vec<_> = lengths.iter().map(|it| of(*it)).collect();
            Secrets::parse(&lines.join(&b'\n'))
        };
        assert!(matches!(
            lines(&[31]),
            Err(SecretError::Short { bytes: 31 })
        ));
        assert!(lines(&[32]).is_ok() && lines(&[1_024]).is_ok());
        assert!(matches!(lines(&[1_025]), Err(SecretError::Long)));
        assert_eq!(lines(&[32, 40]).unwrap().all().count(), 2);
        assert!(matches!(lines(&[32, 32, 32]), Err(SecretError::Many)));
        assert!(matches!(
            Secrets::parse(b"# none\n\n"),
            Err(SecretError::None)
        ));
        let mut text = of(32);
        text.resize(FILE_BYTES_MAX, b'\n');
        assert!(Secrets::parse(&text).is_ok());
        text.push(b'\n');
        assert!(matches!(Secrets::parse(&text), Err(SecretError::LongFile)));
    }
}
