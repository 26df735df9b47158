//! What a session may use and promises its peer.

use std::time::Duration;

use crate::frame::hello::{Hello, VERSION};
use crate::output::RETAINED_BYTES_MAX;

/// The limits and timings of one side of a session.
///
/// What HELLO announces is raised to the protocol's minimum and cut to its maximum; see
/// [`Config::hello`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The calls a server serves at once; a client's value is without effect.
    pub calls_max: u32,
    /// The bytes a stream may receive ahead of its consumer.
    pub stream_credit: u32,
    /// The bytes all large messages together may occupy on their way to their consumers.
    pub connection_credit: u64,
    /// The largest message that is taken.
    pub message_bytes_max: u32,
    /// The largest metadata that is taken.
    pub metadata_bytes_max: u32,
    /// The methods for which a server keeps an index.
    pub methods_max: u32,
    /// The size of the buffers that the driver reads into.
    ///
    /// A payload of less than an eighth of it is copied out, so that it pins no buffer.
    pub read_buffer_bytes: usize,
    /// The pending output beyond which a session neither reads nor takes stream messages.
    pub output_bytes_max: usize,
    /// The room for output that is kept when all of it has been written, by the session and by who
    /// writes for it.
    pub output_retained_bytes_max: usize,
    /// How a silent peer is told from a dead one; none turns it off.
    pub keepalive: Option<Keepalive>,
    /// Client: how a peer is found out that answers nothing while calls wait for it, long before
    /// it counts as dead ([`Event::Silent`](crate::Event::Silent)); none turns it off.
    ///
    /// It is asked after `interval`, and after twice, four times and up to 32 times as long if the
    /// same calls wait on while it gives signs of life.
    pub probe: Option<Keepalive>,
    /// How often a slot may be used before it retires; lowered only by tests.
    pub generations_max: u32,
}

/// When a silent peer is asked for a sign of life, and when it counts as dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "two durations")]
pub struct Keepalive {
    /// The silence after which a PING goes out.
    pub interval: Duration,
    /// The further silence after which the peer counts as dead.
    pub timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // Enough for 64 outstanding calls of a dozen callers; see PROTOCOL.md §5.5 for the
            // memory that follows from it.
            calls_max: 1024,
            stream_credit: 128 * 1024,
            connection_credit: 16 * 1024 * 1024,
            // gRPC's customary default, so that a service moves over without a surprise.
            message_bytes_max: 4 * 1024 * 1024,
            metadata_bytes_max: 16 * 1024,
            methods_max: 1024,
            read_buffer_bytes: 256 * 1024,
            output_bytes_max: 1024 * 1024,
            output_retained_bytes_max: RETAINED_BYTES_MAX,
            // Below the 60 s after which common proxies and NATs forget an idle flow.
            keepalive: Some(Keepalive {
                interval: Duration::from_secs(20),
                timeout: Duration::from_secs(10),
            }),
            // It makes a difference only to those who have another peer to turn to.
            probe: None,
            generations_max: u32::MAX,
        }
    }
}

impl Config {
    /// The HELLO that announces this configuration, within what the protocol allows.
    pub fn hello(&self) -> Hello {
        let least = Hello::MINIMUM;
        let message_bytes_max = self
            .message_bytes_max
            .clamp(least.message_bytes_max, CREDIT_MAX);
        Hello {
            version_min: VERSION,
            version_max: VERSION,
            calls_max: self.calls_max.clamp(least.calls_max, CALLS_MAX),
            stream_credit: self.stream_credit.clamp(least.stream_credit, CREDIT_MAX),
            connection_credit: self
                .connection_credit
                .clamp(u64::from(message_bytes_max), u64::from(CREDIT_MAX)),
            message_bytes_max,
            metadata_bytes_max: self
                .metadata_bytes_max
                .clamp(least.metadata_bytes_max, METADATA_BYTES_CEILING),
            methods_max: self.methods_max.max(least.methods_max),
            features: 0,
        }
    }

    /// From how many bytes on a received payload is sliced from the read buffer.
    pub(crate) fn slice_bytes_min(&self) -> usize {
        (self.read_buffer_bytes / 8).max(4096)
    }
}

/// The most metadata any side takes: with the other sections it must fit a head of 64 KiB.
pub const METADATA_BYTES_CEILING: u32 = 48 * 1024;

/// The most calls a server may announce; slots are numbered below it.
const CALLS_MAX: u32 = 1 << 20;

const CREDIT_MAX: u32 = crate::frame::hello::CREDIT_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_configured_the_hello_is_lawful() {
        let nothing = Config {
            calls_max: 0,
            stream_credit: 0,
            connection_credit: 0,
            message_bytes_max: 0,
            metadata_bytes_max: 0,
            methods_max: 0,
            ..Config::default()
        };
        let everything = Config {
            calls_max: u32::MAX,
            stream_credit: u32::MAX,
            connection_credit: u64::MAX,
            message_bytes_max: u32::MAX,
            metadata_bytes_max: u32::MAX,
            methods_max: u32::MAX,
            ..Config::default()
        };
        for config in [nothing, Config::default(), everything] {
            let mut out = Vec::new();
            config.hello().write(&mut out);
            let (frame, _) = crate::frame::Frame::split(&out).unwrap().unwrap();
            assert_eq!(Hello::parse(frame.head), Ok(config.hello()));
        }
    }
}
