//! What applications hold: one stream each, which is registration, heartbeat, watch and load report
//! together.
//!
//! What a stream may make the agent hold is bounded whatever the application does: so many
//! instances, watches and answers that it has not read. There is no queue of updates at all. Of each
//! watch only the version that was sent is kept, and what became of the service since is computed
//! when the stream takes another message.
//!
//! Silence is counted in ticks of the agent and not in time: an agent that was stopped for a while
//! hears its applications before it takes them for dead, and no clock can jump.
//!
//! - `stream`: one stream, from its hello to its end.
//! - `registrations`: what was registered on it, gone when it ends.
//! - `outgoing`: what it is sent next.
//! - `owners`: who registered which id.
//! - `seats`: what each stream takes of what there is.
//! - `notes`: how many lines of the log programs cause.
//! - `presence`: whether the agent was stopped itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dreammesh_agent_api::instance::{Host, Instance, InstanceId, Locality};
use dreammesh_agent_api::proto;
use dreammesh_core::call::{Receiver, Sender, Status};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::clock;
use crate::knowledge::{Knowledge, Sink};
use crate::registry::{Change, Origin};
use crate::settling::{Awaited, Waiting};
use notes::Notes;
use owners::{Owners, Program};
use presence::Presence;
use seats::Seats;
use stream::Stream;

mod notes;
mod outgoing;
mod owners;
mod presence;
mod registrations;
mod seats;
mod stream;
#[cfg(test)]
mod tests;

/// The versions of the protocol that are spoken here, the least and the greatest.
pub const VERSIONS: (u32, u32) = (1, 1);

/// What applications may do, and how long they may be silent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Bounds {
    /// After how much silence a stream is ended; rounded to ticks of a third of it.
    pub silence: Duration,
    /// How many streams there may be; a program has one for each `Mesh` that it makes.
    pub streams_max: usize,
    /// How many of them programs of one user may have.
    pub user_streams_max: usize,
    /// How many of them one process may have.
    pub process_streams_max: usize,
    /// How many instances one may register.
    pub instances_max: usize,
    /// How many services one may watch.
    pub watches_max: usize,
    /// How many bytes what one registers and watches may take.
    pub program_bytes_max: usize,
    /// How many bytes that may take of all programs of one user.
    pub user_bytes_max: usize,
    /// How many bytes that may take of all programs.
    pub bytes_max: usize,
    /// How many answers may wait for an application to read them before nothing more is read of
    /// it.
    pub answers_max: usize,
    /// How many bytes of answers, to which one answer may come on top.
    pub answers_bytes_max: usize,
    /// How many messages of one are taken in a tick; the others wait for the next one.
    pub messages_max: usize,
    /// For how many ticks one may leave unread what it is sent.
    pub unread_ticks_max: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            // A process that is stopped or hangs leaves within what people notice, and one that
            // merely waits for its disk does not.
            silence: Duration::from_secs(3),
            // What a full stream holds besides what is counted below is some 300 KiB, most of it
            // what the session lets a peer send ahead (PROTOCOL.md §5.5).
            streams_max: 1_024,
            user_streams_max: 512,
            process_streams_max: 128,
            instances_max: 1_024,
            watches_max: 1_024,
            // An instance of the usual words takes one kilobyte, and one of all words 50.
            program_bytes_max: 1 << 20,
            user_bytes_max: 16 << 20,
            bytes_max: 48 << 20,
            answers_max: 64,
            answers_bytes_max: 64 << 10,
            // A program that registers and watches as much as one may has done so in two ticks.
            messages_max: 1_024,
            // Whoever beats and does not read is not slow but wrong.
            unread_ticks_max: 30,
        }
    }
}

/// What an agent says of the place it is in, for instances that do not say it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Site {
    /// Where the host is.
    pub locality: Locality,
    /// Where the host is reached by others.
    pub addresses: Vec<Host>,
}

impl Site {
    /// A host of a locality, reached at these addresses.
    pub const fn new(locality: Locality, addresses: Vec<Host>) -> Self {
        Self {
            locality,
            addresses,
        }
    }
}

/// Takes in what applications saw of the endpoints that they call.
pub trait Reports: fmt::Debug + Send + Sync {
    /// A program's report. It may have as many entries as fit into a message, and may lie; `from`
    /// names the process as the kernel does, so it is no word of the program's own.
    fn report(&self, from: &str, load: &[proto::InstanceLoad]);
}

/// Takes in no report.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoReports;

impl Reports for NoReports {
    fn report(&self, _: &str, _: &[proto::InstanceLoad]) {}
}

/// The applications that are attached; a clone shares them.
#[derive(Clone, Debug)]
pub struct Attachments(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sink: Sink,
    site: Site,
    bounds: Bounds,
    reports: Arc<dyn Reports>,
    owners: Owners,
    seats: Seats,
    notes: Notes,
    /// Changes from run to run: versions of another run mean nothing.
    epoch: Box<str>,
    /// Counts thirds of the silence.
    ticks: watch::Sender<u64>,
    /// Whether nothing is known of what a former run knew.
    forgot: AtomicBool,
    /// Held until applications that were attached to a former run have had the time to come back.
    returning: Mutex<Option<Waiting>>,
    /// Whether the agent was stopped for a while.
    presence: Mutex<Presence>,
    /// What is held of streams that ended because it was, until that tick.
    held: Mutex<Option<(Sink, u64)>>,
    /// Whether the agent is about to end; what is registered is then no longer taken back.
    leaving: watch::Sender<bool>,
}

impl Attachments {
    /// Nobody is attached yet. [`Self::run`] keeps the time for it.
    pub fn new(
        knowledge: &Knowledge,
        site: Site,
        bounds: Bounds,
        reports: Arc<dyn Reports>,
    ) -> Self {
        let silence = bounds.silence;
        Self(Arc::new(Shared {
            sink: knowledge.sink("attached", Origin::Attached),
            site,
            bounds,
            reports,
            owners: Owners::default(),
            seats: Seats::default(),
            notes: Notes::default(),
            epoch: format!("{:016x}", crate::chance::number()).into(),
            ticks: watch::Sender::new(0),
            forgot: AtomicBool::new(false),
            returning: Mutex::new(Some(knowledge.settling().wait_for(Awaited::Applications))),
            presence: Mutex::new(Presence::new(silence, clock::now())),
            held: Mutex::new(None),
            leaving: watch::Sender::new(false),
        }))
    }

    /// Says that the state of a former run is lost, if there was one: whoever watched in that run
    /// keeps what they know until instances have had the time to come back.
    pub fn forget(&self) {
        self.0.forgot.store(true, Ordering::Relaxed);
    }

    /// Whether instances of a former run may still be about to come back.
    fn awaits_return(&self) -> bool {
        self.0.forgot.load(Ordering::Relaxed) && *self.0.ticks.borrow() < TICKS_OF_RETURN
    }

    /// Keeps the time until it is dropped.
    pub async fn run(&self) {
        let mut interval = tokio::time::interval(self.0.bounds.silence / TICKS_OF_SILENCE);
        // After a stop, one tick: nobody could be heard meanwhile.
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            if lock(&self.0.presence).look(clock::now()) {
                tracing::warn!("this agent was stopped for a while, or got no processor");
            }
            self.0.ticks.send_modify(|ticks| *ticks += 1);
            let ticks = *self.0.ticks.borrow();
            if ticks >= TICKS_OF_RETURN {
                *lock(&self.0.returning) = None;
            }
            // Sinks take long to end, so not under the lock.
            let over = lock(&self.0.held).take_if(|(_, until)| *until <= ticks);
            drop(over);
        }
    }

    /// Takes back what was registered on a stream that has ended; if that is due to an absence of
    /// the agent, it is held until applications have had the time to come back.
    fn detached(&self, ids: Vec<InstanceId>, began: Instant) {
        if lock(&self.0.presence).excuses(began, clock::now()) {
            let until = *self.0.ticks.borrow() + TICKS_OF_HOLDING;
            let mut held = lock(&self.0.held);
            let (sink, ends) = held.get_or_insert_with(|| {
                let name = "held since this agent was stopped";
                (self.knowledge().sink(name, Origin::Held), until)
            });
            *ends = until;
            let known = ids.iter().filter_map(|id| self.knowledge().known(id));
            sink.apply(known.map(|known| Change::Set(known.stated)));
        }
        self.0.sink.apply(ids.into_iter().map(Change::Gone));
    }

    /// Serves one stream, until the application ends it or falls silent.
    ///
    /// # Errors
    /// Why the stream cannot go on.
    pub async fn serve(
        &self,
        mut requests: Receiver<proto::FromApplication>,
        responses: Sender<proto::FromAgent>,
    ) -> Result<(), Status> {
        let mut stream = Stream::begin(self, &mut requests).await?;
        stream.run(&mut requests, &responses).await
    }

    /// Tells every application that the agent ends. What they registered is kept from here on, for
    /// the agent that comes after.
    pub fn leave(&self) {
        self.0.leaving.send_replace(true);
    }

    /// How many programs are attached.
    pub fn len(&self) -> usize {
        self.0.seats.programs()
    }

    /// Whether no program is attached.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The programs that are attached, no more than so many, those that take most first.
    pub(crate) fn programs(&self, max: usize) -> Vec<proto::Application> {
        self.0.seats.greatest(max)
    }

    /// Says which users had registered the ids that are held from a former run; nobody else's
    /// programs are given them.
    pub fn remember_users(&self, users: BTreeMap<InstanceId, u32>) {
        self.0.owners.remember(users);
    }

    /// The user who registered an instance, in this run or a former one, if that is known.
    pub(crate) fn user_of(&self, id: &InstanceId) -> Option<u32> {
        self.0.owners.user(id)
    }

    /// Whether what a program does may be logged once more.
    fn notes(&self, program: &Program) -> bool {
        self.0.notes.take(program.process, *self.0.ticks.borrow())
    }

    /// Changes from run to run.
    pub fn epoch(&self) -> &str {
        &self.0.epoch
    }

    /// What applications are told first.
    pub(crate) fn welcome(&self) -> proto::Welcome {
        let (shared, here) = (&self.0, self.knowledge().here());
        proto::Welcome {
            version: VERSIONS.1,
            agent: here.agent.to_string(),
            epoch: shared.epoch.to_string(),
            host: here.host.to_string(),
            region: shared.site.locality.region.to_string(),
            zone: shared.site.locality.zone.to_string(),
            silence_ms: u32::try_from(shared.bounds.silence.as_millis()).unwrap_or(u32::MAX),
            build: crate::BUILD.to_owned(),
            addresses: registrations::addresses(&shared.site),
            ..Default::default()
        }
    }

    pub(crate) fn site(&self) -> &Site {
        &self.0.site
    }

    pub(crate) fn knowledge(&self) -> &Knowledge {
        self.0.sink.knowledge()
    }
}

/// About how many bytes an instance takes in memory and in a message.
pub(crate) fn size(instance: &Instance) -> usize {
    let words = [
        instance.service.name(),
        instance.service.namespace(),
        instance.id.as_str(),
        &instance.version,
        &instance.locality.region,
        &instance.locality.zone,
        &instance.check.service,
        &instance.agent,
        &instance.host,
    ];
    let words = words.into_iter().map(str::len);
    let labels = instance.labels.iter();
    let labels = labels.map(|(name, value)| name.len() + value.len() + 64);
    let layouts = instance.layouts.keys().map(|service| service.len() + 64);
    let ports = instance.ports.iter();
    let ports = ports.map(|port| port.name.len() + port.unix_path.len() + 64);
    let addresses = instance.addresses.iter().map(|host| match host {
        Host::Name(name) => name.len() + 64,
        _ => 64,
    });
    INSTANCE_BYTES
        + words.sum::<usize>()
        + labels.sum::<usize>()
        + layouts.sum::<usize>()
        + ports.sum::<usize>()
        + addresses.sum::<usize>()
}

/// What an instance takes without words, with its place in the maps.
const INSTANCE_BYTES: usize = 512;
/// The same of a watch.
const WATCH_BYTES: usize = 512;
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in them is replaced as a whole, so a panic leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// After how many ticks every application that was attached to a former run is back: they try again
/// at least every two seconds.
const TICKS_OF_RETURN: u64 = 4;

/// How long instances are held whose streams ended while the agent was stopped: 15 seconds, as over
/// a restart.
const TICKS_OF_HOLDING: u64 = 15;

/// A heartbeat is due this often in the time after which silence means death.
const TICKS_OF_SILENCE: u32 = 3;
