//! How a session ends: by draining, by a reason, or because the link is gone (PROTOCOL.md §7, §8).

use std::time::Instant;

use dreammesh_core::call::{Begun, Initiator, Status};
use dreammesh_core::port::Ended;

use super::slots::State;
use super::{Role, Session};
use crate::event::{Closed, Event};
use crate::frame::close::Close;
use crate::frame::goaway::{self, Phase};
use crate::frame::{CloseCode, Violation, ping};

/// How far a drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drain {
    /// None is under way.
    None,
    /// Client: no call is opened any more, since the server asked or this side decided.
    Asked,
    /// Server: announced; calls are taken until the client has seen it.
    Announced,
    /// Server: no further call is taken.
    Final,
}

impl Drain {
    #[inline]
    pub(crate) fn is_final(self) -> bool {
        self == Self::Final
    }
}

/// Tokens with this bit are the session's own and make no event.
pub(crate) const OWN_TOKENS: u64 = 1 << 63;

/// The PING behind the first GOAWAY: its PONG proves that the client has seen it.
pub(crate) const DRAIN_TOKEN: u64 = OWN_TOKENS | 1;

/// The PING of the keepalive.
pub(crate) const KEEPALIVE_TOKEN: u64 = OWN_TOKENS;

/// The PING to a peer that calls wait for.
pub(crate) const PROBE_TOKEN: u64 = OWN_TOKENS | 2;

impl<U: Default> Session<U> {
    /// Takes or opens no further calls, lets the others finish, then closes (PROTOCOL.md §7).
    pub fn drain(&mut self, now: Instant) {
        self.tick(now);
        if self.closed {
            return;
        }
        match (self.role, self.drain) {
            (Role::Client, _) => self.drain = Drain::Asked,
            (Role::Server, Drain::None) => {
                self.drain = Drain::Announced;
                goaway::write(self.output.buffer(), Phase::Announced);
                ping::write(self.output.buffer(), false, DRAIN_TOKEN);
                // The PONG may never come; the final phase then follows at this time.
                self.drain_final_at = self.now.saturating_add(DRAIN_PHASE_US);
            }
            (Role::Server, _) => {}
        }
        self.finish_drain();
    }

    /// Server: names the last call that may have begun; later ones end as not begun.
    pub(crate) fn finalise_drain(&mut self) {
        self.drain = Drain::Final;
        self.drain_final_at = super::slots::NEVER;
        goaway::write(
            self.output.buffer(),
            Phase::Final {
                last_begun: self.ordinal,
            },
        );
        self.finish_drain();
    }

    /// Closes once a drain has nothing left to wait for.
    #[inline]
    pub(crate) fn finish_drain(&mut self) {
        if self.drain == Drain::None || self.live > 0 || self.closed {
            return;
        }
        let done = match self.role {
            Role::Client => self.slots.iter().all(|slot| !slot.state.has(State::LIVE)),
            Role::Server => self.drain.is_final(),
        };
        if done {
            self.shut(CloseCode::DONE, "drained");
        }
    }

    /// Closes the session with a reason; every call that has not ended ends.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        if !self.closed {
            self.shut(code, reason);
        }
    }

    /// Sends a PING whose answer comes as [`Event::Pong`]; the highest bit of the token is lost.
    pub fn ping(&mut self, token: u64) {
        if !self.closed {
            ping::write(self.output.buffer(), false, token & !OWN_TOKENS);
        }
    }

    /// The peer broke the protocol.
    #[cold]
    pub(crate) fn fail(&mut self, violation: Violation) {
        self.close(violation.code, violation.what);
    }

    fn shut(&mut self, code: CloseCode, reason: &str) {
        let close = Close {
            code,
            last_begun: self.ordinal,
            reason: reason.as_bytes(),
        };
        close.write(self.output.buffer());
        self.closed = true;
        let status = Status::unavailable(format!("session closed: {reason}"));
        let ended = Ended::by_library(status, Begun::Maybe);
        let calls_ended = self.end_all(&ended, u64::MAX);
        let reason = reason.to_owned();
        self.events.push_back(Event::Closed(Closed {
            code,
            reason,
            by_peer: false,
            calls_ended,
        }));
    }

    pub(crate) fn closed_by_peer(&mut self, code: CloseCode, reason: String, last_begun: u64) {
        self.closed = true;
        let status = Status::unavailable(format!("the peer closed the session: {reason}"));
        let ended = Ended {
            initiator: Initiator::Peer,
            drained: code == CloseCode::SHUTDOWN,
            ..Ended::by_library(status, Begun::Maybe)
        };
        let calls_ended = self.end_all(&ended, last_begun);
        self.events.push_back(Event::Closed(Closed {
            code,
            reason,
            by_peer: true,
            calls_ended,
        }));
    }

    /// The link ended without a CLOSE; every call that has not ended ends.
    pub fn handle_link_lost(&mut self, reason: &str) {
        self.lose_link(reason, u64::MAX);
    }

    /// The link turned out never to have been one: nothing that was handed to it has arrived, so no
    /// call has begun, and every call ends.
    pub fn handle_link_refused(&mut self, reason: &str) {
        self.lose_link(reason, 0);
    }

    fn lose_link(&mut self, reason: &str, last_begun: u64) {
        if self.closed {
            return;
        }
        self.closed = true;
        let status = Status::unavailable(format!("connection lost: {reason}"));
        let ended = Ended::by_library(status, Begun::Maybe);
        let calls_ended = self.end_all(&ended, last_begun);
        let (code, reason) = (CloseCode::LINK, reason.to_owned());
        self.events.push_back(Event::Closed(Closed {
            code,
            reason,
            by_peer: false,
            calls_ended,
        }));
    }

    /// Ends every stream; those after `last_begun`, or never handed to the link, did not begin. Says
    /// how many others there were.
    fn end_all(&mut self, ended: &Ended, last_begun: u64) -> u32 {
        let mut calls_ended = 0;
        for index in self.slots.indexes() {
            let slot = self.slots.at(index);
            if slot.state.has(State::LIVE) {
                let ordinal = slot.ordinal;
                let begun = if ordinal > last_begun {
                    Begun::No
                } else {
                    self.begun(ordinal)
                };
                calls_ended += u32::from(begun == Begun::Maybe);
                let ended = Ended {
                    begun,
                    ..ended.clone()
                };
                self.lose(index, ended);
            }
        }
        if self.room_wanted {
            self.events.push_back(Event::Room);
        }
        calls_ended
    }
}

/// How long a client may take to answer the PING of a drain before it is taken as answered: far
/// beyond any round trip, and within the time that supervisors give a process to end.
const DRAIN_PHASE_US: u64 = 5_000_000;
