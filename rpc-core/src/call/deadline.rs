//! An instant by which a call must have ended, and the duration that is left until then.

use std::fmt;
use std::time::{Duration, Instant};

/// The instant by which a call must have ended.
///
/// It crosses the wire as the time remaining, so that clocks need not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// A deadline at the given instant.
    pub const fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// The deadline `timeout` after `now`, or none when it lies beyond what the clock can name.
    pub fn after(now: Instant, timeout: Duration) -> Option<Self> {
        now.checked_add(timeout).map(Self)
    }

    /// The instant itself.
    pub const fn instant(self) -> Instant {
        self.0
    }

    /// What is left at `now`; zero once it has passed.
    pub fn remaining(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// Whether it has passed at `now`.
    pub fn is_past(self, now: Instant) -> bool {
        self.0 <= now
    }

    /// The earlier of two optional deadlines.
    pub fn earlier(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        }
    }
}

/// A duration as it crosses the wire: whole microseconds, rounded up.
///
/// Rounding up keeps a short timeout from becoming zero on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timeout(u64);

impl Timeout {
    /// The timeout of so many microseconds.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Whole microseconds.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// As a duration.
    pub const fn as_duration(self) -> Duration {
        Duration::from_micros(self.0)
    }

    /// Reads the form of gRPC's `grpc-timeout`: at most eight digits and a unit of `HMSmun`.
    pub fn parse_grpc(text: &str) -> Option<Self> {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let amount: u64 = digits.parse().ok()?;
        let micros = match unit {
            "H" => amount * 3_600_000_000,
            "M" => amount * 60_000_000,
            "S" => amount * 1_000_000,
            "m" => amount * 1_000,
            "u" => amount,
            "n" => amount.div_ceil(1_000),
            _ => return None,
        };
        Some(Self(micros))
    }

    /// Writes the form of gRPC's `grpc-timeout`, in the finest unit that fits eight digits.
    pub fn to_grpc(self) -> String {
        const EIGHT_DIGITS: u64 = 99_999_999;
        let units = [(1, 'u'), (1_000, 'm'), (1_000_000, 'S'), (60_000_000, 'M')];
        for (micros, unit) in units {
            let amount = self.0.div_ceil(micros);
            if amount <= EIGHT_DIGITS {
                return format!("{amount}{unit}");
            }
        }
        format!("{}H", self.0.div_ceil(3_600_000_000).min(EIGHT_DIGITS))
    }
}

impl From<Duration> for Timeout {
    fn from(duration: Duration) -> Self {
        let micros = duration.as_nanos().div_ceil(1_000);
        Self(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_duration())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passed_deadline_has_nothing_left() {
        let now = crate::clock::now();
        let deadline = Deadline::after(now, Duration::from_millis(5)).unwrap();
        assert_eq!(deadline.remaining(now), Duration::from_millis(5));
        assert!(!deadline.is_past(now));
        assert!(deadline.is_past(now + Duration::from_millis(5)));
        assert_eq!(
            deadline.remaining(now + Duration::from_secs(1)),
            Duration::ZERO
        );
    }

    #[test]
    fn the_earlier_of_two_wins_and_none_never_does() {
        let now = crate::clock::now();
        let near = Deadline::at(now);
        let far = Deadline::at(now + Duration::from_secs(1));
        assert_eq!(Deadline::earlier(Some(far), Some(near)), Some(near));
        assert_eq!(Deadline::earlier(None, Some(far)), Some(far));
        assert_eq!(Deadline::earlier(None, None), None);
    }

    #[test]
    fn a_timeout_beyond_the_clock_is_no_deadline() {
        assert_eq!(Deadline::after(crate::clock::now(), Duration::MAX), None);
    }

    #[test]
    fn grpc_timeouts_are_read_and_written() {
        assert_eq!(
            Timeout::parse_grpc("1H").map(Timeout::as_micros),
            Some(3_600_000_000)
        );
        assert_eq!(
            Timeout::parse_grpc("99999999n").map(Timeout::as_micros),
            Some(100_000)
        );
        assert_eq!(Timeout::parse_grpc("1n").map(Timeout::as_micros), Some(1));
        for bad in ["", "1", "m", "123456789m", "-1m", "+1m", "1x", "1é"] {
            assert_eq!(Timeout::parse_grpc(bad), None, "{bad}");
        }
        for micros in [0, 1, 99_999_999, 100_000_000, 3_600_000_000_000] {
            let text = Timeout::from_micros(micros).to_grpc();
            let back = Timeout::parse_grpc(&text).unwrap().as_micros();
            assert!(back >= micros && back - micros < 1_000, "{micros} {text}");
        }
        assert!(Timeout::parse_grpc(&Timeout::from_micros(u64::MAX).to_grpc()).is_some());
    }

    #[test]
    fn a_nanosecond_left_is_a_microsecond_on_the_wire() {
        assert_eq!(Timeout::from(Duration::from_nanos(1)).as_micros(), 1);
        assert_eq!(Timeout::from(Duration::MAX).as_micros(), u64::MAX);
    }
}
