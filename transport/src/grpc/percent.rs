//! Text that a header cannot hold as it is, such as `grpc-message`.
//!
//! What is not printable ASCII, and the percent sign, becomes `%` and two digits for each byte of
//! its UTF-8.

use std::borrow::Cow;

use http::header::HeaderValue;

/// Text in the form that is sent, of at most `limit_bytes`; what does not fit is cut off between
/// two characters.
pub(crate) fn encode(text: &str, limit_bytes: usize) -> HeaderValue {
    if text.len() <= limit_bytes && text.bytes().all(is_plain) {
        // Such text is a header's as it is; an error would be one of this file.
        return HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    }
    let mut out = String::with_capacity(text.len().min(limit_bytes));
    for character in text.chars() {
        let mut utf8 = [0; 4];
        let utf8 = character.encode_utf8(&mut utf8).as_bytes();
        let plain = utf8.len() == 1 && is_plain(utf8[0]);
        if out.len() + if plain { 1 } else { 3 * utf8.len() } > limit_bytes {
            break;
        }
        if plain {
            out.push(character);
            continue;
        }
        for byte in utf8 {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    HeaderValue::try_from(out).unwrap_or(HeaderValue::from_static(""))
}

/// The text of what was received. It never fails: a percent sign that nothing right follows stays,
/// and what is no UTF-8 in the end is replaced.
pub(crate) fn decode(value: &[u8]) -> Cow<'_, str> {
    if !value.contains(&b'%') {
        return String::from_utf8_lossy(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let coded = (byte == b'%').then(|| pair(after)).flatten();
        match coded {
            Some(decoded) => {
                out.push(decoded);
                rest = &after[2..];
            }
            None => out.push(byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

fn is_plain(byte: u8) -> bool {
    (0x20..=0x7e).contains(&byte) && byte != b'%'
}

fn pair(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (high, low) = (digit(*digits.first()?)?, digit(*digits.get(1)?)?);
    u8::try_from(high << 4 | low).ok()
}

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_any_kind_goes_over_and_comes_back() {
        let special = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
        for text in ["", "plain text ~", "100 %", "é", "\0", special] {
            let coded = encode(text, 1024);
            assert!(coded.as_bytes().iter().all(|b| (0x20..=0x7e).contains(b)));
            assert_eq!(decode(coded.as_bytes()), text);
        }
        assert_eq!(encode("a%é", 1024), "a%25%C3%A9");
    }

    #[test]
    fn broken_forms_stay_or_are_replaced() {
        for (coded, text) in [
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%4z%41", "%4zA"),
            ("%%41", "%A"),
            ("%+1", "%+1"),
            ("%c3%a9", "é"),
            ("%c3", "\u{fffd}"),
        ] {
            assert_eq!(decode(coded.as_bytes()), text, "{coded}");
        }
        assert_eq!(decode(&[0xff]), "\u{fffd}");
    }

    #[test]
    fn what_does_not_fit_is_cut_between_characters() {
        assert_eq!(encode("abc", 3), "abc");
        assert_eq!(encode("abcd", 3), "abc");
        assert_eq!(encode("aé", 7), "a%C3%A9");
        assert_eq!(encode("aé", 6), "a");
        assert_eq!(encode("abc", 0), "");
    }
}
