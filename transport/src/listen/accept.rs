//! The loop that accepts links on one listener and owns the connections it made.

use std::collections::HashMap;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{self, JoinSet};
use tokio::time::Interval;

use super::carrier::Carrier;
use super::stop::Stop;
use super::users::Users;
use crate::link::listener::{Accepted, Listener};

/// Accepts until the server drains, then waits until every connection has ended; gives how many
/// calls it had to end that still ran after the drain period.
///
/// Dropping the future ends the connections at once.
pub(super) async fn accept_loop<F, C>(
    listener: Listener,
    room: Arc<Semaphore>,
    stop: Arc<Stop>,
    users: Users,
    serve: F,
) -> u64
where
    F: Fn(Accepted, Arc<Carrier>) -> C,
    C: Future<Output = ()> + Send + 'static,
{
    let mut connections = Connections::new(users);
    let mut backoff = Backoff::default();
    loop {
        tokio::select! {
            biased;
            () = stop.draining() => break,
            // Reaping as they end keeps the set as small as the number of live connections.
            () = connections.ended(), if !connections.is_empty() => {}
            accepted = accept(&listener, &room) => match accepted {
                Ok(accepted) => {
                    backoff = Backoff::default();
                    let _ = connections.begin(accepted, &serve);
                }
                Err(error) => backoff.pause(&error, &stop).await,
            },
        }
    }
    connections.drain(listener, &room, &stop, serve).await
}

/// The connections that one listener made, each a task of its own.
struct Connections {
    tasks: JoinSet<()>,
    carriers: HashMap<task::Id, Arc<Carrier>>,
    users: Users,
}

impl Connections {
    fn new(users: Users) -> Self {
        Self {
            tasks: JoinSet::new(),
            carriers: HashMap::new(),
            users,
        }
    }

    fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Serves what was accepted, unless its user has as many connections as one may.
    fn begin<F, C>(
        &mut self,
        (accepted, permit): (Accepted, OwnedSemaphorePermit),
        serve: &F,
    ) -> Option<Arc<Carrier>>
    where
        F: Fn(Accepted, Arc<Carrier>) -> C,
        C: Future<Output = ()> + Send + 'static,
    {
        let process = match &accepted {
            Accepted::Link(link) => link.process(),
            Accepted::Quic(_) => None,
        };
        // Whoever is turned away costs no task and holds no place; it sees its link end.
        let share = self.users.enter(process)?;
        let carrier = Carrier::new();
        let connection = serve(accepted, Arc::clone(&carrier));
        let task = self.tasks.spawn(async move {
            connection.await;
            drop((permit, share));
        });
        self.carriers.insert(task.id(), Arc::clone(&carrier));
        Some(carrier)
    }

    /// Waits until one of them has ended, and forgets it.
    async fn ended(&mut self) {
        let id = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(failure)) => failure.id(),
            None => return,
        };
        self.carriers.remove(&id);
    }

    /// Leaves the address to a successor, lets in who has come already, and waits until all have
    /// ended or are not to go on; gives how many calls ended so.
    async fn drain<F, C>(
        &mut self,
        listener: Listener,
        room: &Arc<Semaphore>,
        stop: &Stop,
        serve: F,
    ) -> u64
    where
        F: Fn(Accepted, Arc<Carrier>) -> C,
        C: Future<Output = ()> + Send + 'static,
    {
        // Before clients are told to go: they come back at once.
        let grace = listener.hand_over().await;
        self.carriers.values().for_each(|carrier| carrier.drain());
        let mut grace = pin!(tokio::time::sleep(grace));
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        let mut listener = Some(listener);
        let mut cut = 0;
        loop {
            let is_held = listener.as_ref().is_some_and(Listener::is_shared);
            if self.is_empty() && (listener.is_none() || is_held) {
                break;
            }
            tokio::select! {
                biased;
                () = stop.closed() => {
                    cut = self.close().await;
                    break;
                }
                accepted = accept_last(listener.as_ref(), room, &mut looks) => {
                    self.begin(accepted, &serve).inspect(|carrier| carrier.drain());
                }
                () = grace.as_mut(), if listener.is_some() && !is_held => listener = None,
                () = self.ended(), if !self.is_empty() => {}
            }
        }
        if let Some(listener) = listener {
            listener.released().await;
        }
        cut
    }

    async fn close(&mut self) -> u64 {
        let cut = self.carriers.values().map(|carrier| carrier.close()).sum();
        // A peer that does not read cannot be told; whatever is left is dropped with the set.
        let _ = tokio::time::timeout(CLOSE_PERIOD, self.all_ended()).await;
        cut
    }

    async fn all_ended(&mut self) {
        while !self.is_empty() {
            self.ended().await;
        }
    }
}

/// Waits for room first, so that a link over the limit stays in the medium's backlog, where it
/// costs the process nothing.
async fn accept(
    listener: &Listener,
    room: &Arc<Semaphore>,
) -> io::Result<(Accepted, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    Ok((listener.accept().await?, permit))
}

/// Waits for what came to a listener that is about to go, if there is one.
async fn accept_last(
    listener: Option<&Listener>,
    room: &Arc<Semaphore>,
    looks: &mut Interval,
) -> (Accepted, OwnedSemaphorePermit) {
    match listener {
        Some(listener) => listener.accept_last(room, looks).await,
        None => std::future::pending().await,
    }
}

/// How long to leave a failing listener alone.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
}

impl Backoff {
    async fn pause(&mut self, error: &io::Error, stop: &Stop) {
        let Some(delay) = self.delay(error) else {
            return;
        };
        tracing::warn!(%error, delay_ms = delay.as_millis(), "a connection cannot be accepted");
        tokio::select! {
            () = stop.draining() => {}
            () = tokio::time::sleep(delay) => {}
        }
    }

    /// Answers nothing when the failure is the one connection's own.
    fn delay(&mut self, error: &io::Error) -> Option<Duration> {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        let own = [
            ConnectionAborted,
            ConnectionRefused,
            ConnectionReset,
            Interrupted,
        ];
        if own.contains(&error.kind()) {
            return None;
        }
        // Typically the process is out of file descriptors (EMFILE): the listener stays readable,
        // and without a pause the loop would spin until another connection ends.
        let delay = PAUSE_MIN
            .saturating_mul(1 << self.failures.min(16))
            .min(PAUSE_MAX);
        self.failures += 1;
        Some(delay)
    }
}

/// How long closed connections may take to tell their peers so: a few round trips, and longer than
/// a driver lingers.
pub(super) const CLOSE_PERIOD: Duration = Duration::from_secs(2);
/// A descriptor is often freed within milliseconds when many short connections end.
const PAUSE_MIN: Duration = Duration::from_millis(5);
/// How often a server that drains looks for a successor that has come late.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Clients' connect timeouts are seconds, so a server that recovers must notice within one.
const PAUSE_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_listener_is_left_alone_for_longer_each_time_up_to_a_second() {
        let mut backoff = Backoff::default();
        let full = io::Error::other("no file descriptors");
        let delays: Vec<_> = (0..40).filter_map(|_| backoff.delay(&full)).collect();
        assert_eq!(delays[..3], [5, 10, 20].map(Duration::from_millis));
        assert_eq!(delays[39], PAUSE_MAX);
        assert_eq!(
            backoff.delay(&io::ErrorKind::ConnectionAborted.into()),
            None
        );
    }
}
