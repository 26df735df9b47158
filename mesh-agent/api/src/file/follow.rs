//! A file of services that is looked at again and again.
//!
//! Whoever writes a file in place leaves every beginning of it to be read meanwhile, and most of
//! these are right as far as they go. So a version counts once it has stayed as it is from one look
//! to the next; a file that is put in the place of another by its name needs no more. What is wrong
//! changes nothing, and what names no instance is wrong unless it says so in words, since an empty
//! file is what a full disk leaves.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};

use super::FILE_BYTES_MAX;
use crate::clock;
use crate::instance::Instance;
use crate::regular;

/// How often a file is looked at: that needs nothing of the system, works on every file system, and
/// is soon enough for whoever edits one. A version counts once it is as old as that.
pub const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// How long a look may take before it is said that it does.
pub const STUCK_AFTER: Duration = Duration::from_secs(2);

/// What a look at a file came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seen {
    /// The instances of a version that was not said before.
    New(Vec<Instance>),
    /// It is what was said last.
    Same,
    /// Something is there that is wrong in a way that was not said before; what was said last is
    /// not what is there.
    Wrong(String),
    /// It is being written, or as wrong as it was.
    Unsure,
    /// The file system has not answered for [`STUCK_AFTER`]. It is said once, and nothing more
    /// before it answers.
    Stuck,
}

/// Looks at a file each [`LOOK_PERIOD`], on a thread of the runtime's that may wait.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    /// None while a look is under way.
    reader: Option<Reader>,
    looking: Option<JoinHandle<(Reader, Seen)>>,
    is_stuck: bool,
    next: Option<Instant>,
}

impl Follower {
    /// Follows a file; the first look is made at once.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            reader: Some(Reader::new(&path)),
            path,
            looking: None,
            is_stuck: false,
            next: None,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the next look, and says what it came to.
    ///
    /// Dropping the future loses nothing. Dropping the follower leaves a look that does not end to
    /// its thread; a runtime that is dropped waits for it, unless it is told not to.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn next(&mut self) -> Seen {
        if self.looking.is_none() {
            if let Some(next) = self.next {
                sleep_until(next.into()).await;
            }
            let path = &self.path;
            let mut reader = self.reader.take().unwrap_or_else(|| Reader::new(path));
            self.looking = Some(tokio::task::spawn_blocking(move || {
                let seen = reader.look();
                (reader, seen)
            }));
        }
        let Some(looking) = &mut self.looking else {
            return Seen::Unsure;
        };
        let looked = if self.is_stuck {
            looking.await
        } else {
            match timeout(STUCK_AFTER, looking).await {
                Ok(looked) => looked,
                Err(_) => {
                    self.is_stuck = true;
                    return Seen::Stuck;
                }
            }
        };
        self.looking = None;
        self.is_stuck = false;
        self.next = Some(clock::now() + LOOK_PERIOD);
        match looked {
            Ok((reader, seen)) => {
                self.reader = Some(reader);
                seen
            }
            Err(error) => Seen::Wrong(format!("it could not be looked at: {error}")),
        }
    }
}

/// What tells one version of a file from another, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    /// The file itself, and when anything of it changed, such as who may read it.
    identity: (u64, i64, i64),
}

/// What is remembered of a file from look to look.
#[derive(Debug)]
struct Reader {
    path: PathBuf,
    /// What was there the last time; none before the first.
    last: Option<Result<Stamp, String>>,
    /// What was read, or could not be, and counts. It is none after the first look as well: what
    /// that finds is used at once, though somebody may be writing it, and read once more.
    read: Option<Result<Stamp, String>>,
    /// The bytes that were judged last, by their hash, or why there were none.
    judged: Option<Result<u64, String>>,
    /// Whether what was judged last was said.
    is_good: bool,
}

impl Reader {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            last: None,
            read: None,
            judged: None,
            is_good: false,
        }
    }

    fn look(&mut self) -> Seen {
        let now = std::fs::metadata(&self.path);
        let now = now.map(|it| stamp(&it)).map_err(|it| it.to_string());
        let before = self.last.replace(now.clone());
        if self.read.as_ref() == Some(&now) {
            return self.as_before();
        }
        let is_settled = before.as_ref() == Some(&now);
        if before.is_some() && !is_settled {
            return Seen::Unsure;
        }
        let bytes = match now.clone().map(|_| self.bytes()) {
            Err(reason) => Err(reason),
            Ok(Ok((bytes, after))) if Ok(after) == now => Ok(bytes),
            Ok(Ok((_, after))) => {
                self.last = Some(Ok(after));
                return Seen::Unsure;
            }
            Ok(Err(reason)) => Err(reason),
        };
        self.read = is_settled.then_some(now);
        self.judge(bytes)
    }

    fn bytes(&self) -> Result<(Vec<u8>, Stamp), String> {
        let read = regular::read(&self.path, FILE_BYTES_MAX);
        let (bytes, after) = read.map_err(|error| error.to_string())?;
        Ok((bytes, stamp(&after)))
    }

    fn judge(&mut self, bytes: Result<Vec<u8>, String>) -> Seen {
        let judged = bytes.as_ref().map(|it| hash(it)).map_err(Clone::clone);
        if self.judged.as_ref() == Some(&judged) {
            return self.as_before();
        }
        self.judged = Some(judged);
        let instances = bytes.and_then(|bytes| instances(&bytes));
        self.is_good = instances.is_ok();
        match instances {
            Ok(instances) => Seen::New(instances),
            Err(reason) => Seen::Wrong(reason),
        }
    }

    const fn as_before(&self) -> Seen {
        match self.is_good {
            true => Seen::Same,
            false => Seen::Unsure,
        }
    }
}

fn instances(bytes: &[u8]) -> Result<Vec<Instance>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let (instances, is_said) = super::parse_said(text).map_err(|error| error.to_string())?;
    if instances.is_empty() && !is_said {
        return Err("it names no instance; `services: []` says that there are none".to_owned());
    }
    Ok(instances)
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn stamp(found: &std::fs::Metadata) -> Stamp {
    Stamp {
        modified: found.modified().ok(),
        bytes: found.len(),
        identity: identity(found),
    }
}

#[cfg(unix)]
fn identity(found: &std::fs::Metadata) -> (u64, i64, i64) {
    use std::os::unix::fs::MetadataExt as _;
    (found.ino(), found.ctime(), found.ctime_nsec())
}

#[cfg(not(unix))]
const fn identity(_: &std::fs::Metadata) -> (u64, i64, i64) {
    (0, 0, 0)
}

#[cfg(test)]
mod tests;
