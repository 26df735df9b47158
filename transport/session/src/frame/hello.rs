//! HELLO: the first frame of each side (PROTOCOL.md §4.1).

use super::section::{self, Sections};
use super::{Violation, fixed, header, kind};

/// The version this crate speaks; it is both ends of the range it offers.
pub const VERSION: u16 = 1;

/// What a side says of itself: versions and limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hello {
    /// The lowest version it speaks.
    pub version_min: u16,
    /// The highest version it speaks.
    pub version_max: u16,
    /// The calls it serves at once.
    pub calls_max: u32,
    /// What a stream may have sent to it and not yet seen taken, in bytes.
    pub stream_credit: u32,
    /// What all large messages together may occupy, in bytes.
    pub connection_credit: u64,
    /// The largest message it takes.
    pub message_bytes_max: u32,
    /// The largest metadata it takes.
    pub metadata_bytes_max: u32,
    /// The methods it keeps an index for.
    pub methods_max: u32,
    /// Reserved: compression, checksums and datagrams that it understands.
    pub features: u64,
}

impl Hello {
    /// What holds before the peer's HELLO has arrived; no side may announce less (PROTOCOL.md §4.1).
    pub const MINIMUM: Self = Self {
        version_min: VERSION,
        version_max: VERSION,
        calls_max: 64,
        stream_credit: 128 * 1024,
        connection_credit: 1024 * 1024,
        message_bytes_max: 1024 * 1024,
        metadata_bytes_max: 8 * 1024,
        methods_max: 256,
        features: 0,
    };

    /// The version both sides speak, the highest there is.
    pub fn version_with(&self, other: &Self) -> Option<u16> {
        let highest = self.version_max.min(other.version_max);
        (highest >= self.version_min.max(other.version_min)).then_some(highest)
    }

    /// Appends the frame.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let start = header::begin(out, kind::HELLO, 0, 0, 0);
        out.extend_from_slice(&self.version_min.to_le_bytes());
        out.extend_from_slice(&self.version_max.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        let settings = [
            (CALLS_MAX, u64::from(self.calls_max)),
            (STREAM_CREDIT, u64::from(self.stream_credit)),
            (CONNECTION_CREDIT, self.connection_credit),
            (MESSAGE_BYTES_MAX, u64::from(self.message_bytes_max)),
            (METADATA_BYTES_MAX, u64::from(self.metadata_bytes_max)),
            (METHODS_MAX, u64::from(self.methods_max)),
            (FEATURES, self.features),
        ];
        for (number, value) in settings {
            section::put_integer(out, number, value);
        }
        header::end_head(out, start, 0);
    }

    /// Reads the head of the frame.
    ///
    /// # Errors
    /// When it is malformed, holds an unknown critical setting, or announces less than the
    /// minimum.
    pub fn parse(head: &[u8]) -> Result<Self, Violation> {
        let (versions, rest) = fixed::<8>(head, "HELLO without its versions")?;
        let mut hello = Self {
            version_min: u16::from_le_bytes([versions[0], versions[1]]),
            version_max: u16::from_le_bytes([versions[2], versions[3]]),
            ..Self::MINIMUM
        };
        let mut settings = Sections::new(rest);
        while let Some((number, value)) = settings.take()? {
            hello.set(number, value)?;
        }
        hello.check()
    }

    fn set(&mut self, number: u8, value: &[u8]) -> Result<(), Violation> {
        match number {
            CALLS_MAX => self.calls_max = bounded(value)?,
            STREAM_CREDIT => self.stream_credit = bounded(value)?,
            CONNECTION_CREDIT => self.connection_credit = section::integer(value)?,
            MESSAGE_BYTES_MAX => self.message_bytes_max = bounded(value)?,
            METADATA_BYTES_MAX => self.metadata_bytes_max = bounded(value)?,
            METHODS_MAX => self.methods_max = bounded(value)?,
            FEATURES => self.features = section::integer(value)?,
            other => section::unknown(other)?,
        }
        Ok(())
    }

    fn check(self) -> Result<Self, Violation> {
        let least = Self::MINIMUM;
        let enough = self.calls_max >= least.calls_max
            && self.stream_credit >= least.stream_credit
            && self.connection_credit >= least.connection_credit
            && self.message_bytes_max >= least.message_bytes_max
            && self.metadata_bytes_max >= least.metadata_bytes_max
            && self.methods_max >= least.methods_max;
        if !enough {
            return Err(Violation::protocol("HELLO announces less than the minimum"));
        }
        // A message within the limit must be able to start some day (PROTOCOL.md §5.3).
        if self.connection_credit < u64::from(self.message_bytes_max) {
            return Err(Violation::protocol(
                "connection credit below the largest message",
            ));
        }
        if self.stream_credit > CREDIT_MAX || self.connection_credit > u64::from(CREDIT_MAX) {
            return Err(Violation::protocol("credit beyond the maximum"));
        }
        Ok(self)
    }
}

fn bounded(value: &[u8]) -> Result<u32, Violation> {
    u32::try_from(section::integer(value)?)
        .map_err(|_| Violation::protocol("a setting exceeds 32 bits"))
}

/// The greatest credit that may be announced: sums of credit stay far from overflow.
pub const CREDIT_MAX: u32 = 1 << 31;

const CALLS_MAX: u8 = 1;
const STREAM_CREDIT: u8 = 2;
const CONNECTION_CREDIT: u8 = 3;
const MESSAGE_BYTES_MAX: u8 = 4;
const METADATA_BYTES_MAX: u8 = 5;
const METHODS_MAX: u8 = 6;
const FEATURES: u8 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{CloseCode, Frame};

    fn reparse(hello: Hello) -> Result<Hello, Violation> {
        let mut out = Vec::new();
        hello.write(&mut out);
        let (frame, total) = Frame::split(&out).unwrap().unwrap();
        assert_eq!(total, out.len());
        Hello::parse(frame.head)
    }

    #[test]
    fn hello_round_trips_at_the_minimum_and_fails_below() {
        let least = Hello::MINIMUM;
        assert_eq!(reparse(least), Ok(least));
        for low in [
            Hello {
                calls_max: least.calls_max - 1,
                ..least
            },
            Hello {
                stream_credit: least.stream_credit - 1,
                ..least
            },
            Hello {
                connection_credit: least.connection_credit - 1,
                ..least
            },
            Hello {
                message_bytes_max: least.message_bytes_max - 1,
                ..least
            },
            Hello {
                metadata_bytes_max: least.metadata_bytes_max - 1,
                ..least
            },
            Hello {
                methods_max: least.methods_max - 1,
                ..least
            },
            Hello {
                connection_credit: 1 << 20,
                message_bytes_max: (1 << 20) + 1,
                ..least
            },
            Hello {
                stream_credit: CREDIT_MAX + 1,
                ..least
            },
        ] {
            assert_eq!(
                reparse(low).unwrap_err().code,
                CloseCode::PROTOCOL,
                "{low:?}"
            );
        }
        let most = Hello {
            stream_credit: CREDIT_MAX,
            features: u64::MAX,
            ..least
        };
        assert_eq!(reparse(most), Ok(most));
    }

    #[test]
    fn the_highest_common_version_wins() {
        let range = |version_min, version_max| Hello {
            version_min,
            version_max,
            ..Hello::MINIMUM
        };
        assert_eq!(range(1, 1).version_with(&range(1, 9)), Some(1));
        assert_eq!(range(1, 3).version_with(&range(2, 9)), Some(3));
        assert_eq!(range(1, 1).version_with(&range(2, 9)), None);
    }

    #[test]
    fn unknown_settings_follow_the_halves() {
        for (number, fails) in [(127, true), (128, false)] {
            let mut head = vec![1, 0, 1, 0, 0, 0, 0, 0];
            section::put(&mut head, number, b"x");
            assert_eq!(Hello::parse(&head).is_err(), fails);
        }
    }
}
