//! The state that a connection's driver shares with its callers.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Waker;
use std::time::Instant;

use dreammesh_core::call::{MethodInfo, Peer};
use dreammesh_core::negotiate::VerdictCache;
use dreammesh_core::port::{Outcome, StreamKey, WireMode};
use dreammesh_session::Session;
use dreammesh_session::frame::CloseCode;
use tokio::task::AbortHandle;

use super::layouts::Remembered;
use super::payload;
use super::server::Finish;
use super::standing::{Pool, Standing};
use super::timer;
use super::unsure::Unsure;
use crate::waiting::Waiting;

/// A connection as its callers and handlers see it.
///
/// Every operation holds the lock for one step of the session: no user code, no validation, no
/// transcoding and no waking happens under it.
pub(crate) struct Shared {
    state: Mutex<State>,
    peer: Peer,
    /// The same once it has proved who it is, if the session began before.
    proven: OnceLock<Peer>,
    is_client: bool,
    /// Whether it takes calls; a copy outside the lock for those who choose a connection.
    pub(crate) standing: Standing,
    /// Client: where calls wait that find the server full, if not here.
    pub(super) pool: Option<Weak<dyn Pool>>,
    /// Whether the peer has said hello.
    connected: AtomicBool,
    /// Whether nothing comes back, while there is another connection.
    pub(super) forsaken: AtomicBool,
}

/// What the lock guards.
pub(super) struct State {
    pub(super) session: Session<Slot>,
    /// Client: the methods named on this connection, by index.
    pub(super) named: Vec<&'static MethodInfo>,
    /// Client: what earlier connections learnt of the server's layouts.
    pub(super) remembered: Option<Remembered>,
    /// Client: what is sent as archives before the server has agreed.
    pub(super) unsure: Unsure,
    /// Calls that found the server full, or wait for its word on a method.
    pub(super) waiting: Waiting,
    /// Whether some of them wait for the server's word on a method.
    pub(super) awaiting_verdict: bool,
    /// The driver's task.
    pub(super) driver: Waker,
    /// Whether the driver will look at the output without being woken once more.
    pub(super) scheduled: bool,
    /// How many calls, messages and outcomes were sent since the last batch.
    pub(super) sent: usize,
    /// Whether the driver must run even if there is no output.
    pub(super) summoned: bool,
    /// The time of the driver's latest batch.
    pub(super) now: Instant,
    pub(super) is_client: bool,
    /// Wakers to be woken when the lock is given back.
    pub(super) wake_after: Vec<Waker>,
}

/// What the driver keeps beside each stream of the session.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// Who waits for metadata, a message or the end.
    pub(super) reader: Option<Waker>,
    /// Who waits for credit.
    pub(super) writer: Option<Waker>,
    /// Server: the handler, once it is a task of its own.
    pub(super) task: Option<AbortHandle>,
    /// The method, and its index on this connection.
    pub(super) method: Option<(&'static MethodInfo, u32)>,
    /// Whether its messages are protobuf whatever the peer could read.
    pub(super) always_protobuf: bool,
}

impl Shared {
    /// What callers and handlers share; a client brings what it remembers of the server.
    pub(crate) fn new(
        session: Session<Slot>,
        peer: Peer,
        remembered: Option<VerdictCache>,
    ) -> Self {
        let is_client = remembered.is_some();
        let endpoint = peer.endpoint().clone();
        let remembered = remembered.map(|cache| Remembered {
            cache,
            endpoint,
            siblings: None,
        });
        let state = State {
            session,
            named: Vec::new(),
            remembered,
            unsure: Unsure::default(),
            waiting: Waiting::default(),
            awaiting_verdict: false,
            driver: Waker::noop().clone(),
            // The driver begins by sending HELLO.
            scheduled: true,
            sent: 0,
            summoned: false,
            now: timer::now(),
            is_client,
            wake_after: Vec::new(),
        };
        Self {
            state: Mutex::new(state),
            peer,
            proven: OnceLock::new(),
            is_client,
            standing: Standing::new(),
            pool: None,
            connected: AtomicBool::new(false),
            forsaken: AtomicBool::new(false),
        }
    }

    /// Shares what is learnt of the server's layouts with other sessions to the same process.
    pub(crate) fn with_siblings(self, siblings: VerdictCache) -> Self {
        if let Some(remembered) = &mut self.lock().remembered {
            remembered.siblings = Some(siblings);
        }
        self
    }

    /// Has calls that find the server full wait there instead of here.
    pub(crate) fn in_pool(mut self, pool: Weak<dyn Pool>) -> Self {
        self.pool = Some(pool);
        self
    }

    /// The lock for the driver itself, which looks at the output anyway.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock would be a bug of the session. Its state is whole enough to be
        // closed, and the other calls must not panic too.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one step under the lock and wakes the driver after it if there is output to send.
    #[inline]
    pub(super) fn step<R>(&self, step: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = step(&mut state);
        let driver = state.call_driver();
        let wakers = if state.wake_after.is_empty() {
            Vec::new()
        } else {
            std::mem::take(&mut state.wake_after)
        };
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    /// Neither closed nor draining.
    pub(crate) fn is_open_to_calls(&self) -> bool {
        !self.standing.is_closed()
    }

    pub(super) fn set_closed_to_calls(&self) {
        self.standing.close();
    }

    /// How many calls were opened here so far.
    pub(crate) fn calls(&self) -> u64 {
        self.lock().session.stats().calls
    }

    pub(super) fn set_connected(&self) {
        self.connected.store(true, Ordering::Release);
    }

    /// Whether the peer has proved to speak the protocol.
    pub(crate) fn was_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    pub(super) fn is_client(&self) -> bool {
        self.is_client
    }

    pub(crate) fn peer_ref(&self) -> &Peer {
        self.proven.get().unwrap_or(&self.peer)
    }

    /// Notes who the peer has proved to be, where the session began before it had.
    pub(crate) fn prove(&self, peer: Peer) {
        // It is done once, behind the handshake.
        let _ = self.proven.set(peer);
    }

    /// Ends a call with what its handler left, unless the call is gone.
    pub(super) fn finish(&self, key: StreamKey, mut outcome: Outcome) {
        let Finish::NeedsProtobuf(method) = self.step(|state| state.finish(key, &mut outcome))
        else {
            return;
        };
        payload::make_protobuf(&mut outcome, method);
        self.step(|state| state.finish_as(key, &mut outcome, WireMode::Protobuf));
    }

    /// Has the driver look at its link and its session, though nothing came.
    pub(crate) fn summon(&self) {
        self.step(|state| state.summoned = true);
    }

    /// Refuses new calls; those that run go on, and the driver ends after the last.
    pub(crate) fn drain(&self) {
        self.set_closed_to_calls();
        self.step(|state| {
            state.session.drain(timer::now());
            state.summoned = true;
        });
    }

    /// As [`drain`](Self::drain), and has those that wait for room look elsewhere at once.
    pub(crate) fn leave(&self) {
        self.set_closed_to_calls();
        self.step(|state| {
            state.session.drain(timer::now());
            state.waiting.wake_all(&mut state.wake_after);
            state.summoned = true;
        });
    }

    /// Has the calls that may be made again go elsewhere, since nothing comes back here.
    pub(crate) fn forsake(&self) {
        self.forsaken.store(true, Ordering::Release);
        self.step(|state| {
            let State {
                session,
                wake_after,
                ..
            } = state;
            session.each_user(|slot| wake_after.extend(slot.reader.take()));
        });
    }

    /// Ends everything and tells the peer; gives how many calls that were.
    pub(crate) fn close(&self, code: CloseCode, reason: &str) -> u32 {
        self.set_closed_to_calls();
        self.step(|state| {
            let calls = state.session.stats().calls_live;
            state.session.close(code, reason);
            state.summoned = true;
            calls
        })
    }
}

impl State {
    /// The driver's waker, if it has to be woken for what is to be sent or told.
    #[inline]
    fn call_driver(&mut self) -> Option<Waker> {
        let wanted = self.summoned || self.session.has_output() || self.session.has_events();
        if self.scheduled || !wanted {
            return None;
        }
        self.scheduled = true;
        Some(self.driver.clone())
    }
}

impl Slot {
    /// Takes both wakers, so that both sides see how the stream ended.
    pub(super) fn take_wakers(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.reader.take());
        wakers.extend(self.writer.take());
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("open", &self.is_open_to_calls())
            .finish_non_exhaustive()
    }
}
