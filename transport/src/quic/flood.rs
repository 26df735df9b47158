//! Peers that keep this side busy with what is no work.
//!
//! The session's budget (PROTOCOL.md §6.4) sees frames; this sees what happens below it.

use std::time::{Duration, Instant};

use quinn::ConnectionStats;

/// What a connection has done since it was last looked at.
#[derive(Debug)]
pub(super) struct Watch {
    /// Lanes that may yet end; one comes back each [`LANE_PERIOD`].
    lanes_left: u32,
    since: Instant,
    seen: Seen,
}

/// What a connection has done in all.
#[derive(Debug, Default)]
struct Seen {
    control_frames: u64,
    flow_frames: u64,
    sent_datagrams: u64,
    stream_frames: u64,
    /// What packets carried beside their own headers.
    carried_bytes: u64,
}

/// What a peer is closed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flood {
    Lanes,
    Control,
    Flow,
    Crumbs,
}

impl Flood {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Lanes => "too many lanes were opened and ended",
            Self::Control => "too many frames about connection ids and paths",
            Self::Flow => "too many frames about what was not sent",
            Self::Crumbs => "too many stream frames of hardly any bytes",
        }
    }
}

impl Watch {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            lanes_left: LANES_BUDGET,
            since: now,
            seen: Seen::default(),
        }
    }

    /// Counts a lane that ended, however it did.
    pub(super) fn lane_ended(&mut self, now: Instant) -> Option<Flood> {
        let periods = now.saturating_duration_since(self.since).as_nanos() / LANE_PERIOD.as_nanos();
        let periods = u32::try_from(periods).unwrap_or(u32::MAX);
        if periods > 0 {
            self.since = now;
            self.lanes_left = self.lanes_left.saturating_add(periods).min(LANES_BUDGET);
        }
        match self.lanes_left.checked_sub(1) {
            Some(left) => {
                self.lanes_left = left;
                None
            }
            None => Some(Flood::Lanes),
        }
    }

    /// Looks at what arrived since the last look.
    pub(super) fn look(&mut self, stats: &ConnectionStats) -> Option<Flood> {
        let found = self.check(stats);
        self.seen = Seen::of(stats);
        found
    }

    /// Looks at it out of turn: the next look sees it again.
    pub(super) fn check(&self, stats: &ConnectionStats) -> Option<Flood> {
        let (before, now) = (&self.seen, Seen::of(stats));
        let control_frames = now.control_frames - before.control_frames;
        let flow_frames = now.flow_frames - before.flow_frames;
        let sent_datagrams = now.sent_datagrams - before.sent_datagrams;
        let flow_frames_max = FLOW_FRAMES_MAX + sent_datagrams * FLOW_FRAMES_A_DATAGRAM;
        let stream_frames = now.stream_frames - before.stream_frames;
        let bytes = now.carried_bytes.saturating_sub(before.carried_bytes);
        if control_frames > CONTROL_FRAMES_MAX {
            Some(Flood::Control)
        } else if flow_frames > flow_frames_max {
            Some(Flood::Flow)
        } else if stream_frames > STREAM_FRAMES_MIN && bytes / stream_frames < FRAME_BYTES_MIN {
            Some(Flood::Crumbs)
        } else {
            None
        }
    }
}

impl Seen {
    fn of(stats: &ConnectionStats) -> Self {
        let frames = &stats.frame_rx;
        let overhead = stats.udp_rx.datagrams.saturating_mul(PACKET_BYTES);
        Self {
            control_frames: frames.new_connection_id
                + frames.retire_connection_id
                + frames.path_challenge
                + frames.path_response
                + frames.ping
                + frames.reset_stream
                + frames.stop_sending
                + frames.streams_blocked_bidi
                + frames.streams_blocked_uni,
            flow_frames: frames.acks
                + frames.ack_frequency
                + frames.immediate_ack
                + frames.crypto
                + frames.max_data
                + frames.max_stream_data
                + frames.max_streams_bidi
                + frames.max_streams_uni
                + frames.data_blocked
                + frames.stream_data_blocked,
            sent_datagrams: stats.udp_tx.datagrams,
            stream_frames: frames.stream,
            carried_bytes: stats.udp_rx.bytes.saturating_sub(overhead),
        }
    }
}

/// A client opens fifteen bulk lanes and keeps those it uses, so it ends fifteen in ten seconds at
/// the most; the rest is for unusual ones.
const LANES_BUDGET: u32 = 256;
const LANE_PERIOD: Duration = Duration::from_millis(100);

/// Between two looks. A client sends some dozens: probes of the path MTU, a few connection ids, a
/// move to another address now and then.
const CONTROL_FRAMES_MAX: u64 = 2_000;

/// Between two looks, of frames that answer what this side sends, or say that it should send more:
/// of those that a client sends by itself.
const FLOW_FRAMES_MAX: u64 = 4_096;

/// And for each datagram that went to the peer: one that acknowledges it, and one for each window
/// that what it brought moved. Most share one.
const FLOW_FRAMES_A_DATAGRAM: u64 = 4;

/// Below so many stream frames between two looks, their size says nothing.
const STREAM_FRAMES_MIN: u64 = 16_384;

/// What a packet has beside its frames: flags, connection id, number and seal.
const PACKET_BYTES: u64 = 28;

/// What packets must carry for each stream frame in them. The smallest frame of a session has 16
/// bytes, to which QUIC adds some, and mostly a driver sends many of them as one.
const FRAME_BYTES_MIN: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> (Watch, Instant) {
        let now = crate::driver::timer::now();
        (Watch::new(now), now)
    }

    #[test]
    fn so_many_lanes_may_end_at_once_and_one_more_may_not() {
        let (mut watch, now) = watch();
        for _ in 0..LANES_BUDGET {
            assert_eq!(watch.lane_ended(now), None);
        }
        assert_eq!(watch.lane_ended(now), Some(Flood::Lanes));
        let later = now + LANE_PERIOD;
        assert_eq!(watch.lane_ended(later), None);
        assert_eq!(watch.lane_ended(later), Some(Flood::Lanes));
    }

    #[test]
    fn control_frames_are_counted_from_look_to_look() {
        let (mut watch, _) = watch();
        let mut stats = ConnectionStats::default();
        for _ in 0..3 {
            stats.frame_rx.new_connection_id += CONTROL_FRAMES_MAX / 2;
            stats.frame_rx.path_challenge += CONTROL_FRAMES_MAX / 2;
            assert_eq!(watch.look(&stats), None);
        }
        stats.frame_rx.ping += CONTROL_FRAMES_MAX + 1;
        assert_eq!(watch.look(&stats), Some(Flood::Control));
    }

    #[test]
    fn a_look_out_of_turn_begins_nothing_anew() {
        let (mut watch, _) = watch();
        let mut stats = ConnectionStats::default();
        for _ in 0..CONTROL_FRAMES_MAX {
            stats.frame_rx.retire_connection_id += 1;
            assert_eq!(watch.check(&stats), None);
        }
        stats.frame_rx.retire_connection_id += 1;
        assert_eq!(watch.check(&stats), Some(Flood::Control));
        assert_eq!(watch.look(&stats), Some(Flood::Control));
        assert_eq!(watch.check(&stats), None);
    }

    #[test]
    fn frames_about_what_was_sent_are_held_against_that() {
        let (mut watch, _) = watch();
        let mut stats = ConnectionStats::default();
        stats.frame_rx.acks += FLOW_FRAMES_MAX / 2;
        stats.frame_rx.max_stream_data += FLOW_FRAMES_MAX / 2;
        assert_eq!(watch.look(&stats), None);
        stats.udp_tx.datagrams += 10;
        stats.frame_rx.max_data += FLOW_FRAMES_MAX + 10 * FLOW_FRAMES_A_DATAGRAM;
        assert_eq!(watch.look(&stats), None);
        stats.udp_tx.datagrams += 10;
        stats.frame_rx.crypto += FLOW_FRAMES_MAX + 10 * FLOW_FRAMES_A_DATAGRAM + 1;
        assert_eq!(watch.look(&stats), Some(Flood::Flow));
    }

    #[test]
    fn many_stream_frames_must_carry_something() {
        let mut stats = ConnectionStats::default();
        let (mut one, _) = watch();
        stats.frame_rx.stream = STREAM_FRAMES_MIN + 1;
        stats.udp_rx.datagrams = stats.frame_rx.stream;
        stats.udp_rx.bytes = stats.frame_rx.stream * (PACKET_BYTES + FRAME_BYTES_MIN);
        assert_eq!(one.look(&stats), None);
        let (mut other, _) = watch();
        stats.udp_rx.bytes -= 1;
        assert_eq!(other.look(&stats), Some(Flood::Crumbs));
        let (mut fewer, _) = watch();
        stats.frame_rx.stream -= 1;
        stats.udp_rx.bytes = 0;
        assert_eq!(fewer.look(&stats), None);
    }
}
