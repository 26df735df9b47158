//! Services that somebody wrote down in a file, read again whenever it changes.
//!
//! The file is looked at each second: that needs nothing of the system, works on every file system,
//! and a change of such a file is no matter of milliseconds.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use dreammesh_agent_api::file;
use dreammesh_agent_api::instance::Instance;

use super::{Running, Source};
use crate::knowledge::Sink;
use crate::registry::Origin;

/// A file of services.
#[derive(Clone, Debug)]
pub struct FileSource {
    path: PathBuf,
}

/// What tells one version of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    /// The file itself, and when anything of it changed, such as who may read it.
    identity: (u64, i64, i64),
}

impl FileSource {
    /// The source that reads a file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    async fn follow(self, sink: Sink) {
        let mut read = self.read(&sink);
        let mut last = read;
        let mut looks = tokio::time::interval(LOOK_PERIOD);
        looks.tick().await;
        loop {
            looks.tick().await;
            let now = self.look().await;
            // A file that is still being written may end anywhere.
            if now != read && now == last {
                read = self.read(&sink);
            }
            last = now;
        }
    }

    /// Looks at the file away from the task: its file system may hang.
    async fn look(&self) -> Option<Stamp> {
        let path = self.path.clone();
        let look = tokio::task::spawn_blocking(move || stamp(&path));
        look.await.ok().and_then(Result::ok)
    }

    /// Reads the file and says what is in it, or what is wrong with it.
    fn read(&self, sink: &Sink) -> Option<Stamp> {
        let stamp = stamp(&self.path).ok();
        match instances(&self.path) {
            Ok(instances) => {
                let read = instances.len();
                let refused = sink.replace(instances);
                let problem = (refused > 0)
                    .then(|| format!("there was no room for {refused} of its {read} instances"));
                sink.problem(problem.as_deref());
                tracing::info!(file = %self.path.display(), instances = read, "read");
            }
            Err(problem) => {
                let problem = format!("{problem}; what was read before is kept");
                tracing::warn!(file = %self.path.display(), problem, "cannot be used");
                sink.problem(Some(&problem));
            }
        }
        stamp
    }
}

impl Source for FileSource {
    fn name(&self) -> String {
        format!("file:{}", self.path.display())
    }

    fn origin(&self) -> Origin {
        Origin::File
    }

    fn run(self: Box<Self>, sink: Sink) -> Running {
        Box::pin(self.follow(sink))
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let found = fs::metadata(path)?;
    Ok(Stamp {
        modified: found.modified().ok(),
        bytes: found.len(),
        identity: identity(&found),
    })
}

#[cfg(unix)]
fn identity(found: &fs::Metadata) -> (u64, i64, i64) {
    use std::os::unix::fs::MetadataExt as _;
    (found.ino(), found.ctime(), found.ctime_nsec())
}

#[cfg(not(unix))]
const fn identity(_: &fs::Metadata) -> (u64, i64, i64) {
    (0, 0, 0)
}

fn instances(path: &Path) -> Result<Vec<Instance>, String> {
    let bytes = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if bytes > file::FILE_BYTES_MAX as u64 {
        return Err(format!("it has more than {} bytes", file::FILE_BYTES_MAX));
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    // That is what a full disk leaves, and not how anybody says that there are none.
    if text
        .trim_matches(|it: char| it.is_whitespace() || it.is_control())
        .is_empty()
    {
        return Err("it is empty; `services: []` says that there are none".to_owned());
    }
    file::parse(&text).map_err(|error| error.to_string())
}

/// How often the file is looked at.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::contract::{self, Rig};

    /// A file that is replaced by what a test wants.
    struct Desk(PathBuf);

    impl Desk {
        fn new(test: &str) -> Self {
            let name = format!("dreammesh-agent-{}-{test}", std::process::id());
            let directory = std::env::temp_dir().join(name);
            fs::create_dir_all(&directory).unwrap();
            let desk = Self(directory);
            desk.write("services: []\n");
            desk
        }

        fn path(&self) -> PathBuf {
            self.0.join("services.yaml")
        }

        fn write(&self, text: &str) {
            let beside = self.0.join("beside");
            fs::write(&beside, text).unwrap();
            fs::rename(beside, self.path()).unwrap();
        }
    }

    impl Drop for Desk {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    impl Rig for Desk {
        fn source(&self) -> Box<dyn Source> {
            Box::new(FileSource::new(self.path()))
        }

        fn say(&mut self, instances: &[Instance]) {
            let mut text = String::from("services:\n");
            for it in instances {
                let (service, id, address) = (it.service.name(), &it.id, &it.addresses[0]);
                let port = it.ports[0].number;
                text += &format!(
                    "  - service: {service}\n    instances:\n      - id: {id}\n        \
                     address: {address}\n        port: {port}\n"
                );
            }
            self.write(if instances.is_empty() {
                "services: []\n"
            } else {
                &text
            });
        }

        fn lose(&mut self) {
            fs::remove_file(self.path()).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_a_source_like_others() {
        contract::holds(Desk::new("contract")).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_slip_of_the_keyboard_takes_nothing_away() {
        let mut desk = Desk::new("slip");
        let instance = contract::instance("a", 1);
        desk.say(std::slice::from_ref(&instance));
        let run = contract::Run::new(desk.source());
        run.until(|run| run.ids() == ["a"]).await;
        for wrong in [
            "services: [",
            "servces: []",
            "services:\n  - service: a\n    instances: [7]",
            "\n",
            "\0",
        ] {
            desk.write(wrong);
            run.until(|run| run.problem().is_some()).await;
            assert_eq!(run.ids(), ["a"], "{wrong:?}");
            desk.say(std::slice::from_ref(&instance));
            run.until(|run| run.problem().is_none()).await;
        }
        assert!(run.version() == 1, "nothing ever showed differently");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_still_being_written_is_left_alone() {
        let mut desk = Desk::new("writing");
        desk.say(&[contract::instance("a", 1), contract::instance("b", 1)]);
        let run = contract::Run::new(desk.source());
        run.until(|run| run.ids().len() == 2).await;
        let whole = fs::read_to_string(desk.path()).unwrap();
        // Each second there is a little more of it, and most of these are valid files.
        for end in (0..whole.len()).step_by(7) {
            fs::write(desk.path(), &whole[..end]).unwrap();
            tokio::time::sleep(LOOK_PERIOD).await;
            assert_eq!(run.ids().len(), 2, "{:?}", &whole[..end]);
        }
    }
}
