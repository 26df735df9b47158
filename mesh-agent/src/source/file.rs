//! Services that somebody wrote down in a file, read again whenever it changes.

use std::path::PathBuf;
use std::time::Instant;

use dreammesh_agent_api::file::{Follower, STUCK_AFTER, Seen};
use dreammesh_agent_api::instance::Instance;

use super::{Running, Source};
use crate::clock;
use crate::knowledge::Sink;
use crate::registry::Origin;
use crate::settling::{Awaited, Waiting};

/// A file of services.
///
/// It is looked at on a thread that may wait, so that neither a file system that hangs nor a name
/// that leads to a pipe holds up the agent.
#[derive(Clone, Debug)]
pub struct FileSource {
    path: PathBuf,
}

impl FileSource {
    /// The source that reads a file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    async fn follow(self, sink: Sink, first: Waiting, contents: Waiting) {
        let mut follower = Follower::new(&self.path);
        let mut known = Known {
            awaited: Some(contents),
            ..Known::default()
        };
        let seen = follower.next().await;
        known.handle(seen, &self, &sink);
        drop(first);
        loop {
            let seen = follower.next().await;
            known.handle(seen, &self, &sink);
        }
    }
}

/// What was made of a file so far.
#[derive(Debug, Default)]
struct Known {
    /// When what was said last was found to be what the file says.
    confirmed: Option<Instant>,
    /// What is wrong with what it says: that there was no room for it.
    lacking: Option<String>,
    is_troubled: bool,
    /// Held until a first version was taken.
    awaited: Option<Waiting>,
}

impl Known {
    fn handle(&mut self, seen: Seen, source: &FileSource, sink: &Sink) {
        match seen {
            Seen::New(instances) => self.take(instances, source, sink),
            Seen::Same => {
                self.confirmed = Some(clock::now());
                if std::mem::take(&mut self.is_troubled) {
                    sink.problem(self.lacking.as_deref());
                }
            }
            Seen::Wrong(problem) => self.trouble(&problem, source, sink),
            Seen::Stuck => {
                let problem = format!("its file system has not answered for {STUCK_AFTER:?}");
                self.trouble(&problem, source, sink);
            }
            Seen::Unsure => {}
            // What a newer follower says beyond that changes nothing.
            _ => {}
        }
    }

    fn take(&mut self, instances: Vec<Instance>, source: &FileSource, sink: &Sink) {
        let read = instances.len();
        let refused = sink.replace(instances);
        self.lacking = (refused > 0)
            .then(|| format!("there was no room for {refused} of its {read} instances"));
        sink.problem(self.lacking.as_deref());
        self.is_troubled = false;
        self.confirmed = Some(clock::now());
        self.awaited = None;
        tracing::info!(file = %source.path.display(), instances = read, "read");
    }

    fn trouble(&mut self, problem: &str, source: &FileSource, sink: &Sink) {
        let file = source.path.display();
        let problem = match self.confirmed {
            None => problem.to_owned(),
            Some(confirmed) => {
                let age = clock::now().saturating_duration_since(confirmed);
                format!("{problem}; what it said {} s before is kept", age.as_secs())
            }
        };
        tracing::warn!(%file, problem, "cannot be used");
        sink.problem(Some(&problem));
        self.is_troubled = true;
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
        let settling = sink.knowledge().settling();
        let first = settling.wait_for(Awaited::Files);
        let contents = settling.wait_for(Awaited::Contents);
        Box::pin(self.follow(sink, first, contents))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use dreammesh_agent_api::file::LOOK_PERIOD;

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

    #[cfg(unix)]
    #[tokio::test(start_paused = true)]
    async fn what_is_no_file_is_refused_and_holds_nothing_up() {
        let mut desk = Desk::new("pipe");
        let instance = contract::instance("a", 1);
        desk.say(std::slice::from_ref(&instance));
        let run = contract::Run::new(desk.source());
        run.until(|run| run.ids() == ["a"]).await;
        desk.lose();
        let made = std::process::Command::new("mkfifo")
            .arg(desk.path())
            .status();
        assert!(made.unwrap().success());
        run.until(|run| {
            run.problem()
                .is_some_and(|it| it.contains("no regular file"))
        })
        .await;
        let problem = run.problem().unwrap();
        assert!(problem.contains("s before is kept"), "{problem}");
        assert_eq!(run.ids(), ["a"]);
        desk.lose();
        desk.say(&[]);
        run.until(|run| run.ids().is_empty() && run.problem().is_none())
            .await;
    }
}
