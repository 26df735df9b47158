//! What a request is made of: what the input chooses among what servers look at, and its own bytes.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// What the input has left to say.
pub(crate) struct Script<'a>(pub(crate) &'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn of<T: Copy>(&mut self, these: &[T]) -> T {
        these[usize::from(self.byte()) % these.len()]
    }
}

/// How the body of a request ends.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum End {
    /// As it should.
    Whole,
    /// With trailers.
    Trailers,
    /// With a reset.
    Reset,
    /// Not before its answer did.
    Open,
}

/// A request as far as both versions of HTTP have it.
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// After how many bytes of the body there are pauses.
    piece: usize,
    pub(crate) end: End,
}

impl Asked {
    pub(crate) fn new(script: &mut Script<'_>) -> Self {
        let method = script.of(&["POST", "POST", "POST", "GET", "OPTIONS"]);
        let target = target(method, script);
        let mut headers = vec![("content-type", script.of(&TYPES).as_bytes().to_vec())];
        let encoding = script.of(&ENCODINGS);
        if script.byte() % 4 != 0 {
            let name =
                script.of(&["grpc-encoding", "connect-content-encoding", "content-encoding"]);
            headers.push((name, encoding.as_bytes().to_vec()));
        }
        let count = script.byte() % 6;
        for _ in 0..count {
            let name = script.of(&NAMES);
            let value = match script.byte() % 4 {
                0 => {
                    let length = usize::from(script.byte() % 40);
                    script.take(length).to_vec()
                }
                _ => script.of(&VALUES).as_bytes().to_vec(),
            };
            headers.push((name, value));
        }
        let end =
            script.of(&[End::Whole, End::Whole, End::Whole, End::Trailers, End::Reset, End::Open]);
        let piece = usize::from(script.byte()) + 1;
        let body = match script.byte() % 4 {
            0 => {
                let length = usize::from(script.byte());
                script.take(length).to_vec()
            }
            1 => base64(&envelopes(encoding, script)),
            2 => compressed(encoding, &message(script)),
            _ => envelopes(encoding, script),
        };
        Self { method, target, headers, body, piece, end }
    }

    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.body.chunks(self.piece)
    }
}

fn target(method: &str, script: &mut Script<'_>) -> String {
    let path = script.of(&["/f.F/Unary", "/f.F/List", "/f.F/Record", "/f.F/Chat", "/f.F/No"]);
    let mut target = path.to_owned();
    if method == "GET" {
        target.push('?');
        let count = script.byte() % 8;
        for _ in 0..count {
            target += script.of(&QUERY);
            let length = usize::from(script.byte() % 32);
            let wild = script.take(length).iter();
            target.extend(wild.map(|it| char::from(it % 94 + 33)).filter(|it| *it != '#'));
        }
    }
    target
}

/// Messages behind prefixes, some of which are wrong.
fn envelopes(encoding: &str, script: &mut Script<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let count = script.byte() % 4;
    for _ in 0..count {
        let mut message = message(script);
        let flag = script.of(&[0, 0, 0, 1, 1, 2, 0x80, 255]);
        if flag == 1 && script.byte() % 4 != 0 {
            message = compressed(encoding, &message);
        }
        let said = match script.byte() % 8 {
            0 => u32::from(script.byte()) << 24,
            1 => message.len() as u32 + 1,
            2 => message.len().saturating_sub(1) as u32,
            _ => message.len() as u32,
        };
        out.push(flag);
        out.extend(said.to_be_bytes());
        out.extend(message);
    }
    out
}

/// A message of the methods, in protobuf or in JSON, or what is none.
fn message(script: &mut Script<'_>) -> Vec<u8> {
    let length = usize::from(script.byte());
    match script.byte() % 4 {
        0 => [&[0x0a, length as u8 & 0x7f][..], &vec![b'x'; length & 0x7f]].concat(),
        1 => br#"{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}"#.to_vec(),
        // Longer than what a message may be, if it is made long at all.
        2 => script.take(length).repeat(64),
        _ => script.take(length).to_vec(),
    }
}

fn compressed(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    let done = match encoding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(bytes).and_then(|()| encoder.finish())
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(bytes).and_then(|()| encoder.finish())
        }
        "zstd" => zstd::bulk::compress(bytes, 1),
        _ => Ok(bytes.to_vec()),
    };
    done.expect("compression into memory has no error")
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    for group in bytes.chunks(3) {
        let mut bits = [0; 4];
        bits[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(bits);
        for letter in 0..=group.len() {
            out.push(LETTERS[(bits >> (18 - 6 * letter)) as usize & 63]);
        }
        out.resize(out.len().next_multiple_of(4), b'=');
    }
    out
}

const TYPES: [&str; 12] = [
    "application/proto",
    "application/json",
    "application/json; charset=utf-8",
    "application/connect+proto",
    "application/connect+json",
    "application/grpc-web",
    "application/grpc-web+json",
    "application/grpc-web-text",
    "application/grpc-web-text+json",
    "application/grpc",
    "application/grpc+json",
    "text/plain",
];
const ENCODINGS: [&str; 6] = ["gzip", "deflate", "zstd", "identity", "br", ""];
const NAMES: [&str; 16] = [
    "connect-protocol-version",
    "connect-timeout-ms",
    "connect-accept-encoding",
    "accept-encoding",
    "grpc-accept-encoding",
    "grpc-timeout",
    "grpc-previous-rpc-attempts",
    "traceparent",
    "tracestate",
    "dreammesh-priority",
    "idempotency-key",
    "origin",
    "access-control-request-method",
    "access-control-request-headers",
    "x-sum-bin",
    "x-name",
];
const VALUES: [&str; 16] = [
    "",
    "0",
    "1",
    "2",
    "1S",
    "99999999H",
    "9999999999",
    "gzip",
    "deflate",
    "zstd;q=0.5, gzip;q=0",
    "identity",
    "br",
    "AP8B",
    "AP8=,AP8",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "https://shop.example",
];
const QUERY: [&str; 14] = [
    "message=",
    "&message=",
    "&base64=1",
    "&encoding=json",
    "&encoding=proto",
    "&compression=gzip",
    "&compression=zstd",
    "&connect=v1",
    "=",
    "&",
    "%",
    "%7B%7D",
    "CgFh",
    "+",
];
