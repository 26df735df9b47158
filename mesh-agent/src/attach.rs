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
//! - `presence`: whether the agent was stopped itself.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dreammesh_agent_api::instance::{Host, InstanceId, Locality};
use dreammesh_agent_api::proto;
use dreammesh_core::call::{Receiver, Sender, Status};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::clock;
use crate::knowledge::{Knowledge, Sink};
use crate::registry::{Change, Origin};
use crate::settling::{Awaited, Waiting};
use owners::Owners;
use presence::Presence;
use stream::Stream;

mod outgoing;
mod owners;
mod presence;
mod registrations;
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
    /// How many applications may be attached.
    pub streams_max: usize,
    /// How many instances one may register.
    pub instances_max: usize,
    /// How many services one may watch.
    pub watches_max: usize,
    /// How many answers may wait for an application to read them before nothing more is read of
    /// it.
    pub answers_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            // A process that is stopped or hangs leaves within what people notice, and one that
            // merely waits for its disk does not.
            silence: Duration::from_secs(3),
            streams_max: 4_096,
            instances_max: 1_024,
            watches_max: 1_024,
            answers_max: 64,
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
    /// A program's report. It may have as many entries as fit into a message, and may lie.
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
        self.0.owners.streams()
    }

    /// Whether no program is attached.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
