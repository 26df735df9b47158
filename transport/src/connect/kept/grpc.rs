//! A connection to a server that speaks plain gRPC, in place of one with a session.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use dreammesh_core::layer::ConnectFailure;
use dreammesh_session::Keepalive;

use super::tending::STEADY_AFTER;
use super::{GrpcClient, Inner};
use crate::driver::timer::{self, NEVER};
use crate::grpc::client::{Driver, OpenedLink, Pings, Settings, begin};

impl Inner {
    /// Gives new calls the connection, and drives it.
    pub(super) fn begin_grpc(self: &Arc<Self>, opened: OpenedLink) {
        let peer = self.peer(opened.identity());
        let (client, driver) = begin(opened, peer, &self.grpc_settings());
        let medium = self.place.grpc_medium();
        // One that takes no more calls goes on beside it until its last call has ended.
        let is_alone = self
            .counts
            .snapshot()
            .open
            .iter()
            .all(|(_, open)| *open == 0);
        let driver = driver.on_hello(self.greeting(medium, is_alone));
        if self.put_grpc_in_place(&client) {
            // What calls hold of it says how long it lives.
            let of = Arc::downgrade(&client);
            tokio::spawn(Arc::clone(self).drive_grpc(driver, of, medium));
        }
    }

    fn grpc_settings(&self) -> Settings {
        let settings = &self.settings;
        let Keepalive { interval, timeout } = settings.grpc_keepalive;
        let too_often = self.pinged_too_often.load(Ordering::Relaxed);
        let interval = interval.saturating_mul(1 << too_often).min(NEVER);
        Settings {
            message_bytes_max: settings.session.message_bytes_max,
            metadata_bytes_max: settings.session.metadata_bytes_max,
            encoding: settings.grpc_encoding,
            keepalive: Keepalive { interval, timeout },
            measures: too_often == 0,
            greeting_due: timer::now() + settings.connect_timeout,
            idle_timeout: settings.idle_timeout,
            retire_at: self.retire_at(timer::now()),
        }
    }

    /// As for a session; false if the channel is gone.
    fn put_grpc_in_place(&self, client: &Arc<GrpcClient>) -> bool {
        let mut wakers = Vec::new();
        let former = {
            let mut state = self.lock();
            if state.gone {
                return false;
            }
            state.failure = None;
            state.wanted = false;
            state.waiting.wake_all(&mut wakers);
            let members = state.members.take(|_| true);
            (members, state.grpc.replace(Arc::clone(client)))
        };
        drop(former);
        self.detoured.notify_one();
        self.changed.notify_waiters();
        wakers.into_iter().for_each(Waker::wake);
        true
    }

    /// Drives a connection to its end.
    async fn drive_grpc(
        self: Arc<Self>,
        driver: Driver,
        client: std::sync::Weak<GrpcClient>,
        medium: usize,
    ) {
        let begun_at = timer::now();
        let (ending, was_greeted) = driver.run().await;
        let lived = timer::now().saturating_duration_since(begun_at);
        let doublings = |times| doublings(times, ending.pings);
        let _ = self
            .pinged_too_often
            .try_update(Ordering::Relaxed, Ordering::Relaxed, doublings);
        match was_greeted {
            true => self.counts.ended(medium, ending.why),
            false => self.counts.failed(ConnectFailure::Hello),
        }
        let (over, has_other) = {
            let mut state = self.lock();
            let is_it = |it: &mut Arc<GrpcClient>| std::ptr::eq(Arc::as_ptr(it), client.as_ptr());
            let over = state.grpc.take_if(is_it);
            let others = state.members.is_live() || state.grpc.is_some();
            (over, others)
        };
        drop(over);
        let reason = ending.reason.as_str();
        // A server that ends each connection as soon as it is made is not dialled without a pause.
        let is_hasty = ending.is_futile && lived < STEADY_AFTER;
        if has_other || was_greeted && !is_hasty {
            tracing::debug!(endpoint = %self.endpoint, reason, "the connection is over");
            self.lock().backoff.succeed();
        } else {
            self.fail(reason);
        }
        self.changed.notify_waiters();
    }
}

/// How often the interval of signs of life is doubled from now on, if that is no longer so often.
fn doublings(times: u32, pings: Pings) -> Option<u32> {
    match pings {
        Pings::Unknown => None,
        Pings::Borne => times.checked_sub(1),
        Pings::TooMany => (times < DOUBLINGS_MAX).then_some(times + 1),
    }
}

/// After which signs of life are asked for a sixteenth as often: by default every 80 minutes, which
/// is still of use.
const DOUBLINGS_MAX: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_signs_of_life_is_doubled_and_halved_within_bounds() {
        assert_eq!(doublings(0, Pings::TooMany), Some(1));
        assert_eq!(
            doublings(DOUBLINGS_MAX - 1, Pings::TooMany),
            Some(DOUBLINGS_MAX)
        );
        assert_eq!(doublings(DOUBLINGS_MAX, Pings::TooMany), None);
        assert_eq!(doublings(1, Pings::Borne), Some(0));
        assert_eq!(doublings(0, Pings::Borne), None);
        assert_eq!(doublings(1, Pings::Unknown), None);
    }
}
