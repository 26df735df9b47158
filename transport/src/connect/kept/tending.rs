//! What is done for connections by the clock: those that nobody uses go, those that are old are
//! succeeded, and while all are full another one is opened.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dreammesh_core::layer::ConnectFailure;

use super::super::backoff::Backoff;
use super::connecting::{Role, SUCCESSOR_AFTER};
use super::{Inner, State};
use crate::connect::Dialled;
use crate::driver::standing::{Pool, Standing};
use crate::driver::timer::{self, NEVER};
use crate::quic::dial::Offer;

/// What is known of opening more connections than one.
#[derive(Debug, Default)]
pub(super) struct Growth {
    backoff: Backoff,
    /// Until when none is tried.
    until: Option<Instant>,
}

impl Growth {
    /// One could not be made, or has not lasted.
    pub(super) fn fail(&mut self, random: u32) {
        self.until = Some(timer::now() + self.backoff.fail(random));
    }

    /// One has ended after it lived for so long.
    pub(super) fn ended(&mut self, lived: Duration, random: u32) {
        match lived < STEADY_AFTER {
            true => self.fail(random),
            false => self.backoff.succeed(),
        }
    }
}

impl Inner {
    /// Looks after the connections that there are.
    pub(super) async fn tend(&self) -> Infallible {
        loop {
            let mut over = Vec::new();
            let timeout = self.settings.idle_timeout;
            let look = self.lock().members.look(timer::now(), timeout, &mut over);
            // Where calls wait, another connection may take the place of one that went.
            if !over.is_empty() {
                self.crowded.notify_one();
            }
            // What nobody holds any more drains, and closes.
            drop(over);
            if look.is_successor_wanted {
                tracing::debug!(endpoint = %self.endpoint, "a connection has reached its age");
                self.asked.notify_one();
            }
            let due = async {
                match look.next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.placed.notified() => {}
            }
        }
    }

    /// When a connection that begins now is to be succeeded.
    pub(super) fn retire_at(&self, now: Instant) -> Option<Instant> {
        let mut age = self.settings.connection_age_max;
        if self.place.is_tunnel() {
            age = age.min(self.settings.tunnel_age_max);
        }
        if age >= NEVER {
            return None;
        }
        // Clients that began together, because their server did, do not all come back together.
        let spread = (age / 10).mul_f64(f64::from(random()) / f64::from(u32::MAX));
        Some(now + age.saturating_sub(spread).max(SUCCESSOR_AFTER))
    }

    /// Opens more connections while calls wait because all are full.
    pub(super) async fn grow(self: &Arc<Self>) -> Infallible {
        loop {
            self.crowded.notified().await;
            while let Some(after) = self.wants_another() {
                match after {
                    Some(until) => tokio::time::sleep_until(until.into()).await,
                    None => self.open_another().await,
                }
            }
        }
    }

    /// Whether another connection is wanted, and if so after what time.
    fn wants_another(&self) -> Option<Option<Instant>> {
        let state = self.lock();
        let is_full = state.members.is_live() && !state.members.has_room();
        let wanted = is_full && !state.waiting.is_empty() && self.may_grow(&state);
        let now = timer::now();
        wanted.then(|| state.growth.until.filter(|until| *until > now))
    }

    pub(super) fn may_grow(&self, state: &State) -> bool {
        !state.gone && state.members.count() < self.settings.connections_max
    }

    /// Makes a connection beside others, which calls get once the server has said hello there: it
    /// may refuse more than one, and a call that waits for room must not be harmed by that.
    async fn open_another(self: &Arc<Self>) {
        let limit = self.settings.connect_timeout;
        // Calls travel early where there is no connection, which `attempt` sees to.
        let offer: Offer = Arc::new(|_| false);
        let dialled = tokio::time::timeout(limit, self.place.dial(&offer)).await;
        let greeted = match dialled {
            Ok(Ok(Dialled::Link(link))) => Ok(self.begin_on(link, None, Role::Another)),
            Ok(Ok(Dialled::Quic(Some(lane), connected))) => {
                Ok(self.begin_on(lane, Some(connected), Role::Another))
            }
            // It was offered to nobody.
            Ok(Ok(Dialled::Quic(None, _))) => Err(None),
            // Another server answers now, whose turn comes when these are over.
            Ok(Ok(Dialled::Grpc(_))) => Err(None),
            Ok(Err(error)) => Err(Some((ConnectFailure::Dial, error.to_string()))),
            Err(_) => Err(Some((
                ConnectFailure::Timeout,
                format!("none within {limit:?}"),
            ))),
        };
        let is_made = match greeted {
            Ok(greeted) => greeted.await.is_ok(),
            Err(failed) => {
                if let Some((why, reason)) = failed {
                    self.counts.failed(why);
                    tracing::debug!(endpoint = %self.endpoint, reason, "no other connection");
                }
                false
            }
        };
        if !is_made {
            self.lock().growth.fail(random());
        }
    }
}

impl Pool for Inner {
    fn has_room(&self, calls: usize, standing: &Standing) {
        let mut wakers = Vec::new();
        {
            let mut state = self.lock();
            wakers.extend(std::iter::from_fn(|| state.waiting.wake_next()).take(calls));
            // Under the lock: for one that is open nobody is woken, so a call that begins to wait
            // after this must not find it full before it is open, and eased by then.
            if state.waiting.is_empty() {
                standing.open_again();
            }
        }
        wakers.into_iter().for_each(std::task::Waker::wake);
    }

    fn is_less(&self) {
        let mut wakers = Vec::new();
        self.lock().waiting.wake_all(&mut wakers);
        wakers.into_iter().for_each(std::task::Waker::wake);
    }
}

/// A random number, different in each process and at each call.
pub(super) fn random() -> u32 {
    RandomState::new().hash_one(0_u8) as u32
}

/// A connection beside others that lasts for so long is no sign that the server wants no more.
pub(super) const STEADY_AFTER: Duration = Duration::from_secs(10);
