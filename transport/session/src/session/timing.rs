//! Time: deadlines of calls and the sign of life, from one timer (PROTOCOL.md §6).

use std::time::{Duration, Instant};

use super::lifecycle::{KEEPALIVE_TOKEN, PROBE_TOKEN};
use super::slots::{Micros, NEVER, State};
use super::{Role, Session, micros_of};
use crate::config::Config;
use crate::event::Event;
use crate::frame::{CloseCode, ping};

/// How long calls have waited for a peer that says nothing.
#[derive(Debug, Default)]
pub(super) struct Probe {
    /// When it last said something, a call was opened after that, or it was found to be silent.
    since: Micros,
    /// Whether a call was opened since it last said something.
    is_asked: bool,
    /// When it was asked for a sign of life, if it has said nothing since.
    sent: Option<Micros>,
    /// How often it was asked since a call was last opened.
    times: u32,
}

impl Probe {
    /// A call is opened; it may be the only one.
    #[inline]
    pub(super) fn handle_asked(&mut self, now: Micros, is_first: bool) {
        self.times = 0;
        if is_first || !self.is_asked {
            (self.since, self.sent, self.is_asked) = (now, None, true);
        }
    }

    #[inline]
    fn handle_heard(&mut self, now: Micros) {
        (self.since, self.sent, self.is_asked) = (now, None, false);
    }

    /// When there is something to do, as long as calls wait.
    #[inline]
    fn at(&self, config: &Config) -> Micros {
        let Some(probe) = config.probe else {
            return NEVER;
        };
        match self.sent {
            Some(sent) => sent.saturating_add(micros_of(probe.timeout)),
            None => {
                let interval = micros_of(probe.interval);
                let longer = 1 << self.times.min(LONGER_MAX);
                self.since.saturating_add(interval.saturating_mul(longer))
            }
        }
    }

    /// It is time; whether the peer is to be asked, having not been, or is silent.
    fn handle_due(&mut self, now: Micros) -> Due {
        if self.sent.take().is_some() {
            self.since = now;
            return Due::Silent;
        }
        self.times = self.times.saturating_add(1);
        self.sent = Some(now);
        Due::Ask
    }
}

/// What is to be done about a peer that says nothing.
enum Due {
    Ask,
    Silent,
}

impl<U: Default> Session<U> {
    /// Something came from the peer.
    #[inline]
    pub(crate) fn heard(&mut self) {
        self.received = self.now;
        self.ping_sent = None;
        self.probe.handle_heard(self.now);
    }

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
        let next = deadlines.min(self.keepalive_at()).min(self.probe_at());
        let next = next.min(self.drain_final_at);
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
        if !self.closed && self.now >= self.probe_at() {
            match self.probe.handle_due(self.now) {
                Due::Ask => ping::write(self.output.buffer(), false, PROBE_TOKEN),
                Due::Silent => self.events.push_back(Event::Silent),
            }
        }
    }

    fn probe_at(&self) -> Micros {
        match self.live {
            0 => NEVER,
            _ => self.probe.at(&self.config),
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

/// How often the time doubles after which a peer is asked again: calls may take long, and one that
/// runs them gives a sign of life each time.
const LONGER_MAX: u32 = 5;
