//! QUIC: one connection that carries several sessions, each on a stream of its own, a *lane*.
//!
//! A lane is a long-lived bidirectional stream that the client opens, and carries one ordinary
//! session (PROTOCOL.md §13). Lane 0 serves small calls: all of them together make large batches,
//! as on TCP. Streaming calls and large requests get a *bulk* lane, one each where possible, so
//! that the loss of a packet of theirs, or a slow reader, holds up nobody else.
//!
//! - `lane`: a stream as a link. `socket`: UDP sockets and their buffers. `told`: TLS, and why it fails.
//! - `dial`: the client, whose choice of lanes is in `connect/lanes`.
//! - `listen`, `handshake`, `serve`: the server; `flood`, `busiest`: what it takes from nobody; `port`,
//!   `peers`: how its port is handed over to a successor.
//!
//! The session's credit is what bounds memory. QUIC's own windows are a share for each lane of a
//! sum for the connection, so that no lane can use up what another needs, however slow its reader:
//! each of at most `LANES_MAX` lanes may have `LANE_WINDOW_BYTES` under way in each direction.

use std::time::Duration;

use dreammesh_session::{Config, Keepalive};
use quinn::{AckFrequencyConfig, IdleTimeout, TransportConfig, VarInt};

mod busiest;
pub(crate) mod dial;
mod flood;
pub(crate) mod handshake;
mod lane;
pub(crate) mod listen;
mod peers;
mod port;
pub(crate) mod serve;
mod socket;
mod told;
mod under_way;

/// What both sides set alike; `lanes` is how many the peer may open here.
fn transport(lanes: u32, keepalive: Option<Keepalive>) -> TransportConfig {
    let mut acknowledgements = AckFrequencyConfig::default();
    acknowledgements.ack_eliciting_threshold(VarInt::from_u32(UNACKNOWLEDGED_MAX));
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(lanes))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(LANE_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(CONNECTION_WINDOW_BYTES.into())
        .ack_frequency_config(Some(acknowledgements))
        .max_idle_timeout(idle_timeout(keepalive));
    config
}

/// When QUIC itself gives a silent connection up.
///
/// Sessions own this: each asks for a sign of life, and gives up first. What ends with the session
/// of lane 0 is the whole connection. QUIC's own timer, which is the shorter of both sides', is
/// for connections that carry no session any more.
fn idle_timeout(keepalive: Option<Keepalive>) -> Option<IdleTimeout> {
    let keepalive = keepalive?;
    let silence = keepalive.interval.saturating_add(keepalive.timeout);
    let twice = silence.saturating_mul(2).max(IDLE_TIMEOUT_MIN);
    // A duration beyond what QUIC can say is as good as none.
    IdleTimeout::try_from(twice).ok()
}

/// What a bulk lane may use: one large message at a time in each direction, and as few calls as
/// the protocol allows, since one at a time is what it is for.
pub(crate) fn bulk(config: &Config) -> Config {
    let mut bulk = config.clone();
    bulk.calls_max = 0;
    bulk.connection_credit = 0;
    bulk
}

/// The lanes that a client may have open at once: one for small calls and fifteen for bulk.
///
/// quinn keeps state for every stream that is allowed, open or not: with 4,096 of them, an idle
/// connection took 404 KiB, with 16 it took 37.
pub(crate) const LANES_MAX: u32 = 16;

/// What a lane may have under way: 160 Mbit/s at a round trip of 50 ms, on each of its lanes.
const LANE_WINDOW_BYTES: u32 = 1 << 20;

/// A share for each lane, so that those that are stalled leave the others theirs.
const CONNECTION_WINDOW_BYTES: u32 = LANES_MAX * LANE_WINDOW_BYTES;

/// After so many packets the peer is to acknowledge them, unless it has something to send anyway.
///
/// By default that is every second one, so that a batch of requests is acknowledged by a packet of
/// its own and then by the one with the answers: with 64 small calls outstanding that cost a fifth
/// of the CPU time.
const UNACKNOWLEDGED_MAX: u32 = 8;

/// Below this, timeouts of QUIC would fire in the middle of ordinary loss recovery.
const IDLE_TIMEOUT_MIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quic_gives_up_later_than_the_session_does() {
        let of = |interval, timeout| {
            let [interval, timeout] = [interval, timeout].map(Duration::from_secs);
            idle_timeout(Some(Keepalive { interval, timeout }))
        };
        let secs = |seconds| Some(IdleTimeout::try_from(Duration::from_secs(seconds)).unwrap());
        assert_eq!(of(20, 10), secs(60));
        assert_eq!(of(1, 1), secs(10));
        assert_eq!(of(u64::MAX, 1), None);
        assert_eq!(idle_timeout(None), None);
    }

    #[test]
    fn a_bulk_lane_announces_the_least_calls_and_room_for_one_message() {
        let hello = bulk(&Config::default()).hello();
        assert_eq!(hello.calls_max, 64);
        assert_eq!(hello.connection_credit, u64::from(hello.message_bytes_max));
    }
}
