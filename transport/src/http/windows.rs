//! How far a connection opens its windows: a pure function of what comes and when.
//!
//! A sender has no more under way than its window in each round trip. So while much comes, a PING
//! finds how much comes between it and its answer; where that is about the window, the window may be
//! what holds the sender back, and is doubled. What waits in queues makes round trips longer and is
//! nothing that a window should hold, so that the shortest round trip counts.
//!
//! Ask [`Windows::wants_ping`], report [`Windows::handle_ping`] and [`Windows::handle_pong`], and
//! [`Windows::handle_opened`] once the windows are as wide as was asked for.

use std::time::{Duration, Instant};

/// The windows of one connection, and what is being measured.
#[derive(Debug)]
pub(crate) struct Windows {
    /// How wide that of each stream is.
    stream_bytes: u32,
    /// Nothing is measured before so much has come in all.
    next_bytes: u64,
    /// How much has to come between measurements.
    pause_bytes: u64,
    asked: Option<Asked>,
    /// The shortest round trip so far.
    shortest: Option<Duration>,
}

/// A PING that was not answered yet.
#[derive(Clone, Copy, Debug)]
struct Asked {
    at: Instant,
    /// What had come by then.
    received_bytes: u64,
}

/// How wide windows are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Widths {
    pub(crate) stream_bytes: u32,
    pub(crate) connection_bytes: u32,
}

impl Widths {
    const fn of_streams(stream_bytes: u32) -> Self {
        let all = stream_bytes.saturating_mul(UNREAD_STREAMS);
        Self {
            stream_bytes,
            connection_bytes: match all < CONNECTION_BYTES_MAX {
                true => all,
                false => CONNECTION_BYTES_MAX,
            },
        }
    }
}

impl Windows {
    pub(crate) const fn new() -> Self {
        Self {
            stream_bytes: FIRST.stream_bytes,
            next_bytes: FIRST.stream_bytes as u64 / 4,
            pause_bytes: FIRST.stream_bytes as u64,
            asked: None,
            shortest: None,
        }
    }

    /// Whether to send a PING, given how much has come in all.
    pub(crate) const fn wants_ping(&self, received_bytes: u64) -> bool {
        received_bytes >= self.next_bytes
            && self.asked.is_none()
            && self.stream_bytes < STREAM_BYTES_MAX
    }

    /// Whether a PING was not answered yet.
    pub(crate) const fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Notes that a PING leaves.
    pub(crate) const fn handle_ping(&mut self, at: Instant, received_bytes: u64) {
        self.asked = Some(Asked { at, received_bytes });
    }

    /// Notes its answer, and says how far the windows are to be opened, if farther than they are.
    pub(crate) fn handle_pong(&mut self, now: Instant, received_bytes: u64) -> Option<Widths> {
        let asked = self.asked.take()?;
        let took = now.saturating_duration_since(asked.at).max(TICK);
        let shortest = self.shortest.map_or(took, |it| it.min(took));
        self.shortest = Some(shortest);
        let came = u128::from(received_bytes - asked.received_bytes);
        // What came in a round trip, had there been no queue: the product of bandwidth and delay.
        let product = came * shortest.as_nanos() / took.as_nanos();
        let is_full = product * 3 >= u128::from(self.stream_bytes) * 2;
        if !is_full {
            self.next_bytes = received_bytes + self.pause_bytes;
            let most = u64::from(self.stream_bytes) * PAUSE_WINDOWS_MAX;
            self.pause_bytes = (self.pause_bytes * 2).min(most);
            return None;
        }
        let stream_bytes = self.stream_bytes.saturating_mul(2).min(STREAM_BYTES_MAX);
        // Whatever comes within the next round trip was held back by the former window.
        self.pause_bytes = u64::from(stream_bytes);
        self.next_bytes = received_bytes + self.pause_bytes;
        Some(Widths::of_streams(stream_bytes))
    }

    /// Notes that the windows are opened so far.
    pub(crate) const fn handle_opened(&mut self, widths: Widths) {
        self.stream_bytes = widths.stream_bytes;
    }
}

/// What windows begin with: a message of 1 MiB comes whole without waiting for them, and what
/// sixteen calls hold that nobody reads is 32 MiB. TCP takes a few round trips to send as much at
/// once, in which windows can open.
pub(crate) const FIRST: Widths = Widths::of_streams(2 * 1024 * 1024);
/// At a round trip of 100 ms worth 160 MB/s, at 20 ms 800 MB/s.
const STREAM_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// It takes so many calls that nobody reads to make the others wait, while their windows are no
/// wider than 4 MiB; and four when they are as wide as they may be.
const UNREAD_STREAMS: u32 = 16;
/// What a peer may have a connection hold, however wide the windows of its streams are.
const CONNECTION_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// The most that comes between measurements, in windows: where they find nothing, they are rare.
const PAUSE_WINDOWS_MAX: u64 = 16;
/// The shortest time that is told from none.
const TICK: Duration = Duration::from_micros(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::timer;

    const MIB: u64 = 1024 * 1024;

    /// A peer whose window is measured.
    struct Path {
        windows: Windows,
        now: Instant,
        received_bytes: u64,
    }

    impl Path {
        fn new() -> Self {
            Self {
                windows: Windows::new(),
                now: timer::now(),
                received_bytes: 0,
            }
        }

        /// Goes on until a PING is wanted, and has so much come until it is answered.
        fn measure(&mut self, came: u64, took: Duration) -> Option<Widths> {
            self.received_bytes = self.received_bytes.max(self.windows.next_bytes);
            assert!(self.windows.wants_ping(self.received_bytes));
            self.windows.handle_ping(self.now, self.received_bytes);
            assert!(self.windows.is_asked());
            assert!(!self.windows.wants_ping(u64::MAX));
            self.now += took;
            self.received_bytes += came;
            let widths = self.windows.handle_pong(self.now, self.received_bytes);
            assert!(!self.windows.is_asked());
            widths.inspect(|widths| self.windows.handle_opened(*widths))
        }

        fn window(&self) -> u64 {
            u64::from(self.windows.stream_bytes)
        }
    }

    const TRIP: Duration = Duration::from_millis(100);

    #[test]
    fn a_sender_that_fills_its_window_has_it_doubled_up_to_the_bound() {
        let mut path = Path::new();
        let mut widths = Vec::new();
        while path.window() < u64::from(STREAM_BYTES_MAX) {
            let opened = path.measure(path.window(), TRIP).expect("it is full");
            widths.push((opened.stream_bytes, opened.connection_bytes));
        }
        let wide = |stream: u32, connection: u32| (stream << 20, connection << 20);
        assert_eq!(widths, [wide(4, 64), wide(8, 64), wide(16, 64)]);
        // Nothing is measured any more.
        assert!(!path.windows.wants_ping(u64::MAX));
        let wanted = Widths::of_streams(2 << 20);
        assert_eq!((FIRST, wanted.connection_bytes), (wanted, 32 << 20));
    }

    #[test]
    fn two_thirds_of_a_window_fill_it_and_a_byte_less_does_not() {
        let least = (path_window() * 2).div_ceil(3);
        assert_eq!(Path::new().measure(least - 1, TRIP), None);
        assert!(Path::new().measure(least, TRIP).is_some());
    }

    fn path_window() -> u64 {
        Path::new().window()
    }

    #[test]
    fn what_waits_in_queues_does_not_open_windows() {
        let mut path = Path::new();
        assert_eq!(path.measure(MIB, TRIP), None);
        // As fast as before, and twice as long under way.
        assert_eq!(path.measure(2 * MIB, TRIP * 2), None);
        // Twice as fast.
        assert!(path.measure(2 * MIB, TRIP).is_some());
    }

    #[test]
    fn measurements_that_find_nothing_become_rare_up_to_a_bound() {
        let mut path = Path::new();
        let first = path.window() / 4;
        assert!(!path.windows.wants_ping(first - 1));
        let mut pauses = Vec::new();
        for _ in 0..7 {
            assert_eq!(path.measure(0, TRIP), None);
            pauses.push((path.windows.next_bytes - path.received_bytes) / path.window());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 16, 16]);
        // A window that opens is looked at again soon.
        path.measure(path.window(), TRIP).expect("it is full");
        assert_eq!(path.windows.pause_bytes, path.window());
    }

    #[test]
    fn windows_that_could_not_be_opened_are_as_they_were() {
        let mut path = Path::new();
        path.windows.handle_ping(path.now, 0);
        let widths = path.windows.handle_pong(path.now + TRIP, 2 * MIB);
        assert!(widths.is_some());
        assert_eq!(path.window(), 2 * MIB);
        assert_eq!(path.measure(2 * MIB, TRIP), widths);
    }

    #[test]
    fn an_answer_that_takes_no_time_counts_like_a_moment() {
        let mut path = Path::new();
        assert!(path.measure(path.window(), Duration::ZERO).is_some());
        // One that nobody asked for says nothing.
        assert_eq!(path.windows.handle_pong(path.now, u64::MAX), None);
    }
}
