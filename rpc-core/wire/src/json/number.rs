//! Numbers as proto3 JSON writes and accepts them.

use crate::json::lexer::number_len;

/// Reads an integer as proto3 allows it: also with an exponent or a fraction of zeros.
///
/// `None` when the text is no JSON number or its value no integer of 64 bits and a sign.
pub(crate) fn integer(text: &str) -> Option<i128> {
    if number_len(text.as_bytes()) != Some(text.len()) {
        return None;
    }
    if let Ok(value) = text.parse::<i64>() {
        return Some(i128::from(value));
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, saturating_exponent(exponent)),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let magnitude = scaled(whole, fraction, exponent)?;
    Some(if negative { -magnitude } else { magnitude })
}

/// The value of `whole.fraction * 10^exponent`, if it is an integer of at most 64 bits.
fn scaled(whole: &str, fraction: &str, exponent: i64) -> Option<i128> {
    let fraction = fraction.trim_end_matches('0');
    let digits = || whole.bytes().chain(fraction.bytes());
    let Some(first) = digits().position(|digit| digit != b'0') else {
        return Some(0);
    };
    let point = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    // With no fraction left the trailing zeros of the whole part may be what the exponent takes
    // away, as in 1200e-2.
    let last = digits().count() - digits().rev().take_while(|&digit| digit == b'0').count();
    let zeros = i64::try_from(digits().count() - last).ok()?;
    let power = u32::try_from(point.checked_add(zeros)?).ok()?;
    if last - first > U64_DIGITS_MAX || power as usize > U64_DIGITS_MAX {
        return None;
    }
    let significand = digits()
        .take(last)
        .skip(first)
        .fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
    let value = significand.checked_mul(10_i128.checked_pow(power)?)?;
    (value <= i128::from(u64::MAX)).then_some(value)
}

/// 2^64 has twenty decimal digits.
const U64_DIGITS_MAX: usize = 20;

/// An exponent too long to count means a value too large or too small to be an integer anyway.
fn saturating_exponent(text: &str) -> i64 {
    let limit = if text.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    };
    text.parse::<i64>().unwrap_or(limit / 2)
}

/// Reads a double; `None` when the text is no JSON number or its value is out of range.
pub(crate) fn double(text: &str) -> Option<f64> {
    if number_len(text.as_bytes()) != Some(text.len()) {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// Reads a float; `None` when the text is no JSON number or its value is out of range.
pub(crate) fn float(text: &str) -> Option<f32> {
    if number_len(text.as_bytes()) != Some(text.len()) {
        return None;
    }
    text.parse::<f32>().ok().filter(|value| value.is_finite())
}

/// Reads the names that stand for what JSON numbers cannot say.
pub(crate) fn non_finite(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The quoted name of a value that is not finite.
pub(crate) fn non_finite_name(value: f64) -> Option<&'static str> {
    if value.is_finite() {
        None
    } else if value.is_nan() {
        Some("NaN")
    } else if value > 0.0 {
        Some("Infinity")
    } else {
        Some("-Infinity")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_in_every_notation() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("0e99999999999999999999", 0),
            ("1e5", 100_000),
            ("1.50e1", 15),
            ("1200e-2", 12),
            ("120.0e-1", 12),
            ("-3.0", -3),
            ("18446744073709551615", i128::from(u64::MAX)),
            ("1.8446744073709551615e19", i128::from(u64::MAX)),
            ("-9223372036854775808", i128::from(i64::MIN)),
            ("100000000000000000000000000000e-29", 1),
        ] {
            assert_eq!(integer(text), Some(value), "{text}");
        }
        for text in [
            "",
            "1.5",
            "15e-1",
            "1e-1",
            "1e20",
            "18446744073709551616",
            "1e999999999999999999999",
            "1e-99999999999999999999",
            "01",
            "+1",
            " 1",
            "1 ",
            "0x1",
            "1_000",
            "NaN",
            "1e5x",
        ] {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    #[test]
    fn floats_stay_in_range() {
        assert_eq!(double("1.5e3"), Some(1500.0));
        assert_eq!(double("1e309"), None);
        assert_eq!(double("-1e309"), None);
        assert_eq!(double("inf"), None);
        assert_eq!(float("3.4028235e38"), Some(f32::MAX));
        assert_eq!(float("3.5e38"), None);
        assert_eq!(float("1e-60"), Some(0.0));
        assert_eq!(double("-0").map(f64::to_bits), Some((-0.0_f64).to_bits()));
    }

    #[test]
    fn names_of_what_is_not_finite() {
        for value in [f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(non_finite(non_finite_name(value).unwrap()), Some(value));
        }
        assert!(
            non_finite(non_finite_name(f64::NAN).unwrap())
                .unwrap()
                .is_nan()
        );
        assert_eq!(non_finite_name(1.0), None);
        assert_eq!(non_finite("nan"), None);
    }
}
