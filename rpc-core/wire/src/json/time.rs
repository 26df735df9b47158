//! `google.protobuf.Timestamp` and `Duration` as text.

use core::fmt::Write;

/// 0001-01-01T00:00:00Z, the earliest timestamp that protobuf allows.
pub(crate) const TIMESTAMP_SECONDS_MIN: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z, the latest.
pub(crate) const TIMESTAMP_SECONDS_MAX: i64 = 253_402_300_799;
/// About 10,000 years, protobuf's bound for a duration either way.
pub(crate) const DURATION_SECONDS_MAX: i64 = 315_576_000_000;
const NANOS_PER_SECOND: i32 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Seconds and nanoseconds, as both messages hold them.
pub(crate) type Parts = (i64, i32);

/// Appends a timestamp in RFC 3339 with 0, 3, 6 or 9 digits of a second; false if out of range.
pub(crate) fn write_timestamp(out: &mut String, (seconds, nanos): Parts) -> bool {
    if !(TIMESTAMP_SECONDS_MIN..=TIMESTAMP_SECONDS_MAX).contains(&seconds)
        || !(0..NANOS_PER_SECOND).contains(&nanos)
    {
        return false;
    }
    let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    )
    .expect("writing to a string cannot fail");
    write_fraction(out, nanos);
    out.push('Z');
    true
}

/// Appends a duration such as `-1.500s`; false if out of range or of mixed signs.
pub(crate) fn write_duration(out: &mut String, (seconds, nanos): Parts) -> bool {
    if seconds.unsigned_abs() > DURATION_SECONDS_MAX.unsigned_abs()
        || nanos.unsigned_abs() >= NANOS_PER_SECOND.unsigned_abs()
        || (seconds < 0 && nanos > 0)
        || (seconds > 0 && nanos < 0)
    {
        return false;
    }
    if seconds < 0 || nanos < 0 {
        out.push('-');
    }
    write!(out, "{}", seconds.unsigned_abs()).expect("writing to a string cannot fail");
    write_fraction(out, nanos.abs());
    out.push('s');
    true
}

/// Appends the part behind the point, in the fewest groups of three digits that hold it.
fn write_fraction(out: &mut String, nanos: i32) {
    let written = if nanos == 0 {
        Ok(())
    } else if nanos % 1_000_000 == 0 {
        write!(out, ".{:03}", nanos / 1_000_000)
    } else if nanos % 1000 == 0 {
        write!(out, ".{:06}", nanos / 1000)
    } else {
        write!(out, ".{nanos:09}")
    };
    written.expect("writing to a string cannot fail");
}

/// Reads an RFC 3339 timestamp with upper-case letters and any offset from UTC.
pub(crate) fn parse_timestamp(text: &str) -> Option<Parts> {
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4)?;
    literal(&mut rest, b'-')?;
    let month = digits(&mut rest, 2)?;
    literal(&mut rest, b'-')?;
    let day = digits(&mut rest, 2)?;
    literal(&mut rest, b'T')?;
    let hour = digits(&mut rest, 2)?;
    literal(&mut rest, b':')?;
    let minute = digits(&mut rest, 2)?;
    literal(&mut rest, b':')?;
    let second = digits(&mut rest, 2)?;
    let nanos = fraction(&mut rest)?;
    let offset = offset_seconds(rest)?;
    let in_range = year >= 1
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let days = days_from_civil(year, month, day);
    let seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - offset;
    (in_range && (TIMESTAMP_SECONDS_MIN..=TIMESTAMP_SECONDS_MAX).contains(&seconds))
        .then_some((seconds, nanos))
}

/// Reads a duration: a decimal number of seconds with at most nine digits behind the point.
pub(crate) fn parse_duration(text: &str) -> Option<Parts> {
    let text = text.strip_suffix('s')?;
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text),
    };
    let whole = text.bytes().take_while(u8::is_ascii_digit).count();
    // An empty or overlong number of seconds fails to parse here.
    let seconds = text[..whole].parse::<i64>().ok()?;
    let mut rest = &text.as_bytes()[whole..];
    let nanos = fraction(&mut rest)?;
    (rest.is_empty() && seconds <= DURATION_SECONDS_MAX)
        .then_some((sign * seconds, sign as i32 * nanos))
}

fn offset_seconds(text: &[u8]) -> Option<i64> {
    let (sign, mut rest) = match text.split_first()? {
        (b'Z', []) => return Some(0),
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let hours = digits(&mut rest, 2)?;
    literal(&mut rest, b':')?;
    let minutes = digits(&mut rest, 2)?;
    (rest.is_empty() && hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Reads an optional point and one to nine digits as nanoseconds.
fn fraction(rest: &mut &[u8]) -> Option<i32> {
    if literal(rest, b'.').is_none() {
        return Some(0);
    }
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&count) {
        return None;
    }
    let value = i32::try_from(digits(rest, count)?).ok()?;
    Some(value * 10_i32.pow(9 - u32::try_from(count).ok()?))
}

/// Consumes exactly `count` digits.
fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (number, after) = rest.split_at_checked(count)?;
    *rest = after;
    number.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit()
            .then(|| value * 10 + i64::from(byte - b'0'))
    })
}

fn literal(rest: &mut &[u8], byte: u8) -> Option<()> {
    let (&first, after) = rest.split_first()?;
    (first == byte).then(|| *rest = after)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

// Both conversions count in years that begin in March, so that the leap day is a year's last, and
// in eras of 400 years, after which the Gregorian calendar repeats.

const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_FROM_MARCH_ZERO: i64 = 719_468;

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - EPOCH_FROM_MARCH_ZERO
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_FROM_MARCH_ZERO;
    let (era, day_of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    // Takes the leap days out again: one every 4 years, not every 100, but every 400.
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timestamp(parts: Parts) -> Option<String> {
        let mut out = String::new();
        write_timestamp(&mut out, parts).then_some(out)
    }

    fn duration(parts: Parts) -> Option<String> {
        let mut out = String::new();
        write_duration(&mut out, parts).then_some(out)
    }

    #[test]
    fn every_day_converts_back() {
        let mut expected = (1, 1, 1);
        let first = TIMESTAMP_SECONDS_MIN / SECONDS_PER_DAY;
        let last = TIMESTAMP_SECONDS_MAX / SECONDS_PER_DAY;
        for days in first..=last {
            let civil = civil_from_days(days);
            assert_eq!(civil, expected);
            assert_eq!(days_from_civil(civil.0, civil.1, civil.2), days);
            let (year, month, day) = civil;
            expected = if day < days_in_month(year, month) {
                (year, month, day + 1)
            } else if month < 12 {
                (year, month + 1, 1)
            } else {
                (year + 1, 1, 1)
            };
        }
        assert_eq!(expected, (10_000, 1, 1));
    }

    #[test]
    fn timestamps_at_the_bounds() {
        for (parts, text) in [
            ((0, 0), "1970-01-01T00:00:00Z"),
            ((-1, 999_999_999), "1969-12-31T23:59:59.999999999Z"),
            ((TIMESTAMP_SECONDS_MIN, 0), "0001-01-01T00:00:00Z"),
            (
                (TIMESTAMP_SECONDS_MAX, 999_000_000),
                "9999-12-31T23:59:59.999Z",
            ),
            ((951_782_400, 1000), "2000-02-29T00:00:00.000001Z"),
        ] {
            assert_eq!(timestamp(parts).as_deref(), Some(text));
            assert_eq!(parse_timestamp(text), Some(parts));
        }
        for parts in [
            (TIMESTAMP_SECONDS_MIN - 1, 0),
            (TIMESTAMP_SECONDS_MAX + 1, 0),
            (0, -1),
            (0, 1_000_000_000),
            (i64::MIN, 0),
            (i64::MAX, 0),
        ] {
            assert_eq!(timestamp(parts), None);
        }
    }

    #[test]
    fn timestamps_as_others_write_them() {
        assert_eq!(parse_timestamp("1970-01-01T01:30:00+01:30"), Some((0, 0)));
        assert_eq!(
            parse_timestamp("1969-12-31T16:00:00.5-08:00"),
            Some((0, 500_000_000))
        );
        for bad in [
            "",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01t00:00:00Z",
            "1970-01-01T00:00:00z",
            "1970-13-01T00:00:00Z",
            "1970-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:60:00Z",
            "1970-01-01T00:00:60Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.1234567890Z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "1970-01-01T00:00:00+0100",
            "1970-01-01T00:00:00Z ",
            "+970-01-01T00:00:00Z",
            "1970-00-01T00:00:00Z",
            "1970-01-00T00:00:00Z",
            "10000-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_timestamp(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_at_the_bounds() {
        for (parts, text) in [
            ((0, 0), "0s"),
            ((0, -1), "-0.000000001s"),
            ((-3, -500_000_000), "-3.500s"),
            (
                (DURATION_SECONDS_MAX, 999_999_999),
                "315576000000.999999999s",
            ),
            ((-DURATION_SECONDS_MAX, 0), "-315576000000s"),
        ] {
            assert_eq!(duration(parts).as_deref(), Some(text));
            assert_eq!(parse_duration(text), Some(parts));
        }
        for parts in [
            (DURATION_SECONDS_MAX + 1, 0),
            (-DURATION_SECONDS_MAX - 1, 0),
            (1, -1),
            (-1, 1),
            (0, NANOS_PER_SECOND),
            (i64::MIN, i32::MIN),
        ] {
            assert_eq!(duration(parts), None);
        }
        for bad in [
            "",
            "s",
            "1",
            "1.s",
            ".5s",
            "1 s",
            "+1s",
            "--1s",
            "1.0000000001s",
            "é",
            "1es",
            "315576000001s",
            "99999999999999999999s",
        ] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
        assert_eq!(parse_duration("1.5s"), Some((1, 500_000_000)));
    }
}
