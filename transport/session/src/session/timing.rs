//! Time: deadlines of calls and the sign of life, from one timer (PROTOCOL.md §6).

use std::time::{Duration, Instant};

use super::lifecycle::KEEPALIVE_TOKEN;
use super::slots::{Micros, NEVER, State};
use super::{Role, Session, micros_of};
use crate::frame::{CloseCode, ping};

impl<U: Default> Session<U> {
    /// When [`Session::handle_timeout`] is due; it may be earlier than anything happens.
    #[inline]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        // Streams are not scanned more often than the timer is coarse, and calls that ended do
        // not move it: so a call costs one comparison.
        let deadlines = match self.deadline_next {
            NEVER => NEVER,
            next => next.max(self.scanned + COARSE_US),
        };
        let next = deadlines.min(self.keepalive_at()).min(self.drain_final_at);
        (next != NEVER).then(|| self.epoch + Duration::from_micros(next))
    }

    /// Does what is due: ends calls whose deadline passed, asks a silent peer for a sign of life,
    /// gives a dead one up.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tick(now);
        if self.closed {
            return;
        }
        if self.now >= self.deadline_next {
            self.expire_calls();
        }
        if self.now >= self.drain_final_at {
            self.finalise_drain();
        }
        if !self.closed && self.now >= self.keepalive_at() {
            self.keep_alive();
        }
    }

    fn expire_calls(&mut self) {
        self.scanned = self.now;
        let mut next = NEVER;
        for index in self.slots.indexes() {
            let slot = self.slots.at(index);
            if !slot.state.has(State::LIVE) {
                continue;
            }
            if slot.deadline > self.now {
                next = next.min(slot.deadline);
            } else if self.role == Role::Client {
                self.expire_client(index);
            } else {
                self.expire_server(index);
            }
        }
        self.deadline_next = next;
    }

    fn keepalive_at(&self) -> Micros {
        let Some(keepalive) = self.config.keepalive else {
            return NEVER;
        };
        match self.ping_sent {
            Some(sent) => sent.saturating_add(micros_of(keepalive.timeout)),
            None => self.received.saturating_add(micros_of(keepalive.interval)),
        }
    }

    fn keep_alive(&mut self) {
        if self.ping_sent.is_some() {
            self.close(CloseCode::KEEPALIVE, "no sign of life from the peer");
            return;
        }
        ping::write(self.output.buffer(), false, KEEPALIVE_TOKEN);
        self.ping_sent = Some(self.now);
    }
}

/// The grain of deadlines: a millisecond, below which the links' own delays hide any difference.
const COARSE_US: Micros = 1000;
