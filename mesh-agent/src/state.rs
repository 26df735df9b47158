//! What an agent keeps on disk, and what it makes of it when it is started anew.
//!
//! What was registered here before is *held* for as long as applications need to attach again, and
//! what other agents said is *remembered* until they say it again; a failed check ends either at
//! once. So a restart takes no instance away from anybody, and one that died meanwhile is not kept
//! for long.
//!
//! A state that cannot be written or read costs a warning and nothing else: what is on disk stays
//! as it was, and an agent without one is one that begins.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dreammesh_agent_api::instance::{Instance, InstanceId};
use dreammesh_agent_api::proto;
use dreammesh_agent_api::state;

use crate::attach::Attachments;
use crate::clock;
use crate::knowledge::{Knowledge, Sink};
use crate::questions::Warnings;
use crate::registry::{Change, Origin, Registry};
use crate::settling::Awaited;

pub use file::StateFile;

mod file;

/// How long instances are held for applications that were attached before a restart. Applications
/// attach again within a few seconds; one that does not has ended.
pub const HELD_FOR: Duration = Duration::from_secs(15);
/// How long instances of other agents are remembered without a word or a passing check.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(3_600);

/// What was known before, as it was found on disk.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Found {
    /// The state, if there is one that can be read.
    pub state: Option<proto::State>,
    /// What is wrong with the file, if something is.
    pub problem: Option<String>,
}

impl Found {
    /// Reads a file. One that cannot be read is set aside, for somebody to look at.
    pub fn read(file: &StateFile) -> Self {
        let path = file.path().display();
        let problem = match file.read(state::FILE_BYTES_MAX) {
            Ok(bytes) => match state::decode(&bytes) {
                Ok(state) => {
                    return Self {
                        state: Some(state),
                        problem: None,
                    };
                }
                Err(error) => set_aside(file, &error),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::default(),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => set_aside(file, &error),
            Err(error) => format!("{path}: {error}"),
        };
        tracing::warn!(problem, "the state of before cannot be used");
        Self {
            state: None,
            problem: Some(problem),
        }
    }

    /// The users who had registered what is held.
    pub fn users(&self) -> BTreeMap<InstanceId, u32> {
        let users = self.state.iter().flat_map(|state| &state.users);
        let users = users.filter_map(|(id, user)| Some((InstanceId::new(&**id).ok()?, *user)));
        users.collect()
    }

    /// Takes what was known before into the registry.
    pub fn restore(&self, knowledge: &Knowledge) -> Held {
        let mut local = Vec::new();
        let (mut remembered, mut written) = (Vec::new(), Vec::new());
        for said in self.state.iter().flat_map(|state| &state.instances) {
            // It is checked like anything from outside; what is no instance is none.
            let Ok(mut instance) = Instance::try_from(said.clone()) else {
                continue;
            };
            if *instance.origin == *Origin::Gossip.as_str() {
                remembered.push(instance);
                continue;
            }
            // The agent may have another name now, and speaks for them all the same.
            instance.agent.clone_from(&knowledge.here().agent);
            match *instance.origin == *Origin::File.as_str() {
                true => written.push(instance),
                false => local.push(instance),
            }
        }
        let (held, kept) = (Origin::Held, Origin::Remembered);
        let held = knowledge.sink("held since before the restart", held);
        let kept = knowledge.sink("remembered from before the restart", kept);
        let files = knowledge.sink("files as before the restart", Origin::Held);
        if !local.is_empty() || !remembered.is_empty() {
            let (held, remembered) = (local.len(), remembered.len());
            tracing::info!(held, remembered, "read the state of before");
        }
        held.keep(local);
        kept.keep(remembered);
        files.keep(written);
        Held {
            held,
            remembered: kept,
            files,
        }
    }
}

/// What is held and remembered from before a restart.
#[derive(Debug)]
pub struct Held {
    held: Sink,
    remembered: Sink,
    files: Sink,
}

impl Held {
    /// Lets go of it in time, and of what files said once every file has been read.
    pub async fn run(self) {
        let Self {
            held,
            remembered,
            files,
        } = self;
        let settling = remembered.knowledge().settling().clone();
        let read = async {
            settling.over(&[Awaited::Contents]).await;
            drop(files);
        };
        tokio::join!(let_go(held, remembered), read);
    }
}

/// Lets go of what is held and of what is remembered.
async fn let_go(held: Sink, remembered: Sink) {
    clock::run_for(HELD_FOR).await;
    drop(held);
    clock::run_for(REMEMBERED_FOR - HELD_FOR).await;
    let unsure = remembered.knowledge().read(|registry: &Registry| {
        let all = registry.all();
        let unsure = all.filter(|known| {
            let passes = known.health.as_ref().is_some_and(|health| !health.down);
            known.origin == Origin::Remembered && !passes
        });
        let gone = unsure.map(|known| Change::Gone(known.instance.id.clone()));
        gone.collect::<Vec<_>>()
    });
    remembered.apply(unsure);
    // What passes its check stays for as long as it does.
    std::future::pending::<()>().await;
}

/// Writes the state whenever it changed.
#[derive(Clone, Debug)]
pub struct Keeper(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    file: StateFile,
    attachments: Attachments,
    warnings: Warnings,
    written: AtomicU64,
    failed: AtomicU64,
    /// Held from looking at what is known until it is on disk; true after the last time.
    over: Mutex<bool>,
}

impl Keeper {
    /// One that writes to a file.
    pub fn new(file: StateFile, attachments: &Attachments, warnings: &Warnings) -> Self {
        Self(Arc::new(Kept {
            file,
            attachments: attachments.clone(),
            warnings: warnings.clone(),
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            over: Mutex::new(false),
        }))
    }

    /// Writes until it is dropped.
    pub async fn run(&self) {
        let mut changes = self.0.attachments.knowledge().changes();
        loop {
            // Applications that start without an agent are told how old the file is.
            let _ = tokio::time::timeout(REFRESH_PERIOD, changes.next()).await;
            tokio::time::sleep(GATHERING).await;
            while !self.write().await {
                tokio::time::sleep(RETRY_PERIOD).await;
            }
        }
    }

    /// Writes the state as it is now; says whether that went well.
    pub async fn write(&self) -> bool {
        self.write_once(false).await
    }

    /// Writes the state for the last time: what sources take back after it is not written.
    pub async fn finish(&self) -> bool {
        self.write_once(true).await
    }

    async fn write_once(&self, last: bool) -> bool {
        let kept = Arc::clone(&self.0);
        let write = tokio::task::spawn_blocking(move || kept.write(last));
        let result = write
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        match &result {
            Ok(()) => {
                self.0.written.fetch_add(1, Ordering::Relaxed);
                self.0.warnings.set(SUBJECT, None);
            }
            Err(error) => {
                self.0.failed.fetch_add(1, Ordering::Relaxed);
                let path = self.0.file.path().display();
                tracing::warn!(%path, %error, "the state cannot be written");
                let what = format!("{path} cannot be written: {error}; it is tried again");
                self.0.warnings.set(SUBJECT, Some(&what));
            }
        }
        result.is_ok()
    }

    /// How often the state was written, and how often it could not be.
    pub fn counts(&self) -> (u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&self.0.written), of(&self.0.failed))
    }
}

impl Kept {
    fn write(&self, last: bool) -> io::Result<()> {
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        if *over {
            return Ok(());
        }
        *over = last;
        let (state, instances) = self.state();
        // The instances need not all be there a second time.
        let parts = instances
            .chunks(INSTANCES_OF_PART)
            .map(|some| proto::State {
                instances: some.iter().map(|it| (&**it).into()).collect(),
                ..Default::default()
            });
        let parts = std::iter::once(state).chain(parts);
        let bytes = state::encode_parts(parts).map_err(io::Error::other)?;
        self.file.replace(&bytes)
    }

    /// The state, and beside it its instances.
    fn state(&self) -> (proto::State, Vec<Arc<Instance>>) {
        let knowledge = self.attachments.knowledge();
        let (instances, versions) = knowledge.read(|registry| {
            let all = registry.all().map(|known| known.stated);
            let services = registry.services().map(|name| proto::ServiceVersion {
                service: name.name().to_owned(),
                namespace: name.namespace().to_owned(),
                version: registry.version_of(name),
                ..Default::default()
            });
            (all.collect::<Vec<_>>(), services.collect())
        });
        let welcome = self.attachments.welcome();
        let users = instances.iter().filter_map(|it| {
            let user = self.attachments.user_of(&it.id)?;
            Some((it.id.to_string(), user))
        });
        let state = proto::State {
            agent: welcome.agent,
            epoch: welcome.epoch,
            host: welcome.host,
            region: welcome.region,
            zone: welcome.zone,
            addresses: welcome.addresses,
            written_unix_ms: clock::wall_ms(),
            versions,
            users: users.collect(),
            ..Default::default()
        };
        (state, instances)
    }
}

/// Sets a file aside of which no use can be made, and says why that is.
fn set_aside(file: &StateFile, error: &dyn std::fmt::Display) -> String {
    let path = file.path().display();
    match file.set_aside() {
        Ok(aside) => format!("{path}: {error}; it is now {}", aside.display()),
        // The next write takes its place.
        Err(_) => format!("{path}: {error}"),
    }
}

/// Changes come in bursts: a server that starts registers, its watchers follow.
const GATHERING: Duration = Duration::from_millis(100);
/// How old a file gets at most while nothing changes.
const REFRESH_PERIOD: Duration = Duration::from_secs(60);
/// How long a disk that is full is left alone.
const RETRY_PERIOD: Duration = Duration::from_secs(5);
/// How many instances are made ready for the disk at a time.
const INSTANCES_OF_PART: usize = 64;
/// What a warning about it is headed with.
const SUBJECT: &str = "state";

#[cfg(test)]
#[cfg(unix)]
mod tests;
