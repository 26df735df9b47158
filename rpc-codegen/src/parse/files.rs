//! Where schema files are read from: the disk, or whoever stands for another state of it.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Where schema files are read from.
#[derive(Clone, Debug, Default)]
pub(crate) enum Files {
    /// As they are now.
    #[default]
    Disk,
    /// As somebody else says that they are, such as a revision in a version control system.
    Given(Given),
}

/// Files that somebody else reads.
#[derive(Clone)]
pub(crate) struct Given {
    /// What goes in front of a path in diagnostics, such as `main:`.
    label: String,
    read: Arc<Read>,
}

type Read = dyn Fn(&Path) -> io::Result<Option<String>> + Send + Sync;

impl Files {
    pub(crate) fn given(
        label: String,
        read: impl Fn(&Path) -> io::Result<Option<String>> + Send + Sync + 'static,
    ) -> Self {
        let read = Arc::new(read);
        Self::Given(Given { label, read })
    }

    /// The text of a file; none where there is no such file.
    pub(super) fn read(&self, path: &Path) -> io::Result<Option<String>> {
        match self {
            Self::Disk if !path.is_file() => Ok(None),
            Self::Disk => {
                bounded(std::fs::metadata(path)?.len())?;
                std::fs::read_to_string(path).map(Some)
            }
            Self::Given(given) => {
                let text = (given.read)(path)?;
                bounded(text.as_ref().map_or(0, |text| text.len() as u64))?;
                Ok(text)
            }
        }
    }

    pub(super) fn is_file(&self, path: &Path) -> bool {
        match self {
            Self::Disk => path.is_file(),
            Self::Given(given) => matches!((given.read)(path), Ok(Some(_))),
        }
    }

    /// What diagnostics call the file.
    pub(super) fn shown(&self, path: &Path) -> String {
        match self {
            Self::Disk => path.display().to_string(),
            Self::Given(given) => format!("{}{}", given.label, path.display()),
        }
    }
}

fn bounded(length: u64) -> io::Result<()> {
    if length <= FILE_BYTES_MAX {
        return Ok(());
    }
    let reason = format!("a schema file is at most {FILE_BYTES_MAX} bytes long");
    Err(io::Error::new(io::ErrorKind::FileTooLarge, reason))
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Given").field(&self.label).finish()
    }
}

/// The longest schema file read. The largest published ones are under 1 MiB, and the checks after
/// the parser are quadratic in the number of mistakes.
const FILE_BYTES_MAX: u64 = 8 << 20;
