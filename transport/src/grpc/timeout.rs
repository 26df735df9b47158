//! `grpc-timeout`: what is left of a call's time.

use dreammesh_core::call::{Status, Timeout};
use http::header::HeaderValue;

/// The header of a timeout; a longer one than it can say becomes the longest.
pub(crate) fn write(timeout: Timeout) -> HeaderValue {
    // Digits and a letter are a header's, so that this does not fail.
    HeaderValue::try_from(timeout.to_grpc()).unwrap_or(HeaderValue::from_static("0n"))
}

/// The timeout of a header.
///
/// # Errors
/// `INTERNAL` when it is anything but one to eight digits and a unit, as other servers answer it.
pub(crate) fn read(value: &HeaderValue) -> Result<Timeout, Status> {
    let timeout = value.to_str().ok().and_then(Timeout::parse_grpc);
    timeout.ok_or_else(|| {
        let shown = String::from_utf8_lossy(&value.as_bytes()[..value.len().min(SHOWN_BYTES)]);
        Status::internal(format!("{shown:?} is no grpc-timeout"))
    })
}

/// What an error repeats of a timeout, which has nine bytes where it is right.
const SHOWN_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use dreammesh_core::call::Code;

    #[test]
    fn timeouts_go_over_and_come_back() {
        for (text, micros) in [
            ("1H", 3_600_000_000),
            ("2M", 120_000_000),
            ("3S", 3_000_000),
            ("4m", 4_000),
            ("5u", 5),
            ("1n", 1),
            ("0S", 0),
            ("99999999n", 100_000),
        ] {
            let read = read(&HeaderValue::from_static(text)).unwrap();
            assert_eq!(read.as_micros(), micros, "{text}");
            let back = super::read(&write(read)).unwrap();
            assert_eq!(back, read);
        }
    }

    #[test]
    fn the_longest_one_is_legal_and_one_beyond_it_becomes_it() {
        let longest = read(&HeaderValue::from_static("99999999H")).unwrap();
        assert_eq!(longest.as_micros(), 99_999_999 * 3_600_000_000);
        assert_eq!(write(longest), "99999999H");
        assert_eq!(write(Timeout::from_micros(u64::MAX)), "99999999H");
    }

    #[test]
    fn anything_else_is_an_error() {
        let long = "1".repeat(10_000);
        for bad in [
            "",
            "S",
            "1",
            "123456789S",
            "-1S",
            "+1S",
            " 1S",
            "1S ",
            "1x",
            "1.5S",
            &long,
        ] {
            let error = read(&HeaderValue::from_str(bad).unwrap()).unwrap_err();
            assert_eq!(error.code(), Code::Internal, "{bad}");
            assert!(error.message().len() < 100);
        }
        assert!(read(&HeaderValue::from_bytes(b"1\xe9").unwrap()).is_err());
    }
}
