//! Certificates and roots from files that somebody else renews.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::Origin;
use super::live::WeakLive;
use super::{Certificate, Live, Roots, TlsError, pem};

impl Live<Certificate> {
    /// Reads a chain and its key from two files, and again whenever they have changed.
    ///
    /// The files are looked at once an interval. What they hold is compared, not their dates, so
    /// that it does not matter how they are renewed; and what they hold is taken only when it is the
    /// same a tenth of a second later, so that a file that is being written is waited for. While they
    /// cannot be used, as when the renewal of one comes long after that of the other, the last good
    /// ones stay in use and a warning is logged. Watching ends when the last clone is dropped.
    ///
    /// The first reading is taken as it is, and looked at again after that tenth of a second.
    ///
    /// # Errors
    /// As [`Certificate::from_pem_files`], for the first reading.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn watch_pem_files(
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
        interval: Duration,
    ) -> Result<Self, TlsError> {
        let paths = [chain.as_ref().to_owned(), key.as_ref().to_owned()];
        watch(paths, interval, |[chain, key], [in_chain, in_key]| {
            Certificate::from_parts(
                (in_chain, &Origin::file(chain)),
                (in_key, &Origin::file(key)),
            )
        })
    }
}

impl Live<Roots> {
    /// Reads the roots in a file, and again whenever it has changed; see
    /// [`Live::<Certificate>::watch_pem_files`](Live::watch_pem_files).
    ///
    /// # Errors
    /// As [`Roots::from_pem_file`], for the first reading.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn watch_pem_file(path: impl AsRef<Path>, interval: Duration) -> Result<Self, TlsError> {
        let paths = [path.as_ref().to_owned()];
        watch(paths, interval, |[path], [bytes]| {
            Roots::from_part(bytes, &Origin::file(path))
        })
    }
}

/// Makes a value of what some files hold.
type Parse<T, const N: usize> = fn(&[PathBuf; N], &[Vec<u8>; N]) -> Result<T, TlsError>;

fn watch<T: Send + Sync + 'static, const N: usize>(
    paths: [PathBuf; N],
    interval: Duration,
    parse: Parse<T, N>,
) -> Result<Live<T>, TlsError> {
    let bytes = read(&paths)?;
    let live = Live::new(parse(&paths, &bytes)?);
    let watched = Watched {
        paths,
        parse,
        bytes,
        fresh: None,
        unreadable: false,
    };
    tokio::spawn(keep(watched, live.downgrade(), interval));
    Ok(live)
}

/// Files, and what they held last.
struct Watched<T, const N: usize> {
    paths: [PathBuf; N],
    parse: Parse<T, N>,
    bytes: [Vec<u8>; N],
    /// Something else, which was found at the last look and may be half of what it will be.
    fresh: Option<[Vec<u8>; N]>,
    /// The last look failed, and it was said so.
    unreadable: bool,
}

impl<T, const N: usize> Watched<T, N> {
    /// Looks once; answers the new value when there is one that two looks in a row have found.
    ///
    /// Every change is tried once, so that a broken file is reported once and not at each look.
    fn look(&mut self) -> Option<T> {
        let found = match read(&self.paths) {
            Ok(found) => found,
            Err(error) => {
                self.fresh = None;
                if !std::mem::replace(&mut self.unreadable, true) {
                    warn(&error);
                }
                return None;
            }
        };
        self.unreadable = false;
        if found == self.bytes {
            self.fresh = None;
            return None;
        }
        if self.fresh.as_ref() != Some(&found) {
            self.fresh = Some(found);
            return None;
        }
        self.fresh = None;
        let parsed = (self.parse)(&self.paths, &found);
        self.bytes = found;
        parsed.inspect_err(warn).ok()
    }
}

async fn keep<T: Send + Sync + 'static, const N: usize>(
    mut watched: Watched<T, N>,
    live: WeakLive<T>,
    interval: Duration,
) {
    let interval = interval.max(INTERVAL_MIN);
    // The first reading may have been of files that were just being written.
    let mut wait = interval.min(SETTLED_AFTER);
    loop {
        tokio::time::sleep(wait).await;
        if live.upgrade().is_none() {
            return;
        }
        // Files may lie on a slow disk or on a network, and this thread has calls to carry.
        let looked = tokio::task::spawn_blocking(move || {
            let value = watched.look();
            (watched, value)
        });
        // It fails only when the runtime ends.
        let Ok((back, value)) = looked.await else {
            return;
        };
        watched = back;
        wait = match watched.fresh {
            Some(_) => SETTLED_AFTER,
            None => interval,
        };
        if let (Some(value), Some(live)) = (value, live.upgrade()) {
            live.replace(value);
            tracing::info!(files = ?watched.paths, "new handshakes use the renewed files");
        }
    }
}

fn read<const N: usize>(paths: &[PathBuf; N]) -> Result<[Vec<u8>; N], TlsError> {
    let mut found = [const { Vec::new() }; N];
    for (bytes, path) in found.iter_mut().zip(paths) {
        *bytes = pem::read(path)?;
    }
    Ok(found)
}

fn warn(error: &TlsError) {
    tracing::warn!(%error, "renewed files cannot be used, so the last good ones stay in use");
}

/// Looking more often would be a busy loop.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// For so long a file must not change before it is believed to be whole. Who writes one in pieces
/// writes the next piece at once; a renewal is used a moment later than it could be.
const SETTLED_AFTER: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::super::test_certificates::{Authority, Made};
    use super::*;

    /// A directory of a test's own, removed with it.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let name = format!("dreammesh-watch-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, text).unwrap();
            path
        }

        fn write_both(&self, made: &Made) -> (PathBuf, PathBuf) {
            let chain = self.write("chain.pem", &made.chain);
            (chain, self.write("key.pem", &made.key))
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const INTERVAL: Duration = Duration::from_secs(60);

    /// On the paused clock, so many looks have been taken; it stands still while one is.
    async fn looks(count: u32) {
        tokio::time::sleep(INTERVAL * count + INTERVAL / 2).await;
    }

    #[tokio::test(start_paused = true)]
    async fn renewed_files_are_used_and_broken_ones_are_not() {
        let directory = Directory::new("certificate");
        let authority = Authority::new("root");
        let [one, two, three] = ["a", "b", "c"].map(|name| authority.issue(&[name]));
        let (chain, key) = directory.write_both(&one);
        let live = Live::watch_pem_files(&chain, &key, INTERVAL).unwrap();
        let first = live.current();
        looks(2).await;
        assert!(
            std::sync::Arc::ptr_eq(&first, &live.current()),
            "nothing changed"
        );

        // One of the two is renewed already, the other is not.
        directory.write("chain.pem", &two.chain);
        looks(1).await;
        assert!(std::sync::Arc::ptr_eq(&first, &live.current()));
        directory.write("key.pem", &two.key);
        looks(1).await;
        let second = live.current();
        assert!(!std::sync::Arc::ptr_eq(&first, &second));

        std::fs::remove_file(&chain).unwrap();
        looks(2).await;
        assert!(std::sync::Arc::ptr_eq(&second, &live.current()));
        directory.write_both(&three);
        looks(1).await;
        assert!(!std::sync::Arc::ptr_eq(&second, &live.current()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_being_written_is_waited_for() {
        let directory = Directory::new("pieces");
        let [one, two, three] = ["one", "two", "three"].map(|name| Authority::new(name).pem());
        let path = directory.write("roots.pem", &one);
        let live = Live::watch_pem_file(&path, INTERVAL).unwrap();
        // A moment before each look there is one more whole certificate in the file.
        tokio::time::sleep(INTERVAL + SETTLED_AFTER * 3 / 2).await;
        let mut text = one;
        for next in [&two, &three] {
            text.push_str(next);
            directory.write("roots.pem", &text);
            let until_it_was_looked_at = if next == &two {
                INTERVAL
            } else {
                SETTLED_AFTER
            };
            tokio::time::sleep(until_it_was_looked_at).await;
            assert_eq!(live.current().len(), 1, "it has not stood still");
        }
        tokio::time::sleep(SETTLED_AFTER).await;
        assert_eq!(live.current().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_half_written_at_the_first_reading_is_whole_soon() {
        let directory = Directory::new("first");
        let [one, two] = ["one", "two"].map(|name| Authority::new(name).pem());
        let path = directory.write("roots.pem", &one);
        let live = Live::watch_pem_file(&path, INTERVAL).unwrap();
        directory.write("roots.pem", &format!("{one}{two}"));
        tokio::time::sleep(SETTLED_AFTER * 5 / 2).await;
        assert_eq!(live.current().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn roots_are_watched_too_and_only_as_long_as_they_are_used() {
        let directory = Directory::new("roots");
        let (one, two) = (Authority::new("one").pem(), Authority::new("two").pem());
        let path = directory.write("roots.pem", &one);
        let live = Live::watch_pem_file(&path, INTERVAL).unwrap();
        directory.write("roots.pem", &format!("{one}{two}"));
        looks(1).await;
        assert_eq!(live.current().len(), 2);
        let tasks = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        assert_eq!(tasks(), 1);
        drop(live);
        looks(1).await;
        assert_eq!(tasks(), 0);
    }

    #[tokio::test]
    async fn what_cannot_be_read_at_first_is_an_error() {
        let missing = Live::watch_pem_files("/nowhere/chain.pem", "/nowhere/key.pem", INTERVAL);
        assert!(missing.is_err());
    }
}
