//! Well-known types and their counterparts in Rust.

use std::fmt;
use std::time::{Duration as StdDuration, SystemTime, UNIX_EPOCH};

use dreammesh_wire::{Message, WireError};

use super::{Any, Duration, Timestamp};
use crate::codec::Protobuf;

/// A value that a well-known type cannot hold, or that its counterpart in Rust cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange(());

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value is out of the range of the other type")
    }
}

impl std::error::Error for OutOfRange {}

impl TryFrom<StdDuration> for Duration {
    type Error = OutOfRange;

    fn try_from(duration: StdDuration) -> Result<Self, OutOfRange> {
        let seconds = i64::try_from(duration.as_secs()).map_err(|_| OutOfRange(()))?;
        if seconds > DURATION_SECONDS_MAX {
            return Err(OutOfRange(()));
        }
        let nanos = duration.subsec_nanos().cast_signed();
        Ok(Self {
            seconds,
            nanos,
            ..Self::default()
        })
    }
}

impl TryFrom<Duration> for StdDuration {
    type Error = OutOfRange;

    /// Converts a duration that is not negative and well formed.
    fn try_from(duration: Duration) -> Result<Self, OutOfRange> {
        let seconds = u64::try_from(duration.seconds).map_err(|_| OutOfRange(()))?;
        Ok(Self::new(seconds, nanos(duration.nanos)?))
    }
}

impl TryFrom<SystemTime> for Timestamp {
    type Error = OutOfRange;

    fn try_from(time: SystemTime) -> Result<Self, OutOfRange> {
        let (seconds, nanos) = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => {
                let seconds = i64::try_from(after.as_secs()).map_err(|_| OutOfRange(()))?;
                (seconds, after.subsec_nanos().cast_signed())
            }
            Err(before) => {
                let before = before.duration();
                let seconds = i64::try_from(before.as_secs()).map_err(|_| OutOfRange(()))?;
                // The nanoseconds of a timestamp count forwards, also before the epoch.
                match before.subsec_nanos().cast_signed() {
                    0 => (-seconds, 0),
                    nanos => (-seconds - 1, 1_000_000_000 - nanos),
                }
            }
        };
        if !(TIMESTAMP_SECONDS_MIN..=TIMESTAMP_SECONDS_MAX).contains(&seconds) {
            return Err(OutOfRange(()));
        }
        Ok(Self {
            seconds,
            nanos,
            ..Self::default()
        })
    }
}

impl TryFrom<Timestamp> for SystemTime {
    type Error = OutOfRange;

    fn try_from(timestamp: Timestamp) -> Result<Self, OutOfRange> {
        let seconds = StdDuration::from_secs(timestamp.seconds.unsigned_abs());
        let whole = if timestamp.seconds < 0 {
            UNIX_EPOCH.checked_sub(seconds)
        } else {
            UNIX_EPOCH.checked_add(seconds)
        };
        let nanos = StdDuration::from_nanos(u64::from(nanos(timestamp.nanos)?));
        whole
            .and_then(|whole| whole.checked_add(nanos))
            .ok_or(OutOfRange(()))
    }
}

impl Any {
    /// Packs a message under the type URL that protobuf libraries expect.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLarge`] or [`WireError::TooDeep`] if the message passes what an archive holds.
    pub fn pack<M: Message>(message: &M) -> Result<Self, WireError> {
        let type_url = format!("type.googleapis.com/{}", M::LAYOUT.name);
        Ok(Self {
            type_url,
            value: message.to_protobuf()?.into(),
            ..Self::default()
        })
    }

    /// Unpacks the message if it is an `M`.
    ///
    /// # Errors
    ///
    /// If it claims to be an `M` and does not decode as one.
    pub fn unpack<M: Message>(&self) -> Result<Option<M>, WireError> {
        match self.type_url.rsplit_once('/') {
            Some((_, name)) if name == M::LAYOUT.name => M::from_protobuf(&self.value).map(Some),
            _ => Ok(None),
        }
    }
}

fn nanos(nanos: i32) -> Result<u32, OutOfRange> {
    u32::try_from(nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)
        .ok_or(OutOfRange(()))
}

/// Protobuf's bound for a duration: about ten thousand years.
const DURATION_SECONDS_MAX: i64 = 315_576_000_000;
/// The start of the year 1, protobuf's first timestamp.
const TIMESTAMP_SECONDS_MIN: i64 = -62_135_596_800;
/// The last second of the year 9999, protobuf's last.
const TIMESTAMP_SECONDS_MAX: i64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::super::{BytesValue, StringValue};
    use super::*;

    #[test]
    fn durations_convert_within_their_range() {
        let longest = StdDuration::from_secs(DURATION_SECONDS_MAX.unsigned_abs());
        let there = Duration::try_from(longest).unwrap();
        assert_eq!(StdDuration::try_from(there), Ok(longest));
        let longer = longest + StdDuration::from_secs(1);
        assert_eq!(Duration::try_from(longer), Err(OutOfRange(())));
        let negative = Duration {
            seconds: -1,
            ..Duration::default()
        };
        assert_eq!(StdDuration::try_from(negative), Err(OutOfRange(())));
        let malformed = Duration {
            nanos: 1_000_000_000,
            ..Duration::default()
        };
        assert_eq!(StdDuration::try_from(malformed), Err(OutOfRange(())));
    }

    #[test]
    fn times_convert_on_both_sides_of_the_epoch() {
        let tick = StdDuration::from_nanos(1_500_000_001);
        for time in [UNIX_EPOCH, UNIX_EPOCH + tick, UNIX_EPOCH - tick] {
            let there = Timestamp::try_from(time).unwrap();
            assert!((0..1_000_000_000).contains(&there.nanos));
            assert_eq!(SystemTime::try_from(there), Ok(time));
        }
        let before = Timestamp::try_from(UNIX_EPOCH - tick).unwrap();
        assert_eq!((before.seconds, before.nanos), (-2, 499_999_999));
    }

    #[test]
    fn any_unpacks_what_was_packed_and_nothing_else() {
        let message = StringValue {
            value: "x".into(),
            ..StringValue::default()
        };
        let any = Any::pack(&message).unwrap();
        assert_eq!(
            any.type_url,
            "type.googleapis.com/google.protobuf.StringValue"
        );
        assert_eq!(any.unpack::<StringValue>().unwrap(), Some(message));
        assert_eq!(any.unpack::<BytesValue>().unwrap(), None);
        let broken = Any {
            value: vec![0xff].into(),
            ..any
        };
        assert!(broken.unpack::<StringValue>().is_err());
    }
}
