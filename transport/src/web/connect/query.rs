//! A request in the query of a GET: `connect`, `encoding`, `message`, `base64`, `compression`.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use dreammesh_core::call::Status;

use super::head;
use crate::grpc::encoding::Encoding;

/// What a query says of its message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) message: Bytes,
    pub(crate) encoding: Option<Encoding>,
}

/// What a query says of a name; the first of several.
pub(crate) fn value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(it, _)| *it == name).map(|(_, value)| value)
}

/// Reads a query.
///
/// # Errors
/// INVALID_ARGUMENT when there is no message, or it is not coded as it should be, or the version
/// of the protocol is another one; UNIMPLEMENTED when its compression is not known.
pub(crate) fn read(query: &str) -> Result<Asked, Status> {
    if let Some(version) = value(query, "connect").filter(|version| *version != "v1") {
        let shown: String = version.chars().take(SHOWN_CHARS).collect();
        let text = format!("{shown:?} is no version of Connect that is spoken here, which is v1");
        return Err(Status::invalid_argument(text));
    }
    let message = value(query, "message");
    let message = message.ok_or_else(|| Status::invalid_argument("the query has no message"))?;
    let message = decoded(message)?;
    let encoding = decoded(value(query, "compression").unwrap_or_default())?;
    let message = match value(query, "base64") {
        Some("1") => BASE64.decode(message).map_err(|error| {
            Status::invalid_argument(format!("the message in the query is not Base64: {error}"))
        })?,
        _ => message,
    };
    Ok(Asked {
        message: message.into(),
        encoding: head::encoding(&encoding)?,
    })
}

/// Bytes of a value in a query.
pub(crate) fn decoded(value: &str) -> Result<Vec<u8>, Status> {
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let pair = digit().and_then(|high| Some(high << 4 | digit()?));
                let coded = pair.and_then(|pair| u8::try_from(pair).ok());
                coded.ok_or_else(|| {
                    let at = value.len() - bytes.len();
                    let text = format!("a value in the query is not percent-coded at byte {at}");
                    Status::invalid_argument(text)
                })?
            }
            byte => byte,
        });
    }
    Ok(out)
}

/// What an error repeats of a value.
const SHOWN_CHARS: usize = 32;
/// Bits that nothing needs are ignored, as in headers.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests {
    use super::*;
    use dreammesh_core::call::Code;

    #[test]
    fn a_message_is_percent_coded_or_base64_too() {
        for (query, message) in [
            ("message=%7b%22a%22:+1%7D&encoding=json", &b"{\"a\": 1}"[..]),
            ("connect=v1&base64=1&message=-_8", &[0xfb, 0xff]),
            ("message=-_8%3D&x=y&base64=1", &[0xfb, 0xff]),
            ("base64=0&message=YQ", b"YQ"),
            ("message=", b""),
            ("message", b""),
            ("message=a&message=b", b"a"),
        ] {
            let asked = read(query).unwrap();
            assert_eq!(
                (&asked.message[..], asked.encoding),
                (message, None),
                "{query}"
            );
        }
        let asked = read("message=&compression=gzip").unwrap();
        assert_eq!(asked.encoding, Some(Encoding::Gzip));
        assert_eq!(
            read("message=&compression=identity").unwrap().encoding,
            None
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (query, code) in [
            ("", Code::InvalidArgument),
            ("encoding=json", Code::InvalidArgument),
            ("message=%", Code::InvalidArgument),
            ("message=%4", Code::InvalidArgument),
            ("message=%+1", Code::InvalidArgument),
            ("message=*&base64=1", Code::InvalidArgument),
            ("message=a&connect=v2", Code::InvalidArgument),
            ("message=a&compression=br", Code::Unimplemented),
        ] {
            assert_eq!(read(query).unwrap_err().code(), code, "{query}");
        }
    }
}
