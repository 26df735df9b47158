//! Bodies in Base64, which may be padded wherever a piece of one ends.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use dreammesh_core::call::Status;

/// Reads a body that comes in pieces of any length.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The characters of a group that is not whole; fewer than four.
    rest: Vec<u8>,
}

impl Reader {
    /// What a piece stands for, as far as it ends a group.
    ///
    /// # Errors
    /// INTERNAL when it is not Base64.
    pub(super) fn handle_data(&mut self, data: &[u8]) -> Result<Bytes, Status> {
        let mut text = std::mem::take(&mut self.rest);
        text.extend_from_slice(data);
        self.rest = text.split_off(text.len() / GROUP * GROUP);
        let mut out = Vec::with_capacity(text.len() / GROUP * 3);
        let mut left = &text[..];
        while !left.is_empty() {
            // A group that is padded ends what one call of the decoder takes.
            let padded = left.iter().position(|character| *character == b'=');
            let end = padded.map_or(left.len(), |at| (at / GROUP + 1) * GROUP);
            let (run, behind) = left.split_at(end);
            BASE64.decode_vec(run, &mut out).map_err(|_| wrong())?;
            left = behind;
        }
        Ok(out.into())
    }

    /// What is left at the end of the body.
    ///
    /// # Errors
    /// INTERNAL when it is not Base64.
    pub(super) fn handle_end(&mut self) -> Result<Bytes, Status> {
        let rest = std::mem::take(&mut self.rest);
        BASE64.decode(rest).map(Bytes::from).map_err(|_| wrong())
    }
}

/// A piece of a body in Base64. It keeps the piece until it is dropped, since who counts what is on
/// its way counts that.
pub(super) fn written(piece: Bytes) -> Bytes {
    let text = BASE64.encode(&piece);
    Bytes::from_owner(Written {
        text,
        _piece: piece,
    })
}

struct Written {
    text: String,
    _piece: Bytes,
}

impl AsRef<[u8]> for Written {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

fn wrong() -> Status {
    Status::internal("the body is not Base64")
}

/// So many characters stand for three bytes.
const GROUP: usize = 4;
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_it_is_cut_a_body_is_read() {
        let text = [
            written("a".into()),
            written("bcd".into()),
            written("ef".into()),
        ]
        .concat();
        for cut in 0..=text.len() {
            let mut reader = Reader::default();
            let mut read = reader.handle_data(&text[..cut]).unwrap().to_vec();
            read.extend(reader.handle_data(&text[cut..]).unwrap());
            read.extend(reader.handle_end().unwrap());
            assert_eq!(read, b"abcdef", "{cut}");
        }
    }

    #[test]
    fn a_last_group_may_lack_its_padding() {
        let mut reader = Reader::default();
        assert_eq!(reader.handle_data(b"YWI").unwrap(), "");
        assert_eq!(reader.handle_end().unwrap(), "ab");
    }

    #[test]
    fn what_is_not_base64_is_an_error() {
        for wrong in ["YW*=", "Y===", "=AAA", "YQ=a"] {
            let mut reader = Reader::default();
            assert!(reader.handle_data(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let mut reader = Reader::default();
        assert_eq!(reader.handle_data(b"Y").unwrap(), "");
        assert!(reader.handle_end().is_err());
    }
}
