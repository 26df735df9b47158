//! One accepted connection of a medium, whatever it turns out to carry.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use dreammesh_session::frame::CloseCode;

use super::stop::{Phase, Stop};
use crate::driver::shared::Shared;
use crate::grpc::server::RunningCalls;

/// What the server knows of an accepted connection: the sessions it carries, and how far its end
/// has come.
///
/// It carries none while its protocol is being found out and where that is HTTP, one on most media,
/// and one a lane where the medium has several.
#[derive(Debug)]
pub(crate) struct Carrier {
    stop: Stop,
    sessions: Mutex<Vec<Weak<Shared>>>,
    /// The calls that come as gRPC, where that is spoken.
    calls: OnceLock<Arc<RunningCalls>>,
}

impl Carrier {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            stop: Stop::new(),
            sessions: Mutex::new(Vec::new()),
            calls: OnceLock::new(),
        })
    }

    /// Takes in a session that begins; one that comes late is drained or closed at once.
    pub(crate) fn add(&self, session: &Arc<Shared>) {
        {
            let mut sessions = self.lock();
            // Lanes come and go; without this a carrier of many would remember all of them.
            sessions.retain(|session| session.strong_count() > 0);
            sessions.push(Arc::downgrade(session));
        }
        // The phase advances before the sessions are told, so that none is missed by both.
        match self.stop.phase() {
            Phase::Running => {}
            Phase::Draining => session.drain(),
            // It has none yet.
            Phase::Closed => _ = close(session),
        }
    }

    /// Takes in the calls of gRPC, of which a connection has one collection.
    pub(crate) fn add_calls(&self, calls: &Arc<RunningCalls>) {
        let calls = self.calls.get_or_init(|| Arc::clone(calls));
        // The phase advances before the calls are told, so that none is missed by both.
        if self.stop.phase() == Phase::Closed {
            calls.close();
        }
    }

    /// Refuses new calls and ends when the old ones have.
    pub(crate) fn drain(&self) {
        self.stop.advance(Phase::Draining);
        self.live().iter().for_each(|session| session.drain());
    }

    /// Ends the calls that still run, tells the peer, and ends; gives how many calls that were.
    pub(crate) fn close(&self) -> u64 {
        self.stop.advance(Phase::Closed);
        let live = self.live();
        let ended: u64 = live.iter().map(|session| u64::from(close(session))).sum();
        ended + self.calls.get().map_or(0, |calls| calls.close())
    }

    /// Has the sessions look at what they hold back.
    pub(crate) fn summon(&self) {
        self.live().iter().for_each(|session| session.summon());
    }

    /// Waits until the connection is to end once its calls have.
    pub(crate) async fn draining(&self) {
        self.stop.draining().await;
    }

    /// Waits until a connection that is still to begin has had its time to, while the server drains.
    ///
    /// Its client may have sent calls with its first bytes, which would be lost with it.
    pub(crate) async fn hurried(&self) {
        self.draining().await;
        tokio::time::sleep(BEGINNING).await;
    }

    /// Waits until its calls are being ended.
    pub(crate) async fn closed(&self) {
        self.stop.closed().await;
    }

    /// The sessions that are not over, so that none is told under the lock.
    fn live(&self) -> Vec<Arc<Shared>> {
        self.lock().iter().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Shared>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn close(session: &Shared) -> u32 {
    session.close(CloseCode::SHUTDOWN, OVERDUE)
}

/// What a call is told that runs for longer than its server does.
pub(crate) const OVERDUE: &str = "the drain period is over, resume elsewhere";

/// A few round trips of a handshake to a machine that has much to do, and no longer than a drain may
/// take that nothing else holds up.
const BEGINNING: Duration = Duration::from_secs(3);
