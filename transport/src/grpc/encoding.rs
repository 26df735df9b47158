//! Compressed messages.
//!
//! Each message is compressed by itself. What a compressed message comes to is bounded by the
//! limit on messages, and no more than one byte beyond it is ever made of one.

use std::fmt;
use std::io::{self, Read, Write};

use bytes::Bytes;
use dreammesh_core::call::Status;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use http::header::{HeaderName, HeaderValue};

pub(crate) const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
pub(crate) const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// What this library takes, as `grpc-accept-encoding` says it.
pub(crate) const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip,deflate,zstd,identity");

/// A way to compress messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// The format of gzip, which every gRPC library knows.
    Gzip,
    /// The format of zlib, which gRPC means by `deflate`.
    Deflate,
    /// Zstandard: smaller and faster than both, and known to fewer peers.
    Zstd,
}

impl Encoding {
    /// Every encoding, the one that is to be preferred first.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Gzip, Self::Deflate];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
        }
    }

    /// The encoding of a name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|encoding| encoding.name() == name)
    }

    pub(crate) const fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }

    /// A message compressed.
    pub(crate) fn compress(self, message: &[u8]) -> Bytes {
        let done = match self {
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), LEVEL);
                encoder.write_all(message).and_then(|()| encoder.finish())
            }
            Self::Deflate => Ok(deflated(message)),
            Self::Zstd => zstd::bulk::compress(message, ZSTD_LEVEL),
        };
        // Memory is all that these write to, and both levels exist.
        done.expect("compression into memory has no error").into()
    }

    /// A message from what it was compressed to.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` when it comes to more than the limit, `INTERNAL` when it is damaged.
    pub(crate) fn decompress(self, coded: &[u8], limit_bytes: usize) -> Result<Bytes, Status> {
        let made = match self {
            Self::Gzip => read_within(flate2::bufread::MultiGzDecoder::new(coded), limit_bytes),
            Self::Deflate => inflated(coded, limit_bytes),
            Self::Zstd => unpacked(coded, limit_bytes),
        };
        let made = made.map_err(|error| {
            Status::internal(format!(
                "a message compressed with {self} is damaged: {error}"
            ))
        })?;
        if made.len() > limit_bytes {
            return Err(Status::resource_exhausted(format!(
                "a message of {} bytes compressed with {self} exceeds the limit of {limit_bytes} \
                 bytes",
                coded.len()
            )));
        }
        Ok(made.into())
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name in `grpc-encoding` that this library does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnknownEncoding(String);

/// What the peer compresses its messages with, or none when it does not.
///
/// # Errors
/// When it is none that this library knows. A request with one is UNIMPLEMENTED and a response
/// INTERNAL, so that this is said by the side.
pub(crate) fn read(value: &HeaderValue) -> Result<Option<Encoding>, UnknownEncoding> {
    if value == "identity" {
        return Ok(None);
    }
    let known = value.to_str().ok().and_then(Encoding::from_name);
    known.map(Some).ok_or_else(|| {
        let shown = &value.as_bytes()[..value.len().min(SHOWN_BYTES)];
        UnknownEncoding(String::from_utf8_lossy(shown).into_owned())
    })
}

impl fmt::Display for UnknownEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accepted = ACCEPTED;
        let accepted = accepted.to_str().unwrap_or_default();
        write!(f, "grpc-encoding {:?} is none of {accepted}", self.0)
    }
}

/// The encodings that a peer takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accepted(u8);

impl Accepted {
    /// Adds what a header lists; names that are not known here are passed over.
    pub(crate) fn add(&mut self, value: &HeaderValue) {
        let names = value.to_str().unwrap_or_default().split(',');
        for encoding in names.filter_map(|name| Encoding::from_name(name.trim())) {
            self.insert(encoding);
        }
    }

    /// Adds one.
    pub(crate) fn insert(&mut self, encoding: Encoding) {
        self.0 |= 1 << encoding as u8;
    }

    /// What it takes that is to be preferred.
    pub(crate) fn preferred(self) -> Option<Encoding> {
        Encoding::ALL.into_iter().find(|it| self.takes(*it))
    }

    /// Whether it takes one.
    pub(crate) fn takes(self, encoding: Encoding) -> bool {
        self.0 & 1 << encoding as u8 != 0
    }
}

/// A message as it was meant, from what came with its flag.
///
/// # Errors
/// As [`Encoding::decompress`]; `INTERNAL` when it is said to be compressed and nothing says how.
pub(crate) fn opened(
    compressed: bool,
    encoding: Option<Encoding>,
    message: Bytes,
    limit_bytes: usize,
) -> Result<Bytes, Status> {
    match (compressed, encoding) {
        (false, _) => Ok(message),
        (true, Some(encoding)) => encoding.decompress(&message, limit_bytes),
        (true, None) => Err(Status::internal(
            "a message is said to be compressed, and no header says how",
        )),
    }
}

fn read_within(decoder: impl Read, limit_bytes: usize) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let one_past = u64::try_from(limit_bytes)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    decoder.take(one_past).read_to_end(&mut out)?;
    Ok(out)
}

/// Frames of Zstandard, with a window of theirs that is bounded too: its memory is reserved by a
/// number in the frame.
fn unpacked(coded: &[u8], limit_bytes: usize) -> io::Result<Vec<u8>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(coded)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    read_within(decoder, limit_bytes)
}

fn deflated(message: &[u8]) -> Vec<u8> {
    let mut compress = Compress::new(LEVEL, true);
    let mut out = Vec::with_capacity(message.len() / 2 + 64);
    loop {
        let taken = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
        let rest = message.get(taken..).unwrap_or_default();
        match compress.compress_vec(rest, &mut out, FlushCompress::Finish) {
            Ok(flate2::Status::StreamEnd) | Err(_) => return out,
            Ok(_) => out.reserve(out.len().max(64)),
        }
    }
}

/// By hand, as the reader of `flate2` takes the end of its input for the end of the data.
fn inflated(coded: &[u8], limit_bytes: usize) -> io::Result<Vec<u8>> {
    let mut inflate = Decompress::new(true);
    let mut out = Vec::new();
    loop {
        let room = out.len().max(coded.len()).max(64);
        out.reserve_exact(room.min(limit_bytes.saturating_add(1).saturating_sub(out.len())));
        let taken = usize::try_from(inflate.total_in()).unwrap_or(usize::MAX);
        let rest = coded.get(taken..).unwrap_or_default();
        let before = out.len();
        let status = inflate.decompress_vec(rest, &mut out, FlushDecompress::None)?;
        let taken_now = usize::try_from(inflate.total_in()).unwrap_or(usize::MAX) - taken;
        let damaged = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        match status {
            flate2::Status::StreamEnd if taken_now < rest.len() => {
                return damaged("bytes follow its end");
            }
            flate2::Status::StreamEnd => return Ok(out),
            _ if out.len() > limit_bytes => return Ok(out),
            _ if out.len() == before && taken_now == 0 && out.len() < out.capacity() => {
                return damaged("it ends too early");
            }
            _ => {}
        }
    }
}

/// zlib's own middle way, which other gRPC libraries take.
const LEVEL: Compression = Compression::new(6);
/// Zstandard's own default.
const ZSTD_LEVEL: i32 = 3;
/// 8 MiB: what RFC 8878 asks every decoder to support, and no more.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// What an error repeats of a name.
const SHOWN_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use dreammesh_core::call::Code;

    const LIMIT: usize = 100_000;

    fn text() -> Vec<u8> {
        b"an order of one item, "
            .iter()
            .copied()
            .cycle()
            .take(LIMIT)
            .collect()
    }

    #[test]
    fn messages_of_every_size_go_over_and_come_back() {
        for encoding in Encoding::ALL {
            for len in [0, 1, 63, 64, 65, 1_000, 32_768, 65_537, LIMIT] {
                let text = &text()[..len];
                let coded = encoding.compress(text);
                assert_eq!(
                    encoding.decompress(&coded, LIMIT).unwrap(),
                    text,
                    "{encoding} {len}"
                );
                assert!(len < 1_000 || coded.len() < len / 5, "{encoding} {len}");
            }
            // What cannot be compressed takes another path through each of them.
            let mut noise = 88_172_645_463_325_252_u64;
            let mut next = || {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                noise as u8
            };
            let noise: Vec<u8> = (0..LIMIT).map(|_| next()).collect();
            let coded = encoding.compress(&noise);
            assert_eq!(
                encoding.decompress(&coded, LIMIT).unwrap(),
                noise,
                "{encoding}"
            );
        }
    }

    #[test]
    fn the_limit_holds_at_it_and_one_past_it() {
        for encoding in Encoding::ALL {
            let coded = encoding.compress(&text());
            assert!(encoding.decompress(&coded, LIMIT).is_ok());
            let error = encoding.decompress(&coded, LIMIT - 1).unwrap_err();
            assert_eq!(error.code(), Code::ResourceExhausted, "{encoding}");
            let empty = encoding.compress(b"");
            assert_eq!(encoding.decompress(&empty, 0).unwrap(), "");
            let one = encoding.compress(b"x");
            assert_eq!(
                encoding.decompress(&one, 0).unwrap_err().code(),
                Code::ResourceExhausted
            );
        }
    }

    #[test]
    fn a_bomb_is_given_up_at_the_limit() {
        let zeros = vec![0; 8 * 1024 * 1024];
        for encoding in Encoding::ALL {
            let bomb = encoding.compress(&zeros);
            assert!(bomb.len() < 100_000, "{encoding}: {}", bomb.len());
            let error = encoding.decompress(&bomb, 1_000).unwrap_err();
            assert_eq!(error.code(), Code::ResourceExhausted, "{encoding}");
        }
        // What is made of it is bounded, not only what is given out.
        let bomb = Encoding::Deflate.compress(&zeros);
        assert!(inflated(&bomb, 1_000).unwrap().capacity() < 3_000);
        let bomb = Encoding::Gzip.compress(&zeros);
        let made = read_within(flate2::bufread::MultiGzDecoder::new(&bomb[..]), 1_000).unwrap();
        assert_eq!(made.len(), 1_001);
        assert!(made.capacity() < 10_000);
        let bomb = Encoding::Zstd.compress(&zeros);
        let made = unpacked(&bomb, 1_000).unwrap();
        assert_eq!(made.len(), 1_001);
        assert!(made.capacity() < 10_000);
    }

    #[test]
    fn what_is_cut_anywhere_is_damaged() {
        let text = &text()[..2_000];
        for encoding in Encoding::ALL {
            let coded = encoding.compress(text);
            for len in 0..coded.len() {
                let cut = encoding.decompress(&coded[..len], LIMIT);
                // Nothing at all is no frame of Zstandard and no member of gzip: an empty message.
                let empty = len == 0 && encoding != Encoding::Deflate;
                assert!(cut.is_err() || empty, "{encoding} {len} of {}", coded.len());
            }
        }
    }

    #[test]
    fn what_follows_the_end_is_damage() {
        for encoding in Encoding::ALL {
            let mut coded = encoding.compress(b"some text").to_vec();
            coded.extend(b"more");
            let error = encoding.decompress(&coded, LIMIT).unwrap_err();
            assert_eq!(error.code(), Code::Internal, "{encoding}");
        }
    }

    #[test]
    fn other_bytes_are_damage_and_never_a_panic() {
        for encoding in Encoding::ALL {
            let error = encoding
                .decompress(b"neither of these formats", LIMIT)
                .unwrap_err();
            assert_eq!(error.code(), Code::Internal, "{encoding}");
            let good = encoding.compress(&text()[..500]);
            for at in 0..good.len() {
                for bit in 0..8 {
                    let mut bad = good.to_vec();
                    bad[at] ^= 1 << bit;
                    let made = encoding.decompress(&bad, LIMIT);
                    assert!(made.map_or(0, |made| made.len()) <= LIMIT);
                }
            }
        }
    }

    #[test]
    fn a_window_beyond_the_bound_is_refused() {
        // A frame that says only its window, of 16 MiB: magic, descriptor, window, an empty block.
        let window = |log: u8| [0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3, 1, 0, 0];
        assert_eq!(Encoding::Zstd.decompress(&window(23), LIMIT).unwrap(), "");
        let error = Encoding::Zstd.decompress(&window(24), LIMIT).unwrap_err();
        assert_eq!(error.code(), Code::Internal);
    }

    #[test]
    fn a_flag_without_an_encoding_is_internal() {
        let bytes = Bytes::from_static(b"x");
        assert_eq!(opened(false, None, bytes.clone(), 1).unwrap(), "x");
        let encoding = Some(Encoding::Gzip);
        assert_eq!(opened(false, encoding, bytes.clone(), 1).unwrap(), "x");
        let error = opened(true, None, bytes, 1).unwrap_err();
        assert_eq!(error.code(), Code::Internal);
        let coded = Encoding::Gzip.compress(b"y");
        assert_eq!(opened(true, encoding, coded, 1).unwrap(), "y");
    }

    #[test]
    fn names_are_read_and_lists_of_them() {
        let read = |name: &'static str| read(&HeaderValue::from_static(name));
        assert_eq!(read("identity"), Ok(None));
        for encoding in Encoding::ALL {
            assert_eq!(read(encoding.name()), Ok(Some(encoding)));
        }
        for unknown in ["snappy", "", "GZIP", "gzip,deflate"] {
            let error = read(unknown).unwrap_err();
            assert!(error.to_string().contains("gzip,deflate,zstd"), "{error}");
        }
        let mut accepted = Accepted::default();
        accepted.add(&HeaderValue::from_static("identity, gzip ,br"));
        accepted.add(&HeaderValue::from_static("zstd"));
        assert!(accepted.takes(Encoding::Gzip) && accepted.takes(Encoding::Zstd));
        assert!(!accepted.takes(Encoding::Deflate));
        let mut ours = Accepted::default();
        ours.add(&ACCEPTED);
        assert!(
            Encoding::ALL
                .into_iter()
                .all(|encoding| ours.takes(encoding))
        );
    }
}
